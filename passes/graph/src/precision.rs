//! `graph-lower-precision`: contractions read `bf16` or `f16`, and sum up in `f32`.
//!
//! A factor `x` of a convolution, matrix product or Einstein sum of `f32` becomes `cast f32 (cast bf16 x)`: the number that is
//! nearest to it with fewer digits. That is all the pass says, and what the interpreter computes. Everything that makes it fast
//! follows from where the casts stand: the narrowing one is part of whoever makes the value, the widening one of whoever reads it, so
//! what lies between them in memory is narrow, constants among it; and a sum of products of two widened numbers is a sum of words
//! (`walk-words`). Everything else (normalisation, softmax, sums of residuals) computes in `f32`.
//!
//! Other readers of a value read it as it was: where there are some, both are stored, which measured no slower than rounding for all,
//! and is nearer to `f32` (residuals). What moves elements (and takes maxima) commutes with rounding, which then happens before it, so
//! that a value with no readers but contractions is narrow all the way.
//!
//! Left alone are sums of one product, which are no sums (angles of positional encodings need their digits), factors that are
//! widened from something narrow already, and everything that is no `f32`.

use crate::fold::{constant, remove_unused};
use nim_graph::ops::{contraction::*, elementwise::Cast, layout::*};
use nim_ir::{Body, Builder, Context, Expr, InsertPoint, OpId, OpState, ValueId, diagnostics::did_you_mean};
use nim_tensor::{DType, convert};
use rustc_hash::FxHashMap;
use std::fmt;
use std::str::FromStr;

/// The name of the pass.
pub const NAME: &str = "graph-lower-precision";

/// What the factors of contractions are rounded to.
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash, Debug)]
pub enum Precision {
    /// Nothing: `f32` as in the model.
    #[default]
    F32,
    /// 8 binary digits, the range of `f32`.
    Bf16,
    /// 11 binary digits, up to 65504: what is larger becomes infinite.
    F16,
}

impl Precision {
    /// All there are.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::F16];

    /// Its name.
    pub fn name(self) -> &'static str {
        ["f32", "bf16", "f16"][self as usize]
    }

    fn narrow(self) -> Option<DType> {
        [None, Some(DType::BF16), Some(DType::F16)][self as usize]
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Precision, String> {
        let names = Self::ALL.map(Precision::name);
        Self::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| {
            let near = did_you_mean(text, names).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            format!("unknown precision `{text}`: expected {}{near}", names.join(", "))
        })
    }
}

/// How many ops that move elements one behind the other are looked through.
const MOVES: usize = 32;

/// Rounds the factors of all contractions of a function; tells how many contractions.
pub fn lower_precision(ctx: &Context, body: &mut Body, precision: Precision) -> usize {
    let Some(narrow) = precision.narrow() else { return 0 };
    let mut lower = Lower { ctx, body, narrow, known: FxHashMap::default() };
    let contractions: Vec<OpId> = lower.body.walk().into_iter().filter(|&op| lower.is_contraction(op)).collect();
    let mut done = 0;
    for op in contractions {
        let factors = lower.body.operands(op).to_vec();
        let mut changed = false;
        for (i, factor) in factors.into_iter().enumerate() {
            if let Some(rounded) = lower.rounded(factor, op) {
                lower.body.set_operand(op, i, rounded);
                changed = true;
            }
        }
        done += usize::from(changed);
    }
    remove_unused(ctx, body);
    done
}

struct Lower<'a> {
    ctx: &'a Context,
    body: &'a mut Body,
    narrow: DType,
    /// What values are when they are narrow.
    known: FxHashMap<ValueId, ValueId>,
}

impl Lower<'_> {
    fn dtype(&self, v: ValueId) -> Option<DType> {
        self.ctx.dtype_of(self.body.ty(v))
    }

    /// Whether an op sums up products of `f32`, at least two.
    fn is_contraction(&self, op: OpId) -> bool {
        let (ctx, body) = (self.ctx, &*self.body);
        let is = |names: &[&str]| names.contains(&ctx.op_str(body.op_name(op)));
        if !is(&[Conv::NAME, ConvTranspose::NAME, MatMul::NAME, Einsum::NAME]) || body.operands(op).len() < 2 {
            return false;
        }
        let dims = |v: ValueId| ctx.dim_exprs(body.ty(v));
        let Some(last) = dims(body.operand(op, 1)) else { return false };
        let single = match () {
            () if is(&[Conv::NAME]) => last.iter().skip(1).all(|&d| d == Expr::ONE),
            () if is(&[MatMul::NAME]) => dims(body.operand(op, 0)).is_some_and(|d| d.last() == Some(&Expr::ONE)),
            () => false,
        };
        !single && body.operands_iter(op).all(|v| self.dtype(v) == Some(DType::F32) && dims(v).is_some())
    }

    /// A value rounded, as `f32`, for this reader: widened in its own block, a loop's body it may be, to be part of it.
    fn rounded(&mut self, v: ValueId, reader: OpId) -> Option<ValueId> {
        let narrow = self.narrowed(v, MOVES)?;
        Some(cast(&mut Builder::before(self.ctx, self.body, reader), narrow, DType::F32))
    }

    /// A value rounded, in the narrow type; `None` where it is widened from a narrow one.
    fn narrowed(&mut self, v: ValueId, moves: usize) -> Option<ValueId> {
        if let Some(&known) = self.known.get(&v) {
            return Some(known);
        }
        let by = self.body.defining_op(v);
        let narrow = match by {
            Some(op) if Cast::is(self.ctx, self.body, op) => {
                let from = self.body.operand(op, 0);
                match self.dtype(from) {
                    Some(dtype) if dtype == self.narrow => from,
                    Some(dtype) if dtype.bits() <= 16 => return None,
                    _ => self.cast(v, self.narrow)?,
                }
            }
            Some(op) if constant(self.ctx, self.body, v).is_some() => self.constant(op)?,
            Some(op) if moves > 0 && self.moves(op) => match self.moved(op, moves - 1) {
                Some(moved) => moved,
                None => self.cast(v, self.narrow)?,
            },
            _ => self.cast(v, self.narrow)?,
        };
        self.known.insert(v, narrow);
        Some(narrow)
    }

    /// A cast behind where a value is made.
    fn cast(&mut self, v: ValueId, to: DType) -> Option<ValueId> {
        Some(cast(&mut self.behind(v)?, v, to))
    }

    fn behind(&mut self, v: ValueId) -> Option<Builder<'_>> {
        let (ctx, block) = (self.ctx, self.body.value_block(v));
        let first = block.and_then(|block| self.body.first_op(block));
        let (point, loc) = match self.body.defining_op(v) {
            Some(op) => (InsertPoint::After(op), self.body.loc(op)),
            None => (InsertPoint::Before(first?), self.body.loc(first?)),
        };
        Some(Builder { ctx, body: self.body, point, loc })
    }

    fn constant(&mut self, op: OpId) -> Option<ValueId> {
        let (ctx, v) = (self.ctx, self.body.result(op));
        let tensor = convert::cast(&constant(ctx, self.body, v)?, self.narrow, true).ok()?;
        let key = ctx.loc_name(self.body.loc(op)).unwrap_or("constant").to_string();
        let (value, ty) = (ctx.tensor_attr(&tensor, &key), ctx.type_of_tensor(&tensor));
        let mut b = self.behind(v)?;
        Some(b.value(Constant::NAME, &[], ty, &[("value", value)]))
    }

    /// Whether an op gives elements of its operands and nothing else, to contractions and others that do: else it would be done twice.
    fn moves(&self, op: OpId) -> bool {
        let reads = |reader: OpId| self.only_moves(reader) || self.is_contraction(reader);
        self.only_moves(op) && self.body.uses(self.body.result(op)).all(|u| reads(u.op))
    }

    fn only_moves(&self, op: OpId) -> bool {
        let (ctx, body) = (self.ctx, &*self.body);
        let name = ctx.op_str(body.op_name(op));
        let maximum = || body.attr_named(ctx, op, "kind").and_then(|a| ctx.as_string(a)) == Some("max");
        [Reshape::NAME, Transpose::NAME, Slice::NAME, Concat::NAME].contains(&name) || name == Pool::NAME && maximum()
    }

    /// What an op moves, rounded before.
    fn moved(&mut self, op: OpId, moves: usize) -> Option<ValueId> {
        let ctx = self.ctx;
        let operands = self.body.operands(op).to_vec();
        let narrow: Vec<ValueId> = operands.iter().map(|&v| self.narrowed(v, moves)).collect::<Option<_>>()?;
        let old = self.body.result(op);
        let dims = ctx.dims(self.body.ty(old))?.to_vec();
        let ty = ctx.tensor_type(&dims, ctx.type_of_dtype(self.narrow));
        let (name, attrs, loc) = (self.body.op_name(op), self.body.attrs(op).clone(), self.body.loc(op));
        let mut b = Builder::after(ctx, self.body, op);
        let mut state = OpState::of(name, loc).operands(&narrow).results(&[ty]);
        state.attrs = attrs;
        let new = b.insert(state);
        Some(b.body.result(new))
    }
}

fn cast(b: &mut Builder<'_>, v: ValueId, to: DType) -> ValueId {
    b.loc = b.ctx.derived_loc(NAME, b.loc);
    let element = b.ctx.type_of_dtype(to);
    let dims = b.ctx.dims(b.body.ty(v)).unwrap_or_default().to_vec();
    let (ty, attr) = (b.ctx.tensor_type(&dims, element), b.ctx.type_attr(element));
    b.value(Cast::NAME, &[v], ty, &[("to", attr)])
}
