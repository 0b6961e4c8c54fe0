//! The light runtime that runs compiled programs.
