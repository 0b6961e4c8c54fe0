//! What the command line tools share. The tools themselves are thin: they parse a command line and call this.
//!
//! * [`source`]: model files (`.onnx`, `.nir`) to modules.
//! * [`interface`]: what a model takes and gives; checking inputs before anything runs.
//! * [`engine`]: a module made ready to run by one of the back ends.
//! * [`values`]: tensors from files and from the command line, and back to files; [`dataset`]: ONNX test data folders.
//! * [`flags`]: parts of command lines that several tools have; [`text`]: modules written as text.
//! * [`failure`]: what went wrong, at which stage; [`terminal`]: how it is said.
//! * [`files`]: standard input, and files that appear under their name only when they are complete.

mod adt;
pub mod dataset;
pub mod engine;
pub mod failure;
pub mod files;
pub mod flags;
pub mod interface;
pub mod source;
pub mod terminal;
pub mod text;
pub mod values;

pub use engine::{Backend, Engine, EngineOptions, PoolStats, Products, Profile, Roof, RunOptions, SiteTime};
pub use failure::{Failure, Stage};
pub use interface::{Interface, Port, PortType};
