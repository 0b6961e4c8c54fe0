//! Random numbers that every back end can reproduce.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014) used by
//! position: draw `n` of a seed is `mix(seed + (n + 1) * 0x9e3779b97f4a7c15)`, all arithmetic modulo 2^64. So any
//! element can be computed on its own, in any order. Element `i` of a tensor uses draw `2 i`, and `2 i + 1` where it
//! needs two. A seed that a model gives as a float is the bits of that number as an `f64`.

use super::access::{floats, retyped};
use super::{Call, count};
use nim_tensor::{DType, Tensor, Value, encode_f64};
use std::f64::consts::TAU;

/// The random numbers of one seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Draws {
    /// Different seeds give unrelated numbers.
    pub seed: u64,
}

impl Draws {
    /// 64 random bits.
    pub fn bits(self, n: u64) -> u64 {
        let mut z = self.seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `[0, 1)`: the upper 53 bits times 2^-53.
    pub fn unit(self, n: u64) -> f64 {
        (self.bits(n) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number from the standard normal distribution, from draws `2 n` and `2 n + 1` by Box and Muller:
    /// `sqrt(-2 ln(1 - u)) cos(2 pi v)`.
    pub fn normal(self, n: u64) -> f64 {
        let (u, v) = (self.unit(n.wrapping_mul(2)), self.unit(n.wrapping_mul(2).wrapping_add(1)));
        (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
    }
}

/// The seed at attribute `i`, or a fresh one when it is missing.
fn draws(call: &mut Call<'_>, i: usize) -> Draws {
    let seed = match call.ints.get(i) {
        Some(&seed) => seed as u64,
        None => {
            call.env.drawn += 1;
            call.env.seeds.bits(call.env.drawn)
        }
    };
    Draws { seed }
}

/// `random.uniform() -> x`: evenly distributed in `[low, high)`. ints: element type, low, high, and the seed if any;
/// sizes: the shape.
pub(super) fn uniform(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (low, high) = (call.float(1)?, call.float(2)?);
    fill(call, |draws, i| low + (high - low) * draws.unit(2 * i))
}

/// `random.normal() -> x`; ints: element type, mean, standard deviation, and the seed if any; sizes: the shape.
pub(super) fn normal(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (mean, deviation) = (call.float(1)?, call.float(2)?);
    fill(call, |draws, i| mean + deviation * draws.normal(i))
}

fn fill(call: &mut Call<'_>, element: impl Fn(Draws, u64) -> f64) -> Result<Vec<Value>, String> {
    let dtype = call.dtype(0)?;
    if !dtype.is_float() {
        return Err(format!("random numbers of type {dtype} are not defined"));
    }
    let dims: Vec<usize> = call.sizes.iter().map(|&d| count(d)).collect::<Result<_, _>>()?;
    let total = call.env.admit(dtype, &dims)? as u64;
    let draws = draws(call, 3);
    let tensor = match dtype {
        DType::F32 => Tensor::new(&dims, (0..total).map(|i| element(draws, i) as f32).collect()),
        DType::F64 => Tensor::new(&dims, (0..total).map(|i| element(draws, i)).collect()),
        _ => {
            let bytes = (0..total).flat_map(|i| encode_f64(dtype, element(draws, i)).to_vec()).collect();
            Tensor::from_bytes(dtype, &dims, bytes)
        }
    };
    Ok(vec![tensor.into()])
}

/// `random.bernoulli(probabilities) -> x`: 1 with the given probabilities, else 0. ints: element type, and the seed if
/// any.
pub(super) fn bernoulli(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let dtype = call.dtype(0)?;
    let draws = draws(call, 1);
    let p = call.tensor(0)?;
    if p.as_strings().is_some() || dtype == DType::String {
        return Err("strings are no probabilities".into());
    }
    call.env.admit(dtype, p.dims())?;
    let flags = floats(p).into_iter().enumerate().map(|(i, p)| draws.unit(2 * i as u64) < p);
    let (zero, one) = (encode_f64(dtype, 0.0), encode_f64(dtype, 1.0));
    let tensor = match dtype.size() {
        1 => {
            let (zero, one) = (zero[0], one[0]);
            retyped(Tensor::new(p.dims(), flags.map(|f| if f { one } else { zero }).collect::<Vec<u8>>()), dtype)
        }
        _ => Tensor::from_bytes(
            dtype,
            p.dims(),
            flags.flat_map(|f| if f { one.to_vec() } else { zero.to_vec() }).collect(),
        ),
    };
    Ok(vec![tensor.into()])
}
