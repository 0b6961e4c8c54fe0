//! Hot shapes: programs for just the dimensions that inputs often have, made in the background while the program itself goes on.
//!
//! A program knows no compiler. Who has one hands it over ([`Program::specialised_by`]); what runs with the same dimensions
//! often enough is then asked of it, on a thread of its own, one at a time. A call never waits for that: until the answer is
//! there, and for good when it is a refusal, the program itself runs. All sessions of the program share what was made. Constants
//! that the program has already are taken from it; others are bounded, and so is the number of shapes: the one that was not
//! used for longest goes first, unless it is still in use and far hotter than the one that comes.

use crate::bytecode::DeviceId;
use crate::machine::pool::Pool;
use crate::machine::slot::{Slot, TensorRef};
use crate::program::{Inner, Program, SignatureValue, ValueType};
use nim_tensor::Tensor;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Makes programs for shapes: a compiler and what it compiles.
pub trait Specialiser: Send + Sync {
    /// The program for inputs of just these dimensions: inputs and results are those of the program, in its order and under its names.
    ///
    /// # Errors
    /// Why there is none, in words; it is not asked for again.
    fn specialise(&self, shapes: &[Vec<usize>]) -> Result<Program, String>;

    /// Nobody wants what is being made any more: [`Specialiser::specialise`] may give up. It is waited for.
    fn cancel(&self) {}
}

/// When shapes are specialised, and what that may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialiseOptions {
    /// Runs with the same dimensions, of all sessions together, before a program is made for them.
    pub after: u64,
    /// Most shapes that have a program.
    pub programs: usize,
    /// Most bytes of constants that one of them has for itself.
    pub constants: usize,
}

impl Default for SpecialiseOptions {
    fn default() -> Self {
        SpecialiseOptions { after: 100, programs: 4, constants: 64 << 20 }
    }
}

/// What became of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecialisedState {
    /// It was not run often enough, or something else took its place.
    Counted,
    /// A program for it is being made, or will be.
    Asked,
    /// It runs a program of its own.
    Ready {
        /// How long that took to make.
        took: Duration,
        /// Runs of it.
        runs: u64,
        /// Bytes of constants that only it has.
        constants: usize,
    },
    /// There is no program for it, and why.
    Refused(String),
}

/// A shape that a program was run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialisedShape {
    /// Inputs and their dimensions: `x=1x64, n=`.
    pub shape: String,
    /// Runs of the program itself.
    pub runs: u64,
    /// What became of it.
    pub state: SpecialisedState,
}

impl fmt::Display for SpecialisedShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpecialisedShape { shape, runs, state } = self;
        write!(f, "{shape}: {runs} runs of the program for all shapes")?;
        match state {
            SpecialisedState::Counted => Ok(()),
            SpecialisedState::Asked => write!(f, "; its own is being made"),
            SpecialisedState::Ready { took, runs, constants } => {
                let took = took.as_secs_f64();
                write!(f, ", {runs} of its own, made in {took:.2} s, with {constants} bytes of constants of its own")
            }
            SpecialisedState::Refused(why) => write!(f, "; none of its own: {why}"),
        }
    }
}

/// For each input the number of its dimensions, and these.
type Key = SmallVec<[i64; 12]>;

/// Runs of any hot shape since which one counts as still in use.
const IN_USE: u64 = 1024;
/// Shapes that are counted; then counting begins anew.
const COUNTED: usize = 1024;

enum Made {
    Counted,
    Asked,
    Ready { program: Program, took: Duration, runs: u64, constants: usize },
    Refused(String),
}

struct Shape {
    runs: u64,
    /// Runs that are left before it is asked for.
    missing: u64,
    /// It is asked for after so many: more often each time that it had to go, so that shapes that take turns do not keep the
    /// compiler busy.
    after: u64,
    used: u64,
    made: Made,
}

impl Shape {
    /// Runs of the program itself, and of its own one.
    fn all_runs(&self) -> u64 {
        match self.made {
            Made::Ready { runs, .. } => self.runs + runs,
            _ => self.runs,
        }
    }

    /// Takes its program away; it has to run twice as often to get another.
    fn give_up(&mut self) -> Made {
        self.after = self.after.saturating_mul(2);
        self.missing = self.after;
        std::mem::replace(&mut self.made, Made::Counted)
    }
}

#[derive(Default)]
struct State {
    shapes: HashMap<Key, Shape>,
    clock: u64,
    working: bool,
    worker: Option<JoinHandle<()>>,
}

/// What is known of the shapes of one program.
pub(crate) struct Hot {
    base: Weak<Inner>,
    maker: Arc<dyn Specialiser>,
    options: SpecialiseOptions,
    state: Mutex<State>,
}

impl fmt::Debug for Hot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hot").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Program {
    /// The same program, for which `maker` makes others for shapes that are run often. All its clones and sessions share
    /// them. Results are then those of the program that is compiled for these dimensions: sums may be in another order.
    #[must_use]
    pub fn specialised_by(&self, maker: Arc<dyn Specialiser>, options: SpecialiseOptions) -> Program {
        let base = Arc::downgrade(&self.inner);
        let hot = Hot { base, maker, options, state: Mutex::default() };
        Program { inner: self.inner.clone(), hot: Some(Arc::new(hot)) }
    }

    /// How it is specialised, if it is.
    pub fn specialise_options(&self) -> Option<SpecialiseOptions> {
        self.hot.as_ref().map(|hot| hot.options)
    }

    /// Shapes that it was run with, the most frequent first; none of a program that is not specialised.
    pub fn specialised(&self) -> Vec<SpecialisedShape> {
        self.hot.as_ref().map(|hot| hot.report(&self.signature().inputs)).unwrap_or_default()
    }

    /// Whether a program for some shape is being made.
    pub fn is_specialising(&self) -> bool {
        self.hot.as_ref().is_some_and(|hot| hot.lock().working)
    }

    /// Takes the constants that another program has too from it; the bytes of those that it does not have.
    fn share_constants(&mut self, with: &Inner) -> usize {
        let Some(inner) = Arc::get_mut(&mut self.inner) else { return self.constant_bytes() };
        let mut own = 0;
        for (tensor, slot) in inner.contents.constants.iter_mut().zip(&mut inner.constants) {
            let known = with
                .contents
                .constants
                .iter()
                .zip(&with.constants)
                .find(|(other, place)| same(other, tensor) && device_of(place) == device_of(slot));
            if let Some((other, known)) = known {
                (*tensor, *slot) = (other.clone(), known.clone());
            } else if let Slot::Tensor(found) = &*slot {
                own += found.byte_len();
                if found.device() != DeviceId::HOST {
                    continue;
                }
                // A copy: what it was loaded from goes with all that is the same.
                if let Some(copy) = copy(found) {
                    (*tensor, *slot) = (copy.to_tensor(), Slot::Tensor(copy));
                }
            }
        }
        own
    }
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    (a.dtype(), a.dims()) == (b.dtype(), b.dims()) && a.bytes() == b.bytes() && a.as_strings() == b.as_strings()
}

/// The same elements in memory of their own; nothing where there is none.
fn copy(tensor: &TensorRef) -> Option<TensorRef> {
    let block = Pool::new(usize::MAX).allocate(tensor.byte_len()).ok()?;
    // SAFETY: a fresh block that has as many bytes.
    unsafe { std::ptr::copy_nonoverlapping(tensor.read_ptr(), block.as_ptr(), tensor.byte_len()) };
    let shared = TensorRef::in_block(block, 0, tensor.dtype(), tensor.dims())?.to_tensor();
    // Nobody may write to it.
    TensorRef::shared(&shared)
}

fn device_of(slot: &Slot) -> DeviceId {
    match slot {
        Slot::Tensor(tensor) => tensor.device(),
        _ => DeviceId::HOST,
    }
}

/// The key of inputs that are all tensors.
pub(crate) fn key(args: &[Slot]) -> Option<Key> {
    let mut key = Key::new();
    for arg in args {
        let dims = arg.dims()?;
        key.push(dims.len() as i64);
        key.extend_from_slice(&dims);
    }
    Some(key)
}

/// The dimensions that a key stands for.
fn shapes(mut key: &[i64]) -> Vec<Vec<usize>> {
    let mut all = vec![];
    while let Some((&rank, rest)) = key.split_first() {
        let (dims, rest) = rest.split_at(rank as usize);
        all.push(dims.iter().map(|&d| d as usize).collect());
        key = rest;
    }
    all
}

impl Hot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Most shapes that have a program.
    pub(crate) fn most(&self) -> usize {
        self.options.programs.max(1)
    }

    /// The program for a shape, if it is there.
    pub(crate) fn find(&self, key: &Key) -> Option<Program> {
        let mut state = self.lock();
        state.clock += 1;
        let clock = state.clock;
        let shape = state.shapes.get_mut(key)?;
        let Made::Ready { program, runs, .. } = &mut shape.made else { return None };
        *runs += 1;
        shape.used = clock;
        Some(program.clone())
    }

    /// The program itself has run with this shape, without an error.
    pub(crate) fn ran(self: &Arc<Self>, key: Key) {
        let mut state = self.lock();
        if state.shapes.len() >= COUNTED && !state.shapes.contains_key(&key) {
            // What was made or refused stays known, unless that is all there is.
            state.shapes.retain(|_, shape| matches!(shape.made, Made::Asked | Made::Ready { .. }));
        }
        let after = self.options.after.max(1);
        let new = || Shape { runs: 0, missing: after, after, used: 0, made: Made::Counted };
        let shape = state.shapes.entry(key).or_insert_with(new);
        shape.runs += 1;
        shape.missing = shape.missing.saturating_sub(1);
        if shape.missing > 0 || !matches!(shape.made, Made::Counted) || self.options.programs == 0 {
            return;
        }
        shape.made = Made::Asked;
        if !state.working {
            let (hot, maker) = (Arc::downgrade(self), self.maker.clone());
            let thread = std::thread::Builder::new().name("nim-specialise".into());
            // A thread that cannot be had now is asked for again when the next shape becomes hot.
            if let Ok(worker) = thread.spawn(move || work(&hot, &*maker)) {
                state.working = true;
                state.worker = Some(worker);
            }
        }
    }

    /// The program for a shape failed where the program itself did not: it is used no more.
    pub(crate) fn failed(&self, key: &Key, why: &str) {
        let refused = Made::Refused(format!("it failed where the program for all shapes does not: {why}"));
        // Programs are unloaded when the lock is free again.
        let mut state = self.lock();
        let old = state.shapes.get_mut(key).map(|shape| std::mem::replace(&mut shape.made, refused));
        drop(state);
        drop(old);
    }

    /// The shape that was asked for and ran most; nothing ends the work.
    fn next(&self) -> Option<Key> {
        let mut state = self.lock();
        let asked = state.shapes.iter().filter(|(_, shape)| matches!(shape.made, Made::Asked));
        let next = asked.max_by_key(|(_, shape)| shape.runs).map(|(key, _)| key.clone());
        state.working = next.is_some();
        next
    }

    /// Puts a program in its place, or says why there is none.
    fn put(&self, key: &Key, made: Result<Program, String>, took: Duration) {
        let accepted = made.and_then(|program| self.accept(program));
        let mut gone = vec![];
        let mut state = self.lock();
        state.clock += 1;
        let clock = state.clock;
        let own = state.shapes.get(key).map_or(0, Shape::all_runs);
        let mut colder = false;
        if accepted.is_ok() {
            let ready = |shape: &Shape| matches!(shape.made, Made::Ready { .. });
            while state.shapes.values().filter(|s| ready(s)).count() >= self.options.programs {
                let oldest = state.shapes.values_mut().filter(|s| ready(s)).min_by_key(|s| s.used);
                let Some(oldest) = oldest else { break };
                colder = own < oldest.all_runs() / 2 && clock - oldest.used <= IN_USE;
                if colder {
                    break;
                }
                gone.push(oldest.give_up());
            }
        }
        if colder && let Some(shape) = state.shapes.get_mut(key) {
            shape.give_up();
            drop(state);
            return;
        }
        if let Some(shape) = state.shapes.get_mut(key) {
            shape.used = clock;
            shape.made = match accepted {
                Ok((program, constants)) => Made::Ready { program, took, runs: 0, constants },
                Err(why) => Made::Refused(why),
            };
        }
        // Programs are unloaded when the lock is free again.
        drop(state);
        drop(gone);
    }

    /// A program that may stand in for the base, and the bytes of constants that only it has.
    fn accept(&self, mut program: Program) -> Result<(Program, usize), String> {
        let Some(base) = self.base.upgrade() else { return Err("the program is gone".into()) };
        let (own, other) = (&base.contents.signature, program.signature());
        let same = |a: &[SignatureValue], b: &[SignatureValue]| {
            let kind = |ty: &ValueType| match ty {
                ValueType::Tensor { dtype, .. } => Some(*dtype),
                _ => None,
            };
            let fits = |a: &SignatureValue, b: &SignatureValue| {
                let like = kind(&a.ty) == kind(&b.ty) && (kind(&a.ty).is_some() || a.ty == b.ty);
                a.name == b.name && like
            };
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| fits(a, b))
        };
        if !same(&own.inputs, &other.inputs)
            || !same(&own.outputs, &other.outputs)
            || own.types != other.types
            || base.contents.devices != program.devices()
        {
            return Err("what was made takes or gives something else than the program".into());
        }
        let constants = program.share_constants(&base);
        let most = self.options.constants;
        match constants <= most {
            true => Ok((program, constants)),
            false => Err(format!("it needs {constants} bytes of constants of its own, at most {most} are allowed")),
        }
    }

    fn report(&self, inputs: &[SignatureValue]) -> Vec<SpecialisedShape> {
        let name = |key: &Key| {
            let text = |(input, dims): (&SignatureValue, Vec<usize>)| {
                let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
                format!("{}={}", input.name, dims.join("x"))
            };
            inputs.iter().zip(shapes(key)).map(text).collect::<Vec<_>>().join(", ")
        };
        let state = self.lock();
        let shape = |(key, shape): (&Key, &Shape)| {
            let state = match &shape.made {
                Made::Counted => SpecialisedState::Counted,
                Made::Asked => SpecialisedState::Asked,
                &Made::Ready { took, runs, constants, .. } => SpecialisedState::Ready { took, runs, constants },
                Made::Refused(why) => SpecialisedState::Refused(why.clone()),
            };
            SpecialisedShape { shape: name(key), runs: shape.runs, state }
        };
        let mut all: Vec<SpecialisedShape> = state.shapes.iter().map(shape).collect();
        let of_its_own = |s: &SpecialisedShape| match s.state {
            SpecialisedState::Ready { runs, .. } => runs,
            _ => 0,
        };
        all.sort_by(|a, b| (b.runs + of_its_own(b), &a.shape).cmp(&(a.runs + of_its_own(a), &b.shape)));
        all
    }
}

/// What the thread does: one shape after the other, until none is asked for or nobody is there to ask.
fn work(hot: &Weak<Hot>, maker: &dyn Specialiser) {
    loop {
        // Held only for a moment: whoever drops the last program need not wait for more than what is being made.
        let Some(key) = hot.upgrade().and_then(|hot| hot.next()) else { return };
        let start = Instant::now();
        let made = catch_unwind(AssertUnwindSafe(|| maker.specialise(&shapes(&key))));
        let made = made.unwrap_or_else(|_| Err("the compiler panicked".into()));
        match hot.upgrade() {
            Some(hot) => hot.put(&key, made, start.elapsed()),
            None => return,
        }
    }
}

impl Drop for Hot {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(worker) = state.worker.take() else { return };
        self.maker.cancel();
        // It may be the thread itself that has held it last.
        if worker.thread().id() != std::thread::current().id() {
            // It has caught its panics.
            let _ = worker.join();
        }
    }
}
