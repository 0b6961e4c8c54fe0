//! Constants in the arrangement that kernels read them in: made once, when compiling, instead of at each run.

use nim_ir::{Attr, AttrData, Context, Diagnostic, Expr, FloatKind, Loc};
use nim_tensor::{DType, Tensor, tensor::element_count};

/// Another arrangement that a constant argument is to be brought into before the kernel runs.
///
/// Element `[x0, x1, ...]` of it is element `indices` of the argument, with `$k` for `xk`; outside of the argument stands 0. With
/// matrices `M0, M1, ...` the first dimensions are results of linear maps: there `$k` is what is summed over,
/// `packed[x0, x1, rest] = sum over $0, $1 of M0[x0][$0] * M1[x1][$1] * argument[indices]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packing {
    /// Number of the argument.
    pub arg: usize,
    /// Dimensions of the packed buffer, all of them numbers.
    pub shape: Vec<i64>,
    /// For each dimension of the argument the index that a packed element comes from.
    pub indices: Vec<Expr>,
    /// Linear maps along the first dimensions, by rows; only for constants of `f32`.
    pub matrices: Vec<Vec<Vec<f64>>>,
}

impl Packing {
    /// As an attribute: `{arg, shape, indices, matrices}`.
    pub fn to_attr(&self, ctx: &Context) -> Attr {
        let number = |&x: &f64| ctx.float_attr(x, ctx.float_type(FloatKind::F64));
        let row = |row: &Vec<f64>| ctx.array_attr(row.iter().map(number));
        let matrix = |rows: &Vec<Vec<f64>>| ctx.array_attr(rows.iter().map(row));
        let mut items = vec![
            (ctx.name("arg"), ctx.i64_attr(self.arg as i64)),
            (ctx.name("shape"), ctx.i64_array(&self.shape)),
            (ctx.name("indices"), ctx.exprs_attr(&self.indices)),
        ];
        if !self.matrices.is_empty() {
            items.push((ctx.name("matrices"), ctx.array_attr(self.matrices.iter().map(matrix))));
        }
        ctx.dict_attr(items)
    }

    /// Reads what [`Packing::to_attr`] wrote.
    pub fn from_attr(ctx: &Context, attr: Attr) -> Option<Packing> {
        let AttrData::Dict(items) = ctx.attr_data(attr) else { return None };
        let item = |name: &str| items.iter().find(|(n, _)| ctx.str(*n) == name).map(|(_, a)| *a);
        let numbers = |row: Attr| ctx.as_array(row)?.iter().map(|&x| ctx.as_float(x)).collect::<Option<Vec<f64>>>();
        let matrix = |rows: Attr| ctx.as_array(rows)?.iter().map(|&row| numbers(row)).collect::<Option<Vec<_>>>();
        let matrices = match item("matrices") {
            Some(list) => ctx.as_array(list)?.iter().map(|&m| matrix(m)).collect::<Option<Vec<_>>>()?,
            None => vec![],
        };
        Some(Packing {
            arg: usize::try_from(ctx.as_int(item("arg")?)?).ok()?,
            shape: ctx.as_ints(item("shape")?)?,
            indices: ctx.as_exprs(item("indices")?)?,
            matrices,
        })
    }
}

/// Why a constant cannot be packed.
pub fn cannot_pack(loc: Loc, what: &str) -> Diagnostic {
    Diagnostic::error("N0752", loc, format!("a constant cannot be packed: {what}"))
}

/// A constant in the arrangement that a kernel reads.
///
/// # Errors
/// An index that cannot be computed or a constant of more elements than memory can hold: a defect of the schedule.
pub fn pack(ctx: &Context, tensor: &Tensor, packing: &Packing) -> Result<Tensor, Diagnostic> {
    let error = |what: &str| cannot_pack(Loc::UNKNOWN, what);
    let shape: Result<Vec<usize>, _> = packing.shape.iter().map(|&d| usize::try_from(d)).collect();
    let mut shape = shape.map_err(|_| error("negative size"))?;
    let to = shape.clone();
    let square = |m: &Vec<Vec<f64>>| m.iter().all(|row| row.len() == m[0].len() && !row.is_empty());
    let rows = |(matrix, &size): (&Vec<Vec<f64>>, &usize)| matrix.len() == size && size > 0 && square(matrix);
    let fits = packing.matrices.len() <= shape.len() && packing.matrices.iter().zip(&shape).all(rows);
    if !fits || !packing.matrices.is_empty() && tensor.dtype() != DType::F32 {
        return Err(error("the matrices do not fit"));
    }
    for (matrix, size) in packing.matrices.iter().zip(&mut shape) {
        *size = matrix[0].len();
    }
    let count = element_count(&shape).ok_or_else(|| error("too large"))?;
    if packing.indices.len() != tensor.rank() {
        return Err(error("the rank is another"));
    }
    let size = tensor.dtype().size();
    let mut bytes = vec![0u8; count * size];
    if count > 0 && size > 0 {
        let tables = Tables::new(ctx, &packing.indices, &shape);
        let failed = || error("an index cannot be computed");
        let copied = match tables.all_linear() {
            Some(linear) if !shape.is_empty() && [1, 2, 4, 8].contains(&size) => {
                copy_linear(&linear, tensor, &shape, &mut bytes)
            }
            _ => copy_any(ctx, &tables, tensor, &shape, &mut bytes),
        };
        copied.ok_or_else(failed)?;
    }
    if packing.matrices.is_empty() {
        return Ok(Tensor::from_bytes(tensor.dtype(), &shape, bytes));
    }
    let count = element_count(&to).filter(|n| n.checked_mul(4).is_some()).ok_or_else(|| error("too large"))?;
    let mut out = vec![0f32; count];
    map_linear(&packing.matrices, bytes.as_chunks::<4>().0, &mut out);
    Ok(Tensor::new(&to, out))
}

/// Elements that are mapped at a time: their numbers of 64 bits are all the memory that is needed beside the result.
const CHUNK: usize = 4096;

/// Linear maps along the first dimensions.
fn map_linear(matrices: &[Vec<Vec<f64>>], from: &[[u8; 4]], to: &mut [f32]) {
    let columns: usize = matrices.iter().map(|m| m[0].len()).product();
    let inner = from.len() / columns.max(1);
    for start in (0..inner).step_by(CHUNK) {
        let width = CHUNK.min(inner - start);
        let row = |k: usize| &from[k * inner + start..][..width];
        let mut values: Vec<f64> =
            (0..columns).flat_map(row).map(|&bytes| f64::from(f32::from_ne_bytes(bytes))).collect();
        let mut outer = 1;
        for (k, matrix) in matrices.iter().enumerate() {
            let behind: usize = matrices[k + 1..].iter().map(|m| m[0].len()).product();
            values = map_one(matrix, &values, outer, behind * width);
            outer *= matrix.len();
        }
        for (k, row) in values.chunks_exact(width).enumerate() {
            for (to, &value) in to[k * inner + start..].iter_mut().zip(row) {
                *to = value as f32;
            }
        }
    }
}

/// A linear map along the second of three dimensions, of which the first and the last have `outer` and `inner` elements.
fn map_one(matrix: &[Vec<f64>], values: &[f64], outer: usize, inner: usize) -> Vec<f64> {
    let (to, from) = (matrix.len(), matrix[0].len());
    let mut out = vec![0.0; outer * to * inner];
    for (values, out) in values.chunks_exact(from * inner).zip(out.chunks_exact_mut(to * inner)) {
        for (row, out) in matrix.iter().zip(out.chunks_exact_mut(inner)) {
            for (&weight, values) in row.iter().zip(values.chunks_exact(inner)).filter(|(w, _)| **w != 0.0) {
                for (sum, &value) in out.iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
        }
    }
    out
}

/// Counts `at` on by one within `shape`; false behind the end.
fn advance(at: &mut [usize], shape: &[usize]) -> bool {
    for (i, &n) in at.iter_mut().zip(shape).rev() {
        *i += 1;
        if *i < n {
            return true;
        }
        *i = 0;
    }
    false
}

/// Element by element.
fn copy_any(ctx: &Context, tables: &Tables<'_>, tensor: &Tensor, shape: &[usize], bytes: &mut [u8]) -> Option<()> {
    let (size, from) = (tensor.dtype().size(), tensor.bytes());
    let mut at = vec![0usize; shape.len()];
    for chunk in bytes.chunks_exact_mut(size) {
        let mut position = Some(0usize);
        for (k, &dim) in tensor.dims().iter().enumerate() {
            let index = tables.index(ctx, k, &at)?;
            position = match (position, usize::try_from(index)) {
                (Some(p), Ok(i)) if i < dim => Some(p * dim + i),
                _ => None,
            };
        }
        if let Some(p) = position {
            chunk.copy_from_slice(&from[p * size..(p + 1) * size]);
        }
        advance(&mut at, shape);
    }
    Some(())
}

/// Elements of `SIZE` bytes of one row.
fn copy_row<const SIZE: usize>(row: &mut [u8], from: &[u8], range: std::ops::Range<i64>, start: i64, step: i64) {
    let (to, _) = row.as_chunks_mut::<SIZE>();
    let (from, _) = from.as_chunks::<SIZE>();
    for i in range {
        to[i as usize] = from[(start + i * step) as usize];
    }
}

/// Row by row along the last packed dimension: where a row is inside of the tensor is known before it is walked.
fn copy_linear(linear: &[(i64, &[i64])], tensor: &Tensor, shape: &[usize], bytes: &mut [u8]) -> Option<()> {
    let (size, from) = (tensor.dtype().size(), tensor.bytes());
    let (&width, outer) = shape.split_last()?;
    let mut at = vec![0usize; outer.len()];
    for row in bytes.chunks_exact_mut(width * size) {
        // Elements `begin..end` of the row come from `start + i*step`.
        let (mut begin, mut end, mut start, mut step) = (0i64, i64::try_from(width).ok()?, 0i64, 0i64);
        for (&(constant, coefficients), &dim) in linear.iter().zip(tensor.dims()) {
            let dim = i64::try_from(dim).ok()?;
            let first = coefficients.iter().zip(&at).map(|(&c, &i)| c * i as i64).sum::<i64>() + constant;
            let along = *coefficients.last()?;
            // The `i` with `0 <= first + i*along < dim`.
            let (low, high) = match along {
                0 if (0..dim).contains(&first) => (begin, end),
                0 => (0, 0),
                1.. => ((-first + along - 1).div_euclid(along), (dim - first + along - 1).div_euclid(along)),
                _ => ((first - dim).div_euclid(-along) + 1, first.div_euclid(-along) + 1),
            };
            (begin, end) = (begin.max(low), end.min(high));
            (start, step) = (start * dim + first, step * dim + along);
        }
        match size {
            1 => copy_row::<1>(row, from, begin..end, start, step),
            2 => copy_row::<2>(row, from, begin..end, start, step),
            4 => copy_row::<4>(row, from, begin..end, start, step),
            _ => copy_row::<8>(row, from, begin..end, start, step),
        }
        advance(&mut at, outer);
    }
    Some(())
}

/// Values of index expressions, precomputed per dimension where the expression is linear.
struct Tables<'a> {
    exprs: &'a [Expr],
    ivs: Vec<nim_ir::Symbol>,
    /// For each expression: constant and one coefficient a dimension, when linear.
    linear: Vec<Option<(i64, Vec<i64>)>>,
}

impl<'a> Tables<'a> {
    fn new(ctx: &Context, exprs: &'a [Expr], shape: &[usize]) -> Tables<'a> {
        let p = &ctx.exprs;
        let ivs: Vec<_> = (0..shape.len()).map(|k| nim_dataflow::iv_symbol(ctx, k)).collect();
        let linear = exprs
            .iter()
            .map(|&e| {
                let mut rest = e;
                let mut coefficients = vec![];
                for &iv in &ivs {
                    let (c, r) = p.linear_in(rest, iv)?;
                    coefficients.push(p.as_const(c)?);
                    rest = r;
                }
                Some((p.as_const(rest)?, coefficients))
            })
            .collect();
        Tables { exprs, ivs, linear }
    }

    /// Constant and coefficients of all indices, where all are linear.
    fn all_linear(&self) -> Option<Vec<(i64, &[i64])>> {
        self.linear.iter().map(|l| l.as_ref().map(|(constant, c)| (*constant, c.as_slice()))).collect()
    }

    fn index(&self, ctx: &Context, k: usize, at: &[usize]) -> Option<i64> {
        if let Some((constant, coefficients)) = &self.linear[k] {
            return Some(constant + coefficients.iter().zip(at).map(|(&c, &i)| c * i as i64).sum::<i64>());
        }
        let lookup = |s| self.ivs.iter().position(|&iv| iv == s).map(|d| at[d] as i64);
        ctx.exprs.eval(self.exprs[k], &lookup).ok()
    }
}
