//! Constants in the arrangement that kernels read them in: made once, when compiling, instead of at each run.

use nim_ir::{Attr, AttrData, Context, Diagnostic, Expr, FloatKind, Loc};
use nim_tensor::arrange::{advance, arranged};
use nim_tensor::{Blob, DType, Tensor, blob::Put, tensor::element_count};

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

/// A constant in the arrangement that a kernel reads. A large one is made when it is written, a piece at a time.
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
    let size = tensor.dtype().size();
    let bytes = |shape: &[usize]| element_count(shape).and_then(|n| n.checked_mul(size));
    let (Some(count), Some(len)) = (bytes(&shape), bytes(&to)) else { return Err(error("too large")) };
    if packing.indices.len() != tensor.rank() {
        return Err(error("the rank is another"));
    }
    let tables = Tables::new(ctx, &packing.indices, &shape);
    let arranged = match tables.all_linear() {
        Some(linear) => arranged(tensor, &shape, linear),
        None => {
            let mut bytes = vec![0u8; count];
            if count > 0 && size > 0 {
                let copied = copy_any(ctx, &tables, tensor, &shape, &mut bytes);
                copied.ok_or_else(|| error("an index cannot be computed"))?;
            }
            Some(Tensor::from_bytes(tensor.dtype(), &shape, bytes))
        }
    };
    let arranged = arranged.ok_or_else(|| error("its elements are no numbers"))?;
    if packing.matrices.is_empty() {
        return Ok(arranged);
    }
    let matrices = packing.matrices.clone();
    let mapped = move |put: Put<'_>| {
        let mut bytes = Vec::with_capacity(count);
        let from = arranged.blob().map_or(Ok(()), |blob| {
            blob.pieces(&mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })
        });
        from?;
        let mut out = vec![0u8; len];
        map_linear(&matrices, bytes.as_chunks::<4>().0, out.as_chunks_mut::<4>().0);
        out.chunks(Blob::PIECE).try_for_each(put)
    };
    Tensor::from_blob(tensor.dtype(), &to, Blob::made_later(len, mapped)).map_err(|e| error(&e.to_string()))
}

/// Elements that are mapped at a time: their numbers of 64 bits are all the memory that is needed beside the result.
const CHUNK: usize = 4096;

/// Linear maps along the first dimensions.
fn map_linear(matrices: &[Vec<Vec<f64>>], from: &[[u8; 4]], to: &mut [[u8; 4]]) {
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
                *to = (value as f32).to_ne_bytes();
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
    fn all_linear(&self) -> Option<Vec<(i64, Vec<i64>)>> {
        self.linear.iter().cloned().collect()
    }

    fn index(&self, ctx: &Context, k: usize, at: &[usize]) -> Option<i64> {
        if let Some((constant, coefficients)) = &self.linear[k] {
            return Some(constant + coefficients.iter().zip(at).map(|(&c, &i)| c * i as i64).sum::<i64>());
        }
        let lookup = |s| self.ivs.iter().position(|&iv| iv == s).map(|d| at[d] as i64);
        ctx.exprs.eval(self.exprs[k], &lookup).ok()
    }
}
