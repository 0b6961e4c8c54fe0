// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %s | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.3
// RUN: cmp %t.1 %t.3
// RUN: nim-opt --allow-unregistered-dialect --verify-roundtrip --no-output %s

// Values of all float types: too large, negative zero, bits. A decimal literal is an f64 first.
"f.large"() {a = 1.0e39 : f32, b = 70000.0 : f16, c = 500.0 : f8E4M3FN, d = 500.0 : f8E4M3, e = 1.0e9 : f8E5M2,
  f = 1.0e9 : f8E5M2FNUZ, g = 1.0e9 : f8E4M3FNUZ, h = 1.0e9 : f8E4M3B11FNUZ, i = 1.0e9 : f8E3M4, j = 1.0e9 : f4E2M1FN,
  k = 1.0e9 : f6E2M3FN, l = 1.0e9 : f6E3M2FN, m = 1.0e9 : f8E8M0FNU, n = 1.0e39 : tf32, o = 3.0 : f8E8M0FNU} : () -> ()
"f.small"() {a = 0.0 : f8E8M0FNU, b = 1.0e-45 : f8E8M0FNU, c = 0.1 : tf32, d = 0.249 : f4E2M1FN, e = 0.25 : f4E2M1FN,
  f = 1.0e-10 : f8E4M3B11FNUZ, g = -1.0e-10 : f8E4M3B11FNUZ, h = -1.0e-10 : f8E5M2FNUZ, i = 0.1 : f6E2M3FN} : () -> ()
"f.zero"() {a = -0.0 : f8E4M3FN, b = -0.0 : f8E4M3, c = -0.0 : f8E5M2, d = -0.0 : f8E5M2FNUZ, e = -0.0 : f8E4M3FNUZ,
  f = -0.0 : f8E4M3B11FNUZ, g = -0.0 : f8E3M4, h = -0.0 : f4E2M1FN, i = -0.0 : f6E2M3FN, j = -0.0 : f6E3M2FN,
  k = -0.0 : tf32} : () -> ()
"f.bits"() {a = 0x3FFFF : tf32, b = 0x12345 : tf32, c = 0xF : f4E2M1FN, d = 0x3F : f6E2M3FN, e = 0x3F : f6E3M2FN,
  f = 0xFF : f8E8M0FNU, g = 0x00 : f8E8M0FNU, h = 0x81 : f8E8M0FNU, i = 0xBC : f8E4M3, j = 0xD0 : f8E3M4,
  k = 0x80 : f8E4M3B11FNUZ, l = 0x15 : f8E4M3B11FNUZ, m = 0x7C01 : f16, n = 0x7F81 : bf16} : () -> ()
"f.twice"() {a = 1.00000005960464477540 : f32, b = dense<[1.00000005960464477540, 1.0]> : tensor<2xf32>} : () -> ()
"f.dense"() {a = dense<[1.0e9, -1.0e9, 0xFC]> : tensor<3xf8E5M2>, b = dense<[1.0e9, 1.5]> : tensor<2xf8E4M3FN>,
  c = dense<[-0.0, 1.0e9]> : vector<2xf8E5M2FNUZ>, d = dense<[0x80, 0.1]> : tensor<2xf8E4M3B11FNUZ>,
  e = dense<[[1.0e9, 0x7]]> : tensor<1x2xf4E2M1FN>, f = dense<[0.0, 3.0]> : tensor<2xf8E8M0FNU>} : () -> ()
// Upstream does not read all of the digits that it prints of these: here are some that it does.
"f.wide"() {a = 0x3FFFC000000000000000 : f80, c = 1.0e400 : f80, d = -1.5 : f80, e = 0x80000000000000000000 : f80,
  f = 0x3FFF8000000000000000000000000000 : f128, g = 0.1 : f128, h = dense<[0x3FFFC000000000000000, 1.0]> : tensor<2xf80>,
  i = dense<"0x0000000000000080FF3F"> : tensor<1xf80>, j = array<f80: 1.0, 0x3FFFC000000000000000>,
  k = dense<(0x3FFFC000000000000000, 2.0)> : tensor<2xcomplex<f80>>} : () -> ()
