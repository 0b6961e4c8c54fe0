//! The runtime library: what is neither a kernel nor an instruction. One file a family, found by name.
//!
//! A function gets integer attributes (`ints`; floats as the bits of an `f64`), sizes, and host values that share the
//! elements of the program's tensors; it gives fresh values. It never panics on any operand: what it cannot do it says.

mod access;
mod broadcast;
mod image;
mod map;
mod nms;
mod nonzero;
mod random;
mod sequence;
mod text;
mod topk;
mod unique;

pub use random::Draws;

use nim_tensor::{DType, Tensor, Value, tensor::element_count};

/// What a runtime function is given.
#[derive(Debug)]
pub struct Call<'a> {
    /// Integer attributes; their meaning is the function's.
    pub ints: &'a [i64],
    /// Sizes.
    pub sizes: &'a [i64],
    /// Operands.
    pub ins: &'a [Value],
    /// State that lives as long as the session.
    pub env: &'a mut Env,
}

/// State of a session that runtime functions share.
#[derive(Clone, Debug)]
pub struct Env {
    /// Most bytes of one result.
    pub limit: usize,
    /// Where the next seed comes from, for random numbers without one.
    pub seeds: Draws,
    /// Seeds handed out so far.
    pub drawn: u64,
}

/// A function of the library.
pub type Function = fn(&mut Call<'_>) -> Result<Vec<Value>, String>;

/// All functions by name.
pub const FUNCTIONS: &[(&str, Function)] = &[
    ("topk", topk::topk),
    ("nonzero", nonzero::nonzero),
    ("unique", unique::unique),
    ("nms", nms::nms),
    ("random.uniform", random::uniform),
    ("random.normal", random::normal),
    ("random.bernoulli", random::bernoulli),
    ("text.concat", text::concat),
    ("text.compare", text::compare),
    ("text.cast", text::cast),
    ("text.split", text::split),
    ("text.normalize", text::normalize),
    ("text.matches", text::matches),
    ("text.ngrams", text::ngrams),
    ("text.lookup", text::lookup),
    ("sequence.construct", sequence::construct),
    ("sequence.at", sequence::at),
    ("sequence.insert", sequence::insert),
    ("sequence.erase", sequence::erase),
    ("sequence.length", sequence::length),
    ("sequence.concat", sequence::concat),
    ("sequence.split", sequence::split),
    ("map.zip", map::zip),
    ("map.vector", map::vector),
    ("map.cast", map::cast),
    ("image.decode", image::decode),
    ("value.same", sequence::same),
    ("value.take", access::take_from_all),
    ("value.bitcast", access::bitcast),
    ("optional.some", sequence::some),
    ("optional.none", sequence::none),
    ("optional.has", sequence::has),
    ("optional.get", sequence::get),
];

/// The function of a name.
pub fn find(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

impl Call<'_> {
    /// Operand `i`, which must be a tensor.
    fn tensor(&self, i: usize) -> Result<&Tensor, String> {
        self.ins.get(i).and_then(Value::as_tensor).ok_or_else(|| format!("operand {i} is no tensor"))
    }
    /// Integer attribute `i`.
    fn int(&self, i: usize) -> Result<i64, String> {
        self.ints.get(i).copied().ok_or_else(|| format!("attribute {i} is missing"))
    }
    /// Float attribute `i`.
    fn float(&self, i: usize) -> Result<f64, String> {
        Ok(f64::from_bits(self.int(i)? as u64))
    }
    /// Element type attribute `i`.
    fn dtype(&self, i: usize) -> Result<DType, String> {
        let code = u32::try_from(self.int(i)?).ok();
        code.and_then(crate::bytecode::field::dtype_of_code).ok_or_else(|| format!("attribute {i} is no element type"))
    }
}

impl Env {
    /// Fails when a result of this shape would be larger than the session may have.
    fn admit(&self, dtype: DType, dims: &[usize]) -> Result<usize, String> {
        let count = element_count(dims);
        let bytes = count.and_then(|n| n.checked_mul(dtype.size().max(1)));
        match (count, bytes) {
            (Some(count), Some(bytes)) if bytes <= self.limit => {
                // Results are vectors, which end the process where the system has no memory: ask first.
                let room = Vec::<u8>::new().try_reserve_exact(bytes);
                room.map(|()| count).map_err(|_| format!("the system has no memory for a result of shape {dims:?}"))
            }
            _ => Err(format!("a result of shape {dims:?} is larger than the memory limit of {} bytes", self.limit)),
        }
    }
}

/// An axis that may count from the back.
fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let from_front = if axis < 0 { axis.checked_add_unsigned(rank as u64) } else { Some(axis) };
    let inside = from_front.and_then(|a| usize::try_from(a).ok()).filter(|&a| a < rank);
    inside.ok_or_else(|| format!("axis {axis} is outside rank {rank}"))
}

/// Not negative.
fn count(n: i64) -> Result<usize, String> {
    usize::try_from(n).map_err(|_| format!("{n} is no number of elements"))
}
