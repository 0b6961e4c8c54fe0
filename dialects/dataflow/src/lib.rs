//! The dataflow dialect: what moves.
