//! Builtin ops and the upstream ops we emit.
