//! Passes of the `dataflow` dialect.
