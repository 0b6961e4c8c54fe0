//! Typed, read-only views of the ops: what passes over loops look at.

use crate::access::word_elements;
use crate::{For, Kernel, Load, LoadWord, Store, StoreWord};
use nim_ir::{BlockId, Body, Context, Expr, OpId, Symbol, ValueId};

/// How the machine walks a loop.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum LoopKind {
    /// One after the other.
    Seq,
    /// By threads.
    Parallel,
    /// Copies of the body.
    Unroll,
    /// Lanes of a vector.
    Vector,
}

impl LoopKind {
    /// All, with the names that attributes hold.
    pub const NAMES: [(LoopKind, &'static str); 4] = [
        (LoopKind::Seq, "seq"),
        (LoopKind::Parallel, "parallel"),
        (LoopKind::Unroll, "unroll"),
        (LoopKind::Vector, "vector"),
    ];
    /// The name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(k, _)| *k == self).map_or("seq", |(_, n)| n)
    }
    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<LoopKind> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(k, _)| *k)
    }
}

/// What a `loops.for` says.
#[derive(Copy, Clone, Debug)]
pub struct ForView {
    /// The op.
    pub op: OpId,
    /// The iteration variable.
    pub iv: Symbol,
    /// First value.
    pub lower: Expr,
    /// End, exclusive.
    pub upper: Expr,
    /// Step.
    pub step: i64,
    /// How it is walked.
    pub kind: LoopKind,
    /// Parts of the loop are walked backwards where this is odd.
    pub turned: Option<Expr>,
    /// The body.
    pub body: BlockId,
}

impl ForView {
    /// The view of an op; `None` if it is no complete `loops.for`.
    pub fn new(ctx: &Context, body: &Body, op: OpId) -> Option<ForView> {
        For::is(ctx, body, op).then_some(())?;
        Some(ForView {
            op,
            iv: ctx.exprs.symbol(ctx.as_string(For::iv(ctx, body, op)?)?),
            lower: ctx.as_expr(For::lower(ctx, body, op)?)?,
            upper: ctx.as_expr(For::upper(ctx, body, op)?)?,
            step: ctx.as_int(For::step(ctx, body, op)?)?,
            kind: LoopKind::from_name(ctx.as_string(For::kind(ctx, body, op)?)?)?,
            turned: For::turned(ctx, body, op).and_then(|a| ctx.as_expr(a)),
            body: body.entry_block(*body.regions(op).first()?)?,
        })
    }
    /// The number of iterations as an expression: `ceildiv(max(upper - lower, 0), step)`, without the `max` where it is
    /// provably not needed.
    pub fn trip_count(&self, ctx: &Context) -> Expr {
        let pool = &ctx.exprs;
        let mut span = pool.sub(self.upper, self.lower);
        if pool.as_const(span).is_none_or(|n| n < 0)
            && !pool.prove_le(pool.constant(0), span, &nim_ir::Facts::default())
        {
            span = pool.max(span, pool.constant(0));
        }
        if self.step == 1 { span } else { pool.ceildiv(span, pool.constant(self.step)) }
    }
    /// The number of iterations when it is a plain number.
    pub fn constant_trip_count(&self, ctx: &Context) -> Option<i64> {
        ctx.exprs.as_const(self.trip_count(ctx))
    }
    /// Ops of the body without the terminator.
    pub fn ops(&self, body: &Body) -> Vec<OpId> {
        let last = body.last_op(self.body);
        body.block_ops(self.body).filter(|&op| Some(op) != last).collect()
    }
    /// The loop that is all there is in the body, for perfectly nested loops.
    pub fn only_inner(&self, ctx: &Context, body: &Body) -> Option<ForView> {
        match self.ops(body).as_slice() {
            &[only] => ForView::new(ctx, body, only),
            _ => None,
        }
    }
}

/// What a `loops.load` or `loops.store` says.
#[derive(Clone, Debug)]
pub struct AccessView {
    /// The op.
    pub op: OpId,
    /// The buffer.
    pub buffer: ValueId,
    /// One index a dimension.
    pub indices: Vec<Expr>,
    /// What `$v0`, `$v1`, ... in the indices stand for.
    pub values: Vec<ValueId>,
    /// What is stored; `None` for a load.
    pub stored: Option<ValueId>,
    /// How many neighbouring elements are read or written as one number.
    pub elements: usize,
}

impl AccessView {
    /// The view of an op; `None` if it is neither load nor store.
    pub fn new(ctx: &Context, body: &Body, op: OpId) -> Option<AccessView> {
        let operands = body.operands(op);
        let word = LoadWord::is(ctx, body, op) || StoreWord::is(ctx, body, op);
        let store = Store::is(ctx, body, op) || StoreWord::is(ctx, body, op);
        if !store && !word && !Load::is(ctx, body, op) {
            return None;
        }
        let skip = usize::from(store);
        Some(AccessView {
            op,
            buffer: *operands.get(skip)?,
            indices: ctx.as_exprs(body.attr_named(ctx, op, "indices")?)?,
            values: operands.get(skip + 1..)?.to_vec(),
            stored: if store { Some(operands[0]) } else { None },
            elements: if word { word_elements(ctx, body.ty(*operands.get(skip)?))? } else { 1 },
        })
    }
}

/// What a `loops.kernel` says. Ids are of its nested body.
#[derive(Clone, Debug)]
pub struct KernelView {
    /// Name.
    pub name: String,
    /// Symbols it is given.
    pub symbols: Vec<String>,
    /// Arguments: inputs, then outputs.
    pub args: Vec<ValueId>,
    /// Number of outputs.
    pub output_count: usize,
}

impl KernelView {
    /// The view of an op; `None` if it is no complete `loops.kernel`.
    pub fn new(ctx: &Context, body: &Body, op: OpId) -> Option<KernelView> {
        Kernel::is(ctx, body, op).then_some(())?;
        let nested = body.nested(op)?;
        let args = nested.block_args(nested.entry()?).to_vec();
        let output_count = usize::try_from(ctx.as_int(Kernel::outputs(ctx, body, op)?)?).ok()?;
        let symbols = Kernel::symbols(ctx, body, op).and_then(|a| ctx.as_array(a)).unwrap_or_default();
        (output_count <= args.len()).then(|| KernelView {
            name: Kernel::sym_name(ctx, body, op).and_then(|a| ctx.as_string(a)).unwrap_or_default().to_string(),
            symbols: symbols.iter().filter_map(|&a| ctx.as_string(a).map(str::to_string)).collect(),
            args,
            output_count,
        })
    }
    /// Arguments that are read.
    pub fn inputs(&self) -> &[ValueId] {
        &self.args[..self.args.len() - self.output_count]
    }
    /// Arguments that are written.
    pub fn outputs(&self) -> &[ValueId] {
        &self.args[self.args.len() - self.output_count..]
    }
}

/// The attribute of a `loops.kernel` that lists pairs of an input and an output that may be the same memory, each by its
/// number among the arguments: every element of the input is read only where this element of the output is made, before it
/// is written. Lowering a `dataflow.kernel` finds them; `dyn-plan-memory` uses them.
pub const IN_PLACE: &str = "loops.in_place";

/// The attribute of an `arith.maximumf` or `arith.minimumf` that combines results of a reduction: of zeros with different signs it may
/// give either.
pub const ANY_ZERO: &str = "loops.any_zero";

/// The pairs of [`IN_PLACE`].
pub fn in_place(ctx: &Context, body: &Body, kernel: OpId) -> Vec<(usize, usize)> {
    let list = body.attr_named(ctx, kernel, IN_PLACE).and_then(|a| ctx.as_array(a)).unwrap_or_default();
    let pair = |ints: Vec<i64>| match *ints {
        [input, output] => Some((usize::try_from(input).ok()?, usize::try_from(output).ok()?)),
        _ => None,
    };
    list.iter().filter_map(|&a| pair(ctx.as_ints(a)?)).collect()
}
