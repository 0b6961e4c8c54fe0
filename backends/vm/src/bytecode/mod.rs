//! Register bytecode of the host program.
//!
//! A function has *value registers* (`%0`, `%1`, ...: nothing, a tensor, storage, or a host value such as strings) and
//! *symbol registers* (64-bit integers: the values of named dimensions). Sizes are expressions over symbol registers
//! ([`size`]), kept in a table of the program. Value registers start out empty, symbol registers as 0.
//!
//! In a file an instruction is a sequence of 32-bit words: its operation code, then its fields; a list is a count and
//! its items. [`instructions`] is the one table from which encoding, checking and disassembly are made.

pub mod field;
pub mod instructions;
pub mod size;

pub use field::{Limits, Names, Problem};
pub use instructions::{Instr, Relation};

use field::Reader;

macro_rules! indices {
    ($($(#[$doc:meta])* $name:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(transparent)]
        pub struct $name(pub u32);
        impl $name {
            /// As an index into a table.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )* };
}

indices! {
    /// A value register of a function.
    Reg;
    /// A symbol register of a function.
    Sym;
    /// A size expression of the program.
    Size;
    /// A constant of the program.
    ConstId;
    /// A kernel of the program.
    KernelId;
    /// A function of the program.
    FunctionId;
    /// A text of the program.
    Text;
    /// An instruction of the function.
    Label;
    /// A device of the program: 0 is the host, others are in its table.
    DeviceId;
}

impl DeviceId {
    /// The host.
    pub const HOST: DeviceId = DeviceId(0);
}

/// Most registers of a function and expressions of a program: beyond are numbers that stand for constants.
pub const MAX_REGS: u32 = 1 << 31;

impl Reg {
    /// A constant where an operand stands: only in code that is ready to run, never in a file.
    pub(crate) fn constant(id: ConstId) -> Reg {
        Reg(MAX_REGS | id.0)
    }
    /// The constant that it stands for, if it does.
    #[inline]
    pub(crate) fn as_constant(self) -> Option<usize> {
        (self.0 >= MAX_REGS).then_some((self.0 & !MAX_REGS) as usize)
    }
}

impl Size {
    /// A number itself where an expression stands: only in code that is ready to run, never in a file.
    pub(crate) fn immediate(value: i64) -> Option<Size> {
        u32::try_from(value).ok().filter(|v| *v < MAX_REGS).map(|v| Size(MAX_REGS | v))
    }
    /// The number that it is, if it is one.
    #[inline(always)]
    pub(crate) fn as_immediate(self) -> Option<i64> {
        (self.0 >= MAX_REGS).then_some(i64::from(self.0 & !MAX_REGS))
    }
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A function of the program.
    Function(FunctionId),
    /// A function that is a value.
    Value(Reg),
}

/// What makes a value of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// A constructor of an algebraic data type, by its number.
    Constructor(u32),
    /// A function, which captures its first arguments.
    Function(FunctionId),
}

/// A function in bytecode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Its name, for messages.
    pub name: String,
    /// Number of value registers; the first ones get the arguments.
    pub regs: u32,
    /// Names of the symbol registers.
    pub symbols: Vec<String>,
    /// Number of arguments.
    pub inputs: u32,
    /// Number of results.
    pub outputs: u32,
    /// Instructions.
    pub code: Vec<Instr>,
    /// For each instruction, the text that names the node of the model that it comes from; `None` when unknown.
    pub nodes: Vec<Option<Text>>,
}

/// Where the value of a symbol comes from: a dimension of something that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Names what has the dimension.
    pub what: Text,
    /// Which dimension.
    pub axis: u32,
    /// How many dimensions it has.
    pub rank: u32,
}

impl Function {
    /// For each symbol, where its value comes from, if that has a name.
    pub fn origins(&self) -> Vec<Option<Origin>> {
        let origin = |register: usize| {
            let source = self.code.iter().find_map(|instr| match instr {
                Instr::Dim { symbol, from, axis } if symbol.index() == register => Some((*from, *axis)),
                _ => None,
            });
            let (from, axis) = source?;
            self.code.iter().find_map(|instr| match instr {
                Instr::Check { from: checked, dims, what } if *checked == from => {
                    Some(Origin { what: *what, axis, rank: dims.len() as u32 })
                }
                _ => None,
            })
        };
        (0..self.symbols.len()).map(origin).collect()
    }
}

/// Reads instructions from words.
///
/// # Errors
/// An operation code that does not exist, or code that ends within an instruction.
pub fn decode(words: &[u32]) -> Result<Vec<Instr>, Problem> {
    let mut reader = Reader::new(words);
    let mut code = Vec::new();
    while !reader.is_empty() {
        code.push(Instr::decode(&mut reader).map_err(|p| p.within(&format!("instruction {}", code.len())))?);
    }
    Ok(code)
}

/// Writes instructions as words.
pub fn encode(code: &[Instr]) -> Vec<u32> {
    let mut out = Vec::new();
    code.iter().for_each(|instr| instr.encode(&mut out));
    out
}

/// Checks that every index of a function points at something, that it ends, and that calls and returns pass as many
/// values as are expected. What a register holds is checked when it is used.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(function: &Function, limits: &Limits<'_>) -> Result<(), Problem> {
    let fail = |text: String| Err(Problem(text));
    if function.regs > MAX_REGS || limits.constants > MAX_REGS || limits.sizes.len() > MAX_REGS as usize {
        return fail("there are too many registers, constants or expressions".into());
    }
    if function.inputs > function.regs {
        return fail("there are fewer registers than arguments".into());
    }
    if function.nodes.len() != function.code.len() {
        return fail("the table of nodes does not fit the code".into());
    }
    if function.nodes.iter().flatten().any(|text| text.0 >= limits.texts) {
        return fail("the table of nodes names a text that is not there".into());
    }
    for (i, instr) in function.code.iter().enumerate() {
        instr.check(limits).map_err(|p| p.within(&format!("instruction {i}")))?;
        match instr {
            Instr::Return { values } if values.len() != function.outputs as usize => {
                return fail(format!(
                    "instruction {i} returns {} values instead of {}",
                    values.len(),
                    function.outputs
                ));
            }
            Instr::Call { callee: Callee::Function(callee), ins, outs } => {
                let (inputs, outputs) = limits.functions[callee.index()];
                if (ins.len(), outs.len()) != (inputs as usize, outputs as usize) {
                    return fail(format!("instruction {i} calls a function with the wrong number of values"));
                }
            }
            Instr::Make { maker: Maker::Function(callee), fields, .. }
                if fields.len() > limits.functions[callee.index()].0 as usize =>
            {
                return fail(format!("instruction {i} gives a function more arguments than it takes"));
            }
            Instr::Alloc { sizes, apart, offsets, .. } => {
                let one = sizes.len() == 1 && apart.is_empty() && offsets.is_empty();
                if !one && (apart.len(), offsets.len()) != (sizes.len(), sizes.len()) {
                    return fail(format!("instruction {i} has not one offset for each size"));
                }
                if apart.iter().enumerate().any(|(k, list)| list.iter().any(|&other| other as usize >= k)) {
                    return fail(format!("instruction {i} places a buffer apart from one that is not before it"));
                }
            }
            Instr::Match { targets, fields, .. } if targets.len() != fields.len() => {
                return fail(format!("instruction {i} has {} targets for {} cases", targets.len(), fields.len()));
            }
            _ => {}
        }
    }
    match function.code.last() {
        Some(Instr::Return { .. } | Instr::Jump { .. } | Instr::Match { .. }) => Ok(()),
        _ => fail("the code does not end in a return or a jump".into()),
    }
}
