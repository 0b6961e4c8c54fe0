module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %mm = transform.structured.match ops{["linalg.matmul"]} in %root : (!transform.any_op) -> !transform.op<"linalg.matmul">
    %tiled, %loops:2 = transform.structured.tile_using_for %mm tile_sizes [4, 8, 0] : (!transform.op<"linalg.matmul">) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    transform.apply_patterns to %root {
      transform.apply_patterns.canonicalization
      transform.apply_patterns.linalg.tiling_canonicalization
    } : !transform.any_op
    %f = transform.structured.match interface{LoopLikeInterface} in %root : (!transform.any_op) -> !transform.any_op
    transform.foreach %f : !transform.any_op {
    ^bb0(%l: !transform.any_op):
      transform.print %l {name = "loop"} : !transform.any_op
    }
    %p = transform.param.constant 4 : i64 -> !transform.param<i64>
    transform.include @helper failures(propagate) (%root) : (!transform.any_op) -> ()
    transform.yield
  }
  transform.named_sequence @helper(%r: !transform.any_op {transform.readonly}) {
    transform.annotate %r "seen" : !transform.any_op
    transform.yield
  }
  func.func private @payload()
}
