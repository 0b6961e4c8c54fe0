//! `dataflow-report`: what moves and what is computed, as formulas over the named dimensions.
//!
//! For each container: the elements that must be read at least once (`moved`), the reads of the bodies (`accesses`), how
//! often each element is used then (`reuse`), and the elements written. For each map: scalar operations and elements moved.
//! Where a read may touch fewer elements than it could, the smaller of what the domain asks for and what there is counts.

use crate::fuse::{body_cost_of, is_free};
use nim_dataflow::{Invoke, Kernel, Load, Map, MapView, Memlet, iv_index};
use nim_ir::{Body, Context, Expr, ExprPool, Facts, Module, OpId, ValueId};
use rustc_hash::FxHashMap;
use std::fmt::Write as _;

/// The name of the pass.
pub const NAME: &str = "dataflow-report";

/// What moves to and from one container.
#[derive(Clone, Debug)]
pub struct ContainerRow {
    /// Name of the value.
    pub name: String,
    /// Its type.
    pub ty: String,
    /// Bytes of an element.
    pub element_bytes: i64,
    /// Elements that are read at least once, summed over the maps that read it.
    pub moved: Expr,
    /// Reads by bodies and epilogues.
    pub accesses: Expr,
    /// Elements written.
    pub writes: Expr,
}

/// What one map does.
#[derive(Clone, Debug)]
pub struct MapRow {
    /// What it was made of.
    pub name: String,
    /// Scalar operations: sums, products, comparisons and functions, each counted once.
    pub operations: Expr,
    /// Products that are added to something, each counted once.
    pub multiply_adds: Expr,
    /// Elements read at least once and elements written.
    pub moved: Expr,
}

/// The report of one function.
#[derive(Clone, Debug, Default)]
pub struct FunctionReport {
    /// Name of the function.
    pub name: String,
    /// In the order of first use.
    pub containers: Vec<ContainerRow>,
    /// In order.
    pub maps: Vec<MapRow>,
}

impl FunctionReport {
    /// Scalar operations of all maps.
    pub fn operations(&self, pool: &ExprPool) -> Expr {
        pool.sum(self.maps.iter().map(|m| m.operations))
    }
    /// Products that are added to something, of all maps.
    pub fn multiply_adds(&self, pool: &ExprPool) -> Expr {
        pool.sum(self.maps.iter().map(|m| m.multiply_adds))
    }
    /// Bytes read at least once by each map, and written.
    pub fn bytes(&self, pool: &ExprPool) -> Expr {
        pool.sum(self.containers.iter().map(|c| pool.scale(c.element_bytes, pool.add(c.moved, c.writes))))
    }

    /// Tables of containers and maps, with sums.
    pub fn text(&self, ctx: &Context) -> String {
        let pool = &ctx.exprs;
        let show = |e: Expr| pool.display(e).to_string();
        let mut rows = vec![["container", "type", "moved", "accesses", "reuse", "writes"].map(String::from).to_vec()];
        for c in &self.containers {
            let reuse = reuse(pool, c.accesses, c.moved);
            rows.push(vec![c.name.clone(), c.ty.clone(), show(c.moved), show(c.accesses), reuse, show(c.writes)]);
        }
        let sum = |f: fn(&ContainerRow) -> Expr| pool.sum(self.containers.iter().map(f));
        let (moved, accesses) = (sum(|c| c.moved), sum(|c| c.accesses));
        let all = reuse(pool, accesses, moved);
        rows.push(vec!["sum".into(), String::new(), show(moved), show(accesses), all, show(sum(|c| c.writes))]);
        let mut out = format!("@{}\n", self.name);
        table(&mut out, &rows);
        let mut rows = vec![["map", "operations", "moved"].map(String::from).to_vec()];
        rows.extend(self.maps.iter().map(|m| vec![m.name.clone(), show(m.operations), show(m.moved)]));
        let moved = pool.sum(self.maps.iter().map(|m| m.moved));
        rows.push(vec!["sum".into(), show(self.operations(pool)), show(moved)]);
        table(&mut out, &rows);
        let _ = writeln!(out, "bytes: {}", show(self.bytes(pool)));
        out
    }
}

fn reuse(pool: &ExprPool, accesses: Expr, moved: Expr) -> String {
    if moved == Expr::ZERO {
        return "-".into();
    }
    match (pool.exact_div(accesses, moved), pool.as_const(accesses), pool.as_const(moved)) {
        (Some(q), ..) => pool.display(q).to_string(),
        (None, Some(a), Some(m)) => format!("{:.2}", a as f64 / m as f64),
        _ => format!("({}) / ({})", pool.display(accesses), pool.display(moved)),
    }
}

/// Columns padded to their widest entry.
fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |k: usize| rows.iter().filter_map(|r| r.get(k)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        let _ = writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// The reports of all functions, kernels seen through.
pub fn report(ctx: &Context, module: &Module) -> Vec<FunctionReport> {
    let mut all = vec![];
    for op in module.ops() {
        if Kernel::is(ctx, &module.body, op) {
            continue;
        }
        let Some(body) = module.body.nested(op) else { continue };
        let name = module.symbol_name(ctx, op).unwrap_or("?").to_string();
        let report = FunctionReport { name, ..FunctionReport::default() };
        let mut counting = Counting { ctx, report, rows: FxHashMap::default(), times: Expr::ONE };
        for op in body.walk() {
            counting.times = iterations(ctx, body, op);
            if Map::is(ctx, body, op) {
                counting.map(body, op, &|v| Some(v), body);
            } else if Invoke::is(ctx, body, op) {
                counting.invoke(module, body, op);
            }
        }
        all.push(counting.report);
    }
    all
}

/// What one kernel costs.
#[derive(Clone, Debug)]
pub struct KernelCost {
    /// Scalar operations, over the kernel's symbols.
    pub operations: Expr,
    /// Bytes of its arguments that its maps read at least once, and bytes of its results that they write.
    pub bytes: Expr,
    /// Names of the nodes that it was made of.
    pub nodes: Vec<String>,
}

/// The cost of a `dataflow.kernel`. What is local to it moves nothing.
pub fn kernel_cost(ctx: &Context, module: &Module, kernel: OpId) -> Option<KernelCost> {
    let body = module.body.nested(kernel)?;
    let entry = body.entry()?;
    let mut outside: Vec<ValueId> = body.block_args(entry).to_vec();
    outside.extend(body.last_op(entry).map(|end| body.operands(end).to_vec()).unwrap_or_default());
    let mut counting =
        Counting { ctx, report: FunctionReport::default(), rows: FxHashMap::default(), times: Expr::ONE };
    let maps: Vec<OpId> = body.block_ops(entry).filter(|&o| Map::is(ctx, body, o)).collect();
    for &map in &maps {
        counting.map(body, map, &|v| outside.contains(&v).then_some(v), body);
    }
    let locs: Vec<nim_ir::Loc> = maps.iter().map(|&map| body.loc(map)).collect();
    let (operations, bytes) = (counting.report.operations(&ctx.exprs), counting.report.bytes(&ctx.exprs));
    Some(KernelCost { operations, bytes, nodes: crate::names::node_names(ctx, &locs) })
}

struct Counting<'a> {
    ctx: &'a Context,
    report: FunctionReport,
    rows: FxHashMap<ValueId, usize>,
    /// How often the op at hand runs.
    times: Expr,
}

/// How often an op runs: the product of the trip counts of the loops around it. A loop whose count only run time knows stands as
/// `iterations_of_` and its name.
fn iterations(ctx: &Context, body: &Body, op: OpId) -> Expr {
    let mut times = Expr::ONE;
    let mut around = body.parent_op(op);
    while let Some(outer) = around {
        if let Some(count) = body.attr_named(ctx, outer, "trip_count").and_then(|a| ctx.as_expr(a)) {
            times = ctx.exprs.mul(times, count);
        } else if ctx.op_str(body.op_name(outer)) == "graph.loop" {
            let name = crate::names::kernel_name(ctx, &[body.loc(outer)]);
            times = ctx.exprs.mul(times, ctx.exprs.named(&format!("iterations_of_{name}")));
        }
        around = body.parent_op(outer);
    }
    times
}

impl Counting<'_> {
    /// The maps of a kernel, with the caller's values for its arguments. What is local to the kernel moves nothing.
    fn invoke(&mut self, module: &Module, host: &Body, op: OpId) {
        let callee = host.attr_named(self.ctx, op, "callee").and_then(|a| self.ctx.as_symbol_ref(a));
        let Some(kernel) = callee.and_then(|name| module.lookup(self.ctx, name)) else { return };
        let Some(body) = module.body.nested(kernel) else { return };
        let Some(entry) = body.entry() else { return };
        let mut outer: FxHashMap<ValueId, ValueId> = FxHashMap::default();
        outer.extend(body.block_args(entry).iter().copied().zip(host.operands(op)));
        if let Some(end) = body.last_op(entry) {
            outer.extend(body.operands(end).iter().copied().zip(host.results(op).iter().copied()));
        }
        for inner in body.block_ops(entry).filter(|&o| Map::is(self.ctx, body, o)) {
            self.map(body, inner, &|v| outer.get(&v).copied(), host);
        }
    }

    fn row(&mut self, host: &Body, v: ValueId) -> &mut ContainerRow {
        let ctx = self.ctx;
        let at = *self.rows.entry(v).or_insert_with(|| {
            let name = match host.value_name(v) {
                Some(name) => format!("%{}", ctx.str(name)),
                None => format!("%{}", Body::index_of(v)),
            };
            let element_bytes = ctx.dtype_of(host.ty(v)).map_or(0, |d| d.size() as i64);
            self.report.containers.push(ContainerRow {
                name,
                ty: ctx.display_type(host.ty(v)),
                element_bytes,
                moved: Expr::ZERO,
                accesses: Expr::ZERO,
                writes: Expr::ZERO,
            });
            self.report.containers.len() - 1
        });
        &mut self.report.containers[at]
    }

    fn map(&mut self, body: &Body, op: OpId, outer: &dyn Fn(ValueId) -> Option<ValueId>, host: &Body) {
        let (ctx, pool, times) = (self.ctx, &self.ctx.exprs, self.times);
        let Some(view) = MapView::new(ctx, body, op) else { return };
        let points = pool.product(view.domain.iter().copied());
        let parallel = view.is_parallel(ctx);
        let outer_points = pool.product(view.domain.iter().zip(&parallel).filter(|(_, p)| **p).map(|(&d, _)| d));
        let facts = view.facts(ctx, &Facts::default());
        let mut moved = Expr::ZERO;
        let loads = |arg: ValueId| {
            let used = body.uses(arg).filter(|u| Load::is(ctx, body, u.op)).count();
            pool.scale(used as i64, points)
        };
        let reads = view
            .reads
            .iter()
            .zip(view.body_args(body))
            .map(|(m, &arg)| (m, if m.subset.is_some() { points } else { loads(arg) }));
        let all: Vec<(&Memlet, Expr)> = reads.chain(view.epilogue_reads.iter().map(|m| (m, outer_points))).collect();
        for (memlet, accesses) in all {
            let size = pool.product(ctx.dim_exprs(body.ty(memlet.value)).unwrap_or_default());
            let distinct = distinct(ctx, memlet, &view.domain, accesses, size, &facts);
            let (accesses, distinct) = (pool.mul(times, accesses), pool.mul(times, distinct));
            if let Some(v) = outer(memlet.value) {
                let row = self.row(host, v);
                row.accesses = pool.add(row.accesses, accesses);
                row.moved = pool.add(row.moved, distinct);
                moved = pool.add(moved, distinct);
            }
        }
        for (write, &result) in view.writes.iter().zip(body.results(op)) {
            let written = pool.mul(times, if write.subset.is_some() { outer_points } else { points });
            if let Some(v) = outer(result) {
                let row = self.row(host, v);
                row.writes = pool.add(row.writes, written);
                moved = pool.add(moved, written);
            }
        }
        let mut each = body_cost_of(ctx, body, view.body, |name| u64::from(!is_free(name)));
        let reduces = view.writes.iter().filter(|w| w.combine != nim_dataflow::Combine::None).count() as u64;
        each += reduces;
        let last = view.epilogue.map_or(0, |e| body_cost_of(ctx, body, e, |name| u64::from(!is_free(name))));
        let operations = pool.add(pool.scale(each as i64, points), pool.scale(last as i64, outer_points));
        let (operations, multiply_adds) =
            (pool.mul(times, operations), pool.mul(times, fused(ctx, body, &view, points)));
        let name = crate::names::kernel_name(ctx, &[body.loc(op)]);
        self.report.maps.push(MapRow { name, operations, multiply_adds, moved });
    }
}

/// Products of the body that sums of the body, or sums over points, can take up.
fn fused(ctx: &Context, body: &Body, view: &MapView, points: Expr) -> Expr {
    let count = |names: &[&str]| body_cost_of(ctx, body, view.body, |name| u64::from(names.contains(&name)));
    let sums = view.writes.iter().filter(|w| w.combine == nim_dataflow::Combine::Add).count() as u64;
    let sums = sums + count(&["arith.addf", "arith.addi", "arith.subf", "arith.subi"]);
    ctx.exprs.scale(sums.min(count(&["arith.mulf", "arith.muli"])) as i64, points)
}

/// Elements that a read touches: no more than there are, and no more than the iteration variables that it mentions have
/// values together.
fn distinct(ctx: &Context, memlet: &Memlet, domain: &[Expr], accesses: Expr, size: Expr, facts: &Facts) -> Expr {
    let pool = &ctx.exprs;
    let asked = match &memlet.subset {
        None => accesses,
        Some(subset) => {
            let mentioned =
                |k: usize| subset.iter().any(|&e| ctx.exprs.symbols(e).iter().any(|&s| iv_index(ctx, s) == Some(k)));
            pool.product((0..domain.len()).filter(|&k| mentioned(k)).map(|k| domain[k]))
        }
    };
    if pool.prove_le(asked, size, facts) {
        asked
    } else if pool.prove_le(size, asked, facts) {
        size
    } else {
        pool.min(asked, size)
    }
}
