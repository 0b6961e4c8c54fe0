//! Running test files.
//!
//! Architecture invariant: a test sees nothing of the machine but the tools it names; names and output are the same in
//! whatever folder the sources lie, because commands run in the folder of the suite and see relative names.

pub mod bless;
pub mod build;
pub mod exec;
pub mod script;
pub mod shell;
pub mod split_file;
pub mod suite;
pub mod tools;
