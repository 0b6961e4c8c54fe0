//! Hot shapes: programs for just the dimensions that inputs often have. The library has no compiler; who has one hands it over.

use crate::error::{checked, nim_error, plain};
use crate::program::nim_program;
use crate::value::nim_release;
use nim_vm::{Program, SpecialiseOptions, SpecialisedState, Specialiser};
use std::ffi::c_void;
use std::sync::Arc;

/// The dimensions of an input.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nim_shape {
    /// Number of dimensions.
    pub rank: usize,
    /// As many sizes; they are there until the call returns.
    pub dims: *const usize,
}

/// Makes a program for inputs of just these dimensions, one shape an input: by `nim-compile --input-shape`, say, and
/// `nim_program_load`. It takes and gives what the program does, under the same names. The library takes it over and frees it.
/// Null where there is none; this shape is not asked for again.
///
/// It is called from a thread of the library, one call at a time, while the program runs on others.
pub type nim_specialiser =
    Option<unsafe extern "C" fn(context: *mut c_void, shapes: *const nim_shape, inputs: usize) -> *mut nim_program>;

/// When shapes are specialised, by whom, and what that may take. `nim_specialise_options_init` first, then the fields that shall be
/// different.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nim_specialise_options {
    /// Size of this structure as the caller was compiled with: set by `nim_specialise_options_init`.
    pub size: usize,
    /// Runs with the same dimensions, of all sessions together, before a program is made for them. 100 unless set.
    pub after: u64,
    /// Most shapes that have a program at a time. 4 unless set.
    pub programs: usize,
    /// Most bytes of constants that one of them has for itself, besides those that the program has too. 64 MiB unless set.
    pub constants: usize,
    /// Who makes the programs: has to be set.
    pub make: nim_specialiser,
    /// Called from any thread when nobody wants what is being made any more: `make` may give up. It is waited for. Null unless set.
    pub cancel: nim_release,
    /// Called once when neither `make` nor `cancel` will be called any more, also when `nim_program_specialise` fails. Null unless set.
    pub release: nim_release,
    /// What these are called with. Null unless set.
    pub context: *mut c_void,
}

/// What became of the shapes that a program was run with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct nim_specialised {
    /// Shapes that are counted.
    pub shapes: usize,
    /// Of these, those that have a program.
    pub ready: usize,
    /// Those that were refused one.
    pub refused: usize,
    /// Runs of programs that were made.
    pub runs: u64,
    /// Whether one is being made.
    pub busy: bool,
}

/// The caller's compiler.
struct Maker {
    make: unsafe extern "C" fn(*mut c_void, *const nim_shape, usize) -> *mut nim_program,
    called: Called,
}

struct Called {
    cancel: nim_release,
    release: nim_release,
    context: *mut c_void,
}

// SAFETY: the header says from where these are called.
unsafe impl Send for Called {}
// SAFETY: as above.
unsafe impl Sync for Called {}

impl Drop for Called {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: called once, with the context that came with it.
            unsafe { release(self.context) };
        }
    }
}

impl Specialiser for Maker {
    fn specialise(&self, shapes: &[Vec<usize>]) -> Result<Program, String> {
        let list: Vec<nim_shape> =
            shapes.iter().map(|dims| nim_shape { rank: dims.len(), dims: dims.as_ptr() }).collect();
        // SAFETY: as the header says; all of it lives until the call returns.
        let made = unsafe { (self.make)(self.called.context, list.as_ptr(), list.len()) };
        if made.is_null() {
            return Err("whoever makes programs made none".into());
        }
        // SAFETY: it is a program of this library, which the caller gave away.
        Ok(unsafe { Box::from_raw(made) }.program)
    }

    fn cancel(&self) {
        if let Some(cancel) = self.called.cancel {
            // SAFETY: as the header says.
            unsafe { cancel(self.called.context) };
        }
    }
}

/// Sets all options to what they are by themselves.
///
/// # Safety
/// `options` is null or points to room for the structure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_specialise_options_init(options: *mut nim_specialise_options) {
    if !options.is_null() {
        let SpecialiseOptions { after, programs, constants } = SpecialiseOptions::default();
        let unset = nim_specialise_options {
            size: size_of::<nim_specialise_options>(),
            after,
            programs,
            constants,
            make: None,
            cancel: None,
            release: None,
            context: std::ptr::null_mut(),
        };
        // SAFETY: see above; whatever was there needs no dropping.
        unsafe { options.write(unset) };
    }
}

/// Has programs made for the shapes that a program is run with often, in the background: runs never wait for that, and what cannot
/// be made leaves all as it was. Sessions that are made of the program afterwards use them and share them. Results are then those of
/// the program that was made: sums may be in another order.
///
/// # Safety
/// `program` is a program of this library that no other thread uses meanwhile; `options` was set by `nim_specialise_options_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_specialise(
    program: *mut nim_program,
    options: *const nim_specialise_options,
) -> *mut nim_error {
    checked(|| {
        // SAFETY: see above.
        let Some(given) = (unsafe { options.as_ref() }) else {
            return Err(nim_error::argument("nim_program_specialise: options is null"));
        };
        if given.size != size_of::<nim_specialise_options>() {
            let message = "nim_program_specialise: options were not set by nim_specialise_options_init";
            return Err(nim_error::argument(message));
        }
        // Made first, so that it is released whatever happens.
        let called = Called { cancel: given.cancel, release: given.release, context: given.context };
        // SAFETY: see above.
        let (Some(program), Some(make)) = (unsafe { program.as_mut() }, given.make) else {
            return Err(nim_error::argument("nim_program_specialise: program or options.make is null"));
        };
        let options =
            SpecialiseOptions { after: given.after.max(1), programs: given.programs, constants: given.constants };
        program.program = program.program.specialised_by(Arc::new(Maker { make, called }), options);
        Ok(())
    })
}

/// What became of the shapes that a program was run with; all 0 of one that is not specialised.
///
/// # Safety
/// `program` is null or a program of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nim_program_specialised(program: *const nim_program) -> nim_specialised {
    plain(nim_specialised::default(), || {
        // SAFETY: see above.
        let Some(program) = (unsafe { program.as_ref() }) else { return nim_specialised::default() };
        let all = program.program.specialised();
        let ready = all.iter().filter_map(|shape| match shape.state {
            SpecialisedState::Ready { runs, .. } => Some(runs),
            _ => None,
        });
        nim_specialised {
            shapes: all.len(),
            ready: ready.clone().count(),
            refused: all.iter().filter(|shape| matches!(shape.state, SpecialisedState::Refused(_))).count(),
            runs: ready.sum(),
            busy: program.program.is_specialising(),
        }
    })
}
