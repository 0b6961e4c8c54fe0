//! `dataflow-to-loops`: a `dataflow.kernel` becomes a `loops.kernel`.
//!
//! Tensors become buffers: the kernel's arguments, its results as outputs behind them, and what maps hand to each other
//! as further outputs, the *temporaries*, which the host allocates like the others. A result that starts from another
//! map's result takes over its buffer where nobody else needs it.

use crate::map::Map;
use crate::mlir::{TargetInfo, phases};
use crate::nest::{Kind, Nest};
use crate::point::{Container, Points};
use crate::schedule;
use nim_ir::{Attr, AttrList, Body, Builder, Context, Diagnostic, Expr, Facts, Loc, OpId, OpState, Type, ValueId};
use rustc_hash::FxHashMap;

/// What steers the lowering.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Plain nests only.
    pub naive: bool,
    /// What the schedules are made for.
    pub target: TargetInfo,
}

/// Another arrangement that a constant argument is to be brought into before the kernel runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Number of the argument.
    pub arg: usize,
    /// Dimensions of the packed buffer, all of them numbers.
    pub shape: Vec<i64>,
    /// For each dimension of the argument the index that packed element `[$0, $1, ...]` comes from; outside of the
    /// argument stands 0.
    pub indices: Vec<Expr>,
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
    let loc = module.loc(kernel);
    let source =
        module.nested(kernel).ok_or_else(|| Diagnostic::error("N0701", loc, "`dataflow.kernel` has no body"))?;
    let plan = Plan::new(ctx, source, loc)?;
    let mut body = Body::new();
    let region = body.add_root_region();
    let types: Vec<Type> = plan.inputs.iter().map(|&(_, ty)| ty).chain(plan.outputs.iter().copied()).collect();
    let block = body.add_block(region, &types, &[]);
    let args = body.block_args(block).to_vec();
    let mut containers = FxHashMap::default();
    for (i, &(tensor, _)) in plan.inputs.iter().enumerate() {
        containers.insert(tensor, Container::plain(args[i]));
        body.set_value_name(args[i], source.value_name(tensor));
    }
    for (&tensor, &output) in &plan.homes {
        containers.insert(tensor, Container::plain(args[plan.inputs.len() + output]));
    }
    let (mut facts, mut next_iv) = (Facts::default(), 0);
    for map in &plan.maps {
        let loc = ctx.derived_loc("dataflow-to-loops", map.loc);
        let mut nest = Nest::new(ctx, &mut body, block, loc, &mut facts, &mut next_iv);
        let points = Points::new(ctx, source, map, &containers);
        schedule::emit(&points, &mut nest, options)?;
    }
    for &(tensor, output) in &plan.copies {
        let mut nest = Nest::new(ctx, &mut body, block, loc, &mut facts, &mut next_iv);
        let (from, to) = (containers[&tensor].buffer, args[plan.inputs.len() + output]);
        let dims = ctx.dim_exprs(nest.body.ty(to)).unwrap_or_default();
        nest.ranges(&dims, Kind::Seq, &mut |nest, at| {
            let value = nest.load(from, at, &[]);
            nest.store(value, to, at, &[]);
        });
    }
    Builder::at_end(ctx, &mut body, block).op("loops.yield", &[], &[], &[]);
    let mut attrs = AttrList::new();
    let mut set = |name: &str, attr: Attr| attrs.set(ctx, ctx.name(name), attr);
    for name in ["sym_name", "symbols"] {
        if let Some(attr) = module.attr_named(ctx, kernel, name) {
            set(name, attr);
        }
    }
    set("function_type", ctx.type_attr(ctx.function_type(&types, &[])));
    set("outputs", ctx.i64_attr(plan.outputs.len() as i64));
    set("loops.temporaries", ctx.i64_attr(plan.temporaries as i64));
    set("loops.iterations", ctx.exprs_attr(&phases(ctx, &body)));
    let temporaries = plan.outputs[plan.outputs.len() - plan.temporaries..].to_vec();
    Ok(LoopsKernel { body, attrs, loc: ctx.derived_loc("dataflow-to-loops", loc), temporaries, packing: vec![] })
}

/// Which tensor lives where.
struct Plan {
    maps: Vec<Map>,
    /// Arguments with their types as buffers.
    inputs: Vec<(ValueId, Type)>,
    /// Types of all outputs, the temporaries last.
    outputs: Vec<Type>,
    temporaries: usize,
    /// Output number of each map's result.
    homes: FxHashMap<ValueId, usize>,
    /// Returned tensors that live elsewhere and are copied.
    copies: Vec<(ValueId, usize)>,
}

impl Plan {
    fn new(ctx: &Context, source: &Body, loc: Loc) -> Result<Plan, Diagnostic> {
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
            for (write, &result) in map.view.writes.iter().zip(&map.results) {
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
        Ok(Plan { maps, inputs, outputs, temporaries, homes, copies })
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
