//! The owner of all MLIR data of one thread.

#![allow(unsafe_code)]

use crate::diagnostics::{MlirDiagnostic, MlirError, Stage};
use crate::module::MlirModule;
use melior::Context;
use melior::dialect::DialectRegistry;
use melior::ir::Module;
use melior::utility::{register_all_dialects, register_all_llvm_translations, register_all_passes};
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
        if let Some(at) = text.find('\0') {
            let line = text[..at].matches('\n').count() + 1;
            let message = "the text contains a NUL character".to_owned();
            let location = "loc(unknown)".to_owned();
            let position = Some((line, at - text[..at].rfind('\n').map_or(0, |n| n + 1) + 1));
            let severity = crate::Severity::Error;
            let diagnostics = vec![MlirDiagnostic { severity, message, location, position, notes: Vec::new() }];
            return Err(MlirError { stage: Stage::Parse, diagnostics });
        }
        let module = Module::parse(&self.context, text).ok_or_else(|| self.error(Stage::Parse))?;
        Ok(MlirModule { module, context: self })
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

impl Default for MlirContext {
    fn default() -> Self {
        Self::new()
    }
}
