//! `dataflow-to-loops`: a `dataflow.kernel` becomes a `loops.kernel`.
//!
//! Tensors become buffers: the kernel's arguments, its results as outputs behind them, and what maps hand to each other
//! as further outputs, the *temporaries*, which the host allocates like the others. A result that starts from another
//! map's result takes over its buffer where nobody else needs it.

use crate::blocks;
use crate::map::Map;
use crate::mlir::{TargetInfo, phases};
use crate::nest::{Kind, Nest};
use crate::packing::Packing;
use crate::point::Points;
use crate::schedule::{self, choice, choice::Choice};
use nim_dataflow::blocks::{BLOCK, Blocks};
use nim_ir::{Attr, AttrList, Body, Builder, Context, Diagnostic, Loc, OpId, OpState, Type, ValueId};
use nim_pass::Rules;
use rustc_hash::FxHashMap;

/// Constants of a program, in bytes; 0 where only those of a kernel are known. A kernel's own come from where all of them fit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weights {
    /// All of them.
    pub all: f64,
    /// Those of convolutions over more than one neighbour, which other algorithms make larger.
    pub windows: f64,
}

impl Weights {
    /// All bytes, if those of windows grow by a factor.
    pub fn grown(&self, factor: f64) -> f64 {
        self.all + (factor - 1.0) * self.windows
    }
}

/// What steers the lowering.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Plain nests only.
    pub naive: bool,
    /// Winograd's algorithms wherever their error is allowed, even where they are slower: for finding errors.
    pub winograd: bool,
    /// Tile registers wherever they can be used, even where they are slower: for finding errors.
    pub tiles: bool,
    /// What the schedules are made for.
    pub target: TargetInfo,
    /// Largest error of a result, as a part of the largest result, that may be taken for speed beyond that of plain `f32` sums
    /// (which is about 2e-7). 0: none.
    pub tolerance: f64,
    /// What a run of the whole program reads of constants between two runs of a kernel.
    pub weights: Weights,
    /// How contractions are to be walked, where this has a meaning for them.
    pub dataflow: Option<schedule::explore::Dataflow>,
}

/// A lowered kernel.
#[derive(Debug)]
pub struct LoopsKernel {
    /// The body of the `loops.kernel`.
    pub body: Body,
    /// Its attributes.
    pub attrs: AttrList,
    /// Where it comes from.
    pub loc: Loc,
    /// Types of the temporaries: its last outputs.
    pub temporaries: Vec<Type>,
    /// Constant arguments that it reads in another arrangement.
    pub packing: Vec<Packing>,
    /// The schedule of each of its maps.
    pub schedules: Vec<Choice>,
    /// What is chosen when it runs, in words.
    pub choices: Vec<String>,
}

impl LoopsKernel {
    /// As an op to insert.
    pub fn into_state(self, ctx: &Context) -> OpState {
        let mut state = OpState::new(ctx, "loops.kernel", self.loc);
        state.attrs = self.attrs;
        state.nested(self.body)
    }
}

/// Lowers a `dataflow.kernel`, an op of `module`.
///
/// # Errors
/// A map that is not well formed (`N0701`, `N0702`), or a tensor whose dimensions are not known as expressions (`N0704`).
pub fn lower_kernel_to_loops(
    ctx: &Context,
    module: &Body,
    kernel: OpId,
    options: &Options,
) -> Result<LoopsKernel, Diagnostic> {
    lower_under(ctx, module, kernel, options, Rules::default())
}

/// As [`lower_kernel_to_loops`]; the schedules of maps are rules.
pub(crate) fn lower_under(
    ctx: &Context,
    module: &Body,
    kernel: OpId,
    options: &Options,
    rules: Rules<'_>,
) -> Result<LoopsKernel, Diagnostic> {
    let loc = module.loc(kernel);
    let source =
        module.nested(kernel).ok_or_else(|| Diagnostic::error("N0701", loc, "`dataflow.kernel` has no body"))?;
    let sizes = module.attr_named(ctx, kernel, BLOCK).and_then(|a| ctx.as_exprs(a)).filter(|_| !options.naive);
    let mut copy = blocks::copy_of(source);
    let blocks = sizes.map(|sizes| Blocks::new(ctx, &copy, sizes)).transpose()?;
    let plan = Plan::new(ctx, &copy, loc, blocks.as_ref().map_or(&[], |blocks| &blocks.inner))?;
    let mut body = Body::new();
    let region = body.add_root_region();
    let types: Vec<Type> = plan.inputs.iter().map(|&(_, ty)| ty).chain(plan.outputs.iter().copied()).collect();
    let block = body.add_block(region, &types, &[]);
    let args = body.block_args(block).to_vec();
    let mut buffers = FxHashMap::default();
    for (i, &(tensor, _)) in plan.inputs.iter().enumerate() {
        buffers.insert(tensor, args[i]);
        body.set_value_name(args[i], copy.value_name(tensor));
    }
    for (&tensor, &output) in &plan.homes {
        buffers.insert(tensor, args[plan.inputs.len() + output]);
    }
    let wanted = wanted(ctx, module, kernel, plan.maps.len())?;
    if blocks.is_some() && wanted.iter().any(Option::is_some) {
        let message =
            format!("`{}` of a kernel that is walked in blocks, whose schedules suit the blocks", choice::ATTR);
        let help = format!(
            "`{}` leaves a map's schedule to the search; without `{BLOCK}` each map is walked by itself",
            choice::AUTO
        );
        return Err(Diagnostic::error("N0706", loc, message).help(help));
    }
    let tensors: Vec<ValueId> = plan.inputs.iter().map(|i| i.0).collect();
    let constants = constant_args(ctx, module, kernel, &tensors);
    let mut facts = nim_builtin::assume::facts_of_kernel(ctx, module, kernel);
    let mut env = schedule::Env {
        options,
        ctx,
        constants: &constants,
        tensors: &tensors,
        args: &args,
        assumed: facts.clone(),
        temporaries: vec![],
        packing: vec![],
        repeats: false,
        choices: vec![],
        wanted: None,
        taken: None,
        rules,
    };
    let mut schedules = vec![];
    let mut next_iv = 0;
    if let Some(blocks) = &blocks {
        let mut nest = Nest::new(ctx, &mut body, block, loc, &mut facts, &mut next_iv);
        blocks::emit(&mut copy, blocks, &plan.maps, &buffers, &mut nest, &mut env)?;
    }
    for (map, wanted) in plan.maps.iter().zip(wanted).filter(|_| blocks.is_none()) {
        env.wanted = wanted;
        let loc = ctx.derived_loc("dataflow-to-loops", map.loc);
        let mut nest = Nest::new(ctx, &mut body, block, loc, &mut facts, &mut next_iv);
        let mut points = Points::new(ctx, &copy, map, &buffers);
        points.any_zero = options.target.reassociate;
        schedule::emit(&mut points, &mut nest, &mut env)?;
        schedules.extend(env.taken.take());
    }
    let (more, packing, repeats, choices) = (env.temporaries, env.packing, env.repeats, env.choices);
    for &(tensor, output) in &plan.copies {
        let mut nest = Nest::new(ctx, &mut body, block, loc, &mut facts, &mut next_iv);
        let (from, to) = (buffers[&tensor], args[plan.inputs.len() + output]);
        let dims = ctx.dim_exprs(nest.body.ty(to)).unwrap_or_default();
        nest.ranges(&dims, Kind::Seq, &mut |nest, at| {
            let value = nest.load(from, at, &[]);
            nest.store(value, to, at, &[]);
        });
    }
    Builder::at_end(ctx, &mut body, block).op("loops.yield", &[], &[], &[]);
    let mut attrs = AttrList::new();
    let mut set = |name: &str, attr: Attr| attrs.set(ctx, ctx.name(name), attr);
    for name in ["sym_name", "symbols", nim_builtin::assume::KERNEL_ATTR] {
        if let Some(attr) = module.attr_named(ctx, kernel, name) {
            set(name, attr);
        }
    }
    let pairs = match repeats || blocks.is_some() {
        true => vec![],
        false => crate::in_place::pairs(ctx, &plan.maps, &tensors, &plan.results, &body),
    };
    if !pairs.is_empty() {
        let pair = |&(i, o): &(usize, usize)| ctx.i64_array(&[i as i64, o as i64]);
        set(nim_loops::IN_PLACE, ctx.array_attr(pairs.iter().map(pair)));
    }
    let types: Vec<Type> = body.block_args(block).iter().map(|&a| body.ty(a)).collect();
    let temporaries: Vec<Type> =
        plan.outputs[plan.outputs.len() - plan.temporaries..].iter().copied().chain(more).collect();
    let outputs = plan.outputs.len() - plan.temporaries + temporaries.len();
    set("function_type", ctx.type_attr(ctx.function_type(&types, &[])));
    set("outputs", ctx.i64_attr(outputs as i64));
    set("loops.temporaries", ctx.i64_attr(temporaries.len() as i64));
    set("loops.iterations", ctx.exprs_attr(&phases(ctx, &body)));
    if !packing.is_empty() {
        set("loops.packing", ctx.array_attr(packing.iter().map(|p| p.to_attr(ctx))));
    }
    let loc = ctx.derived_loc("dataflow-to-loops", loc);
    Ok(LoopsKernel { body, attrs, loc, temporaries, packing, schedules, choices })
}

/// What a kernel's attribute wants of each of its maps.
fn wanted(ctx: &Context, module: &Body, kernel: OpId, maps: usize) -> Result<Vec<Option<Choice>>, Diagnostic> {
    let Some(attr) = module.attr_named(ctx, kernel, choice::ATTR) else { return Ok(vec![None; maps]) };
    let wrong = |why: String| Diagnostic::error("N0706", module.loc(kernel), why);
    let texts: Option<Vec<&str>> =
        ctx.as_array(attr).and_then(|list| list.iter().map(|&item| ctx.as_string(item)).collect());
    let texts = texts.ok_or_else(|| wrong(format!("`{}` is a list of strings, one a map", choice::ATTR)))?;
    if texts.len() != maps {
        let message = format!("`{}` has {} schedules, the kernel {maps} maps", choice::ATTR, texts.len());
        return Err(wrong(message).help(format!("`{}` leaves a map's schedule to the search", choice::AUTO)));
    }
    let one = |text: &&str| if *text == choice::AUTO { Ok(None) } else { text.parse().map(Some).map_err(wrong) };
    texts.iter().map(one).collect()
}

/// Arguments that the attribute `constant_args` (their numbers) says are constants.
pub fn constant_args(ctx: &Context, module: &Body, kernel: OpId, tensors: &[ValueId]) -> Vec<ValueId> {
    let named = |name: &str| module.attr_named(ctx, kernel, name).and_then(|a| ctx.as_ints(a));
    let numbers = named("constant_args").or_else(|| named("dataflow.constant_args")).unwrap_or_default();
    numbers.iter().filter_map(|&n| tensors.get(usize::try_from(n).ok()?).copied()).collect()
}

/// Which tensor lives where.
struct Plan {
    maps: Vec<Map>,
    /// Arguments with their types as buffers.
    inputs: Vec<(ValueId, Type)>,
    /// Types of all outputs, the temporaries last.
    outputs: Vec<Type>,
    temporaries: usize,
    /// For each output that is no temporary the tensor that is made in it, if nobody else gets the same.
    results: Vec<Option<ValueId>>,
    /// Output number of each map's result.
    homes: FxHashMap<ValueId, usize>,
    /// Returned tensors that live elsewhere and are copied.
    copies: Vec<(ValueId, usize)>,
}

impl Plan {
    /// `inner` results have no place here.
    fn new(ctx: &Context, source: &Body, loc: Loc, inner: &[ValueId]) -> Result<Plan, Diagnostic> {
        let broken = |message: &str| Diagnostic::error("N0701", loc, message);
        let block = source.entry().ok_or_else(|| broken("`dataflow.kernel` has no block"))?;
        let (mut maps, mut returned) = (vec![], vec![]);
        for op in source.block_ops(block) {
            match ctx.op_str(source.op_name(op)) {
                "dataflow.map" => maps.push(Map::new(ctx, source, op)?),
                "dataflow.return" => returned = source.operands(op).to_vec(),
                other => {
                    let message = format!("`{other}` cannot stand in a kernel, which holds maps");
                    return Err(Diagnostic::error("N0701", source.loc(op), message));
                }
            }
        }
        let inputs = source
            .block_args(block)
            .iter()
            .map(|&arg| Ok((arg, buffer_type(ctx, source.ty(arg), loc)?)))
            .collect::<Result<Vec<_>, Diagnostic>>()?;
        let mut outputs =
            returned.iter().map(|&v| buffer_type(ctx, source.ty(v), loc)).collect::<Result<Vec<_>, _>>()?;
        let (mut homes, mut copies) = (FxHashMap::default(), vec![]);
        let made: Vec<ValueId> = maps.iter().flat_map(|m| m.results.iter().copied()).collect();
        for (i, &tensor) in returned.iter().enumerate() {
            if homes.contains_key(&tensor) || !made.contains(&tensor) {
                copies.push((tensor, i));
            } else {
                homes.insert(tensor, i);
            }
        }
        let named = outputs.len();
        for map in maps.iter().rev() {
            for (write, &result) in map.view.writes.iter().zip(&map.results).filter(|(_, r)| !inner.contains(r)) {
                let home = match homes.get(&result) {
                    Some(&home) => home,
                    None => {
                        outputs.push(buffer_type(ctx, source.ty(result), map.loc)?);
                        homes.insert(result, outputs.len() - 1);
                        outputs.len() - 1
                    }
                };
                // What only starts this result can be made in its place.
                if let Some(start) = write.init_value
                    && made.contains(&start)
                    && !homes.contains_key(&start)
                    && source.only_use(start).is_some()
                    && outputs[home] == buffer_type(ctx, source.ty(start), map.loc)?
                {
                    homes.insert(start, home);
                }
            }
        }
        let temporaries = outputs.len() - named;
        let shared = |i: usize| copies.iter().any(|&(tensor, output)| output == i || tensor == returned[i]);
        let results = (0..named).map(|i| (!shared(i)).then_some(returned[i])).collect();
        Ok(Plan { maps, inputs, outputs, temporaries, results, homes, copies })
    }
}

/// The memref that holds a tensor.
fn buffer_type(ctx: &Context, tensor: Type, loc: Loc) -> Result<Type, Diagnostic> {
    match (ctx.dim_exprs(tensor), ctx.element_type(tensor)) {
        (Some(dims), Some(element)) => Ok(ctx.memref_of(&dims, element)),
        _ => {
            let message =
                format!("a kernel needs every dimension as an expression, found {}", ctx.display_type(tensor));
            Err(Diagnostic::error("N0704", loc, message))
        }
    }
}
