func.func @index(%a: index, %b: index, %i: i32) -> i1 {
  %0 = index.add %a, %b
  %1 = index.floordivs %0, %b
  %2 = index.castu %i : i32 to index
  %3 = index.constant 42
  %4 = index.sizeof
  %5 = index.maxs %1, %3
  %6 = index.cmp slt(%5, %4)
  %7 = index.bool.constant true
  return %6 : i1
}
