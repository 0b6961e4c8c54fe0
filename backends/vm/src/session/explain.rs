//! Errors in the words of the model: which input, which dimension, and where its symbols come from.

use crate::bytecode::{Function, Instr, Origin, Reg, Relation, Size, Sym, Text, size::SizeExpr};
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
        for register in self.program.inner.contents.sizes.get(size.index()).into_iter().flat_map(SizeExpr::symbols) {
            if !found.contains(&register) {
                found.push(register);
            }
        }
        found
    }

    fn origin_of(&self, register: u32) -> Option<Origin> {
        self.program.inner.origins.get(self.function)?.get(register as usize).copied().flatten()
    }

    /// "N = 4 is dimension 0 of input `x`".
    fn origin(&self, symbols: &[i64], register: u32) -> String {
        let name = self.function().symbols.get(register as usize).map_or("?", String::as_str);
        let value = symbols.get(register as usize).copied().unwrap_or(0);
        match self.origin_of(register) {
            Some(Origin { what, axis, .. }) => format!("{name} = {value} is dimension {axis} of {}", self.text(what)),
            None => format!("{name} = {value}"),
        }
    }

    /// Where the symbols of some sizes come from.
    pub(super) fn because(&self, symbols: &[i64], sizes: &[Size]) -> Vec<String> {
        let mut registers: Vec<u32> = vec![];
        for register in sizes.iter().flat_map(|&s| self.registers(s)) {
            if !registers.contains(&register) {
                registers.push(register);
            }
        }
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

    /// A value has no dimension `axis`. Where the number of dimensions was open, the check that follows knows what it must be.
    #[cold]
    pub(super) fn too_few(&self, shape: &[i64], symbol: Sym, from: Reg, axis: u32) -> RunErrorKind {
        let check = self.function().code.iter().find_map(|instr| match instr {
            Instr::Check { from: checked, dims, what } if *checked == from => Some((dims.len(), *what)),
            _ => None,
        });
        // Native programs have no bytecode; their tables say where symbols come from.
        let known = || {
            let origin = self.origin_of(symbol.0).filter(|origin| origin.axis == axis)?;
            Some((origin.rank as usize, origin.what))
        };
        match check.or_else(known) {
            Some((expected, what)) => self.rank(shape, expected, what),
            None => RunErrorKind::Program(format!("register {} has no dimension {axis}", from.0)),
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
