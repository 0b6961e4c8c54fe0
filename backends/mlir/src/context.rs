//! The owner of all MLIR data of one thread.

#![allow(unsafe_code)]

use crate::diagnostics::{MlirDiagnostic, MlirError, Stage};
use crate::module::MlirModule;
use crate::pipeline;
use melior::Context;
use melior::dialect::DialectRegistry;
use melior::ir::{Module, Type};
use melior::pass::PassManager;
use melior::utility::{
    parse_pass_pipeline, register_all_dialects, register_all_llvm_translations, register_all_passes,
};
use mlir_sys::{MlirContext as MlirContextRaw, MlirModule as MlirModuleRaw, MlirStringCallback, MlirStringRef};
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

/// All upstream dialects, passes and translations, ready for use, with a collector for diagnostics.
///
/// Dialects are registered and loaded when first needed, which makes a fresh context cheap. Making one still costs
/// milliseconds: create one per thread and reuse it. What is parsed interns its types, attributes and locations in the
/// context for good, so a process that compiles without end should start a fresh one now and then.
#[derive(Debug)]
pub struct MlirContext {
    context: Context,
    diagnostics: Arc<Mutex<Vec<MlirDiagnostic>>>,
}

// SAFETY: an MLIR context with its thread pool off has no tie to the thread that made it; it must only not be used by
// two threads at once, which `!Sync` forbids. Modules borrow the context, so it cannot move while one is alive.
unsafe impl Send for MlirContext {}

impl MlirContext {
    /// Makes a context with everything upstream registered.
    pub fn new() -> Self {
        register_all_passes();
        let registry = DialectRegistry::new();
        register_all_dialects(&registry);
        // Kernels are compiled side by side, one context each; a pool per context would only add threads that wait.
        let context = Context::new_with_registry(&registry, false);
        register_all_llvm_translations(&context);
        let diagnostics = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&diagnostics);
        context.attach_diagnostic_handler(move |diagnostic| {
            let entry = MlirDiagnostic::from_melior(&diagnostic);
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
            // "Handled": MLIR then does not print it.
            true
        });
        Self { context, diagnostics }
    }

    /// Reads MLIR text, generic or pretty, and verifies it. Several top-level operations are put into one module.
    ///
    /// # Errors
    /// The text does not parse or does not verify.
    pub fn parse(&self, text: &str) -> Result<MlirModule<'_>, MlirError> {
        self.take_diagnostics();
        refuse_nul(text)?;
        let module = Module::parse(&self.context, text).ok_or_else(|| self.error(Stage::Parse))?;
        Ok(MlirModule { module, context: self })
    }

    /// As [`MlirContext::parse`], but nothing is verified, and positions are of a file of this name. Such a module is good
    /// for printing in generic form only.
    ///
    /// # Errors
    /// The text does not parse.
    pub fn parse_unverified(&self, text: &str, name: &str) -> Result<MlirModule<'_>, MlirError> {
        self.take_diagnostics();
        refuse_nul(text)?;
        // SAFETY: context and texts are alive during the call; the module that comes back is nobody else's.
        let module = unsafe {
            let raw = nimMlirParseUnverified(self.context.to_raw(), string_ref(text), string_ref(name));
            Module::from_option_raw(raw)
        };
        Ok(MlirModule { module: module.ok_or_else(|| self.error(Stage::Parse))?, context: self })
    }

    /// A type as MLIR writes it; `None` when it is none.
    pub fn canonical_type(&self, text: &str) -> Option<String> {
        let ty = (!text.contains('\0')).then(|| Type::parse(&self.context, text)).flatten();
        self.take_diagnostics();
        Some(ty?.to_string())
    }

    /// From now on ops, types and attributes of dialects that are not registered are kept as they are.
    pub fn allow_unregistered_dialects(&self) {
        self.context.set_allow_unregistered_dialects(true);
    }

    /// Whether upstream has an op of this full name.
    pub fn has_operation(&self, name: &str) -> bool {
        let Some((dialect, _)) = name.split_once('.') else { return false };
        self.load(dialect) && self.context.is_registered_operation(name)
    }

    /// Whether upstream has an op of this full name that ends blocks.
    pub fn is_terminator(&self, name: &str) -> bool {
        // SAFETY: context and text are alive during the call.
        self.has_operation(name) && unsafe { nimMlirIsTerminator(self.context.to_raw(), string_ref(name)) }
    }

    /// The full names of the ops of a dialect, sorted; none when upstream has no such dialect.
    pub fn operations_of(&self, dialect: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        if self.load(dialect) {
            // SAFETY: the callback gets `names`, which outlives the call, and strings that live during each call.
            unsafe {
                let data = (&raw mut names).cast();
                nimMlirOperationsOfDialect(self.context.to_raw(), string_ref(dialect), Some(add_name), data);
            }
        }
        names
    }

    /// Loads a dialect if upstream has it.
    fn load(&self, dialect: &str) -> bool {
        if dialect.contains('\0') {
            return false;
        }
        // SAFETY: context and text are alive during the call.
        let found = unsafe { mlir_sys::mlirContextGetOrLoadDialect(self.context.to_raw(), string_ref(dialect)) };
        !found.ptr.is_null()
    }

    /// Whether upstream understands a pass pipeline.
    ///
    /// # Errors
    /// It does not. The message ends with MLIR's own line of the anchored text and a caret.
    pub fn check_pipeline(&self, pipeline: &str) -> Result<(), MlirError> {
        self.take_diagnostics();
        self.pass_manager(pipeline).map(drop)
    }

    pub(crate) fn pass_manager(&self, pipeline: &str) -> Result<PassManager<'_>, MlirError> {
        let wrong = |message: String| {
            let mut error = self.error(Stage::Pipeline(pipeline.to_owned()));
            error.diagnostics.push(MlirDiagnostic::own(message, None));
            error
        };
        let anchored = pipeline::anchored(pipeline);
        if anchored.contains('\0') {
            return Err(wrong("the pipeline contains a NUL character".to_owned()));
        }
        let manager = PassManager::new(&self.context);
        parse_pass_pipeline(manager.as_operation_pass_manager(), &anchored).map_err(|e| wrong(e.to_string()))?;
        Ok(manager)
    }

    /// The error of a step that just failed, with the diagnostics collected since the step began.
    pub(crate) fn error(&self, stage: Stage) -> MlirError {
        MlirError { stage, diagnostics: self.take_diagnostics() }
    }

    /// Empties the collector. Every step begins with it, so that old warnings do not join a new error.
    pub(crate) fn take_diagnostics(&self) -> Vec<MlirDiagnostic> {
        std::mem::take(&mut self.diagnostics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn melior(&self) -> &Context {
        &self.context
    }
}

fn refuse_nul(text: &str) -> Result<(), MlirError> {
    let Some(at) = text.find('\0') else { return Ok(()) };
    let line = text[..at].matches('\n').count() + 1;
    let position = Some((line, at - text[..at].rfind('\n').map_or(0, |n| n + 1) + 1));
    let diagnostic = MlirDiagnostic::own("the text contains a NUL character".to_owned(), position);
    Err(MlirError { stage: Stage::Parse, diagnostics: vec![diagnostic] })
}

fn string_ref(text: &str) -> MlirStringRef {
    MlirStringRef { data: text.as_ptr().cast(), length: text.len() }
}

/// Adds a name to a `Vec<String>`.
unsafe extern "C" fn add_name(name: MlirStringRef, names: *mut c_void) {
    // SAFETY: `MlirContext::operations_of` passes both.
    let (bytes, names) =
        unsafe { (std::slice::from_raw_parts(name.data.cast::<u8>(), name.length), &mut *names.cast::<Vec<String>>()) };
    names.push(String::from_utf8_lossy(bytes).into_owned());
}

// `cpp/bridge.cpp`
unsafe extern "C" {
    fn nimMlirParseUnverified(context: MlirContextRaw, text: MlirStringRef, name: MlirStringRef) -> MlirModuleRaw;
    fn nimMlirIsTerminator(context: MlirContextRaw, name: MlirStringRef) -> bool;
    fn nimMlirOperationsOfDialect(
        context: MlirContextRaw,
        dialect: MlirStringRef,
        callback: MlirStringCallback,
        data: *mut c_void,
    );
}

impl Default for MlirContext {
    fn default() -> Self {
        Self::new()
    }
}
