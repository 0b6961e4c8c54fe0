//! Fields of instructions: how each is stored, checked and shown. The instruction table needs nothing else.

use super::{Callee, ConstId, DeviceId, FunctionId, KernelId, Label, Maker, Reg, Relation, Size, Sym, Text};
use nim_tensor::DType;
use std::fmt::Write;

/// What is wrong with a piece of bytecode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl Problem {
    pub(super) fn within(self, place: &str) -> Problem {
        Problem(format!("{place}: {}", self.0))
    }
}

/// How many of everything there are: what indices are checked against.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// Value registers of the function.
    pub regs: u32,
    /// Symbol registers of the function.
    pub symbols: u32,
    /// Instructions of the function.
    pub code: u32,
    /// Constants of the program.
    pub constants: u32,
    /// Kernels of the program.
    pub kernels: u32,
    /// Texts of the program.
    pub texts: u32,
    /// Devices of the program, the host among them.
    pub devices: u32,
    /// For each size expression, one past the highest symbol register it reads.
    pub sizes: &'a [u32],
    /// For each function, how many values it takes and gives.
    pub functions: &'a [(u32, u32)],
}

/// What disassembly needs to show names instead of numbers.
pub struct Names<'a> {
    pub(crate) size: &'a dyn Fn(u32) -> String,
    pub(crate) text: &'a dyn Fn(u32) -> String,
    pub(crate) kernel: &'a dyn Fn(u32) -> String,
    pub(crate) function: &'a dyn Fn(u32) -> String,
    pub(crate) symbol: &'a dyn Fn(u32) -> String,
    pub(crate) device: &'a dyn Fn(u32) -> String,
}

/// Reads words in order.
pub struct Reader<'a> {
    words: &'a [u32],
}

impl<'a> Reader<'a> {
    pub(super) fn new(words: &'a [u32]) -> Self {
        Reader { words }
    }
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
    pub(super) fn word(&mut self) -> Result<u32, Problem> {
        let (&first, rest) =
            self.words.split_first().ok_or_else(|| Problem("the code ends within an instruction".into()))?;
        self.words = rest;
        Ok(first)
    }
}

/// A part of an instruction.
pub trait Field: Sized {
    /// Appends its words.
    fn encode(&self, out: &mut Vec<u32>);
    /// Reads it back.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Problem>;
    /// Fails when it points at something that is not there.
    fn check(&self, limits: &Limits<'_>) -> Result<(), Problem>;
    /// Appends it as text.
    fn show(&self, names: &Names<'_>, out: &mut String);
    /// Visits all registers in it.
    fn registers(&mut self, _: &mut dyn FnMut(&mut Reg)) {}
    /// Visits all targets of jumps in it.
    fn labels(&mut self, _: &mut dyn FnMut(&mut Label)) {}
    /// Visits all sizes in it.
    fn sizes(&mut self, _: &mut dyn FnMut(&mut Size)) {}
}

macro_rules! index_field {
    ($($ty:ident($what:literal, $limit:ident, $show:expr) $({ $visit:ident })?;)*) => { $(
        impl Field for $ty {
            fn encode(&self, out: &mut Vec<u32>) {
                out.push(self.0);
            }
            fn decode(reader: &mut Reader<'_>) -> Result<Self, Problem> {
                reader.word().map($ty)
            }
            fn check(&self, limits: &Limits<'_>) -> Result<(), Problem> {
                let count = limits.$limit;
                if self.0 < count { Ok(()) } else { Err(Problem(format!(concat!("there is no ", $what, " {}, only {}"), self.0, count))) }
            }
            fn show(&self, names: &Names<'_>, out: &mut String) {
                let show: fn(u32, &Names<'_>) -> String = $show;
                out.push_str(&show(self.0, names));
            }
            $(fn $visit(&mut self, visit: &mut dyn FnMut(&mut $ty)) {
                visit(self);
            })?
        }
    )* };
}

index_field! {
    Reg("register", regs, |i, _| format!("%{i}")) { registers };
    Sym("symbol", symbols, |i, n| (n.symbol)(i));
    ConstId("constant", constants, |i, _| format!("#{i}"));
    KernelId("kernel", kernels, |i, n| format!("@{}", (n.kernel)(i)));
    Text("text", texts, |i, n| format!("{:?}", (n.text)(i)));
    DeviceId("device", devices, |i, n| (n.device)(i));
    Label("instruction", code, |i, _| format!("->{i}")) { labels };
}

impl Field for FunctionId {
    fn encode(&self, out: &mut Vec<u32>) {
        out.push(self.0);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        reader.word().map(FunctionId)
    }
    fn check(&self, limits: &Limits<'_>) -> Result<(), Problem> {
        match limits.functions.get(self.0 as usize) {
            Some(_) => Ok(()),
            None => Err(Problem(format!("there is no function {}", self.0))),
        }
    }
    fn show(&self, names: &Names<'_>, out: &mut String) {
        let _ = write!(out, "@{}", (names.function)(self.0));
    }
}

/// A field that is one of two things: a word says which.
macro_rules! choice_field {
    ($ty:ident, $first:ident($first_ty:ty), $second:ident($second_ty:ty)) => {
        impl Field for $ty {
            fn encode(&self, out: &mut Vec<u32>) {
                match self {
                    $ty::$first(inner) => {
                        out.push(0);
                        inner.encode(out);
                    }
                    $ty::$second(inner) => {
                        out.push(1);
                        inner.encode(out);
                    }
                }
            }
            fn decode(reader: &mut Reader<'_>) -> Result<Self, Problem> {
                match reader.word()? {
                    0 => <$first_ty>::decode(reader).map($ty::$first),
                    1 => <$second_ty>::decode(reader).map($ty::$second),
                    other => Err(Problem(format!("there is no choice {other}"))),
                }
            }
            fn check(&self, limits: &Limits<'_>) -> Result<(), Problem> {
                match self {
                    $ty::$first(inner) => inner.check(limits),
                    $ty::$second(inner) => inner.check(limits),
                }
            }
            fn show(&self, names: &Names<'_>, out: &mut String) {
                match self {
                    $ty::$first(inner) => inner.show(names, out),
                    $ty::$second(inner) => inner.show(names, out),
                }
            }
            fn registers(&mut self, visit: &mut dyn FnMut(&mut Reg)) {
                match self {
                    $ty::$first(inner) => inner.registers(visit),
                    $ty::$second(inner) => inner.registers(visit),
                }
            }
        }
    };
}

choice_field!(Callee, Function(FunctionId), Value(Reg));
choice_field!(Maker, Constructor(u32), Function(FunctionId));

impl Field for Size {
    fn encode(&self, out: &mut Vec<u32>) {
        out.push(self.0);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        reader.word().map(Size)
    }
    fn check(&self, limits: &Limits<'_>) -> Result<(), Problem> {
        match limits.sizes.get(self.0 as usize) {
            None => Err(Problem(format!("there is no expression {}", self.0))),
            Some(&needed) if needed > limits.symbols => Err(Problem(format!(
                "expression {} reads symbol {}, the function has {}",
                self.0,
                needed - 1,
                limits.symbols
            ))),
            Some(_) => Ok(()),
        }
    }
    fn show(&self, names: &Names<'_>, out: &mut String) {
        out.push_str(&(names.size)(self.0));
    }
    fn sizes(&mut self, visit: &mut dyn FnMut(&mut Size)) {
        visit(self);
    }
}

impl Field for u32 {
    fn encode(&self, out: &mut Vec<u32>) {
        out.push(*self);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        reader.word()
    }
    fn check(&self, _: &Limits<'_>) -> Result<(), Problem> {
        Ok(())
    }
    fn show(&self, _: &Names<'_>, out: &mut String) {
        let _ = write!(out, "{self}");
    }
}

impl Field for i64 {
    fn encode(&self, out: &mut Vec<u32>) {
        out.extend([*self as u32, (*self >> 32) as u32]);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        let (low, high) = (reader.word()?, reader.word()?);
        Ok((u64::from(low) | u64::from(high) << 32) as i64)
    }
    fn check(&self, _: &Limits<'_>) -> Result<(), Problem> {
        Ok(())
    }
    fn show(&self, _: &Names<'_>, out: &mut String) {
        let _ = write!(out, "{self}");
    }
}

impl Field for DType {
    fn encode(&self, out: &mut Vec<u32>) {
        out.push(u32::from(dtype_code(*self)));
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        let code = reader.word()?;
        dtype_of_code(code).ok_or_else(|| Problem(format!("there is no element type {code}")))
    }
    fn check(&self, _: &Limits<'_>) -> Result<(), Problem> {
        // Strings have no bytes: only constants, inputs and runtime functions make them.
        if *self == DType::String { Err(Problem("strings cannot be allocated".into())) } else { Ok(()) }
    }
    fn show(&self, _: &Names<'_>, out: &mut String) {
        out.push_str(self.name());
    }
}

impl Field for Relation {
    fn encode(&self, out: &mut Vec<u32>) {
        out.push(*self as u32);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        let code = reader.word()?;
        Relation::from_code(code).ok_or_else(|| Problem(format!("there is no relation {code}")))
    }
    fn check(&self, _: &Limits<'_>) -> Result<(), Problem> {
        Ok(())
    }
    fn show(&self, _: &Names<'_>, out: &mut String) {
        out.push_str(self.name());
    }
}

impl<T: Field> Field for Box<[T]> {
    fn encode(&self, out: &mut Vec<u32>) {
        out.push(self.len() as u32);
        self.iter().for_each(|item| item.encode(out));
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        let count = reader.word()? as usize;
        // Each item takes a word, so a damaged count cannot ask for more memory than the file has.
        if count > reader.words.len() {
            return Err(Problem("a list is longer than the code".into()));
        }
        (0..count).map(|_| T::decode(reader)).collect()
    }
    fn check(&self, limits: &Limits<'_>) -> Result<(), Problem> {
        self.iter().try_for_each(|item| item.check(limits))
    }
    fn show(&self, names: &Names<'_>, out: &mut String) {
        out.push('[');
        for (i, item) in self.iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            item.show(names, out);
        }
        out.push(']');
    }
    fn registers(&mut self, visit: &mut dyn FnMut(&mut Reg)) {
        self.iter_mut().for_each(|item| item.registers(visit));
    }
    fn labels(&mut self, visit: &mut dyn FnMut(&mut Label)) {
        self.iter_mut().for_each(|item| item.labels(visit));
    }
    fn sizes(&mut self, visit: &mut dyn FnMut(&mut Size)) {
        self.iter_mut().for_each(|item| item.sizes(visit));
    }
}

/// The number that stands for an element type in files. It never changes its meaning.
pub fn dtype_code(dtype: DType) -> u8 {
    DType::ALL.iter().position(|&d| d == dtype).unwrap_or(0) as u8
}

/// The element type of a number in a file.
pub fn dtype_of_code(code: u32) -> Option<DType> {
    DType::ALL.get(code as usize).copied()
}
