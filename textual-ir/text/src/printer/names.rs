//! Names of values and blocks of one body.
//!
//! Source names are kept; a name that is visible already gets `_0`, `_1`, ... behind it. Values without a name are
//! numbered, entry arguments are `%arg0`, `%arg1`, ... Names of a region are chosen before those of regions within it,
//! and regions side by side use the same names and numbers again, as upstream does.

use nim_ir::{BlockId, Body, Context, RegionId, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

/// Texts by value and numbers by block.
#[derive(Default)]
pub(super) struct Names {
    values: Vec<String>,
    blocks: FxHashMap<BlockId, usize>,
}

impl Names {
    pub(super) fn new(ctx: &Context, body: &Body) -> Names {
        let mut names = Names { values: vec![String::new(); body.value_capacity()], blocks: FxHashMap::default() };
        let mut scope = Scope::default();
        for &region in body.root_regions() {
            names.region(ctx, body, region, &mut scope);
        }
        names
    }

    /// `%name` or `%name#1`.
    pub(super) fn value(&self, value: ValueId) -> &str {
        match self.values.get(Body::index_of(value)).map(String::as_str) {
            None | Some("") => "%<nowhere>",
            Some(text) => text,
        }
    }
    /// `^bb1`
    pub(super) fn block(&self, block: BlockId) -> String {
        match self.blocks.get(&block) {
            Some(number) => format!("^bb{number}"),
            None => "^<nowhere>".into(),
        }
    }

    fn set(&mut self, value: ValueId, text: String) {
        self.values[Body::index_of(value)] = text;
    }

    fn region(&mut self, ctx: &Context, body: &Body, region: RegionId, scope: &mut Scope) {
        let before = scope.enter();
        for (number, &block) in body.blocks(region).iter().enumerate() {
            self.blocks.insert(block, number);
            for &arg in body.block_args(block) {
                let named = body.value_name(arg).and_then(|n| clean(ctx.str(n)));
                let text = match named {
                    Some(name) => scope.unique(&name),
                    None if number == 0 => scope.argument(),
                    None => scope.number(),
                };
                self.set(arg, format!("%{text}"));
            }
            for op in body.block_ops(block) {
                let results = body.results(op);
                let mut at = 0;
                while at < results.len() {
                    let len = group_len(body, &results[at..]);
                    let named = body.value_name(results[at]).and_then(|n| clean(ctx.str(n)));
                    let text = match named {
                        Some(name) => scope.unique(&name),
                        None => scope.number(),
                    };
                    for i in 0..len {
                        let text = if len == 1 { format!("%{text}") } else { format!("%{text}#{i}") };
                        self.set(results[at + i], text);
                    }
                    at += len;
                }
            }
        }
        for &block in body.blocks(region) {
            for op in body.block_ops(block) {
                for &inner in body.regions(op) {
                    self.region(ctx, body, inner, scope);
                }
            }
        }
        scope.leave(before);
    }
}

/// How many results the first of these names together: those behind it without a name of their own.
pub(super) fn group_len(body: &Body, results: &[ValueId]) -> usize {
    1 + results[1..].iter().take_while(|&&r| body.value_name(r).is_none()).count()
}

/// What is visible.
#[derive(Default)]
struct Scope {
    used: FxHashSet<String>,
    order: Vec<String>,
    numbers: usize,
    arguments: usize,
    /// Where to go on looking for a suffix, by name; only an accelerator.
    suffixes: FxHashMap<String, usize>,
}

impl Scope {
    fn enter(&self) -> (usize, usize, usize) {
        (self.order.len(), self.numbers, self.arguments)
    }
    fn leave(&mut self, (order, numbers, arguments): (usize, usize, usize)) {
        for name in self.order.drain(order..) {
            self.used.remove(&name);
        }
        self.suffixes.clear();
        (self.numbers, self.arguments) = (numbers, arguments);
    }
    fn take(&mut self, name: String) -> String {
        self.used.insert(name.clone());
        self.order.push(name.clone());
        name
    }
    fn unique(&mut self, name: &str) -> String {
        if !self.used.contains(name) {
            return self.take(name.to_string());
        }
        let mut n = self.suffixes.get(name).copied().unwrap_or(0);
        let unique = loop {
            let candidate = format!("{name}_{n}");
            n += 1;
            if !self.used.contains(&candidate) {
                break candidate;
            }
        };
        self.suffixes.insert(name.to_string(), n);
        self.take(unique)
    }
    fn number(&mut self) -> String {
        self.numbers += 1;
        (self.numbers - 1).to_string()
    }
    fn argument(&mut self) -> String {
        self.arguments += 1;
        let name = format!("arg{}", self.arguments - 1);
        self.unique(&name)
    }
}

/// A name as an identifier of the grammar: other characters become `_`. `None` when nothing is left.
fn clean(name: &str) -> Option<String> {
    let mut clean: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "$._-".contains(c) { c } else { '_' }).collect();
    // `%a->` would read as the name `a-`.
    while clean.ends_with('-') {
        clean.pop();
    }
    if clean.starts_with(|c: char| c.is_ascii_digit()) {
        clean.insert(0, '_');
    }
    (!clean.is_empty()).then_some(clean)
}
