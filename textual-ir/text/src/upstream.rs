//! What the parser wants of upstream MLIR, which this crate does not know: `nim-mlir` implements it.
//!
//! Ops of upstream's dialects that no registered dialect defines, or not with the syntax that the text has, are handed to upstream
//! as text and come back in generic form; see `parser::upstream`.

use nim_ir::Severity;

/// The name that upstream gives to the text it is handed: positions of complaints and locations of ops are of a file of this name.
pub const FILE: &str = "nim:upstream";

/// Something that upstream says about a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// How bad.
    pub severity: Severity,
    /// What.
    pub message: String,
    /// Line and column of the text [`FILE`], both from 1; `None` when it is about something else.
    pub position: Option<(u32, u32)>,
    /// What explains it.
    pub notes: Vec<Complaint>,
}

/// Upstream MLIR. Dialects that it does not have are kept as they are.
pub trait Upstream: Send + Sync {
    /// Whether it has an op of this full name.
    fn has_op(&self, name: &str) -> bool;
    /// Whether an op of this full name ends blocks.
    fn is_terminator(&self, name: &str) -> bool;
    /// The names of the ops of a dialect; empty when it has none of this name.
    fn ops_of(&self, dialect: &str) -> Vec<String>;
    /// A text of ops in generic form, with locations. They are not verified.
    ///
    /// # Errors
    /// It cannot be read.
    fn generic(&self, text: &str) -> Result<String, Vec<Complaint>>;
    /// A type as upstream writes it; `None` when it is none.
    fn canonical_type(&self, text: &str) -> Option<String>;
    /// What is wrong with a module.
    fn verify(&self, text: &str) -> Vec<Complaint>;
}

/// The dialects of upstream's that its own tools have, for messages of programs without it.
pub(crate) const DIALECTS: [&str; 46] = [
    "acc",
    "affine",
    "amdgpu",
    "amx",
    "arith",
    "arm_neon",
    "arm_sme",
    "arm_sve",
    "async",
    "bufferization",
    "cf",
    "complex",
    "dlti",
    "emitc",
    "func",
    "gpu",
    "index",
    "irdl",
    "linalg",
    "llvm",
    "math",
    "memref",
    "ml_program",
    "mpi",
    "nvgpu",
    "nvvm",
    "omp",
    "pdl",
    "pdl_interp",
    "ptr",
    "quant",
    "rocdl",
    "scf",
    "shape",
    "shard",
    "smt",
    "sparse_tensor",
    "spirv",
    "tensor",
    "tosa",
    "transform",
    "ub",
    "vcix",
    "vector",
    "x86vector",
    "xegpu",
];
