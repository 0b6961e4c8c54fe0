//! LLVM modules: adopt them from MLIR, optimise, print, and make assembly or objects of them.

#![allow(unsafe_code)]

use crate::error::CompileError;
use crate::hoist;
use crate::target::Target;
use inkwell::OptimizationLevel;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::context::Context;
use inkwell::llvm_sys::LLVMDiagnosticSeverity;
use inkwell::llvm_sys::core::LLVMGetDiagInfoSeverity;
use inkwell::llvm_sys::core::{LLVMContextSetDiagnosticHandler, LLVMDisposeMessage, LLVMGetDiagInfoDescription};
use inkwell::llvm_sys::prelude::LLVMDiagnosticInfoRef;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::{Linkage, Module};
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine, TargetTriple,
};
use nim_mlir::MlirModule;
use std::ffi::{CStr, c_void};
use std::ptr::NonNull;
use std::sync::{Mutex, Once, PoisonError};

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// How hard LLVM tries; its own -O0 to -O3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OptLevel {
    /// No optimisation: register tiles stay in memory. For looking at code.
    None,
    /// -O1.
    Less,
    /// -O2.
    Default,
    /// -O3.
    #[default]
    Aggressive,
}

/// What to ask of LLVM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How hard to try.
    pub level: OptLevel,
    /// Vectorise and unroll loops and straight-line scalar code. Worth it for kernels written in scalars. Kernels that
    /// are vectors already do not need it and compile faster without.
    pub auto_vectorize: bool,
    /// LLVM passes to run instead of those of `level`, as `opt -passes=` names them.
    pub passes: Option<String>,
    /// Run LLVM's verifier on what comes from MLIR. Cheap; a failure is a bug of this toolkit or of MLIR.
    pub verify: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { level: OptLevel::default(), auto_vectorize: true, passes: None, verify: true }
    }
}

/// The owner of LLVM modules, and the collector of LLVM's complaints about them. Not shared between threads.
#[derive(Debug)]
pub struct LlvmContext {
    context: Context,
    /// Boxed: LLVM holds its address.
    errors: Box<Mutex<Vec<String>>>,
}

impl LlvmContext {
    /// Makes an empty context; cheap.
    pub fn new() -> Self {
        let context = Context::create();
        let errors: Box<Mutex<Vec<String>>> = Box::default();
        let sink = std::ptr::from_ref::<Mutex<Vec<String>>>(&errors).cast_mut().cast();
        // Without a handler of ours, LLVM prints errors and then ends the process.
        // SAFETY: the handler only reads the diagnostic, and `sink` lives in a box that is dropped after the context,
        // since fields are dropped in the order of their declaration.
        unsafe { LLVMContextSetDiagnosticHandler(context.raw(), Some(collect_diagnostic), sink) };
        Self { context, errors }
    }

    /// Takes over a module of MLIR's `llvm` dialect. `kernel` names it in errors.
    ///
    /// # Errors
    /// An operation has no translation to LLVM IR.
    pub fn translate(&self, module: &MlirModule, kernel: &str) -> Result<LlvmModule<'_>, CompileError> {
        let context = NonNull::new(self.context.raw().cast::<c_void>())
            .ok_or_else(|| llvm_error(kernel, "making a context", "out of memory".to_owned()))?;
        // SAFETY: the context is alive and of the one LLVM in this process, and `&self` is not shared with a thread.
        let raw = unsafe { module.translate(context) }
            .map_err(|error| CompileError::Mlir { kernel: kernel.to_owned(), error })?;
        // SAFETY: the translator just gave us this module, so we own it; it lives in our context.
        let module = unsafe { Module::new(raw.0.as_ptr().cast()) };
        Ok(LlvmModule { module, context: self, name: kernel.to_owned() })
    }

    /// Reads LLVM's own textual IR. `name` names the module in errors.
    ///
    /// # Errors
    /// The text does not parse.
    pub fn parse_ir(&self, text: &str, name: &str) -> Result<LlvmModule<'_>, CompileError> {
        let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "ir");
        let module = self
            .context
            .create_module_from_ir(buffer)
            .map_err(|e| llvm_error(name, "reading IR", e.to_string_lossy().into_owned()))?;
        Ok(LlvmModule { module, context: self, name: name.to_owned() })
    }

    fn take_errors(&self) -> Vec<String> {
        std::mem::take(&mut self.errors.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for LlvmContext {
    fn default() -> Self {
        Self::new()
    }
}

extern "C" fn collect_diagnostic(info: LLVMDiagnosticInfoRef, sink: *mut c_void) {
    // SAFETY: LLVM calls this with a live diagnostic and with the pointer we registered, whose target outlives the
    // context. The description is ours to dispose of.
    unsafe {
        if LLVMGetDiagInfoSeverity(info) != LLVMDiagnosticSeverity::LLVMDSError {
            return;
        }
        let text = LLVMGetDiagInfoDescription(info);
        let message = CStr::from_ptr(text).to_string_lossy().into_owned();
        LLVMDisposeMessage(text);
        let sink = &*sink.cast::<Mutex<Vec<String>>>();
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}

/// LLVM's code generator for one target. Made once per thread and reused.
#[derive(Debug)]
pub struct Machine {
    machine: TargetMachine,
    target: Target,
}

impl Machine {
    /// Makes the code generator.
    ///
    /// # Errors
    /// This LLVM was built without x86, or does not know the CPU.
    pub fn new(target: &Target, level: OptLevel) -> Result<Self, CompileError> {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| LlvmTarget::initialize_x86(&InitializationConfig::default()));
        let triple = TargetTriple::create(TRIPLE);
        let llvm =
            LlvmTarget::from_triple(&triple).map_err(|e| CompileError::Target(e.to_string_lossy().into_owned()))?;
        let level = match level {
            OptLevel::None => OptimizationLevel::None,
            OptLevel::Less => OptimizationLevel::Less,
            OptLevel::Default => OptimizationLevel::Default,
            OptLevel::Aggressive => OptimizationLevel::Aggressive,
        };
        let (cpu, features) = (target.cpu(), target.llvm_features());
        let machine = llvm
            .create_target_machine(&triple, cpu, features, level, RelocMode::PIC, CodeModel::Small)
            .ok_or_else(|| CompileError::Target(format!("LLVM has no code generator for `{target}`")))?;
        Ok(Self { machine, target: target.clone() })
    }

    /// The target it makes code for.
    pub fn target(&self) -> &Target {
        &self.target
    }
}

/// One module of LLVM IR.
#[derive(Debug)]
pub struct LlvmModule<'c> {
    module: Module<'c>,
    context: &'c LlvmContext,
    name: String,
}

impl LlvmModule<'_> {
    /// Makes `kernel` the only function that can be seen from outside. What it calls in its own module can then be
    /// inlined or dropped, and names of helpers cannot collide with those of other kernels.
    ///
    /// # Errors
    /// The module defines no such function.
    pub fn keep_only(&self, kernel: &str) -> Result<(), CompileError> {
        let mut defined = Vec::new();
        let mut found = false;
        for function in self.module.get_functions().filter(|f| f.count_basic_blocks() > 0) {
            let name = function.get_name().to_string_lossy();
            if name == kernel {
                found = true;
                function.set_linkage(Linkage::External);
            } else {
                function.set_linkage(Linkage::Internal);
                defined.push(name.into_owned());
            }
        }
        for global in self.module.get_globals().filter(|g| g.get_initializer().is_some()) {
            global.set_linkage(Linkage::Internal);
        }
        if found { Ok(()) } else { Err(CompileError::MissingSymbol { kernel: kernel.to_owned(), defined }) }
    }

    /// Readies the module for the machine (triple, data layout, attributes of every function, register tiles hoisted)
    /// and runs LLVM's optimisation pipeline.
    ///
    /// # Errors
    /// LLVM's verifier or a pass complains.
    pub fn optimise(&self, machine: &Machine, options: &Options) -> Result<(), CompileError> {
        self.module.set_triple(&machine.machine.get_triple());
        self.module.set_data_layout(&machine.machine.get_target_data().get_data_layout());
        self.set_function_attributes(&machine.target);
        if options.verify {
            self.module.verify().map_err(|e| self.error("verifying", e.to_string_lossy().into_owned()))?;
        }
        hoist::hoist_stack_slots(&self.module);
        let passes = match (&options.passes, options.level) {
            (Some(text), _) => text.as_str(),
            (None, OptLevel::None) => "default<O0>",
            (None, OptLevel::Less) => "default<O1>",
            (None, OptLevel::Default) => "default<O2>",
            (None, OptLevel::Aggressive) => "default<O3>",
        };
        if passes.contains('\0') {
            return Err(self.error("reading the pass pipeline", "it contains a NUL character".to_owned()));
        }
        // The code generator ends the process when it meets a matrix intrinsic, and the pipelines do not lower them.
        let matrices = self.module.get_functions().any(|f| f.get_name().to_bytes().starts_with(b"llvm.matrix."));
        let passes = if matrices { format!("lower-matrix-intrinsics,{passes}") } else { passes.to_owned() };
        let pass_options = PassBuilderOptions::create();
        pass_options.set_loop_vectorization(options.auto_vectorize);
        pass_options.set_loop_slp_vectorization(options.auto_vectorize);
        pass_options.set_loop_interleaving(options.auto_vectorize);
        pass_options.set_loop_unrolling(options.auto_vectorize);
        self.module
            .run_passes(&passes, &machine.machine, pass_options)
            .map_err(|e| self.error("optimising", e.to_string_lossy().into_owned()))?;
        self.check("optimising")
    }

    fn set_function_attributes(&self, target: &Target) {
        let context = &self.context.context;
        let width = target.vector_bits().to_string();
        let mut attributes = vec![
            context.create_string_attribute("target-cpu", target.cpu()),
            context.create_string_attribute("prefer-vector-width", &width),
            // Floating-point exceptions are masked and nobody reads their flags.
            context.create_string_attribute("no-trapping-math", "true"),
            // Nothing in a kernel throws, so no unwind tables are needed either.
            context.create_enum_attribute(Attribute::get_named_enum_kind_id("nounwind"), 0),
        ];
        if !target.llvm_features().is_empty() {
            attributes.push(context.create_string_attribute("target-features", target.llvm_features()));
        }
        for function in self.module.get_functions().filter(|f| f.count_basic_blocks() > 0) {
            for attribute in &attributes {
                function.add_attribute(AttributeLoc::Function, *attribute);
            }
        }
    }

    /// The module as LLVM IR text.
    pub fn ir_text(&self) -> String {
        self.module.print_to_string().to_string_lossy().into_owned()
    }

    /// Assembly text, in the AT&T syntax that LLVM prints.
    ///
    /// # Errors
    /// The code generator complains.
    pub fn emit_assembly(&self, machine: &Machine) -> Result<String, CompileError> {
        Ok(String::from_utf8_lossy(&self.emit(machine, FileType::Assembly)?).into_owned())
    }

    /// A relocatable ELF object with position-independent code.
    ///
    /// # Errors
    /// The code generator complains.
    pub fn emit_object(&self, machine: &Machine) -> Result<Vec<u8>, CompileError> {
        self.emit(machine, FileType::Object)
    }

    fn emit(&self, machine: &Machine, kind: FileType) -> Result<Vec<u8>, CompileError> {
        let doing = "generating code";
        let buffer = machine
            .machine
            .write_to_memory_buffer(&self.module, kind)
            .map_err(|e| self.error(doing, e.to_string_lossy().into_owned()))?;
        self.check(doing)?;
        Ok(buffer.as_slice().to_vec())
    }

    /// Turns complaints that LLVM made through its context, rather than by failing, into an error.
    fn check(&self, doing: &'static str) -> Result<(), CompileError> {
        let errors = self.context.take_errors();
        if errors.is_empty() { Ok(()) } else { Err(self.error(doing, errors.join("\n"))) }
    }

    fn error(&self, doing: &'static str, message: String) -> CompileError {
        llvm_error(&self.name, doing, message)
    }
}

fn llvm_error(kernel: &str, doing: &'static str, message: String) -> CompileError {
    CompileError::Llvm { kernel: kernel.to_owned(), doing, message }
}
