//! Why a program cannot be loaded, and why a run failed.

use crate::code_image;
use std::path::PathBuf;
use std::{fmt, io};

/// Why a program cannot be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be opened or mapped.
    Io(PathBuf, io::Error),
    /// The file is not a compiled program.
    NotAProgram,
    /// Written by another version of the toolkit.
    Version {
        /// Version of the file.
        found: u32,
        /// The version that this runtime reads.
        expected: u32,
    },
    /// Shorter than its header says.
    Truncated,
    /// The checksum of a part does not fit its content, or the part makes no sense.
    Damaged(&'static str),
    /// The constants, which are in a file of their own, cannot be bound.
    Constants(PathBuf, ConstantsProblem),
    /// The bytecode was refused by the verifier.
    Bytecode(String),
    /// The machine code cannot run here.
    Code(code_image::LoadError),
    /// The bytecode names a kernel that the code does not have.
    Kernel(String),
    /// The bytecode names a runtime function that this runtime does not have.
    Function(String),
    /// A device has no room for a constant.
    DeviceMemory {
        /// Its name.
        device: String,
        /// Bytes of the constant.
        bytes: usize,
    },
}

/// What is wrong with a file of constants.
#[derive(Debug)]
pub enum ConstantsProblem {
    /// It cannot be opened or mapped.
    Io(io::Error),
    /// The program came from memory, so nobody knows where its constants are.
    NotGiven,
    /// It is no file of constants.
    NotConstants,
    /// They are those of another program.
    Other,
    /// It is shorter than its header says.
    Truncated,
    /// Its checksum does not fit its content.
    Damaged,
}

impl fmt::Display for ConstantsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConstantsProblem::Io(e) => write!(f, "cannot be read: {e}"),
            ConstantsProblem::NotGiven => f.write_str("is in a file of its own, and nobody said where"),
            ConstantsProblem::NotConstants => f.write_str("is no file of constants"),
            ConstantsProblem::Other => f.write_str("has the constants of another program"),
            ConstantsProblem::Truncated => f.write_str("is cut off: it is shorter than its header says"),
            ConstantsProblem::Damaged => f.write_str("is damaged: its checksum does not fit"),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Io(path, e) => write!(f, "cannot read {}: {e}", path.display()),
            LoadError::NotAProgram => f.write_str("this is not a compiled program (.nimx)"),
            LoadError::Version { found, expected } => {
                write!(
                    f,
                    "the program has format version {found}, this runtime reads version {expected}: compile the model again"
                )
            }
            LoadError::Truncated => f.write_str("the program is cut off: it is shorter than its header says"),
            LoadError::Damaged(part) => {
                write!(f, "the program is damaged: the checksum of its {part} does not fit, or it makes no sense")
            }
            LoadError::Constants(path, problem) => {
                write!(f, "the file with the program's constants, {}, {problem}", path.display())
            }
            LoadError::Bytecode(what) => write!(f, "the program's bytecode is invalid: {what}"),
            LoadError::Code(e) => e.fmt(f),
            LoadError::Kernel(name) => write!(f, "the program calls the kernel `{name}`, which its code does not have"),
            LoadError::Function(name) => {
                write!(f, "the program calls the runtime function `{name}`, which this runtime does not have")
            }
            LoadError::DeviceMemory { device, bytes } => {
                write!(f, "device `{device}` has no room for a constant of {bytes} bytes")
            }
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Io(_, e) | LoadError::Constants(_, ConstantsProblem::Io(e)) => Some(e),
            LoadError::Code(e) => Some(e),
            _ => None,
        }
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunErrorKind {
    /// The wrong number of inputs.
    InputCount {
        /// What the program takes.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// An input has no value.
    InputMissing(String),
    /// There is no input or output of this name or number.
    NoSuch {
        /// "input" or "output".
        kind: &'static str,
        /// Its name or number.
        which: String,
        /// How many there are.
        count: usize,
    },
    /// An input of another element type, rank or kind.
    InputType {
        /// Name of the input.
        input: String,
        /// What the program takes.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A dimension is not what it must be.
    Dimension {
        /// What has the dimension: "input `x`".
        what: String,
        /// Its shape.
        shape: Vec<i64>,
        /// Which dimension.
        axis: usize,
        /// What it must be: an expression or number.
        expected: String,
        /// The value of that.
        value: i64,
        /// Where the symbols of the expression come from.
        because: Vec<String>,
    },
    /// A value has another number of dimensions than it must have.
    Rank {
        /// What has the dimensions.
        what: String,
        /// Its shape.
        shape: Vec<i64>,
        /// How many it must have.
        expected: usize,
    },
    /// A relation between sizes does not hold.
    Guard {
        /// What it is about.
        message: String,
        /// The relation: `eq`, `le`, `broadcast`.
        relation: &'static str,
        /// The left side, as text and value.
        lhs: (String, i64),
        /// The right side.
        rhs: (String, i64),
        /// Where the symbols come from.
        because: Vec<String>,
    },
    /// A size has no value, or is negative.
    Size {
        /// The expression with the values of its symbols.
        expression: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is not enough memory, or more was asked for than is allowed.
    Memory {
        /// Bytes asked for.
        requested: usize,
        /// Bytes in use at that time.
        in_use: usize,
        /// The limit, if it was the limit that was reached.
        limit: Option<usize>,
        /// Where the symbols of the sizes come from.
        because: Vec<String>,
    },
    /// More steps than are allowed: a loop may not end.
    Steps(u64),
    /// Functions call each other too deeply.
    Depth(usize),
    /// A runtime function refused its operands.
    Runtime {
        /// Its name.
        function: String,
        /// Why.
        message: String,
    },
    /// The program wants a device that is not there.
    Device(String),
    /// A device cannot run a kernel.
    Launch {
        /// The device.
        device: String,
        /// The kernel.
        kernel: String,
        /// Why.
        message: String,
    },
    /// The program itself is wrong: a register does not hold what an instruction needs.
    Program(String),
}

/// A failed run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunError {
    /// What happened.
    pub kind: Box<RunErrorKind>,
    /// The node of the model where it happened, if it has a name.
    pub node: Option<String>,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if let Some(node) = &self.node {
            write!(f, " (node `{node}`)")?;
        }
        Ok(())
    }
}

impl std::error::Error for RunError {}

impl fmt::Display for RunErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = |f: &mut fmt::Formatter<'_>, because: &[String]| {
            if because.is_empty() { Ok(()) } else { write!(f, ", where {}", because.join(" and ")) }
        };
        let show = |(text, value): &(String, i64)| {
            if *text == value.to_string() { text.clone() } else { format!("{text} = {value}") }
        };
        match self {
            RunErrorKind::InputCount { expected, found } => {
                write!(f, "the program takes {expected} inputs, {found} were given")
            }
            RunErrorKind::InputMissing(input) => write!(f, "input `{input}` has no value"),
            RunErrorKind::NoSuch { kind, which, count } => {
                write!(f, "the program has no {kind} {which}, it has {count} {kind}s")
            }
            RunErrorKind::InputType { input, expected, found } => {
                write!(f, "input `{input}` must be {expected}, it is {found}")
            }
            RunErrorKind::Dimension { what, shape, axis, expected, value, because } => {
                let size = shape.get(*axis).copied().unwrap_or(0);
                write!(f, "dimension {axis} of {what} is {size}, it must be ")?;
                f.write_str(&show(&(expected.clone(), *value)))?;
                why(f, because)?;
                write!(f, "; the shape is {shape:?}")
            }
            RunErrorKind::Rank { what, shape, expected } => {
                write!(f, "{what} has {} dimensions, it must have {expected}; the shape is {shape:?}", shape.len())
            }
            RunErrorKind::Guard { message, relation, lhs, rhs, because } => {
                let must = match *relation {
                    "eq" => "must be equal to",
                    "le" => "must not be greater than",
                    _ => "must be equal to, or one of them 1:",
                };
                write!(f, "{message}: {} {must} {}", show(lhs), show(rhs))?;
                why(f, because)
            }
            RunErrorKind::Size { expression, problem } => write!(f, "the size {expression} {problem}"),
            RunErrorKind::Memory { requested, in_use, limit, because } => {
                match limit {
                    Some(limit) => write!(
                        f,
                        "{requested} more bytes of memory are needed, {in_use} are in use, and the limit is {limit}"
                    )?,
                    None => write!(f, "the system has no {requested} bytes of memory left, {in_use} are in use")?,
                }
                why(f, because)
            }
            RunErrorKind::Steps(limit) => {
                write!(f, "the program did not end within {limit} steps of loops and calls, which is the limit")
            }
            RunErrorKind::Depth(limit) => write!(f, "functions call each other more than {limit} levels deep"),
            RunErrorKind::Runtime { function, message } => write!(f, "{function}: {message}"),
            RunErrorKind::Device(name) => {
                write!(f, "the program runs on a device `{name}`, and nobody said what that is here: ")?;
                write!(f, "nim-run --device {name}=cpu does, or LoadOptions::devices")
            }
            RunErrorKind::Launch { device, kernel, message } => {
                write!(f, "kernel `{kernel}` on device `{device}`: {message}")
            }
            RunErrorKind::Program(what) => write!(f, "the program is invalid: {what}"),
        }
    }
}
