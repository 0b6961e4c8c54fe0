//! The IR core: context, bodies, op definitions, verifier, diagnostics.
