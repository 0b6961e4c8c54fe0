// Elements are left out of what is kept as it is written, too: at the numbers at which upstream does so.
// RUN: nim-opt %s --allow-unregistered-dialect --mlir-elide-elementsattrs-if-larger=2 | FileCheck %s --check-prefix=TWO
// RUN: nim-opt %s --allow-unregistered-dialect --mlir-elide-elementsattrs-if-larger=3 | FileCheck %s --check-prefix=THREE

// TWO: a = dense_resource<__elided__> : tensor<3x!t.s>, b = dense_resource<__elided__> : tensor<5xi32>
// TWO-SAME: c = dense_resource<__elided__> : tensor<3xcomplex<f80>>, d = dense<1.0> : tensor<4xf80>, e = dense<[1.0, 2.0]> : tensor<2xf80>
// THREE: a = dense<["a", "b]", "c"]> : tensor<3x!t.s>, b = sparse<{{.*}}> : tensor<5xi32>, c = dense<[(
"t.x"() {a = dense<["a", "b]", "c"]> : tensor<3x!t.s>, b = sparse<[[0], [2], [4]], [1, 2, 3]> : tensor<5xi32>,
  c = dense<[(1.0, 2.0), (3.0, 4.0), (0.5, 1.0)]> : tensor<3xcomplex<f80>>, d = dense<1.0> : tensor<4xf80>,
  e = dense<[1.0, 2.0]> : tensor<2xf80>} : () -> ()
