//! A typed, read-only view of a `dataflow.map`: what every pass over maps looks at.

use crate::{Combine, Map, as_iv, domain_facts, mentioned_ivs, scalar_type};
use nim_ir::{
    Attr, AttrData, BlockId, Body, Context, Expr, Facts, OpId, RegionId, Type, ValueId, verifier::operand_groups,
};

/// What one read moves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memlet {
    /// The container.
    pub value: ValueId,
    /// One index a dimension, over iteration variables and symbols; `None` for the whole container.
    pub subset: Option<Vec<Expr>>,
    /// The scalar read where the index lies outside; without it the index must lie inside.
    pub border: Option<Attr>,
}

/// What one write moves, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// One index a dimension; `None` for a scattered write, whose indices the body yields.
    pub subset: Option<Vec<Expr>>,
    /// How the value is combined with what is there.
    pub combine: Combine,
    /// The scalar that the result starts from.
    pub init: Option<Attr>,
    /// The tensor that the result starts from.
    pub init_value: Option<ValueId>,
    /// Type of the result.
    pub ty: Type,
}

/// What a `dataflow.map` says.
#[derive(Clone, Debug)]
pub struct MapView {
    /// The op.
    pub op: OpId,
    /// Extents of the iteration variables.
    pub domain: Vec<Expr>,
    /// Reads of the body, one a block argument.
    pub reads: Vec<Memlet>,
    /// Reads of the epilogue: its block arguments behind the reduced values.
    pub epilogue_reads: Vec<Memlet>,
    /// Writes, one a result.
    pub writes: Vec<Write>,
    /// The body's block.
    pub body: BlockId,
    /// The epilogue's block.
    pub epilogue: Option<BlockId>,
}

/// `unit` or an array of expressions.
fn subset(ctx: &Context, attr: Attr) -> Option<Option<Vec<Expr>>> {
    match ctx.attr_data(attr) {
        AttrData::Unit => Some(None),
        _ => ctx.as_exprs(attr).map(Some),
    }
}

/// `unit` or something.
fn optional(ctx: &Context, attr: Attr) -> Option<Attr> {
    (!matches!(ctx.attr_data(attr), AttrData::Unit)).then_some(attr)
}

impl MapView {
    /// The view of an op; `None` if it is no `dataflow.map` or its parts do not fit together (which the verifier reports).
    pub fn new(ctx: &Context, body: &Body, op: OpId) -> Option<MapView> {
        Map::is(ctx, body, op).then_some(())?;
        let groups = operand_groups(ctx, body, op)?;
        let operands = body.operands(op);
        let [reads, epilogue, inits] = groups.as_slice() else { return None };
        let (reads, epilogue, inits) =
            (&operands[reads.clone()], &operands[epilogue.clone()], &operands[inits.clone()]);
        let results = body.results(op);
        let array = |name: &str, count: usize| -> Option<Vec<Attr>> {
            let items = ctx.as_array(body.attr_named(ctx, op, name)?)?;
            (items.len() == count).then(|| items.to_vec())
        };
        // Absent means nothing anywhere.
        let sparse = |name: &str, count: usize, absent: Attr| match body.attr_named(ctx, op, name) {
            None => Some(vec![absent; count]),
            Some(_) => array(name, count),
        };
        let unit = ctx.unit_attr();
        let domain = ctx.as_exprs(body.attr_named(ctx, op, "domain")?)?;
        let subsets = array("reads", reads.len())?;
        let borders = sparse("borders", reads.len(), unit)?;
        let epilogue_subsets = sparse("epilogue_reads", epilogue.len(), unit)?;
        let writes = array("writes", results.len())?;
        let combine = array("combine", results.len())?;
        let init_attrs = array("inits", results.len())?;
        let from_operand = sparse("init_operands", results.len(), ctx.bool_attr(false))?;

        let reads = reads.iter().zip(subsets).zip(borders);
        let reads = reads
            .map(|((&value, s), b)| Some(Memlet { value, subset: subset(ctx, s)?, border: optional(ctx, b) }))
            .collect::<Option<Vec<_>>>()?;
        let epilogue_reads = epilogue.iter().zip(epilogue_subsets);
        let epilogue_reads = epilogue_reads
            .map(|(&value, s)| Some(Memlet { value, subset: Some(subset(ctx, s)??), border: None }))
            .collect::<Option<Vec<_>>>()?;
        let mut inits = inits.iter();
        let mut all_writes = vec![];
        for (i, &result) in results.iter().enumerate() {
            let init_value = match ctx.as_bool(from_operand[i])? {
                true => Some(*inits.next()?),
                false => None,
            };
            all_writes.push(Write {
                subset: subset(ctx, writes[i])?,
                combine: Combine::from_name(ctx.as_string(combine[i])?)?,
                init: optional(ctx, init_attrs[i]),
                init_value,
                ty: body.ty(result),
            });
        }
        if inits.next().is_some() {
            return None;
        }
        let regions = body.regions(op);
        let epilogue = match regions.get(1) {
            Some(&region) => Some(body.entry_block(region)?),
            None => None,
        };
        Some(MapView {
            op,
            domain,
            reads,
            epilogue_reads,
            writes: all_writes,
            body: body.entry_block(*regions.first()?)?,
            epilogue,
        })
    }

    /// Number of iteration variables.
    pub fn rank(&self) -> usize {
        self.domain.len()
    }
    /// For each dimension of the domain: true when a write mentions it.
    pub fn is_parallel(&self, ctx: &Context) -> Vec<bool> {
        let mut parallel = vec![false; self.rank()];
        for expr in self.writes.iter().filter_map(|w| w.subset.as_ref()).flatten() {
            for k in mentioned_ivs(ctx, *expr) {
                if let Some(p) = parallel.get_mut(k) {
                    *p = true;
                }
            }
        }
        parallel
    }
    /// Dimensions that some write mentions.
    pub fn parallel_dims(&self, ctx: &Context) -> Vec<usize> {
        positions(&self.is_parallel(ctx), true)
    }
    /// Dimensions that no write mentions.
    pub fn reduction_dims(&self, ctx: &Context) -> Vec<usize> {
        positions(&self.is_parallel(ctx), false)
    }
    /// True when a write is scattered.
    pub fn has_scatter(&self) -> bool {
        self.writes.iter().any(|w| w.subset.is_none())
    }
    /// True when nothing is reduced or scattered, and all writes go straight to `[$0, $1, ...]` of results that have the shape
    /// of the domain: each point makes one element of each result.
    pub fn is_pointwise(&self, ctx: &Context) -> bool {
        self.epilogue.is_none()
            && self.writes.iter().all(|w| {
                w.combine == Combine::None
                    && w.covers(ctx, &self.domain)
                    && w.subset.as_ref().is_some_and(|s| {
                        s.len() == self.rank() && s.iter().enumerate().all(|(k, &e)| as_iv(ctx, e) == Some(k))
                    })
            })
    }
    /// The body's block arguments: one a read.
    pub fn body_args<'b>(&self, body: &'b Body) -> &'b [ValueId] {
        body.block_args(self.body)
    }
    /// The epilogue's block arguments: reduced values, then one a read.
    pub fn epilogue_args<'b>(&self, body: &'b Body) -> &'b [ValueId] {
        self.epilogue.map_or(&[], |block| body.block_args(block))
    }
    /// The terminator of the body.
    pub fn body_yield(&self, body: &Body) -> Option<OpId> {
        body.last_op(self.body)
    }
    /// The terminator of the epilogue.
    pub fn epilogue_yield(&self, body: &Body) -> Option<OpId> {
        body.last_op(self.epilogue?)
    }
    /// The ops of the body without the terminator.
    pub fn body_ops(&self, body: &Body) -> Vec<OpId> {
        let last = self.body_yield(body);
        body.block_ops(self.body).filter(|&op| Some(op) != last).collect()
    }
    /// The region of the body.
    pub fn body_region(&self, body: &Body) -> RegionId {
        body.regions(self.op)[0]
    }
    /// What the body yields for each write: the value, and the indices of a scattered write. `None` when the terminator
    /// does not fit.
    pub fn yields(&self, ctx: &Context, body: &Body) -> Option<Vec<(ValueId, Vec<ValueId>)>> {
        let values = body.operands(self.body_yield(body)?);
        let mut values = values.iter().copied();
        let mut out = vec![];
        for write in &self.writes {
            let value = values.next()?;
            let count = if write.subset.is_none() { ctx.dims(write.ty)?.len() } else { 0 };
            let indices: Vec<ValueId> = values.by_ref().take(count).collect();
            if indices.len() != count {
                return None;
            }
            out.push((value, indices));
        }
        values.next().is_none().then_some(out)
    }
    /// `known`, and that each iteration variable is within its extent.
    pub fn facts(&self, ctx: &Context, known: &Facts) -> Facts {
        domain_facts(ctx, &self.domain, known)
    }
    /// All containers that are read: by the body, by the epilogue, as a start.
    pub fn inputs(&self) -> Vec<ValueId> {
        let reads = self.reads.iter().chain(&self.epilogue_reads).map(|m| m.value);
        reads.chain(self.writes.iter().filter_map(|w| w.init_value)).collect()
    }
}

fn positions(flags: &[bool], wanted: bool) -> Vec<usize> {
    flags.iter().enumerate().filter(|(_, f)| **f == wanted).map(|(k, _)| k).collect()
}

impl Write {
    /// True when the write provably reaches each element of its result: each index is another iteration variable whose
    /// extent is the size of the dimension, or 0 where the size is 1.
    pub fn covers(&self, ctx: &Context, domain: &[Expr]) -> bool {
        let (Some(subset), Some(dims)) = (&self.subset, ctx.dims(self.ty)) else { return false };
        let mut used = vec![false; domain.len()];
        subset.len() == dims.len()
            && subset.iter().zip(dims).all(|(&index, dim)| {
                let Some(size) = dim.expr() else { return false };
                match as_iv(ctx, index) {
                    Some(k) if k < domain.len() => !std::mem::replace(&mut used[k], true) && domain[k] == size,
                    _ => ctx.exprs.as_const(index) == Some(0) && ctx.exprs.as_const(size) == Some(1),
                }
            })
    }
    /// Element type of the result.
    pub fn element(&self, ctx: &Context) -> Option<Type> {
        ctx.element_type(self.ty)
    }
    /// True when the result starts from something.
    pub fn has_init(&self) -> bool {
        self.init.is_some() || self.init_value.is_some()
    }
}

impl Memlet {
    /// The type of the block argument that stands for the read.
    pub fn argument_type(&self, ctx: &Context, body: &Body) -> Option<Type> {
        let ty = body.ty(self.value);
        match self.subset {
            None => Some(ty),
            Some(_) => Some(scalar_type(ctx, ctx.element_type(ty)?)),
        }
    }
}
