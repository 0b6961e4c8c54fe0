//! Op definitions, one family a file.

pub mod contraction;
pub mod control;
pub mod data;
pub mod elementwise;
pub mod indexing;
pub mod layout;
pub mod reduction;
