//! Attribute macros that turn a Rust struct into an op definition table.
