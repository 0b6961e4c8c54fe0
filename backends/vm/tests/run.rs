//! Programs put together by hand: instructions, files, errors, limits.

use nim_expr::ExprPool;
use nim_tensor::{DType, Made, Tensor, Value};
use nim_vm::bytecode::{Callee, DeviceId, Function, FunctionId, Instr, Label, Maker, Reg, Relation, Size, Sym, Text};
use nim_vm::code_image::{CodeImage, ImageInfo, Layout, PAGE};
use nim_vm::{
    AdtType, BoundSession, KernelCost, LoadError, LoadOptions, Options, Program, ProgramBuilder, RunErrorKind, Session,
    Signature, SignatureValue, ValueType,
};
use std::collections::BTreeMap;

/// `out[i] = in[i] + symbols[0]` for `i64`, i from begin to end.
fn add_kernel() -> CodeImage {
    let code = [
        0x4c, 0x8b, 0x07, // mov r8, [rdi]
        0x4c, 0x8b, 0x4f, 0x08, // mov r9, [rdi + 8]
        0x4c, 0x8b, 0x16, // mov r10, [rsi]
        0x48, 0x39, 0xca, // cmp rdx, rcx
        0x7d, 0x10, // jge +16
        0x49, 0x8b, 0x04, 0xd0, // mov rax, [r8 + 8 rdx]
        0x4c, 0x01, 0xd0, // add rax, r10
        0x49, 0x89, 0x04, 0xd1, // mov [r9 + 8 rdx], rax
        0x48, 0xff, 0xc2, // inc rdx
        0xeb, 0xeb, // jmp -21
        0xc3, // ret
    ];
    let layout = Layout { code: PAGE, ..Layout::default() };
    let mut body = vec![0xcc; PAGE as usize];
    body[..code.len()].copy_from_slice(&code);
    let symbols = BTreeMap::from([("nim_add".to_owned(), 0)]);
    let info = ImageInfo { arch: "x86_64".into(), target: "x86-64".into(), layout, symbols, ..ImageInfo::default() };
    CodeImage { info, body }
}

/// A function under construction with symbols by name.
struct Build {
    builder: ProgramBuilder,
    pool: ExprPool,
    symbols: Vec<String>,
    code: Vec<Instr>,
    node: Option<Text>,
    nodes: Vec<Option<Text>>,
}

impl Build {
    fn new() -> Build {
        let mut builder = ProgramBuilder::new("test");
        builder.declare("main");
        Build { builder, pool: ExprPool::new(), symbols: vec![], code: vec![], node: None, nodes: vec![] }
    }
    fn sym(&mut self, name: &str) -> Sym {
        let at = self.symbols.iter().position(|s| s == name).unwrap_or_else(|| {
            self.symbols.push(name.into());
            self.symbols.len() - 1
        });
        Sym(at as u32)
    }
    fn size(&mut self, text: &str) -> Size {
        let expr = self.pool.parse(text).unwrap();
        let (pool, symbols) = (&self.pool, &self.symbols);
        let mut register = |s| symbols.iter().position(|n| n == pool.symbol_name(s)).map(|i| i as u32);
        self.builder.size(pool, expr, &mut register).unwrap()
    }
    fn sizes(&mut self, texts: &[&str]) -> Box<[Size]> {
        texts.iter().map(|t| self.size(t)).collect()
    }
    fn push(&mut self, instr: Instr) {
        self.code.push(instr);
        self.nodes.push(self.node);
    }
    fn define(&mut self, id: FunctionId, regs: u32, inputs: u32, outputs: u32) {
        let (code, nodes, symbols) =
            (std::mem::take(&mut self.code), std::mem::take(&mut self.nodes), std::mem::take(&mut self.symbols));
        self.builder.define(id, Function { name: format!("f{}", id.0), regs, symbols, inputs, outputs, code, nodes });
    }
    fn signature(&mut self, inputs: &[(&str, DType, &[&str])], outputs: &[(&str, DType, &[&str])]) {
        let list = |values: &[(&str, DType, &[&str])]| {
            let value = |(name, dtype, dims): &(&str, DType, &[&str])| SignatureValue {
                name: (*name).into(),
                ty: ValueType::Tensor { dtype: *dtype, dims: dims.iter().map(|d| d.to_string()).collect() },
                node: Some(format!("reads {name}")),
            };
            values.iter().map(value).collect()
        };
        self.builder.signature(Signature { inputs: list(inputs), outputs: list(outputs), types: vec![] });
    }
}

/// `main(x: [N], y: [N + 1]) -> x + 7` with guards, all in bytecode and one kernel.
fn add_seven() -> ProgramBuilder {
    let mut b = Build::new();
    b.signature(&[("x", DType::I64, &["N"]), ("y", DType::I64, &["N + 1"])], &[("z", DType::I64, &["N"])]);
    let n = b.sym("N");
    let (x, y) = (b.builder.text("input `x`"), b.builder.text("input `y`"));
    b.push(Instr::Dim { symbol: n, from: Reg(0), axis: 0 });
    let dims = b.sizes(&["N"]);
    b.push(Instr::Check { from: Reg(0), dims: dims.clone(), what: x });
    b.node = Some(b.builder.text("Add_1"));
    let more = b.sizes(&["N + 1"]);
    b.push(Instr::Check { from: Reg(1), dims: more, what: y });
    let (lhs, rhs, message) = (b.size("N"), b.size("1000000"), b.builder.text("too long"));
    b.push(Instr::Guard { kind: Relation::LessOrEqual, lhs, rhs, message });
    b.push(Instr::New { device: DeviceId::HOST, out: Reg(2), dtype: DType::I64, dims });
    let (kernel, symbols, phases, work) = (b.builder.kernel("add"), b.sizes(&["7"]), b.sizes(&["N"]), b.size("N"));
    b.push(Instr::Invoke { kernel, ins: [Reg(0)].into(), outs: [Reg(2)].into(), symbols, phases, work });
    b.push(Instr::Kill { regs: [Reg(0), Reg(1)].into() });
    b.push(Instr::Return { values: [Reg(2)].into() });
    b.define(FunctionId(0), 3, 2, 1);
    b.builder.code(add_kernel());
    b.builder
}

fn ints(n: usize) -> Value {
    Tensor::new(&[n], (0..n as i64).collect()).into()
}

fn options() -> Options {
    Options { threads: 2, parallel_work: 1000, ..Options::default() }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn kernels_run_in_parts() {
    let program = add_seven().into_program().unwrap();
    let mut session = Session::new(&program, Options { profile: true, ..options() });
    for n in [0, 1, 5, 999, 1000, 4321] {
        let out = session.run(&[ints(n), ints(n + 1)]).unwrap();
        let expected: Vec<i64> = (7..7 + n as i64).collect();
        assert_eq!(out, [Tensor::new(&[n], expected).into()]);
    }
    let stats = session.stats();
    assert_eq!((stats.runs, stats.kernels[0].calls), (6, 6));
    assert_eq!(stats.memory.in_use, 0);
    let held = session.run(&[ints(100), ints(101)]).unwrap();
    let next = session.run(&[ints(100), ints(101)]).unwrap();
    // A result that somebody holds is not written again.
    assert_eq!(held, next);
    drop(session);
    assert_eq!(held[0].as_tensor().unwrap().elements::<i64>()[99], 106);
}

/// Runs that are remembered by the dimensions of inputs are not taken for those of other ranks with the same numbers.
#[test]
fn dimensions_that_move_from_one_input_to_another() {
    let program = add_seven().into_program().unwrap();
    let mut session = Session::new(&program, options());
    for _ in 0..3 {
        assert!(session.run(&[ints(3), ints(4)]).is_ok());
    }
    let matrix: Value = Tensor::new(&[3, 4], (0..12i64).collect::<Vec<i64>>()).into();
    let scalar: Value = Tensor::scalar(1i64).into();
    for _ in 0..3 {
        let error = session.run(&[matrix.clone(), scalar.clone()]).expect_err("the ranks are others");
        assert!(error.to_string().contains("input `x`"), "{error}");
    }
    assert!(session.run(&[ints(3), ints(4)]).is_ok());
}

#[test]
fn errors_name_input_dimension_and_node() {
    let program = add_seven().into_program().unwrap();
    let mut session = Session::new(&program, options());
    let error = |session: &mut Session, inputs: &[Value]| session.run(inputs).unwrap_err().to_string();
    assert_eq!(
        error(&mut session, &[ints(4), ints(4)]),
        "dimension 0 of input `y` is 4, it must be N + 1 = 5, where N = 4 is dimension 0 of input `x`; \
         the shape is [4] (node `Add_1`)"
    );
    assert_eq!(error(&mut session, &[ints(4)]), "the program takes 2 inputs, 1 were given");
    assert_eq!(
        error(&mut session, &[Tensor::scalar(1f32).into(), ints(2)]),
        "input `x` must be tensor<[N]xi64>, it is tensor<f32> (node `reads x`)"
    );
    assert_eq!(
        error(&mut session, &[ints(1000001), ints(1000002)]),
        "too long: N = 1000001 must not be greater than 1000000, where N = 1000001 is dimension 0 of input `x` \
         (node `Add_1`)"
    );
    let mut session = Session::new(&program, Options { memory_limit: 1000, ..options() });
    assert!(session.run(&[ints(100), ints(101)]).is_ok());
    let refused = session.run(&[ints(1000), ints(1001)]).unwrap_err();
    assert!(matches!(*refused.kind, RunErrorKind::Memory { requested: 8000, limit: Some(1000), .. }), "{refused}");
}

/// Stacks `i * i` for i below the trip count, and gives the last one.
fn squares(limit: Option<&str>) -> ProgramBuilder {
    let mut b = Build::new();
    b.signature(&[("n", DType::I64, &[])], &[("all", DType::I64, &["n"]), ("last", DType::I64, &[])]);
    let (n, i) = (b.sym("n"), b.sym("i"));
    b.push(Instr::Bind { from: Reg(0), symbols: [n].into() });
    b.push(Instr::New { device: DeviceId::HOST, out: Reg(2), dtype: DType::I64, dims: [].into() });
    let (zero, next, square) = (b.size("0"), b.size("i + 1"), b.sizes(&["i*i"]));
    b.push(Instr::Index { to: Reg(2), values: [zero].into() });
    b.push(Instr::Eval { symbol: i, value: zero });
    let (lhs, rhs) = (b.size("i"), b.size(limit.unwrap_or("n")));
    b.push(Instr::JumpUnlessLess { lhs, rhs, target: Label(11) });
    b.push(Instr::New { device: DeviceId::HOST, out: Reg(3), dtype: DType::I64, dims: [].into() });
    b.push(Instr::Index { to: Reg(3), values: square });
    b.push(Instr::Push { to: Reg(1), from: Reg(3) });
    b.push(Instr::Move { out: Reg(2), from: Reg(3) });
    b.push(Instr::Eval { symbol: i, value: next });
    b.push(Instr::Jump { target: Label(4) });
    b.push(Instr::Return { values: [Reg(1), Reg(2)].into() });
    b.define(FunctionId(0), 4, 1, 2);
    b.builder
}

#[test]
fn loops_stack_and_carry() {
    let program = squares(None).into_program().unwrap();
    let mut session = Session::new(&program, Options { max_steps: 1000, ..options() });
    let run = |session: &mut Session, n: i64| session.run(&[Tensor::scalar(n).into()]);
    for n in [1, 2, 9, 100] {
        let out = run(&mut session, n).unwrap();
        assert_eq!(out[0], Tensor::new(&[n as usize], (0..n).map(|i| i * i).collect()).into());
        assert_eq!(out[1], Tensor::scalar((n - 1) * (n - 1)).into());
    }
    assert_eq!(*run(&mut session, 2000).unwrap_err().kind, RunErrorKind::Steps(1000));
    // Nothing was stacked, so the register has no value.
    assert!(matches!(run(&mut session, 0).unwrap_err().kind.as_ref(), RunErrorKind::Program(_)));
    // The session is as good as new.
    assert!(run(&mut session, 3).is_ok());
    assert_eq!(session.stats().memory.in_use, 0);
}

#[test]
fn functions_call_themselves() {
    // f(n) = if n then f(n - 1) else n; `behind` stands between the call and the return
    let build = |behind: &[Instr]| {
        let mut b = Build::new();
        b.signature(&[("n", DType::I64, &[])], &[("r", DType::I64, &[])]);
        let n = b.sym("n");
        b.push(Instr::JumpUnless { condition: Reg(0), target: Label(5 + behind.len() as u32) });
        b.push(Instr::Bind { from: Reg(0), symbols: [n].into() });
        b.push(Instr::New { device: DeviceId::HOST, out: Reg(1), dtype: DType::I64, dims: [].into() });
        let less = b.sizes(&["n - 1"]);
        b.push(Instr::Index { to: Reg(1), values: less });
        let callee = Callee::Function(FunctionId(0));
        b.push(Instr::Call { callee, ins: [Reg(1)].into(), outs: [Reg(0)].into() });
        behind.iter().for_each(|instr| b.push(instr.clone()));
        b.push(Instr::Return { values: [Reg(0)].into() });
        b.define(FunctionId(0), 2, 1, 1);
        Session::new(&b.builder.into_program().unwrap(), Options { max_depth: 100, ..options() })
    };
    let zero: Vec<Value> = vec![Tensor::scalar(0i64).into()];
    let mut session = build(&[Instr::Kill { regs: [Reg(1)].into() }]);
    assert_eq!(session.run(&[Tensor::scalar(50i64).into()]).unwrap(), zero);
    assert_eq!(*session.run(&[Tensor::scalar(500i64).into()]).unwrap_err().kind, RunErrorKind::Depth(100));
    // A call whose results are returned as they are takes no level.
    let mut session = build(&[]);
    assert_eq!(session.run(&[Tensor::scalar(5000i64).into()]).unwrap(), zero);
    assert_eq!(session.stats().memory.in_use, 0);
}

#[test]
fn values_are_made_and_matched() {
    // The length of a list, whose type is the signature's: nil, cons(f32, @List).
    let mut b = Build::new();
    let float = ValueType::Tensor { dtype: DType::F32, dims: vec![] };
    let list = ValueType::Adt("List".into());
    let value = |name: &str, ty: &ValueType| SignatureValue { name: name.into(), ty: ty.clone(), node: None };
    let constructors = vec![("nil".into(), vec![]), ("cons".into(), vec![float, list.clone()])];
    b.builder.signature(Signature {
        inputs: vec![value("list", &list)],
        outputs: vec![value("reversed", &list)],
        types: vec![AdtType { name: "List".into(), constructors }],
    });
    // reversed = nil; while list is cons(x, rest): reversed = cons(x, reversed), list = rest
    let make =
        |out, number, fields: &[Reg]| Instr::Make { out, maker: Maker::Constructor(number), fields: fields.into() };
    b.push(make(Reg(1), 0, &[]));
    let fields = [[].into(), [Reg(2), Reg(0)].into()].into();
    b.push(Instr::Match { value: Reg(0), targets: [Label(4), Label(2)].into(), fields });
    b.push(make(Reg(1), 1, &[Reg(2), Reg(1)]));
    b.push(Instr::Jump { target: Label(1) });
    b.push(Instr::Return { values: [Reg(1)].into() });
    b.define(FunctionId(0), 3, 1, 1);
    let mut session = Session::new(&b.builder.into_program().unwrap(), options());
    let list = |numbers: &mut dyn Iterator<Item = i64>| {
        let cons = |rest, n| Made::adt("cons", vec![Tensor::scalar(n as f32).into(), rest]);
        numbers.fold(Made::adt("nil", vec![]), cons)
    };
    // As deep as it is long: nothing on the way may recurse.
    let result = session.run(&[list(&mut (0..200_000))]).unwrap();
    assert_eq!(result, [list(&mut (0..200_000).rev())]);

    let refused = |value: Value| session.run(&[value]).unwrap_err().to_string();
    let [double, short, other] = [
        Made::adt("cons", vec![Tensor::scalar(1f64).into(), Made::adt("nil", vec![])]),
        Made::adt("cons", vec![Tensor::scalar(1f32).into()]),
        Made::adt("snoc", vec![]),
    ]
    .map(refused);
    assert!(double.contains("f64"), "{double}");
    assert!(short.contains("`cons` of 1 fields, it has 2"), "{short}");
    assert!(other.contains("`snoc`, the type has nil, cons"), "{other}");
}

#[test]
fn sizes_that_cannot_be_are_explained() {
    let mut b = Build::new();
    b.signature(&[("x", DType::F32, &["N"])], &[("y", DType::F32, &["N"])]);
    let n = b.sym("N");
    b.push(Instr::Dim { symbol: n, from: Reg(0), axis: 0 });
    let dims = b.sizes(&["N - 3", "9223372036854775807*N*N"]);
    b.push(Instr::New { device: DeviceId::HOST, out: Reg(1), dtype: DType::F32, dims });
    b.push(Instr::Return { values: [Reg(1)].into() });
    b.define(FunctionId(0), 2, 1, 1);
    let program = b.builder.into_program().unwrap();
    let mut session = Session::new(&program, options());
    let run =
        |session: &mut Session, n| session.run(&[Tensor::new(&[n], vec![0f32; n]).into()]).unwrap_err().to_string();
    assert_eq!(run(&mut session, 2), "the size N - 3 (where N = 2) is negative: -1");
    assert_eq!(run(&mut session, 4), "the size 9223372036854775807*N*N (where N = 4) does not fit in 64 bits");
}

#[test]
fn files_travel() {
    let dir = std::env::temp_dir().join(format!("nim-vm-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("model.nimx");
    let mut builder = add_seven();
    let weights = Tensor::new(&[1000], (0..1000).map(|i| i as f32).collect());
    builder.constant(&Tensor::scalar(3i8));
    let id = builder.constant(&weights);
    assert_eq!(builder.constant(&weights), id);
    builder.constant(&Tensor::strings(&[2], vec!["a".into(), "ü".into()]));
    builder.write_nimx(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), builder.to_bytes());
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "nothing is left aside");

    let program = Program::load(&path).unwrap();
    assert_eq!(program.disassemble(), builder.disassemble());
    assert!(program.disassemble().contains("invoke kernel=@add ins=[%0] outs=[%2] symbols=[7] phases=[N] work=N"));
    assert_eq!(program.constant_bytes(), 4001);
    let mut session = Session::new(&program, options());
    #[cfg(target_arch = "x86_64")]
    assert_eq!(session.run(&[ints(1), ints(2)]).unwrap(), [Tensor::new(&[1], vec![7i64]).into()]);
    drop(session.run(&[]));

    // Any damage is noticed: bytes changed, cut off, of another version, of another kind.
    let bytes = builder.to_bytes();
    let load = |bytes: Vec<u8>| Program::from_bytes(bytes).err();
    for at in (0..bytes.len()).step_by(61) {
        let mut other = bytes.clone();
        other[at] ^= 0x40;
        let padding = load(other).is_none();
        assert!(!padding || bytes[at] == 0, "a change at {at} goes unnoticed");
    }
    for len in [0, 3, 20, 40, 200, 5000, bytes.len() - 1] {
        let error = load(bytes[..len].to_vec()).unwrap();
        assert!(matches!(error, LoadError::Truncated | LoadError::NotAProgram), "{len}: {error}");
    }
    let mut other = bytes.clone();
    other[8] = 99;
    assert!(matches!(load(other).unwrap(), LoadError::Version { found: 99, .. }));
    assert!(matches!(load(b"hello, world, this is text".to_vec()).unwrap(), LoadError::NotAProgram));
    assert!(matches!(Program::load(dir.join("nothing.nimx")), Err(LoadError::Io(..))));
    assert!(builder.write_nimx(dir.join("no/such/folder.nimx")).is_err());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn machines_that_cannot_run_it_say_so() {
    let mut image = add_kernel();
    image.info.features = vec!["no-such-feature".into()];
    let mut builder = add_seven();
    builder.code(image);
    let error = Program::from_bytes(builder.to_bytes()).unwrap_err();
    assert!(matches!(error, LoadError::Code(_)), "{error}");
    assert!(error.to_string().contains("no-such-feature"), "{error}");
}

#[test]
fn hostile_bytecode_is_refused() {
    let refused = |instr: Instr| {
        let mut b = Build::new();
        b.signature(&[], &[]);
        b.push(instr);
        b.push(Instr::Return { values: [].into() });
        b.define(FunctionId(0), 2, 0, 0);
        let error = b.builder.into_program();
        assert!(matches!(error, Err(LoadError::Bytecode(_) | LoadError::Function(_))), "{error:?}");
    };
    refused(Instr::Move { out: Reg(2), from: Reg(0) });
    refused(Instr::Const { out: Reg(0), constant: nim_vm::bytecode::ConstId(0) });
    refused(Instr::Jump { target: Label(2) });
    refused(Instr::Eval { symbol: Sym(0), value: Size(0) });
    let callee = Callee::Function(FunctionId(0));
    refused(Instr::Call { callee, ins: [Reg(0)].into(), outs: [].into() });
    refused(Instr::Call { callee: Callee::Value(Reg(2)), ins: [].into(), outs: [].into() });
    refused(Instr::Make { out: Reg(0), maker: Maker::Function(FunctionId(0)), fields: [Reg(0)].into() });
    refused(Instr::Match { value: Reg(0), targets: [Label(0)].into(), fields: [].into() });
    refused(Instr::New { device: DeviceId::HOST, out: Reg(0), dtype: DType::String, dims: [].into() });
    refused(Instr::Return { values: [Reg(0)].into() });

    // What registers hold is known only at run time: these fail there, and touch nothing.
    let fails = |code: &dyn Fn(&mut Build)| {
        let mut b = Build::new();
        b.signature(&[("x", DType::I64, &["N"])], &[]);
        code(&mut b);
        b.push(Instr::Return { values: [].into() });
        b.define(FunctionId(0), 4, 1, 0);
        b.builder.code(add_kernel());
        let program = b.builder.into_program().unwrap();
        let error = Session::new(&program, options()).run(&[ints(4)]).unwrap_err();
        assert!(matches!(*error.kind, RunErrorKind::Program(_)), "{error}");
    };
    fails(&|b| b.push(Instr::Reshape { out: Reg(1), from: Reg(2), dims: [].into() }));
    fails(&|b| {
        let (bytes, offset, dims) = (b.size("64"), b.size("60"), b.sizes(&["2"]));
        b.push(Instr::Alloc {
            device: DeviceId::HOST,
            out: Reg(1),
            sizes: [bytes].into(),
            apart: [].into(),
            offsets: [].into(),
        });
        b.push(Instr::View { out: Reg(2), storage: Reg(1), offset, dtype: DType::F32, dims });
    });
    fails(&|b| {
        let (kernel, symbols, phases, work) = (b.builder.kernel("add"), b.sizes(&["1"]), b.sizes(&["4"]), b.size("1"));
        // Inputs are not written.
        b.push(Instr::Invoke { kernel, ins: [Reg(0)].into(), outs: [Reg(0)].into(), symbols, phases, work });
    });
    fails(&|b| {
        let (dims, offset) = (b.sizes(&["5"]), b.size("16"));
        b.push(Instr::New { device: DeviceId::HOST, out: Reg(1), dtype: DType::I64, dims });
        b.push(Instr::Copy { from: Reg(0), to: Reg(1), offset });
    });
    fails(&|b| b.push(Instr::JumpUnless { condition: Reg(0), target: Label(0) }));
    fails(&|b| {
        let symbol = b.sym("a");
        b.push(Instr::Dim { symbol, from: Reg(0), axis: 1 });
    });
    fails(&|b| {
        let s = b.sym("a");
        b.push(Instr::Bind { from: Reg(0), symbols: [s].into() });
    });
}

#[test]
fn runtime_functions() {
    let mut b = Build::new();
    b.signature(
        &[("x", DType::F32, &["N", "M"])],
        &[("v", DType::F32, &["N", "k"]), ("i", DType::I64, &["N", "k"]), ("z", DType::I64, &["2", "c"])],
    );
    let c = b.sym("c");
    let (topk, nonzero, sizes) = (b.builder.text("topk"), b.builder.text("nonzero"), b.sizes(&["2"]));
    b.push(Instr::Runtime {
        function: topk,
        ints: [-1, 1, 1].into(),
        sizes,
        ins: [Reg(0)].into(),
        outs: [Reg(1), Reg(2)].into(),
    });
    b.push(Instr::Runtime {
        function: nonzero,
        ints: [].into(),
        sizes: [].into(),
        ins: [Reg(0)].into(),
        outs: [Reg(3)].into(),
    });
    b.push(Instr::Dim { symbol: c, from: Reg(3), axis: 1 });
    b.push(Instr::Return { values: [Reg(1), Reg(2), Reg(3)].into() });
    b.define(FunctionId(0), 4, 1, 3);
    let program = b.builder.into_program().unwrap();
    let mut session = Session::new(&program, options());
    let x = Tensor::new(&[2, 3], vec![1f32, f32::NAN, 5.0, 0.0, -1.0, 0.0]);
    let out = session.run(&[x.into()]).unwrap();
    let v = out[0].as_tensor().unwrap().elements::<f32>().to_vec();
    assert!(v[0].is_nan() && v[1..] == [5.0, 0.0, 0.0]);
    assert_eq!(out[1], Tensor::new(&[2, 2], vec![1i64, 2, 0, 2]).into());
    assert_eq!(out[2], Tensor::new(&[2, 4], vec![0i64, 0, 0, 1, 0, 1, 2, 1]).into());
    let error = session.run(&[Tensor::new(&[1, 1], vec![1f32]).into()]).unwrap_err();
    assert_eq!(error.to_string(), "topk: 2 elements are asked for along axis 1, which has 1");
}

#[test]
fn inputs_stay_and_state_goes_round() {
    let program = state();
    let mut session = BoundSession::new(&program, options());
    let missing = session.run().unwrap_err();
    assert_eq!(missing.to_string(), "input `x` has no value (node `reads x`)");
    session.set("x", ints(4)).unwrap();
    assert!(session.set("z", ints(4)).unwrap_err().to_string().contains("no input `z`"));
    assert!(session.set_input(1, ints(4)).unwrap_err().to_string().contains("no input 1"));
    assert!(session.feed_back("y", "z").is_err() && session.feed_back("x", "x").is_err());
    session.feed_back("z", "x").unwrap();
    for step in 1..=3 {
        let found = session.run().unwrap();
        assert_eq!(found[0], Tensor::new(&[4], (0..4).map(|i| i + 7 * step).collect::<Vec<i64>>()).into());
    }
    // A run that fails leaves the state as it was.
    session.set("x", Tensor::scalar(1i64).into()).unwrap();
    assert!(session.run().is_err() && session.outputs().is_empty());
    session.set("x", ints(2)).unwrap();
    assert_eq!(session.run().unwrap()[0], Tensor::new(&[2], vec![7i64, 8]).into());
}

/// `main(x: [N]) -> x + 7`.
fn state() -> Program {
    let mut b = Build::new();
    b.signature(&[("x", DType::I64, &["N"])], &[("z", DType::I64, &["N"])]);
    let n = b.sym("N");
    b.node = Some(b.builder.text("Add_1"));
    b.push(Instr::Dim { symbol: n, from: Reg(0), axis: 0 });
    let dims = b.sizes(&["N"]);
    b.push(Instr::New { device: DeviceId::HOST, out: Reg(1), dtype: DType::I64, dims });
    let (kernel, symbols, phases, work) = (b.builder.kernel("add"), b.sizes(&["7"]), b.sizes(&["N"]), b.size("N"));
    b.push(Instr::Invoke { kernel, ins: [Reg(0)].into(), outs: [Reg(1)].into(), symbols, phases, work });
    b.push(Instr::Return { values: [Reg(1)].into() });
    let (operations, bytes) = (b.size("2*N"), b.size("16*N"));
    b.define(FunctionId(0), 2, 1, 1);
    b.builder.cost(
        kernel,
        KernelCost {
            products: nim_vm::Products::Bytes,
            operations,
            bytes,
            nodes: vec!["Add_1".into()],
            choices: vec![],
        },
    );
    b.builder.code(add_kernel());
    Program::from_bytes(b.builder.to_bytes()).unwrap()
}

#[test]
fn profiles_hold_times_against_formulas() {
    let mut session = Session::new(&state(), Options { threads: 1, ..options() });
    assert_eq!(session.profile().runs, 0);
    session.set_profile(true);
    for _ in 0..3 {
        session.run(&[ints(10)]).unwrap();
    }
    let profile = session.profile();
    let [site] = &profile.sites[..] else { panic!("{profile:?}") };
    assert_eq!((site.name.as_str(), site.node.as_deref(), site.calls), ("add", Some("Add_1"), 3));
    // The formulas are over the kernel's own symbols, of which the first one is 7 here, not over those of its caller.
    assert_eq!((site.operations, site.bytes, site.buffer_bytes), (Some(42.0), Some(336.0), 480.0));
    assert_eq!((profile.runs, profile.spans.len(), profile.run_spans.len()), (3, 3, 3));
    assert!(profile.time >= site.time && profile.spans.iter().all(|s| s.site == 0));
    assert_eq!(profile.instructions.iter().map(|i| i.1).sum::<u64>(), 12);
    assert!(profile.instructions.contains(&("invoke", 3)));
    session.set_profile(false);
    assert!(session.profile().sites.is_empty());
}

#[test]
fn constants_may_be_in_a_file_of_their_own() {
    let folder = std::env::temp_dir().join(format!("nim-constants-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let build = |value: i64| {
        let mut b = Build::new();
        b.signature(&[], &[("c", DType::I64, &["2"]), ("s", DType::String, &["1"])]);
        let constant = b.builder.constant(&Tensor::new(&[2], vec![value, 9]));
        let text = b.builder.constant(&Tensor::strings(&[1], vec!["ü".into()]));
        b.push(Instr::Const { out: Reg(0), constant });
        b.push(Instr::Const { out: Reg(1), constant: text });
        b.push(Instr::Return { values: [Reg(0), Reg(1)].into() });
        b.define(FunctionId(0), 2, 0, 2);
        b.builder
    };
    let (program, constants) = (folder.join("a.nimx"), folder.join("a.nimc"));
    let write = |value, to: &std::path::Path| {
        let mut builder = build(value);
        builder.constants_beside("a.nimc");
        builder.write_constants(&std::fs::File::create(to).unwrap(), 2).unwrap();
        builder
    };
    let builder = write(5, &constants);
    builder.write_nimx(&program).unwrap();
    let run = |program: &Program| Session::new(program, options()).run(&[]).unwrap();
    let inside = run(&Program::from_bytes(build(5).to_bytes()).unwrap());
    assert_eq!(run(&Program::load(&program).unwrap()), inside, "bit by bit as with constants inside");
    let elsewhere = folder.join("elsewhere.nimc");
    std::fs::rename(&constants, &elsewhere).unwrap();
    let with = |path: &std::path::Path| LoadOptions { constants: Some(path.to_owned()), ..LoadOptions::default() };
    assert_eq!(run(&Program::load_with(&program, &with(&elsewhere)).unwrap()), inside);
    assert_eq!(run(&Program::from_bytes_with(builder.to_bytes(), &with(&elsewhere)).unwrap()), inside);

    let refused = |options: &LoadOptions| Program::load_with(&program, options).unwrap_err().to_string();
    let bytes = std::fs::read(&elsewhere).unwrap();
    assert!(refused(&LoadOptions::default()).contains("a.nimc, cannot be read"));
    assert!(Program::from_bytes(builder.to_bytes()).unwrap_err().to_string().contains("nobody said where"));
    write(6, &constants);
    assert!(refused(&LoadOptions::default()).contains("another program"));
    for len in 0..bytes.len() {
        std::fs::write(&constants, &bytes[..len]).unwrap();
        let said = refused(&LoadOptions::default());
        assert!(said.contains("cut off") || len < 8 && said.contains("no file of constants"), "{len}: {said}");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        std::fs::write(&constants, &changed).unwrap();
        // Some bytes of the header mean nothing; all others are noticed.
        match Program::load(&program) {
            Ok(loaded) => assert!((8..16).contains(&at) || (32..64).contains(&at), "{at}: {loaded:?}"),
            Err(e) => assert!(matches!(e, LoadError::Constants(..)), "{at}: {e}"),
        }
    }
    std::fs::write(&constants, &bytes[1..]).unwrap();
    assert!(refused(&LoadOptions::default()).contains("no file of constants"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_table_of_instructions_is_small_and_complete() {
    assert_eq!(Instr::TABLE.len(), Instr::COUNT);
    const { assert!(Instr::COUNT <= 24) };
    for (number, definition) in Instr::TABLE.iter().enumerate() {
        assert_eq!(definition.code as usize, number + 1, "{}", definition.mnemonic);
        assert!(!definition.doc.is_empty(), "{}", definition.mnemonic);
    }
}

#[test]
fn a_claim_of_many_registers_costs_nothing() {
    let mut b = Build::new();
    b.signature(&[], &[]);
    b.push(Instr::Return { values: [].into() });
    b.define(FunctionId(0), 0, 0, 0);
    let other = b.builder.declare("other");
    b.push(Instr::Return { values: [].into() });
    // As many as can be said.
    b.define(other, 1 << 31, 1 << 31, 0);
    let program = Program::from_bytes(b.builder.to_bytes()).unwrap();
    assert!(Session::new(&program, options()).run(&[]).unwrap().is_empty());
}
