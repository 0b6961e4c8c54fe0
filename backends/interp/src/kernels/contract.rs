//! Sums of products: `matmul` and `einsum`.

use super::access::{Ring, same_dtype, with_ring};
use super::error::{KernelError, Result, ensure};
use super::index::{broadcast_dims, broadcast_strides, checked_count, flat, for_each_index, strides};
use nim_tensor::Tensor;

/// The matrix product with NumPy's rules: leading dimensions broadcast as batches, a rank-1 operand is a row on the
/// left and a column on the right and its dimension disappears from the result.
///
/// Floating-point sums run over the inner dimension in order, in `f64`, and are rounded once.
pub fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    const OP: &str = "matmul";
    let dtype = same_dtype(OP, &[a, b])?;
    with_ring!(OP, dtype, matmul_in(a, b))
}

fn matmul_in<R: Ring>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    const OP: &str = "matmul";
    ensure!(a.rank() > 0 && b.rank() > 0, OP, "operands of shapes {:?} and {:?}: rank 0", a.dims(), b.dims());
    let a_dims = if a.rank() == 1 { vec![1, a.dims()[0]] } else { a.dims().to_vec() };
    let b_dims = if b.rank() == 1 { vec![b.dims()[0], 1] } else { b.dims().to_vec() };
    let (a_batch, a_matrix) = a_dims.split_at(a_dims.len() - 2);
    let (b_batch, b_matrix) = b_dims.split_at(b_dims.len() - 2);
    let (rows, inner, columns) = (a_matrix[0], a_matrix[1], b_matrix[1]);
    ensure!(
        inner == b_matrix[0],
        OP,
        "shapes {:?} and {:?}: inner dimensions {inner} and {} differ",
        a.dims(),
        b.dims(),
        b_matrix[0]
    );
    let batch = broadcast_dims(OP, &[a_batch, b_batch])?;
    let mut dims = batch.clone();
    if a.rank() > 1 {
        dims.push(rows);
    }
    if b.rank() > 1 {
        dims.push(columns);
    }
    let mut result = vec![R::ZERO; checked_count(OP, &dims)?];
    if !result.is_empty() {
        let (x, y) = (R::load(OP, a)?, R::load(OP, b)?);
        let (a_steps, b_steps) = (broadcast_strides(a_batch, &batch), broadcast_strides(b_batch, &batch));
        let mut blocks = result.chunks_exact_mut(rows * columns);
        for_each_index(&batch, |index| {
            // Batch strides count matrices.
            let (x_start, y_start) = (flat(index, &a_steps) * rows * inner, flat(index, &b_steps) * inner * columns);
            let Some(block) = blocks.next() else { return };
            for (row, sums) in block.chunks_exact_mut(columns).enumerate() {
                for k in 0..inner {
                    let factor = x[x_start + row * inner + k];
                    let line = &y[y_start + k * columns..][..columns];
                    for (sum, &value) in sums.iter_mut().zip(line) {
                        *sum = sum.add(factor.mul(value));
                    }
                }
            }
        });
    }
    R::store(OP, a.dtype(), &dims, &result)
}

/// Einstein summation, as NumPy and ONNX define it: `"ij,jk->ik"`, `"...ij,...jk->...ik"`, `"ii->i"`.
///
/// A label that is missing from the result is summed over; a label repeated in one operand walks its diagonal; without
/// `->` the result has the labels that occur once, in alphabetical order, after the ellipsis. Dimensions of size 1
/// broadcast. All products are formed and summed in `f64` or `i64`, whatever the number of operands.
pub fn einsum(equation: &str, operands: &[&Tensor]) -> Result<Tensor> {
    const OP: &str = "einsum";
    let dtype = same_dtype(OP, operands)?;
    with_ring!(OP, dtype, einsum_in(equation, operands))
}

/// One position of a subscript: a letter, or a dimension of the ellipsis counted from its last one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Label {
    Ellipsis(usize),
    Letter(char),
}

fn einsum_in<R: Ring>(equation: &str, operands: &[&Tensor]) -> Result<Tensor> {
    const OP: &str = "einsum";
    let plan = Subscripts::parse(equation, operands)?;
    let all: Vec<_> = plan.result.iter().chain(&plan.summed).copied().collect();
    let size_of = |label: &Label| plan.sizes.iter().find(|(l, _)| l == label).map_or(1, |&(_, size)| size);
    let dims: Vec<_> = plan.result.iter().map(size_of).collect();
    let summed: Vec<_> = plan.summed.iter().map(size_of).collect();
    // How far each operand's position moves when a label's index grows by one.
    let steps: Vec<Vec<usize>> = operands
        .iter()
        .zip(&plan.operands)
        .map(|(operand, labels)| {
            let own = strides(operand.dims());
            let step = |label| {
                let places = labels.iter().zip(own.iter().zip(operand.dims()));
                places.filter(|&(l, (_, &size))| *l == label && size != 1).map(|(_, (&step, _))| step).sum()
            };
            all.iter().map(|&label| step(label)).collect()
        })
        .collect();
    let values = operands.iter().map(|t| R::load(OP, t)).collect::<Result<Vec<_>>>()?;
    let mut result = Vec::with_capacity(checked_count(OP, &dims)?);
    let terms = checked_count(OP, &summed)?;
    // Where each term of a sum reads, relative to the sum's first term, is the same for all sums.
    let inner: Vec<Vec<usize>> = steps
        .iter()
        .map(|s| {
            let mut offsets = Vec::with_capacity(terms);
            for_each_index(&summed, |index| offsets.push(flat(index, &s[dims.len()..])));
            offsets
        })
        .collect();
    for_each_index(&dims, |outer| {
        let starts: Vec<_> = steps.iter().map(|s| flat(outer, &s[..dims.len()])).collect();
        let mut sum = R::ZERO;
        for term in 0..terms {
            let factors = values.iter().zip(&inner).zip(&starts);
            sum = sum.add(factors.fold(R::ONE, |product, ((v, i), start)| product.mul(v[start + i[term]])));
        }
        result.push(sum);
    });
    R::store(OP, operands[0].dtype(), &dims, &result)
}

/// An equation resolved against its operands' shapes.
struct Subscripts {
    operands: Vec<Vec<Label>>,
    result: Vec<Label>,
    summed: Vec<Label>,
    sizes: Vec<(Label, usize)>,
}

impl Subscripts {
    fn parse(equation: &str, operands: &[&Tensor]) -> Result<Subscripts> {
        const OP: &str = "einsum";
        let compact: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match compact.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (compact.as_str(), None),
        };
        let terms: Vec<_> = left.split(',').collect();
        ensure!(
            terms.len() == operands.len(),
            OP,
            "equation '{equation}' has {} terms for {} operands",
            terms.len(),
            operands.len()
        );
        let mut sizes: Vec<(Label, usize)> = Vec::new();
        let mut labelled = Vec::new();
        for (term, operand) in terms.iter().zip(operands) {
            let named = term.chars().filter(|&c| c != '.').count();
            let hidden = match term.contains("...") {
                true => operand.rank().checked_sub(named),
                false => (operand.rank() == named).then_some(0),
            };
            let Some(hidden) = hidden else {
                let message = format!("term '{term}' does not fit an operand of rank {}", operand.rank());
                return Err(KernelError::invalid(OP, message));
            };
            let labels = labels(term, hidden)?;
            for (&label, &size) in labels.iter().zip(operand.dims()) {
                match sizes.iter_mut().find(|(l, _)| *l == label) {
                    None => sizes.push((label, size)),
                    Some((_, known)) if *known == 1 => *known = size,
                    Some((_, known)) => {
                        ensure!(
                            size == 1 || size == *known,
                            OP,
                            "equation '{equation}' gives {label:?} the sizes {known} and {size}"
                        );
                    }
                }
            }
            labelled.push(labels);
        }
        let ellipsis = sizes.iter().filter(|(l, _)| matches!(l, Label::Ellipsis(_))).count();
        let result = match right {
            Some(right) => labels(right, ellipsis)?,
            None => {
                let once = |l: &Label| labelled.iter().flatten().filter(|m| *m == l).count() == 1;
                let mut letters: Vec<_> = sizes.iter().map(|&(l, _)| l).collect();
                letters.retain(|l| matches!(l, Label::Letter(_)) && once(l));
                letters.sort();
                (0..ellipsis).rev().map(Label::Ellipsis).chain(letters).collect()
            }
        };
        for (place, label) in result.iter().enumerate() {
            ensure!(
                sizes.iter().any(|(l, _)| l == label) && !result[..place].contains(label),
                OP,
                "equation '{equation}': {label:?} in the result is repeated or in no operand"
            );
        }
        let summed = sizes.iter().map(|&(l, _)| l).filter(|l| !result.contains(l)).collect();
        Ok(Subscripts { operands: labelled, result, summed, sizes })
    }
}

/// The labels of one term, whose ellipsis stands for `hidden` dimensions.
fn labels(term: &str, hidden: usize) -> Result<Vec<Label>> {
    let mut labels = Vec::new();
    let mut rest = term;
    let mut ellipsis_seen = false;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            ensure!(!ellipsis_seen, "einsum", "term '{term}' has two ellipses");
            ellipsis_seen = true;
            // Counted from the last dimension, so that ellipses of different lengths align as broadcasting does.
            labels.extend((0..hidden).rev().map(Label::Ellipsis));
            rest = after;
        } else {
            ensure!(c.is_alphabetic(), "einsum", "term '{term}' has the character '{c}'");
            labels.push(Label::Letter(c));
            rest = &rest[c.len_utf8()..];
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{movement::transpose, reduce};

    fn counting(dims: &[usize]) -> Tensor {
        Tensor::new(dims, (0..dims.iter().product::<usize>()).map(|i| i as f32 - 3.0).collect())
    }

    #[test]
    fn matmul_by_hand() {
        let a = Tensor::new(&[2, 2], vec![1i32, 2, 3, 4]);
        let v = Tensor::new(&[2], vec![5i32, 6]);
        assert_eq!(matmul(&a, &a).unwrap(), Tensor::new(&[2, 2], vec![7, 10, 15, 22]));
        assert_eq!(matmul(&a, &v).unwrap(), Tensor::new(&[2], vec![17, 39]));
        assert_eq!(matmul(&v, &a).unwrap(), Tensor::new(&[2], vec![23, 34]));
        assert_eq!(matmul(&v, &v).unwrap(), Tensor::scalar(61));
        assert!(matmul(&a, &Tensor::scalar(1i32)).is_err());
        assert!(matmul(&a, &Tensor::new(&[3], vec![0i32; 3])).is_err());
        let empty = Tensor::new::<i32>(&[2, 0], vec![]);
        let product = matmul(&empty, &Tensor::new::<i32>(&[0, 3], vec![])).unwrap();
        assert_eq!(product, Tensor::new(&[2, 3], vec![0i32; 6]));
    }

    #[test]
    fn matmul_agrees_with_einsum() {
        let (a, b) = (counting(&[2, 1, 3, 4]), counting(&[5, 4, 2]));
        let expected = einsum("...ij,...jk->...ik", &[&a, &b]).unwrap();
        assert_eq!(matmul(&a, &b).unwrap(), expected);
        assert_eq!(expected.dims(), [2, 5, 3, 2]);
    }

    #[test]
    fn einsum_forms() {
        let a = counting(&[3, 3]);
        assert_eq!(einsum("ij->ji", &[&a]).unwrap(), transpose(&a, &[1, 0]).unwrap());
        assert_eq!(einsum("ba", &[&a]).unwrap(), transpose(&a, &[1, 0]).unwrap());
        assert_eq!(einsum("ii->i", &[&a]).unwrap(), Tensor::new(&[3], vec![-3f32, 1.0, 5.0]));
        assert_eq!(einsum("ii", &[&a]).unwrap(), Tensor::scalar(3f32));
        let sum = reduce::reduce(reduce::ReduceOp::Sum, &a, &[1], false).unwrap();
        assert_eq!(einsum("i j -> i", &[&a]).unwrap(), sum);
        let v = Tensor::new(&[3], vec![1f32, 2.0, 3.0]);
        assert_eq!(einsum("i,i,i->", &[&v, &v, &v]).unwrap(), Tensor::scalar(36f32));
        assert_eq!(einsum("i,j", &[&v, &v]).unwrap().dims(), [3, 3]);
        assert_eq!(einsum(",", &[&Tensor::scalar(2f32), &Tensor::scalar(3f32)]).unwrap(), Tensor::scalar(6f32));
        for bad in ["ij->ik", "i->i", "ij,jk", "ij->ii", "i.j", "....ij", "i1->i"] {
            assert!(einsum(bad, &[&a]).is_err(), "{bad}");
        }
    }
}
