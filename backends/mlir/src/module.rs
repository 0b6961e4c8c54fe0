//! One module of MLIR: run passes over it, print it, hand it to LLVM.

#![allow(unsafe_code)]

use crate::context::MlirContext;
use crate::diagnostics::{MlirDiagnostic, MlirError, Severity, Stage};
use crate::pipeline;
use melior::ir::attribute::Attribute;
use melior::ir::operation::{OperationLike, OperationMutLike, OperationPrintingFlags};
use melior::ir::{BlockLike, Module};
use melior::pass::PassManager;
use melior::utility::parse_pass_pipeline;
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
        let anchored = pipeline::anchored(pipeline);
        if anchored.contains('\0') {
            return Err(self.pipeline_error(pipeline, "the pipeline contains a NUL character".to_owned()));
        }
        let manager = PassManager::new(self.context.melior());
        manager.enable_verifier(verify);
        parse_pass_pipeline(manager.as_operation_pass_manager(), &anchored)
            .map_err(|e| self.pipeline_error(pipeline, e.to_string()))?;
        manager.run(&mut self.module).map_err(|_| self.context.error(Stage::Passes(pipeline.to_owned())))
    }

    fn pipeline_error(&self, pipeline: &str, message: String) -> MlirError {
        let mut error = self.context.error(Stage::Pipeline(pipeline.to_owned()));
        let location = "loc(unknown)".to_owned();
        let (severity, position, notes) = (Severity::Error, None, Vec::new());
        error.diagnostics.push(MlirDiagnostic { severity, message, location, position, notes });
        error
    }

    /// The module as text, with pretty syntax or in generic form.
    ///
    /// # Errors
    /// A name in the module is not UTF-8.
    pub fn print(&self, generic: bool) -> Result<String, MlirError> {
        let flags = OperationPrintingFlags::new();
        let flags = if generic { flags.print_generic_operation_form() } else { flags };
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
