//! What instructions do, once sizes are numbers. The interpreter of bytecode and native programs call the same functions.

use super::Session;
use super::explain::Site;
use super::run::{Fault, Frame, Step, invalid};
use crate::bytecode::{Callee, ConstId, DeviceId, KernelId, Maker, Reg, Size, Sym, Text};
use crate::device::{Device, KernelCall};
use crate::error::RunErrorKind;
use crate::machine::slot::{Made, Slot, TensorRef};
use crate::machine::threads::Threads;
use crate::program::{Inner, KernelFn};
use crate::runtime::Call;
use nim_tensor::{DType, Value, f64_of, i64_of};
use smallvec::SmallVec;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Instant;

/// An address that is handed to kernels, on any thread.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Address(pub(super) *mut c_void);

// SAFETY: an address is a number; what kernels do with it is synchronised by `Threads::run`.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

/// A kernel and what it is given.
pub(super) struct Launch<'a> {
    pub(super) kernel: KernelFn,
    /// Its buffers, which live until it returns.
    pub(super) buffers: &'a [Address],
    pub(super) symbols: &'a [i64],
    /// Iterations of its phases, where threads share them; else nothing.
    pub(super) phases: &'a [i64],
    /// Iterations of all phases.
    pub(super) total: i64,
}

impl Launch<'_> {
    #[inline]
    pub(super) fn run(&self, threads: &mut Threads) {
        let call = |begin: i64, end: i64| {
            // SAFETY: the compiler made the kernel for buffers and symbols of this call; all of them live until it
            // returns. `Address` has the layout of a pointer.
            unsafe { (self.kernel)(self.buffers.as_ptr().cast(), self.symbols.as_ptr(), begin, end) };
        };
        if self.phases.is_empty() {
            if self.total > 0 {
                call(0, self.total);
            }
            return;
        }
        let mut begin = 0;
        for &n in self.phases {
            // Each phase may read what the one before has written, so all threads wait between them.
            threads.run(begin..begin + n, &|part| call(part.start, part.end));
            begin += n;
        }
    }

    /// Has a device run it, which has all its iterations.
    ///
    /// # Safety
    /// The kernel is the program's of this number; its buffers are the device's.
    pub(super) unsafe fn run_on(&self, program: &Inner, device: &Arc<dyn Device>, kernel: usize) -> Step {
        let contents = &program.contents;
        let buffers: SmallVec<[u64; 8]> = self.buffers.iter().map(|at| at.0 as u64).collect();
        let (name, source) = (&*contents.kernels[kernel], &*contents.kernel_sources[kernel]);
        let (code, symbols, iterations) = (self.kernel, self.symbols, self.total);
        let call = KernelCall { name, code, source, buffers: &buffers, symbols, iterations };
        // SAFETY: as the caller says.
        unsafe { device.launch(&call) }.map_err(|message| {
            let device = contents.kernel_devices[kernel].index().checked_sub(1).and_then(|at| contents.devices.get(at));
            let (device, kernel) = (device.cloned().unwrap_or_default(), name.to_owned());
            RunErrorKind::Launch { device, kernel, message }.into()
        })
    }
}

/// A call that is about to happen.
pub(super) struct Called {
    pub(super) function: usize,
    pub(super) frame: Frame,
}

impl Session {
    pub(super) fn constant(&mut self, site: Site<'_>, frame: &mut Frame, out: Reg, constant: ConstId) {
        frame.regs[out.index()] = site.program.inner.constants[constant.index()].clone();
    }

    pub(super) fn view(
        &mut self,
        site: Site<'_>,
        frame: &mut Frame,
        (out, storage): (Reg, Reg),
        offset: usize,
        dtype: DType,
        dims: &[i64],
    ) -> Step {
        let Slot::Storage(block) = frame.slot(site, storage) else {
            return Err(invalid(format!("register {} holds no storage", storage.0)));
        };
        let tensor = TensorRef::in_block(block.clone(), offset, dtype, dims);
        let tensor = tensor.ok_or_else(|| invalid("a tensor does not lie inside its storage"))?;
        frame.regs[out.index()] = Slot::Tensor(tensor);
        Ok(())
    }

    pub(super) fn reshape(&mut self, site: Site<'_>, frame: &mut Frame, out: Reg, from: Reg, dims: &[i64]) -> Step {
        let reshaped = match frame.slot(site, from) {
            Slot::Host(Value::Tensor(tensor)) => {
                let dims: Vec<usize> = dims.iter().map(|&d| d as usize).collect();
                tensor.reshaped(&dims).map(|t| Slot::Host(t.into()))
            }
            _ => frame.tensor(site, from)?.reshaped(dims).map(Slot::Tensor),
        };
        let Some(reshaped) = reshaped else {
            let shape = frame.slot(site, from).dims().unwrap_or_default();
            let message = format!("a tensor of shape {shape:?} has not as many elements as the shape {dims:?}");
            return Err(RunErrorKind::Runtime { function: "reshape".into(), message }.into());
        };
        frame.regs[out.index()] = reshaped;
        Ok(())
    }

    pub(super) fn library(
        &mut self,
        site: Site<'_>,
        frame: &mut Frame,
        name: Text,
        (ints, sizes): (&[i64], &[i64]),
        (ins, outs): (&[Reg], &[Reg]),
    ) -> Step {
        let inner = &site.program.inner;
        let library = inner.library.get(name.index()).copied().flatten();
        let library = library.ok_or_else(|| invalid("no such runtime function"))?;
        let values = ins.iter().map(|&r| frame.slot(site, r).to_value()).collect::<Option<Vec<Value>>>();
        let values = values.ok_or_else(|| invalid("an operand of a runtime function has no value"))?;
        let start = self.profile.is_some().then(Instant::now);
        let call = &mut Call { ints, sizes, ins: &values, env: &mut self.env };
        let results = library(call).map_err(|message| RunErrorKind::Runtime {
            function: inner.contents.texts[name.index()].clone(),
            message,
        })?;
        if let (Some(start), Some(profile)) = (start, &mut self.profile) {
            profile.library(site, name, start);
        }
        if results.len() != outs.len() {
            return Err(invalid("a runtime function gives another number of results"));
        }
        for (out, value) in outs.iter().zip(&results) {
            frame.regs[out.index()] = Slot::from_value(value);
        }
        Ok(())
    }

    pub(super) fn bind(&mut self, site: Site<'_>, frame: &mut Frame, from: Reg, symbols: &[Sym]) -> Step {
        let Slot::Tensor(tensor) = frame.slot(site, from) else {
            return Err(invalid("symbols are bound to what is no tensor"));
        };
        on_host(tensor)?;
        if tensor.len() != symbols.len() {
            let (found, wanted) = (tensor.len(), symbols.len());
            return Err(invalid(format!("{wanted} symbols are bound to a tensor of {found} elements")));
        }
        let (tensor, size) = (tensor.clone(), tensor.dtype().size().max(1));
        for (symbol, bytes) in symbols.iter().zip(tensor.bytes().chunks_exact(size)) {
            let value = i64_of(tensor.dtype(), bytes);
            frame.symbols[symbol.index()] =
                value.ok_or_else(|| invalid("symbols are bound to elements that are no integers"))?;
        }
        Ok(())
    }

    pub(super) fn dimension(&mut self, site: Site<'_>, frame: &mut Frame, symbol: Sym, from: Reg, axis: u32) -> Step {
        let other;
        let dims: Option<&[i64]> = match frame.slot(site, from) {
            Slot::Tensor(tensor) => Some(tensor.dims()),
            slot => {
                other = slot.dims();
                other.as_deref()
            }
        };
        let dim = match dims {
            Some(dims) => match dims.get(axis as usize) {
                Some(&dim) => dim,
                None => return Err(site.too_few(dims, symbol, from, axis).into()),
            },
            None => return Err(invalid(format!("register {} has no dimensions", from.0))),
        };
        frame.symbols[symbol.index()] = dim;
        Ok(())
    }

    /// Fails unless a value has these dimensions: expressions and their values.
    pub(super) fn check(
        &mut self,
        site: Site<'_>,
        frame: &Frame,
        from: Reg,
        dims: impl ExactSizeIterator<Item = (Size, i64)>,
        what: Text,
    ) -> Step {
        let other;
        let shape = match frame.slot(site, from) {
            Slot::Tensor(tensor) => tensor.dims(),
            slot => {
                other = slot.dims().ok_or_else(|| invalid("a value without dimensions is checked"))?;
                &other
            }
        };
        if shape.len() != dims.len() {
            return Err(site.rank(shape, dims.len(), what).into());
        }
        for (axis, (size, value)) in dims.enumerate() {
            if shape[axis] != value {
                return Err(site.dimension(&frame.symbols, shape, axis, (size, value), what).into());
            }
        }
        Ok(())
    }

    /// Whether the only element of a tensor is not zero.
    pub(super) fn condition(&mut self, site: Site<'_>, frame: &Frame, condition: Reg) -> Step<bool> {
        let tensor = frame.host(site, condition)?;
        if tensor.len() != 1 {
            return Err(invalid("a condition has not just one element"));
        }
        Ok(f64_of(tensor.dtype(), tensor.bytes()) != 0.0)
    }

    pub(super) fn make(&mut self, site: Site<'_>, frame: &mut Frame, out: Reg, maker: Maker, fields: &[Reg]) {
        let fields = fields.iter().map(|&r| frame.slot(site, r).clone()).collect();
        frame.regs[out.index()] = match maker {
            Maker::Constructor(number) => Slot::Adt(Arc::new(Made { number, fields })),
            Maker::Function(function) => Slot::Function(Arc::new(Made { number: function.0, fields })),
        };
    }

    /// Takes a value apart; the number of its constructor, which is one of those that `fields` has registers for.
    pub(super) fn matched<'f>(
        &mut self,
        site: Site<'_>,
        frame: &mut Frame,
        value: Reg,
        fields: impl Fn(usize) -> Option<&'f [Reg]>,
    ) -> Step<usize> {
        let Slot::Adt(made) = frame.slot(site, value) else {
            return Err(invalid(format!("register {} holds no value of a data type", value.0)));
        };
        let made = made.clone();
        let number = made.number as usize;
        let outs = fields(number).ok_or_else(|| invalid("a value has a constructor without a case"))?;
        if !outs.is_empty() && outs.len() != made.fields.len() {
            return Err(invalid("a value has another number of fields than its case takes"));
        }
        for (out, field) in outs.iter().zip(&made.fields) {
            frame.regs[out.index()] = field.clone();
        }
        Ok(number)
    }

    /// The function that is called, with its arguments in a frame of its own.
    pub(super) fn called(
        &mut self,
        site: Site<'_>,
        frame: &Frame,
        callee: Callee,
        ins: &[Reg],
        outs: usize,
    ) -> Step<Called> {
        let (function, captured): (usize, &[Slot]) = match callee {
            Callee::Function(function) => (function.index(), &[]),
            Callee::Value(value) => match frame.slot(site, value) {
                Slot::Function(made) => (made.number as usize, &made.fields),
                _ => return Err(invalid(format!("register {} holds no function", value.0))),
            },
        };
        let called = &site.program.inner.functions[function];
        if (captured.len() + ins.len(), outs) != (called.inputs as usize, called.outputs as usize) {
            return Err(invalid(format!("`{}` takes or gives another number of values", called.name)));
        }
        let args = captured.iter().chain(ins.iter().map(|&r| frame.slot(site, r))).cloned();
        let frame = self.frame(called, args);
        Ok(Called { function, frame })
    }

    /// Addresses of a kernel's buffers, in the scratch list: all on its device.
    pub(super) fn buffers(
        &mut self,
        site: Site<'_>,
        frame: &Frame,
        device: DeviceId,
        ins: &[Reg],
        outs: &[Reg],
    ) -> Step {
        if self.profile.is_some() {
            let all = ins.iter().chain(outs).filter_map(|&r| frame.tensor(site, r).ok());
            self.scratch.handed = all.map(TensorRef::byte_len).sum();
        }
        let buffers = &mut self.scratch.buffers;
        buffers.clear();
        for &r in ins {
            let tensor = frame.tensor(site, r)?;
            if tensor.device() != device {
                return Err(elsewhere());
            }
            buffers.push(Address(tensor.read_ptr().cast_mut().cast()));
        }
        for &r in outs {
            let tensor = frame.tensor(site, r)?;
            if tensor.device() != device {
                return Err(elsewhere());
            }
            let at = tensor.write_ptr();
            buffers.push(Address(at.ok_or_else(|| invalid("a kernel writes to what is not the program's"))?.cast()));
        }
        Ok(())
    }

    /// Runs a kernel on the buffers of the scratch list. `work` is asked for only when threads could share it.
    pub(super) fn launch(
        &mut self,
        site: Site<'_>,
        kernel: KernelId,
        symbols: &[i64],
        phases: &[i64],
        work: impl FnOnce(&mut Self) -> Step<i64>,
    ) -> Step {
        let total = phases.iter().try_fold(0i64, |sum, &n| sum.checked_add(n));
        let total = total.ok_or_else(|| invalid("a kernel has too many iterations"))?;
        let shared = self.threads.count() > 1 && phases.iter().any(|&n| n > 1);
        let parallel = shared && work(self)? >= self.options.parallel_work;
        let function = site.program.inner.kernels[kernel.index()];
        let phases = if parallel { phases } else { &[] };
        let launch = Launch { kernel: function, buffers: &self.scratch.buffers, symbols, phases, total };
        let start = self.profile.is_some().then(Instant::now);
        match site.program.inner.device_of(kernel) {
            None => launch.run(&mut self.threads),
            Some(device) => {
                // SAFETY: the compiler made the kernel for this; the buffers are the device's, as was looked at.
                unsafe { launch.run_on(&site.program.inner, device, kernel.index())? };
                if start.is_some() {
                    device.wait();
                }
            }
        }
        if let (Some(start), Some(profile)) = (start, &mut self.profile) {
            profile.kernel(site, kernel, symbols, self.scratch.handed, start);
        }
        Ok(())
    }

    /// Copies all elements to a byte of another tensor, wherever the two are.
    pub(super) fn copy(&mut self, site: Site<'_>, from: &TensorRef, to: &TensorRef, offset: usize) -> Step {
        let target = to.write_ptr().ok_or_else(|| invalid("a copy writes to what is not the program's"))?;
        let bytes = from.byte_len();
        if from.dtype() != to.dtype() || offset.checked_add(bytes).is_none_or(|end| end > to.byte_len()) {
            return Err(invalid("a copy does not fit its target"));
        }
        let (source, target) = (from.read_ptr(), target.wrapping_add(offset));
        let across = (from.device(), to.device());
        let start = (self.profile.is_some() && across.0 != across.1).then(Instant::now);
        // SAFETY: the source has as many bytes, and they fit the target from `offset` on, as just checked.
        unsafe { site.program.inner.transfer((across.0, source), (across.1, target), bytes)? };
        if let (Some(start), Some(profile)) = (start, &mut self.profile) {
            [across.0, across.1].into_iter().filter_map(|id| site.program.inner.device(id)).for_each(|d| d.wait());
            profile.copy(site, across, bytes, start);
        }
        Ok(())
    }
}

impl Inner {
    /// The device that a kernel runs on; nothing for the host.
    pub(super) fn device_of(&self, kernel: KernelId) -> Option<&Arc<dyn Device>> {
        self.device(*self.contents.kernel_devices.get(kernel.index())?)
    }
    /// A device that is there; nothing for the host.
    fn device(&self, id: DeviceId) -> Option<&Arc<dyn Device>> {
        self.devices.get(id.index().checked_sub(1)?)?.as_ref()
    }

    /// Copies bytes from an address of one device to one of another, or of the same.
    ///
    /// # Safety
    /// Both have so many bytes in the memory of their devices. They may overlap.
    pub(super) unsafe fn transfer(
        &self,
        (from, source): (DeviceId, *const u8),
        (to, target): (DeviceId, *mut u8),
        bytes: usize,
    ) -> Step {
        let host = DeviceId::HOST;
        // SAFETY: as the caller says.
        unsafe {
            match (self.device(from), self.device(to)) {
                (None, None) if (from, to) == (host, host) => std::ptr::copy(source, target, bytes),
                (None, Some(there)) if from == host => there.copy_in(source, target as u64, bytes),
                (Some(here), None) if to == host => here.copy_out(source as u64, target, bytes),
                (Some(here), Some(_)) if from == to => here.copy(source as u64, target as u64, bytes),
                (Some(here), Some(there)) => {
                    // By way of the host: no device knows of others.
                    let mut between = vec![0u8; bytes];
                    here.copy_out(source as u64, between.as_mut_ptr(), bytes);
                    there.copy_in(between.as_ptr(), target as u64, bytes);
                }
                _ => return Err(invalid("a copy from or to a device that is not there")),
            }
        }
        Ok(())
    }
}

impl Frame {
    /// As [`Frame::tensor`], for what the host looks at itself.
    #[inline]
    pub(super) fn host<'a>(&'a self, site: Site<'a>, reg: Reg) -> Step<&'a TensorRef> {
        let tensor = self.tensor(site, reg)?;
        on_host(tensor)?;
        Ok(tensor)
    }
    /// What an operand holds: a register, or a constant.
    #[inline]
    pub(super) fn slot<'a>(&'a self, site: Site<'a>, reg: Reg) -> &'a Slot {
        match reg.as_constant() {
            None => &self.regs[reg.index()],
            Some(id) => &site.program.inner.constants[id],
        }
    }
    #[inline]
    pub(super) fn tensor<'a>(&'a self, site: Site<'a>, reg: Reg) -> Step<&'a TensorRef> {
        match self.slot(site, reg) {
            Slot::Tensor(tensor) => Ok(tensor),
            _ => Err(no_tensor(reg)),
        }
    }
}

#[inline]
fn on_host(tensor: &TensorRef) -> Step {
    if tensor.device() == DeviceId::HOST { Ok(()) } else { Err(elsewhere()) }
}

#[cold]
fn elsewhere() -> Fault {
    invalid("memory of another device is reached into")
}

#[cold]
fn no_tensor(reg: Reg) -> Fault {
    match reg.as_constant() {
        None => invalid(format!("register {} holds no tensor", reg.0)),
        Some(id) => invalid(format!("constant {id} is no tensor of numbers")),
    }
}

pub(super) fn write_integers(tensor: &TensorRef, values: &[i64]) -> Step {
    let at = tensor.write_ptr().ok_or_else(|| invalid("sizes are written to what is not the program's"))?;
    let dtype = tensor.dtype();
    if tensor.len() != values.len() || !(dtype.is_integer() || dtype == DType::Bool) {
        return Err(invalid("sizes are written to a tensor that does not fit them"));
    }
    for (i, &value) in values.iter().enumerate() {
        let bytes = nim_tensor::encode_i64(dtype, value);
        // SAFETY: element `i` lies inside, since there are as many as values.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at.add(i * bytes.len()), bytes.len()) };
    }
    Ok(())
}
