//! Random numbers that every back end can reproduce.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014) used by
//! position: draw `n` of a seed is `mix(seed + (n + 1) * 0x9e3779b97f4a7c15)`, all arithmetic modulo 2^64. So any
//! element can be computed on its own, in any order. Element `i` of a tensor uses draw `2 i`, and `2 i + 1` where it
//! needs two.

use super::access::{floats, store_bools, store_floats, store_ints};
use super::error::{Result, ensure};
use super::index::checked_count;
use nim_tensor::{DType, Tensor};
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
        let (u, v) = (self.unit(2 * n), self.unit(2 * n + 1));
        (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
    }
}

/// Evenly distributed numbers in `[low, high)`.
pub fn uniform(seed: u64, dtype: DType, dims: &[usize], low: f64, high: f64) -> Result<Tensor> {
    let draws = Draws { seed };
    fill("random_uniform", dtype, dims, |i| low + (high - low) * draws.unit(2 * i))
}

/// Normally distributed numbers.
pub fn normal(seed: u64, dtype: DType, dims: &[usize], mean: f64, deviation: f64) -> Result<Tensor> {
    let draws = Draws { seed };
    fill("random_normal", dtype, dims, |i| mean + deviation * draws.normal(i))
}

fn fill(op: &'static str, dtype: DType, dims: &[usize], element: impl Fn(u64) -> f64) -> Result<Tensor> {
    let values: Vec<_> = (0..checked_count(op, dims)? as u64).map(element).collect();
    store_floats(op, dtype, dims, &values)
}

/// Truth values that are true with the given probabilities.
pub fn bernoulli(seed: u64, probabilities: &Tensor) -> Result<Tensor> {
    const OP: &str = "bernoulli";
    let draws = Draws { seed };
    let values = floats(OP, probabilities)?;
    let flags = values.iter().enumerate().map(|(i, &p)| draws.unit(2 * i as u64) < p).collect();
    store_bools(OP, probabilities.dims(), flags)
}

/// For each row of unnormalised log probabilities `[batch, classes]`, `samples` independent `i64` class numbers.
pub fn multinomial(seed: u64, logits: &Tensor, samples: usize) -> Result<Tensor> {
    const OP: &str = "multinomial";
    ensure!(logits.rank() == 2, OP, "log probabilities have shape {:?} instead of [batch, classes]", logits.dims());
    let (batch, classes) = (logits.dims()[0], logits.dims()[1]);
    let count = checked_count(OP, &[batch, samples])?;
    ensure!(classes > 0 || count == 0, OP, "there is no class to draw from");
    let values = floats(OP, logits)?;
    let draws = Draws { seed };
    let chosen: Vec<_> = (0..count)
        .map(|i| {
            let row = &values[i / samples * classes..][..classes];
            // Subtracting the greatest keeps the exponentials finite.
            let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<_> = row.iter().map(|&v| (v - top).exp()).collect();
            let mut left = draws.unit(2 * i as u64) * weights.iter().sum::<f64>();
            let class = weights.iter().position(|w| {
                left -= w;
                left < 0.0
            });
            class.unwrap_or(classes - 1) as i128
        })
        .collect();
    store_ints(OP, DType::I64, &[batch, samples], &chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for seed 0, as published with the generator's reference code.
        let draws = Draws { seed: 0 };
        assert_eq!(draws.bits(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(draws.bits(1), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn distributions_have_their_moments() {
        let n = 100_000;
        let moments = |x: &Tensor| {
            let v = floats("t", x).unwrap();
            let mean = v.iter().sum::<f64>() / v.len() as f64;
            (mean, v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64)
        };
        let (mean, variance) = moments(&uniform(7, DType::F32, &[n], -1.0, 3.0).unwrap());
        assert!((mean - 1.0).abs() < 0.02 && (variance - 16.0 / 12.0).abs() < 0.03);
        let (mean, variance) = moments(&normal(7, DType::F64, &[n], 2.0, 3.0).unwrap());
        assert!((mean - 2.0).abs() < 0.05 && (variance - 9.0).abs() < 0.2);
        let flags = bernoulli(7, &Tensor::new(&[n], vec![0.25f32; n])).unwrap();
        let share = flags.bytes().iter().filter(|&&b| b == 1).count() as f64 / n as f64;
        assert!((share - 0.25).abs() < 0.01);
        let logits = Tensor::new(&[2, 3], vec![f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY, 5.0, -900.0, -900.0]);
        assert_eq!(multinomial(1, &logits, 2).unwrap(), Tensor::new(&[2, 2], vec![1i64, 1, 0, 0]));
        assert!(uniform(1, DType::I32, &[2], 0.0, 1.0).is_err());
    }
}
