//! Programs: what a `.nimx` file holds, loaded and checked, and how one is put together.

use crate::bytecode::size::SizeExpr;
use crate::bytecode::{
    self, ConstId, DeviceId, Function, FunctionId, Instr, KernelId, Limits, Names, Origin, Size, Text,
};
use crate::code_image::{CodeImage, LoadedCode};
use crate::device::{Device, Devices};
use crate::error::LoadError;
use crate::machine::pool::Pool;
use crate::machine::slot::{Slot, TensorRef};
use crate::nimx;
use crate::runtime;
use crate::session;
use crate::session::native::{Native, NativeProgram};
use crate::specialise::{Hot, SpecialiseOptions};
use nim_expr::{EvalError, Expr, ExprPool, Symbol};
use nim_tensor::{Blob, DType, Tensor, Value, blob::Identity};
use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The type of an input or result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A tensor; dimensions are texts of expressions over named symbols: `3`, `N`, `2*N + 1`.
    Tensor {
        /// Element type.
        dtype: DType,
        /// One expression a dimension.
        dims: Vec<String>,
    },
    /// Something else, described by its type's text.
    Other(String),
    /// A value of the algebraic data type of this name: see [`Signature::types`].
    Adt(String),
}

/// An algebraic data type: the ways to make its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdtType {
    /// Its name.
    pub name: String,
    /// Name of each constructor and types of its fields.
    pub constructors: Vec<(String, Vec<ValueType>)>,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueType::Tensor { dtype, dims } => {
                f.write_str("tensor<")?;
                for dim in dims {
                    if dim.parse::<i64>().is_ok() { write!(f, "{dim}x")? } else { write!(f, "[{dim}]x")? }
                }
                write!(f, "{dtype}>")
            }
            ValueType::Other(text) => f.write_str(text),
            ValueType::Adt(name) => write!(f, "@{name}"),
        }
    }
}

/// An input or result of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureValue {
    /// Its name in the model.
    pub name: String,
    /// Its type.
    pub ty: ValueType,
    /// The node of the model that reads it first, if that is known; for messages.
    pub node: Option<String>,
}

/// What a program takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Inputs in order.
    pub inputs: Vec<SignatureValue>,
    /// Results in order.
    pub outputs: Vec<SignatureValue>,
    /// The algebraic data types that these are of, and all that their fields are of.
    pub types: Vec<AdtType>,
}

impl Signature {
    /// An algebraic data type by its name.
    pub fn adt(&self, name: &str) -> Option<&AdtType> {
        self.types.iter().find(|ty| ty.name == name)
    }
}

/// What a kernel costs and where it comes from: for profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCost {
    /// Scalar operations: an expression over the kernel's symbols, which are registers in the order of its ABI.
    pub operations: Size,
    /// Bytes that must be read at least once, and bytes that are written, by the accesses that its maps declare.
    pub bytes: Size,
    /// Names of the nodes of the model that it was made of.
    pub nodes: Vec<String>,
    /// What it chooses by its symbols each time it runs, in words.
    pub choices: Vec<String>,
}

/// Everything that is stored of a program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) producer: String,
    /// Name of the file that has the constants, where they are not in the program itself.
    pub(crate) beside: Option<String>,
    pub(crate) signature: Signature,
    pub(crate) texts: Vec<String>,
    pub(crate) sizes: Vec<SizeExpr>,
    /// The expressions as text, for messages.
    pub(crate) size_texts: Vec<String>,
    pub(crate) kernels: Vec<String>,
    /// For each kernel; empty where nothing is known.
    pub(crate) costs: Vec<Option<KernelCost>>,
    /// The first one is the program.
    pub(crate) functions: Vec<Function>,
    /// Of native programs, whose functions have no instructions: where symbols come from.
    pub(crate) origins: Option<Vec<Vec<Option<Origin>>>>,
    pub(crate) constants: Vec<Tensor>,
    /// Names of the devices behind the host, which is number 0.
    pub(crate) devices: Vec<String>,
    /// Where each kernel runs.
    pub(crate) kernel_devices: Vec<DeviceId>,
    /// Where each constant is.
    pub(crate) constant_devices: Vec<DeviceId>,
    pub(crate) code: Option<CodeImage>,
}

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
        TensorRef::in_block(block, 0, from.dtype(), from.dims().into()).map(Slot::Tensor).ok_or_else(full)
    };
    contents.constants.iter().zip(&contents.constant_devices).map(&mut place).collect()
}

/// Checks all bytecode.
fn verify(contents: &Contents, library: &[Option<runtime::Function>]) -> Result<(), LoadError> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let sizes: Vec<u32> = contents.sizes.iter().map(SizeExpr::registers).collect();
    let mut placed = contents.kernel_devices.iter().chain(&contents.constant_devices);
    let fits = (contents.kernel_devices.len(), contents.constant_devices.len());
    if fits != (contents.kernels.len(), contents.constants.len())
        || !placed.all(|id| id.index() <= contents.devices.len())
    {
        return Err(LoadError::Bytecode("the table of devices does not fit kernels and constants".into()));
    }
    let functions: Vec<(u32, u32)> = contents.functions.iter().map(|f| (f.inputs, f.outputs)).collect();
    let main = contents.functions.first().ok_or_else(|| LoadError::Bytecode("there is no function".into()))?;
    let signature = &contents.signature;
    if (main.inputs as usize, main.outputs as usize) != (signature.inputs.len(), signature.outputs.len()) {
        return Err(LoadError::Bytecode("the signature does not fit the first function".into()));
    }
    for function in &contents.functions {
        let limits = Limits {
            regs: function.regs,
            symbols: count(function.symbols.len()),
            code: count(function.code.len()),
            constants: count(contents.constants.len()),
            kernels: count(contents.kernels.len()),
            texts: count(contents.texts.len()),
            devices: count(contents.devices.len()).saturating_add(1),
            sizes: &sizes,
            functions: &functions,
        };
        bytecode::verify(function, &limits).map_err(|p| LoadError::Bytecode(format!("{}: {}", function.name, p.0)))?;
        // As many registers as could be used: more only cost memory.
        if function.regs as usize > function.inputs as usize + 8 * bytecode::encode(&function.code).len() {
            return Err(LoadError::Bytecode(format!("{} has more registers than it can use", function.name)));
        }
        for instr in &function.code {
            if let Instr::Runtime { function: name, .. } = instr
                && library[name.index()].is_none()
            {
                return Err(LoadError::Function(contents.texts[name.index()].clone()));
            }
        }
    }
    // What profiles look at.
    let costs = contents.costs.iter().flatten();
    let known = |size: Size| size.index() < sizes.len();
    if contents.costs.len() != contents.kernels.len()
        || !costs.fold(true, |ok, c| ok && known(c.operations) && known(c.bytes))
    {
        return Err(LoadError::Bytecode("the table of costs does not fit the kernels".into()));
    }
    Ok(())
}

fn disassemble(contents: &Contents) -> String {
    let mut out = String::new();
    let list = |values: &[SignatureValue]| {
        values.iter().map(|v| format!("{}: {}", v.name, v.ty)).collect::<Vec<_>>().join(", ")
    };
    let signature = &contents.signature;
    let _ = writeln!(out, "program({}) -> ({})", list(&signature.inputs), list(&signature.outputs));
    let device = |i: u32| match i.checked_sub(1) {
        None => "host".to_owned(),
        Some(at) => contents.devices.get(at as usize).cloned().unwrap_or_default(),
    };
    let on = |id: Option<&DeviceId>| match id {
        None | Some(&DeviceId::HOST) => String::new(),
        Some(id) => format!(" on {}", device(id.0)),
    };
    for (i, constant) in contents.constants.iter().enumerate() {
        let _ = writeln!(out, "constant #{i}: {constant:?}{}", on(contents.constant_devices.get(i)));
    }
    for (kernel, id) in contents.kernels.iter().zip(&contents.kernel_devices).filter(|(_, id)| **id != DeviceId::HOST) {
        let _ = writeln!(out, "kernel @{kernel}{}", on(Some(id)));
    }
    let text = |list: &[String], i: u32| list.get(i as usize).cloned().unwrap_or_default();
    for function in &contents.functions {
        let _ =
            writeln!(out, "\nfunction {}: {} registers, {} arguments", function.name, function.regs, function.inputs);
        let functions = |i: u32| contents.functions.get(i as usize).map(|f| f.name.clone()).unwrap_or_default();
        let names = Names {
            size: &|i| text(&contents.size_texts, i),
            text: &|i| text(&contents.texts, i),
            kernel: &|i| text(&contents.kernels, i),
            function: &functions,
            symbol: &|i| text(&function.symbols, i),
            device: &device,
        };
        let mut last = None;
        for (i, instr) in function.code.iter().enumerate() {
            let _ = write!(out, "{i:5}  ");
            instr.show(&names, &mut out);
            let node = function.nodes.get(i).copied().flatten();
            // Each node is named once, where its code begins.
            if let Some(node) = node.filter(|_| node != last) {
                let _ = write!(out, "  ; {}", text(&contents.texts, node.0));
            }
            last = node;
            out.push('\n');
        }
    }
    out
}

/// What a compiler to machine code needs of a program.
#[derive(Debug)]
pub struct NativeParts {
    /// Its functions, as they run: operands may be constants, see [`Function::code`].
    pub functions: Vec<Function>,
    /// The expressions that they name.
    pub sizes: Vec<SizeExpr>,
    /// Names of the kernels.
    pub kernels: Vec<String>,
    /// What it takes and gives.
    pub signature: Signature,
    /// Everything else, as bytes.
    pub tables: Vec<u8>,
}

/// Puts a program together.
#[derive(Debug, Default)]
pub struct ProgramBuilder {
    contents: Contents,
    text_ids: HashMap<String, Text>,
    size_ids: HashMap<(SizeExpr, String), Size>,
    kernel_ids: HashMap<String, KernelId>,
    constant_ids: HashMap<(Identity, DType, Vec<usize>, DeviceId), ConstId>,
}

impl ProgramBuilder {
    /// An empty program; `producer` says who makes it.
    pub fn new(producer: &str) -> ProgramBuilder {
        let contents = Contents { producer: producer.to_owned(), ..Contents::default() };
        ProgramBuilder { contents, ..ProgramBuilder::default() }
    }

    /// A text.
    pub fn text(&mut self, text: &str) -> Text {
        if let Some(&id) = self.text_ids.get(text) {
            return id;
        }
        let id = Text(self.contents.texts.len() as u32);
        self.contents.texts.push(text.to_owned());
        self.text_ids.insert(text.to_owned(), id);
        id
    }

    /// A size expression; `register` says which symbol register of the function a symbol has.
    ///
    /// # Errors
    /// The first symbol without register, or what is wrong with the expression itself.
    pub fn size(
        &mut self,
        pool: &ExprPool,
        expr: Expr,
        register: &mut dyn FnMut(Symbol) -> Option<u32>,
    ) -> Result<Size, EvalError> {
        let size = SizeExpr::new(pool, expr, register)?;
        let key = (size, pool.display(expr).to_string());
        if let Some(&id) = self.size_ids.get(&key) {
            return Ok(id);
        }
        let id = Size(self.contents.sizes.len() as u32);
        self.contents.sizes.push(key.0.clone());
        self.contents.size_texts.push(key.1.clone());
        self.size_ids.insert(key, id);
        Ok(id)
    }

    /// A number as a size expression.
    pub fn constant_size(&mut self, value: i64) -> Size {
        let key = (SizeExpr::Constant(value), value.to_string());
        *self.size_ids.entry(key).or_insert_with_key(|key| {
            self.contents.sizes.push(key.0.clone());
            self.contents.size_texts.push(key.1.clone());
            Size(self.contents.sizes.len() as u32 - 1)
        })
    }

    /// A kernel by its name in the code image.
    pub fn kernel(&mut self, name: &str) -> KernelId {
        if let Some(&id) = self.kernel_ids.get(name) {
            return id;
        }
        let id = KernelId(self.contents.kernels.len() as u32);
        self.contents.kernels.push(name.to_owned());
        self.contents.costs.push(None);
        self.contents.kernel_devices.push(DeviceId::HOST);
        self.kernel_ids.insert(name.to_owned(), id);
        id
    }

    /// A device by its name; without one it is the host.
    pub fn device(&mut self, name: &str) -> DeviceId {
        if name.is_empty() {
            return DeviceId::HOST;
        }
        let known = self.contents.devices.iter().position(|known| known == name);
        let at = known.unwrap_or_else(|| {
            self.contents.devices.push(name.to_owned());
            self.contents.devices.len() - 1
        });
        DeviceId(at as u32 + 1)
    }

    /// Says where a kernel runs; it is the host if nobody does.
    pub fn run_on(&mut self, kernel: KernelId, device: DeviceId) {
        if let Some(place) = self.contents.kernel_devices.get_mut(kernel.index()) {
            *place = device;
        }
    }

    /// Says what a kernel costs.
    pub fn cost(&mut self, kernel: KernelId, cost: KernelCost) {
        if let Some(place) = self.contents.costs.get_mut(kernel.index()) {
            *place = Some(cost);
        }
    }

    /// A constant on the host. The same bytes under the same type are kept once.
    pub fn constant(&mut self, tensor: &Tensor) -> ConstId {
        self.constant_on(tensor, DeviceId::HOST)
    }

    /// As [`ProgramBuilder::constant`], on a device: it is put there when the program is loaded.
    pub fn constant_on(&mut self, tensor: &Tensor, device: DeviceId) -> ConstId {
        let key = tensor.blob().map(|b| (b.identity(), tensor.dtype(), tensor.dims().to_vec(), device));
        if let Some(&id) = key.as_ref().and_then(|k| self.constant_ids.get(k)) {
            return id;
        }
        let id = ConstId(self.contents.constants.len() as u32);
        // The builder holds the tensor, so no other gets its identity and the key stays true.
        self.contents.constants.push(tensor.clone());
        self.contents.constant_devices.push(device);
        if let Some(key) = key {
            self.constant_ids.insert(key, id);
        }
        id
    }

    /// Makes room for a function, so that calls can name it before it is written. The first one is the program.
    pub fn declare(&mut self, name: &str) -> FunctionId {
        self.contents.functions.push(Function { name: name.to_owned(), ..Function::default() });
        FunctionId(self.contents.functions.len() as u32 - 1)
    }

    /// Sets a function that was declared.
    pub fn define(&mut self, id: FunctionId, function: Function) {
        if let Some(place) = self.contents.functions.get_mut(id.index()) {
            *place = function;
        }
    }

    /// Sets what the program takes and gives.
    pub fn signature(&mut self, signature: Signature) {
        self.contents.signature = signature;
    }

    /// Sets the machine code with all kernels.
    pub fn code(&mut self, code: CodeImage) {
        self.contents.code = Some(code);
    }

    /// The bytecode as text.
    pub fn disassemble(&self) -> String {
        disassemble(&self.contents)
    }

    /// The program for a compiler to machine code: each function as it runs, and what [`NativeProgram::tables`] of it are.
    /// `code` says which machine the code will be for.
    pub fn into_native(mut self, code: CodeImage) -> NativeParts {
        let functions: Vec<Function> = self.contents.functions.iter().map(session::prepare).collect();
        self.contents.origins = Some(self.contents.functions.iter().map(Function::origins).collect());
        for (stored, function) in self.contents.functions.iter_mut().zip(&functions) {
            *stored = Function { code: vec![], ..function.clone() };
        }
        self.contents.code = Some(code);
        NativeParts {
            functions,
            sizes: self.contents.sizes.clone(),
            kernels: self.contents.kernels.clone(),
            signature: self.contents.signature.clone(),
            tables: nimx::to_bytes(&self.contents),
        }
    }

    /// Keeps the constants out of the program: in a file of this name, which [`ProgramBuilder::write_constants`] writes.
    pub fn constants_beside(&mut self, name: &str) {
        self.contents.beside = Some(name.to_owned());
    }

    /// Writes what the file with the constants has in it, of a program that does not have them itself.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_constants(&self, out: &dyn nimx::Place, threads: usize) -> std::io::Result<()> {
        nimx::emit_constants(&self.contents, out, threads)
    }

    /// The program as the bytes of a `.nimx` file.
    pub fn to_bytes(&self) -> Vec<u8> {
        nimx::to_bytes(&self.contents)
    }

    /// Writes what a `.nimx` file has in it; constants are made and written on so many threads.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_to(&self, out: &dyn nimx::Place, threads: usize) -> std::io::Result<()> {
        nimx::emit(&self.contents, out, threads)
    }

    /// Writes a `.nimx` file. It appears under its name only when it is complete.
    ///
    /// # Errors
    /// What the system says; an old file of that name is then as it was.
    pub fn write_nimx(&self, path: impl AsRef<Path>) -> std::io::Result<()> {
        nimx::write_file(&self.contents, path.as_ref())
    }

    /// Makes the program ready to run here, without the way through a file; constants are not copied.
    ///
    /// # Errors
    /// As [`Program::from_bytes`].
    pub fn into_program(self) -> Result<Program, LoadError> {
        self.into_program_on(&Devices::default())
    }

    /// As [`ProgramBuilder::into_program`], with what stands behind the names of its devices.
    ///
    /// # Errors
    /// As [`Program::from_bytes`].
    pub fn into_program_on(self, devices: &Devices) -> Result<Program, LoadError> {
        let mut contents = self.contents;
        let code = match contents.code.take() {
            Some(image) => Some(LoadedCode::load(&image).map_err(LoadError::Code)?),
            None => None,
        };
        Program::new(nimx::Limited { contents, code }, None, devices)
    }
}

/// A host value's type as a signature writes it, for messages.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Tensor(tensor) => {
            let dims = tensor.dims().iter().map(usize::to_string).collect();
            ValueType::Tensor { dtype: tensor.dtype(), dims }.to_string()
        }
        Value::Sequence(_) => "a sequence".into(),
        Value::Optional(_) => "an optional".into(),
        Value::Map(..) => "a map".into(),
        Value::Adt(made) => format!("a value made by `{}`", made.name),
        Value::Function(_) => "a function".into(),
    }
}
