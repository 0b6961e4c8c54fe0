//! The geometry of sliding windows: convolutions and pooling over any number of spatial dimensions.

use super::error::{KernelError, Result, ensure};

/// How windows move over the spatial dimensions; every vector has one entry a spatial dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Distance between neighbouring windows, in elements.
    pub strides: Vec<usize>,
    /// Distance between neighbouring elements of one window.
    pub dilations: Vec<usize>,
    /// Padding in front of each dimension; negative numbers crop.
    pub pads_begin: Vec<i64>,
    /// Padding behind each dimension; negative numbers crop.
    pub pads_end: Vec<i64>,
}

impl Window {
    /// Windows next to each other, without padding.
    pub fn new(rank: usize) -> Window {
        Window { strides: vec![1; rank], dilations: vec![1; rank], pads_begin: vec![0; rank], pads_end: vec![0; rank] }
    }

    /// Checks the number of entries and that strides and dilations are positive.
    pub(crate) fn check(&self, op: &'static str, rank: usize) -> Result<()> {
        let counts = [self.strides.len(), self.dilations.len(), self.pads_begin.len(), self.pads_end.len()];
        ensure!(counts == [rank; 4], op, "window parameters {self:?} do not fit {rank} spatial dimensions");
        let positive = |v: &[usize]| v.iter().all(|&x| (1..1 << 31).contains(&x));
        ensure!(
            positive(&self.strides) && positive(&self.dilations),
            op,
            "strides {:?} and dilations {:?} must be positive and below 2^31",
            self.strides,
            self.dilations
        );
        let small = |v: &[i64]| v.iter().all(|&x| x.unsigned_abs() < 1 << 31);
        ensure!(small(&self.pads_begin) && small(&self.pads_end), op, "paddings must be below 2^31");
        Ok(())
    }

    /// The number of windows of the given extents that lie inside the padded input; partial windows do not count.
    pub(crate) fn output_dims(&self, op: &'static str, input: &[usize], kernel: &[usize]) -> Result<Vec<usize>> {
        (0..input.len())
            .map(|d| {
                ensure!(kernel[d] > 0, op, "window extent {kernel:?} has a zero");
                let padded = input[d] as i128 + i128::from(self.pads_begin[d]) + i128::from(self.pads_end[d]);
                let extent = (kernel[d] as i128 - 1) * self.dilations[d] as i128 + 1;
                // A window that does not fit at all gives an empty result, as long as there is something padded.
                let windows = if padded < extent { 0 } else { (padded - extent) / self.strides[d] as i128 + 1 };
                usize::try_from(windows).map_err(|_| KernelError::TooLarge { op, dims: input.to_vec() })
            })
            .collect()
    }

    /// The input position, possibly in the padding, of element `tap` of window `window` along dimension `d`.
    pub(crate) fn position(&self, d: usize, window: usize, tap: usize) -> i64 {
        (window * self.strides[d] + tap * self.dilations[d]) as i64 - self.pads_begin[d]
    }

    /// For one tap along dimension `d`, the windows whose element lies inside the input.
    pub(crate) fn inside(&self, d: usize, tap: usize, input: usize, windows: usize) -> std::ops::Range<usize> {
        let fits = |w: usize| (0..input as i64).contains(&self.position(d, w, tap));
        // Positions grow with the window, so the fitting ones are neighbours.
        let start = (0..windows).find(|&w| fits(w)).unwrap_or(windows);
        let end = (start..windows).find(|&w| !fits(w)).unwrap_or(windows);
        start..end
    }
}
