//! Where the names of a text are defined and used: what an editor asks for. Made while parsing, on request only.

use nim_ir::{Context, Loc, Name, RegionId, ValueId};
use std::{collections::HashMap, ops::Range};

/// What a name stands for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Entity {
    /// Values side by side in the body of the op at `owner` (unknown for the module's own).
    Values {
        /// Where the op with the body stands.
        owner: Loc,
        /// The first value.
        first: ValueId,
        /// How many; 0 when the definition could not be read.
        count: u32,
    },
    /// A block.
    Block,
}

/// The definition of a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Definition {
    /// Bytes of the name with its `%` or `^`.
    pub range: Range<usize>,
    /// What it stands for.
    pub entity: Entity,
}

/// Names of one text. Ranges are bytes of it; everything is in the order of the text.
#[derive(Clone, Default, Debug)]
pub struct Index {
    /// Definitions of values and blocks.
    pub definitions: Vec<Definition>,
    /// Uses of values and blocks, each with the number of its definition.
    pub uses: Vec<(Range<usize>, usize)>,
    /// Names of dimensions, wherever an expression stands.
    pub dims: Vec<Range<usize>>,
    /// Ops that are isolated from above, outer before inner: a dimension's name means the same within the innermost.
    pub isolated: Vec<Range<usize>>,
}

/// What the parser notes down.
#[derive(Default)]
pub(crate) struct Recorder {
    pub definitions: Vec<(Loc, Entity)>,
    /// Uses with the places of their definitions.
    pub uses: Vec<(Loc, Loc)>,
    /// Blocks by scope, region and name; whether it is a definition.
    pub blocks: Vec<((u32, RegionId, Name), Loc, bool)>,
    pub dims: Vec<Range<usize>>,
    pub isolated: Vec<Range<usize>>,
    /// Isolated ops around the place that is read.
    pub owners: Vec<Loc>,
}

impl Recorder {
    pub fn finish(self, ctx: &Context) -> Index {
        let range = |loc: Loc| ctx.loc_span(loc).map(|(_, range)| range);
        let defined: HashMap<_, Loc> =
            self.blocks.iter().filter(|(.., defined)| *defined).map(|&(key, loc, _)| (key, loc)).collect();
        let used = self.blocks.iter().filter(|(.., defined)| !*defined);
        let block_uses: Vec<_> = used.filter_map(|(key, loc, _)| Some((*loc, *defined.get(key)?))).collect();
        let blocks = defined.into_values().map(|loc| (loc, Entity::Block));
        let mut definitions: Vec<Definition> = self
            .definitions
            .into_iter()
            .chain(blocks)
            .filter_map(|(loc, entity)| Some(Definition { range: range(loc)?, entity }))
            .collect();
        definitions.sort_by_key(|d| d.range.start);
        definitions.dedup_by_key(|d| d.range.start);
        let place = |loc: Loc| {
            let start = range(loc)?.start;
            definitions.binary_search_by_key(&start, |d| d.range.start).ok()
        };
        let mut uses: Vec<_> = self
            .uses
            .into_iter()
            .chain(block_uses)
            .filter_map(|(used, defined)| Some((range(used)?, place(defined)?)))
            .collect();
        uses.sort_by_key(|(range, _)| range.start);
        uses.dedup();
        let sorted = |mut ranges: Vec<Range<usize>>| {
            ranges.sort_by_key(|r| (r.start, usize::MAX - r.end));
            ranges.dedup();
            ranges
        };
        Index { definitions, uses, dims: sorted(self.dims), isolated: sorted(self.isolated) }
    }
}

#[cfg(test)]
mod tests {
    use crate::{ParseOptions, parse_indexed};
    use nim_ir::Context;

    #[test]
    fn names_and_what_they_stand_for() {
        let ctx = Context::new(&[]);
        let text = "%a = \"t.make\"() : () -> tensor<[N]x[N]xf32>\n\"t.use\"(%b, %a)[^end] ({\n^x(%c: i32):\n  \
                    \"t.br\"(%c)[^end] : (i32) -> ()\n^end:\n}) : (tensor<[2*N]xf32>, tensor<[N]x[N]xf32>) -> ()\n%b = \
                    \"t.make\"() : () -> tensor<[2*N]xf32>\n";
        let source = ctx.add_source("test", text);
        let options = ParseOptions { allow_unregistered: true, ..ParseOptions::default() };
        let (_, _, index) = parse_indexed(&ctx, source, &options);
        let defined: Vec<&str> = index.definitions.iter().map(|d| &text[d.range.clone()]).collect();
        assert_eq!(defined, ["%a", "^x", "%c", "^end", "%b"]);
        let used: Vec<_> = index.uses.iter().map(|(range, to)| (&text[range.clone()], defined[*to])).collect();
        assert_eq!(used, [("%b", "%b"), ("%a", "%a"), ("%c", "%c"), ("^end", "^end")]);
        let dims: Vec<_> = index.dims.iter().map(|r| (&text[r.clone()], r.start)).collect();
        assert_eq!(dims.len(), 6, "every type is looked at, equal ones too: {dims:?}");
        assert!(dims.iter().all(|(name, _)| *name == "N"));
    }
}
