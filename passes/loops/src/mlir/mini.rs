//! 8-bit and narrower floats: one byte each in memory, `f32` in registers.

use super::core::{Emit, Emitter, Val};
use nim_ir::FloatKind;

impl Emitter<'_> {
    /// The `f32` that a byte stands for.
    pub fn decode_mini(&mut self, kind: FloatKind, _raw: &Val) -> Emit<Val> {
        Err(self.error(format!("kernels cannot read {} yet", kind.name())))
    }

    /// The byte nearest to an `f32`.
    pub fn encode_mini(&mut self, kind: FloatKind, _value: &Val) -> Emit<Val> {
        Err(self.error(format!("kernels cannot write {} yet", kind.name())))
    }
}
