//! Operations whose result's size depends on the elements: `nonzero`, `compress`, `non_max_suppression`.

use super::access::{Elements, bools, floats, load, store_ints, take};
use super::error::{Result, ensure};
use super::gather::gather;
use super::index::{axis, for_each_index};
use crate::scalar::{maximum, minimum};
use nim_tensor::{DType, Tensor};

/// The `i64` indices of the elements that are not zero (not false, not empty), in row-major order, as the columns of
/// a `[rank, count]` tensor.
pub fn nonzero(x: &Tensor) -> Result<Tensor> {
    const OP: &str = "nonzero";
    let flags: Vec<bool> = match x.as_strings() {
        Some(strings) => strings.iter().map(|s| !s.is_empty()).collect(),
        // A complex number has two parts.
        None if matches!(x.dtype(), DType::C64 | DType::C128) => {
            let part = if x.dtype() == DType::C64 { DType::F32 } else { DType::F64 };
            let parts = x.bytes().chunks_exact(part.size()).map(|b| nim_tensor::f64_of(part, b) != 0.0);
            parts.collect::<Vec<_>>().chunks_exact(2).map(|pair| pair[0] || pair[1]).collect()
        }
        None => match load(OP, x)? {
            Elements::Float(v) => v.into_iter().map(|v| v != 0.0).collect(),
            Elements::Int(v) => v.into_iter().map(|v| v != 0).collect(),
            Elements::Bool(v) => v,
        },
    };
    let mut rows = vec![Vec::new(); x.rank()];
    let mut flag = flags.iter();
    for_each_index(x.dims(), |index| {
        if flag.next() == Some(&true) {
            rows.iter_mut().zip(index).for_each(|(row, &i)| row.push(i as i128));
        }
    });
    let count = flags.iter().filter(|&&f| f).count();
    store_ints(OP, DType::I64, &[x.rank(), count], &rows.concat())
}

/// The slices along an axis (or the elements of the flattened tensor) whose entry in the rank-1 condition is true. A
/// condition that is shorter than the axis drops the rest.
pub fn compress(x: &Tensor, condition: &Tensor, along: Option<i64>) -> Result<Tensor> {
    const OP: &str = "compress";
    let flags = bools(OP, condition)?;
    let size = match along {
        Some(along) => x.dims()[axis(OP, along, x.rank())?],
        None => x.len(),
    };
    ensure!(
        condition.rank() == 1 && flags.len() <= size,
        OP,
        "a condition of shape {:?} does not fit {size} entries",
        condition.dims()
    );
    let chosen: Vec<_> = (0..flags.len()).filter(|&i| flags[i]).collect();
    match along {
        None => take(OP, x, &[chosen.len()], &chosen),
        Some(along) => gather(x, &Tensor::new(&[chosen.len()], chosen.iter().map(|&i| i as i64).collect()), along),
    }
}

/// How [`non_max_suppression`] chooses.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Suppression {
    /// At most so many boxes for each image and class.
    pub max_per_class: usize,
    /// A box that overlaps a better one by more than this share of their union is dropped.
    pub iou_threshold: f64,
    /// Boxes that do not score more than this are dropped.
    pub score_threshold: Option<f64>,
    /// Boxes are (x centre, y centre, width, height) instead of two opposite corners (y, x, y, x).
    pub center_point_box: bool,
}

/// Greedy choice of boxes `[n, b, 4]` by scores `[n, classes, b]`: `i64` rows (image, class, box), ordered by image,
/// class and falling score; of equal scores the lower box comes first.
pub fn non_max_suppression(boxes: &Tensor, scores: &Tensor, options: &Suppression) -> Result<Tensor> {
    const OP: &str = "non_max_suppression";
    let fits = boxes.rank() == 3
        && scores.rank() == 3
        && boxes.dims()[2] == 4
        && boxes.dims()[0] == scores.dims()[0]
        && boxes.dims()[1] == scores.dims()[2];
    ensure!(fits, OP, "boxes {:?} and scores {:?} do not fit together", boxes.dims(), scores.dims());
    let (corners, values) = (floats(OP, boxes)?, floats(OP, scores)?);
    let (count, classes) = (boxes.dims()[1], scores.dims()[1]);
    let rectangles: Vec<_> = corners.chunks_exact(4).map(|b| Rectangle::new(b, options.center_point_box)).collect();
    let mut rows = Vec::new();
    let lists = if count == 0 { Vec::new() } else { values.chunks_exact(count).collect() };
    for (list, scores) in lists.into_iter().enumerate() {
        let (image, class) = (list / classes, list % classes);
        let mut order: Vec<_> =
            (0..count).filter(|&b| options.score_threshold.is_none_or(|least| scores[b] > least)).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut chosen: Vec<usize> = Vec::new();
        for candidate in order {
            if chosen.len() >= options.max_per_class {
                break;
            }
            let overlaps = |&b: &usize| {
                let (p, q) = (&rectangles[image * count + b], &rectangles[image * count + candidate]);
                p.intersection_over_union(q) > options.iou_threshold
            };
            if !chosen.iter().any(overlaps) {
                chosen.push(candidate);
            }
        }
        rows.extend(chosen.into_iter().flat_map(|b| [image as i128, class as i128, b as i128]));
    }
    store_ints(OP, DType::I64, &[rows.len() / 3, 3], &rows)
}

struct Rectangle {
    low: [f64; 2],
    high: [f64; 2],
}

impl Rectangle {
    fn new(b: &[f64], center_point_box: bool) -> Rectangle {
        if center_point_box {
            let (w, h) = (b[2] / 2.0, b[3] / 2.0);
            return Rectangle { low: [b[1] - h, b[0] - w], high: [b[1] + h, b[0] + w] };
        }
        Rectangle { low: [minimum(b[0], b[2]), minimum(b[1], b[3])], high: [maximum(b[0], b[2]), maximum(b[1], b[3])] }
    }

    fn area(&self) -> f64 {
        (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])
    }

    /// 0 where one of the two is empty.
    fn intersection_over_union(&self, other: &Rectangle) -> f64 {
        let side = |d: usize| (self.high[d].min(other.high[d]) - self.low[d].max(other.low[d])).max(0.0);
        let shared = side(0) * side(1);
        if shared > 0.0 { shared / (self.area() + other.area() - shared) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonzero_gives_columns() {
        let x = Tensor::new(&[2, 2], vec![1f32, 0.0, f32::NAN, -2.0]);
        assert_eq!(nonzero(&x).unwrap(), Tensor::new(&[2, 3], vec![0i64, 1, 1, 0, 0, 1]));
        assert_eq!(nonzero(&Tensor::scalar(5i8)).unwrap().dims(), [0, 1]);
    }

    #[test]
    fn compress_drops_the_rest() {
        let x = Tensor::new(&[3, 2], vec![1i32, 2, 3, 4, 5, 6]);
        let condition = Tensor::bools(&[2], vec![false, true]);
        assert_eq!(compress(&x, &condition, Some(0)).unwrap(), Tensor::new(&[1, 2], vec![3, 4]));
        assert_eq!(compress(&x, &condition, Some(1)).unwrap(), Tensor::new(&[3, 1], vec![2, 4, 6]));
        assert_eq!(compress(&x, &condition, None).unwrap(), Tensor::new(&[1], vec![2]));
        assert!(compress(&x, &Tensor::bools(&[9], vec![true; 9]), None).is_err());
    }

    #[test]
    fn suppression_keeps_the_best() {
        let corners = vec![
            0f32, 0.0, 1.0, 1.0, //
            0.0, 0.1, 1.0, 1.1, //
            1.0, 2.0, 0.0, 1.2, // corners swapped
        ];
        let boxes = Tensor::new(&[1, 3, 4], corners);
        let scores = Tensor::new(&[1, 2, 3], vec![0.9f32, 0.95, 0.3, 0.5, 0.5, 0.5]);
        let options =
            Suppression { max_per_class: 5, iou_threshold: 0.5, score_threshold: Some(0.2), center_point_box: false };
        let y = non_max_suppression(&boxes, &scores, &options).unwrap();
        assert_eq!(y, Tensor::new(&[4, 3], vec![0i64, 0, 1, 0, 0, 2, 0, 1, 0, 0, 1, 2]));
        let strict = Suppression { score_threshold: Some(0.9), ..options };
        assert_eq!(non_max_suppression(&boxes, &scores, &strict).unwrap(), Tensor::new(&[1, 3], vec![0i64, 0, 1]));
        let none = Suppression { max_per_class: 0, ..options };
        assert_eq!(non_max_suppression(&boxes, &scores, &none).unwrap().dims(), [0, 3]);
    }
}
