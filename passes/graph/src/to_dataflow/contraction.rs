//! Matrix products and Einstein sums: one map, the summed dimensions last.

use super::lower::{Lower, Lowered, accumulator};
use nim_dataflow::{Combine, MapBuilder};
use nim_ir::{Expr, ValueId};

/// `graph.matmul`: `[batch..., m, n, k]`; vectors lack `m` or `n`.
pub fn matmul(l: &mut Lower<'_, '_>) -> Lowered {
    let (a, b, ty) = (l.operand(0), l.operand(1), l.result_type());
    let (da, db, out) = (l.dims(a)?, l.dims(b)?, l.dims_of(ty)?);
    if da.is_empty() || db.is_empty() {
        return l.error("operands have rank 1 or more");
    }
    let (row, column) = (da.len() > 1, db.len() > 1);
    let batch = out.len() - usize::from(row) - usize::from(column);
    let at = l.ivs(out.len());
    let inner = l.known_size(da[da.len() - 1], if column { db[db.len() - 2] } else { db[0] });
    let mut map = MapBuilder::new(&out);
    let k = summed(l, &mut map, inner);
    let read = |l: &Lower<'_, '_>, dims: &[Expr], rest: &[Expr]| -> Vec<Expr> {
        let own = dims.len() - rest.len();
        let skip = batch - own;
        let batches = (0..own).map(|i| l.broadcast_index(dims[i], out[skip + i], at[skip + i]));
        batches.chain(rest.iter().copied()).collect()
    };
    let left = if row { read(l, &da, &[at[batch], k]) } else { vec![k] };
    let right = if column { read(l, &db, &[k, at[out.len() - 1]]) } else { vec![k] };
    map.read(a, &left);
    map.read(b, &right);
    products(l, map, &[a, b], &at)
}

/// `graph.einsum`: the letters of the result, then all others.
pub fn einsum(l: &mut Lower<'_, '_>) -> Lowered {
    let (operands, ty) = (l.operands(), l.result_type());
    let equation = l.str_attr("equation")?;
    let Some((inputs, output)) = equation.split_once("->") else { return l.error("the equation has no `->`") };
    let terms: Vec<Vec<char>> = inputs.split(',').map(|t| t.chars().collect()).collect();
    if terms.len() != operands.len() {
        return l.error(format!("the equation has {} terms for {} operands", terms.len(), operands.len()));
    }
    let out = l.dims_of(ty)?;
    let mut letters: Vec<(char, Expr)> = output.chars().zip(out.iter().copied()).collect();
    for (term, &v) in terms.iter().zip(&operands) {
        for (&letter, dim) in term.iter().zip(l.dims(v)?) {
            match letters.iter().position(|(c, _)| *c == letter) {
                None => letters.push((letter, dim)),
                Some(i) if l.pool().as_const(letters[i].1) == Some(1) => letters[i].1 = dim,
                Some(i) if i >= out.len() && l.pool().as_const(dim) != Some(1) => {
                    letters[i].1 = l.known_size(letters[i].1, dim);
                }
                Some(_) => {}
            }
        }
    }
    let at = l.ivs(out.len());
    let mut map = MapBuilder::new(&out);
    let mut places: Vec<Expr> = at.clone();
    for &(_, size) in &letters[out.len()..] {
        places.push(summed(l, &mut map, size));
    }
    for (term, &v) in terms.iter().zip(&operands) {
        let mut subset = vec![];
        for (letter, dim) in term.iter().zip(l.dims(v)?) {
            let Some(i) = letters.iter().position(|(c, _)| c == letter) else { continue };
            subset.push(l.broadcast_index(dim, letters[i].1, places[i]));
        }
        map.read(v, &subset);
    }
    products(l, map, &operands, &at)
}

/// Adds a dimension that is summed over; one of a single element is none.
pub fn summed(l: &Lower<'_, '_>, map: &mut MapBuilder, extent: Expr) -> Expr {
    if l.pool().as_const(extent) == Some(1) { Expr::ZERO } else { map.dim(l.ctx(), extent) }
}

/// Sums the products of all reads.
fn products(l: &mut Lower<'_, '_>, map: MapBuilder, operands: &[ValueId], at: &[Expr]) -> Lowered {
    let ty = l.result_type();
    let kinds = operands.iter().map(|&v| l.kind(v)).collect::<Lowered<Vec<_>>>()?;
    let wide = accumulator(l.kind_of(ty)?, Combine::Add);
    l.reduction(map, ty, at, Combine::Add, |s, args| {
        let mut values = args.iter().zip(&kinds).map(|(&v, &kind)| (v, kind));
        let Some((first, kind)) = values.next() else { return args[0] };
        let first = s.cast(first, kind, wide);
        values.fold(first, |product, (v, kind)| {
            let v = s.cast(v, kind, wide);
            s.mul(wide, product, v)
        })
    })
}
