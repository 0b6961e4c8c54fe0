//! The graph dialect: what is computed.
