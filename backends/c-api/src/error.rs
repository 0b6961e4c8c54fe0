//! Errors as objects, and the one place where panics end.

use nim_vm::{LoadError, RunError, RunErrorKind};
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// What kind of thing went wrong. Numbers keep their meaning.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum nim_error_code {
    /// An argument is null, or makes no sense in itself.
    NIM_ERROR_ARGUMENT = 1,
    /// Something that should not happen happened in the library: please report it.
    NIM_ERROR_INTERNAL = 2,
    /// A file cannot be read.
    NIM_ERROR_IO = 10,
    /// The file is no compiled program.
    NIM_ERROR_NOT_A_PROGRAM = 11,
    /// The program was written by another version of the toolkit.
    NIM_ERROR_VERSION = 12,
    /// The program is cut off.
    NIM_ERROR_TRUNCATED = 13,
    /// The program is damaged.
    NIM_ERROR_DAMAGED = 14,
    /// The program's instructions were refused by the verifier.
    NIM_ERROR_BYTECODE = 15,
    /// The program's machine code cannot run on this machine.
    NIM_ERROR_MACHINE = 16,
    /// The file with the program's constants is missing, cut off, damaged or another one's.
    NIM_ERROR_CONSTANTS = 17,
    /// The number of inputs is wrong.
    NIM_ERROR_INPUT_COUNT = 20,
    /// An input was not set.
    NIM_ERROR_INPUT_MISSING = 21,
    /// An input is of another element type, rank or kind.
    NIM_ERROR_INPUT_TYPE = 22,
    /// There is no input or output of this name or number.
    NIM_ERROR_NO_SUCH = 23,
    /// A dimension or the number of dimensions is not what it must be.
    NIM_ERROR_SHAPE = 30,
    /// A relation between sizes does not hold.
    NIM_ERROR_GUARD = 31,
    /// A size has no value, or is negative.
    NIM_ERROR_SIZE = 32,
    /// There is too little memory, or more was needed than the limit allows.
    NIM_ERROR_MEMORY = 33,
    /// More steps of loops and calls than the limit allows.
    NIM_ERROR_STEPS = 34,
    /// Calls are nested more deeply than the limit allows.
    NIM_ERROR_DEPTH = 35,
    /// A function of the runtime refused its operands.
    NIM_ERROR_RUNTIME = 36,
    /// The program itself is wrong.
    NIM_ERROR_PROGRAM = 37,
}

use nim_error_code::*;

/// Why a call failed. Whoever gets one frees it with `nim_error_free`.
pub struct nim_error {
    code: nim_error_code,
    message: CString,
    node: Option<CString>,
}

/// A text without the zero bytes that C cannot have in one.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

impl nim_error {
    pub(crate) fn new(code: nim_error_code, message: &str) -> nim_error {
        nim_error { code, message: c_text(message), node: None }
    }
    pub(crate) fn argument(message: &str) -> nim_error {
        nim_error::new(NIM_ERROR_ARGUMENT, message)
    }
}

impl From<LoadError> for nim_error {
    fn from(error: LoadError) -> nim_error {
        let code = match &error {
            LoadError::Io(..) => NIM_ERROR_IO,
            LoadError::NotAProgram => NIM_ERROR_NOT_A_PROGRAM,
            LoadError::Version { .. } => NIM_ERROR_VERSION,
            LoadError::Truncated => NIM_ERROR_TRUNCATED,
            LoadError::Damaged(_) => NIM_ERROR_DAMAGED,
            LoadError::Constants(..) => NIM_ERROR_CONSTANTS,
            LoadError::Bytecode(_) | LoadError::Kernel(_) | LoadError::Function(_) => NIM_ERROR_BYTECODE,
            LoadError::Code(_) => NIM_ERROR_MACHINE,
            LoadError::DeviceMemory { .. } => NIM_ERROR_MEMORY,
        };
        nim_error::new(code, &error.to_string())
    }
}

impl From<RunError> for nim_error {
    fn from(error: RunError) -> nim_error {
        let code = match &*error.kind {
            RunErrorKind::InputCount { .. } => NIM_ERROR_INPUT_COUNT,
            RunErrorKind::InputMissing(_) => NIM_ERROR_INPUT_MISSING,
            RunErrorKind::InputType { .. } => NIM_ERROR_INPUT_TYPE,
            RunErrorKind::NoSuch { .. } => NIM_ERROR_NO_SUCH,
            RunErrorKind::Dimension { .. } | RunErrorKind::Rank { .. } => NIM_ERROR_SHAPE,
            RunErrorKind::Guard { .. } => NIM_ERROR_GUARD,
            RunErrorKind::Size { .. } => NIM_ERROR_SIZE,
            RunErrorKind::Memory { .. } => NIM_ERROR_MEMORY,
            RunErrorKind::Steps(_) => NIM_ERROR_STEPS,
            RunErrorKind::Depth(_) => NIM_ERROR_DEPTH,
            RunErrorKind::Runtime { .. } => NIM_ERROR_RUNTIME,
            // The library gives programs no device but the host.
            RunErrorKind::Device(_) | RunErrorKind::Launch { .. } => NIM_ERROR_MACHINE,
            RunErrorKind::Program(_) => NIM_ERROR_PROGRAM,
        };
        let node = error.node.as_deref().map(c_text);
        nim_error { node, ..nim_error::new(code, &error.to_string()) }
    }
}

/// Runs the body of a function; what goes wrong in it becomes an error object, null stands for success.
pub(crate) fn checked(body: impl FnOnce() -> Result<(), nim_error>) -> *mut nim_error {
    let failed = |error: nim_error| Box::into_raw(Box::new(error));
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => ptr::null_mut(),
        Ok(Err(error)) => failed(error),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            failed(nim_error::new(NIM_ERROR_INTERNAL, &format!("an error of the library: {text}")))
        }
    }
}

/// Runs a body that answers with something plain; a panic gives the fallback.
pub(crate) fn plain<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// The code of an error; 0 for null, which stands for success.
///
/// # Safety
/// `error` is null or an error of this library that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_error_get_code(error: *const nim_error) -> i32 {
    // SAFETY: see above.
    unsafe { error.as_ref() }.map_or(0, |e| e.code as i32)
}

/// What went wrong, as a sentence in UTF-8; lives as long as the error. Never null.
///
/// # Safety
/// As for `nim_error_get_code`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_error_message(error: *const nim_error) -> *const c_char {
    // SAFETY: see above.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |e| e.message.as_ptr())
}

/// The node of the model where it went wrong; null when that is not known.
///
/// # Safety
/// As for `nim_error_get_code`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_error_node(error: *const nim_error) -> *const c_char {
    // SAFETY: see above.
    unsafe { error.as_ref() }.and_then(|e| e.node.as_ref()).map_or(ptr::null(), |n| n.as_ptr())
}

/// Frees an error; null is left alone.
///
/// # Safety
/// As for `nim_error_get_code`; the error is gone afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_error_free(error: *mut nim_error) {
    if !error.is_null() {
        // SAFETY: made by `Box::into_raw` in `checked`.
        plain((), || drop(unsafe { Box::from_raw(error) }));
    }
}
