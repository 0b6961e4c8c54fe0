//! Programs and what they take and give.

use crate::error::{c_text, checked, nim_error, plain};
use crate::value::{Lent, nim_dtype, nim_release};
use nim_vm::{LoadOptions, Program, SignatureValue, ValueType};
use std::ffi::{CStr, CString, OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;

/// A loaded program. Any number of sessions run it at the same time, on any threads; they keep it alive.
pub struct nim_program {
    pub(crate) program: Program,
    producer: CString,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

/// What kind of value something is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum nim_kind {
    /// A tensor, of numbers or of strings.
    NIM_KIND_TENSOR = 0,
    /// A list of values of one type.
    NIM_KIND_SEQUENCE = 1,
    /// A value or nothing.
    NIM_KIND_OPTIONAL = 2,
    /// Keys and as many values.
    NIM_KIND_MAP = 3,
    /// A value of an algebraic data type: a constructor and its fields.
    NIM_KIND_DATA = 4,
    /// Of a port only: a sequence, an optional or a map; its `ty` says which.
    NIM_KIND_OTHER = 5,
}

/// A dimension of an input or output.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nim_dim {
    /// Its size if that is fixed, else -1.
    pub size: i64,
    /// The same as text: a number, a symbol such as `N`, or an expression such as `2*N + 1`. Equal symbols are equal sizes
    /// in all inputs and outputs.
    pub expression: *const c_char,
}

/// An input or output of a program. All texts live as long as the program object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nim_port {
    /// Its name in the model.
    pub name: *const c_char,
    /// Its type as text: `tensor<[N]x768xf32>`.
    pub ty: *const c_char,
    /// What kind of value it is.
    pub kind: nim_kind,
    /// Element type; of tensors only.
    pub dtype: nim_dtype,
    /// Number of dimensions; 0 for what is no tensor.
    pub rank: usize,
    /// As many dimensions.
    pub dims: *const nim_dim,
    /// The node of the model that reads it first; null when not known, and for outputs.
    pub node: *const c_char,
}

/// A port with the texts and dimensions that it points to.
struct Port {
    port: nim_port,
    _texts: Vec<CString>,
    _dims: Box<[nim_dim]>,
}

// SAFETY: the pointers lead to what the port itself owns and nobody changes.
unsafe impl Send for Port {}
// SAFETY: as above.
unsafe impl Sync for Port {}

impl Port {
    fn new(value: &SignatureValue) -> Port {
        let mut texts = vec![];
        let mut text = |text: &str| {
            texts.push(c_text(text));
            // The bytes of a CString stay where they are when it is moved.
            texts.last().map_or(ptr::null(), |t| t.as_ptr())
        };
        let (name, ty) = (text(&value.name), text(&value.ty.to_string()));
        let node = value.node.as_deref().map_or(ptr::null(), &mut text);
        let (kind, dtype, dims) = match &value.ty {
            ValueType::Tensor { dtype, dims } => {
                let dims =
                    dims.iter().map(|d| nim_dim { size: d.parse().unwrap_or(-1), expression: text(d) }).collect();
                (nim_kind::NIM_KIND_TENSOR, nim_dtype::of(*dtype), dims)
            }
            ValueType::Adt(_) => (nim_kind::NIM_KIND_DATA, nim_dtype::NIM_U8, Box::default()),
            ValueType::Other(_) => (nim_kind::NIM_KIND_OTHER, nim_dtype::NIM_U8, Box::default()),
        };
        let dims: Box<[nim_dim]> = dims;
        let port = nim_port { name, ty, kind, dtype, rank: dims.len(), dims: dims.as_ptr(), node };
        Port { port, _texts: texts, _dims: dims }
    }
}

impl nim_program {
    fn new(program: Program) -> nim_program {
        let ports = |list: &[SignatureValue]| list.iter().map(Port::new).collect();
        let (inputs, outputs) = (ports(&program.signature().inputs), ports(&program.signature().outputs));
        nim_program { producer: c_text(program.producer()), inputs, outputs, program }
    }
}

/// Maps a `.nimx` file and makes it ready to run. Constants stay in the file, which must not be changed meanwhile.
///
/// # Safety
/// `path` is a text that ends in a zero byte; `program` points to where the result goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_load(path: *const c_char, program: *mut *mut nim_program) -> *mut nim_error {
    checked(|| {
        if path.is_null() || program.is_null() {
            return Err(nim_error::argument("nim_program_load: path or program is null"));
        }
        // SAFETY: see above.
        let path = OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes());
        let loaded = Box::new(nim_program::new(Program::load(path)?));
        // SAFETY: see above.
        unsafe { *program = Box::into_raw(loaded) };
        Ok(())
    })
}

/// As `nim_program_load`, of a program whose constants are in a file of their own, which is not beside it.
///
/// # Safety
/// `path` and `constants` are texts that end in a zero byte; `program` points to where the result goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_load_with_constants(
    path: *const c_char,
    constants: *const c_char,
    program: *mut *mut nim_program,
) -> *mut nim_error {
    checked(|| {
        if path.is_null() || constants.is_null() || program.is_null() {
            return Err(nim_error::argument("nim_program_load_with_constants: an argument is null"));
        }
        // SAFETY: see above.
        let (path, constants) = unsafe { (CStr::from_ptr(path), CStr::from_ptr(constants)) };
        let file = |path: &CStr| PathBuf::from(OsStr::from_bytes(path.to_bytes()));
        let options = LoadOptions { constants: Some(file(constants)), ..LoadOptions::default() };
        let loaded = Box::new(nim_program::new(Program::load_with(file(path), &options)?));
        // SAFETY: see above.
        unsafe { *program = Box::into_raw(loaded) };
        Ok(())
    })
}

/// Makes the bytes of a `.nimx` file ready to run. With `release` they are used where they are, until `release(context)` is
/// called: when nothing needs them any more, at the latest when the program, its sessions and their outputs are gone, or before
/// this function fails. Without, they are copied.
///
/// # Safety
/// `bytes` has `length` bytes, which stay as they are until they are released; `program` points to where the result goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_load_memory(
    bytes: *const c_void,
    length: usize,
    release: nim_release,
    context: *mut c_void,
    program: *mut *mut nim_program,
) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above. Made first, so that it is released whatever happens.
        let lent = unsafe { Lent::new(bytes, length, release, context) };
        if program.is_null() {
            return Err(nim_error::argument("nim_program_load_memory: program is null"));
        }
        let loaded = match release {
            Some(_) => Program::from_bytes(lent?)?,
            None => Program::from_bytes(lent?.as_ref().to_vec())?,
        };
        // SAFETY: see above.
        unsafe { *program = Box::into_raw(Box::new(nim_program::new(loaded))) };
        Ok(())
    })
}

/// A program in machine code that was linked: what `nim-compile --emit=so` and `--emit=obj+h` export.
#[repr(transparent)]
pub struct nim_native {
    program: nim_vm::native::NativeProgram,
}

/// Makes a program ready to run that was linked. The header that the compiler writes calls this.
///
/// # Safety
/// `native` is what such a program exports, and stays loaded; `program` points to where the result goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_from_native(
    native: *const nim_native,
    program: *mut *mut nim_program,
) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above.
        let Some(native) = unsafe { native.as_ref() }.filter(|_| !program.is_null()) else {
            return Err(nim_error::argument("nim_program_from_native: an argument is null"));
        };
        // SAFETY: see above.
        unsafe {
            let loaded = nim_program::new(Program::from_native(&native.program)?);
            *program = Box::into_raw(Box::new(loaded));
        }
        Ok(())
    })
}

// What compiled code calls for bf16 where the machine has no instruction, and compilers before GCC 13 do not bring.

#[unsafe(no_mangle)]
extern "C" fn __truncsfbf2(x: f32) -> f32 {
    nim_vm::code_image::imports::truncate_f32_to_bf16(x)
}

#[unsafe(no_mangle)]
extern "C" fn __truncdfbf2(x: f64) -> f32 {
    nim_vm::code_image::imports::truncate_f64_to_bf16(x)
}

/// Frees a program; null is left alone. Sessions that run it go on.
///
/// # Safety
/// `program` is null or a program of this library, which is gone afterwards, with all that its ports point to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_free(program: *mut nim_program) {
    if !program.is_null() {
        // SAFETY: made by `Box::into_raw` above.
        plain((), || drop(unsafe { Box::from_raw(program) }));
    }
}

/// Which version of the toolkit compiled the program.
///
/// # Safety
/// `program` is null or a program of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_producer(program: *const nim_program) -> *const c_char {
    // SAFETY: see above.
    unsafe { program.as_ref() }.map_or(c"".as_ptr(), |p| p.producer.as_ptr())
}

/// Number of inputs.
///
/// # Safety
/// As for `nim_program_producer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_input_count(program: *const nim_program) -> usize {
    // SAFETY: see above.
    unsafe { program.as_ref() }.map_or(0, |p| p.inputs.len())
}

/// Number of outputs.
///
/// # Safety
/// As for `nim_program_producer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_output_count(program: *const nim_program) -> usize {
    // SAFETY: see above.
    unsafe { program.as_ref() }.map_or(0, |p| p.outputs.len())
}

/// An input, from 0 on; null when there is no such one. Lives as long as the program object.
///
/// # Safety
/// As for `nim_program_producer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_input(program: *const nim_program, index: usize) -> *const nim_port {
    // SAFETY: see above.
    unsafe { program.as_ref() }.and_then(|p| p.inputs.get(index)).map_or(ptr::null(), |p| &raw const p.port)
}

/// An output, from 0 on; null when there is no such one. Lives as long as the program object.
///
/// # Safety
/// As for `nim_program_producer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_output(program: *const nim_program, index: usize) -> *const nim_port {
    // SAFETY: see above.
    unsafe { program.as_ref() }.and_then(|p| p.outputs.get(index)).map_or(ptr::null(), |p| &raw const p.port)
}
