//! Programs whose functions are machine code instead of bytecode: what such code calls, and how it is called.
//!
//! A native function evaluates sizes, takes branches and calls kernels by itself; for memory, values and the runtime
//! library it calls [`ENTRIES`]. It runs until it calls another function or returns, and says so by returning 1: calls of
//! the program do not nest on the machine's stack, so recursion is bounded by the session's limits as in bytecode. It is
//! entered again behind the call, with that instruction's number.
//!
//! ```text
//! uint32_t function(nim_call *call, uint32_t resume)     // 0: failed, 1: a call or a return is due
//! int64_t entry(nim_call *call, int64_t at, const int64_t *args, int64_t count)    // negative: failed
//! struct nim_call { entry *const *entries; int64_t *symbols; int64_t direct; int64_t value; ... }
//! ```
//! `symbols` are the symbol registers; `direct` is 1 when kernels may be called without [`launch`]; `value` is what [`size`]
//! and [`extent`] answer. `at` is the number of the instruction, for messages. Arguments are the instruction's fields
//! about in order, sizes as values. Lists of registers are the address of a constant array of `uint32_t` and its length, of
//! other lists comes the number of items first.

use super::Session;
use super::explain::Site;
use super::ops::write_integers;
use super::run::{Activation, Fault, Frame, Next, Step, invalid};
use crate::bytecode::field::dtype_of_code;
use crate::bytecode::{Callee, ConstId, DeviceId, FunctionId, KernelId, Maker, Reg, Relation, Size, Sym, Text};
use crate::machine::pool::ALIGN;
use crate::machine::slot::Slot;
use crate::program::{KernelFn, Program};
use nim_tensor::packing::pack;
use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Version of everything described here. A program of another one is refused.
pub const ABI: u64 = 2;

/// The name that the program in a file exports: the file's, without `lib` and what follows a dot, as an identifier of C.
pub fn identifier(file: &str) -> String {
    let name = file.split('.').next().unwrap_or_default();
    let name = name.strip_prefix("lib").unwrap_or(name);
    let mut out: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.chars().next().is_none_or(|c| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

/// What a native program exports under its name.
#[repr(C)]
#[derive(Debug)]
pub struct NativeProgram {
    /// [`ABI`].
    pub abi: u64,
    /// Signature, texts, formulas and constants in the format of a `.nimx` file.
    pub tables: *const u8,
    /// Number of their bytes.
    pub length: u64,
    /// The functions; the first one is the program.
    pub functions: *const NativeFn,
    /// How many.
    pub function_count: u64,
    /// The kernels, in the order of the tables.
    pub kernels: *const *const c_void,
    /// How many.
    pub kernel_count: u64,
}

/// A native function.
pub type NativeFn = unsafe extern "C" fn(*mut Call<'_, '_>, u32) -> u32;

/// What a native function works with. The first four fields are its own to read.
#[repr(C)]
pub struct Call<'a, 'p> {
    entries: *const Entry,
    symbols: *mut i64,
    direct: i64,
    value: i64,
    session: &'a mut Session,
    frame: &'a mut Frame,
    program: &'p Program,
    function: usize,
    at: usize,
    next: Option<Next<'p>>,
    fault: Option<Fault>,
}

/// What native code calls.
pub type Entry = unsafe extern "C" fn(*mut Call<'_, '_>, i64, *const i64, i64) -> i64;

/// The arguments of an entry, read in order.
struct Args<'a>(&'a [i64]);

impl<'a> Args<'a> {
    fn next(&mut self) -> Step<i64> {
        let (&first, rest) = self.0.split_first().ok_or_else(|| invalid("a native call lacks arguments"))?;
        self.0 = rest;
        Ok(first)
    }
    fn number(&mut self) -> Step<u32> {
        u32::try_from(self.next()?).map_err(|_| invalid("a native call has an argument that is no index"))
    }
    fn reg(&mut self) -> Step<Reg> {
        self.number().map(Reg)
    }
    /// As many as the first one says.
    fn list(&mut self) -> Step<&'a [i64]> {
        let count = usize::try_from(self.next()?).unwrap_or(usize::MAX);
        let (list, rest) = self.0.split_at_checked(count).ok_or_else(|| invalid("a native call lacks arguments"))?;
        self.0 = rest;
        Ok(list)
    }
    /// Registers in a constant array: its address and length.
    fn constant_regs<'p>(&mut self) -> Step<&'p [Reg]> {
        let (at, count) = (self.next()?, self.number()? as usize);
        if count == 0 {
            return Ok(&[]);
        }
        // SAFETY: the compiler passes a constant array of the program, which is never unloaded; `Reg` is a `u32`.
        Ok(unsafe { std::slice::from_raw_parts(at as usize as *const Reg, count) })
    }
    /// Other numbers in a constant array.
    fn constant_list<'p>(&mut self) -> Step<&'p [u32]> {
        let (at, count) = (self.next()?, self.number()? as usize);
        if count == 0 {
            return Ok(&[]);
        }
        // SAFETY: the compiler passes a constant array of the program, which is never unloaded.
        Ok(unsafe { std::slice::from_raw_parts(at as usize as *const u32, count) })
    }
    fn extent(&mut self) -> Step<usize> {
        usize::try_from(self.next()?).map_err(|_| invalid("a native size is negative"))
    }
}

macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident => |$call:ident, $site:ident, $args:ident| $body:expr;)*) => {
        /// Names of the entries, in the order of the table.
        pub const ENTRIES: &[&str] = &[$(stringify!($name)),*];

        static TABLE: &[Entry] = &[$($name),*];

        $(
            $(#[$doc])*
            unsafe extern "C" fn $name(call: *mut Call<'_, '_>, at: i64, args: *const i64, count: i64) -> i64 {
                // SAFETY: `call` is what the function was given; nobody else uses it meanwhile.
                let $call = unsafe { &mut *call };
                $call.at = at as usize;
                #[allow(unused_variables)]
                let $site = Site { program: $call.program, function: $call.function, at: $call.at };
                // SAFETY: the compiler passes as many arguments as it says.
                #[allow(unused_mut, unused_variables)]
                let mut $args = Args(unsafe { std::slice::from_raw_parts(args, count as usize) });
                let mut body = || -> Step<i64> { $body };
                match body() {
                    Ok(value) => value,
                    Err(fault) => {
                        $call.fault = Some(fault);
                        -1
                    }
                }
            }
        )*
    };
}

entries! {
    /// The value of an expression that native code could not compute in 64 bits: exactly, or an error.
    size => |call, site, args| {
        call.value = call.session.size(site, call.frame, Size(args.number()?))?;
        Ok(0)
    };
    /// As `size`, for what cannot be negative.
    extent => |call, site, args| {
        call.value = call.session.extent(site, call.frame, Size(args.number()?))? as i64;
        Ok(0)
    };
    /// Counts a jump back.
    step => |call, site, args| call.session.count_step().map(|()| 0);
    constant => |call, site, args| {
        let (out, id) = (args.reg()?, ConstId(args.number()?));
        call.session.constant(site, call.frame, out, id);
        Ok(0)
    };
    alloc => |call, site, args| {
        let (out, bytes, size) = (args.reg()?, args.extent()?, Size(args.number()?));
        let storage = call.session.allocate(bytes, DeviceId::HOST).map_err(|fault| fault.because(site, call.frame, &[size]))?;
        call.frame.regs[out.index()] = Slot::Storage(storage);
        Ok(0)
    };
    /// Storage for several buffers: their sizes, of each how many others it is apart from and which, their offsets.
    arena => |call, site, args| {
        let out = args.reg()?;
        let [sizes, apart, offsets] = [args.constant_list()?, args.constant_list()?, args.constant_list()?];
        let sizes: Vec<Size> = sizes.iter().map(|&s| Size(s)).collect();
        let offsets: Vec<Sym> = offsets.iter().map(|&s| Sym(s)).collect();
        let place = |bytes: &[i64]| {
            let (mut lists, mut rest) = (vec![], apart);
            while let Some((&count, more)) = rest.split_first() {
                let (list, more) = more.split_at(more.len().min(count as usize));
                lists.push(Box::from(list));
                rest = more;
            }
            pack(bytes, &lists, ALIGN as i64)
        };
        call.session.arena(site, call.frame, out, DeviceId::HOST, (&sizes, &offsets), place)?;
        Ok(0)
    };
    view => |call, site, args| {
        let (out, storage, offset, dtype) = (args.reg()?, args.reg()?, args.extent()?, args.number()?);
        let dtype = dtype_of_code(dtype).ok_or_else(|| invalid("there is no such element type"))?;
        call.session.view(site, call.frame, (out, storage), offset, dtype, args.list()?)?;
        Ok(0)
    };
    new => |call, site, args| {
        let (out, dtype) = (args.reg()?, args.number()?);
        let dtype = dtype_of_code(dtype).ok_or_else(|| invalid("there is no such element type"))?;
        let (dims, sizes) = (args.list()?, args.constant_list()?);
        let because = |fault: Fault| {
            let sizes: Vec<Size> = sizes.iter().map(|&s| Size(s)).collect();
            fault.because(site, call.frame, &sizes)
        };
        let tensor = call.session.new_tensor(DeviceId::HOST, dtype, dims).map_err(because)?;
        call.frame.regs[out.index()] = Slot::Tensor(tensor);
        Ok(0)
    };
    reshape => |call, site, args| {
        let (out, from) = (args.reg()?, args.reg()?);
        call.session.reshape(site, call.frame, out, from, args.list()?)?;
        Ok(0)
    };
    move_to => |call, site, args| {
        let (out, from) = (args.reg()?, args.reg()?);
        call.frame.regs[out.index()] = call.frame.slot(site, from).clone();
        Ok(0)
    };
    kill => |call, site, args| {
        for &reg in args.list()? {
            call.frame.regs[reg as usize] = Slot::Empty;
        }
        Ok(0)
    };
    copy_to => |call, site, args| {
        let (from, to, offset) = (args.reg()?, args.reg()?, args.extent()?);
        call.session.copy(site, call.frame.tensor(site, from)?, call.frame.tensor(site, to)?, offset)?;
        Ok(0)
    };
    /// Addresses of the buffers of a kernel: the address of their list.
    buffers => |call, site, args| {
        let (ins, outs) = (args.constant_regs()?, args.constant_regs()?);
        call.session.buffers(site, call.frame, DeviceId::HOST, ins, outs)?;
        Ok(call.session.scratch.buffers.as_ptr() as usize as i64)
    };
    /// Runs a kernel on the buffers just asked for, on all threads or measured.
    launch => |call, site, args| {
        let (kernel, work) = (KernelId(args.number()?), Size(args.number()?));
        let (symbols, phases) = (args.list()?, args.list()?);
        let frame: &Frame = call.frame;
        call.session.launch(site, kernel, symbols, phases, |s| s.size(site, frame, work))?;
        Ok(0)
    };
    library => |call, site, args| {
        let name = Text(args.number()?);
        let (ins, outs, ints, sizes) = (args.constant_regs()?, args.constant_regs()?, args.list()?, args.list()?);
        call.session.library(site, call.frame, name, (ints, sizes), (ins, outs))?;
        Ok(0)
    };
    bind => |call, site, args| {
        let from = args.reg()?;
        let symbols: Vec<Sym> = args.list()?.iter().map(|&s| Sym(s as u32)).collect();
        call.session.bind(site, call.frame, from, &symbols)?;
        Ok(0)
    };
    dim => |call, site, args| {
        let (symbol, from, axis) = (Sym(args.number()?), args.reg()?, args.number()?);
        call.session.dimension(site, call.frame, symbol, from, axis)?;
        Ok(0)
    };
    index => |call, site, args| {
        let to = args.reg()?;
        write_integers(call.frame.tensor(site, to)?, args.list()?)?;
        Ok(0)
    };
    /// A guard that does not hold.
    guard => |call, site, args| {
        let kind = Relation::from_code(args.number()?).ok_or_else(|| invalid("there is no such relation"))?;
        let (lhs, rhs, message) = (Size(args.number()?), Size(args.number()?), Text(args.number()?));
        let (a, b) = (args.next()?, args.next()?);
        Err(site.guard(&call.frame.symbols, kind, (lhs, a), (rhs, b), message).into())
    };
    check => |call, site, args| {
        let (from, what) = (args.reg()?, Text(args.number()?));
        let (sizes, values) = (args.list()?, args.list()?);
        let sizes: Vec<(Size, i64)> = sizes.iter().map(|&s| Size(s as u32)).zip(values.iter().copied()).collect();
        call.session.check(site, call.frame, from, sizes.into_iter(), what)?;
        Ok(0)
    };
    /// 1 when the only element of a tensor is not zero, else 0.
    condition => |call, site, args| {
        let reg = args.reg()?;
        call.session.condition(site, call.frame, reg).map(i64::from)
    };
    push => |call, site, args| {
        let (to, from) = (args.reg()?, args.reg()?);
        call.session.push(site, call.frame, to, from)?;
        Ok(0)
    };
    /// A call is due: kind and number of the callee, whether its results are returned, registers for them, arguments.
    call => |call, site, args| {
        let (kind, callee, last) = (args.number()?, args.number()?, args.number()?);
        let callee = if kind == 0 { Callee::Function(FunctionId(callee)) } else { Callee::Value(Reg(callee)) };
        let outs = args.constant_regs()?;
        let ins = args.constant_regs()?;
        let called = call.session.called(site, call.frame, callee, ins, outs.len())?;
        call.next = Some(Next::Call { called, outs, last: last != 0 });
        Ok(0)
    };
    /// A return is due.
    finish => |call, site, args| {
        call.next = Some(Next::Return(args.constant_regs()?));
        Ok(0)
    };
    make => |call, site, args| {
        let (out, kind, number) = (args.reg()?, args.number()?, args.number()?);
        let maker = if kind == 0 { Maker::Constructor(number) } else { Maker::Function(FunctionId(number)) };
        let fields = args.constant_regs()?;
        call.session.make(site, call.frame, out, maker, fields);
        Ok(0)
    };
    /// Takes a value apart; the number of its constructor.
    matched => |call, site, args| {
        let (value, cases) = (args.reg()?, args.number()?);
        let cases = args.0.chunks_exact(2).take(cases as usize);
        let fields = |i: usize| Args(cases.clone().nth(i)?).constant_regs().ok();
        let number = call.session.matched(site, call.frame, value, fields)?;
        Ok(number as i64)
    };
}

/// The functions and kernels of a native program.
#[derive(Debug)]
pub(crate) struct Native {
    pub(crate) functions: &'static [NativeFn],
    pub(crate) kernels: &'static [KernelFn],
    pub(crate) tables: &'static [u8],
}

impl Native {
    /// Looks at a descriptor; `Err` gives its version.
    ///
    /// # Safety
    /// It is one that the compiler made, and its program stays loaded for ever.
    pub(crate) unsafe fn open(program: &NativeProgram) -> Result<Native, u64> {
        if program.abi != ABI {
            return Err(program.abi);
        }
        // SAFETY: see above; a kernel is a function of the type `KernelFn`.
        unsafe {
            Ok(Native {
                functions: std::slice::from_raw_parts(program.functions, program.function_count as usize),
                kernels: match program.kernel_count {
                    0 => &[],
                    count => std::slice::from_raw_parts(program.kernels.cast(), count as usize),
                },
                tables: std::slice::from_raw_parts(program.tables, program.length as usize),
            })
        }
    }
}

/// Loads a native program from a shared library; what is wrong with it in words.
///
/// It stays loaded for ever, since values and other threads may still need it.
pub(crate) fn load_shared(path: &Path) -> Result<&'static NativeProgram, String> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let name = identifier(&file);
    // A name without a slash would be looked for in the system's folders.
    let place = path.canonicalize().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|e| e.to_string());
    let (place, symbol) = (text(place.as_os_str().as_bytes())?, text(name.as_bytes())?);
    let error = || {
        // SAFETY: the text is the system's, valid until the next call on this thread.
        let text = unsafe { libc::dlerror().as_ref().map(|e| CStr::from_ptr(e)) };
        text.map_or("no reason given".into(), |t| t.to_string_lossy().into_owned())
    };
    // SAFETY: code of a program is trusted; its constructors are those of the C library.
    let library = unsafe { libc::dlopen(place.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if library.is_null() {
        return Err(error());
    }
    // SAFETY: a library that is open, and a text that ends.
    let found = unsafe { libc::dlsym(library, symbol.as_ptr()) }.cast::<NativeProgram>();
    // SAFETY: the compiler exports just this under the program's name.
    unsafe { found.as_ref() }.ok_or_else(|| format!("it exports no program `{name}`"))
}

impl Session {
    /// Runs a native function to its next call or its end.
    pub(super) fn native_until_call<'p>(
        &mut self,
        program: &'p Program,
        run: NativeFn,
        now: &mut Activation<'p>,
    ) -> Step<Next<'p>> {
        let direct = i64::from(self.profile.is_none() && self.threads.count() == 1);
        let (function, resume) = (now.function, now.at);
        let symbols = now.frame.symbols.as_mut_ptr();
        let mut call = Call {
            entries: TABLE.as_ptr(),
            symbols,
            direct,
            value: 0,
            session: self,
            frame: &mut now.frame,
            program,
            function,
            at: resume,
            next: None,
            fault: None,
        };
        // SAFETY: the compiler made the function for just this; it uses `call` only until it returns.
        let done = unsafe { run((&raw mut call).cast(), resume as u32) };
        let Call { at, next, fault, .. } = call;
        now.at = at;
        match (done, next, fault) {
            (1, Some(next), None) => Ok(next),
            (_, _, Some(fault)) => Err(fault),
            _ => Err(invalid("a native function ended without saying why")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_become_identifiers() {
        let all = ["model.so", "libmodel.so.1", "out/", "3d-net.so", "lib.so", ""].map(identifier);
        assert_eq!(all, ["model", "model", "out_", "_3d_net", "_", "_"]);
    }
}
