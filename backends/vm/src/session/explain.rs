//! Errors in the words of the model: which input, which dimension, and where its symbols come from.

use crate::bytecode::{
    Function, Origin, Relation, Size, Text,
    size::{Op, SizeExpr},
};
use crate::error::RunErrorKind;
use crate::program::Program;

/// The instruction that is running.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) program: &'a Program,
    /// Number of the function.
    pub(super) function: usize,
    /// Number of the instruction in it.
    pub(super) at: usize,
}

impl<'a> Site<'a> {
    pub(super) fn function(&self) -> &'a Function {
        &self.program.inner.functions[self.function]
    }

    /// The name of the node that the instruction comes from.
    pub(super) fn node(&self) -> Option<String> {
        let text = self.function().nodes.get(self.at).copied().flatten()?;
        self.program.inner.contents.texts.get(text.index()).cloned()
    }

    fn text(&self, text: Text) -> String {
        self.program.inner.contents.texts.get(text.index()).cloned().unwrap_or_default()
    }

    fn size_text(&self, size: Size) -> String {
        if let Some(value) = size.as_immediate() {
            return value.to_string();
        }
        self.program.inner.contents.size_texts.get(size.index()).cloned().unwrap_or_default()
    }

    fn registers(&self, size: Size) -> Vec<u32> {
        let mut found = Vec::new();
        match self.program.inner.contents.sizes.get(size.index()) {
            Some(SizeExpr::Symbol(r)) => found.push(*r),
            Some(SizeExpr::Program(ops)) => {
                for op in ops {
                    if let Op::Symbol(r) = op
                        && !found.contains(r)
                    {
                        found.push(*r);
                    }
                }
            }
            _ => {}
        }
        found
    }

    /// "N = 4 is dimension 0 of input `x`".
    fn origin(&self, symbols: &[i64], register: u32) -> String {
        let name = self.function().symbols.get(register as usize).map_or("?", String::as_str);
        let value = symbols.get(register as usize).copied().unwrap_or(0);
        let origins = self.program.inner.origins.get(self.function);
        match origins.and_then(|o| o.get(register as usize)).copied().flatten() {
            Some(Origin { what, axis }) => format!("{name} = {value} is dimension {axis} of {}", self.text(what)),
            None => format!("{name} = {value}"),
        }
    }

    fn because(&self, symbols: &[i64], sizes: &[Size]) -> Vec<String> {
        let mut registers: Vec<u32> = sizes.iter().flat_map(|&s| self.registers(s)).collect();
        registers.dedup();
        registers.into_iter().map(|r| self.origin(symbols, r)).collect()
    }

    pub(super) fn guard(
        &self,
        symbols: &[i64],
        relation: Relation,
        lhs: (Size, i64),
        rhs: (Size, i64),
        message: Text,
    ) -> RunErrorKind {
        RunErrorKind::Guard {
            message: self.text(message),
            relation: relation.name(),
            lhs: (self.size_text(lhs.0), lhs.1),
            rhs: (self.size_text(rhs.0), rhs.1),
            because: self.because(symbols, &[lhs.0, rhs.0]),
        }
    }

    pub(super) fn dimension(
        &self,
        symbols: &[i64],
        shape: &[i64],
        axis: usize,
        expected: (Size, i64),
        what: Text,
    ) -> RunErrorKind {
        RunErrorKind::Dimension {
            what: self.text(what),
            shape: shape.to_vec(),
            axis,
            expected: self.size_text(expected.0),
            value: expected.1,
            because: self.because(symbols, &[expected.0]),
        }
    }

    pub(super) fn rank(&self, shape: &[i64], expected: usize, what: Text) -> RunErrorKind {
        RunErrorKind::Rank { what: self.text(what), shape: shape.to_vec(), expected }
    }

    pub(super) fn size(&self, symbols: &[i64], size: Size, problem: String) -> RunErrorKind {
        let mut expression = self.size_text(size);
        let origins = self.because(symbols, &[size]);
        if !origins.is_empty() {
            expression = format!("{expression} (where {})", origins.join(" and "));
        }
        RunErrorKind::Size { expression, problem }
    }

    #[cold]
    pub(super) fn negative(&self, symbols: &[i64], size: Size, value: i64) -> RunErrorKind {
        // Machines answer with this number when they cannot say what was computed.
        let lost = value == i64::MIN;
        let why = if lost { ", which stands for NaN and for what does not fit in 64 bits" } else { "" };
        self.size(symbols, size, format!("is negative: {value}{why}"))
    }
}
