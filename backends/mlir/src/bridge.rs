//! Upstream MLIR as the parser of `nim-text` wants it.

use crate::{MlirContext, MlirDiagnostic, MlirError, Severity, distinct};
use nim_text::upstream::{Complaint, FILE};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Upstream MLIR for one process. Its context is made when something is asked for the first time.
#[derive(Default)]
pub struct Upstream(Mutex<State>);

#[derive(Default)]
struct State {
    context: Option<MlirContext>,
    /// Whether upstream has an op.
    ops: HashMap<String, bool>,
    /// The ops of a dialect.
    dialects: HashMap<String, Vec<String>>,
    types: HashMap<String, Option<String>>,
}

impl State {
    fn context(&mut self) -> &MlirContext {
        self.context.get_or_insert_with(lenient)
    }
}

/// A context that keeps what belongs to dialects that it does not know: ours.
pub(crate) fn lenient() -> MlirContext {
    let context = MlirContext::new();
    context.allow_unregistered_dialects();
    context
}

impl Upstream {
    fn with<T>(&self, ask: impl FnOnce(&mut State) -> T) -> T {
        ask(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keys of resources are unique in a context: a text that has some gets one of its own.
    fn on_text<T>(&self, text: &str, ask: impl FnOnce(&MlirContext) -> T) -> T {
        match text.contains("dense_resource") {
            true => ask(&lenient()),
            false => self.with(|state| ask(state.context())),
        }
    }
}

impl nim_text::upstream::Upstream for Upstream {
    fn has_op(&self, name: &str) -> bool {
        self.with(|state| {
            if let Some(&known) = state.ops.get(name) {
                return known;
            }
            let found = state.context().has_operation(name);
            state.ops.insert(name.to_owned(), found);
            found
        })
    }

    fn is_terminator(&self, name: &str) -> bool {
        self.with(|state| state.context().is_terminator(name))
    }

    fn ops_of(&self, dialect: &str) -> Vec<String> {
        self.with(|state| {
            if !state.dialects.contains_key(dialect) {
                let found = state.context().operations_of(dialect);
                state.dialects.insert(dialect.to_owned(), found);
            }
            state.dialects[dialect].clone()
        })
    }

    fn generic(&self, text: &str) -> Result<String, Vec<Complaint>> {
        self.on_text(text, |context| {
            distinct::keep(
                text,
                || None,
                |text| {
                    let module = context.parse_unverified(text, FILE).map_err(complaints)?;
                    module.print_with_locations().map_err(complaints)
                },
            )
        })
    }

    fn canonical_type(&self, text: &str) -> Option<String> {
        self.with(|state| {
            if !state.types.contains_key(text) {
                // Upstream would count these anew.
                let keep = text.contains("distinct[").then(|| text.to_owned());
                let found = keep.or_else(|| state.context().canonical_type(text));
                state.types.insert(text.to_owned(), found);
            }
            state.types[text].clone()
        })
    }

    fn verify(&self, text: &str) -> Vec<Complaint> {
        // Resources are read for good.
        self.on_text(text, |context| context.parse(text).map_or_else(complaints, |_| vec![]))
    }
}

fn complaints(error: MlirError) -> Vec<Complaint> {
    if error.diagnostics.is_empty() {
        let message = error.to_string();
        return vec![Complaint { severity: nim_ir::Severity::Error, message, position: None, notes: vec![] }];
    }
    error.diagnostics.iter().map(complaint).collect()
}

/// A message of upstream's; positions of other texts than the one it was given are left out.
pub(crate) fn complaint(found: &MlirDiagnostic) -> Complaint {
    let number = |n: usize| u32::try_from(n).ok();
    let position = found.position.filter(|_| found.file.as_deref() == Some(FILE));
    Complaint {
        severity: match found.severity {
            Severity::Error => nim_ir::Severity::Error,
            Severity::Warning => nim_ir::Severity::Warning,
            Severity::Remark | Severity::Note => nim_ir::Severity::Note,
        },
        message: found.message.clone(),
        position: position.and_then(|(line, column)| Some((number(line)?, number(column)?))),
        notes: found.notes.iter().map(complaint).collect(),
    }
}
