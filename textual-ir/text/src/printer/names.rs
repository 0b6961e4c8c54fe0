//! Names of values and blocks of one body.
//!
//! Source names are kept; a name that is visible already gets `_0`, `_1`, ... behind it. Values without a name are
//! numbered, entry arguments are `%arg0`, `%arg1`, ... Names of a region are chosen before those of regions within it,
//! and regions side by side use the same names and numbers again, as upstream does. Names of an isolated op differ from
//! those around it too: upstream's parser asks for it.

use super::Printer;
use nim_ir::{BlockId, Body, Context, Name, RegionId, ValueId, entity::EntityId};
use rustc_hash::{FxHashMap, FxHashSet};

/// How a value is written.
#[derive(Copy, Clone)]
enum Base {
    Nowhere,
    Number(u32),
    Text(Name),
}

const ALONE: u32 = u32::MAX;

#[derive(Copy, Clone)]
struct Text {
    base: Base,
    /// The number behind `#`, if several values have the name; else [`ALONE`].
    index: u32,
}

/// Names by value and numbers by block.
pub(super) struct Names {
    values: Vec<Text>,
    blocks: Vec<u32>,
    /// What bodies inside must not use again.
    taken: Scope,
}

impl Names {
    /// Names of a body inside another one, whose names are `around`.
    pub(super) fn new(ctx: &Context, body: &Body, around: Option<&Names>) -> Names {
        let mut names = Names {
            values: vec![Text { base: Base::Nowhere, index: ALONE }; body.value_capacity()],
            blocks: vec![],
            taken: Scope::default(),
        };
        let mut scope = around.map_or_else(Scope::default, |n| n.taken.clone());
        let (mut arguments, mut has_bodies) = (scope.arguments, false);
        let mut regions: Vec<Step> = body.root_regions().iter().rev().map(|&r| Step::Enter(r)).collect();
        // An explicit stack: nesting may be deep.
        while let Some(step) = regions.pop() {
            match step {
                Step::Leave(before) => scope.leave(before),
                Step::Enter(region) => {
                    regions.push(Step::Leave(scope.enter()));
                    has_bodies |= names.region(ctx, body, region, &mut scope, &mut regions);
                    arguments = arguments.max(scope.arguments);
                }
            }
        }
        if has_bodies {
            names.taken = around.map_or_else(Scope::default, |n| n.taken.clone());
            names.taken.arguments = arguments;
            for text in &names.values {
                match text.base {
                    Base::Nowhere => {}
                    Base::Number(n) => names.taken.numbers = names.taken.numbers.max(n + 1),
                    Base::Text(name) => drop(names.taken.used.insert(name)),
                }
            }
        }
        names
    }

    /// Names of this region's values; regions inside are put on the stack. True when there are bodies inside.
    fn region(
        &mut self,
        ctx: &Context,
        body: &Body,
        region: RegionId,
        scope: &mut Scope,
        inside: &mut Vec<Step>,
    ) -> bool {
        let mut has_bodies = false;
        for (number, &block) in body.blocks(region).iter().enumerate() {
            if self.blocks.len() <= block.index() {
                self.blocks.resize(block.index() + 1, u32::MAX);
            }
            self.blocks[block.index()] = number as u32;
            for &arg in body.block_args(block) {
                let base = match body.value_name(arg) {
                    Some(name) => scope.unique(ctx, name),
                    None if number == 0 => scope.argument(ctx),
                    None => scope.number(),
                };
                self.values[arg.index()] = Text { base, index: ALONE };
            }
            for op in body.block_ops(block) {
                let results = body.results(op);
                let mut at = 0;
                while at < results.len() {
                    let len = group_len(body, &results[at..]);
                    let base = match body.value_name(results[at]) {
                        Some(name) => scope.unique(ctx, name),
                        None => scope.number(),
                    };
                    for i in 0..len {
                        let index = if len == 1 { ALONE } else { i as u32 };
                        self.values[results[at + i].index()] = Text { base, index };
                    }
                    at += len;
                }
            }
        }
        let first = inside.len();
        for &block in body.blocks(region) {
            for op in body.block_ops(block) {
                inside.extend(body.regions(op).iter().map(|&r| Step::Enter(r)));
                has_bodies |= body.nested(op).is_some();
            }
        }
        inside[first..].reverse();
        has_bodies
    }
}

enum Step {
    Enter(RegionId),
    Leave(Before),
}

/// How many results the first of these names together: those behind it without a name of their own.
pub(super) fn group_len(body: &Body, results: &[ValueId]) -> usize {
    1 + results[1..].iter().take_while(|&&r| body.value_name(r).is_none()).count()
}

impl Names {
    /// `%name` or `%name#1`.
    pub(super) fn write_value(&self, ctx: &Context, value: ValueId, out: &mut String) {
        let text = self.values.get(value.index()).copied();
        write_base(ctx, text, out);
        if let Some(Text { index, .. }) = text
            && index != ALONE
        {
            out.push('#');
            write_number(u64::from(index), out);
        }
    }
    /// `%name:2`: `len` results from this one on.
    fn write_group(&self, ctx: &Context, first: ValueId, len: usize, out: &mut String) {
        write_base(ctx, self.values.get(first.index()).copied(), out);
        if len > 1 {
            out.push(':');
            write_number(len as u64, out);
        }
    }
}

fn write_base(ctx: &Context, text: Option<Text>, out: &mut String) {
    match text.map(|t| t.base) {
        None | Some(Base::Nowhere) => out.push_str("%<nowhere>"),
        Some(Base::Number(number)) => {
            out.push('%');
            write_number(u64::from(number), out);
        }
        Some(Base::Text(name)) => {
            out.push('%');
            out.push_str(ctx.str(name));
        }
    }
}
/// Digits without the machinery of formats: most of what a large text says are numbers of values.
fn write_number(mut number: u64, out: &mut String) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len() - 1;
    loop {
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
        at -= 1;
    }
    out.extend(digits[at..].iter().map(|&d| char::from(d)));
}

impl Printer<'_> {
    /// `%name` or `%name#1`.
    pub(super) fn value_name(&mut self, value: ValueId) {
        let frame = self.frames.last().expect("ops are printed within a body");
        frame.names.write_value(self.ctx, value, &mut self.out);
    }
    /// `%name:2`: `len` results from this one on.
    pub(super) fn result_group(&mut self, first: ValueId, len: usize) {
        let frame = self.frames.last().expect("ops are printed within a body");
        frame.names.write_group(self.ctx, first, len, &mut self.out);
    }
    /// `^bb1`
    pub(super) fn block_name(&mut self, block: BlockId) {
        match self.frame().names.blocks.get(block.index()).copied() {
            None | Some(u32::MAX) => self.push("^<nowhere>"),
            Some(number) => {
                self.push("^bb");
                write_number(u64::from(number), &mut self.out);
            }
        }
    }
}

/// What is visible.
#[derive(Clone, Default)]
struct Scope {
    used: FxHashSet<Name>,
    order: Vec<Name>,
    numbers: u32,
    arguments: u32,
    /// Where to go on looking for a suffix, by name; only an accelerator.
    suffixes: FxHashMap<Name, u32>,
}

/// What was visible before a region.
struct Before {
    order: usize,
    numbers: u32,
    arguments: u32,
}

impl Scope {
    fn enter(&self) -> Before {
        Before { order: self.order.len(), numbers: self.numbers, arguments: self.arguments }
    }
    fn leave(&mut self, before: Before) {
        for name in self.order.drain(before.order..) {
            self.used.remove(&name);
        }
        self.suffixes.clear();
        (self.numbers, self.arguments) = (before.numbers, before.arguments);
    }
    fn take(&mut self, name: Name) -> Base {
        self.used.insert(name);
        self.order.push(name);
        Base::Text(name)
    }
    fn unique(&mut self, ctx: &Context, name: Name) -> Base {
        let name = match clean(ctx.str(name)) {
            Clean::AsIs => name,
            Clean::Other(text) => ctx.name(&text),
            Clean::Nothing => return self.number(),
        };
        if !self.used.contains(&name) {
            return self.take(name);
        }
        let mut n = self.suffixes.get(&name).copied().unwrap_or(0);
        let unique = loop {
            let candidate = ctx.name(&format!("{}_{n}", ctx.str(name)));
            n += 1;
            if !self.used.contains(&candidate) {
                break candidate;
            }
        };
        self.suffixes.insert(name, n);
        self.take(unique)
    }
    fn number(&mut self) -> Base {
        self.numbers += 1;
        Base::Number(self.numbers - 1)
    }
    fn argument(&mut self, ctx: &Context) -> Base {
        self.arguments += 1;
        self.unique(ctx, ctx.name(&format!("arg{}", self.arguments - 1)))
    }
}

enum Clean {
    AsIs,
    Other(String),
    Nothing,
}

/// A name as an identifier of the grammar: other characters become `_`.
fn clean(name: &str) -> Clean {
    let good = |c: char| c.is_ascii_alphanumeric() || "$._-".contains(c);
    if name.chars().all(good) && !name.ends_with('-') && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return if name.is_empty() { Clean::Nothing } else { Clean::AsIs };
    }
    let mut clean: String = name.chars().map(|c| if good(c) { c } else { '_' }).collect();
    // `%a->` would read as the name `a-`.
    while clean.ends_with('-') {
        clean.pop();
    }
    if clean.starts_with(|c: char| c.is_ascii_digit()) {
        clean.insert(0, '_');
    }
    if clean.is_empty() { Clean::Nothing } else { Clean::Other(clean) }
}
