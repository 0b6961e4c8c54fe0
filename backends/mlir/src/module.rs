//! One module of MLIR: run passes over it, print it, hand it to LLVM.

#![allow(unsafe_code)]

use crate::context::MlirContext;
use crate::diagnostics::{MlirError, Stage};
use crate::pipeline;
use melior::ir::attribute::Attribute;
use melior::ir::operation::{OperationLike, OperationMutLike, OperationPrintingFlags};
use melior::ir::{BlockLike, Module};
use std::ffi::c_void;
use std::ptr::NonNull;

/// A verified module. It borrows its context.
#[derive(Debug)]
pub struct MlirModule<'c> {
    pub(crate) module: Module<'c>,
    pub(crate) context: &'c MlirContext,
}

/// An `LLVMModuleRef` nobody owns yet: whoever receives it must dispose of it, and before its LLVM context.
#[derive(Debug)]
pub struct RawLlvmModule(pub NonNull<c_void>);

impl MlirModule<'_> {
    /// Runs upstream passes, named as `mlir-opt` names them, e.g. `canonicalize,convert-scf-to-cf` or
    /// `func.func(cse),convert-vector-to-llvm{reassociate-fp-reductions=true}`.
    ///
    /// # Errors
    /// The pipeline does not parse, or a pass fails. The module is then half-way and only good for printing.
    pub fn run_pipeline(&mut self, pipeline: &str) -> Result<(), MlirError> {
        self.run(pipeline, true)
    }

    /// Lowers everything to the `llvm` dialect with [`pipeline::CPU`], after giving every function C's calling
    /// convention (memref arguments become bare pointers).
    ///
    /// # Errors
    /// A pass fails, which for the last ones means that an operation has no lowering.
    pub fn lower_to_llvm_dialect(&mut self) -> Result<(), MlirError> {
        let unit = Attribute::unit(self.context.melior());
        let mut next = self.module.body().first_operation_mut();
        while let Some(mut operation) = next {
            if operation.name().as_string_ref().as_str() == Ok("func.func") {
                operation.set_attribute("llvm.bareptr", unit);
            }
            next = operation.next_in_block_mut();
        }
        // Verification between our own fixed steps would only find upstream's bugs; the last step is checked by the
        // translation, and LLVM verifies what comes out.
        self.run(pipeline::CPU, false)
    }

    fn run(&mut self, pipeline: &str, verify: bool) -> Result<(), MlirError> {
        self.context.take_diagnostics();
        let manager = self.context.pass_manager(pipeline)?;
        manager.enable_verifier(verify);
        manager.run(&mut self.module).map_err(|_| self.context.error(Stage::Passes(pipeline.to_owned())))
    }

    /// The module as text, with pretty syntax or in generic form.
    ///
    /// # Errors
    /// A name in the module is not UTF-8.
    pub fn print(&self, generic: bool) -> Result<String, MlirError> {
        let flags = OperationPrintingFlags::new();
        self.print_with(if generic { flags.print_generic_operation_form() } else { flags })
    }

    /// The module in generic form with all locations.
    ///
    /// # Errors
    /// A name in the module is not UTF-8.
    pub fn print_with_locations(&self) -> Result<String, MlirError> {
        self.print_with(OperationPrintingFlags::new().print_generic_operation_form().enable_debug_info(true, false))
    }

    fn print_with(&self, flags: OperationPrintingFlags) -> Result<String, MlirError> {
        self.module.as_operation().to_string_with_flags(flags).map_err(|_| self.context.error(Stage::Print))
    }

    /// Translates a module of the `llvm` dialect to an LLVM module in the given LLVM context. `self` is not needed
    /// afterwards.
    ///
    /// # Safety
    /// `llvm_context` is a live `LLVMContextRef` of the LLVM 22 that this process has loaded, and no other thread uses
    /// it during the call.
    ///
    /// # Errors
    /// An operation is left that has no translation.
    pub unsafe fn translate(&self, llvm_context: NonNull<c_void>) -> Result<RawLlvmModule, MlirError> {
        self.context.take_diagnostics();
        let operation = self.module.as_operation().to_raw();
        // SAFETY: the operation is alive as long as `self`; the context is by the caller's word.
        let module = unsafe { mlir_sys::mlirTranslateModuleToLLVMIR(operation, llvm_context.as_ptr().cast()) };
        NonNull::new(module.cast()).map(RawLlvmModule).ok_or_else(|| self.context.error(Stage::Translate))
    }
}
