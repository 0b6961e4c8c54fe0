; Everything the linker can meet besides plain calls: a table of function addresses (relocated constants), a jump table,
; a global variable, a constant reached through the global offset table, and a call to another object.

@offset = constant i64 1000
@count = internal global i64 0
@operations = internal constant [2 x ptr] [ptr @increment, ptr @double]

declare i64 @square(i64)
declare float @expf(float)
declare float @logf(float)
declare float @sinf(float)
declare float @cosf(float)
declare float @tanf(float)

define internal i64 @increment(i64 %x) noinline {
  %y = add i64 %x, 1
  ret i64 %y
}

define internal i64 @double(i64 %x) noinline {
  %y = mul i64 %x, 2
  ret i64 %y
}

; operations[which](square(x)) + offset + number of calls so far
define i64 @tables(i64 %which, i64 %x) {
  %slot = getelementptr [2 x ptr], ptr @operations, i64 0, i64 %which
  %operation = load ptr, ptr %slot
  %squared = call i64 @square(i64 %x)
  %result = call i64 %operation(i64 %squared)
  %offset = load i64, ptr @offset
  %sum = add i64 %result, %offset
  %calls = load i64, ptr @count
  %calls.next = add i64 %calls, 1
  store i64 %calls.next, ptr @count
  %total = add i64 %sum, %calls
  ret i64 %total
}

define float @choose(i64 %which, float %x) {
  switch i64 %which, label %otherwise [
    i64 0, label %exp
    i64 1, label %log
    i64 2, label %sin
    i64 3, label %cos
    i64 4, label %tan
  ]
exp:
  %a = call float @expf(float %x)
  ret float %a
log:
  %b = call float @logf(float %x)
  ret float %b
sin:
  %c = call float @sinf(float %x)
  ret float %c
cos:
  %d = call float @cosf(float %x)
  ret float %d
tan:
  %e = call float @tanf(float %x)
  ret float %e
otherwise:
  ret float 0.0
}
