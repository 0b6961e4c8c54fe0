//! Constants in the arrangement that kernels read them in: made once, when compiling, instead of at each run.

use nim_ir::{Attr, AttrData, Context, Diagnostic, Expr, FloatKind, Loc};
use nim_tensor::{Blob, DType, Tensor, blob::Put, tensor::element_count};
use std::io;

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

/// Bytes above which a packed constant is not made before somebody wants it.
const LATER: usize = 64 << 10;

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
    let linear = tables.all_linear().filter(|_| !shape.is_empty() && [1, 2, 4, 8].contains(&size));
    let (Some(linear), true) = (linear, len > 0) else {
        let mut bytes = vec![0u8; count];
        if count > 0 && size > 0 {
            let copied = copy_any(ctx, &tables, tensor, &shape, &mut bytes);
            copied.ok_or_else(|| error("an index cannot be computed"))?;
        }
        return Ok(Tensor::from_bytes(tensor.dtype(), &to, mapped(&packing.matrices, bytes, len)));
    };
    let (from, matrices) = (tensor.clone(), packing.matrices.clone());
    let later = Blob::made(len, move |put| {
        let Some(source) = from.blob().map(Blob::read) else { return Ok(()) };
        if matrices.is_empty() {
            copy_linear(&linear, from.dims(), &source, size, &shape, put)?;
        } else {
            let mut bytes = Vec::with_capacity(count);
            copy_linear(&linear, from.dims(), &source, size, &shape, &mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
            mapped(&matrices, bytes, len).chunks(Blob::PIECE).try_for_each(put)?;
        }
        source.give_back();
        Ok(())
    });
    let blob = if len > LATER { later } else { later.read() };
    Tensor::from_blob(tensor.dtype(), &to, blob).map_err(|e| error(&e.to_string()))
}

/// Linear maps along the first dimensions, if there are any, of bytes of `f32`.
fn mapped(matrices: &[Vec<Vec<f64>>], bytes: Vec<u8>, len: usize) -> Vec<u8> {
    if matrices.is_empty() {
        return bytes;
    }
    let mut out = vec![0u8; len];
    map_linear(matrices, bytes.as_chunks::<4>().0, out.as_chunks_mut::<4>().0);
    out
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

/// Elements of `SIZE` bytes of rows: element `[j, i]` of those from `begin` to `end` in each row comes from
/// `start + j*down + i*step`.
struct Rows {
    width: usize,
    begin: usize,
    end: usize,
    start: i64,
    down: i64,
    step: i64,
}

impl Rows {
    fn copy<const SIZE: usize>(&self, rows: &mut [u8], from: &[u8]) {
        let (to, _) = rows.as_chunks_mut::<SIZE>();
        let (from, _) = from.as_chunks::<SIZE>();
        for (j, row) in to.chunks_exact_mut(self.width).enumerate() {
            let first = self.start + j as i64 * self.down + self.begin as i64 * self.step;
            let row = &mut row[self.begin..self.end];
            if self.step == 1 && !row.is_empty() {
                row.copy_from_slice(&from[first as usize..][..row.len()]);
            } else {
                for (i, to) in row.iter_mut().enumerate() {
                    *to = from[(first + i as i64 * self.step) as usize];
                }
            }
        }
    }
}

/// Row by row along the last packed dimension, several rows along the last but one at once: where a row is inside of the tensor
/// is known before it is walked.
fn copy_linear(
    linear: &[(i64, Vec<i64>)],
    dims: &[usize],
    from: &[u8],
    size: usize,
    shape: &[usize],
    put: Put<'_>,
) -> io::Result<()> {
    let (width, height, outer) = match shape {
        [outer @ .., height, width] => (*width, *height, outer),
        [width] => (*width, 1, &[][..]),
        [] => return Ok(()),
    };
    let bytes = width * size;
    let most = (Blob::PIECE / bytes.max(1)).max(1);
    let mut at = vec![0usize; outer.len()];
    let mut piece = vec![];
    loop {
        let mut row = 0;
        while row < height {
            let start = piece.len();
            // As many rows as there is room for, if all of them lie alike.
            let room = (most - start / bytes).min(height - row);
            let (rows, count) = match rows(linear, dims, &at, row, room, width) {
                Some(rows) => (Some(rows), room),
                None => (rows(linear, dims, &at, row, 1, width), 1),
            };
            piece.resize(start + count * bytes, 0);
            if let Some(rows) = rows {
                match size {
                    1 => rows.copy::<1>(&mut piece[start..], from),
                    2 => rows.copy::<2>(&mut piece[start..], from),
                    4 => rows.copy::<4>(&mut piece[start..], from),
                    _ => rows.copy::<8>(&mut piece[start..], from),
                }
            }
            row += count;
            if piece.len() / bytes >= most {
                put(&piece)?;
                piece.clear();
            }
        }
        if !advance(&mut at, outer) {
            break;
        }
    }
    if piece.is_empty() { Ok(()) } else { put(&piece) }
}

/// Where `count` rows from `row` on come from; `None` when their parts inside of the tensor are not the same.
fn rows(
    linear: &[(i64, Vec<i64>)],
    dims: &[usize],
    at: &[usize],
    row: usize,
    count: usize,
    width: usize,
) -> Option<Rows> {
    let (mut begin, mut end) = (0i64, width as i64);
    let (mut start, mut down, mut step) = (0i64, 0i64, 0i64);
    for ((constant, coefficients), &dim) in linear.iter().zip(dims) {
        let dim = dim as i64;
        let along = *coefficients.last()?;
        // A buffer of one dimension has one row.
        let below = coefficients.get(at.len()).copied().filter(|_| coefficients.len() > at.len() + 1).unwrap_or(0);
        let first =
            coefficients.iter().zip(at).map(|(&c, &i)| c * i as i64).sum::<i64>() + constant + below * row as i64;
        let last = first + below * (count as i64 - 1);
        // The `i` with `0 <= first + i*along < dim`.
        let inside = |first: i64| match along {
            0 if (0..dim).contains(&first) => (0, width as i64),
            0 => (0, 0),
            1.. => ((-first + along - 1).div_euclid(along), (dim - first + along - 1).div_euclid(along)),
            _ => ((first - dim).div_euclid(-along) + 1, first.div_euclid(-along) + 1),
        };
        let clamp = |(low, high): (i64, i64)| (low.max(0), high.min(width as i64));
        let (low, high) = clamp(inside(first));
        // What is inside of both the first and the last row is so in all between.
        if below != 0 && count > 1 && (clamp(inside(last)) != (low, high) || low >= high) {
            return None;
        }
        (begin, end) = (begin.max(low), end.min(high));
        (start, down, step) = (start * dim + first, down * dim + below, step * dim + along);
    }
    let begin = begin.min(width as i64);
    let (begin, end) = (begin as usize, end.max(begin) as usize);
    Some(Rows { width, begin, end, start, down, step })
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
