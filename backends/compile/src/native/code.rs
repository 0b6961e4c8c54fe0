//! Functions of bytecode as LLVM IR. Every instruction becomes a block; what it needs of the runtime it asks for through the
//! table of entries that [`nim_vm::native`] describes.
//!
//! Sizes are computed in 64 bits with a look at overflow; where one happened, where a divisor is not positive or a value
//! that must not be is negative, the runtime computes the expression exactly, or says what is wrong with it.

use nim_vm::NativeParts;
use nim_vm::bytecode::field::dtype_code;
use nim_vm::bytecode::size::{Op, SizeExpr};
use nim_vm::bytecode::{Callee, Function, Instr, Label, Maker, Reg, Relation, Size};
use nim_vm::native::{ABI, ENTRIES};
use std::fmt::{Display, Write};

/// Intrinsics that sizes use.
const INTRINSICS: &str = "\
declare {i64, i1} @llvm.sadd.with.overflow.i64(i64, i64)
declare {i64, i1} @llvm.smul.with.overflow.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
";

/// The module of a program: its functions, and the descriptor `name`.
pub(super) fn module(parts: &NativeParts, name: &str) -> String {
    let mut out = String::from(INTRINSICS);
    for kernel in &parts.kernels {
        let _ = writeln!(out, "declare hidden void @{name}_nim_{kernel}(ptr, ptr, i64, i64)");
    }
    let mut globals = String::new();
    for (number, function) in parts.functions.iter().enumerate() {
        Writer { parts, name, number, function, out: &mut out, globals: &mut globals, next: 0, most: 0 }.function();
    }
    out.push_str(&globals);
    let list = |items: Vec<String>| items.iter().map(|i| format!("ptr @{i}")).collect::<Vec<_>>().join(", ");
    let functions: Vec<String> = (0..parts.functions.len()).map(|i| format!("{name}_function_{i}")).collect();
    let kernels: Vec<String> = parts.kernels.iter().map(|k| format!("{name}_nim_{k}")).collect();
    let (f, k) = (functions.len(), kernels.len());
    let _ = writeln!(out, "@{name}_functions = internal constant [{f} x ptr] [{}]", list(functions));
    let _ = writeln!(out, "@{name}_kernels = internal constant [{k} x ptr] [{}]", list(kernels));
    let _ = writeln!(out, "@{name}_tables = external hidden constant i8");
    let _ = writeln!(
        out,
        "@{name} = constant {{i64, ptr, i64, ptr, i64, ptr, i64}} {{i64 {ABI}, ptr @{name}_tables, i64 {}, \
         ptr @{name}_functions, i64 {f}, ptr @{name}_kernels, i64 {k}}}",
        parts.tables.len()
    );
    out
}

struct Writer<'a> {
    parts: &'a NativeParts,
    name: &'a str,
    number: usize,
    function: &'a Function,
    out: &'a mut String,
    /// Constant arrays.
    globals: &'a mut String,
    /// The next number of a value or block.
    next: usize,
    /// Most arguments of an entry.
    most: usize,
}

impl Writer<'_> {
    fn line(&mut self, text: impl Display) {
        let _ = writeln!(self.out, "  {text}");
    }
    /// A fresh name.
    fn fresh(&mut self) -> usize {
        self.next += 1;
        self.next
    }
    /// A value that an instruction of LLVM gives.
    fn value(&mut self, text: impl Display) -> String {
        let name = format!("%v{}", self.fresh());
        self.line(format_args!("{name} = {text}"));
        name
    }
    fn block(&mut self, name: impl Display) {
        let _ = writeln!(self.out, "{name}:");
    }

    fn function(mut self) {
        let mut body = String::new();
        let whole = std::mem::replace(self.out, std::mem::take(&mut body));
        let resumes: Vec<usize> = (0..self.function.code.len())
            .filter(|&i| matches!(self.function.code[i], Instr::Call { .. }))
            .filter(|&i| i + 1 < self.function.code.len())
            .collect();
        for (at, instr) in self.function.code.iter().enumerate() {
            self.block(format_args!("i{at}"));
            self.instruction(at, instr);
        }
        // All but `i0` may be entered again behind a call.
        let code = std::mem::replace(self.out, whole);
        let (name, number, most) = (self.name, self.number, self.most.max(1));
        let _ = writeln!(self.out, "define internal i32 @{name}_function_{number}(ptr %call, i32 %resume) {{\nentry:");
        self.line(format_args!("%args = alloca [{most} x i64], align 16"));
        self.line("%entries = load ptr, ptr %call");
        self.line("%p1 = getelementptr i8, ptr %call, i64 8");
        self.line("%symbols = load ptr, ptr %p1");
        self.line("%p2 = getelementptr i8, ptr %call, i64 16");
        self.line("%direct = load i64, ptr %p2");
        self.line("%answer = getelementptr i8, ptr %call, i64 24");
        let cases: Vec<String> = resumes.iter().map(|i| format!("i32 {}, label %i{}", i + 1, i + 1)).collect();
        self.line(format_args!("switch i32 %resume, label %i0 [ {} ]", cases.join(" ")));
        self.out.push_str(&code);
        self.block("failed");
        self.line("ret i32 0");
        self.block("due");
        self.line("ret i32 1");
        self.out.push_str("}\n");
    }

    /// Calls an entry and goes on if it succeeds; its answer.
    fn entry(&mut self, at: usize, name: &str, args: &[String]) -> String {
        let answer = self.raw_entry(at, name, args);
        let good = format!("g{}", self.fresh());
        let failed = self.value(format_args!("icmp slt i64 {answer}, 0"));
        self.line(format_args!("br i1 {failed}, label %failed, label %{good}"));
        self.block(&good);
        answer
    }

    fn raw_entry(&mut self, at: usize, name: &str, args: &[String]) -> String {
        self.most = self.most.max(args.len());
        for (i, arg) in args.iter().enumerate() {
            let place = self.value(format_args!("getelementptr i64, ptr %args, i64 {i}"));
            self.line(format_args!("store i64 {arg}, ptr {place}"));
        }
        // The table is the runtime's; a name that it does not have is a defect that its own test finds.
        let number = ENTRIES.iter().position(|n| *n == name).unwrap_or(usize::MAX >> 8);
        let place = self.value(format_args!("getelementptr ptr, ptr %entries, i64 {number}"));
        let entry = self.value(format_args!("load ptr, ptr {place}"));
        let count = args.len();
        self.value(format_args!("call i64 {entry}(ptr %call, i64 {at}, ptr %args, i64 {count})"))
    }

    /// Registers in a constant array, as its address and length.
    fn constant_regs(&mut self, regs: &[Reg]) -> [String; 2] {
        self.constant_list(regs.iter().map(|r| r.0))
    }

    /// Numbers in a constant array, as its address and length.
    fn constant_list(&mut self, numbers: impl Iterator<Item = u32>) -> [String; 2] {
        let items: Vec<String> = numbers.map(|n| format!("i32 {}", n as i32)).collect();
        if items.is_empty() {
            return ["0".into(), "0".into()];
        }
        let id = self.fresh();
        let name = format!("{}_list_{}_{id}", self.name, self.number);
        let count = items.len();
        let _ = writeln!(self.globals, "@{name} = internal constant [{count} x i32] [{}]", items.join(", "));
        [format!("ptrtoint (ptr @{name} to i64)"), count.to_string()]
    }

    fn goto(&mut self, at: usize, target: Label) {
        // Only jumps back and calls can make a run long.
        if target.index() <= at {
            self.entry(at, "step", &[]);
        }
        self.line(format_args!("br label %i{}", target.0));
    }

    fn branch(&mut self, at: usize, condition: &str, target: Label) {
        let jump = format!("j{}", self.fresh());
        self.line(format_args!("br i1 {condition}, label %{jump}, label %i{}", at + 1));
        self.block(&jump);
        self.goto(at, target);
    }

    fn instruction(&mut self, at: usize, instr: &Instr) {
        let text = |v: u32| v.to_string();
        match instr {
            Instr::Const { out, constant } => {
                self.entry(at, "constant", &[text(out.0), text(constant.0)]);
            }
            Instr::Alloc { out, sizes, offsets, .. } if sizes.len() == 1 && offsets.is_empty() => {
                let bytes = self.extent(at, sizes[0]);
                self.entry(at, "alloc", &[text(out.0), bytes, text(sizes[0].0)]);
            }
            Instr::Alloc { out, sizes, apart, offsets, .. } => {
                let mut args = vec![text(out.0)];
                args.extend(self.constant_list(sizes.iter().map(|s| s.0)));
                let lists =
                    apart.iter().flat_map(|list| std::iter::once(list.len() as u32).chain(list.iter().copied()));
                args.extend(self.constant_list(lists));
                args.extend(self.constant_list(offsets.iter().map(|s| s.0)));
                self.entry(at, "arena", &args);
            }
            Instr::View { out, storage, offset, dtype, dims } => {
                let offset = self.extent(at, *offset);
                let dtype = text(dtype_code(*dtype).into());
                let mut args = vec![text(out.0), text(storage.0), offset, dtype];
                args.extend(self.dims(at, dims));
                self.entry(at, "view", &args);
            }
            Instr::New { out, dtype, dims, .. } => {
                let mut args = vec![text(out.0), text(dtype_code(*dtype).into())];
                args.extend(self.dims(at, dims));
                args.extend(self.constant_list(dims.iter().map(|d| d.0)));
                self.entry(at, "new", &args);
            }
            Instr::Reshape { out, from, dims } => {
                let mut args = vec![text(out.0), text(from.0)];
                args.extend(self.dims(at, dims));
                self.entry(at, "reshape", &args);
            }
            Instr::Move { out, from } => {
                self.entry(at, "move_to", &[text(out.0), text(from.0)]);
            }
            Instr::Kill { regs } => {
                let mut args = vec![text(regs.len() as u32)];
                args.extend(regs.iter().map(|r| text(r.0)));
                self.entry(at, "kill", &args);
            }
            Instr::Copy { from, to, offset } => {
                let offset = self.extent(at, *offset);
                self.entry(at, "copy_to", &[text(from.0), text(to.0), offset]);
            }
            Instr::Invoke { kernel, ins, outs, symbols, phases, work } => {
                let args = [self.constant_regs(ins), self.constant_regs(outs)].concat();
                let buffers = self.entry(at, "buffers", &args);
                self.invoke(at, (kernel.0, work.0), &buffers, symbols, phases);
            }
            Instr::Runtime { function, ints, sizes, ins, outs } => {
                let values: Vec<String> = sizes.iter().map(|&s| self.size(at, s)).collect();
                let mut args = vec![text(function.0)];
                args.extend(self.constant_regs(ins));
                args.extend(self.constant_regs(outs));
                args.push(text(ints.len() as u32));
                args.extend(ints.iter().map(i64::to_string));
                args.push(text(values.len() as u32));
                args.extend(values);
                self.entry(at, "library", &args);
            }
            Instr::Bind { from, symbols } => {
                let mut args = vec![text(from.0), text(symbols.len() as u32)];
                args.extend(symbols.iter().map(|s| text(s.0)));
                self.entry(at, "bind", &args);
            }
            Instr::Dim { symbol, from, axis } => {
                self.entry(at, "dim", &[text(symbol.0), text(from.0), text(*axis)]);
            }
            Instr::Eval { symbol, value } => {
                let value = self.size(at, *value);
                let place = self.value(format_args!("getelementptr i64, ptr %symbols, i64 {}", symbol.0));
                self.line(format_args!("store i64 {value}, ptr {place}"));
            }
            Instr::Index { to, values } => {
                let values: Vec<String> = values.iter().map(|&v| self.size(at, v)).collect();
                let mut args = vec![text(to.0), text(values.len() as u32)];
                args.extend(values);
                self.entry(at, "index", &args);
            }
            Instr::Guard { kind, lhs, rhs, message } => {
                let (a, b) = (self.size(at, *lhs), self.size(at, *rhs));
                let holds = match kind {
                    Relation::Equal => self.value(format_args!("icmp eq i64 {a}, {b}")),
                    Relation::LessOrEqual => self.value(format_args!("icmp sle i64 {a}, {b}")),
                    Relation::Broadcast => {
                        let same = self.value(format_args!("icmp eq i64 {a}, {b}"));
                        let left = self.value(format_args!("icmp eq i64 {a}, 1"));
                        let right = self.value(format_args!("icmp eq i64 {b}, 1"));
                        let one = self.value(format_args!("or i1 {left}, {right}"));
                        self.value(format_args!("or i1 {same}, {one}"))
                    }
                };
                let wrong = format!("w{}", self.fresh());
                self.line(format_args!("br i1 {holds}, label %i{}, label %{wrong}", at + 1));
                self.block(&wrong);
                let args = [text(*kind as u32), text(lhs.0), text(rhs.0), text(message.0), a, b];
                self.raw_entry(at, "guard", &args);
                return self.line("br label %failed");
            }
            Instr::Check { from, dims, what } => {
                let values: Vec<String> = dims.iter().map(|&d| self.size(at, d)).collect();
                let count = text(dims.len() as u32);
                let mut args = vec![text(from.0), text(what.0), count.clone()];
                args.extend(dims.iter().map(|d| text(d.0)));
                args.push(count);
                args.extend(values);
                self.entry(at, "check", &args);
            }
            Instr::Jump { target } => return self.goto(at, *target),
            Instr::JumpUnless { condition, target } => {
                let answer = self.entry(at, "condition", &[text(condition.0)]);
                let no = self.value(format_args!("icmp eq i64 {answer}, 0"));
                return self.branch(at, &no, *target);
            }
            Instr::JumpUnlessLess { lhs, rhs, target } => {
                let (a, b) = (self.size(at, *lhs), self.size(at, *rhs));
                let no = self.value(format_args!("icmp sge i64 {a}, {b}"));
                return self.branch(at, &no, *target);
            }
            Instr::Push { to, from } => {
                self.entry(at, "push", &[text(to.0), text(from.0)]);
            }
            Instr::Call { callee, ins, outs } => {
                let (kind, callee) = match callee {
                    Callee::Function(f) => (0, f.0),
                    Callee::Value(r) => (1, r.0),
                };
                let next = self.function.code.get(at + 1);
                let last = matches!(next, Some(Instr::Return { values }) if values == outs);
                let mut args = vec![text(kind), text(callee), text(last.into())];
                args.extend(self.constant_regs(outs));
                args.extend(self.constant_regs(ins));
                self.entry(at, "call", &args);
                return self.line("br label %due");
            }
            Instr::Make { out, maker, fields } => {
                let (kind, number) = match maker {
                    Maker::Constructor(number) => (0, *number),
                    Maker::Function(f) => (1, f.0),
                };
                let mut args = vec![text(out.0), text(kind), text(number)];
                args.extend(self.constant_regs(fields));
                self.entry(at, "make", &args);
            }
            Instr::Match { value, targets, fields } => {
                let mut args = vec![text(value.0), text(fields.len() as u32)];
                fields.iter().for_each(|f| args.extend(self.constant_regs(f)));
                let number = self.entry(at, "matched", &args);
                let mut cases = String::new();
                let mut blocks = vec![];
                for (i, &target) in targets.iter().enumerate() {
                    let block = format!("c{}", self.fresh());
                    let _ = write!(cases, " i64 {i}, label %{block}");
                    blocks.push((block, target));
                }
                self.line(format_args!("switch i64 {number}, label %failed [{cases} ]"));
                for (block, target) in blocks {
                    self.block(block);
                    self.goto(at, target);
                }
                return;
            }
            Instr::Return { values } => {
                let args = self.constant_regs(values);
                self.entry(at, "finish", &args);
                return self.line("br label %due");
            }
        }
        self.line(format_args!("br label %i{}", at + 1));
    }

    fn invoke(&mut self, at: usize, (kernel, work): (u32, u32), buffers: &str, symbols: &[Size], phases: &[Size]) {
        let symbols: Vec<String> = symbols.iter().map(|&s| self.size(at, s)).collect();
        let phases: Vec<String> = phases
            .iter()
            .map(|&p| {
                let n = self.size(at, p);
                self.value(format_args!("call i64 @llvm.smax.i64(i64 {n}, i64 0)"))
            })
            .collect();
        let (mut total, mut large) = ("0".to_owned(), "false".to_owned());
        for n in &phases {
            let pair = self.value(format_args!("call {{i64, i1}} @llvm.sadd.with.overflow.i64(i64 {total}, i64 {n})"));
            total = self.value(format_args!("extractvalue {{i64, i1}} {pair}, 0"));
            let over = self.value(format_args!("extractvalue {{i64, i1}} {pair}, 1"));
            large = self.value(format_args!("or i1 {large}, {over}"));
        }
        let number = self.fresh();
        let shared = self.value("icmp eq i64 %direct, 0");
        let shared = self.value(format_args!("or i1 {shared}, {large}"));
        self.line(format_args!("br i1 {shared}, label %l{number}, label %d{number}"));
        self.block(format_args!("d{number}"));
        let some = self.value(format_args!("icmp sgt i64 {total}, 0"));
        self.line(format_args!("br i1 {some}, label %k{number}, label %i{}", at + 1));
        self.block(format_args!("k{number}"));
        self.most = self.most.max(symbols.len());
        for (i, symbol) in symbols.iter().enumerate() {
            let place = self.value(format_args!("getelementptr i64, ptr %args, i64 {i}"));
            self.line(format_args!("store i64 {symbol}, ptr {place}"));
        }
        let address = self.value(format_args!("inttoptr i64 {buffers} to ptr"));
        let name = format!("{}_nim_{}", self.name, self.parts.kernels[kernel as usize]);
        self.line(format_args!("call void @{name}(ptr {address}, ptr %args, i64 0, i64 {total})"));
        self.line(format_args!("br label %i{}", at + 1));
        self.block(format_args!("l{number}"));
        let mut args = vec![kernel.to_string(), work.to_string(), symbols.len().to_string()];
        args.extend(symbols);
        args.push(phases.len().to_string());
        args.extend(phases);
        self.entry(at, "launch", &args);
    }

    /// Dimensions as arguments: how many, and each.
    fn dims(&mut self, at: usize, dims: &[Size]) -> Vec<String> {
        let count = dims.len().to_string();
        std::iter::once(count).chain(dims.iter().map(|&d| self.extent(at, d)).collect::<Vec<_>>()).collect()
    }

    fn size(&mut self, at: usize, size: Size) -> String {
        self.computed(at, size, "size")
    }
    /// A size that must not be negative.
    fn extent(&mut self, at: usize, size: Size) -> String {
        self.computed(at, size, "extent")
    }

    fn computed(&mut self, at: usize, size: Size, entry: &str) -> String {
        let parts = self.parts;
        let negative = entry == "extent";
        let one;
        let ops: &[Op] = match &parts.sizes[size.index()] {
            SizeExpr::Constant(v) if *v >= 0 || !negative => return v.to_string(),
            SizeExpr::Constant(v) => {
                one = [Op::Constant(*v)];
                &one
            }
            SizeExpr::Symbol(r) => {
                one = [Op::Symbol(*r)];
                &one
            }
            SizeExpr::Program(ops) => ops,
        };
        let mut doubts = vec![];
        let fast = self.expression(ops, &mut 0, &mut doubts);
        if negative {
            doubts.push(self.value(format_args!("icmp slt i64 {fast}, 0")));
        }
        let Some((first, rest)) = doubts.split_first() else { return fast };
        let doubt = rest.iter().fold(first.clone(), |all, d| self.value(format_args!("or i1 {all}, {d}")));
        let number = self.fresh();
        self.line(format_args!("br label %b{number}"));
        self.block(format_args!("b{number}"));
        self.line(format_args!("br i1 {doubt}, label %s{number}, label %t{number}"));
        self.block(format_args!("s{number}"));
        self.entry(at, entry, &[size.0.to_string()]);
        let exact = self.value("load i64, ptr %answer");
        self.line(format_args!("br label %x{number}"));
        self.block(format_args!("x{number}"));
        self.line(format_args!("br label %t{number}"));
        self.block(format_args!("t{number}"));
        self.value(format_args!("phi i64 [ {fast}, %b{number} ], [ {exact}, %x{number} ]"))
    }

    /// An expression from `at` on in 64 bits, and conditions under which it is not to be trusted.
    fn expression(&mut self, ops: &[Op], at: &mut usize, doubts: &mut Vec<String>) -> String {
        let op = ops[*at];
        *at += 1;
        match op {
            Op::Constant(v) => v.to_string(),
            Op::Symbol(r) => {
                let place = self.value(format_args!("getelementptr i64, ptr %symbols, i64 {r}"));
                self.value(format_args!("load i64, ptr {place}"))
            }
            Op::Sum(n) | Op::Product(n) | Op::Min(n) | Op::Max(n) => {
                let mut all = self.expression(ops, at, doubts);
                for _ in 1..n {
                    let other = self.expression(ops, at, doubts);
                    let name = match op {
                        Op::Sum(_) => "sadd",
                        Op::Product(_) => "smul",
                        Op::Min(_) => "smin",
                        _ => "smax",
                    };
                    if matches!(op, Op::Min(_) | Op::Max(_)) {
                        all = self.value(format_args!("call i64 @llvm.{name}.i64(i64 {all}, i64 {other})"));
                        continue;
                    }
                    let call = format!("call {{i64, i1}} @llvm.{name}.with.overflow.i64(i64 {all}, i64 {other})");
                    let pair = self.value(call);
                    doubts.push(self.value(format_args!("extractvalue {{i64, i1}} {pair}, 1")));
                    all = self.value(format_args!("extractvalue {{i64, i1}} {pair}, 0"));
                }
                all
            }
            Op::FloorDiv | Op::CeilDiv | Op::Mod => {
                let a = self.expression(ops, at, doubts);
                let given = self.expression(ops, at, doubts);
                let bad = self.value(format_args!("icmp sle i64 {given}, 0"));
                doubts.push(bad.clone());
                let b = self.value(format_args!("select i1 {bad}, i64 1, i64 {given}"));
                let rest = self.value(format_args!("srem i64 {a}, {b}"));
                match op {
                    Op::Mod => {
                        let low = self.value(format_args!("icmp slt i64 {rest}, 0"));
                        let more = self.value(format_args!("select i1 {low}, i64 {b}, i64 0"));
                        self.value(format_args!("add i64 {rest}, {more}"))
                    }
                    _ => {
                        let quotient = self.value(format_args!("sdiv i64 {a}, {b}"));
                        let (test, step) = if op == Op::FloorDiv { ("slt", "sub") } else { ("sgt", "add") };
                        let off = self.value(format_args!("icmp {test} i64 {rest}, 0"));
                        let one = self.value(format_args!("zext i1 {off} to i64"));
                        self.value(format_args!("{step} i64 {quotient}, {one}"))
                    }
                }
            }
        }
    }
}
