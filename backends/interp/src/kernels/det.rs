//! Determinants.

use super::access::{floats, store_floats};
use super::error::{KernelError, Result, ensure};
use super::index::{checked_count, product};
use nim_tensor::Tensor;

/// The determinants of the square matrices in the last two dimensions, by Gaussian elimination with partial pivoting
/// in `f64`. The determinant of an empty matrix is 1.
pub fn det(x: &Tensor) -> Result<Tensor> {
    const OP: &str = "det";
    let [batch @ .., rows, columns] = x.dims() else {
        return Err(KernelError::invalid(OP, format!("shape {:?} holds no matrices", x.dims())));
    };
    ensure!(rows == columns, OP, "matrices of {rows} rows and {columns} columns are not square");
    let count = checked_count(OP, batch)?;
    let values = floats(OP, x)?;
    let size = if count == 0 { 0 } else { product(&[*rows, *columns]) };
    let matrices = (0..count).map(|m| determinant(values[m * size..][..size].to_vec(), *rows));
    store_floats(OP, x.dtype(), batch, &matrices.collect::<Vec<_>>())
}

fn determinant(mut m: Vec<f64>, n: usize) -> f64 {
    let mut result = 1.0;
    for k in 0..n {
        let Some(pivot) = (k..n).max_by(|&a, &b| m[a * n + k].abs().total_cmp(&m[b * n + k].abs())) else { break };
        let lead = m[pivot * n + k];
        if lead == 0.0 {
            return 0.0;
        }
        if pivot != k {
            (0..n).for_each(|j| m.swap(pivot * n + j, k * n + j));
            result = -result;
        }
        result *= lead;
        for i in k + 1..n {
            let factor = m[i * n + k] / lead;
            (k..n).for_each(|j| m[i * n + j] -= factor * m[k * n + j]);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = Tensor::new(&[3, 2, 2], vec![1f32, 2.0, 3.0, 4.0, 0.0, 1.0, 1.0, 0.0, 1.0, 2.0, 2.0, 4.0]);
        assert_eq!(det(&x).unwrap(), Tensor::new(&[3], vec![-2f32, -1.0, 0.0]));
        assert_eq!(det(&Tensor::new::<f32>(&[2, 0, 0], vec![])).unwrap(), Tensor::new(&[2], vec![1f32, 1.0]));
        assert!(det(&Tensor::scalar(1f32)).is_err());
        assert!(det(&Tensor::new(&[1, 2], vec![1f32, 2.0])).is_err());
    }
}
