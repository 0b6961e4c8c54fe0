//! The instruction set, documented one by one: there is no other list.
//!
//! The machine is small on purpose. Everything that computes with elements is a kernel (machine code) or a runtime
//! function; what is left is to find sizes, to provide memory, to choose and to repeat.

use super::field::{Field, Limits, Names, Problem, Reader};
use super::{Callee, ConstId, DeviceId, KernelId, Label, Maker, Reg, Size, Sym, Text};
use nim_tensor::DType;
use std::fmt::Write;

/// What the instruction table says of one instruction.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Operation code: its first word in a file.
    pub code: u32,
    /// Its name in disassembly.
    pub mnemonic: &'static str,
    /// Names and types of its fields, in their order in a file.
    pub fields: &'static [(&'static str, &'static str)],
    /// What it does, line by line.
    pub doc: &'static [&'static str],
}

/// Whether an instruction changes what the registers of this field hold.
fn is_result(mnemonic: &str, field: &str) -> bool {
    match field {
        "out" => true,
        // A kernel writes elements of tensors that are there; functions make values.
        "outs" => mnemonic != "invoke",
        "to" => mnemonic == "push",
        "fields" => mnemonic == "match",
        _ => false,
    }
}

macro_rules! instructions {
    ($($(#[doc = $doc_text:literal])* $code:literal $mnemonic:literal $name:ident { $($field:ident: $ty:ty),* $(,)? })*) => {
        /// One instruction.
        ///
        /// What the fields mean stands with each instruction.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Instr {
            $($(#[doc = $doc_text])* $name { $($field: $ty),* },)*
        }

        impl Instr {
            /// Number of different instructions.
            pub const COUNT: usize = [$($code),*].len();

            /// Its name in disassembly.
            pub fn mnemonic(&self) -> &'static str {
                match self { $(Instr::$name { .. } => $mnemonic,)* }
            }
            /// Appends its words: operation code, then the fields in order.
            pub fn encode(&self, out: &mut Vec<u32>) {
                match self { $(Instr::$name { $($field),* } => { out.push($code); $($field.encode(out);)* })* }
            }
            pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Instr, Problem> {
                match reader.word()? {
                    $($code => Ok(Instr::$name { $($field: Field::decode(reader)?),* }),)*
                    other => Err(Problem(format!("there is no operation code {other}"))),
                }
            }
            pub(super) fn check(&self, limits: &Limits<'_>) -> Result<(), Problem> {
                match self { $(Instr::$name { $($field),* } => {
                    $($field.check(limits).map_err(|p| p.within(concat!($mnemonic, ".", stringify!($field))))?;)*
                    Ok(())
                })* }
            }
            /// Visits all registers; the flag says that the instruction changes what the register holds.
            pub(crate) fn registers(&mut self, visit: &mut dyn FnMut(&mut Reg, bool)) {
                match self { $(Instr::$name { $($field),* } => {
                    $({
                        let is_result = is_result($mnemonic, stringify!($field));
                        $field.registers(&mut |reg| visit(reg, is_result));
                    })*
                })* }
            }
            /// Visits all targets of jumps.
            pub(crate) fn labels(&mut self, visit: &mut dyn FnMut(&mut Label)) {
                match self { $(Instr::$name { $($field),* } => { $($field.labels(visit);)* })* }
            }
            /// Visits all sizes.
            pub(crate) fn sizes(&mut self, visit: &mut dyn FnMut(&mut Size)) {
                match self { $(Instr::$name { $($field),* } => { $($field.sizes(visit);)* })* }
            }
            /// Number, name, fields with their types, and meaning of every instruction: what the reference shows.
            pub const TABLE: &'static [Definition] = &[$(Definition {
                code: $code,
                mnemonic: $mnemonic,
                fields: &[$((stringify!($field), stringify!($ty))),*],
                doc: &[$($doc_text),*],
            },)*];
            /// Its place in [`Instr::TABLE`].
            pub(crate) fn number(&self) -> usize {
                match self { $(Instr::$name { .. } => $code - 1,)* }
            }
            /// Appends its disassembly without the line's end.
            pub(crate) fn show(&self, names: &Names<'_>, out: &mut String) {
                out.push_str(self.mnemonic());
                match self { $(Instr::$name { $($field),* } => {
                    $(let _ = write!(out, concat!(" ", stringify!($field), "="));
                      $field.show(names, out);)*
                })* }
            }
        }
    };
}

instructions! {
    /// `out` becomes a constant of the program. Its elements stay where they are: in the mapped file, or on the constant's device.
    1 "const" Const { out: Reg, constant: ConstId }
    /// `out` becomes fresh storage from the pool of a device, aligned to 64, with room for buffers of these sizes in bytes; those of
    /// which one names the other in `apart` do not overlap. The symbols become the offsets of the buffers; without symbols
    /// there is one buffer, at offset 0. Where buffers lie is remembered for the values that sizes were found from.
    2 "alloc" Alloc { out: Reg, device: DeviceId, sizes: Box<[Size]>, apart: Box<[Box<[u32]>]>, offsets: Box<[Sym]> }
    /// `out` becomes a tensor inside `storage`, from byte `offset` on. Fails unless it lies inside.
    3 "view" View { out: Reg, storage: Reg, offset: Size, dtype: DType, dims: Box<[Size]> }
    /// `out` becomes a fresh tensor with storage of its own: `alloc` and `view` in one.
    4 "new" New { out: Reg, device: DeviceId, dtype: DType, dims: Box<[Size]> }
    /// `out` becomes the tensor `from` under other dimensions with as many elements; it shares the elements.
    5 "reshape" Reshape { out: Reg, from: Reg, dims: Box<[Size]> }
    /// `out` becomes another reference to what `from` holds.
    6 "move" Move { out: Reg, from: Reg }
    /// The registers become empty. Storage without references returns to the pool.
    7 "kill" Kill { regs: Box<[Reg]> }
    /// The elements of `from` are copied to byte `offset` of `to`, also from one device to another. Fails unless they fit.
    8 "copy" Copy { from: Reg, to: Reg, offset: Size }
    /// Runs a kernel on buffers: `ins` are read, `outs` are written (and must not be constants or inputs of the
    /// program). `phases` are the numbers of iterations of the kernel's phases, which may each be split among threads;
    /// `work` estimates the scalar operations of all of them.
    9 "invoke" Invoke { kernel: KernelId, ins: Box<[Reg]>, outs: Box<[Reg]>, symbols: Box<[Size]>, phases: Box<[Size]>, work: Size }
    /// Calls a function of the runtime library by name (see [`crate::runtime`]): `ints` and `sizes` are its attributes,
    /// `outs` become fresh values.
    10 "runtime" Runtime { function: Text, ints: Box<[i64]>, sizes: Box<[Size]>, ins: Box<[Reg]>, outs: Box<[Reg]> }
    /// Elements of an integer tensor are read into symbols; fails unless there are just as many.
    11 "bind" Bind { from: Reg, symbols: Box<[Sym]> }
    /// `symbol` becomes dimension `axis` of a tensor.
    12 "dim" Dim { symbol: Sym, from: Reg, axis: u32 }
    /// `symbol` becomes the value of an expression.
    13 "eval" Eval { symbol: Sym, value: Size }
    /// Writes the values of expressions into an integer tensor `to` with as many elements.
    14 "index" Index { to: Reg, values: Box<[Size]> }
    /// Fails unless the two sizes are in the given relation; the message says what it is about.
    15 "guard" Guard { kind: Relation, lhs: Size, rhs: Size, message: Text }
    /// Fails unless the tensor has these dimensions; `what` names it.
    16 "check" Check { from: Reg, dims: Box<[Size]>, what: Text }
    /// Goes on at `target`.
    17 "jump" Jump { target: Label }
    /// Goes on at `target` when the only element of the tensor is zero (false).
    18 "jump_unless" JumpUnless { condition: Reg, target: Label }
    /// Goes on at `target` unless `lhs < rhs`.
    19 "jump_unless_less" JumpUnlessLess { lhs: Size, rhs: Size, target: Label }
    /// Appends the elements of `from` behind those of `to` along a new first axis (`to` is empty at first) and makes
    /// room ahead by doubling.
    20 "push" Push { to: Reg, from: Reg }
    /// Runs another function of the program: its first registers get what the function has captured, if it is a value,
    /// then `ins`; its results go to `outs`. Directly before a `return` of just these results it takes no memory: the
    /// function returns to the caller of this one.
    21 "call" Call { callee: Callee, ins: Box<[Reg]>, outs: Box<[Reg]> }
    /// Ends the function with these results.
    22 "return" Return { values: Box<[Reg]> }
    /// `out` becomes a value that holds these: of an algebraic data type, or a function with its first arguments.
    23 "make" Make { out: Reg, maker: Maker, fields: Box<[Reg]> }
    /// Goes on at the target of the constructor that the value was made by, with its fields in that constructor's
    /// registers; a list without registers leaves the fields where they are.
    24 "match" Match { value: Reg, targets: Box<[Label]>, fields: Box<[Box<[Reg]>]> }
}

/// How two sizes must be related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Equal.
    Equal,
    /// Not greater.
    LessOrEqual,
    /// Equal, or one of them is 1.
    Broadcast,
}

impl Relation {
    const ALL: [(Relation, &'static str); 3] =
        [(Relation::Equal, "eq"), (Relation::LessOrEqual, "le"), (Relation::Broadcast, "broadcast")];

    /// The name that the IR gives it.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
    /// The relation that the IR calls `name`.
    pub fn from_name(name: &str) -> Option<Relation> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(r, _)| *r)
    }
    pub(crate) fn from_code(code: u32) -> Option<Relation> {
        Self::ALL.get(code as usize).map(|(r, _)| *r)
    }
    /// Whether two sizes are in this relation.
    pub fn holds(self, lhs: i64, rhs: i64) -> bool {
        match self {
            Relation::Equal => lhs == rhs,
            Relation::LessOrEqual => lhs <= rhs,
            Relation::Broadcast => lhs == rhs || lhs == 1 || rhs == 1,
        }
    }
}
