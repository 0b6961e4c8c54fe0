//! Why a kernel refused its inputs.

use nim_tensor::DType;
use std::fmt;

/// Why a kernel could not compute its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelError {
    /// The operation is not defined on this element type.
    ElementType {
        /// The operation, as the `graph` dialect calls it.
        op: &'static str,
        /// The type that was given.
        found: DType,
        /// What is accepted, in words.
        wanted: &'static str,
    },
    /// Operands or parameters contradict each other or the operation's definition.
    Invalid {
        /// The operation, as the `graph` dialect calls it.
        op: &'static str,
        /// What is wrong, with the offending numbers.
        message: String,
    },
    /// The result has more elements than [`MAX_ELEMENTS`].
    TooLarge {
        /// The operation, as the `graph` dialect calls it.
        op: &'static str,
        /// The shape the result would have.
        dims: Vec<usize>,
    },
}

/// The most elements a kernel makes; a larger shape is an error instead of an exhausted machine.
pub const MAX_ELEMENTS: usize = 1 << 30;

/// What every kernel returns.
pub type Result<T, E = KernelError> = std::result::Result<T, E>;

impl KernelError {
    /// An [`KernelError::Invalid`] with a message.
    pub fn invalid(op: &'static str, message: impl Into<String>) -> KernelError {
        KernelError::Invalid { op, message: message.into() }
    }

    /// An [`KernelError::ElementType`].
    pub fn element_type(op: &'static str, found: DType, wanted: &'static str) -> KernelError {
        KernelError::ElementType { op, found, wanted }
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KernelError::ElementType { op, found, wanted } => {
                write!(f, "{op}: element type {found} is not supported, expected {wanted}")
            }
            KernelError::Invalid { op, message } => write!(f, "{op}: {message}"),
            KernelError::TooLarge { op, dims } => write!(f, "{op}: a result of shape {dims:?} is too large"),
        }
    }
}
impl std::error::Error for KernelError {}

/// Returns early with [`KernelError::Invalid`] unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $op:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::kernels::KernelError::invalid($op, format!($($message)+)));
        }
    };
}
pub(crate) use ensure;
