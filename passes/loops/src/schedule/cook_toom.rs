//! Short convolutions with few products: the algorithms of Toom and Cook that Winograd's minimal filtering is made of.
//!
//! `m` results of a filter of `r` taps are `output * ((weights * w) . (input * x))` with `n = m + r - 1` products instead of `m*r`
//! (S. Winograd, "Arithmetic Complexity of Computations", 1980; for convolutional nets A. Lavin and S. Gray, "Fast Algorithms for
//! Convolutional Neural Networks", 2016). Filter and results are taken as polynomials, evaluated at `n - 1` points and at
//! infinity.

/// A matrix by rows.
pub type Matrix = Vec<Vec<f64>>;

/// One algorithm.
#[derive(Clone, Debug, PartialEq)]
pub struct CookToom {
    /// `m` by `n`: results of products.
    pub output: Matrix,
    /// `n` by `r`: factors of taps.
    pub weights: Matrix,
    /// `n` by `n`: factors of inputs.
    pub input: Matrix,
}

/// Points with small powers: pairs that differ in sign alone, and with each its inverse (B. Barabasz and others, "Error Analysis
/// and Improving the Accuracy of Winograd Convolution", 2020). 3/4 errs less than the 1/2 or 2 of the first papers.
const POINTS: [f64; 5] = [0.0, 0.75, -0.75, 4.0 / 3.0, -4.0 / 3.0];

impl CookToom {
    /// The algorithm of `n` products for filters of `taps` taps: 4 or 6 products, at least 2 results.
    pub fn new(n: usize, taps: usize) -> Option<CookToom> {
        let points: &[f64] = match n {
            4 => &[0.0, 1.0, -1.0],
            6 => &POINTS,
            _ => return None,
        };
        if taps < 2 || taps + 1 > n {
            return None;
        }
        let results = n + 1 - taps;
        let others = |i: usize| points.iter().enumerate().filter(move |&(j, _)| j != i).map(|(_, &p)| p);
        let power = |k: usize| points.iter().map(move |p| p.powi(k as i32));
        let last = |k: usize, end: usize| if k == end { 1.0 } else { 0.0 };
        let output = (0..results).map(|k| power(k).chain([last(k, results - 1)]).collect()).collect();
        let mut weights: Matrix = vec![];
        let mut input: Matrix = vec![];
        for (i, &point) in points.iter().enumerate() {
            let scale: f64 = others(i).map(|other| point - other).product();
            weights.push((0..taps).map(|k| point.powi(k as i32) / scale).collect());
            input.push(polynomial(others(i), n));
        }
        weights.push((0..taps).map(|k| last(k, taps - 1)).collect());
        input.push(polynomial(points.iter().copied(), n));
        Some(CookToom { output, weights, input })
    }

    /// Results of one application.
    pub fn results(&self) -> usize {
        self.output.len()
    }

    /// Products of one application.
    pub fn products(&self) -> usize {
        self.input.len()
    }

    /// By how much rounding errors exceed those of the plain sum of as many terms: every product has an error in proportion to
    /// itself, and independent errors add up by their squares. (Measured: a factor of 6 for 6 products along two dimensions.)
    pub fn growth(&self) -> f64 {
        let squares = |row: &Vec<f64>| row.iter().map(|x| x * x).sum::<f64>();
        let products = self.weights.iter().zip(&self.input).map(|(w, i)| squares(w) * squares(i));
        let products: Vec<f64> = products.collect();
        let result = |row: &Vec<f64>| row.iter().zip(&products).map(|(x, p)| x * x * p).sum::<f64>();
        let plain = self.weights[0].len() as f64;
        (self.output.iter().map(result).fold(0.0, f64::max) / plain).sqrt()
    }
}

/// Coefficients of the polynomial with these roots, the constant one first, filled up with zeros.
fn polynomial(roots: impl Iterator<Item = f64>, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n];
    out[0] = 1.0;
    for (degree, root) in roots.enumerate() {
        for k in (0..=degree + 1).rev() {
            let below = if k > 0 { out[k - 1] } else { 0.0 };
            out[k] = below - root * out[k];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(matrix: &Matrix, x: &[f64]) -> Vec<f64> {
        matrix.iter().map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
    }

    #[test]
    fn it_is_the_convolution() {
        for n in [4, 6] {
            for taps in 2..n {
                let algorithm = CookToom::new(n, taps).unwrap();
                let w: Vec<f64> = (0..taps).map(|i| 1.5 - i as f64).collect();
                let x: Vec<f64> = (0..n).map(|i| (i * i % 7) as f64 - 2.5).collect();
                let products = apply(&algorithm.weights, &w).into_iter().zip(apply(&algorithm.input, &x));
                let found = apply(&algorithm.output, &products.map(|(a, b)| a * b).collect::<Vec<_>>());
                assert_eq!(found.len(), n + 1 - taps);
                for (k, y) in found.into_iter().enumerate() {
                    let wanted: f64 = (0..taps).map(|i| w[i] * x[k + i]).sum();
                    assert!((y - wanted).abs() < 1e-12, "{n} products, {taps} taps: {y} is not {wanted}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(CookToom::new(5, 3), None);
        assert_eq!(CookToom::new(4, 4), None);
        assert_eq!(CookToom::new(4, 1), None);
    }

    #[test]
    fn errors_grow_with_the_products() {
        let [small, large] = [4, 6].map(|n| CookToom::new(n, 3).unwrap().growth());
        assert!(small < 1.4 && large > 2.5 && large < 3.0, "{small}, {large}");
    }
}
