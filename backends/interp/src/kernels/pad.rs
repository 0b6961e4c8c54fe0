//! Padding.

use super::access::take_from;
use super::error::{KernelError, Result, ensure};
use super::index::{checked_count, strides, try_for_each_index};
use nim_tensor::Tensor;

/// What stands in the padding.
#[derive(Clone, Debug, PartialEq)]
pub enum PadMode {
    /// A given scalar of the operand's element type.
    Constant(Tensor),
    /// The nearest element.
    Edge,
    /// The mirror image around the border element, which is not repeated.
    Reflect,
    /// The periodic continuation.
    Wrap,
}

/// Adds `before[d]` elements in front of and `after[d]` behind each dimension; negative numbers remove elements.
///
/// With negative numbers the elements are removed first; the other modes then continue what is left.
///
/// # Errors
/// More is removed than there is, or a mode other than constant has no element to continue.
pub fn pad(x: &Tensor, before: &[i64], after: &[i64], mode: &PadMode) -> Result<Tensor> {
    const OP: &str = "pad";
    let rank = x.rank();
    ensure!(
        before.len() == rank && after.len() == rank,
        OP,
        "{} and {} paddings do not fit rank {rank}",
        before.len(),
        after.len()
    );
    let mut dims = Vec::with_capacity(rank);
    let mut kept = Vec::with_capacity(rank);
    for d in 0..rank {
        let size = x.dims()[d] as i128 + i128::from(before[d]) + i128::from(after[d]);
        let left = x.dims()[d] as i128 + i128::from(before[d].min(0)) + i128::from(after[d].min(0));
        let (Ok(size), true) = (usize::try_from(size), left >= 0) else {
            let message = format!("padding {} and {} leaves nothing of size {}", before[d], after[d], x.dims()[d]);
            return Err(KernelError::invalid(OP, message));
        };
        dims.push(size);
        // The range of the operand's positions that stay.
        let start = before[d].min(0).unsigned_abs() as usize;
        kept.push(start..start + left as usize);
    }
    let mut sources = vec![x];
    if let PadMode::Constant(value) = mode {
        ensure!(value.len() == 1, OP, "the padding value is no scalar but has shape {:?}", value.dims());
        sources.push(value);
    }
    let steps = strides(x.dims());
    let mut picks = Vec::with_capacity(checked_count(OP, &dims)?);
    try_for_each_index(&dims, |index| {
        let mut position = Some(0);
        for d in 0..rank {
            let place = continued(mode, index[d] as i64 - before[d].max(0), kept[d].len())?;
            position = position.zip(place).map(|(p, i)| p + (kept[d].start + i) * steps[d]);
        }
        picks.push(position.map_or((1, 0), |p| (0, p)));
        Ok::<_, KernelError>(())
    })?;
    take_from(OP, &sources, &dims, &picks)
}

/// Where position `i`, possibly outside `0..size`, reads; `None` for the constant.
fn continued(mode: &PadMode, i: i64, size: usize) -> Result<Option<usize>> {
    let n = size as i64;
    if (0..n).contains(&i) {
        return Ok(Some(i as usize));
    }
    if matches!(mode, PadMode::Constant(_)) {
        return Ok(None);
    }
    ensure!(n > 0, "pad", "an empty dimension cannot be continued");
    let place = match mode {
        PadMode::Constant(_) => return Ok(None),
        PadMode::Edge => i.clamp(0, n - 1),
        PadMode::Wrap => i.rem_euclid(n),
        PadMode::Reflect if n == 1 => 0,
        PadMode::Reflect => {
            // The mirrored signal repeats every 2 (n - 1) elements.
            let phase = i.rem_euclid(2 * (n - 1));
            phase.min(2 * (n - 1) - phase)
        }
    };
    Ok(Some(place as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continues_a_row() {
        let x = Tensor::new(&[3], vec![1i32, 2, 3]);
        let padded = |mode| pad(&x, &[4], &[3], &mode).unwrap().elements::<i32>().into_owned();
        assert_eq!(padded(PadMode::Constant(Tensor::scalar(9i32))), [9, 9, 9, 9, 1, 2, 3, 9, 9, 9]);
        assert_eq!(padded(PadMode::Edge), [1, 1, 1, 1, 1, 2, 3, 3, 3, 3]);
        assert_eq!(padded(PadMode::Reflect), [1, 2, 3, 2, 1, 2, 3, 2, 1, 2]);
        assert_eq!(padded(PadMode::Wrap), [3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn negative_padding_crops() {
        let x = Tensor::new(&[4], vec![1i32, 2, 3, 4]);
        assert_eq!(pad(&x, &[-1], &[-2], &PadMode::Edge).unwrap(), Tensor::new(&[1], vec![2]));
        assert_eq!(pad(&x, &[-2], &[2], &PadMode::Edge).unwrap(), Tensor::new(&[4], vec![3, 4, 4, 4]));
        assert!(pad(&x, &[-5], &[0], &PadMode::Edge).is_err());
        let empty = Tensor::new::<i32>(&[0], vec![]);
        assert!(pad(&empty, &[1], &[0], &PadMode::Wrap).is_err());
        let filled = pad(&empty, &[1], &[1], &PadMode::Constant(Tensor::scalar(7i32))).unwrap();
        assert_eq!(filled, Tensor::new(&[2], vec![7, 7]));
    }
}
