//! The interpreter of bytecode.

use super::Session;
use super::explain::Explain;
use crate::bytecode::{Callee, Function, Instr, KernelId, Maker, Reg, Size, size::SizeExpr};
use crate::error::{RunError, RunErrorKind};
use crate::machine::slot::{Dims, Made, Slot, TensorRef};
use crate::program::Program;
use crate::runtime::Call;
use nim_tensor::{Value, f64_of, i64_of};
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Instant;

/// Lists that are filled anew for each kernel, kept so that a call allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    buffers: Vec<Address>,
    symbols: Vec<i64>,
    phases: Vec<i64>,
}

/// An address that is handed to kernels, on any thread.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Address(*mut c_void);

// SAFETY: an address is a number; what kernels do with it is synchronised by `Threads::run`.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

/// Registers of one activation of a function.
pub(super) struct Frame {
    pub(super) regs: Vec<Slot>,
    pub(super) symbols: Vec<i64>,
}

/// Why an instruction failed.
pub(super) struct Fault(Box<RunErrorKind>);

impl From<RunErrorKind> for Fault {
    fn from(kind: RunErrorKind) -> Fault {
        Fault(Box::new(kind))
    }
}

pub(super) fn invalid(what: impl Into<String>) -> Fault {
    RunErrorKind::Program(what.into()).into()
}

pub(super) type Step<T = ()> = Result<T, Fault>;

/// What comes after an instruction.
enum Next<'p> {
    Instruction,
    Jump(u32),
    Call { function: usize, args: Vec<Slot>, outs: &'p [Reg] },
    Return(Vec<Slot>),
}

/// A function that is running, or waits for one that it called.
struct Activation<'p> {
    function: &'p Function,
    frame: Frame,
    /// The instruction that runs.
    at: usize,
    /// Where the results of the call go that it waits for.
    outs: &'p [Reg],
}

impl<'p> Activation<'p> {
    fn new(function: &'p Function, args: Vec<Slot>) -> Activation<'p> {
        let mut regs = args;
        regs.resize(function.regs as usize, Slot::Empty);
        let frame = Frame { regs, symbols: vec![0; function.symbols.len()] };
        Activation { function, frame, at: 0, outs: &[] }
    }

    /// Whether a call at this instruction gives the results that the function returns: nothing of it is needed then.
    fn is_tail_call(&self, outs: &[Reg]) -> bool {
        matches!(self.function.code.get(self.at + 1), Some(Instr::Return { values }) if **values == *outs)
    }
}

impl Session {
    /// Runs the first function. Functions that wait are kept in a list, so calls may be nested as deep as memory allows.
    pub(super) fn main(&mut self, program: &Program, args: Vec<Slot>) -> Result<Vec<Slot>, RunError> {
        let functions = &program.inner.contents.functions;
        let mut waiting: Vec<Activation<'_>> = vec![];
        let mut now = Activation::new(&functions[0], args);
        loop {
            let function = now.function;
            let fail = |at: usize, kind: Box<RunErrorKind>| RunError { kind, node: node(program, function, at) };
            let Some(instr) = function.code.get(now.at) else {
                let kind = RunErrorKind::Program("the code goes on behind its end".into());
                return Err(RunError { kind: Box::new(kind), node: None });
            };
            match self.step(program, function, &mut now.frame, instr).map_err(|fault| fail(now.at, fault.0))? {
                Next::Instruction => now.at += 1,
                Next::Jump(target) => {
                    // Only jumps back and calls can make a run long.
                    if target as usize <= now.at {
                        self.count_step().map_err(|kind| fail(now.at, kind))?;
                    }
                    now.at = target as usize;
                }
                Next::Call { function, args, outs } => {
                    self.count_step().map_err(|kind| fail(now.at, kind))?;
                    let called = Activation::new(&functions[function], args);
                    if now.is_tail_call(outs) {
                        now = called;
                    } else {
                        if waiting.len() >= self.options.max_depth {
                            return Err(fail(now.at, Box::new(RunErrorKind::Depth(self.options.max_depth))));
                        }
                        now.outs = outs;
                        waiting.push(std::mem::replace(&mut now, called));
                    }
                }
                Next::Return(results) => {
                    let Some(caller) = waiting.pop() else { return Ok(results) };
                    now = caller;
                    for (out, value) in now.outs.iter().zip(results) {
                        now.frame.regs[out.index()] = value;
                    }
                    now.at += 1;
                }
            }
        }
    }

    fn count_step(&mut self) -> Result<(), Box<RunErrorKind>> {
        self.steps += 1;
        let limit = self.options.max_steps;
        if self.steps > limit { Err(Box::new(RunErrorKind::Steps(limit))) } else { Ok(()) }
    }

    fn step<'p>(
        &mut self,
        program: &'p Program,
        function: &'p Function,
        frame: &mut Frame,
        instr: &'p Instr,
    ) -> Step<Next<'p>> {
        let explain = Explain { program, function };
        match instr {
            Instr::Const { out, constant } => {
                let inner = &program.inner;
                frame.regs[out.index()] = match &inner.constants[constant.index()] {
                    Some(tensor) => Slot::Tensor(tensor.clone()),
                    None => Slot::Host(Value::Tensor(inner.contents.constants[constant.index()].clone())),
                };
            }
            Instr::Alloc { out, bytes } => {
                let bytes = frame.extent(&explain, *bytes)?;
                frame.regs[out.index()] = Slot::Storage(self.allocate(bytes)?);
            }
            Instr::View { out, storage, offset, dtype, dims } => {
                let Slot::Storage(block) = &frame.regs[storage.index()] else {
                    return Err(invalid(format!("register {} holds no storage", storage.0)));
                };
                let block = block.clone();
                let offset = frame.extent(&explain, *offset)?;
                let dims = frame.dims(&explain, dims)?;
                let tensor = TensorRef::in_block(block, offset, *dtype, dims);
                let tensor = tensor.ok_or_else(|| invalid("a tensor does not lie inside its storage"))?;
                frame.regs[out.index()] = Slot::Tensor(tensor);
            }
            Instr::New { out, dtype, dims } => {
                let dims = frame.dims(&explain, dims)?;
                frame.regs[out.index()] = Slot::Tensor(self.new_tensor(*dtype, dims)?);
            }
            Instr::Reshape { out, from, dims } => {
                let dims = frame.dims(&explain, dims)?;
                let reshaped = match &frame.regs[from.index()] {
                    Slot::Host(Value::Tensor(tensor)) => {
                        let dims: Vec<usize> = dims.iter().map(|&d| d as usize).collect();
                        tensor.reshaped(&dims).map(|t| Slot::Host(t.into()))
                    }
                    _ => frame.tensor(*from)?.reshaped(dims.clone()).map(Slot::Tensor),
                };
                let Some(reshaped) = reshaped else {
                    let shape = frame.regs[from.index()].dims().unwrap_or_default();
                    let message = format!("a tensor of shape {shape:?} has not as many elements as the shape {dims:?}");
                    return Err(RunErrorKind::Runtime { function: "reshape".into(), message }.into());
                };
                frame.regs[out.index()] = reshaped;
            }
            Instr::Move { out, from } => frame.regs[out.index()] = frame.regs[from.index()].clone(),
            Instr::Kill { regs } => regs.iter().for_each(|r| frame.regs[r.index()] = Slot::Empty),
            Instr::Copy { from, to, offset } => {
                let offset = frame.extent(&explain, *offset)?;
                copy(frame.tensor(*from)?, frame.tensor(*to)?, offset)?;
            }
            Instr::Invoke { kernel, ins, outs, symbols, phases, work } => {
                self.invoke(&explain, frame, *kernel, ins, outs, symbols, phases, *work)?;
            }
            Instr::Runtime { function: name, ints, sizes, ins, outs } => {
                let library =
                    program.inner.functions.get(&name.0).ok_or_else(|| invalid("no such runtime function"))?;
                let sizes = sizes.iter().map(|&s| frame.size(&explain, s)).collect::<Step<Vec<i64>>>()?;
                let values = ins.iter().map(|r| frame.regs[r.index()].to_value()).collect::<Option<Vec<Value>>>();
                let values = values.ok_or_else(|| invalid("an operand of a runtime function has no value"))?;
                let call = &mut Call { ints, sizes: &sizes, ins: &values, env: &mut self.env };
                let results = library(call).map_err(|message| RunErrorKind::Runtime {
                    function: program.inner.contents.texts[name.index()].clone(),
                    message,
                })?;
                if results.len() != outs.len() {
                    return Err(invalid("a runtime function gives another number of results"));
                }
                for (out, value) in outs.iter().zip(&results) {
                    frame.regs[out.index()] = Slot::from_value(value);
                }
            }
            Instr::Bind { from, symbols } => {
                let values = integers(&frame.regs[from.index()], symbols.len())?;
                symbols.iter().zip(values).for_each(|(s, v)| frame.symbols[s.index()] = v);
            }
            Instr::Dim { symbol, from, axis } => {
                let dims = frame.regs[from.index()].dims();
                let dim = dims.as_ref().and_then(|d| d.get(*axis as usize));
                frame.symbols[symbol.index()] =
                    *dim.ok_or_else(|| invalid(format!("register {} has no dimension {axis}", from.0)))?;
            }
            Instr::Eval { symbol, value } => frame.symbols[symbol.index()] = frame.size(&explain, *value)?,
            Instr::Index { to, values } => {
                let values = values.iter().map(|&v| frame.size(&explain, v)).collect::<Step<Vec<i64>>>()?;
                write_integers(frame.tensor(*to)?, &values)?;
            }
            Instr::Guard { kind, lhs, rhs, message } => {
                let (a, b) = (frame.size(&explain, *lhs)?, frame.size(&explain, *rhs)?);
                if !kind.holds(a, b) {
                    return Err(explain.guard(&frame.symbols, *kind, (*lhs, a), (*rhs, b), *message).into());
                }
            }
            Instr::Check { from, dims, what } => {
                let shape =
                    frame.regs[from.index()].dims().ok_or_else(|| invalid("a value without dimensions is checked"))?;
                if shape.len() != dims.len() {
                    return Err(explain.rank(&shape, dims.len(), *what).into());
                }
                for (axis, &dim) in dims.iter().enumerate() {
                    let value = frame.size(&explain, dim)?;
                    if shape[axis] != value {
                        return Err(explain.dimension(&frame.symbols, &shape, axis, (dim, value), *what).into());
                    }
                }
            }
            Instr::Jump { target } => return Ok(Next::Jump(target.0)),
            Instr::JumpUnless { condition, target } => {
                let tensor = frame.tensor(*condition)?;
                if tensor.len() != 1 {
                    return Err(invalid("a condition has not just one element"));
                }
                if f64_of(tensor.dtype(), tensor.bytes()) == 0.0 {
                    return Ok(Next::Jump(target.0));
                }
            }
            Instr::JumpUnlessLess { lhs, rhs, target } => {
                if frame.size(&explain, *lhs)? >= frame.size(&explain, *rhs)? {
                    return Ok(Next::Jump(target.0));
                }
            }
            Instr::Push { to, from } => self.push(frame, *to, *from)?,
            Instr::Call { callee, ins, outs } => {
                let (function, captured): (usize, &[Slot]) = match callee {
                    Callee::Function(function) => (function.index(), &[]),
                    Callee::Value(value) => match &frame.regs[value.index()] {
                        Slot::Function(made) => (made.number as usize, &made.fields),
                        _ => return Err(invalid(format!("register {} holds no function", value.0))),
                    },
                };
                let args: Vec<Slot> =
                    captured.iter().chain(ins.iter().map(|r| &frame.regs[r.index()])).cloned().collect();
                let called = &program.inner.contents.functions[function];
                if (args.len(), outs.len()) != (called.inputs as usize, called.outputs as usize) {
                    return Err(invalid(format!("`{}` takes or gives another number of values", called.name)));
                }
                return Ok(Next::Call { function, args, outs });
            }
            Instr::Make { out, maker, fields } => {
                let fields = fields.iter().map(|r| frame.regs[r.index()].clone()).collect();
                frame.regs[out.index()] = match maker {
                    Maker::Constructor(number) => Slot::Adt(Arc::new(Made { number: *number, fields })),
                    Maker::Function(function) => Slot::Function(Arc::new(Made { number: function.0, fields })),
                };
            }
            Instr::Match { value, targets, fields } => {
                let Slot::Adt(made) = &frame.regs[value.index()] else {
                    return Err(invalid(format!("register {} holds no value of a data type", value.0)));
                };
                let made = made.clone();
                let case = targets.get(made.number as usize).zip(fields.get(made.number as usize));
                let (target, outs) = case.ok_or_else(|| invalid("a value has a constructor without a case"))?;
                if !outs.is_empty() && outs.len() != made.fields.len() {
                    return Err(invalid("a value has another number of fields than its case takes"));
                }
                for (out, field) in outs.iter().zip(&made.fields) {
                    frame.regs[out.index()] = field.clone();
                }
                return Ok(Next::Jump(target.0));
            }
            Instr::Return { values } => {
                return Ok(Next::Return(values.iter().map(|r| frame.regs[r.index()].clone()).collect()));
            }
        }
        Ok(Next::Instruction)
    }

    #[allow(clippy::too_many_arguments)]
    fn invoke(
        &mut self,
        explain: &Explain<'_>,
        frame: &Frame,
        kernel: KernelId,
        ins: &[Reg],
        outs: &[Reg],
        symbols: &[Size],
        phases: &[Size],
        work: Size,
    ) -> Step {
        let Scratch { buffers, symbols: values, phases: extents } = &mut self.scratch;
        buffers.clear();
        for &r in ins {
            buffers.push(Address(frame.tensor(r)?.read_ptr().cast_mut().cast()));
        }
        for &r in outs {
            let at =
                frame.tensor(r)?.write_ptr().ok_or_else(|| invalid("a kernel writes to what is not the program's"))?;
            buffers.push(Address(at.cast()));
        }
        values.clear();
        for &s in symbols {
            values.push(frame.size(explain, s)?);
        }
        extents.clear();
        for &p in phases {
            extents.push(frame.size(explain, p)?.max(0));
        }
        let total = extents.iter().try_fold(0i64, |sum, &n| sum.checked_add(n));
        let total = total.ok_or_else(|| invalid("a kernel has too many iterations"))?;
        let parallel = self.threads.count() > 1
            && extents.iter().any(|&n| n > 1)
            && frame.size(explain, work)? >= self.options.parallel_work;

        let run = explain.program.inner.kernels[kernel.index()];
        let (buffers, values): (&[Address], &[i64]) = (buffers, values);
        let call = |begin: i64, end: i64| {
            // SAFETY: the compiler made the kernel for buffers and symbols of this call; all of them live until it
            // returns. `Address` has the layout of a pointer.
            unsafe { run(buffers.as_ptr().cast(), values.as_ptr(), begin, end) };
        };
        let start = self.options.profile.then(Instant::now);
        if !parallel {
            if total > 0 {
                call(0, total);
            }
        } else {
            let mut begin = 0;
            for &n in extents.iter() {
                // Each phase may read what the one before has written, so all threads wait between them.
                self.threads.run(begin..begin + n, &|part| call(part.start, part.end));
                begin += n;
            }
        }
        if let Some(start) = start {
            let (calls, time) = &mut self.times[kernel.index()];
            *calls += 1;
            *time += start.elapsed();
        }
        Ok(())
    }
}

impl Frame {
    /// The value of an expression.
    #[inline]
    pub(super) fn size(&self, explain: &Explain<'_>, size: Size) -> Step<i64> {
        match &explain.program.inner.contents.sizes[size.index()] {
            SizeExpr::Constant(v) => Ok(*v),
            SizeExpr::Symbol(r) => Ok(self.symbols[*r as usize]),
            expr => expr.eval(&self.symbols).map_err(|e| explain.size(&self.symbols, size, e.to_string()).into()),
        }
    }
    /// As [`Frame::size`], for what cannot be negative.
    fn extent(&self, explain: &Explain<'_>, size: Size) -> Step<usize> {
        let value = self.size(explain, size)?;
        usize::try_from(value).map_err(|_| {
            // Machines answer with this number when they cannot say what was computed.
            let lost = value == i64::MIN;
            let why = if lost { ", which stands for NaN and for what does not fit in 64 bits" } else { "" };
            explain.size(&self.symbols, size, format!("is negative: {value}{why}")).into()
        })
    }
    fn dims(&self, explain: &Explain<'_>, sizes: &[Size]) -> Step<Dims> {
        sizes.iter().map(|&s| self.extent(explain, s).map(|d| d as i64)).collect()
    }
    pub(super) fn tensor(&self, reg: Reg) -> Step<&TensorRef> {
        match &self.regs[reg.index()] {
            Slot::Tensor(tensor) => Ok(tensor),
            _ => Err(invalid(format!("register {} holds no tensor", reg.0))),
        }
    }
}

/// The name of the node that an instruction comes from.
fn node(program: &Program, function: &Function, at: usize) -> Option<String> {
    let text = function.nodes.get(at).copied().flatten()?;
    program.inner.contents.texts.get(text.index()).cloned()
}

fn copy(from: &TensorRef, to: &TensorRef, offset: usize) -> Step {
    let target = to.write_ptr().ok_or_else(|| invalid("a copy writes to what is not the program's"))?;
    if from.dtype() != to.dtype() || offset.checked_add(from.byte_len()).is_none_or(|end| end > to.byte_len()) {
        return Err(invalid("a copy does not fit its target"));
    }
    // SAFETY: the source has as many bytes, and they fit the target from `offset` on, as just checked. The two may
    // overlap, which `copy` allows.
    unsafe { std::ptr::copy(from.read_ptr(), target.add(offset), from.byte_len()) };
    Ok(())
}

/// All elements of an integer tensor, which must be `count`.
fn integers(slot: &Slot, count: usize) -> Step<Vec<i64>> {
    let Slot::Tensor(tensor) = slot else { return Err(invalid("symbols are bound to what is no tensor")) };
    if tensor.len() != count {
        return Err(invalid(format!("{count} symbols are bound to a tensor of {} elements", tensor.len())));
    }
    let size = tensor.dtype().size().max(1);
    let values = tensor.bytes().chunks_exact(size).map(|bytes| i64_of(tensor.dtype(), bytes));
    values.collect::<Option<_>>().ok_or_else(|| invalid("symbols are bound to elements that are no integers"))
}

fn write_integers(tensor: &TensorRef, values: &[i64]) -> Step {
    let at = tensor.write_ptr().ok_or_else(|| invalid("sizes are written to what is not the program's"))?;
    let dtype = tensor.dtype();
    if tensor.len() != values.len() || !(dtype.is_integer() || dtype == nim_tensor::DType::Bool) {
        return Err(invalid("sizes are written to a tensor that does not fit them"));
    }
    for (i, &value) in values.iter().enumerate() {
        let bytes = nim_tensor::encode_i64(dtype, value);
        // SAFETY: element `i` lies inside, since there are as many as values.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at.add(i * bytes.len()), bytes.len()) };
    }
    Ok(())
}
