//! Tile registers of kernels.

use super::container::Container;
use crate::scalar::{IntType, Scalar};
use nim_loops::{TILE_ROWS, TileKind};
use nim_tensor::DType;

/// A tile register: words of 32 bits.
#[derive(Clone)]
pub struct Tile {
    rows: usize,
    words: usize,
    data: Vec<u32>,
}

impl Tile {
    /// Zeros; `None` for more rows than there can be, or none.
    pub fn new(rows: i64, bytes: i64) -> Option<Tile> {
        (1..=TILE_ROWS).contains(&rows).then_some(())?;
        let (rows, words) = (rows as usize, usize::try_from(bytes / 4).ok()?);
        Some(Tile { rows, words, data: vec![0; rows * words] })
    }

    pub fn zero(&mut self) {
        self.data.fill(0);
    }

    /// From elements of a buffer, of which so many fill a word; `None` where one of them lies outside.
    pub fn load(&mut self, from: &Container, at: usize, stride: i64, elements: usize) -> Option<()> {
        for row in 0..self.rows {
            let begin = usize::try_from(i64::try_from(at).ok()? + stride * row as i64).ok()?;
            for word in 0..self.words {
                let begin = begin + word * elements;
                self.data[row * self.words + word] = joined(from.elements.get(begin..begin + elements)?)?;
            }
        }
        Some(())
    }

    /// To elements of 32 bits; `None` where one of them lies outside.
    pub fn store(&self, to: &mut Container, at: usize, stride: i64) -> Option<()> {
        let float = to.dtype.is_float();
        for row in 0..self.rows {
            let begin = usize::try_from(i64::try_from(at).ok()? + stride * row as i64).ok()?;
            for (word, &bits) in self.data[row * self.words..][..self.words].iter().enumerate() {
                *to.elements.get_mut(begin + word)? = match float {
                    true => Scalar::Float { dtype: DType::F32, value: f32::from_bits(bits).into() },
                    false => Scalar::int(IntType { bits: 32, signed: true }, i128::from(bits as i32)),
                };
            }
        }
        Some(())
    }
}

/// Neighbours that fill 32 bits as one number, the first one lowest.
pub fn joined(elements: &[Scalar]) -> Option<u32> {
    let bits = 32 / elements.len().max(1);
    elements.iter().enumerate().try_fold(0, |joined, (k, element)| {
        let part = match element {
            Scalar::Int { value, .. } => *value as u32,
            // A `bf16` is the upper half of an `f32`.
            Scalar::Float { value, .. } => (*value as f32).to_bits() >> (32 - bits),
            Scalar::Bool(_) => return None,
        };
        let mask = u32::MAX >> (32 - bits);
        Some(joined | (part & mask) << (bits * k))
    })
}

/// Writes 32 bits as so many elements, the inverse of [`joined`]; `None` where one of them lies outside.
pub fn part(word: Scalar, to: &mut Container, at: usize, elements: usize) -> Option<()> {
    let Scalar::Int { value, .. } = word else { return None };
    let (word, bits) = (value as u32, 32 / elements.max(1));
    let dtype = to.dtype;
    for (k, element) in to.elements.get_mut(at..at + elements)?.iter_mut().enumerate() {
        let part = word >> (bits * k) << (32 - bits);
        *element = match dtype.is_float() {
            true => Scalar::Float { dtype, value: f32::from_bits(part).into() },
            false => {
                let ty = IntType { bits: bits as u32, signed: true };
                Scalar::int(ty, i128::from(part as i32 >> (32 - bits)))
            }
        };
    }
    Some(())
}

/// `loops.tile_dot`; `None` where shapes do not fit.
pub fn dot(kind: TileKind, tiles: &mut [Tile], [sum, left, right]: [usize; 3]) -> Option<()> {
    let (a, b) = (tiles.get(left)?.clone(), tiles.get(right)?.clone());
    let sum = tiles.get_mut(sum)?;
    if sum.rows != a.rows || sum.words != b.words || a.words != b.rows {
        return None;
    }
    for m in 0..sum.rows {
        for n in 0..sum.words {
            let acc = &mut sum.data[m * b.words + n];
            for k in 0..a.words {
                *acc = word_dot(kind, *acc, a.data[m * a.words + k], b.data[k * b.words + n]);
            }
        }
    }
    Some(())
}

/// A sum and the products of what two words hold.
pub fn word_dot(kind: TileKind, acc: u32, a: u32, b: u32) -> u32 {
    match kind {
        TileKind::Bf16 => {
            let half = |v: u32, k: u32| f32::from_bits((v >> (16 * k) & 0xffff) << 16);
            (0..2).fold(f32::from_bits(acc), |sum, k| sum + half(a, k) * half(b, k)).to_bits()
        }
        TileKind::Bytes { left_signed, right_signed } => {
            let byte = |v: u32, k: u32, signed: bool| match (v >> (8 * k)) as u8 {
                byte if signed => i32::from(byte as i8),
                byte => i32::from(byte),
            };
            let products: i32 = (0..4).map(|k| byte(a, k, left_signed) * byte(b, k, right_signed)).sum();
            acc.wrapping_add(products as u32)
        }
    }
}
