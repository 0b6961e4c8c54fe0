//! Non-maximum suppression as ONNX's NonMaxSuppression.

use super::Call;
use super::access::{floats, scalar_float, scalar_int};
use nim_tensor::{DType, Tensor, Value};

/// `nms(boxes [n, b, 4], scores [n, classes, b], limits...) -> [count, 3]`: rows (image, class, box), ordered by image,
/// class and falling score; of equal scores the lower box comes first.
///
/// ints: boxes are centre and size instead of two opposite corners (y, x, y, x); then for each of the limits - most
/// boxes a class, share of overlap, least score - whether it is given. Without the first nothing is chosen, the second
/// is then 0, and the third lets everything pass.
pub(super) fn nms(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (boxes, scores) = (call.tensor(0)?, call.tensor(1)?);
    let center = call.int(0)? != 0;
    let fits = boxes.rank() == 3
        && scores.rank() == 3
        && boxes.dims()[2] == 4
        && boxes.dims()[0] == scores.dims()[0]
        && boxes.dims()[1] == scores.dims()[2];
    if !fits {
        return Err(format!("boxes {:?} and scores {:?} do not fit together", boxes.dims(), scores.dims()));
    }
    let mut next = 2;
    let mut limit = |i: usize| -> Result<Option<&Tensor>, String> {
        if call.ints.get(1 + i).is_none_or(|&given| given == 0) {
            return Ok(None);
        }
        next += 1;
        call.tensor(next - 1).map(Some)
    };
    let most = limit(0)?.map(scalar_int).transpose()?.unwrap_or(0);
    let most = usize::try_from(most).unwrap_or(0);
    let overlap = limit(1)?.map(scalar_float).transpose()?.unwrap_or(0.0);
    let least = limit(2)?.map(scalar_float).transpose()?;

    let (count, classes) = (boxes.dims()[1], scores.dims()[1]);
    let rectangles: Vec<Rectangle> = floats(boxes).chunks_exact(4).map(|b| Rectangle::new(b, center)).collect();
    let values = floats(scores);
    let mut rows: Vec<i64> = Vec::new();
    let lists = values.len().checked_div(count).unwrap_or(0);
    for list in 0..lists {
        let (image, class) = (list / classes, list % classes);
        let scores = &values[list * count..(list + 1) * count];
        let rectangles = &rectangles[image * count..(image + 1) * count];
        let mut order: Vec<usize> = (0..count).filter(|&b| least.is_none_or(|least| scores[b] > least)).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut chosen: Vec<usize> = Vec::new();
        for candidate in order {
            if chosen.len() >= most {
                break;
            }
            if !chosen.iter().any(|&b| rectangles[b].intersection_over_union(&rectangles[candidate]) > overlap) {
                chosen.push(candidate);
            }
        }
        rows.extend(chosen.into_iter().flat_map(|b| [image as i64, class as i64, b as i64]));
    }
    let dims = [rows.len() / 3, 3];
    call.env.admit(DType::I64, &dims)?;
    Ok(vec![Tensor::new(&dims, rows).into()])
}

struct Rectangle {
    low: [f64; 2],
    high: [f64; 2],
}

impl Rectangle {
    fn new(b: &[f64], center: bool) -> Rectangle {
        if center {
            let (w, h) = (b[2] / 2.0, b[3] / 2.0);
            return Rectangle { low: [b[1] - h, b[0] - w], high: [b[1] + h, b[0] + w] };
        }
        Rectangle { low: [b[0].min(b[2]), b[1].min(b[3])], high: [b[0].max(b[2]), b[1].max(b[3])] }
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
