//! Trying edits until none is left that keeps it true: halves first, then smaller parts, as delta debugging does.

use crate::{
    edits::{self, Kind},
    keep::{Case, Keep, Known},
};
use nim_text::{PrintOptions, print_module};
use std::panic::{self, AssertUnwindSafe};

/// A smaller case, and how it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reduced {
    /// What is left.
    pub case: Case,
    /// How many cases were tried.
    pub tried: usize,
}

/// Makes a case smaller while it stays true.
///
/// # Errors
/// It is not true of the case to begin with.
pub fn reduce(known: &Known<'_>, keep: &Keep, case: Case, most: usize) -> Result<Reduced, String> {
    if !known.holds(keep, &case) {
        return Err("what is to stay true does not hold for the module as it is".into());
    }
    let mut reducer = Reducer { known, keep, case, tried: 1, most };
    loop {
        let before = reducer.case.clone();
        reducer.steps();
        for kind in Kind::ALL {
            reducer.kind(kind);
        }
        if reducer.case == before || reducer.tried >= reducer.most {
            return Ok(Reduced { case: reducer.case, tried: reducer.tried });
        }
    }
}

struct Reducer<'a> {
    known: &'a Known<'a>,
    keep: &'a Keep,
    case: Case,
    tried: usize,
    most: usize,
}

impl Reducer<'_> {
    /// Takes a case if it is another one and it holds.
    fn accept(&mut self, case: Case) -> bool {
        if case == self.case || self.tried >= self.most {
            return false;
        }
        self.tried += 1;
        let holds = self.known.holds(self.keep, &case);
        if holds {
            self.case = case;
        }
        holds
    }

    /// Steps of the pipeline, many at once first.
    fn steps(&mut self) {
        let mut size = self.case.steps.len();
        while size > 0 {
            let mut at = 0;
            while at < self.case.steps.len() {
                let mut case = self.case.clone();
                let end = (at + size).min(case.steps.len());
                case.steps.drain(at..end);
                if !self.accept(case) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    /// Places of a kind of edit, many at once first.
    fn kind(&mut self, kind: Kind) {
        let mut size = self.count(kind);
        while size > 0 {
            let mut at = 0;
            while at < self.count(kind) && self.tried < self.most {
                let edited = self.edited(kind, at, size);
                let case = edited.map(|module| Case { module, steps: self.case.steps.clone() });
                if !case.is_some_and(|case| self.accept(case)) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    fn count(&self, kind: Kind) -> usize {
        let ctx = self.known.context();
        self.known.parse(&ctx, &self.case.module).map_or(0, |module| edits::count(&ctx, &module, kind))
    }

    /// The text of the module with an edit; nothing when the edit does nothing there.
    fn edited(&self, kind: Kind, at: usize, size: usize) -> Option<String> {
        let ctx = self.known.context();
        let mut module = self.known.parse(&ctx, &self.case.module)?;
        // An edit may leave a module that cannot even be printed; such a one is of no use.
        let text = panic::catch_unwind(AssertUnwindSafe(|| {
            edits::edit(&ctx, &mut module, kind, at..at + size)
                .then(|| print_module(&ctx, &module, &PrintOptions::default()))
        }));
        text.ok().flatten()
    }
}
