//! Measures the dataflows of convolutions, as the evaluation of YFlows does: basic and extended ones of each anchor, bytes and bits,
//! filters of 3 to 5, strides of 1 and 2. Prints a line of CSV each; every result is compared with that of the usual schedule.
//!
//! `cargo run --release -p nim-compiler --example dataflow -- [--quick] > dataflow.csv`

use nim_compiler::tune::measure_kernel;
use nim_compiler::{DIALECTS, Level, Options, lower, target_info};
use nim_ir::{Context, Diagnostic, Module, OpId};
use nim_loops_passes::schedule::explore::count::Counts;
use nim_loops_passes::{Dataflow, explore_pass::explore_kernel, schedule::choice::AUTO, schedule::explore::Anchor};
use nim_tensor::{DType, Tensor};
use nim_text::{ParseOptions, parse_module, render_all};
use std::time::Duration;

type Failed = Box<dyn std::error::Error>;

/// Extended dataflows of each anchor that are measured: those that the counts put first.
const TRIED: usize = 3;

/// One convolution of the grid; as many filters as channels.
#[derive(Clone, Copy)]
struct Case {
    bits: bool,
    filter: usize,
    stride: usize,
    size: usize,
    channels: usize,
}

impl Case {
    fn out(self) -> usize {
        (self.size - self.filter) / self.stride + 1
    }

    /// Channels are innermost; bits lie in words.
    fn dims(self) -> [Vec<usize>; 2] {
        let depth = if self.bits { self.channels / 32 } else { self.channels };
        [vec![self.size, self.size, depth], vec![self.channels, self.filter, self.filter, depth]]
    }

    fn text(self) -> String {
        let Case { filter, stride, size, channels, .. } = self;
        let (out, [_, w]) = (self.out(), self.dims());
        let depth = w[3];
        let (a, b, body, last) = match self.bits {
            false => (
                "ui8",
                "i8",
                "%p = arith.extui %a : i8 to i32\n%q = arith.extsi %b : i8 to i32\n%m = arith.muli %p, %q : i32",
                String::new(),
            ),
            true => {
                let n = channels * filter * filter;
                let last = format!(
                    " epilogue(%v) {{\n%two = arith.constant 2 : i32\n%all = arith.constant {n} : i32\n\
                     %t = arith.muli %v, %two : i32\n%r = arith.subi %all, %t : i32\ndataflow.yield %r : i32\n}}"
                );
                ("i32", "i32", "%p = arith.xori %a, %b : i32\n%m = math.ctpop %p : i32", last)
            }
        };
        let weight = format!("tensor<{channels}x{filter}x{filter}x{depth}x{b}>");
        let result = format!("tensor<{out}x{out}x{channels}xi32>");
        format!(
            "func.func @main(%x: tensor<{size}x{size}x{depth}x{a}>) -> {result} {{\n\
             %w = \"graph.constant\"() {{value = dense_resource<w> : {weight}}} : () -> {weight}\n\
             %y = dataflow.map [$0 < {out}, $1 < {out}, $2 < {channels}, $3 < {depth}, $4 < {filter}, $5 < {filter}] \
             reads(%a = %x[{stride}*$0 + $4, {stride}*$1 + $5, $3], %b = %w[$2, $4, $5, $3]) \
             writes([$0, $1, $2] add init 0 : i32) {{\n{body}\ndataflow.yield %m : i32\n}}{last} : {result}\n\
             return %y : {result}\n}}\n"
        )
    }

    fn tensor(self, k: usize) -> Tensor {
        let dims = &self.dims()[k];
        let mut state = 0x9e37_79b9_7f4a_7c15u64 + k as u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        let count: usize = dims.iter().product();
        match self.bits {
            true => Tensor::new(dims, (0..count).map(|_| next().wrapping_mul(2_654_435_761) as i32).collect()),
            false => {
                let dtype = if k == 0 { DType::U8 } else { DType::I8 };
                Tensor::from_bytes(dtype, dims, (0..count).map(|_| next() as u8).collect())
            }
        }
    }

    fn module(self) -> Result<(Context, Module), Failed> {
        let ctx = Context::new(DIALECTS);
        let weight = self.tensor(1);
        ctx.add_resource("w", nim_tensor::Blob::new(weight.bytes().to_vec()));
        let source = ctx.add_source("convolution.nir", self.text());
        let (module, found) = parse_module(&ctx, source, &ParseOptions::default());
        match found.iter().any(Diagnostic::is_error) {
            true => Err(render_all(&ctx, &found, &Default::default()).into()),
            false => Ok((ctx, module)),
        }
    }

    /// The convolution as a kernel.
    fn kernel(self, options: &Options) -> Result<(Context, Module, OpId), Failed> {
        let (ctx, mut module) = self.module()?;
        let lowered = lower(&ctx, &mut module, options, Level::Dataflow);
        lowered.map_err(|found| render_all(&ctx, &found, &Default::default()))?;
        // Of bits the packing of the activations is a kernel of its own.
        let kernel = module.ops().filter(|&op| module.body.is(&ctx, op, "dataflow.kernel")).last();
        let kernel = kernel.ok_or("no kernel")?;
        Ok((ctx, module, kernel))
    }

    fn space(self, options: &Options) -> Result<Vec<Counts>, Failed> {
        let (ctx, module, kernel) = self.kernel(options)?;
        let settings = nim_loops_passes::Options { target: target_info(options), ..Default::default() };
        let maps = explore_kernel(&ctx, &module, kernel, &settings);
        let maps = maps.map_err(|d| render_all(&ctx, &[d], &Default::default()))?;
        Ok(maps.into_iter().flat_map(|(_, found)| found.unwrap_or_default()).collect())
    }

    /// The median under the usual schedule, and under each of these dataflows.
    fn run(self, options: &Options, dataflows: &[Dataflow]) -> Result<Vec<Duration>, Failed> {
        let (ctx, mut module, kernel) = self.kernel(options)?;
        let auto = vec![AUTO.to_string()];
        let schedules: Vec<Vec<String>> =
            [auto].into_iter().chain(dataflows.iter().map(|point| vec![point.to_string()])).collect();
        let time = Duration::from_millis(250) * schedules.len() as u32;
        let times = measure_kernel(&ctx, &mut module, kernel, options, &schedules, time);
        let times = times.map_err(|found| render_all(&ctx, &found, &Default::default()))?;
        times.into_iter().map(|time| Ok(time.unwrap_or(Duration::MAX))).collect()
    }
}

fn main() -> Result<(), Failed> {
    let quick = std::env::args().any(|a| a == "--quick");
    let options = Options { threads: 1, verify: false, ..Options::default() };
    println!("kind,filter,stride,size,channels,way,anchor,dataflow,registers,loads,stores,predicted,ms");
    let channels: &[usize] = if quick { &[64] } else { &[64, 128, 256] };
    let sizes: &[usize] = if quick { &[56] } else { &[56, 112] };
    for bits in [false, true] {
        for &channels in channels {
            for &size in sizes {
                for stride in [1, 2] {
                    for filter in [3, 4, 5] {
                        one(Case { bits, filter, stride, size, channels }, &options)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn one(case: Case, options: &Options) -> Result<(), Failed> {
    let Case { bits, filter, stride, size, channels } = case;
    let place = format!("{},{filter},{stride},{size},{channels}", if bits { "binary" } else { "8-bit" });
    let all = case.space(options)?;
    let mut tried = vec![];
    for anchor in Anchor::ALL {
        let own = |tiles| all.iter().filter(move |c| c.dataflow.anchor == anchor && c.dataflow.tiles == tiles);
        tried.extend(own(false).filter(|c| c.dataflow.is_basic()).map(|c| ("basic", c)).take(1));
        tried.extend(own(false).filter(|c| !c.dataflow.is_basic()).map(|c| ("extended", c)).take(TRIED));
        // The paper knows vectors only.
        tried.extend(own(true).map(|c| ("tiles", c)).take(TRIED));
    }
    let points: Vec<Dataflow> = tried.iter().map(|(_, counts)| counts.dataflow).collect();
    let times = case.run(options, &points)?;
    println!("{place},schedule,,,,,,,{:.4}", times[0].as_secs_f64() * 1e3);
    // The same code as another is measured once.
    let measured = tried.iter().zip(&times[1..]).filter(|(_, time)| **time != Duration::MAX);
    for ((way, counts), time) in measured {
        println!(
            "{place},{way},{},{},{},{:.0},{:.0},{:.0},{:.4}",
            counts.dataflow.anchor.name(),
            counts.dataflow,
            counts.registers,
            counts.loads.iter().sum::<f64>(),
            counts.stores,
            counts.cycles,
            time.as_secs_f64() * 1e3
        );
    }
    Ok(())
}
