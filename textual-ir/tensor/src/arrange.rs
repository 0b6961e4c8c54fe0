//! Tensors in another arrangement: transposed, packed for a kernel, cut or padded.
//!
//! Each element of the result comes from a position that is affine in its own, or is zero where that lies outside. Large results
//! are made when somebody wants them, a piece at a time, so that weights on their way into another file are never whole in memory.

use crate::{Blob, Tensor, blob::Put, tensor::element_count};
use std::io;

/// A position along one dimension: a constant, and a factor for each dimension of the result.
pub type Affine = (i64, Vec<i64>);

/// The tensor whose element at `x` is that of `tensor` at `indices(x)`, and zero outside of it; `None` for strings, and where the
/// numbers of dimensions do not fit or the result is larger than memory.
pub fn arranged(tensor: &Tensor, dims: &[usize], indices: Vec<Affine>) -> Option<Tensor> {
    let (blob, size) = (tensor.blob()?.clone(), tensor.dtype().size());
    if indices.len() != tensor.rank() || indices.iter().any(|(_, factors)| factors.len() != dims.len()) {
        return None;
    }
    let len = element_count(dims)?.checked_mul(size)?;
    let (from, shape) = (tensor.dims().to_vec(), dims.to_vec());
    let make = move |put: Put<'_>| {
        if len == 0 {
            return Ok(());
        }
        let source = blob.read();
        match size {
            1 => copy::<1>(&indices, &from, &source, &shape, put),
            2 => copy::<2>(&indices, &from, &source, &shape, put),
            4 => copy::<4>(&indices, &from, &source, &shape, put),
            8 => copy::<8>(&indices, &from, &source, &shape, put),
            _ => copy::<16>(&indices, &from, &source, &shape, put),
        }?;
        source.give_back();
        Ok(())
    };
    Tensor::from_blob(tensor.dtype(), dims, Blob::made_later(len, make)).ok()
}

impl Tensor {
    /// The tensor whose dimension `k` is dimension `perm[k]` of this one; `None` for strings, and where `perm` is no permutation.
    pub fn transposed(&self, perm: &[usize]) -> Option<Tensor> {
        let inverse: Option<Vec<usize>> = (0..self.rank()).map(|d| perm.iter().position(|&p| p == d)).collect();
        let inverse = inverse.filter(|_| perm.len() == self.rank())?;
        let dims: Vec<usize> = perm.iter().map(|&p| self.dims()[p]).collect();
        let one = |&at: &usize| (0, (0..perm.len()).map(|k| i64::from(k == at)).collect());
        arranged(self, &dims, inverse.iter().map(one).collect())
    }
}

/// Counts `at` on by one within `shape`; false behind the end.
pub fn advance(at: &mut [usize], shape: &[usize]) -> bool {
    for (i, &n) in at.iter_mut().zip(shape).rev() {
        *i += 1;
        if *i < n {
            return true;
        }
        *i = 0;
    }
    false
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

/// Row by row along the last dimension of the result, several rows along the last but one at once: where a row is inside of the
/// tensor is known before it is walked.
fn copy<const SIZE: usize>(
    indices: &[Affine],
    dims: &[usize],
    from: &[u8],
    shape: &[usize],
    put: Put<'_>,
) -> io::Result<()> {
    // What has no rows has one of one element.
    let (width, height, outer) = match shape {
        [outer @ .., height, width] => (*width, *height, outer),
        [width] => (*width, 1, &[][..]),
        [] => (1, 1, &[][..]),
    };
    let bytes = width * SIZE;
    let most = (Blob::PIECE / bytes).max(1);
    let mut at = vec![0usize; outer.len()];
    let mut piece = Vec::with_capacity(most * bytes);
    loop {
        let mut row = 0;
        while row < height {
            let start = piece.len();
            // As many rows as there is room for, if all of them lie alike.
            let room = (most - start / bytes).min(height - row);
            let (rows, count) = match rows(indices, dims, &at, row, room, width) {
                Some(rows) => (Some(rows), room),
                None => (rows(indices, dims, &at, row, 1, width), 1),
            };
            piece.resize(start + count * bytes, 0);
            if let Some(rows) = rows {
                rows.copy::<SIZE>(&mut piece[start..], from);
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
fn rows(indices: &[Affine], dims: &[usize], at: &[usize], row: usize, count: usize, width: usize) -> Option<Rows> {
    let (mut begin, mut end) = (0i64, width as i64);
    let (mut start, mut down, mut step) = (0i64, 0i64, 0i64);
    for ((constant, factors), &dim) in indices.iter().zip(dims) {
        let dim = dim as i64;
        // Of one dimension there is one row.
        let (below, along) = match factors[at.len()..] {
            [below, along] => (below, along),
            [along] => (0, along),
            _ => (0, 0),
        };
        let outer = factors.iter().zip(at).map(|(&f, &i)| f * i as i64).sum::<i64>();
        let first = outer + constant + below * row as i64;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Element by element.
    fn expected(tensor: &Tensor, dims: &[usize], indices: &[Affine]) -> Vec<u16> {
        let (all, mut at, mut out) = (tensor.elements::<u16>(), vec![0; dims.len()], vec![]);
        loop {
            let place = indices.iter().zip(tensor.dims()).try_fold(0usize, |p, ((constant, factors), &dim)| {
                let index = factors.iter().zip(&at).map(|(&f, &x)| f * x as i64).sum::<i64>() + constant;
                usize::try_from(index).ok().filter(|&i| i < dim).map(|i| p * dim + i)
            });
            out.push(place.map_or(0, |p| all[p]));
            if !advance(&mut at, dims) {
                return out;
            }
        }
    }

    #[test]
    fn every_element_is_where_it_belongs() {
        let tensor = Tensor::new(&[5, 7], (1..36u16).collect());
        let cases: Vec<(Vec<usize>, Vec<Affine>)> = vec![
            (vec![7, 5], vec![(0, vec![0, 1]), (0, vec![1, 0])]),
            // Panels of 4 with a rest, as kernels read them.
            (vec![2, 5, 4], vec![(0, vec![0, 1, 0]), (0, vec![4, 0, 1])]),
            (vec![2, 7, 4], vec![(0, vec![4, 0, 1]), (0, vec![0, 1, 0])]),
            // Backwards, from outside, in steps, beside it.
            (vec![9, 9], vec![(6, vec![-1, 0]), (-2, vec![0, 1])]),
            (vec![9, 9], vec![(-1, vec![2, 0]), (8, vec![0, -3])]),
            (vec![3, 3], vec![(50, vec![1, 0]), (0, vec![0, 1])]),
            (vec![3, 3], vec![(-50, vec![1, 0]), (-90, vec![0, 1])]),
            // A diagonal; the same dimension twice; one row, one element.
            (vec![8], vec![(0, vec![1]), (0, vec![1])]),
            (vec![4, 6], vec![(0, vec![1, 1]), (1, vec![1, -1])]),
            (vec![], vec![(2, vec![]), (3, vec![])]),
        ];
        for (dims, indices) in cases {
            let made = arranged(&tensor, &dims, indices.clone()).unwrap();
            assert_eq!(*made.elements::<u16>(), expected(&tensor, &dims, &indices), "{dims:?} {indices:?}");
        }
        assert_eq!(arranged(&tensor, &[0, 3], vec![(0, vec![1, 0]), (0, vec![0, 1])]).unwrap().len(), 0);
        assert_eq!(arranged(&tensor, &[3], vec![(0, vec![1])]), None);
    }

    #[test]
    fn large_results_are_made_in_pieces() {
        let tensor = Tensor::new(&[300, 1001], (0..300_300).map(|i| i as u16).collect());
        let made = tensor.transposed(&[1, 0]).unwrap();
        assert!(!made.blob().unwrap().is_there());
        let (mut seen, mut count) = (vec![], 0);
        let blob = made.blob().unwrap();
        blob.pieces(&mut |piece| {
            seen.extend_from_slice(piece);
            count += 1;
            Ok(())
        })
        .unwrap();
        assert!(count > 1 && !blob.is_there());
        let again = Tensor::from_bytes(crate::DType::U16, &[1001, 300], seen).transposed(&[1, 0]).unwrap();
        assert_eq!(again, tensor);
        assert_eq!(tensor.transposed(&[0, 0]), None);
    }
}
