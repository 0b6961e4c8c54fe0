//! The language server: diagnostics while typing, hover, navigation, completion, outline, rename, formatting.
//!
//! * [`document::Document`]: a text, read by the parser of the toolkit, with the places of all names.
//! * [`names`]: what a place in a text stands for, and where else that stands.
//! * [`server::serve`]: the protocol.
//!
//! All knowledge of ops, types, attributes and passes comes from their definitions.

pub mod actions;
pub mod complete;
pub mod document;
pub mod format;
pub mod hover;
pub mod lines;
pub mod names;
pub mod outline;
pub mod server;
