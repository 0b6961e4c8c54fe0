//! Numbers as text and back, as the operator Cast spells them.

use crate::{DType, scalar};

/// A number read from text: as an integer where it is one, so that no digit of it is lost.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Number {
    /// An integer of any type, `i64` or `ui64`.
    Integer(i128),
    /// Anything else.
    Real(f64),
}

/// Reads a number: plain or scientific, `INF`, `+INF`, `-INF`, `NaN` in any case; spaces around it are ignored.
pub(crate) fn parse(text: &str) -> Option<Number> {
    let text = text.trim();
    let integer = text.parse().ok().map(Number::Integer);
    integer.or_else(|| text.parse().ok().map(Number::Real))
}

/// Reads a truth value: `True` and `False` in any case, or a number, which is true unless it is zero.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    let word = text.trim();
    if word.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    if word.eq_ignore_ascii_case("false") {
        return Some(false);
    }
    parse(word).map(|number| match number {
        Number::Integer(x) => x != 0,
        Number::Real(x) => x != 0.0,
    })
}

/// Writes a floating-point element: the shortest plain decimal that reads back as the same element (`314.15926`,
/// `1.0`, never `1e5`), or `NaN`, `INF`, `-INF`, the words that the standard reserves.
pub(crate) fn print_float(dtype: DType, x: f64) -> String {
    if x.is_nan() {
        return "NaN".to_string();
    }
    if x.is_infinite() {
        return if x < 0.0 { "-INF" } else { "INF" }.to_string();
    }
    let mut text = match dtype {
        DType::F64 => x.to_string(),
        DType::F32 => (x as f32).to_string(),
        _ => shortest(dtype, x).to_string(),
    };
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

/// The decimal with the fewest digits that rounds to the same element of a narrow type.
fn shortest(dtype: DType, x: f64) -> f64 {
    let code = scalar::encode_f64(dtype, x);
    (0..17)
        .filter_map(|digits| format!("{x:.digits$e}").parse().ok())
        .find(|&short| scalar::encode_f64(dtype, short) == code)
        .unwrap_or(x)
}
