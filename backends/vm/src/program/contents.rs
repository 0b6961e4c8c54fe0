//! Everything that is stored of a program.

use super::signature::Signature;
use crate::bytecode::size::SizeExpr;
use crate::bytecode::{DeviceId, Function, Origin, Size};
use crate::code_image::CodeImage;
use crate::machine::roof::Products;
use nim_tensor::Tensor;

/// What a kernel costs and where it comes from: for profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCost {
    /// Scalar operations: an expression over the kernel's symbols, which are registers in the order of its ABI.
    pub operations: Size,
    /// Bytes that must be read at least once, and bytes that are written, by the accesses that its maps declare.
    pub bytes: Size,
    /// What multiplies its factors: the fastest, where there are several.
    pub products: Products,
    /// Names of the nodes of the model that it was made of.
    pub nodes: Vec<String>,
    /// What it chooses by its symbols each time it runs, in words.
    pub choices: Vec<String>,
}

/// Everything that is stored of a program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) producer: String,
    /// Name of the file that has the constants, where they are not in the program itself.
    pub(crate) beside: Option<String>,
    pub(crate) signature: Signature,
    pub(crate) texts: Vec<String>,
    pub(crate) sizes: Vec<SizeExpr>,
    /// The expressions as text, for messages.
    pub(crate) size_texts: Vec<String>,
    pub(crate) kernels: Vec<String>,
    /// For each kernel; empty where nothing is known.
    pub(crate) costs: Vec<Option<KernelCost>>,
    /// The first one is the program.
    pub(crate) functions: Vec<Function>,
    /// Of native programs, whose functions have no instructions: where symbols come from.
    pub(crate) origins: Option<Vec<Vec<Option<Origin>>>>,
    pub(crate) constants: Vec<Tensor>,
    /// Names of the devices behind the host, which is number 0.
    pub(crate) devices: Vec<String>,
    /// Where each kernel runs.
    pub(crate) kernel_devices: Vec<DeviceId>,
    /// Of each kernel that does not run on the host its IR as text; else empty.
    pub(crate) kernel_sources: Vec<String>,
    /// Where each constant is.
    pub(crate) constant_devices: Vec<DeviceId>,
    pub(crate) code: Option<CodeImage>,
}
