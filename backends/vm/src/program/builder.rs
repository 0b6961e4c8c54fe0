//! How a program is put together.

use super::disassemble::disassemble;
use super::{Contents, KernelCost, Program, Signature};
use crate::bytecode::size::SizeExpr;
use crate::bytecode::{ConstId, DeviceId, Function, FunctionId, KernelId, Size, Text};
use crate::code_image::{CodeImage, LoadedCode};
use crate::device::Devices;
use crate::error::LoadError;
use crate::nimx;
use crate::session;
use nim_expr::{EvalError, Expr, ExprPool, Symbol};
use nim_tensor::{DType, Tensor, blob::Identity};
use std::collections::HashMap;
use std::path::Path;

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
        self.contents.kernel_sources.push(String::new());
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

    /// Says where a kernel runs, which is the host if nobody does, and what its IR is as text.
    pub fn run_on(&mut self, kernel: KernelId, device: DeviceId, source: &str) {
        let contents = &mut self.contents;
        let places = (contents.kernel_devices.get_mut(kernel.index()), contents.kernel_sources.get_mut(kernel.index()));
        if let (Some(place), Some(text)) = places {
            (*place, *text) = (device, source.to_owned());
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
