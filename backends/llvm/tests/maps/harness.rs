//! Builds a `dataflow.kernel`, lowers and compiles it, and runs it on host buffers.

#![allow(unsafe_code)]

use nim_dataflow::{MapBuilder, iv};
use nim_ir::{Body, Builder, Context, Expr, OpId, Type, ValueId};
use nim_llvm::{KernelSource, Options, Target, compile_kernels};
use nim_loops_passes::packing::{Packing, pack};
use nim_loops_passes::{LoopsKernel, TargetInfo, loops_to_mlir_text, lower_kernel_to_loops};
use nim_tensor::{DType, Tensor};
use nim_vm::code_image::LoadedCode;
use std::time::{Duration, Instant};

/// A context with the dialects of kernels.
pub fn context() -> Context {
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.extend([&nim_dataflow::DATAFLOW, &nim_loops::LOOPS]);
    Context::new(&dialects)
}

/// Dimensions from text: `"2*N + 1"`, or numbers.
pub fn dims(ctx: &Context, texts: &[&str]) -> Vec<Expr> {
    texts.iter().map(|t| ctx.exprs.parse(t).expect("expression")).collect()
}

/// Iteration variable `k`.
pub fn i(ctx: &Context, k: usize) -> Expr {
    iv(ctx, k)
}

/// A module body with one kernel `@k`.
pub fn kernel(
    ctx: &Context,
    inputs: &[Type],
    symbols: &[&str],
    f: impl FnOnce(&mut Builder<'_>, &[ValueId]) -> Vec<ValueId>,
) -> (Body, OpId) {
    let mut nested = Body::new();
    let region = nested.add_root_region();
    let block = nested.add_block(region, inputs, &[]);
    let args = nested.block_args(block).to_vec();
    let mut builder = Builder::at_end(ctx, &mut nested, block);
    let results = f(&mut builder, &args);
    builder.op("dataflow.return", &results, &[], &[]);
    let results: Vec<Type> = results.iter().map(|&v| nested.ty(v)).collect();
    let mut module = Body::new();
    let region = module.add_root_region();
    let block = module.add_block(region, &[], &[]);
    let mut builder = Builder::at_end(ctx, &mut module, block);
    let state = builder
        .state("dataflow.kernel")
        .attr(ctx, "sym_name", ctx.string_attr("k"))
        .attr(ctx, "function_type", ctx.type_attr(ctx.function_type(inputs, &results)))
        .attr(ctx, "symbols", ctx.array_attr(symbols.iter().map(|s| ctx.string_attr(s))))
        .nested(nested);
    let op = builder.insert(state);
    (module, op)
}

/// A compiled kernel.
pub struct Compiled<'c> {
    ctx: &'c Context,
    code: LoadedCode,
    /// Time taken to lower to loops, to print MLIR, and to compile it.
    #[allow(dead_code)]
    pub times: [Duration; 3],
    packing: Vec<Packing>,
    iterations: Vec<Expr>,
    outputs: Vec<Type>,
    symbols: Vec<String>,
}

fn lower(ctx: &Context, module: &Body, op: OpId, options: &nim_loops_passes::Options) -> (Body, OpId, Vec<Packing>) {
    let lowered: LoopsKernel = lower_kernel_to_loops(ctx, module, op, options).expect("lowers");
    let packing = lowered.packing.clone();
    let mut out = Body::new();
    let region = out.add_root_region();
    let block = out.add_block(region, &[], &[]);
    let op = Builder::at_end(ctx, &mut out, block).insert(lowered.into_state(ctx));
    (out, op, packing)
}

/// Lowers and compiles.
pub fn compile<'c>(ctx: &'c Context, module: &Body, op: OpId, options: &nim_loops_passes::Options) -> Compiled<'c> {
    let start = Instant::now();
    let (out, op, packing) = lower(ctx, module, op, options);
    let lowered = start.elapsed();
    let view = nim_loops::KernelView::new(ctx, &out, op).expect("view");
    let mut found = vec![];
    nim_ir::verifier::verify_body(ctx, &out, false, &mut found);
    assert!(found.is_empty(), "{found:?}");
    let start = Instant::now();
    let text = loops_to_mlir_text(ctx, &out, op, &options.target).expect("prints");
    let printed = start.elapsed();
    let start = Instant::now();
    let source = KernelSource { symbol: "nim_k", text: &text };
    if let Ok(path) = std::env::var("NIM_DUMP") {
        std::fs::write(path, &text).expect("dump");
    }
    let target = Target::parse("x86-64-v3").expect("target");
    let image = compile_kernels(&[source], &target, &Options::default()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let times = [lowered, printed, start.elapsed()];
    let code = LoadedCode::load(&image).expect("loads");
    let kernel = out.nested(op).expect("body");
    let args = kernel.block_args(kernel.entry().expect("entry")).to_vec();
    let outputs = args[args.len() - view.output_count..].iter().map(|&a| kernel.ty(a)).collect();
    let iterations = nim_loops_passes::phases(ctx, kernel);
    Compiled { ctx, code, times, packing, iterations, outputs, symbols: view.symbols }
}

impl Compiled<'_> {
    fn eval(&self, e: Expr, symbols: &[(&str, i64)]) -> i64 {
        let pool = &self.ctx.exprs;
        let value = |s| symbols.iter().find(|(n, _)| *n == pool.symbol_name(s)).map(|(_, v)| *v);
        pool.eval(e, &value).expect("value")
    }
    /// Whether it reads a constant under linear maps.
    pub fn transforms(&self) -> bool {
        self.packing.iter().any(|p| !p.matrices.is_empty())
    }
    /// Inputs of 4-byte elements with those packed that the kernel wants packed.
    pub fn pack(&self, inputs: &[&[u8]], dims: &[&[usize]]) -> Vec<Vec<u8>> {
        let one = |(i, &bytes): (usize, &&[u8])| match self.packing.iter().find(|p| p.arg == i) {
            Some(p) => {
                let tensor = Tensor::from_bytes(DType::F32, dims[i], bytes.to_vec());
                pack(self.ctx, &tensor, p).expect("packs").bytes().to_vec()
            }
            None => bytes.to_vec(),
        };
        inputs.iter().enumerate().map(one).collect()
    }
    /// Allocates the outputs, in bytes, filled with 0xAA.
    pub fn outputs(&self, symbols: &[(&str, i64)]) -> Vec<Vec<u8>> {
        self.outputs
            .iter()
            .map(|&ty| {
                let dims = self.ctx.dim_exprs(ty).expect("dims");
                let count: i64 = dims.iter().map(|&d| self.eval(d, symbols)).product();
                vec![0xAA; count as usize * self.ctx.dtype_of(ty).expect("type").size()]
            })
            .collect()
    }
    /// Runs all iterations, cut into `parts` within each phase.
    pub fn run(&self, inputs: &[&[u8]], outputs: &mut [Vec<u8>], symbols: &[(&str, i64)], parts: i64) {
        let mut pointers: Vec<*mut u8> = inputs.iter().map(|b| b.as_ptr().cast_mut()).collect();
        pointers.extend(outputs.iter_mut().map(|b| b.as_mut_ptr()));
        let values: Vec<i64> = self
            .symbols
            .iter()
            .map(|name| symbols.iter().find(|(n, _)| n == name).map(|(_, v)| *v).expect("symbol"))
            .collect();
        let entry = self.code.symbol("nim_k").expect("entry");
        // SAFETY: the ABI of kernels; the code lives as long as `self`.
        let entry: extern "C" fn(*const *mut u8, *const i64, i64, i64) = unsafe { std::mem::transmute(entry) };
        let mut begin = 0;
        for &phase in &self.iterations {
            let count = self.eval(phase, symbols);
            for p in 0..parts {
                let (from, to) = (begin + count * p / parts, begin + count * (p + 1) / parts);
                entry(pointers.as_ptr(), values.as_ptr(), from, to);
            }
            begin += count;
        }
    }
    /// Seconds that each phase takes, the best of a few runs.
    #[allow(dead_code)]
    pub fn phase_seconds(&self, inputs: &[&[u8]], outputs: &mut [Vec<u8>], symbols: &[(&str, i64)]) -> Vec<f64> {
        let mut pointers: Vec<*mut u8> = inputs.iter().map(|b| b.as_ptr().cast_mut()).collect();
        pointers.extend(outputs.iter_mut().map(|b| b.as_mut_ptr()));
        let entry = self.code.symbol("nim_k").expect("entry");
        // SAFETY: the ABI of kernels; the code lives as long as `self`.
        let entry: extern "C" fn(*const *mut u8, *const i64, i64, i64) = unsafe { std::mem::transmute(entry) };
        let values: Vec<i64> = symbols.iter().map(|s| s.1).collect();
        let (mut begin, mut out) = (0, vec![]);
        for &phase in &self.iterations {
            let end = begin + self.eval(phase, symbols);
            let mut best = f64::INFINITY;
            for _ in 0..20 {
                let start = Instant::now();
                entry(pointers.as_ptr(), values.as_ptr(), begin, end);
                best = best.min(start.elapsed().as_secs_f64());
            }
            out.push(best);
            begin = end;
        }
        out
    }
    /// Runs and answers the first output as `f32`.
    pub fn f32s(&self, inputs: &[&[u8]], symbols: &[(&str, i64)]) -> Vec<f32> {
        let mut outputs = self.outputs(symbols);
        self.run(inputs, &mut outputs, symbols, 1);
        from_bytes(&outputs[0])
    }
}

/// Any plain elements as bytes.
pub fn bytes<T: Copy>(values: &[T]) -> Vec<u8> {
    let size = std::mem::size_of_val(values);
    // SAFETY: the tests use plain numbers only.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size) }.to_vec()
}

/// Bytes as plain elements.
pub fn from_bytes<T: Copy>(bytes: &[u8]) -> Vec<T> {
    let size = std::mem::size_of::<T>();
    // SAFETY: the tests use plain numbers only; reads are unaligned.
    bytes.chunks_exact(size).map(|c| unsafe { c.as_ptr().cast::<T>().read_unaligned() }).collect()
}

/// Small pseudo-random numbers around 0, the same every time.
pub fn random(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Compares with a relative and absolute tolerance.
#[track_caller]
pub fn close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (at, (&f, &e)) in found.iter().zip(expected).enumerate() {
        let same = f == e || (f.is_nan() && e.is_nan()) || (f - e).abs() <= tolerance * (1.0 + e.abs());
        assert!(same, "element {at}: {f}, expected {e}");
    }
}

/// The default options with plain nests, and with schedules.
pub fn both() -> [nim_loops_passes::Options; 2] {
    let target = TargetInfo::default();
    [true, false].map(|naive| nim_loops_passes::Options { naive, target: target.clone(), ..Default::default() })
}

/// `out[m, n] = sum over k of a[m, k] * b[k, n]`.
pub fn matmul(ctx: &Context, builder: &mut Builder<'_>, a: ValueId, b: ValueId, size: &[Expr; 3]) -> ValueId {
    let f32_type = ctx.f32_type();
    let [m, n, k] = *size;
    let mut map = MapBuilder::new(&[m, n, k]);
    map.read(a, &[i(ctx, 0), i(ctx, 2)]);
    map.read(b, &[i(ctx, 2), i(ctx, 1)]);
    let zero = ctx.float_attr(0.0, f32_type);
    map.reduce(ctx.tensor_of(&[m, n], f32_type), &[i(ctx, 0), i(ctx, 1)], nim_dataflow::Combine::Add, zero);
    let op = map.build(builder, |b, args| vec![b.value("arith.mulf", args, f32_type, &[])]);
    builder.body.result(op)
}
