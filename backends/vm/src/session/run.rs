//! The interpreter of bytecode, and the list of functions that wait for others.

use super::Session;
use super::explain::Site;
use super::ops::{Called, write_integers};
use crate::bytecode::{Function, Instr, Reg, Size};
use crate::error::{RunError, RunErrorKind};
use crate::machine::pool::ALIGN;
use crate::machine::slot::Slot;
use crate::program::Program;
use nim_tensor::packing::pack;

/// Lists that are filled anew for each instruction, kept so that a call allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) buffers: Vec<super::ops::Address>,
    symbols: Vec<i64>,
    phases: Vec<i64>,
    /// Bytes of those buffers, while profiling.
    pub(super) handed: usize,
    /// Frames of functions that have returned.
    frames: Vec<Frame>,
}

/// Most frames that wait to be used again.
const SPARE_FRAMES: usize = 64;

/// Registers of one activation of a function.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) regs: Vec<Slot>,
    pub(super) symbols: Vec<i64>,
}

/// Why an instruction failed.
#[derive(Debug)]
pub(super) struct Fault(Box<RunErrorKind>);

impl From<RunErrorKind> for Fault {
    fn from(kind: RunErrorKind) -> Fault {
        Fault(Box::new(kind))
    }
}

impl Fault {
    /// Too little memory for something of these sizes: says where their symbols come from.
    #[cold]
    pub(super) fn because(mut self, site: Site<'_>, frame: &Frame, sizes: &[Size]) -> Fault {
        if let RunErrorKind::Memory { because, .. } = &mut *self.0 {
            *because = site.because(&frame.symbols, sizes);
        }
        self
    }
}

#[cold]
pub(super) fn invalid(what: impl Into<String>) -> Fault {
    RunErrorKind::Program(what.into()).into()
}

pub(super) type Step<T = ()> = Result<T, Fault>;

/// What comes after an instruction.
pub(super) enum Next<'p> {
    Instruction,
    Jump(u32),
    /// `last`: the results of the call are what the function returns, so nothing of it is needed any more.
    Call {
        called: Called,
        outs: &'p [Reg],
        last: bool,
    },
    Return(&'p [Reg]),
}

/// A function that is running, or waits for one that it called.
pub(super) struct Activation<'p> {
    pub(super) function: usize,
    pub(super) frame: Frame,
    /// The instruction that runs.
    pub(super) at: usize,
    /// Where the results of the call go that it waits for.
    outs: &'p [Reg],
}

impl Session {
    /// A frame with the arguments in its first registers.
    pub(super) fn frame(&mut self, function: &Function, args: impl Iterator<Item = Slot>) -> Frame {
        let mut frame = self.scratch.frames.pop().unwrap_or_default();
        frame.regs.extend(args);
        frame.regs.resize_with(function.regs as usize, Slot::default);
        frame.symbols.resize(function.symbols.len(), 0);
        frame
    }

    fn recycle(&mut self, mut frame: Frame) {
        if self.scratch.frames.len() < SPARE_FRAMES {
            frame.regs.clear();
            frame.symbols.clear();
            self.scratch.frames.push(frame);
        }
    }

    /// Runs the first function. Functions that wait are kept in a list, so calls may be nested as deep as memory allows.
    pub(super) fn main(&mut self, program: &Program, args: Vec<Slot>) -> Result<Vec<Slot>, RunError> {
        let functions = &program.inner.functions;
        let mut waiting: Vec<Activation<'_>> = vec![];
        let frame = self.frame(&functions[0], args.into_iter());
        let mut now = Activation { function: 0, frame, at: 0, outs: &[] };
        loop {
            match self.until_call(program, &mut now) {
                Err(Fault(kind)) => {
                    let node = Site { program, function: now.function, at: now.at }.node();
                    return Err(RunError { kind, node });
                }
                Ok(Next::Call { called: Called { function, frame }, outs, last }) => {
                    let limit = self.options.max_depth;
                    let allowed = self.count_step().and_then(|()| match last || waiting.len() < limit {
                        true => Ok(()),
                        false => Err(RunErrorKind::Depth(limit).into()),
                    });
                    if let Err(Fault(kind)) = allowed {
                        let node = Site { program, function: now.function, at: now.at }.node();
                        return Err(RunError { kind, node });
                    }
                    now.outs = outs;
                    let called = Activation { function, frame, at: 0, outs: &[] };
                    let caller = std::mem::replace(&mut now, called);
                    match last {
                        true => self.recycle(caller.frame),
                        false => waiting.push(caller),
                    }
                }
                Ok(Next::Return(values)) => {
                    let site = Site { program, function: now.function, at: now.at };
                    let Some(mut caller) = waiting.pop() else {
                        let results = values.iter().map(|&r| now.frame.slot(site, r).clone()).collect();
                        self.recycle(now.frame);
                        return Ok(results);
                    };
                    for (out, &value) in caller.outs.iter().zip(values) {
                        caller.frame.regs[out.index()] = now.frame.slot(site, value).clone();
                    }
                    caller.at += 1;
                    let done = std::mem::replace(&mut now, caller);
                    self.recycle(done.frame);
                }
                Ok(Next::Instruction | Next::Jump(_)) => {}
            }
        }
    }

    /// Runs a function to its next call or its end.
    fn until_call<'p>(&mut self, program: &'p Program, now: &mut Activation<'p>) -> Step<Next<'p>> {
        if let Some(native) = &program.inner.native {
            return self.native_until_call(program, native.functions[now.function], now);
        }
        let code = &program.inner.functions[now.function].code;
        loop {
            let instr = code.get(now.at).ok_or_else(|| invalid("the code goes on behind its end"))?;
            if let Some(profile) = &mut self.profile {
                profile.instructions[instr.number()] += 1;
            }
            let site = Site { program, function: now.function, at: now.at };
            match self.step(site, &mut now.frame, instr)? {
                Next::Instruction => now.at += 1,
                Next::Jump(target) => {
                    // Only jumps back and calls can make a run long.
                    if target as usize <= now.at {
                        self.count_step()?;
                    }
                    now.at = target as usize;
                }
                other => return Ok(other),
            }
        }
    }

    pub(super) fn count_step(&mut self) -> Step {
        self.steps += 1;
        let limit = self.options.max_steps;
        if self.steps > limit { Err(RunErrorKind::Steps(limit).into()) } else { Ok(()) }
    }

    #[inline]
    fn step<'p>(&mut self, site: Site<'p>, frame: &mut Frame, instr: &'p Instr) -> Step<Next<'p>> {
        match instr {
            Instr::Const { out, constant } => self.constant(site, frame, *out, *constant),
            Instr::Alloc { out, device, sizes, offsets, .. } if offsets.is_empty() => {
                let bytes = sizes.first().map_or(Ok(0), |&bytes| self.extent(site, frame, bytes))?;
                let storage = self.allocate(bytes, *device).map_err(|fault| fault.because(site, frame, sizes))?;
                frame.regs[out.index()] = Slot::Storage(storage);
            }
            Instr::Alloc { out, device, sizes, apart, offsets } => {
                self.arena(site, frame, *out, *device, (sizes, offsets), |bytes| pack(bytes, apart, ALIGN as i64))?;
            }
            Instr::View { out, storage, offset, dtype, dims } => {
                let offset = self.extent(site, frame, *offset)?;
                self.with_dims(site, frame, dims, |session, frame, dims| {
                    session.view(site, frame, (*out, *storage), offset, *dtype, dims)
                })?;
            }
            Instr::New { out, device, dtype, dims } => {
                self.with_dims(site, frame, dims, |session, frame, extents| {
                    let tensor = session.new_tensor(*device, *dtype, extents);
                    let tensor = tensor.map_err(|fault| fault.because(site, frame, dims))?;
                    frame.regs[out.index()] = Slot::Tensor(tensor);
                    Ok(())
                })?;
            }
            Instr::Reshape { out, from, dims } => {
                self.with_dims(site, frame, dims, |session, frame, dims| {
                    session.reshape(site, frame, *out, *from, dims)
                })?;
            }
            Instr::Move { out, from } => frame.regs[out.index()] = frame.slot(site, *from).clone(),
            Instr::Kill { regs } => regs.iter().for_each(|r| frame.regs[r.index()] = Slot::Empty),
            Instr::Copy { from, to, offset } => {
                let offset = self.extent(site, frame, *offset)?;
                self.copy(site, frame.tensor(site, *from)?, frame.tensor(site, *to)?, offset)?;
            }
            Instr::Invoke { kernel, ins, outs, symbols, phases, work } => {
                let device = site.program.inner.contents.kernel_devices[kernel.index()];
                self.buffers(site, frame, device, ins, outs)?;
                let mut values = std::mem::take(&mut self.scratch.symbols);
                let mut extents = std::mem::take(&mut self.scratch.phases);
                let done = self.sizes(site, frame, symbols, &mut values).and_then(|()| {
                    self.sizes(site, frame, phases, &mut extents)?;
                    extents.iter_mut().for_each(|n| *n = (*n).max(0));
                    self.launch(site, *kernel, &values, &extents, |s| s.size(site, frame, *work))
                });
                (self.scratch.symbols, self.scratch.phases) = (values, extents);
                done?;
            }
            Instr::Runtime { function, ints, sizes, ins, outs } => {
                let mut values = vec![];
                self.sizes(site, frame, sizes, &mut values)?;
                self.library(site, frame, *function, (ints, &values), (ins, outs))?;
            }
            Instr::Bind { from, symbols } => self.bind(site, frame, *from, symbols)?,
            Instr::Dim { symbol, from, axis } => self.dimension(site, frame, *symbol, *from, *axis)?,
            Instr::Eval { symbol, value } => frame.symbols[symbol.index()] = self.size(site, frame, *value)?,
            Instr::Index { to, values } => {
                let mut numbers = std::mem::take(&mut self.scratch.symbols);
                let done = self
                    .sizes(site, frame, values, &mut numbers)
                    .and_then(|()| write_integers(frame.host(site, *to)?, &numbers));
                self.scratch.symbols = numbers;
                done?;
            }
            Instr::Guard { kind, lhs, rhs, message } => {
                let (a, b) = (self.size(site, frame, *lhs)?, self.size(site, frame, *rhs)?);
                if !kind.holds(a, b) {
                    return Err(site.guard(&frame.symbols, *kind, (*lhs, a), (*rhs, b), *message).into());
                }
            }
            Instr::Check { from, dims, what } => {
                let (mut sizes, frame) = (std::mem::take(&mut self.scratch.symbols), &*frame);
                let done = self.sizes(site, frame, dims, &mut sizes).and_then(|()| {
                    self.check(site, frame, *from, dims.iter().copied().zip(sizes.iter().copied()), *what)
                });
                self.scratch.symbols = sizes;
                done?;
            }
            Instr::Jump { target } => return Ok(Next::Jump(target.0)),
            Instr::JumpUnless { condition, target } => {
                if !self.condition(site, frame, *condition)? {
                    return Ok(Next::Jump(target.0));
                }
            }
            Instr::JumpUnlessLess { lhs, rhs, target } => {
                if self.size(site, frame, *lhs)? >= self.size(site, frame, *rhs)? {
                    return Ok(Next::Jump(target.0));
                }
            }
            Instr::Push { to, from } => self.push(site, frame, *to, *from)?,
            Instr::Call { callee, ins, outs } => {
                let called = self.called(site, frame, *callee, ins, outs.len())?;
                let last = site.function().is_tail_call(site.at, outs);
                return Ok(Next::Call { called, outs, last });
            }
            Instr::Make { out, maker, fields } => self.make(site, frame, *out, *maker, fields),
            Instr::Match { value, targets, fields } => {
                let number = self.matched(site, frame, *value, |i| fields.get(i).map(|f| &**f))?;
                return Ok(Next::Jump(targets[number].0));
            }
            Instr::Return { values } => return Ok(Next::Return(values)),
        }
        Ok(Next::Instruction)
    }

    /// The value of an expression.
    #[inline(always)]
    pub(super) fn size(&mut self, site: Site<'_>, frame: &Frame, size: Size) -> Step<i64> {
        let value = self.known.sizes.get(&site.program.inner, &frame.symbols, size);
        value.map_err(|e| site.size(&frame.symbols, size, e.to_string()).into())
    }

    fn sizes(&mut self, site: Site<'_>, frame: &Frame, sizes: &[Size], out: &mut Vec<i64>) -> Step {
        out.clear();
        for &size in sizes {
            out.push(self.size(site, frame, size)?);
        }
        Ok(())
    }

    /// As [`Session::size`], for what cannot be negative.
    #[inline(always)]
    pub(super) fn extent(&mut self, site: Site<'_>, frame: &Frame, size: Size) -> Step<usize> {
        let value = self.size(site, frame, size)?;
        usize::try_from(value).map_err(|_| site.negative(&frame.symbols, size, value).into())
    }

    /// Does something with the dimensions of a tensor. A function of its own: in [`Session::step`] it would make all instructions slower.
    #[inline(never)]
    fn with_dims(
        &mut self,
        site: Site<'_>,
        frame: &mut Frame,
        sizes: &[Size],
        f: impl FnOnce(&mut Self, &mut Frame, &[i64]) -> Step,
    ) -> Step {
        let mut dims = std::mem::take(&mut self.scratch.symbols);
        dims.clear();
        let known = sizes.iter().try_for_each(|&size| {
            dims.push(self.extent(site, frame, size)? as i64);
            Ok(())
        });
        let done = known.and_then(|()| f(self, frame, &dims));
        self.scratch.symbols = dims;
        done
    }
}

impl Function {
    /// Whether a call at this instruction gives the results that the function returns.
    fn is_tail_call(&self, at: usize, outs: &[Reg]) -> bool {
        matches!(self.code.get(at + 1), Some(Instr::Return { values }) if **values == *outs)
    }
}
