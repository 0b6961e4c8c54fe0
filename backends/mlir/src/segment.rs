//! `mlir(...)`: upstream's passes as one step of a pipeline.
//!
//! The part of the module that upstream knows goes there and comes back: those of the module's ops that hold nothing but
//! upstream's ops. The others stay as they are. While they wait, something stands in their place that has their symbols and
//! uses those that they use, so that no pass takes what they need for dead.

use crate::bridge::{Upstream, complaint, lenient};
use crate::{MlirContext, MlirError, distinct};
use nim_ir::clone::Mapping;
use nim_ir::{AttrData, AttrList, BlockId, Body, Context, Diagnostic, Loc, LocData, Module, Name, OpId, Severity};
use nim_pass::{Options, Pass, PassContext, PassReport, Registry};
use nim_text::upstream::{Complaint, FILE, Upstream as _};
use nim_text::{ParseOptions, PrintOptions, parse_module, print_module};
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;

/// What stands for an op that upstream does not know.
const KEPT: &str = "nim.kept";
/// The number of the op that something stands for.
const NUMBER: &str = "nim.number";
/// Says that a function is only declared, for others to call.
const DECLARED: &str = "nim.declared";
/// Symbols that it uses.
const USES: &str = "nim.uses";

/// Adds the pass `mlir(...)`.
pub fn register(registry: &mut Registry) {
    registry.optional_module_pass(|options| {
        let pipeline = options.argument();
        if let Some(text) = &pipeline {
            check(options, text);
        }
        Ok(Segment { pipeline: pipeline.unwrap_or_default() })
    });
}

/// Asks upstream about a pipeline; what it says is told at its place in the text.
fn check(options: &mut Options, text: &str) {
    let Err(error) = MlirContext::new().check_pipeline(text) else { return };
    let said: Vec<&str> = error.diagnostics.iter().map(|d| d.message.as_str()).collect();
    let (range, message) = place(text, &said.join("\n"));
    let help = "`mlir-opt --help` lists upstream's passes with their options".to_owned();
    options.complain(range, message, Some(help));
}

/// The bytes of a pipeline's text that a message of MLIR is about, and what it says in short. A message is one of
///
/// - `MLIR Textual PassPipeline Parser:1:16: error: what is wrong`, then the text inside of the module, and a caret below it;
/// - what is wrong, then ``failed to add `pass` with options `...` ``.
fn place(text: &str, said: &str) -> (Range<usize>, String) {
    let inside = text.strip_prefix("builtin.module(").map_or(0, |rest| text.len() - rest.len());
    let word =
        |at: usize| at..at + text[at..].bytes().take_while(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b)).count();
    let mut lines = said.lines().map(|l| l.trim_start_matches("<Pass-Options-Parser>: ").trim());
    if let Some((head, rest)) = said.lines().find_map(|l| l.split_once(": error: ")) {
        let column = head.rsplit(':').next().and_then(|c| c.parse::<usize>().ok());
        let at =
            column.map(|c| inside + c.saturating_sub(1)).filter(|&at| text.is_char_boundary(at) && at < text.len());
        return (at.map_or(0..text.len(), word), rest.trim().to_owned());
    }
    let names = said.lines().find_map(|l| l.trim().strip_prefix("failed to add `")?.split_once('`'));
    let found = names.and_then(|(name, rest)| {
        let given = rest.trim().strip_prefix("with options `").and_then(|rest| rest.split('`').next());
        let whole = |at: usize| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let mut places: Vec<_> =
            text.match_indices(name).filter(|&(at, _)| whole(at)).map(|(at, _)| word(at)).collect();
        places.retain(|r| r.len() == name.len());
        // Of several, the one that has these options.
        let has = |r: &Range<usize>| {
            let options = text[r.end..].trim_start().strip_prefix('{');
            options.is_some_and(|options| given.is_some_and(|given| options.trim_start().starts_with(given.trim())))
        };
        places.iter().find(|r| has(r)).or(places.first()).cloned()
    });
    let first = lines.find(|l| !l.is_empty() && !l.starts_with("failed to parse pass pipeline"));
    (found.unwrap_or(0..text.len()), first.unwrap_or("upstream does not say why").to_owned())
}

struct Segment {
    pipeline: String,
}

impl Pass for Segment {
    fn name(&self) -> &'static str {
        "mlir"
    }
    fn description(&self) -> &'static str {
        "Runs passes of upstream MLIR, `mlir(canonicalize,func.func(cse))`, on what upstream knows of the module"
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let ctx = pass.ctx;
        let mut report = PassReport::new();
        let mut part = Part::new(ctx, module);
        report.count("ops upstream", part.sent as u64);
        report.count("ops kept", part.kept.len() as u64);
        if part.sent == 0 && !part.kept.is_empty() {
            let missing = "op of the module that holds nothing but upstream's ops";
            report.diagnostics.push(nim_pass::ran_on_nothing(self.name(), module.loc, missing));
        }
        let options = PrintOptions { generic: true, debug_info: true, ..PrintOptions::default() };
        let text = print_module(ctx, &part.module, &options);
        let upstream = lenient();
        let wrong = |part: &Part<'_>, error: MlirError, code: &'static str, what: &str| {
            let found = error.diagnostics.iter().map(|d| part.told(complaint(d), code, what));
            let mut found: Vec<Diagnostic> = found.collect();
            if !found.iter().any(Diagnostic::is_error) {
                found.push(Diagnostic::error(code, Loc::UNKNOWN, what));
            }
            found
        };
        // Ops that stay and locations have some that upstream does not see.
        let taken = || distinct::largest(&print_module(ctx, module, &options));
        let text = distinct::keep(&text, taken, |text| {
            let mut mlir = upstream
                .parse(text)
                .map_err(|e| wrong(&part, e, "N0817", "upstream does not accept this part of the module"))?;
            mlir.run_pipeline(&self.pipeline)
                .map_err(|e| wrong(&part, e, "N0818", &format!("`mlir({})` failed", self.pipeline)))?;
            mlir.print_with_locations().map_err(|e| wrong(&part, e, "N0818", "the result cannot be printed"))
        })?;
        for said in upstream.take_diagnostics() {
            // What passes call an error and go on from is none.
            let mut told = part.told(complaint(&said), "N0818", "upstream says");
            told.severity = told.severity.min(Severity::Warning);
            report.diagnostics.push(told);
        }
        let source = ctx.add_source(FILE, text);
        let options = ParseOptions { allow_unregistered: true, ..ParseOptions::default() };
        let (result, found) = parse_module(ctx, source, &options);
        if let Some(found) = found.into_iter().find(Diagnostic::is_error) {
            let message = format!("what upstream made is not understood: {}", found.message);
            return Err(vec![Diagnostic::error("N0818", module.loc, message)]);
        }
        let lost = part.lost(&result, module);
        if !lost.is_empty() {
            return Err(lost);
        }
        part.take_back(result, module);
        Ok(report)
    }
}

/// What upstream is given of a module.
struct Part<'c> {
    ctx: &'c Context,
    module: Module,
    /// Where the op or argument of a number comes from, and the name of its first result or of itself.
    places: Vec<(Loc, Option<Name>)>,
    /// Ops of the module that stay.
    kept: Vec<OpId>,
    /// Symbols that those use, with one that does.
    used: Vec<(Name, OpId)>,
    sent: usize,
}

impl<'c> Part<'c> {
    fn new(ctx: &'c Context, module: &Module) -> Part<'c> {
        let known = Upstream::default();
        let copy = Module { attrs: module.attrs.clone(), loc: module.loc, ..Module::new() };
        let mut part = Part { ctx, module: copy, places: vec![], kept: vec![], used: vec![], sent: 0 };
        let Some(block) = part.module.body.entry() else { return part };
        let mut mapping = Mapping::default();
        // Values of the module itself bind ops together: with them all or nothing goes.
        let bound = module.ops().any(|op| !module.body.results(op).is_empty());
        let all_known = module.ops().all(|op| is_known(ctx, &known, &module.body, op));
        let goes = |op| if bound { all_known } else { is_known(ctx, &known, &module.body, op) };
        let ops: Vec<(OpId, bool)> = module.ops().map(|op| (op, goes(op))).collect();
        let mut needed = FxHashSet::default();
        ops.iter().filter(|(_, goes)| *goes).for_each(|&(op, _)| uses(ctx, &module.body, op, &mut needed));
        let needed: FxHashSet<Name> = needed.iter().filter_map(|path| path.first().copied()).collect();
        for (op, goes) in ops {
            let sent = match goes {
                true => part.module.body.clone_op_from(&module.body, op, &mut mapping),
                false => part.stand_in(block, &module.body, op, &needed),
            };
            part.module.body.append(block, sent);
            part.sent += usize::from(goes);
        }
        let mut body = std::mem::take(&mut part.module.body);
        part.number(&mut body);
        part.module.body = body;
        part
    }

    /// Something that upstream knows, or keeps, in the place of an op. `needed`: symbols that upstream's part uses.
    fn stand_in(&mut self, block: BlockId, body: &Body, op: OpId, needed: &FxHashSet<Name>) -> OpId {
        let ctx = self.ctx;
        let mut attrs = AttrList::new();
        let mut symbols = FxHashSet::default();
        uses(ctx, body, op, &mut symbols);
        let mut symbols: Vec<Vec<Name>> = symbols.into_iter().collect();
        symbols.sort_by_key(|path| path.iter().map(|&n| ctx.str(n)).collect::<Vec<_>>());
        self.used.extend(symbols.iter().filter_map(|path| Some((*path.first()?, op))));
        let symbols = symbols.into_iter().map(|path| ctx.attr(AttrData::SymbolRef(path)));
        attrs.set(ctx, ctx.name(USES), ctx.array_attr(symbols));
        attrs.set(ctx, ctx.name(NUMBER), ctx.i64_attr(self.kept.len() as i64));
        self.kept.push(op);
        let symbol = body.attr_named(ctx, op, "sym_name");
        let called = symbol.and_then(|s| ctx.as_string(s)).is_some_and(|s| needed.contains(&ctx.name(s)));
        let ty = body.attr_named(ctx, op, "function_type").filter(|_| called && body.is(ctx, op, "func.func"));
        let target = &mut self.module.body;
        match (symbol, ty) {
            // A function is declared, for those who call it. A declaration that nobody calls may go: it cannot stand for the op.
            (Some(symbol), Some(ty)) => {
                let mut declared = AttrList::new();
                declared.set(ctx, ctx.name("sym_name"), symbol);
                declared.set(ctx, ctx.name("function_type"), ty);
                declared.set(ctx, ctx.name("sym_visibility"), ctx.string_attr("private"));
                declared.set(ctx, ctx.name(DECLARED), ctx.unit_attr());
                let mut nested = Box::new(Body::new());
                nested.add_root_region();
                let name = ctx.op_name("func.func");
                let op = target.create_op(name, body.loc(op), &[], &[], declared, &[], &[], Some(nested));
                target.append(block, op);
            }
            (Some(symbol), None) => attrs.set(ctx, ctx.name("sym_name"), symbol),
            _ => {}
        }
        target.create_op(ctx.op_name(KEPT), body.loc(op), &[], &[], attrs, &[], &[], None)
    }

    /// Gives every op and argument a location that is its number.
    fn number(&mut self, body: &mut Body) {
        let file = self.ctx.name(FILE);
        let here = |part: &mut Self, loc, name| {
            part.places.push((loc, name));
            part.ctx.loc(LocData::File { file, line: part.places.len() as u32, column: 1 })
        };
        let mut blocks: Vec<_> = body.root_regions().iter().flat_map(|&r| body.blocks(r).to_vec()).collect();
        for op in body.walk() {
            let name = body.results(op).first().and_then(|&v| body.value_name(v));
            let loc = here(self, body.loc(op), name);
            body.set_loc(op, loc);
            blocks.extend(body.regions(op).iter().flat_map(|&r| body.blocks(r).to_vec()));
        }
        for block in blocks {
            for (i, argument) in body.block_args(block).to_vec().into_iter().enumerate() {
                let loc = here(self, body.arg_loc(block, i), body.value_name(argument));
                body.set_arg_loc(block, i, loc);
            }
        }
        for (_, nested) in body.nested_bodies_mut() {
            self.number(nested);
        }
    }

    fn entry(&self, complaint: &Complaint) -> Option<Loc> {
        let (line, _) = complaint.position?;
        self.places.get((line as usize).checked_sub(1)?).map(|(loc, _)| *loc)
    }

    fn told(&self, complaint: Complaint, code: &'static str, what: &str) -> Diagnostic {
        let loc = self.entry(&complaint).unwrap_or(Loc::UNKNOWN);
        let mut diagnostic = Diagnostic::error(code, loc, complaint.message.trim_end()).note(what);
        diagnostic.severity = complaint.severity;
        for note in complaint.notes.iter().filter(|n| !n.message.starts_with("see current operation")) {
            diagnostic = match self.entry(note) {
                Some(loc) => diagnostic.label(loc, note.message.clone()),
                None => diagnostic.note(note.message.clone()),
            };
        }
        if diagnostic.severity == Severity::Error {
            diagnostic = diagnostic.help("`--print-ir-before=mlir --print-op-generic` shows what it was given");
        }
        diagnostic
    }

    /// What ops that stay use, and upstream made something else of.
    fn lost(&self, result: &Module, module: &Module) -> Vec<Diagnostic> {
        let ctx = self.ctx;
        let symbol = |body: &Body, op: OpId| {
            let attr = body.attr_named(ctx, op, "sym_name");
            let attr = attr.or_else(|| body.properties(op).and_then(|list| list.get_text(ctx, "sym_name")));
            attr.and_then(|a| ctx.as_string(a)).map(|text| ctx.name(text))
        };
        let kinds = |module: &Module| -> FxHashMap<Name, String> {
            let named = module.ops().filter_map(|op| Some((symbol(&module.body, op)?, op)));
            named.map(|(name, op)| (name, ctx.op_str(module.body.op_name(op)).to_owned())).collect()
        };
        let (before, after) = (kinds(module), kinds(result));
        let staying: FxHashSet<Name> = self.kept.iter().filter_map(|&op| symbol(&module.body, op)).collect();
        let mut found = vec![];
        for &(name, user) in self.used.iter().filter(|(name, _)| !staying.contains(name)) {
            let (Some(was), now) = (before.get(&name), after.get(&name)) else { continue };
            if Some(was) == now {
                continue;
            }
            let text = ctx.str(name);
            let message = match now {
                Some(now) => format!("upstream made a `{now}` of `@{text}`, which is a `{was}` for what uses it"),
                None => format!("upstream removed `@{text}`, which is still used"),
            };
            found.push(
                Diagnostic::error("N0818", module.body.loc(user), message)
                    .here("used in here, which upstream does not know")
                    .help("lower both, or neither"),
            );
        }
        found
    }

    /// Makes the module of what came back, and of what was kept.
    fn take_back(&mut self, result: Module, module: &mut Module) {
        let ctx = self.ctx;
        let Module { body: mut made, attrs, .. } = result;
        self.restore(&mut made);
        let number = ctx.name(NUMBER);
        let mut new = Module { attrs, loc: module.loc, ..Module::new() };
        let Some(block) = new.body.entry() else { return };
        let (mut mapping, mut originals) = (Mapping::default(), Mapping::default());
        let ops: Vec<OpId> =
            made.root_regions().iter().flat_map(|&r| made.blocks(r)).flat_map(|&b| made.block_ops(b)).collect();
        // The number of what an op stands for.
        let stands_for =
            |op: OpId| made.attr(op, number).and_then(|a| ctx.as_int(a)).and_then(|n| usize::try_from(n).ok());
        let there: FxHashSet<usize> = ops.iter().filter_map(|&op| stands_for(op)).collect();
        let mut back = FxHashSet::default();
        let mut put = |new: &mut Module, n: usize| {
            if let Some(&kept) = self.kept.get(n).filter(|_| back.insert(n)) {
                let op = new.body.clone_op_from(&module.body, kept, &mut originals);
                new.body.append(block, op);
            }
        };
        for op in ops {
            if made.attr_named(ctx, op, DECLARED).is_some() || distinct::is_witness(ctx.op_str(made.op_name(op))) {
                continue;
            }
            if let Some(n) = stands_for(op) {
                // What a pass took for dead is behind what stood before it.
                let lost: Vec<usize> = (0..n).rev().take_while(|n| !there.contains(n)).collect();
                lost.into_iter().rev().for_each(|n| put(&mut new, n));
                put(&mut new, n);
                continue;
            }
            let op = new.body.clone_op_from(&made, op, &mut mapping);
            new.body.append(block, op);
        }
        (0..self.kept.len()).for_each(|n| put(&mut new, n));
        *module = new;
    }

    /// Puts locations and names where numbers are.
    fn restore(&self, body: &mut Body) {
        let mut blocks: Vec<_> = body.root_regions().iter().flat_map(|&r| body.blocks(r).to_vec()).collect();
        for op in body.walk() {
            let (loc, name) = self.original(body.loc(op));
            body.set_loc(op, loc);
            for (i, result) in body.results(op).to_vec().into_iter().enumerate() {
                body.set_value_name(result, name.filter(|_| i == 0));
            }
            blocks.extend(body.regions(op).iter().flat_map(|&r| body.blocks(r).to_vec()));
        }
        for block in blocks {
            for (i, argument) in body.block_args(block).to_vec().into_iter().enumerate() {
                let (loc, name) = self.original(body.arg_loc(block, i));
                body.set_arg_loc(block, i, loc);
                body.set_value_name(argument, name);
            }
        }
        for (_, nested) in body.nested_bodies_mut() {
            self.restore(nested);
        }
    }

    fn original(&self, loc: Loc) -> (Loc, Option<Name>) {
        let ctx = self.ctx;
        match ctx.loc_data(loc) {
            LocData::File { file, line, .. } if ctx.str(*file) == FILE => (*line as usize)
                .checked_sub(1)
                .and_then(|i| self.places.get(i))
                .copied()
                .unwrap_or((Loc::UNKNOWN, None)),
            LocData::Name(name, child) => (ctx.loc(LocData::Name(*name, self.original(*child).0)), None),
            LocData::CallSite(callee, caller) => {
                let ((callee, name), (caller, _)) = (self.original(*callee), self.original(*caller));
                (ctx.loc(LocData::CallSite(callee, caller)), name)
            }
            LocData::Fused(locs, data) => {
                let locs = locs.iter().map(|&l| self.original(l).0).collect();
                (ctx.loc(LocData::Fused(locs, *data)), None)
            }
            _ => (loc, None),
        }
    }
}

/// Whether upstream has an op and everything in it.
fn is_known(ctx: &Context, upstream: &Upstream, body: &Body, op: OpId) -> bool {
    body.walk_op(op).into_iter().all(|op| {
        let inside = |nested: &Body| {
            let mut roots =
                nested.root_regions().iter().flat_map(|&r| nested.blocks(r)).flat_map(|&b| nested.block_ops(b));
            roots.all(|op| is_known(ctx, upstream, nested, op))
        };
        upstream.has_op(ctx.op_str(body.op_name(op))) && body.nested(op).is_none_or(inside)
    })
}

/// All symbols that an op and what is in it refer to.
fn uses(ctx: &Context, body: &Body, op: OpId, out: &mut FxHashSet<Vec<Name>>) {
    for op in body.walk_op(op) {
        let attrs = body.attrs(op).iter().chain(body.properties(op).into_iter().flat_map(AttrList::iter));
        attrs.for_each(|(_, attr)| symbols_in(ctx, attr, out));
        if let Some(nested) = body.nested(op) {
            let roots = nested.root_regions().iter().flat_map(|&r| nested.blocks(r)).flat_map(|&b| nested.block_ops(b));
            roots.for_each(|op| uses(ctx, nested, op, out));
        }
    }
}

fn symbols_in(ctx: &Context, attr: nim_ir::Attr, out: &mut FxHashSet<Vec<Name>>) {
    match ctx.attr_data(attr) {
        AttrData::SymbolRef(path) => {
            out.insert(path.clone());
        }
        AttrData::Array(items) => items.iter().for_each(|&item| symbols_in(ctx, item, out)),
        AttrData::Dict(items) => items.iter().for_each(|(_, item)| symbols_in(ctx, *item, out)),
        _ => {}
    }
}
