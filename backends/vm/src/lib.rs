//! The light runtime that runs compiled programs.

pub mod code_image;
