//! Weights large enough to be made when they are written: transposed, scaled, packed, and used twice.

use super::programs::agree;
use nim_tensor::{Tensor, Value};
use std::fmt::Write;

#[test]
fn large_weights_are_what_small_ones_would_be() {
    let (inner, outer) = (160usize, 150usize);
    let number = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 1009.0;
    let mut hex = String::from("0x40000000");
    for byte in (0..inner * outer).flat_map(|i| number(i).to_le_bytes()) {
        let _ = write!(hex, "{byte:02X}");
    }
    let scales: Vec<String> = (0..outer).map(|i| format!("{:?}", 0.5 + i as f32 / 64.0)).collect();
    let text = format!(
        r#"
func.func @main(%x: tensor<[N]x{inner}xf32>, %image: tensor<1x150x6x6xf32>) -> (tensor<[N]x{inner}xf32>, tensor<1x{inner}x6x6xf32>) {{
  %w = graph.constant {{value = dense_resource<w> : tensor<{outer}x{inner}xf32>}} : () -> tensor<{outer}x{inner}xf32>
  %scale = graph.constant {{value = dense<[{}]> : tensor<{outer}xf32>}} : () -> tensor<{outer}xf32>
  %t = graph.transpose %w {{perm = [1, 0]}} : (tensor<{outer}x{inner}xf32>) -> tensor<{inner}x{outer}xf32>
  %p = graph.matmul %x, %t : (tensor<[N]x{inner}xf32>, tensor<{inner}x{outer}xf32>) -> tensor<[N]x{outer}xf32>
  %s = graph.mul %p, %scale : (tensor<[N]x{outer}xf32>, tensor<{outer}xf32>) -> tensor<[N]x{outer}xf32>
  %r = graph.relu %s : (tensor<[N]x{outer}xf32>) -> tensor<[N]x{outer}xf32>
  %q = graph.matmul %r, %w : (tensor<[N]x{outer}xf32>, tensor<{outer}x{inner}xf32>) -> tensor<[N]x{inner}xf32>
  %k = graph.reshape %t {{shape = [{inner}, {outer}, 1, 1]}} : (tensor<{inner}x{outer}xf32>) -> tensor<{inner}x{outer}x1x1xf32>
  %c = graph.conv %image, %k {{strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], groups = 1}} : (tensor<1x150x6x6xf32>, tensor<{inner}x{outer}x1x1xf32>) -> tensor<1x{inner}x6x6xf32>
  return %q, %c : tensor<[N]x{inner}xf32>, tensor<1x{inner}x6x6xf32>
}}
{{-# dialect_resources: {{ builtin: {{ w: "{hex}" }} }} #-}}
"#,
        scales.join(", ")
    );
    let ramp = |dims: &[usize], step: usize| -> Value {
        let count = dims.iter().product();
        Tensor::new(dims, (0..count).map(|i: usize| number(i * step) / 8.0).collect()).into()
    };
    let image = ramp(&[1, outer, 6, 6], 5);
    agree(&text, &[vec![ramp(&[1, inner], 3), image.clone()], vec![ramp(&[37, inner], 11), image]]);
}
