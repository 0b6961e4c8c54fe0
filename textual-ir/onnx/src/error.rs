//! What can be wrong with a model or its data, and where.

use std::{fmt, io, path::PathBuf};

/// Why something could not be read or written. Each error says what is wrong; [`OnnxError::In`] layers say where.
#[derive(Debug)]
pub enum OnnxError {
    /// The operating system could not give a file.
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Bytes are not the protobuf message they should be: truncated, damaged, or something else altogether.
    Protobuf {
        /// The message that was expected, such as `ModelProto`.
        message: &'static str,
        /// Where decoding failed.
        source: prost::DecodeError,
    },
    /// A well-formed message breaks a rule of the format.
    Invalid(String),
    /// Something well-formed that this toolkit does not have.
    Unsupported(String),
    /// An error somewhere inside.
    In {
        /// Where.
        place: Place,
        /// What.
        source: Box<OnnxError>,
    },
}

/// A place in a model or its data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A tensor, by name; it may have none.
    Tensor(String),
    /// A node, by its name and operator.
    Node {
        /// Its name; it may have none.
        name: String,
        /// Its operator.
        op_type: String,
    },
    /// A part of a value: `element 3`, `keys`.
    Part(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => write!(f, "{}", path.display()),
            Place::Tensor(name) if name.is_empty() => f.write_str("a tensor without a name"),
            Place::Tensor(name) => write!(f, "tensor {name:?}"),
            Place::Node { name, op_type } if name.is_empty() => write!(f, "a node without a name ({op_type})"),
            Place::Node { name, op_type } => write!(f, "node {name:?} ({op_type})"),
            Place::Part(part) => f.write_str(part),
        }
    }
}

impl fmt::Display for OnnxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OnnxError::Io { path, source } => write!(f, "{}: {source}", path.display()),
            OnnxError::Protobuf { message, source } => {
                // The decoder's own prefix says the same as ours.
                let why = source.to_string();
                let why = why.strip_prefix("failed to decode Protobuf message: ").unwrap_or(&why);
                write!(f, "not a valid {message}, the data is truncated or damaged ({why})")
            }
            OnnxError::Invalid(what) | OnnxError::Unsupported(what) => f.write_str(what),
            OnnxError::In { place, source } => write!(f, "{place}: {source}"),
        }
    }
}

impl std::error::Error for OnnxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OnnxError::Io { source, .. } => Some(source),
            OnnxError::Protobuf { source, .. } => Some(source),
            OnnxError::In { source, .. } => Some(source),
            OnnxError::Invalid(_) | OnnxError::Unsupported(_) => None,
        }
    }
}

impl OnnxError {
    /// A rule of the format is broken.
    pub fn invalid(what: impl Into<String>) -> OnnxError {
        OnnxError::Invalid(what.into())
    }

    /// Well-formed, but not to be had here.
    pub fn unsupported(what: impl Into<String>) -> OnnxError {
        OnnxError::Unsupported(what.into())
    }

    /// The same error, seen from further out.
    pub fn within(self, place: Place) -> OnnxError {
        OnnxError::In { place, source: Box::new(self) }
    }

    /// The same error in a file.
    pub fn in_file(self, path: impl Into<PathBuf>) -> OnnxError {
        self.within(Place::File(path.into()))
    }

    /// The same error in a named tensor.
    pub fn in_tensor(self, name: &str) -> OnnxError {
        self.within(Place::Tensor(name.to_string()))
    }

    /// The same error in a node.
    pub fn in_node(self, node: &crate::proto::NodeProto) -> OnnxError {
        self.within(Place::Node { name: node.name.clone(), op_type: node.op_type.clone() })
    }

    /// The error itself, without the places around it.
    pub fn innermost(&self) -> &OnnxError {
        let mut error = self;
        while let OnnxError::In { source, .. } = error {
            error = source;
        }
        error
    }
}
