//! Comparing what was computed with what was expected, within a tolerance.

use crate::{DType, Made, Tensor, Value, scalar};
use std::fmt;

/// How far a floating-point element may lie from its reference:
/// `|found - expected| <= atol + scaled_atol * max|expected| + rtol * |expected|`, where the maximum is over the finite
/// elements of the same tensor. Integers, booleans and strings must be equal.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Tolerance {
    /// Relative to the element itself.
    pub rtol: f64,
    /// Absolute.
    pub atol: f64,
    /// Relative to the largest element of the tensor: what sums over that tensor's inputs may lose.
    pub scaled_atol: f64,
}

/// Why two values differ at one place.
#[derive(Clone, PartialEq, Debug)]
pub enum Difference {
    /// One is a tensor and the other a sequence, an absent optional and so on.
    Kind {
        /// What kind was found.
        found: &'static str,
        /// What kind was expected.
        expected: &'static str,
    },
    /// The element types differ.
    DType {
        /// The element type found.
        found: DType,
        /// The element type expected.
        expected: DType,
    },
    /// The shapes differ.
    Dims {
        /// The shape found.
        found: Vec<usize>,
        /// The shape expected.
        expected: Vec<usize>,
    },
    /// Sequences of different lengths.
    Length {
        /// The length found.
        found: usize,
        /// The length expected.
        expected: usize,
    },
    /// An element is too far off.
    Element {
        /// Where in the tensor.
        index: Vec<usize>,
        /// The element found, as text.
        found: String,
        /// The element expected, as text.
        expected: String,
    },
}

/// Where two values differ first, and how.
#[derive(Clone, PartialEq, Debug)]
pub struct Mismatch {
    /// The way from the whole value to the tensor: `[3]` in a sequence, `.keys` and `.values` in a map.
    pub path: String,
    /// How they differ there.
    pub difference: Difference,
}

/// The result of a comparison.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Comparison {
    /// How many elements were compared.
    pub elements: usize,
    /// How many of them were too far off.
    pub failures: usize,
    /// The largest absolute error among number elements; infinite where one side is not finite and the other differs.
    pub max_abs_error: f64,
    /// The first difference; `None` when the values agree.
    pub first: Option<Mismatch>,
}

impl Comparison {
    /// True when the values agree.
    pub fn passed(&self) -> bool {
        self.first.is_none()
    }

    fn differ(&mut self, path: &str, difference: impl FnOnce() -> Difference) {
        self.first.get_or_insert_with(|| Mismatch { path: path.to_string(), difference: difference() });
    }
}

/// Compares two values. NaN equals NaN, an infinity equals the same infinity, zeros of either sign are equal.
pub fn compare(found: &Value, expected: &Value, tolerance: &Tolerance) -> Comparison {
    let mut result = Comparison::default();
    values(found, expected, tolerance, "", &mut result);
    result
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Tensor(_) => "a tensor",
        Value::Sequence(_) => "a sequence",
        Value::Optional(Some(_)) => "an optional that holds a value",
        Value::Optional(None) => "an empty optional",
        Value::Map(..) => "a map",
        Value::Adt(_) => "a value of a data type",
        Value::Function(_) => "a function",
    }
}

fn values(found: &Value, expected: &Value, tolerance: &Tolerance, path: &str, result: &mut Comparison) {
    match (found, expected) {
        (Value::Tensor(f), Value::Tensor(e)) => tensors(f, e, tolerance, path, result),
        (Value::Sequence(f), Value::Sequence(e)) => {
            if f.len() != e.len() {
                result.differ(path, || Difference::Length { found: f.len(), expected: e.len() });
            }
            for (i, (f, e)) in f.iter().zip(e).enumerate() {
                values(f, e, tolerance, &format!("{path}[{i}]"), result);
            }
        }
        (Value::Optional(None), Value::Optional(None)) => {}
        (Value::Optional(Some(f)), Value::Optional(Some(e))) => values(f, e, tolerance, path, result),
        (Value::Map(fk, fv), Value::Map(ek, ev)) => {
            tensors(fk, ek, tolerance, &format!("{path}.keys"), result);
            values(fv, ev, tolerance, &format!("{path}.values"), result);
        }
        (Value::Adt(f), Value::Adt(e)) => made(f, e, tolerance, path, result),
        _ => result.differ(path, || Difference::Kind { found: kind(found), expected: kind(expected) }),
    }
}

/// Values of data types, field by field. Lists are as deep as they are long, so this does not recurse.
fn made(found: &Made, expected: &Made, tolerance: &Tolerance, path: &str, result: &mut Comparison) {
    let mut pairs = vec![(found, expected)];
    while let Some((found, expected)) = pairs.pop() {
        let path = format!("{path}.{}", expected.name);
        if found.name != expected.name {
            result.differ(&path, || Difference::Kind { found: "another constructor", expected: "this constructor" });
        } else if found.fields.len() != expected.fields.len() {
            let (found, expected) = (found.fields.len(), expected.fields.len());
            result.differ(&path, || Difference::Length { found, expected });
        } else {
            for (i, pair) in found.fields.iter().zip(&expected.fields).enumerate() {
                match pair {
                    (Value::Adt(f), Value::Adt(e)) => pairs.push((f, e)),
                    (f, e) => values(f, e, tolerance, &format!("{path}[{i}]"), result),
                }
            }
        }
    }
}

fn tensors(found: &Tensor, expected: &Tensor, tolerance: &Tolerance, path: &str, result: &mut Comparison) {
    if found.dtype() != expected.dtype() {
        return result.differ(path, || Difference::DType { found: found.dtype(), expected: expected.dtype() });
    }
    if found.dims() != expected.dims() {
        let (found, expected) = (found.dims().to_vec(), expected.dims().to_vec());
        return result.differ(path, || Difference::Dims { found, expected });
    }
    result.elements += expected.len();
    let mut fail = |at: usize, f: String, e: String| {
        result.failures += 1;
        let index = unravel(at, expected.dims());
        result.differ(path, || Difference::Element { index, found: f, expected: e });
    };
    if let (Some(f), Some(e)) = (found.as_strings(), expected.as_strings()) {
        for (at, (f, e)) in f.iter().zip(e).enumerate().filter(|(_, (f, e))| f != e) {
            fail(at, format!("{f:?}"), format!("{e:?}"));
        }
        return;
    }
    let dtype = expected.dtype();
    let mut worst = 0.0f64;
    let sizes = found.bytes().chunks_exact(dtype.size()).zip(expected.bytes().chunks_exact(dtype.size()));
    if dtype.is_integer() || dtype == DType::Bool {
        for (at, (f, e)) in sizes.enumerate() {
            let (f, e) = (exact(dtype, f), exact(dtype, e));
            if f != e {
                worst = worst.max(f.abs_diff(e) as f64);
                fail(at, f.to_string(), e.to_string());
            }
        }
    } else {
        let parts = Parts::of(dtype);
        let largest = expected
            .bytes()
            .chunks_exact(parts.size)
            .map(|e| parts.number(e).abs())
            .filter(|e| e.is_finite())
            .fold(0.0, f64::max);
        let slack = tolerance.atol + tolerance.scaled_atol * largest;
        for (at, (f, e)) in sizes.enumerate() {
            let mut close = true;
            for (f, e) in f.chunks_exact(parts.size).zip(e.chunks_exact(parts.size)) {
                let (f, e) = (parts.number(f), parts.number(e));
                let error = distance(f, e);
                worst = worst.max(error);
                // Of an infinite error no tolerance makes a small one.
                close &= error == 0.0 || (error.is_finite() && error <= slack + tolerance.rtol * e.abs());
            }
            if !close {
                fail(at, parts.text(f), parts.text(e));
            }
        }
    }
    result.max_abs_error = result.max_abs_error.max(worst);
}

/// An integer or boolean element.
fn exact(dtype: DType, bytes: &[u8]) -> i128 {
    let x = scalar::i64_of(dtype, bytes).unwrap_or(0);
    if dtype == DType::U64 { i128::from(x as u64) } else { i128::from(x) }
}

/// `|found - expected|`, zero for equal infinities and for two NaNs, infinite when only one is a number.
fn distance(found: f64, expected: f64) -> f64 {
    if found == expected || (found.is_nan() && expected.is_nan()) {
        return 0.0;
    }
    let error = (found - expected).abs();
    if error.is_nan() { f64::INFINITY } else { error }
}

/// The real numbers that an element consists of: itself, or the two parts of a complex number.
struct Parts {
    dtype: DType,
    size: usize,
}

impl Parts {
    fn of(dtype: DType) -> Parts {
        let dtype = match dtype {
            DType::C64 => DType::F32,
            DType::C128 => DType::F64,
            real => real,
        };
        Parts { dtype, size: dtype.size() }
    }

    fn number(&self, bytes: &[u8]) -> f64 {
        scalar::f64_of(self.dtype, bytes)
    }

    fn text(&self, element: &[u8]) -> String {
        let print = |bytes| match self.dtype {
            DType::F32 => format!("{:?}", self.number(bytes) as f32),
            _ => format!("{:?}", self.number(bytes)),
        };
        let parts: Vec<String> = element.chunks_exact(self.size).map(print).collect();
        if let [re, im] = &parts[..] { format!("({re}, {im})") } else { parts.concat() }
    }
}

/// Row-major position to index.
fn unravel(mut at: usize, dims: &[usize]) -> Vec<usize> {
    let mut index = vec![0; dims.len()];
    for (i, &d) in index.iter_mut().zip(dims).rev() {
        *i = at % d;
        at /= d;
    }
    index
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Mismatch { path, difference }) = &self.first else {
            return write!(f, "{} elements agree, largest error {:.1e}", self.elements, self.max_abs_error);
        };
        if !path.is_empty() {
            write!(f, "at {path}: ")?;
        }
        match difference {
            Difference::Kind { found, expected } => write!(f, "{found} where {expected} is expected"),
            Difference::DType { found, expected } => write!(f, "element type {found} where {expected} is expected"),
            Difference::Dims { found, expected } => write!(f, "shape {found:?} where {expected:?} is expected"),
            Difference::Length { found, expected } => {
                write!(f, "{found} values where {expected} are expected")
            }
            Difference::Element { index, found, expected } => write!(
                f,
                "{} of {} elements differ, the first at {index:?}: {found} where {expected} is expected; largest error \
                 {:.1e}",
                self.failures, self.elements, self.max_abs_error
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(x: &[f32]) -> Value {
        Tensor::new(&[x.len()], x.to_vec()).into()
    }
    const LOOSE: Tolerance = Tolerance { rtol: 1e-3, atol: 1e-6, scaled_atol: 0.0 };

    #[test]
    fn special_numbers_equal_themselves() {
        let x = floats(&[f32::NAN, f32::INFINITY, -f32::INFINITY, 0.0]);
        let y = floats(&[-f32::NAN, f32::INFINITY, -f32::INFINITY, -0.0]);
        let result = compare(&x, &y, &Tolerance::default());
        assert!(result.passed(), "{result}");
        assert_eq!((result.elements, result.max_abs_error), (4, 0.0));
    }

    #[test]
    fn infinite_tolerance_does_not_hide_an_infinity() {
        for bad in [f32::INFINITY, f32::NAN, -f32::INFINITY] {
            assert!(!compare(&floats(&[bad]), &floats(&[1.0]), &LOOSE).passed());
            assert!(!compare(&floats(&[1.0]), &floats(&[bad]), &LOOSE).passed());
        }
        assert!(!compare(&floats(&[f32::INFINITY]), &floats(&[-f32::INFINITY]), &LOOSE).passed());
    }

    #[test]
    fn each_part_of_the_tolerance_counts() {
        let (x, y) = (floats(&[100.0, 0.05]), floats(&[100.0, 0.0]));
        let tolerance = |rtol, atol, scaled_atol| Tolerance { rtol, atol, scaled_atol };
        assert!(!compare(&x, &y, &tolerance(0.5, 0.0, 0.0)).passed());
        assert!(compare(&x, &y, &tolerance(0.0, 0.06, 0.0)).passed());
        assert!(compare(&x, &y, &tolerance(0.0, 0.0, 0.001)).passed());
        assert!(!compare(&x, &y, &tolerance(0.0, 0.0, 0.0001)).passed());
        assert!(compare(&floats(&[1.01]), &floats(&[1.0]), &tolerance(0.02, 0.0, 0.0)).passed());
    }

    #[test]
    fn the_first_failure_is_named() {
        let x = Value::Tensor(Tensor::new(&[2, 2], vec![1i32, 2, 9, 8]));
        let y = Value::Tensor(Tensor::new(&[2, 2], vec![1i32, 2, 3, 4]));
        let result = compare(&x, &y, &LOOSE);
        assert_eq!(
            result.to_string(),
            "2 of 4 elements differ, the first at [1, 0]: 9 where 3 is expected; largest error 6.0e0"
        );
    }

    #[test]
    fn kinds_types_and_shapes_are_told_apart() {
        let text = |x: &Value, y: &Value| compare(x, y, &LOOSE).to_string();
        assert_eq!(text(&floats(&[1.0]), &Value::Sequence(vec![])), "a tensor where a sequence is expected");
        assert_eq!(text(&floats(&[1.0]), &Tensor::scalar(1i8).into()), "element type f32 where i8 is expected");
        assert_eq!(text(&floats(&[1.0]), &floats(&[1.0, 2.0])), "shape [1] where [2] is expected");
        let nested = |x: f32| Value::Sequence(vec![floats(&[1.0]), Value::Optional(Some(Box::new(floats(&[x]))))]);
        assert!(text(&nested(1.0), &nested(2.0)).starts_with("at [1]: 1 of 2 elements differ"));
        let map = |key: &str| {
            Value::Map(Tensor::strings(&[1], vec![key.into()]), Box::new(Value::Sequence(vec![floats(&[1.0])])))
        };
        assert!(text(&map("a"), &map("b")).starts_with("at .keys: 1 of 2 elements differ, the first at [0]: \"a\""));
        assert!(compare(&map("a"), &map("a"), &LOOSE).passed());
        let empty = Value::Optional(None);
        assert!(compare(&empty, &empty, &LOOSE).passed());
    }

    #[test]
    fn complex_and_wide_integers() {
        let z = |re: f32, im: f32| {
            Value::Tensor(Tensor::from_bytes(DType::C64, &[1], bytemuck::cast_slice(&[re, im]).to_vec()))
        };
        assert!(compare(&z(1.0, 2.0), &z(1.0, 2.0005), &LOOSE).passed());
        assert!(compare(&z(1.0, 2.0), &z(1.0, 3.0), &LOOSE).to_string().contains("(1.0, 2.0) where (1.0, 3.0)"));
        let x = |v: u64| Value::Tensor(Tensor::scalar(v));
        assert!(!compare(&x(u64::MAX), &x(u64::MAX - 1), &LOOSE).passed());
    }
}
