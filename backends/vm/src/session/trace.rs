//! Runs of straight programs whose shapes repeat: what is left of a run when nothing has to be found out.
//!
//! A program without jumps and calls whose sizes follow from the dimensions of its inputs does the same every time it gets the
//! same dimensions: blocks of the same sizes, kernels on the same places in them, with the same symbols. The second run with the
//! same dimensions writes this down ([`build`]), as the instructions would do it but without doing it; later ones ask the pool
//! for the blocks, put addresses together and call the kernels. All that can fail but memory has been checked when it was written down: where
//! memory fails, the instructions run again from the start and say why.

use super::Session;
use super::ops::{Address, Launch};
use crate::bytecode::{DeviceId, Function, Instr, KernelId, Reg, Size};
use crate::machine::pool::{ALIGN, Block};
use crate::machine::slot::{Dims, Slot, TensorRef, byte_size};
use crate::program::{Inner, Program};
use nim_tensor::DType;
use nim_tensor::packing::pack;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// Dimensions of all inputs, one after the other: how many belong to each is told by the signature, which is checked before.
type Key = SmallVec<[i64; 8]>;

/// Dimensions that are remembered; then it begins anew.
const REMEMBERED: usize = 128;

/// What is known of runs of the program.
#[derive(Debug, Default)]
pub(super) struct Traces {
    known: HashMap<Key, Seen>,
    /// Whether the program is straight; looked up when it first runs.
    straight: Option<bool>,
}

#[derive(Clone, Debug)]
enum Seen {
    Once,
    /// Something in it is not written down, or fails.
    Refused,
    Trace(Arc<Trace>),
}

/// A run, written down.
#[derive(Debug, Default)]
struct Trace {
    steps: Vec<Step>,
    /// Addresses of kernels' buffers: where they begin, and how far behind.
    places: Vec<(Base, usize)>,
    /// Symbols and phases of kernels.
    numbers: Vec<i64>,
    blocks: usize,
    results: Vec<Outcome>,
}

/// What an address is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Constant(usize),
    Input(usize),
    Block(usize),
}

#[derive(Debug)]
enum Step {
    Take {
        block: usize,
        bytes: usize,
        device: DeviceId,
    },
    Give {
        block: usize,
    },
    Write {
        at: (Base, usize),
        bytes: Box<[u8]>,
    },
    Copy {
        from: (DeviceId, (Base, usize)),
        to: (DeviceId, (Base, usize)),
        bytes: usize,
    },
    Launch {
        kernel: KernelId,
        places: (usize, usize),
        symbols: (usize, usize),
        phases: (usize, usize),
        total: i64,
        parallel: bool,
    },
}

#[derive(Debug)]
enum Outcome {
    /// It is an input or a constant.
    Same(Base),
    Part {
        block: usize,
        offset: usize,
        dtype: DType,
        dims: Dims,
    },
    /// An input or a constant under other dimensions.
    Reshaped(Base, Dims),
}

impl Session {
    /// Runs the program as it was written down for inputs of these dimensions, if it was.
    pub(super) fn replay(&mut self, program: &Program, args: &[Slot]) -> Option<Vec<Slot>> {
        let inner = &*program.inner;
        let function = inner.functions.first().filter(|_| inner.native.is_none() && self.profile.is_none())?;
        if !*self.known.traces.straight.get_or_insert_with(|| is_straight(function)) {
            return None;
        }
        let mut key = Key::new();
        for arg in args {
            let Slot::Tensor(tensor) = arg else { return None };
            key.extend_from_slice(tensor.dims());
        }
        match self.known.traces.known.get(&key).cloned() {
            Some(Seen::Trace(trace)) => return self.follow(inner, &trace, args),
            Some(Seen::Refused) => {}
            Some(Seen::Once) => {
                let mut writer = Writer::new(inner, function, self.threads.count(), self.options.parallel_work);
                let seen = writer.write(args).map_or(Seen::Refused, |()| Seen::Trace(Arc::new(writer.trace)));
                self.known.traces.known.insert(key, seen.clone());
                if let Seen::Trace(trace) = seen {
                    return self.follow(inner, &trace, args);
                }
            }
            None => {
                if self.known.traces.known.len() >= REMEMBERED {
                    self.known.traces.known.clear();
                }
                self.known.traces.known.insert(key, Seen::Once);
            }
        }
        None
    }

    /// The results; nothing when memory does not suffice.
    fn follow(&mut self, inner: &Inner, trace: &Trace, args: &[Slot]) -> Option<Vec<Slot>> {
        let mut blocks: SmallVec<[Option<Arc<Block>>; 8]> = SmallVec::new();
        blocks.resize(trace.blocks, None);
        let slot = |base: Base| match base {
            Base::Constant(id) => inner.constants.get(id),
            Base::Input(i) => args.get(i),
            Base::Block(_) => None,
        };
        let address = |blocks: &[Option<Arc<Block>>], (base, offset): (Base, usize)| -> Address {
            let start = match (base, slot(base)) {
                (Base::Block(k), _) => blocks[k].as_ref().map_or(std::ptr::null_mut(), |b| b.as_ptr()),
                (_, Some(Slot::Tensor(tensor))) => tensor.read_ptr().cast_mut(),
                _ => std::ptr::null_mut(),
            };
            Address(start.wrapping_add(offset).cast())
        };
        let mut buffers = std::mem::take(&mut self.scratch.buffers);
        for step in &trace.steps {
            match *step {
                Step::Take { block, bytes, device } => match self.allocate(bytes, device) {
                    Ok(memory) => blocks[block] = Some(memory),
                    Err(_) => {
                        self.scratch.buffers = buffers;
                        return None;
                    }
                },
                Step::Give { block } => blocks[block] = None,
                Step::Write { at, ref bytes } => {
                    let to = address(&blocks, at);
                    // SAFETY: the writer proved that so many bytes lie in the block from there on.
                    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.0.cast::<u8>(), bytes.len()) };
                }
                Step::Copy { from, to, bytes } => {
                    let [source, target] = [from, to].map(|(device, at)| (device, address(&blocks, at).0.cast::<u8>()));
                    // SAFETY: the writer proved that so many bytes lie in both from there on.
                    let done = unsafe { inner.transfer((source.0, source.1.cast_const()), target, bytes) };
                    if done.is_err() {
                        self.scratch.buffers = buffers;
                        return None;
                    }
                }
                Step::Launch { kernel, places, symbols, phases, total, parallel } => {
                    buffers.clear();
                    buffers.extend(trace.places[places.0..places.1].iter().map(|&at| address(&blocks, at)));
                    let launch = Launch {
                        kernel: inner.kernels[kernel.index()],
                        buffers: &buffers,
                        symbols: &trace.numbers[symbols.0..symbols.1],
                        phases: if parallel { &trace.numbers[phases.0..phases.1] } else { &[] },
                        total,
                    };
                    let Some(device) = inner.device_of(kernel) else {
                        launch.run(&mut self.threads);
                        continue;
                    };
                    // SAFETY: the compiler made the kernel for this; the writer looked whether the buffers are the device's.
                    let done = unsafe { launch.run_on(inner, device, kernel.index()) };
                    if done.is_err() {
                        self.scratch.buffers = buffers;
                        return None;
                    }
                }
            }
        }
        self.scratch.buffers = buffers;
        let outcome = |outcome: &Outcome| match outcome {
            Outcome::Same(base) => slot(*base).cloned(),
            Outcome::Reshaped(base, dims) => match slot(*base) {
                Some(Slot::Tensor(tensor)) => tensor.reshaped(dims).map(Slot::Tensor),
                _ => None,
            },
            Outcome::Part { block, offset, dtype, dims } => {
                TensorRef::in_block(blocks[*block].clone()?, *offset, *dtype, dims).map(Slot::Tensor)
            }
        };
        trace.results.iter().map(outcome).collect()
    }
}

/// Whether a function has only instructions that can be written down, each of which runs once.
fn is_straight(function: &Function) -> bool {
    use Instr as I;
    function.code.iter().all(|instr| {
        matches!(
            instr,
            I::Const { .. }
                | I::Alloc { .. }
                | I::View { .. }
                | I::New { .. }
                | I::Reshape { .. }
                | I::Move { .. }
                | I::Kill { .. }
                | I::Copy { .. }
                | I::Invoke { .. }
                | I::Dim { .. }
                | I::Eval { .. }
                | I::Index { .. }
                | I::Guard { .. }
                | I::Check { .. }
                | I::Return { .. }
        )
    })
}

/// What a register would hold.
#[derive(Clone, Debug, Default)]
enum Held {
    #[default]
    Nothing,
    Storage(usize),
    Tensor {
        at: (Base, usize),
        dtype: DType,
        dims: Dims,
    },
    /// A constant that is no tensor of numbers.
    Host(usize),
}

impl Held {
    fn block(&self) -> Option<usize> {
        match self {
            Held::Storage(k) | Held::Tensor { at: (Base::Block(k), _), .. } => Some(*k),
            _ => None,
        }
    }
}

/// A block that a run has taken.
struct Written {
    bytes: usize,
    /// Registers that refer to it.
    holders: usize,
    device: DeviceId,
}

/// Writes a run down.
struct Writer<'a> {
    inner: &'a Inner,
    function: &'a Function,
    threads: usize,
    parallel_work: i64,
    regs: Vec<Held>,
    symbols: Vec<i64>,
    blocks: Vec<Written>,
    trace: Trace,
}

impl<'a> Writer<'a> {
    fn new(inner: &'a Inner, function: &'a Function, threads: usize, parallel_work: i64) -> Self {
        Writer {
            inner,
            function,
            threads,
            parallel_work,
            regs: vec![Held::Nothing; function.regs as usize],
            symbols: vec![0; function.symbols.len()],
            blocks: vec![],
            trace: Trace::default(),
        }
    }

    fn size(&self, size: Size) -> Option<i64> {
        match size.as_immediate() {
            Some(value) => Some(value),
            None => self.inner.contents.sizes.get(size.index())?.eval(&self.symbols).ok(),
        }
    }
    fn extent(&self, size: Size) -> Option<usize> {
        usize::try_from(self.size(size)?).ok()
    }
    fn dims(&self, sizes: &[Size]) -> Option<Dims> {
        sizes.iter().map(|&s| self.extent(s).map(|n| n as i64)).collect()
    }
    fn held(&self, reg: Reg) -> Held {
        let Some(id) = reg.as_constant() else { return self.regs[reg.index()].clone() };
        match &self.inner.constants[id] {
            Slot::Tensor(t) => Held::Tensor { at: (Base::Constant(id), 0), dtype: t.dtype(), dims: t.dims().into() },
            _ => Held::Host(id),
        }
    }
    fn tensor(&self, reg: Reg) -> Option<((Base, usize), DType, Dims)> {
        match self.held(reg) {
            Held::Tensor { at, dtype, dims } => Some((at, dtype, dims)),
            _ => None,
        }
    }

    /// A register gets something else; a block that no register refers to any more is given back.
    fn set(&mut self, reg: Reg, held: Held) {
        if let Some(new) = held.block() {
            self.blocks[new].holders += 1;
        }
        let old = std::mem::replace(&mut self.regs[reg.index()], held);
        if let Some(block) = old.block() {
            self.blocks[block].holders -= 1;
            if self.blocks[block].holders == 0 {
                self.trace.steps.push(Step::Give { block });
            }
        }
    }
    fn take(&mut self, bytes: usize, device: DeviceId) -> usize {
        let block = self.blocks.len();
        self.blocks.push(Written { bytes, holders: 0, device });
        self.trace.steps.push(Step::Take { block, bytes, device });
        block
    }
    /// Whose memory it is; inputs are the host's.
    fn device(&self, base: Base) -> DeviceId {
        match base {
            Base::Block(k) => self.blocks[k].device,
            Base::Input(_) => DeviceId::HOST,
            Base::Constant(id) => match &self.inner.constants[id] {
                Slot::Tensor(tensor) => tensor.device(),
                _ => DeviceId::HOST,
            },
        }
    }
    /// A tensor in a block; nothing when it does not lie inside.
    fn part(&self, block: usize, offset: usize, dtype: DType, dims: Dims) -> Option<Held> {
        let end = offset.checked_add(byte_size(dtype, &dims)?)?;
        let fits = end <= self.blocks[block].bytes && offset.is_multiple_of(dtype.size().max(1));
        fits.then_some(Held::Tensor { at: (Base::Block(block), offset), dtype, dims })
    }
    fn numbers(&mut self, sizes: &[Size], least: i64) -> Option<(usize, usize)> {
        let from = self.trace.numbers.len();
        for &size in sizes {
            let value = self.size(size)?.max(least);
            self.trace.numbers.push(value);
        }
        Some((from, self.trace.numbers.len()))
    }

    /// Nothing when something in it cannot be written down, or would fail.
    fn write(&mut self, args: &[Slot]) -> Option<()> {
        for (i, arg) in args.iter().enumerate() {
            let Slot::Tensor(tensor) = arg else { return None };
            let (dtype, dims) = (tensor.dtype(), tensor.dims().into());
            self.set(Reg(i as u32), Held::Tensor { at: (Base::Input(i), 0), dtype, dims });
        }
        let function = self.function;
        for instr in &function.code {
            if let Instr::Return { values } = instr {
                self.trace.blocks = self.blocks.len();
                let results: Option<Vec<Outcome>> = values.iter().map(|&reg| self.outcome(reg, args)).collect();
                self.trace.results = results?;
                return Some(());
            }
            self.instruction(instr)?;
        }
        None
    }

    fn outcome(&self, reg: Reg, args: &[Slot]) -> Option<Outcome> {
        match self.held(reg) {
            Held::Host(id) => Some(Outcome::Same(Base::Constant(id))),
            Held::Tensor { at: (Base::Block(block), offset), dtype, dims } => {
                Some(Outcome::Part { block, offset, dtype, dims })
            }
            Held::Tensor { at: (base, _), dims, .. } => {
                let slot = match base {
                    Base::Input(i) => args.get(i),
                    Base::Constant(id) => self.inner.constants.get(id),
                    Base::Block(_) => None,
                };
                let same = slot.and_then(Slot::dims).is_some_and(|own| own == dims);
                Some(if same { Outcome::Same(base) } else { Outcome::Reshaped(base, dims) })
            }
            Held::Nothing | Held::Storage(_) => None,
        }
    }

    fn instruction(&mut self, instr: &Instr) -> Option<()> {
        match instr {
            Instr::Const { out, constant } => {
                let held = self.held(Reg::constant(*constant));
                self.set(*out, held);
            }
            Instr::Alloc { out, device, sizes, apart, offsets } => {
                let bytes = if offsets.is_empty() {
                    sizes.first().map_or(Some(0), |&bytes| self.extent(bytes))?
                } else {
                    // What has no size here is never made.
                    let sizes: Vec<i64> = sizes.iter().map(|&s| self.size(s).unwrap_or(0)).collect();
                    let packing = pack(&sizes, apart, ALIGN as i64);
                    for (symbol, &offset) in offsets.iter().zip(&packing.offsets) {
                        self.symbols[symbol.index()] = offset;
                    }
                    usize::try_from(packing.size).ok()?
                };
                let block = self.take(bytes, *device);
                self.set(*out, Held::Storage(block));
            }
            Instr::View { out, storage, offset, dtype, dims } => {
                let Held::Storage(block) = self.held(*storage) else { return None };
                let held = self.part(block, self.extent(*offset)?, *dtype, self.dims(dims)?)?;
                self.set(*out, held);
            }
            Instr::New { out, device, dtype, dims } => {
                let dims = self.dims(dims)?;
                let block = self.take(byte_size(*dtype, &dims)?, *device);
                let held = self.part(block, 0, *dtype, dims)?;
                self.set(*out, held);
            }
            Instr::Reshape { out, from, dims } => {
                let ((at, dtype, old), dims) = (self.tensor(*from)?, self.dims(dims)?);
                if byte_size(dtype, &old)? != byte_size(dtype, &dims)? {
                    return None;
                }
                self.set(*out, Held::Tensor { at, dtype, dims });
            }
            Instr::Move { out, from } => {
                let held = self.held(*from);
                self.set(*out, held);
            }
            Instr::Kill { regs } => regs.iter().for_each(|&reg| self.set(reg, Held::Nothing)),
            Instr::Dim { symbol, from, axis } => {
                self.symbols[symbol.index()] = *self.tensor(*from)?.2.get(*axis as usize)?;
            }
            Instr::Eval { symbol, value } => self.symbols[symbol.index()] = self.size(*value)?,
            Instr::Index { to, values } => {
                let (at, dtype, dims) = self.tensor(*to)?;
                let fits = byte_size(dtype, &dims)? == values.len() * dtype.size();
                let plain = dtype.is_integer() || dtype == DType::Bool;
                let host = self.device(at.0) == DeviceId::HOST;
                let (Base::Block(_), true, true, true) = (at.0, fits, plain, host) else { return None };
                let mut bytes = vec![];
                for &value in values {
                    bytes.extend_from_slice(nim_tensor::encode_i64(dtype, self.size(value)?).as_ref());
                }
                self.trace.steps.push(Step::Write { at, bytes: bytes.into() });
            }
            Instr::Guard { kind, lhs, rhs, .. } => {
                return kind.holds(self.size(*lhs)?, self.size(*rhs)?).then_some(());
            }
            Instr::Check { from, dims, .. } => {
                let (_, _, shape) = self.tensor(*from)?;
                let same = dims.len() == shape.len()
                    && dims.iter().zip(&shape).all(|(&size, &dim)| self.size(size) == Some(dim));
                return same.then_some(());
            }
            Instr::Copy { from, to, offset } => {
                let ((from, dtype, dims), (to, other, room)) = (self.tensor(*from)?, self.tensor(*to)?);
                let (bytes, offset) = (byte_size(dtype, &dims)?, self.extent(*offset)?);
                let fits = offset.checked_add(bytes)? <= byte_size(other, &room)?;
                let (Base::Block(_), true, true) = (to.0, fits, dtype == other) else { return None };
                let (from, to) = ((self.device(from.0), from), (self.device(to.0), (to.0, to.1 + offset)));
                self.trace.steps.push(Step::Copy { from, to, bytes });
            }
            Instr::Invoke { kernel, ins, outs, symbols, phases, work } => {
                let device = *self.inner.contents.kernel_devices.get(kernel.index())?;
                let from = self.trace.places.len();
                for (i, &reg) in ins.iter().chain(outs).enumerate() {
                    let (at, ..) = self.tensor(reg)?;
                    if i >= ins.len() && !matches!(at.0, Base::Block(_)) || self.device(at.0) != device {
                        return None;
                    }
                    self.trace.places.push(at);
                }
                let places = (from, self.trace.places.len());
                let (symbols, phases) = (self.numbers(symbols, i64::MIN)?, self.numbers(phases, 0)?);
                let list = &self.trace.numbers[phases.0..phases.1];
                let total = list.iter().try_fold(0i64, |sum, &n| sum.checked_add(n))?;
                let shared = self.threads > 1 && list.iter().any(|&n| n > 1);
                let parallel = shared && self.size(*work)? >= self.parallel_work;
                let kernel = *kernel;
                self.trace.steps.push(Step::Launch { kernel, places, symbols, phases, total, parallel });
            }
            _ => return None,
        }
        Some(())
    }
}
