//! Programs: what a `.nimx` file holds, loaded and checked ([`verify`]), and how one is put together ([`builder`]).

mod builder;
mod contents;
mod disassemble;
mod signature;
mod verify;

use crate::bytecode::{DeviceId, Function, Origin};
use crate::code_image::LoadedCode;
use crate::device::{Device, Devices};
use crate::error::LoadError;
use crate::machine::pool::Pool;
use crate::machine::slot::{Slot, TensorRef};
use crate::nimx;
use crate::runtime;
use crate::session;
use crate::session::native::{Native, NativeProgram};
use crate::specialise::{Hot, SpecialiseOptions};
use disassemble::disassemble;
use nim_tensor::{Blob, Tensor};
use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use verify::verify;

pub use builder::{NativeParts, ProgramBuilder};
pub(crate) use contents::Contents;
pub use contents::KernelCost;
pub(crate) use signature::describe;
pub use signature::{AdtType, Signature, SignatureValue, ValueType};

/// How a program is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether all constants are read once to check them. Without, loading takes the same time for any size of a model, and
    /// a damaged constant goes unnoticed.
    pub check_constants: bool,
    /// The file with the constants of a program that has them in one of their own; beside the program, under the name that
    /// it knows, when absent.
    pub constants: Option<PathBuf>,
    /// What stands behind the names of devices in the program. One that is missing is told when the program runs.
    pub devices: Devices,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { check_constants: true, constants: None, devices: Devices::default() }
    }
}

/// A kernel: buffers, symbols, and the part of its iterations to run.
pub type KernelFn = unsafe extern "C" fn(*const *mut c_void, *const i64, i64, i64);

pub(crate) struct Inner {
    /// No other program of the process has it.
    pub(crate) id: u64,
    pub(crate) contents: Contents,
    /// The functions, ready to run.
    pub(crate) functions: Vec<Function>,
    /// For each function and symbol, where its value comes from.
    pub(crate) origins: Vec<Vec<Option<Origin>>>,
    /// For each expression, how it is evaluated.
    pub(crate) size_forms: Vec<session::Form>,
    /// Constants as registers hold them; strings stay host values.
    pub(crate) constants: Vec<Slot>,
    /// What stands behind the names of devices.
    pub(crate) devices: Vec<Option<Arc<dyn Device>>>,
    pub(crate) kernels: Vec<KernelFn>,
    /// Machine code in place of bytecode.
    pub(crate) native: Option<Native>,
    /// For each text that names one, the runtime function.
    pub(crate) library: Vec<Option<runtime::Function>>,
    /// Keeps the kernels callable.
    _code: Option<LoadedCode>,
}

/// A loaded program. Cloning shares it; any number of sessions may run it at the same time.
#[derive(Clone)]
pub struct Program {
    pub(crate) inner: Arc<Inner>,
    /// Programs for shapes that are run often, if somebody makes them.
    pub(crate) hot: Option<Arc<Hot>>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.inner.contents;
        f.debug_struct("Program")
            .field("signature", &c.signature)
            .field("functions", &c.functions.len())
            .field("kernels", &c.kernels.len())
            .field("constants", &c.constants.len())
            .finish()
    }
}

impl Program {
    /// Maps a `.nimx` file and makes it ready to run. Constants stay in the file, or in the one beside it that has them.
    ///
    /// # Errors
    /// See [`LoadError`]: no program, another version, cut off, damaged, or for another machine.
    pub fn load(path: impl AsRef<Path>) -> Result<Program, LoadError> {
        Self::load_with(path, &LoadOptions::default())
    }

    /// As [`Program::load`], with options.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load_with(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Program, LoadError> {
        Self::new(nimx::load_file(path.as_ref(), options)?, None, &options.devices)
    }

    /// Makes the bytes of a `.nimx` file ready to run.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Program, LoadError> {
        Self::from_bytes_with(bytes, &LoadOptions::default())
    }

    /// As [`Program::from_bytes`], with options.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn from_bytes_with(
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        options: &LoadOptions,
    ) -> Result<Program, LoadError> {
        Self::new(nimx::load_bytes(Blob::new(bytes), options)?, None, &options.devices)
    }

    /// Loads a shared library that `nim-compile --emit=so` made. It stays loaded for ever.
    ///
    /// # Errors
    /// See [`LoadError`]: no such file, no native program, another version, or for another machine.
    pub fn load_shared(path: impl AsRef<Path>) -> Result<Program, LoadError> {
        let path = path.as_ref();
        let refused = |why| LoadError::Io(path.to_owned(), std::io::Error::other(why));
        let found = session::native::load_shared(path).map_err(refused)?;
        // SAFETY: it is what the compiler exported, and is never unloaded.
        unsafe { Self::from_native(found) }
    }

    /// Makes a native program ready to run: one that `nim-compile --emit=so` or `obj+h` made, by what it exports.
    ///
    /// # Errors
    /// See [`LoadError`]: another version, or for another machine.
    ///
    /// # Safety
    /// The compiler made it, and its code stays loaded for ever.
    pub unsafe fn from_native(program: &NativeProgram) -> Result<Program, LoadError> {
        // SAFETY: as the caller says.
        let native = unsafe { Native::open(program) };
        let native = native
            .map_err(|found| LoadError::Version { found: found as u32, expected: session::native::ABI as u32 })?;
        // It was linked, not sent: nothing can have happened to its constants.
        let options = LoadOptions { check_constants: false, ..LoadOptions::default() };
        Self::new(nimx::load_bytes(Blob::new(native.tables), &options)?, Some(native), &options.devices)
    }

    fn new(loaded: nimx::Limited, native: Option<Native>, devices: &Devices) -> Result<Program, LoadError> {
        let nimx::Limited { contents, code } = loaded;
        let library: Vec<_> = contents.texts.iter().map(|text| runtime::find(text)).collect();
        let kernel = |name: &String| {
            // The prefix is the compiler's: kernels are no functions of the C library, whatever they are called.
            let address = code.as_ref().and_then(|c| c.symbol(&format!("nim_{name}")));
            let address = address.ok_or_else(|| LoadError::Kernel(name.clone()))?;
            // SAFETY: the compiler gives every kernel this signature (see docs/ARCHITECTURE.md). Machine code of a file is
            // trusted as any program is; it stays mapped as long as `_code` beside it.
            Ok(unsafe { std::mem::transmute::<*const u8, KernelFn>(address) })
        };
        let kernels = match &native {
            Some(native) => {
                let fits = (native.functions.len(), native.kernels.len());
                let placed = !contents.devices.is_empty();
                if placed || contents.origins.is_none() || fits != (contents.functions.len(), contents.kernels.len()) {
                    return Err(LoadError::Damaged("tables"));
                }
                native.kernels.to_vec()
            }
            None => {
                verify(&contents, &library)?;
                contents.kernels.iter().map(kernel).collect::<Result<_, LoadError>>()?
            }
        };
        let found: Vec<_> = contents.devices.iter().map(|name| devices.get(name).cloned()).collect();
        let constants = constants(&contents, &found)?;
        let mut functions = contents.functions.clone();
        if native.is_none() {
            functions = functions.iter().map(session::prepare).collect();
            functions.iter_mut().for_each(|function| session::immediate(function, &contents.sizes));
        }
        let origins = contents.origins.clone();
        let origins = origins.unwrap_or_else(|| contents.functions.iter().map(Function::origins).collect());
        let size_forms = contents.sizes.iter().map(session::Form::of).collect();
        static PROGRAMS: AtomicU64 = AtomicU64::new(0);
        let inner = Inner {
            id: PROGRAMS.fetch_add(1, Ordering::Relaxed),
            contents,
            functions,
            origins,
            size_forms,
            constants,
            devices: found,
            kernels,
            native,
            library,
            _code: code,
        };
        Ok(Program { inner: Arc::new(inner), hot: None })
    }

    /// What it takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.inner.contents.signature
    }
    /// Which version of the toolkit compiled it.
    pub fn producer(&self) -> &str {
        &self.inner.contents.producer
    }
    /// Names of its kernels.
    pub fn kernels(&self) -> &[String] {
        &self.inner.contents.kernels
    }
    /// Bytes of all constants.
    pub fn constant_bytes(&self) -> usize {
        self.inner.contents.constants.iter().map(|c| c.bytes().len()).sum()
    }
    /// Names of the devices that it wants besides the host.
    pub fn devices(&self) -> &[String] {
        &self.inner.contents.devices
    }
    /// The bytecode as text.
    pub fn disassemble(&self) -> String {
        disassemble(&self.inner.contents)
    }

    /// What the program checks each time it runs and what its kernels choose by the dimensions they get, line by line, each with the
    /// symbol that it is about and the node that it comes from. Empty where all is known. Native programs tell the choices only.
    pub fn explain_guards(&self) -> String {
        let mut out = crate::guards::explain(&self.inner.contents);
        if let Some(SpecialiseOptions { after, programs, .. }) = self.specialise_options() {
            let _ = writeln!(
                out,
                "shapes: one that is run {after} times gets a program of its own; at most {programs} have one"
            );
        }
        out
    }
}

/// Constants as registers hold them, on their devices; none of a device that is not there.
fn constants(contents: &Contents, devices: &[Option<Arc<dyn Device>>]) -> Result<Vec<Slot>, LoadError> {
    let mut pools: HashMap<DeviceId, Arc<Pool>> = HashMap::new();
    let mut place = |(tensor, &id): (&Tensor, &DeviceId)| {
        let slot = Slot::from_value(&tensor.clone().into());
        let Some(at) = id.index().checked_sub(1) else { return Ok(slot) };
        let Some(device) = devices.get(at).cloned().flatten() else { return Ok(Slot::Empty) };
        let name = &contents.devices[at];
        let Slot::Tensor(from) = &slot else {
            return Err(LoadError::Bytecode(format!("a constant that is no tensor of numbers is on device `{name}`")));
        };
        let full = || LoadError::DeviceMemory { device: name.clone(), bytes: from.byte_len() };
        let pool = pools.entry(id).or_insert_with(|| Pool::on(usize::MAX, id, device.clone()));
        let block = pool.allocate(from.byte_len()).map_err(|_| full())?;
        // SAFETY: the block has as many bytes, and is the device's.
        unsafe { device.copy_in(from.read_ptr(), block.as_ptr() as u64, from.byte_len()) };
        let placed = TensorRef::in_block(block, 0, from.dtype(), from.dims()).ok_or_else(full)?;
        Ok(Slot::Tensor(placed.constant()))
    };
    contents.constants.iter().zip(&contents.constant_devices).map(&mut place).collect()
}
