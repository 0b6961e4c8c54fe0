//! Two operands of different shapes, as NumPy broadcasts them.

/// The common shape of two operands and where each of them is read for every element of it.
pub(super) struct Broadcast {
    /// The common shape.
    pub dims: Vec<usize>,
    strides: [Vec<usize>; 2],
}

impl Broadcast {
    /// Of two shapes.
    pub fn of(a: &[usize], b: &[usize]) -> Result<Broadcast, String> {
        let rank = a.len().max(b.len());
        let size = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
        let mut dims = vec![0; rank];
        for (axis, dim) in dims.iter_mut().enumerate() {
            *dim = match (size(a, axis), size(b, axis)) {
                (x, y) if x == y => x,
                (1, y) => y,
                (x, 1) => x,
                (x, y) => return Err(format!("shapes {a:?} and {b:?} do not broadcast: {x} meets {y}")),
            };
        }
        let strides = |own: &[usize]| {
            let mut strides = vec![0; rank];
            let mut step = 1usize;
            for axis in (0..rank).rev() {
                let n = size(own, axis);
                strides[axis] = if n == 1 { 0 } else { step };
                // Of an empty operand nothing is read.
                step = step.saturating_mul(n);
            }
            strides
        };
        let strides = [strides(a), strides(b)];
        Ok(Broadcast { dims, strides })
    }
    /// Positions in both operands, in row-major order of the common shape.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let total = if self.dims.contains(&0) { 0 } else { self.dims.iter().product::<usize>() };
        (0..total).map(|mut flat| {
            let (mut i, mut j) = (0, 0);
            for axis in (0..self.dims.len()).rev() {
                let at = flat % self.dims[axis];
                flat /= self.dims[axis];
                i += at * self.strides[0][axis];
                j += at * self.strides[1][axis];
            }
            (i, j)
        })
    }
}
