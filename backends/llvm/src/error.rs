//! Everything that can go wrong between MLIR text and a code image.

use nim_mlir::MlirError;
use std::fmt;

/// A failure of compilation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileError {
    /// The name of a target is not understood; the text says why.
    Target(String),
    /// MLIR refused the kernel.
    Mlir {
        /// Symbol of the kernel.
        kernel: String,
        /// MLIR's words.
        error: MlirError,
    },
    /// LLVM refused the kernel.
    Llvm {
        /// Symbol of the kernel.
        kernel: String,
        /// What was being done, e.g. `optimising`.
        doing: &'static str,
        /// LLVM's words.
        message: String,
    },
    /// The kernel's text defines no function of the name it is asked for.
    MissingSymbol {
        /// The name asked for.
        kernel: String,
        /// Names that the text does define.
        defined: Vec<String>,
    },
    /// Code calls a function that neither the kernels nor the runtime offer.
    UndefinedSymbol {
        /// The function called.
        symbol: String,
        /// Symbol of the kernel that calls it.
        kernel: String,
    },
    /// Two kernels have one name.
    DuplicateSymbol(String),
    /// The linker met object code it cannot place.
    Link {
        /// Symbol of the kernel.
        kernel: String,
        /// What it met.
        message: String,
    },
    /// Several kernels failed.
    Many(Vec<CompileError>),
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(message) => f.write_str(message),
            Self::Mlir { kernel, error } => write!(f, "kernel `{kernel}`: {error}"),
            Self::Llvm { kernel, doing, message } => write!(f, "kernel `{kernel}`: LLVM failed {doing}: {message}"),
            Self::MissingSymbol { kernel, defined } if defined.is_empty() => {
                write!(f, "kernel `{kernel}`: its text defines no function")
            }
            Self::MissingSymbol { kernel, defined } => {
                write!(f, "kernel `{kernel}`: its text defines no such function, only {}", defined.join(", "))
            }
            Self::UndefinedSymbol { symbol, kernel } => {
                write!(f, "kernel `{kernel}` calls `{symbol}`, which is no kernel and which the runtime does not offer")
            }
            Self::DuplicateSymbol(name) => write!(f, "two kernels are called `{name}`"),
            Self::Link { kernel, message } => write!(f, "kernel `{kernel}`: cannot link its object code: {message}"),
            Self::Many(errors) => {
                write!(f, "{} kernels failed to compile", errors.len())?;
                errors.iter().try_for_each(|e| write!(f, "\n{e}"))
            }
        }
    }
}

impl std::error::Error for CompileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Mlir { error, .. } => Some(error),
            _ => None,
        }
    }
}
