//! What kernels are measured on: values of symbols, and random contents that nothing is faster or slower on than on real ones.

use nim_dataflow::MapView;
use nim_ir::{Body, Context, Expr, Facts, OpId, Symbol, Type};
use nim_tensor::{DType, encode_f64};

/// What a symbol is taken to be that nothing is likely of.
const ASSUMED: i64 = 64;

/// Values for the symbols of a kernel, in the order of its ABI: what is likely, else [`ASSUMED`], within what is known. A symbol that is
/// only ever the first dimension of buffers of three and more is a batch, and taken to be 1; one that is no size of a buffer (the number
/// of an iteration) is as small as it may be. `None` where with these values a map would reach
/// beyond its buffers: they depend on each other in a way that the kernel does not tell.
pub fn symbols(ctx: &Context, module: &Body, kernel: OpId) -> Option<Vec<i64>> {
    let pool = &ctx.exprs;
    let source = module.nested(kernel)?;
    let facts = nim_builtin::assume::facts_of_kernel(ctx, module, kernel);
    let types = types(ctx, source)?;
    let sizes: Vec<Symbol> = types
        .iter()
        .flat_map(|&ty| ctx.dim_exprs(ty).unwrap_or_default())
        .flat_map(|dim| pool.symbols(dim).to_vec())
        .collect();
    let batch = |symbol: Symbol| {
        types.iter().filter_map(|&ty| ctx.dim_exprs(ty)).all(|dims| {
            let mentions = |&dim: &Expr| pool.mentions(dim, symbol);
            !dims.iter().skip(1).any(mentions) && (dims.len() > 2 || !dims.iter().any(mentions))
        })
    };
    let names = nim_dataflow::kernel_symbols(ctx, module, kernel);
    let symbols: Vec<Symbol> = names.iter().map(|name| pool.symbol(name)).collect();
    let value = |symbol: &Symbol| {
        let known = facts.get(*symbol);
        let wanted = match sizes.contains(symbol) {
            true => known.likely.unwrap_or(if batch(*symbol) { 1 } else { ASSUMED }).max(1),
            false => known.min.unwrap_or(0),
        };
        let least = known.min.unwrap_or(0);
        let step = known.divisor.max(1);
        let up = |n: i64| n.div_euclid(step).saturating_add(i64::from(n.rem_euclid(step) != 0)).saturating_mul(step);
        let most = known.max.map_or(i64::MAX, |max| max.div_euclid(step) * step);
        up(wanted.max(least)).min(most)
    };
    let values: Vec<i64> = symbols.iter().map(value).collect();
    let given = |symbol: Symbol| symbols.iter().position(|&s| s == symbol).map(|at| values[at]);
    inside(ctx, source, &given).then_some(values)
}

/// Types of everything that a kernel is given and gives.
fn types(ctx: &Context, source: &Body) -> Option<Vec<Type>> {
    let entry = source.entry()?;
    let mut types: Vec<Type> = source.block_args(entry).iter().map(|&arg| source.ty(arg)).collect();
    for op in source.block_ops(entry).filter(|&op| source.is(ctx, op, "dataflow.map")) {
        types.extend(source.results(op).iter().map(|&result| source.ty(result)));
    }
    Some(types)
}

/// Whether all memlets stay inside of their containers at these values of the symbols.
fn inside(ctx: &Context, source: &Body, given: &dyn Fn(Symbol) -> Option<i64>) -> bool {
    let pool = &ctx.exprs;
    let Some(entry) = source.entry() else { return false };
    let fixed = |e: Expr| pool.substitute(e, &mut |symbol| given(symbol).map(|value| pool.constant(value)));
    let one = |op: OpId| -> Option<bool> {
        let view = MapView::new(ctx, source, op)?;
        let mut facts = Facts::default();
        for (k, &extent) in view.domain.iter().enumerate() {
            let extent = pool.as_const(fixed(extent))?;
            if extent == 0 {
                return Some(true);
            }
            facts.set_range(nim_dataflow::iv_symbol(ctx, k), 0, extent - 1);
        }
        let within = |subset: Option<&[Expr]>, ty: Type| -> Option<bool> {
            let Some(subset) = subset else { return Some(true) };
            let dims = ctx.dim_exprs(ty)?;
            Some(subset.iter().zip(&dims).all(|(&index, &dim)| {
                let bounds = pool.bounds(fixed(index), &facts);
                let end = pool.as_const(fixed(dim));
                bounds.min.is_some_and(|min| min >= 0) && bounds.max.zip(end).is_some_and(|(max, end)| max < end)
            }))
        };
        let reads = view.reads.iter().chain(&view.epilogue_reads).filter(|read| read.border.is_none());
        for read in reads {
            if !within(read.subset.as_deref(), source.ty(read.value))? {
                return Some(false);
            }
        }
        for write in &view.writes {
            if !within(write.subset.as_deref(), write.ty)? {
                return Some(false);
            }
        }
        Some(true)
    };
    source.block_ops(entry).filter(|&op| source.is(ctx, op, "dataflow.map")).all(|op| one(op) == Some(true))
}

/// A generator of numbers (SplitMix64), the same ones each time.
pub struct Random(u64);

impl Random {
    /// Begins at a number.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Random elements: of floats numbers around zero whose size is between a sixteenth and one, so that neither they nor products of
/// them are denormal; of bytes all there are; of wider integers small ones that are not negative, as indices are; both truth values.
/// `None` for what is no number.
pub fn fill(dtype: DType, count: usize, random: &mut Random) -> Option<Vec<u8>> {
    let size = dtype.size();
    let mut out = vec![0u8; count.checked_mul(size)?];
    match dtype {
        DType::U8 | DType::I8 => {
            for chunk in out.chunks_mut(8) {
                let bytes = random.next().to_le_bytes();
                let len = chunk.len();
                chunk.copy_from_slice(&bytes[..len]);
            }
        }
        DType::Bool => out.iter_mut().for_each(|byte| *byte = (random.next() & 1) as u8),
        _ if dtype.is_integer() && size >= 2 => {
            for chunk in out.chunks_exact_mut(size) {
                chunk[0] = (random.next() % 8) as u8;
            }
        }
        DType::F32 => {
            for chunk in out.chunks_exact_mut(4) {
                chunk.copy_from_slice(&(float(random) as f32).to_le_bytes());
            }
        }
        DType::F16 | DType::BF16 | DType::F64 => {
            for chunk in out.chunks_exact_mut(size) {
                chunk.copy_from_slice(&encode_f64(dtype, float(random)));
            }
        }
        _ => return None,
    }
    Some(out)
}

fn float(random: &mut Random) -> f64 {
    let size = 0.0625 + 0.9375 * random.unit();
    if random.next() & 1 == 0 { size } else { -size }
}

/// Whether an element of this type is one of those that [`fill`] makes: for tests.
#[cfg(test)]
fn is_usual(dtype: DType, bytes: &[u8]) -> bool {
    (0.0624..=1.001).contains(&nim_tensor::f64_of(dtype, bytes).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_usual_numbers() {
        let mut random = Random::new(1);
        for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
            let bytes = fill(dtype, 1000, &mut random).expect("numbers");
            assert!(bytes.chunks_exact(dtype.size()).all(|x| is_usual(dtype, x)), "{dtype}");
        }
        let bytes = fill(DType::U8, 5000, &mut random).expect("numbers");
        let mut seen = [false; 256];
        bytes.iter().for_each(|&b| seen[usize::from(b)] = true);
        assert!(seen.iter().all(|&s| s), "the full range of bytes");
        assert!(fill(DType::String, 1, &mut random).is_none());
    }
}
