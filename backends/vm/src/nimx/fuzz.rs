//! Files that somebody changed on purpose: checksums fit, contents do not. Loading answers with an error or with a program;
//! running that program with small limits ends in values or in an error. Nothing panics, nothing is read outside.
//!
//! The changes come from a seeded generator, so a failure is found again. Programs here have no kernels when they run:
//! machine code of a file is trusted as any program is.

use super::stream::Checksum;
use super::{ENTRY, HEADER};
use crate::bytecode::{Callee, DeviceId, Function, FunctionId, Instr, Label, Maker, Reg, Relation, Size, Sym};
use crate::code_image::{CodeImage, ImageInfo, Layout, PAGE};
use crate::device::{CpuDevice, Devices};
use crate::{AdtType, LoadOptions, Options, Program, ProgramBuilder, Session, Signature, SignatureValue, ValueType};
use nim_expr::ExprPool;
use nim_tensor::{DType, Tensor, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// SplitMix64.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }
    fn below(&mut self, n: usize) -> usize {
        ((self.next() >> 32) as usize * n) >> 32
    }
}

/// A program with most instructions: sizes, a loop that stacks, a call, runtime functions, constants, views.
fn sample(kernels: bool) -> Vec<u8> {
    let pool = ExprPool::new();
    let mut b = ProgramBuilder::new("fuzz");
    let (main, other) = (b.declare("main"), b.declare("other"));
    let names = ["N", "i", "at0", "at1"];
    let size = |b: &mut ProgramBuilder, text: &str| -> Size {
        let expr = pool.parse(text).unwrap();
        b.size(&pool, expr, &mut |s| names.iter().position(|n| *n == pool.symbol_name(s)).map(|i| i as u32)).unwrap()
    };
    let value = |name: &str, dtype, dims: &[&str]| SignatureValue {
        name: name.into(),
        ty: ValueType::Tensor { dtype, dims: dims.iter().map(|d| d.to_string()).collect() },
        node: Some("node".into()),
    };
    let inputs = vec![value("x", DType::F32, &["N"]), value("n", DType::I64, &[])];
    b.signature(Signature {
        inputs,
        outputs: vec![value("y", DType::F32, &["N", "1"]), value("s", DType::I64, &["n"])],
        types: vec![AdtType {
            name: "Box".into(),
            constructors: vec![("empty".into(), vec![]), ("full".into(), vec![ValueType::Adt("Box".into())])],
        }],
    });
    let constant = b.constant(&Tensor::new(&[3], vec![1f32, 2.0, 3.0]));
    b.constant(&Tensor::strings(&[2], vec!["a".into(), "ü".into()]));
    let npu = b.device("npu");
    let there = b.constant_on(&Tensor::new(&[2], vec![4f32, 5.0]), npu);
    let (what, message) = (b.text("input `x`"), b.text("too long"));
    let (topk, nonzero) = (b.text("topk"), b.text("nonzero"));
    let n = size(&mut b, "N");
    let [zero, one, i, next, bytes, offset, most, k] =
        ["0", "1", "i", "i + 1", "64*ceildiv(4*N, 64)", "at1", "max(N, 100)", "min(N, 2)"].map(|t| size(&mut b, t));
    let mut code = vec![
        Instr::Dim { symbol: Sym(0), from: Reg(0), axis: 0 },
        Instr::Check { from: Reg(0), dims: [n].into(), what },
        Instr::Guard { kind: Relation::LessOrEqual, lhs: n, rhs: most, message },
        Instr::Alloc {
            device: DeviceId::HOST,
            out: Reg(2),
            sizes: [bytes, bytes].into(),
            apart: [[].into(), [0].into()].into(),
            offsets: [Sym(2), Sym(3)].into(),
        },
        Instr::View { out: Reg(3), storage: Reg(2), offset, dtype: DType::F32, dims: [n].into() },
        Instr::Copy { from: Reg(0), to: Reg(3), offset: zero },
        Instr::Reshape { out: Reg(3), from: Reg(3), dims: [n, one].into() },
        Instr::Const { out: Reg(4), constant },
        Instr::Runtime {
            function: topk,
            ints: [0, 1, 1].into(),
            sizes: [k].into(),
            ins: [Reg(0)].into(),
            outs: [Reg(5), Reg(6)].into(),
        },
        Instr::Runtime {
            function: nonzero,
            ints: [].into(),
            sizes: [].into(),
            ins: [Reg(4)].into(),
            outs: [Reg(5)].into(),
        },
        Instr::Eval { symbol: Sym(1), value: zero },
        Instr::JumpUnlessLess { lhs: i, rhs: n, target: Label(22) },
        Instr::New { device: DeviceId::HOST, out: Reg(7), dtype: DType::I64, dims: [].into() },
        Instr::Index { to: Reg(7), values: [next].into() },
        Instr::Make { out: Reg(9), maker: Maker::Constructor(1), fields: [Reg(7)].into() },
        Instr::Match {
            value: Reg(9),
            targets: [Label(22), Label(16)].into(),
            fields: [[].into(), [Reg(7)].into()].into(),
        },
        Instr::Make { out: Reg(9), maker: Maker::Function(other), fields: [Reg(7)].into() },
        Instr::Call { callee: Callee::Value(Reg(9)), ins: [].into(), outs: [Reg(7)].into() },
        Instr::Call { callee: Callee::Function(other), ins: [Reg(7)].into(), outs: [Reg(7)].into() },
        Instr::Push { to: Reg(8), from: Reg(7) },
        Instr::Eval { symbol: Sym(1), value: next },
        Instr::Jump { target: Label(11) },
        Instr::Kill { regs: [Reg(2), Reg(4)].into() },
        // To another device and back.
        Instr::New { device: npu, out: Reg(4), dtype: DType::F32, dims: [n].into() },
        Instr::Copy { from: Reg(0), to: Reg(4), offset: zero },
        Instr::Const { out: Reg(2), constant: there },
        Instr::Copy { from: Reg(2), to: Reg(4), offset: zero },
        Instr::Copy { from: Reg(0), to: Reg(4), offset: zero },
        Instr::Copy { from: Reg(4), to: Reg(3), offset: zero },
    ];
    if kernels {
        let kernel = b.kernel("add");
        let (ins, outs) = ([Reg(0)].into(), [Reg(3)].into());
        code.push(Instr::Invoke { kernel, ins, outs, symbols: [n].into(), phases: [n].into(), work: n });
        let layout = Layout { code: PAGE, relro: PAGE, ..Layout::default() };
        let info = ImageInfo {
            arch: std::env::consts::ARCH.into(),
            target: "x86-64".into(),
            layout,
            symbols: BTreeMap::from([("nim_add".to_owned(), 0)]),
            imports: vec!["expf".into()],
            relative: vec![PAGE + 8],
            ..ImageInfo::default()
        };
        b.code(CodeImage { info, body: vec![0; 2 * PAGE as usize] });
    }
    code.push(Instr::Return { values: [Reg(3), Reg(8)].into() });
    let nodes = vec![Some(message); code.len()];
    let symbols = names.map(String::from).to_vec();
    b.define(main, Function { name: "main".into(), regs: 10, symbols, inputs: 2, outputs: 2, code, nodes });
    let code = vec![
        Instr::JumpUnless { condition: Reg(0), target: Label(2) },
        Instr::Bind { from: Reg(0), symbols: [Sym(0)].into() },
        Instr::Move { out: Reg(1), from: Reg(0) },
        Instr::Return { values: [Reg(1)].into() },
    ];
    let nodes = vec![None; code.len()];
    let symbols = vec!["m".into()];
    b.define(other, Function { name: "other".into(), regs: 2, symbols, inputs: 1, outputs: 1, code, nodes });
    assert_eq!((main, other), (FunctionId(0), FunctionId(1)));
    b.to_bytes()
}

/// Makes the checksums of tables and code fit them; constants are never changed.
fn mend(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    for entry in 0..2 {
        let at = HEADER + entry * ENTRY;
        let (offset, len) = (word(bytes, at + 8), word(bytes, at + 16));
        if let Some(section) = offset.checked_add(len).and_then(|end| bytes.get(offset..end)) {
            let mut sum = Checksum::of(section);
            if entry == 1 && len > 24 {
                // The image has a checksum of its own, of all behind its first 24 bytes.
                let image = crate::code_image::checksum_of(&section[24..image_end(section)]);
                bytes[offset + 16..offset + 24].copy_from_slice(&image.to_le_bytes());
                sum = Checksum::of(&bytes[offset..offset + len]);
            }
            bytes[at + 24..at + 32].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let header = Checksum::of(&bytes[HEADER - 8..HEADER + 3 * ENTRY]);
    bytes[HEADER - 16..HEADER - 8].copy_from_slice(&header.to_le_bytes());
}

/// Where an image ends by its own account, if that is inside.
fn image_end(image: &[u8]) -> usize {
    let word = |at: usize| image.get(at..at + 8).map_or(0, |b| u64::from_le_bytes(b.try_into().unwrap()));
    let end = word(24).saturating_add(word(32));
    usize::try_from(end).map_or(image.len(), |end| end.clamp(24, image.len()))
}

/// Changes a few places of a range: bytes, words, and words copied from elsewhere.
fn mutate(bytes: &mut [u8], range: std::ops::Range<usize>, draws: &mut Draws) {
    for _ in 0..1 + draws.below(4) {
        let at = range.start + draws.below(range.len().saturating_sub(8));
        match draws.below(5) {
            0 => bytes[at] = draws.next() as u8,
            1 => bytes[at] ^= 1 << draws.below(8),
            2 => {
                let some = [0, 1, 2, 7, 0x7fff_ffff, 0x8000_0000, u32::MAX, draws.next() as u32][draws.below(8)];
                bytes[at..at + 4].copy_from_slice(&some.to_le_bytes());
            }
            3 => {
                let some = [0, u64::MAX, 1 << 63, 1 << 62, (1 << 63) - 1, draws.next()][draws.below(6)];
                bytes[at..at + 8].copy_from_slice(&some.to_le_bytes());
            }
            _ => {
                let from = range.start + draws.below(range.len().saturating_sub(8));
                bytes.copy_within(from..from + 4, at);
            }
        }
    }
}

/// Inputs that a signature may accept.
fn inputs(signature: &Signature) -> Vec<Value> {
    let one = |value: &SignatureValue| match &value.ty {
        ValueType::Tensor { dtype, dims } if *dtype != DType::String => {
            let dims = vec![3usize; dims.len().min(4)];
            let count: usize = dims.iter().product();
            Value::Tensor(Tensor::from_bytes(*dtype, &dims, vec![1; count * dtype.size()]))
        }
        _ => Value::Sequence(vec![]),
    };
    signature.inputs.iter().map(one).collect()
}

fn options() -> Options {
    Options { threads: 1, memory_limit: 1 << 20, max_steps: 300, max_depth: 20, seed: Some(1), ..Options::default() }
}

/// Where the tables end: the code begins at the next page.
fn tables(bytes: &[u8]) -> std::ops::Range<usize> {
    let at = HEADER + 16;
    HEADER..(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize) + HEADER + 3 * ENTRY
}

fn with_devices() -> LoadOptions {
    let mut devices = Devices::default();
    devices.insert("npu", Arc::new(CpuDevice));
    LoadOptions { devices, ..LoadOptions::default() }
}

#[test]
fn the_sample_runs() {
    let program = Program::from_bytes_with(sample(false), &with_devices()).unwrap();
    let out =
        Session::new(&program, options()).run(&[Tensor::new(&[3], vec![1f32; 3]).into(), Tensor::scalar(2i64).into()]);
    let out = out.unwrap();
    assert_eq!(out[0], Tensor::new(&[3, 1], vec![1f32; 3]).into());
    assert_eq!(out[1], Tensor::new(&[3], vec![1i64, 2, 3]).into());
    let mut same = sample(true);
    mend(&mut same);
    assert_eq!(same, sample(true), "mending changes nothing that is whole");
}

#[test]
fn changed_programs_are_refused_or_run() {
    let good = sample(false);
    let range = tables(&good);
    let mut draws = Draws(2026);
    let (mut loaded, mut ran) = (0, 0);
    for _ in 0..24_000 {
        let mut bytes = good.clone();
        mutate(&mut bytes, range.clone(), &mut draws);
        mend(&mut bytes);
        // The tables may say now that constants lie elsewhere, which have another checksum.
        let unchecked = LoadOptions { check_constants: false, ..with_devices() };
        let Ok(program) = Program::from_bytes_with(bytes, &unchecked) else { continue };
        loaded += 1;
        program.disassemble();
        let mut session = Session::new(&program, options());
        let given = inputs(program.signature());
        ran += u32::from(session.run(&given).is_ok());
        // A session is as good as before, whatever happened.
        let _ = session.run(&given);
    }
    assert!(loaded > 1000 && ran > 100, "the changes are too coarse to get anywhere: {loaded} loaded, {ran} ran");
}

#[test]
fn changed_code_images_are_refused_or_load() {
    let good = sample(true);
    let word = |at: usize| u64::from_le_bytes(good[at..at + 8].try_into().unwrap()) as usize;
    let at = HEADER + ENTRY;
    let image = word(at + 8)..word(at + 8) + word(at + 16);
    let mut draws = Draws(62);
    let mut loaded = 0;
    for round in 0..3000 {
        let mut bytes = good.clone();
        // The image's tables, or a word that is to become an address.
        let range = if round % 4 == 0 { image.clone() } else { image.start + 8..image.start + 300 };
        mutate(&mut bytes, range, &mut draws);
        mend(&mut bytes);
        loaded += u32::from(Program::from_bytes(bytes).is_ok());
    }
    assert!(loaded > 50, "the changes are too coarse to get anywhere: {loaded} loaded");
}

#[test]
fn cut_files_are_refused() {
    let good = sample(true);
    for len in (0..good.len()).step_by(97).chain([good.len() - 1]) {
        let mut bytes = good[..len].to_vec();
        assert!(Program::from_bytes(bytes.clone()).is_err(), "{len}");
        if len > HEADER + 3 * ENTRY {
            mend(&mut bytes);
            assert!(Program::from_bytes(bytes).is_err(), "{len}");
        }
    }
}
