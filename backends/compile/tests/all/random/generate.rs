//! Makes a graph, step by step. What is known of each value keeps the numbers tame: how large they are, and whether they
//! are exact, so that nothing that jumps (rounding, comparing, sorting) sees what two levels round differently.

mod moves;
mod steps;

use super::rng::Rng;
use nim_compiler::DIALECTS;
use nim_graph::GraphBuilder;
use nim_ir::{BlockId, Body, Builder, Context, Expr, Loc, Module, OpState, ValueId};
use nim_tensor::{DType, Tensor, Value};
use nim_text::{PrintOptions, print_module};
use std::collections::HashMap;

/// Steps of a whole case.
pub const STEPS: usize = 7;
/// Symbols count as so large in estimates of work and of numbers.
const LARGE: i64 = 17;
/// Most elements of a value, and most scalar products of a step.
const MOST: i64 = 20_000;

/// What an input holds.
#[derive(Clone, Copy)]
pub enum Fill {
    /// Numbers between -2 and 2, or between -8 and 8 for integers, or truth values.
    Small,
    /// Indices into a dimension of this size, counted from either end.
    Indices(Expr),
}

/// What is known of a value.
#[derive(Clone, Copy)]
pub struct Known {
    /// No level may round it otherwise than another.
    pub exact: bool,
    /// An upper bound of its magnitude.
    pub bound: f64,
    /// Its last bits are those of a short float.
    pub short: bool,
}

/// A module with `@main`, and how to run it.
pub struct Case {
    pub text: String,
    ctx: Context,
    inputs: Vec<(Vec<Expr>, DType, Fill)>,
    /// Expressions that must be at least this large.
    needs: Vec<(Expr, i64)>,
    /// How far the elements of each result may be off.
    pub slack: Vec<f64>,
    /// What it was made from.
    pub seed: u64,
}

/// A case in the making.
pub struct Maker<'a> {
    pub g: GraphBuilder<'a>,
    pub rng: Rng,
    block: BlockId,
    pub values: Vec<ValueId>,
    known: HashMap<ValueId, Known>,
    inputs: Vec<(Vec<Expr>, DType, Fill)>,
    pub needs: Vec<(Expr, i64)>,
}

impl Case {
    /// The case of a seed, cut off behind some steps. A case that is cut gives back the result of its last step only.
    pub fn new(seed: u64, steps: usize) -> Case {
        let ctx = Context::new(DIALECTS);
        let mut body = Body::new();
        let region = body.add_root_region();
        let block = body.add_block(region, &[], &[]);
        let mut maker = Maker {
            g: GraphBuilder::new(Builder::at_end(&ctx, &mut body, block)),
            rng: Rng::new(seed),
            block,
            values: vec![],
            known: HashMap::new(),
            inputs: vec![],
            needs: vec![],
        };
        // the first input gives the symbols their values
        let symbols = [maker.symbol("N"), maker.symbol("M")];
        let first = maker.input(&symbols, DType::F32, Fill::Small);
        maker.values.push(first);
        let mut made = 0;
        // a step may find nothing to do
        for _ in 0..20 * STEPS {
            if made == steps {
                break;
            }
            if let Ok(Some(value)) = maker.step() {
                maker.values.push(value);
                made += 1;
            }
        }
        let mut results = vec![*maker.values.last().expect("the first input is there")];
        if steps == STEPS {
            // what nothing uses would be thrown away unseen
            let unused = maker.values.iter().filter(|&&v| !maker.g.b.body.has_uses(v) && !results.contains(&v));
            let unused: Vec<ValueId> = unused.copied().collect();
            results.extend(unused);
            if maker.rng.once_in(2) {
                results.push(*maker.rng.pick(&maker.values));
            }
        }
        maker.g.b.op("func.return", &results, &[], &[]);
        let slack = results.iter().map(|v| maker.slack(*v)).collect();
        let (inputs, needs) = (maker.inputs, maker.needs);
        let types = |values: &[ValueId]| values.iter().map(|&v| body.ty(v)).collect::<Vec<_>>();
        let function = ctx.function_type(&types(body.block_args(block)), &types(&results));
        let mut module = Module::new();
        let entry = module.body.entry().expect("a module has a block");
        let state = OpState::new(&ctx, "func.func", Loc::UNKNOWN)
            .attr(&ctx, "sym_name", ctx.string_attr("main"))
            .attr(&ctx, "function_type", ctx.type_attr(function))
            .nested(body);
        Builder::at_end(&ctx, &mut module.body, entry).insert(state);
        let text = print_module(&ctx, &module, &PrintOptions::default());
        Case { text, ctx, inputs, needs, slack, seed }
    }

    fn size(&self, e: Expr, sizes: &[i64; 2]) -> i64 {
        size(&self.ctx, e, sizes)
    }

    /// Whether these sizes of `N` and `M` are large enough.
    pub fn fits(&self, sizes: &[i64; 2]) -> bool {
        self.needs.iter().all(|&(e, least)| self.size(e, sizes) >= least)
    }

    /// Inputs of these sizes.
    pub fn inputs(&self, sizes: &[i64; 2]) -> Vec<Value> {
        let mut rng = Rng::new(self.seed ^ (sizes[0] as u64) << 32 ^ sizes[1] as u64);
        let one = |(dims, dtype, fill): &(Vec<Expr>, DType, Fill)| {
            let dims: Vec<usize> = dims.iter().map(|&e| self.size(e, sizes) as usize).collect();
            let count = dims.iter().product::<usize>();
            let least = match *fill {
                Fill::Indices(extent) => self.size(extent, sizes),
                Fill::Small => 8,
            };
            Value::Tensor(tensor(*dtype, &dims, count, least, &mut rng))
        };
        self.inputs.iter().map(one).collect()
    }
}

fn size(ctx: &Context, e: Expr, sizes: &[i64; 2]) -> i64 {
    let value = |s| match ctx.exprs.symbol_name(s) {
        "N" => Some(sizes[0]),
        "M" => Some(sizes[1]),
        _ => None,
    };
    ctx.exprs.eval(e, &value).expect("sizes are made of N and M")
}

/// Elements in `-limit..limit`, or of magnitude below 2 for floats.
fn tensor(dtype: DType, dims: &[usize], count: usize, limit: i64, rng: &mut Rng) -> Tensor {
    if dtype == DType::Bool {
        return Tensor::bools(dims, (0..count).map(|_| rng.below(2) == 0).collect());
    }
    if dtype.is_float() {
        let values: Vec<f64> = (0..count).map(|_| rng.range(-2000, 2000) as f64 / 1000.0).collect();
        return Tensor::from_f64s(dtype, dims, &values).expect("floats");
    }
    let low = if dtype.is_signed_integer() { -limit } else { 0 };
    let values: Vec<i64> = (0..count).map(|_| rng.range(low, (limit - 1).max(low))).collect();
    Tensor::from_i64s(dtype, dims, &values).expect("integers")
}

impl Maker<'_> {
    pub fn symbol(&self, name: &str) -> Expr {
        self.g.ctx().exprs.named(name)
    }

    /// Another argument of the function.
    pub fn input(&mut self, dims: &[Expr], dtype: DType, fill: Fill) -> ValueId {
        let ctx = self.g.ctx();
        let ty = ctx.tensor_of(dims, ctx.type_of_dtype(dtype));
        let value = self.g.b.body.add_block_arg(self.block, ty, None);
        self.inputs.push((dims.to_vec(), dtype, fill));
        let bound = match (dtype, fill) {
            (_, Fill::Indices(_)) => LARGE as f64,
            (d, _) if d.is_float() => 2.0,
            _ => 8.0,
        };
        self.known.insert(value, Known { exact: true, bound, short: false });
        value
    }

    /// An input, or a constant where the sizes are known: weights are either.
    pub fn weights(&mut self, dims: &[Expr], dtype: DType) -> ValueId {
        let fixed: Option<Vec<usize>> =
            dims.iter().map(|&e| self.g.ctx().exprs.as_const(e).and_then(|n| usize::try_from(n).ok())).collect();
        match fixed {
            Some(dims) if self.rng.once_in(2) => {
                let count = dims.iter().product::<usize>();
                let tensor = tensor(dtype, &dims, count, 8, &mut self.rng);
                match self.g.constant(&tensor, "weights") {
                    Ok(value) => {
                        let bound = if dtype.is_float() { 2.0 } else { 8.0 };
                        self.known.insert(value, Known { exact: true, bound, short: false });
                        value
                    }
                    Err(_) => self.input_of(&dims, dtype),
                }
            }
            _ => self.input(dims, dtype, Fill::Small),
        }
    }

    fn input_of(&mut self, dims: &[usize], dtype: DType) -> ValueId {
        let dims: Vec<Expr> = dims.iter().map(|&d| self.g.num(d as i64)).collect();
        self.input(&dims, dtype, Fill::Small)
    }

    pub fn known(&self, v: ValueId) -> Known {
        self.known.get(&v).copied().unwrap_or(Known { exact: false, bound: f64::INFINITY, short: false })
    }

    pub fn set(&mut self, v: ValueId, exact: bool, bound: f64, of: &[ValueId]) {
        let short =
            of.iter().any(|&v| self.known(v).short) || self.g.dtype(v).is_ok_and(|d| d.size() < 4 && d.is_float());
        self.known.insert(v, Known { exact, bound, short });
    }

    /// How large a size may become.
    pub fn estimate(&self, e: Expr) -> i64 {
        size(self.g.ctx(), e, &[LARGE, LARGE])
    }

    pub fn count(&self, dims: &[Expr]) -> i64 {
        dims.iter().map(|&e| self.estimate(e).max(1)).product()
    }

    /// Whether a step of so much work, with results so large, is wanted.
    pub fn tame(&self, work: i64, bound: f64) -> bool {
        work <= MOST && bound <= 1e4
    }

    fn slack(&self, v: ValueId) -> f64 {
        let known = self.known(v);
        let unit = if known.short { 2e-2 } else { 2e-5 };
        if known.exact && !known.short { 0.0 } else { unit * known.bound.clamp(1e-3, 1e6) }
    }

    /// One of the values for which `f` holds, later ones more often.
    pub fn choose(&mut self, f: impl Fn(&Self, ValueId) -> bool) -> Option<ValueId> {
        let fitting: Vec<ValueId> = self.values.iter().copied().filter(|&v| f(self, v)).collect();
        let last = fitting.last().copied()?;
        Some(if self.rng.once_in(2) { last } else { *self.rng.pick(&fitting) })
    }

    pub fn is_float(&self, v: ValueId) -> bool {
        self.g.dtype(v).is_ok_and(DType::is_float)
    }
}
