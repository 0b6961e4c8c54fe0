//! Axes that only run time knows: the node is imported once for every choice of axes, and run time takes the right one.

use super::Importer;
use nim_graph::{Built, contents::Ratio};
use nim_ir::ValueId;
use nim_tensor::DType;

/// A list of axes that is no constant.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    /// The integers.
    pub value: ValueId,
    /// The rank they count in.
    pub rank: usize,
}

/// More choices than these are refused.
const MAX_CHOICES: usize = 64;

/// All ways to choose `count` of `rank` axes, ascending.
fn choices(rank: usize, count: usize) -> Vec<Vec<i64>> {
    let sets = (0..1u64 << rank.min(16)).filter(|set| set.count_ones() as usize == count);
    sets.map(|set| (0..rank as i64).filter(|axis| set >> axis & 1 == 1).collect()).collect()
}

impl<'a> Importer<'a> {
    /// Imports with each choice of axes in a branch of its own. The order in which axes are listed must not matter.
    pub(super) fn specialized(
        &mut self,
        axes: &Axes,
        import: &dyn Fn(&mut Importer<'a>) -> Built<Vec<ValueId>>,
    ) -> Built<Vec<ValueId>> {
        let dims = self.dims(axes.value)?;
        let count = self.ctx().exprs.as_const(self.ctx().exprs.product(dims.iter().copied()));
        let count = count.and_then(|c| usize::try_from(c).ok()).filter(|&c| c <= axes.rank && axes.rank <= 16);
        let all = count.map(|c| choices(axes.rank, c)).filter(|all| !all.is_empty() && all.len() <= MAX_CHOICES);
        let Some(all) = all else {
            return Err(self.error("N0612", "the axes must be known when the model is compiled"));
        };
        // A set of axes as a number with one bit an axis.
        let list = self.cast_to(axes.value, DType::I64)?;
        let zero = self.like(list, 0.0)?;
        let negative = self.compare("lt", list, zero)?;
        let wrapped = self.with_scalar("add", list, axes.rank as f64)?;
        let list = self.select(negative, wrapped, list)?;
        let one = self.like(list, 1.0)?;
        let one = self.broadcast_to(one, &dims)?;
        let bits = self.binary("shl", one, list)?;
        let over: Vec<usize> = (0..dims.len()).collect();
        let set = self.reduce("sum", bits, &over, false)?;
        let known = self.contents(axes.value).cloned();
        // Choices that the node cannot mean are left out: an axis to be removed whose size is not 1.
        let mut possible = vec![];
        let mut reason = None;
        for choice in all {
            let (_, block) = self.b.region_with_block(&[]);
            match self.in_block(block, |im| im.with_axes(axes.value, &choice, import)) {
                Ok(_) => possible.push(choice),
                Err(d) => reason = Some(d),
            }
            self.discard(block);
        }
        let results = match (possible.is_empty(), reason) {
            (true, Some(reason)) => Err(reason),
            _ => self.branches(axes.value, set, &possible, import),
        };
        match known {
            Some(known) => self.set_contents(axes.value, known),
            None => self.forget(axes.value),
        }
        results
    }

    fn branches(
        &mut self,
        value: ValueId,
        set: ValueId,
        choices: &[Vec<i64>],
        import: &dyn Fn(&mut Importer<'a>) -> Built<Vec<ValueId>>,
    ) -> Built<Vec<ValueId>> {
        let Some((first, rest)) = choices.split_first() else { return Ok(vec![]) };
        if rest.is_empty() {
            return self.with_axes(value, first, import);
        }
        let number: i64 = first.iter().map(|&a| 1 << a).sum();
        let number = self.scalar(DType::I64, number as f64)?;
        let taken = self.compare("eq", set, number)?;
        self.choose(taken, |im| im.with_axes(value, first, import), |im| im.branches(value, set, rest, import))
    }

    fn with_axes(
        &mut self,
        value: ValueId,
        axes: &[i64],
        import: &dyn Fn(&mut Importer<'a>) -> Built<Vec<ValueId>>,
    ) -> Built<Vec<ValueId>> {
        let elements = axes.iter().map(|&a| Some(Ratio::int(self.num(a)))).collect();
        self.set_contents(value, elements);
        import(self)
    }
}
