//! Discrete Fourier transforms, by the definition.
//!
//! Complex numbers are pairs in a last dimension of size 2; a last dimension of size 1 holds real numbers.

use super::access::{floats, same_dtype, store_floats};
use super::error::{KernelError, Result, ensure};
use super::index::{axis, checked_count, product};
use nim_tensor::Tensor;
use std::f64::consts::TAU;

/// The Fourier transform along an axis, which is cut or padded with zeros to `length`.
///
/// Forward: `y[k] = sum of x[j] exp(-2 pi i j k / length)`; inverse: with the opposite sign, divided by the length.
/// `onesided` forward gives the first `length / 2 + 1` values only, which say all for real signals; `onesided` inverse
/// takes such values and gives the real signal of that length.
pub fn dft(x: &Tensor, along: i64, length: Option<usize>, inverse: bool, onesided: bool) -> Result<Tensor> {
    const OP: &str = "dft";
    let along = axis(OP, along, x.rank())?;
    let parts = x.dims()[x.rank() - 1];
    ensure!(along + 1 < x.rank(), OP, "the last dimension holds the parts of complex numbers");
    ensure!(parts == 1 || parts == 2, OP, "a last dimension of size {parts} holds no complex numbers");
    let given = x.dims()[along];
    let whole = if inverse && onesided { 2 * given.saturating_sub(1) } else { given };
    let length = length.unwrap_or(whole);
    let half = length / 2 + 1;
    let (taken, made, made_parts) = match (inverse, onesided) {
        (_, false) => (length, length, 2),
        (false, true) => (length, half, 2),
        (true, true) => (half, length, 1),
    };
    let mut dims = x.dims().to_vec();
    dims[along] = made;
    *dims.last_mut().expect("the rank is at least 2") = made_parts;
    let count = checked_count(OP, &dims)?;
    let values = floats(OP, x)?;
    let mut result = vec![0.0; count];
    if count == 0 {
        return store_floats(OP, x.dtype(), &dims, &result);
    }
    let (outer, inner) = (product(&x.dims()[..along]), product(&x.dims()[along + 1..x.rank() - 1]));
    let direction = if inverse { TAU } else { -TAU };
    // Angles are reduced exactly before they become floating-point numbers.
    let roots: Vec<_> = (0..length).map(|m| (direction * m as f64 / length as f64).sin_cos()).collect();
    let scale = if inverse { length as f64 } else { 1.0 };
    for lane in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
        let read = |j: usize| {
            let at = ((lane.0 * given + j) * inner + lane.1) * parts;
            (values[at], if parts == 2 { values[at + 1] } else { 0.0 })
        };
        let signal: Vec<(f64, f64)> = (0..length)
            .map(|j| {
                // The half that is not given mirrors the other one, conjugated.
                let mirrored = inverse && onesided && j >= taken;
                let source = if mirrored { length - j } else { j };
                let (re, im) = if source < given { read(source) } else { (0.0, 0.0) };
                (re, if mirrored { -im } else { im })
            })
            .collect();
        for k in 0..made {
            let (mut re, mut im) = (0.0, 0.0);
            for (j, (a, b)) in signal.iter().enumerate() {
                let (sin, cos) = roots[(j as u128 * k as u128 % length as u128) as usize];
                re += a * cos - b * sin;
                im += a * sin + b * cos;
            }
            let at = ((lane.0 * made + k) * inner + lane.1) * made_parts;
            result[at] = re / scale;
            if made_parts == 2 {
                result[at + 1] = im / scale;
            }
        }
    }
    store_floats(OP, x.dtype(), &dims, &result)
}

/// The short-time Fourier transform of `signal: [batch, samples, 1 or 2]`: frames of `frame_length` samples every
/// `frame_step`, times the window, each transformed; gives `[batch, frames, frequencies, 2]`.
pub fn stft(
    signal: &Tensor,
    frame_step: usize,
    window: Option<&Tensor>,
    frame_length: usize,
    onesided: bool,
) -> Result<Tensor> {
    const OP: &str = "stft";
    ensure!(
        signal.rank() == 3 && frame_step > 0 && frame_length > 0,
        OP,
        "frames of {frame_length} samples every {frame_step} do not fit a signal of shape {:?}",
        signal.dims()
    );
    let weights = match window {
        Some(window) => {
            same_dtype(OP, &[signal, window])?;
            ensure!(window.dims() == [frame_length], OP, "a window of shape {:?} does not fit", window.dims());
            floats(OP, window)?
        }
        None => {
            checked_count(OP, &[frame_length])?;
            vec![1.0; frame_length]
        }
    };
    let (batch, samples, parts) = (signal.dims()[0], signal.dims()[1], signal.dims()[2]);
    let Some(spare) = samples.checked_sub(frame_length) else {
        let message = format!("a frame of {frame_length} samples does not fit in {samples} samples");
        return Err(KernelError::invalid(OP, message));
    };
    let frames = spare / frame_step + 1;
    let values = floats(OP, signal)?;
    let dims = [batch, frames, frame_length, parts];
    let mut cut = Vec::with_capacity(checked_count(OP, &dims)?);
    super::index::for_each_index(&dims, |at| {
        let sample = at[1] * frame_step + at[2];
        cut.push(values[(at[0] * samples + sample) * parts + at[3]] * weights[at[2]]);
    });
    // The frames stay in f64, so that the result is rounded once.
    let spectrum = dft(&Tensor::new(&dims, cut), 2, None, false, onesided)?;
    store_floats(OP, signal.dtype(), spectrum.dims(), &floats(OP, &spectrum)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &Tensor, b: &Tensor) {
        assert_eq!(a.dims(), b.dims());
        let worst = floats("t", a).unwrap().into_iter().zip(floats("t", b).unwrap()).map(|(x, y)| (x - y).abs());
        assert!(worst.fold(0.0, f64::max) < 1e-12);
    }

    fn wavy(dims: &[usize]) -> Tensor {
        Tensor::new(dims, (0..dims.iter().product::<usize>()).map(|i| (i * 7 % 11) as f64 - 5.0).collect())
    }

    #[test]
    fn four_points_by_hand() {
        let x = Tensor::new(&[4, 1], vec![1f64, 2.0, 3.0, 4.0]);
        let y = Tensor::new(&[4, 2], vec![10f64, 0.0, -2.0, 2.0, -2.0, 0.0, -2.0, -2.0]);
        close(&dft(&x, 0, None, false, false).unwrap(), &y);
        close(&dft(&x, 0, None, false, true).unwrap(), &Tensor::new(&[3, 2], y.elements::<f64>()[..6].to_vec()));
        close(&dft(&x, 0, Some(1), false, false).unwrap(), &Tensor::new(&[1, 2], vec![1f64, 0.0]));
    }

    #[test]
    fn the_inverse_undoes() {
        let x = wavy(&[2, 5, 3, 2]);
        for axis in [0, 1, 2] {
            let y = dft(&x, axis, None, false, false).unwrap();
            close(&dft(&y, axis, None, true, false).unwrap(), &x);
        }
        for length in [5usize, 6] {
            let real = wavy(&[length, 1]);
            let half = dft(&real, 0, None, false, true).unwrap();
            close(&dft(&half, 0, Some(length), true, true).unwrap(), &real);
        }
        assert!(dft(&x, 3, None, false, false).is_err());
        assert!(dft(&wavy(&[2, 3]), 0, None, false, false).is_err());
        assert_eq!(dft(&wavy(&[0, 1]), 0, None, false, true).unwrap().dims(), [1, 2]);
    }

    #[test]
    fn stft_is_the_dft_of_frames() {
        let x = wavy(&[1, 8, 1]);
        let window = Tensor::new(&[4], vec![0f64, 1.0, 2.0, 1.0]);
        let y = stft(&x, 2, Some(&window), 4, true).unwrap();
        assert_eq!(y.dims(), [1, 3, 3, 2]);
        let v = x.elements::<f64>();
        let frame: Vec<_> = (0..4).map(|i| v[2 + i] * window.elements::<f64>()[i]).collect();
        let expected = dft(&Tensor::new(&[4, 1], frame), 0, None, false, true).unwrap();
        close(&Tensor::new(&[3, 2], y.elements::<f64>()[6..12].to_vec()), &expected);
        assert!(stft(&x, 2, None, 9, true).is_err());
    }
}
