//! Sessions: inputs, a run, outputs.

use crate::error::{checked, nim_error, plain};
use crate::program::nim_program;
use crate::value::{nim_release, nim_value, tensor};
use nim_tensor::Value;
use nim_vm::{BoundSession, Options};
use std::ffi::c_void;
use std::ptr;

/// Runs a program again and again; keeps inputs, memory and threads in between. One thread uses it at a time.
pub struct nim_session {
    session: BoundSession,
}

/// How a session runs. `nim_options_init` first, then the fields that shall be different.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nim_options {
    /// Size of this structure as the caller was compiled with: set by `nim_options_init`.
    pub size: usize,
    /// Threads that work on one kernel. 1 unless set.
    pub threads: usize,
    /// Most bytes of memory for tensors at a time, inputs and constants not counted. No limit unless set.
    pub memory_limit: usize,
    /// Most steps of loops and calls in one run. No limit unless set.
    pub max_steps: u64,
    /// Most levels of calls. 200,000 unless set.
    pub max_depth: usize,
    /// Where random numbers without a seed begin, if `has_seed`.
    pub seed: u64,
    /// Whether `seed` is used; else the clock is.
    pub has_seed: bool,
    /// Whether each thread, and the one that makes the session, stays on a CPU of its own. Only one session should. No unless set.
    pub pinned: bool,
}

/// Sets all options to what they are by themselves.
///
/// # Safety
/// `options` is null or points to room for the structure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_options_init(options: *mut nim_options) {
    if !options.is_null() {
        let unset = nim_options {
            size: size_of::<nim_options>(),
            threads: 1,
            memory_limit: usize::MAX,
            max_steps: u64::MAX,
            max_depth: Options::default().max_depth,
            seed: 0,
            has_seed: false,
            pinned: false,
        };
        // SAFETY: see above; whatever was there needs no dropping.
        unsafe { options.write(unset) };
    }
}

/// A session of a program; `options` may be null.
///
/// # Safety
/// `program` is a program of this library; `options` is null or was set by `nim_options_init`; `session` points to where
/// the result goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_session_new(
    program: *const nim_program,
    options: *const nim_options,
    session: *mut *mut nim_session,
) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above.
        let (program, given) = unsafe { (program.as_ref(), options.as_ref()) };
        let Some(program) = program.filter(|_| !session.is_null()) else {
            return Err(nim_error::argument("nim_session_new: program or session is null"));
        };
        let mut options = Options { threads: 1, ..Options::default() };
        if let Some(given) = given {
            if given.size != size_of::<nim_options>() {
                return Err(nim_error::argument("nim_session_new: options were not set by nim_options_init"));
            }
            options.threads = given.threads.clamp(1, 1024);
            options.memory_limit = given.memory_limit;
            options.max_steps = given.max_steps;
            options.max_depth = given.max_depth;
            options.pinned = given.pinned;
            options.seed = given.has_seed.then_some(given.seed);
        }
        let made = nim_session { session: BoundSession::new(&program.program, options) };
        // SAFETY: see above.
        unsafe { *session = Box::into_raw(Box::new(made)) };
        Ok(())
    })
}

/// Frees a session with its outputs; null is left alone.
///
/// # Safety
/// `session` is null or a session of this library, which is gone afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_session_free(session: *mut nim_session) {
    if !session.is_null() {
        // SAFETY: made by `Box::into_raw` above.
        plain((), || drop(unsafe { Box::from_raw(session) }));
    }
}

/// Sets an input to a tensor in the caller's memory, which is not copied (unless its address is no multiple of the size of
/// an element). It stays set for the following runs; its elements may be changed between runs. With `release` the memory is
/// used until `release(context)` is called, which happens exactly once, also when this function fails: when the input was
/// set anew or the session was freed, and no output that shares it is left. Without, it must stay until then.
///
/// # Safety
/// `session` is a session of this library; `dims` has `rank` sizes; `data` has `bytes` bytes, aligned or not.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn nim_session_set_input(
    session: *mut nim_session,
    index: usize,
    dtype: i32,
    dims: *const usize,
    rank: usize,
    data: *const c_void,
    bytes: usize,
    release: nim_release,
    context: *mut c_void,
) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above.
        let value = unsafe { tensor(dtype, dims, rank, data, bytes, release, context) }?;
        // SAFETY: see above.
        let session = unsafe { of(session) }?;
        Ok(session.session.set_input(index, value)?)
    })
}

/// Sets an input to a value, which is shared with the caller, not taken.
///
/// # Safety
/// `session` is a session of this library, `value` a value of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_session_set_input_value(
    session: *mut nim_session,
    index: usize,
    value: *const nim_value,
) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above.
        let (session, value) = unsafe { (of(session)?, value.as_ref()) };
        let value = value.ok_or_else(|| nim_error::argument("nim_session_set_input_value: value is null"))?;
        Ok(session.session.set_input(index, value.value.clone())?)
    })
}

/// Makes an output of each run the input of the next one, by their numbers, without a copy: a recurrent state. The input is
/// set once, for the first run. A run that fails leaves the state as it was.
///
/// # Safety
/// `session` is a session of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_session_feed_back(
    session: *mut nim_session,
    output: usize,
    input: usize,
) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above.
        let session = unsafe { of(session) }?;
        Ok(session.session.feed_back_index(output, input)?)
    })
}

/// Runs the program on the inputs as they are set. Outputs of the run before are gone then. Kernels keep up to 1 MiB on the stack of
/// the thread that runs them.
///
/// # Safety
/// `session` is a session of this library that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_session_run(session: *mut nim_session) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above.
        let session = unsafe { of(session) }?;
        session.session.run()?;
        Ok(())
    })
}

/// An output of the last run, from 0 on; null when there is no such one, or the run failed. Lives until the next run;
/// `nim_value_share` makes it last longer.
///
/// # Safety
/// `session` is null or a session of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_session_output(session: *const nim_session, index: usize) -> *const nim_value {
    // SAFETY: see above.
    let value = unsafe { session.as_ref() }.and_then(|s| s.session.outputs().get(index));
    value.map_or(ptr::null(), |value| ptr::from_ref::<Value>(value).cast())
}

/// Copies the elements of an output into the caller's memory and its dimensions to `dims`, which has room for `rank` of
/// them. Fails unless the output is a tensor of numbers of just this rank and of at most `capacity` bytes.
///
/// # Safety
/// `session` is a session of this library; `data` has `capacity` bytes and `dims` room for `rank` sizes (or is null).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_session_copy_output(
    session: *const nim_session,
    index: usize,
    data: *mut c_void,
    capacity: usize,
    dims: *mut usize,
    rank: usize,
) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above.
        let session = unsafe { session.as_ref() }.ok_or_else(|| nim_error::argument("session is null"))?;
        let output = session.session.outputs().get(index).and_then(Value::as_tensor);
        let Some(tensor) = output.filter(|t| t.blob().is_some()) else {
            return Err(nim_error::argument(&format!("there is no output {index} that is a tensor of numbers")));
        };
        let bytes = tensor.bytes();
        if bytes.len() > capacity || (!dims.is_null() && rank != tensor.rank()) {
            let message = format!(
                "output {index} has {} bytes and the shape {:?}; there is room for {capacity} bytes and {rank} dimensions",
                bytes.len(),
                tensor.dims()
            );
            return Err(nim_error::argument(&message));
        }
        if data.is_null() && !bytes.is_empty() {
            return Err(nim_error::argument("nim_session_copy_output: data is null"));
        }
        if !bytes.is_empty() {
            // SAFETY: there is room for as many bytes, which the caller says are nobody else's.
            unsafe { ptr::copy(bytes.as_ptr(), data.cast(), bytes.len()) };
        }
        if !dims.is_null() {
            // SAFETY: there is room for as many.
            unsafe { ptr::copy(tensor.dims().as_ptr(), dims, rank) };
        }
        Ok(())
    })
}

/// Most bytes of memory that the session's tensors took at a time, inputs and constants not counted.
///
/// # Safety
/// `session` is null or a session of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_session_peak_bytes(session: *const nim_session) -> usize {
    // SAFETY: see above.
    plain(0, || unsafe { session.as_ref() }.map_or(0, |s| s.session.session().memory().peak))
}

/// # Safety
/// `session` is null or a session of this library that nobody else uses.
unsafe fn of<'a>(session: *mut nim_session) -> Result<&'a mut nim_session, nim_error> {
    // SAFETY: see above.
    unsafe { session.as_mut() }.ok_or_else(|| nim_error::argument("session is null"))
}
