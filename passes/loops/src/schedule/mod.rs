//! How the points of a map are walked.
//!
//! * [`bytes`]: sums of products of bytes, four at a time;
//! * [`contraction`]: maps with reductions, in register tiles;
//! * [`rows`]: reductions along the contiguous dimension, in vectors of partial results;
//! * [`elementwise`]: maps without reductions;
//! * [`naive`]: everything, one point after the other.

pub mod access;
pub mod bytes;
pub mod contraction;
pub mod copies;
pub mod elementwise;
pub mod naive;
pub mod rows;
pub mod tile;

use crate::lower::{Options, Packing};
use crate::nest::Nest;
use crate::point::Points;
use nim_dataflow::Combine;
use nim_ir::{Context, Diagnostic, Expr, Type, TypeData, ValueId};

/// What schedules need beside the map: the kernel around it.
pub struct Env<'a> {
    /// What steers them.
    pub options: &'a Options,
    /// The context.
    pub ctx: &'a Context,
    /// Arguments of the kernel in the source body that are constants.
    pub constants: &'a [ValueId],
    /// All arguments of the kernel in the source body.
    pub tensors: &'a [ValueId],
    /// The buffers of these.
    pub args: &'a [ValueId],
    /// Buffers that schedules asked for.
    pub temporaries: Vec<Type>,
    /// Arrangements that schedules asked for.
    pub packing: Vec<Packing>,
}

impl Env<'_> {
    /// A further buffer that the host allocates.
    pub fn temporary(&mut self, nest: &mut Nest<'_>, ty: Type) -> ValueId {
        self.temporaries.push(ty);
        match nest.body.entry() {
            Some(entry) => nest.body.add_block_arg(entry, ty, None),
            None => nest.local(&[], ty, false),
        }
    }

    /// Lanes of a vector of this type.
    pub fn lanes(&self, ty: Type) -> i64 {
        let bits = match self.ctx.type_data(ty) {
            TypeData::Integer { width, .. } => (*width).max(8),
            TypeData::Float(kind) => kind.bits().max(8),
            _ => 64,
        };
        i64::from((self.options.target.vector_bits / bits).max(1))
    }

    /// Whether results of the map's reductions may be combined in another order.
    pub fn reorders(&self, points: &Points<'_>) -> bool {
        points.map.view.writes.iter().enumerate().all(|(w, write)| {
            let float = matches!(self.ctx.type_data(points.accumulator_type(w)), TypeData::Float(_));
            match write.combine {
                Combine::None => false,
                Combine::Add | Combine::Mul => !float || self.options.target.reassociate,
                _ => true,
            }
        })
    }

    /// The number of the kernel's argument that a read reads, if it is constant and nobody else reads it.
    pub fn constant_arg(&self, points: &Points<'_>, read: usize) -> Option<usize> {
        let value = points.map.view.reads[read].value;
        let position = self.tensors.iter().position(|&t| t == value)?;
        (self.constants.contains(&value) && points.source.only_use(value).is_some()).then_some(position)
    }
}

/// Emits a map under the schedule that suits it.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(points: &mut Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>) -> Result<(), Diagnostic> {
    let fixed: Vec<Option<Expr>> = vec![None; points.map.view.rank()];
    let empty = points.map.view.domain.contains(&Expr::ZERO);
    if !env.options.naive
        && !empty
        && (bytes::emit(points, nest, env)?
            || rows::emit(points, nest, env, &fixed)?
            || contraction::emit(points, nest, env)?
            || elementwise::emit(points, nest, env, &fixed)?)
    {
        return Ok(());
    }
    naive::emit(points, nest, &fixed)
}
