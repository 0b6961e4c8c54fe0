//! Checks of `dataflow.map`.

use crate::{Combine, MapView, Memlet, Write, Yield, as_iv, iv_index, scalar_type};
use nim_builtin::arith::type_of_attr;
use nim_ir::{Attr, BlockId, Body, Context, Diagnostic, Expr, Facts, OpId, Type};

struct Check<'a> {
    ctx: &'a Context,
    body: &'a Body,
    op: OpId,
    view: &'a MapView,
    facts: Facts,
    found: &'a mut Vec<Diagnostic>,
}

pub(crate) fn verify(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let Some(view) = MapView::new(ctx, body, op) else {
        found.push(
            Diagnostic::error(
                "N0510",
                body.loc(op),
                "the attributes of `dataflow.map` do not fit its operands and results",
            )
            .note("`reads` and `borders` have one entry a read, `epilogue_reads` one an epilogue read")
            .note("`writes`, `combine`, `inits` and `init_operands` have one entry a result"),
        );
        return;
    };
    let facts = view.facts(ctx, &Facts::default());
    let mut check = Check { ctx, body, op, view: &view, facts, found };
    check.domain();
    check.memlets();
    check.writes();
    check.body();
    check.epilogue();
}

fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

impl Check<'_> {
    fn error(&mut self, code: &'static str, message: String) -> &mut Diagnostic {
        self.found.push(Diagnostic::error(code, self.body.loc(self.op), message));
        self.found.last_mut().expect("just pushed")
    }
    fn show(&self, ty: Type) -> String {
        self.ctx.display_type(ty)
    }
    fn show_expr(&self, e: Expr) -> String {
        self.ctx.exprs.display(e).to_string()
    }

    fn domain(&mut self) {
        for (k, &extent) in self.view.domain.iter().enumerate() {
            let text = self.show_expr(extent);
            if self.ctx.exprs.symbols(extent).iter().any(|&s| self.ctx.exprs.symbol_name(s).starts_with('$')) {
                self.error(
                    "N0511",
                    format!("the extent of `${k}` is `{text}`: an extent must not use iteration variables"),
                );
            } else if self.ctx.exprs.as_const(extent).is_some_and(|n| n < 0) {
                self.error("N0511", format!("the extent of `${k}` is {text}, which is negative"));
            }
        }
    }

    /// Reports iteration variables that the domain does not have.
    fn variables(&mut self, what: &str, exprs: &[Expr]) -> bool {
        for &e in exprs {
            for s in self.ctx.exprs.symbols(e) {
                let name = self.ctx.exprs.symbol_name(s).to_string();
                let known = iv_index(self.ctx, s).is_some_and(|k| k < self.view.rank());
                if name.starts_with('$') && !known {
                    let rank = self.view.rank();
                    let text = self.show_expr(e);
                    self.error(
                        "N0512",
                        format!("{what} uses `{name}` in `{text}`, but the domain has {rank} dimensions"),
                    );
                    return false;
                }
            }
        }
        true
    }

    /// Number of indices, variables, and that no index is provably outside for all points.
    fn subset(&mut self, what: &str, subset: &[Expr], ty: Type, inside: bool) {
        let Some(dims) = self.ctx.dims(ty) else {
            let found = self.show(ty);
            self.error("N0513", format!("{what} needs a ranked tensor, found {found}"));
            return;
        };
        if dims.len() != subset.len() {
            let (found, count) = (self.show(ty), subset.len());
            self.error(
                "N0513",
                format!(
                    "{what} has {}, but {found} has {}",
                    plural(count, "index", "indices"),
                    plural(dims.len(), "dimension", "dimensions")
                ),
            );
            return;
        }
        if !self.variables(what, subset) || !inside {
            return;
        }
        for (&index, dim) in subset.iter().zip(dims) {
            let Some(size) = dim.expr() else { continue };
            let pool = &self.ctx.exprs;
            let outside = pool.prove_le(size, index, &self.facts)
                || pool.prove_lt(index, pool.constant(0), &self.facts)
                || self.reaches_outside(index, size);
            // Over an empty domain nothing is read or written. Where the container is empty, the domain may be so at run time.
            let outside = outside && !self.empty_domain() && !(pool.as_const(size) == Some(0) && self.open_domain());
            if outside {
                let (index, size, ty) = (self.show_expr(index), self.show_expr(size), self.show(ty));
                self.error("N0514", format!("{what} reaches index `{index}` outside of 0..{size} of {ty}"))
                    .help
                    .replace("give the read a border, or make the domain smaller".into());
            }
        }
    }

    /// An index that is just an iteration variable takes its last value somewhere.
    fn reaches_outside(&self, index: Expr, size: Expr) -> bool {
        let extent = as_iv(self.ctx, index).and_then(|k| self.view.domain.get(k).copied());
        extent.is_some_and(|extent| self.ctx.exprs.prove_lt(size, extent, &self.facts))
    }

    fn empty_domain(&self) -> bool {
        self.view.domain.iter().any(|&e| self.ctx.exprs.as_const(e) == Some(0))
    }

    fn open_domain(&self) -> bool {
        self.view.domain.iter().any(|&e| self.ctx.exprs.as_const(e).is_none())
    }

    fn memlets(&mut self) {
        for (i, Memlet { value, subset, border }) in self.view.reads.iter().enumerate() {
            let (what, ty) = (format!("read #{i}"), self.body.ty(*value));
            match subset {
                Some(subset) => self.subset(&what, subset, ty, border.is_none()),
                None if border.is_some() => {
                    self.error("N0515", format!("{what} is of a whole container, which has no border"));
                }
                None => {}
            }
            if let (Some(border), Some(element)) = (border, self.ctx.element_type(ty)) {
                self.scalar(&format!("the border of {what}"), *border, scalar_type(self.ctx, element));
            }
        }
        let parallel = self.view.is_parallel(self.ctx);
        for (i, memlet) in self.view.epilogue_reads.iter().enumerate() {
            let what = format!("epilogue read #{i}");
            let subset = memlet.subset.as_deref().unwrap_or_default();
            self.subset(&what, subset, self.body.ty(memlet.value), true);
            self.parallel_only(&what, subset, &parallel);
        }
    }

    fn parallel_only(&mut self, what: &str, exprs: &[Expr], parallel: &[bool]) {
        let mut used = exprs.iter().flat_map(|&e| crate::mentioned_ivs(self.ctx, e));
        if let Some(k) = used.find(|&k| parallel.get(k) == Some(&false)) {
            self.error("N0516", format!("{what} uses `${k}`, which is reduced when the epilogue runs"));
        }
    }

    fn scalar(&mut self, what: &str, attr: Attr, wanted: Type) {
        let found = type_of_attr(self.ctx, attr).map(|ty| scalar_type(self.ctx, ty));
        if found != Some(wanted) {
            let (wanted, found) = (self.show(wanted), found.map_or("something else".into(), |t| self.show(t)));
            self.error("N0517", format!("{what} must be of type {wanted}, found {found}"));
        }
    }

    fn writes(&mut self) {
        let parallel = self.view.is_parallel(self.ctx);
        let reduced: Vec<usize> = self.view.reduction_dims(self.ctx);
        for (i, write) in self.view.writes.iter().enumerate() {
            let what = format!("write #{i}");
            if let Some(subset) = &write.subset {
                self.subset(&what, subset, write.ty, true);
                self.write_dims(&what, write, subset, &parallel, &reduced);
            } else if self.view.epilogue.is_some() {
                self.error("N0518", format!("{what} is scattered; a map with an epilogue has no scattered writes"));
            }
            self.start(&what, write);
            let element = write.element(self.ctx);
            if write.combine != Combine::None
                && self.view.epilogue.is_none()
                && element.is_some_and(|e| write.combine.scalar_op(self.ctx, e).is_none())
            {
                let (name, ty) = (write.combine.name(), self.show(write.ty));
                self.error("N0519", format!("{what} combines with `{name}`, which {ty} has not"));
            }
        }
    }

    fn write_dims(&mut self, what: &str, write: &Write, subset: &[Expr], parallel: &[bool], reduced: &[usize]) {
        let own: Vec<usize> = subset.iter().flat_map(|&e| crate::mentioned_ivs(self.ctx, e)).collect();
        if let Some(k) = (0..parallel.len()).find(|k| parallel[*k] && !own.contains(k)) {
            self.error("N0520", format!("{what} does not mention `${k}`, which another write does"))
                .help
                .replace("make it a map of its own".into());
        }
        // One point of a reduction is no reduction.
        let many = reduced.iter().find(|&&k| self.ctx.exprs.as_const(self.view.domain[k]) != Some(1));
        if let (Combine::None, Some(k)) = (write.combine, many) {
            self.error("N0521", format!("{what} needs a combiner: `${k}` is a reduction, since no write mentions it"));
        }
    }

    fn start(&mut self, what: &str, write: &Write) {
        if write.init.is_some() && write.init_value.is_some() {
            self.error("N0522", format!("{what} starts from an attribute and from an operand"));
        }
        if !write.has_init() {
            let why = if write.combine != Combine::None {
                "it combines"
            } else if write.subset.is_none() {
                "it is scattered"
            } else if self.provably_partial(write) {
                "it does not reach all of the result"
            } else {
                ""
            };
            if !why.is_empty() {
                self.error("N0523", format!("{what} needs a start (`init` or `into`), since {why}"));
            }
        }
        if let Some(value) = write.init_value {
            let ty = self.body.ty(value);
            let shape = |t: Type| self.ctx.dims(t).map(<[_]>::to_vec);
            let same = if self.view.epilogue.is_some() {
                shape(ty) == shape(write.ty)
            } else {
                nim_ir::verifier::compatible(self.ctx, ty, write.ty)
            };
            if !same {
                let (a, b) = (self.show(ty), self.show(write.ty));
                self.error("N0524", format!("{what} starts from {a}, but its result is {b}"));
            }
        }
    }

    /// Each index is an iteration variable or a number, and some dimension is provably larger than what is reached.
    fn provably_partial(&self, write: &Write) -> bool {
        let (Some(subset), Some(dims)) = (&write.subset, self.ctx.dims(write.ty)) else { return false };
        subset.iter().zip(dims).any(|(&index, dim)| {
            let Some(size) = dim.expr() else { return false };
            let one = self.ctx.exprs.constant(1);
            let reached = match as_iv(self.ctx, index) {
                Some(k) => self.view.domain.get(k).copied().unwrap_or(one),
                None if self.ctx.exprs.as_const(index).is_some() => one,
                None => return false,
            };
            self.ctx.exprs.prove_lt(reached, size, &self.facts)
        })
    }

    fn block_args(&mut self, what: &str, block: BlockId, wanted: &[Option<Type>]) {
        let args: Vec<Type> = self.body.block_args(block).iter().map(|&a| self.body.ty(a)).collect();
        if args.len() != wanted.len() {
            let (n, m) = (wanted.len(), args.len());
            self.error("N0525", format!("the {what} must have {n} arguments, found {m}"));
            return;
        }
        for (i, (&arg, &wanted)) in args.iter().zip(wanted).enumerate() {
            if let Some(wanted) = wanted
                && arg != wanted
            {
                let (a, b) = (self.show(wanted), self.show(arg));
                self.error("N0525", format!("argument #{i} of the {what} must be of type {a}, found {b}"));
            }
        }
    }

    fn terminator(&mut self, what: &str, block: BlockId) -> Option<(OpId, Vec<Type>)> {
        let last = self.body.last_op(block).filter(|&op| Yield::is(self.ctx, self.body, op));
        match last {
            Some(op) => Some((op, self.body.operands(op).iter().map(|&v| self.body.ty(v)).collect())),
            None => {
                self.error("N0526", format!("the {what} must end with `dataflow.yield`"));
                None
            }
        }
    }

    /// Types that a body yields: the value of each write and the indices of scattered ones.
    fn body(&mut self) {
        let wanted: Vec<Option<Type>> = self.view.reads.iter().map(|m| m.argument_type(self.ctx, self.body)).collect();
        self.block_args("body", self.view.body, &wanted);
        let Some((end, types)) = self.terminator("body", self.view.body) else { return };
        let index = self.ctx.index_type();
        let mut expected: Vec<(String, Option<Type>)> = vec![];
        for (i, write) in self.view.writes.iter().enumerate() {
            // With an epilogue, what is reduced may have a type of its own.
            let value = if self.view.epilogue.is_some() { None } else { write.element(self.ctx) };
            expected.push((format!("the value of write #{i}"), value.map(|e| scalar_type(self.ctx, e))));
            if write.subset.is_none() {
                let rank = self.ctx.dims(write.ty).map_or(0, <[_]>::len);
                expected.extend((0..rank).map(|k| (format!("index #{k} of write #{i}"), Some(index))));
            }
        }
        self.yielded(end, &types, &expected);
        if types.len() == expected.len() {
            let mut at = 0;
            for (i, write) in self.view.writes.iter().enumerate() {
                if let Some(init) = write.init {
                    self.scalar(&format!("the start of write #{i}"), init, types[at]);
                }
                at += 1 + if write.subset.is_none() { self.ctx.dims(write.ty).map_or(0, <[_]>::len) } else { 0 };
            }
        }
    }

    fn yielded(&mut self, end: OpId, types: &[Type], expected: &[(String, Option<Type>)]) {
        let loc = self.body.loc(end);
        if types.len() != expected.len() {
            let names: Vec<&str> = expected.iter().map(|(n, _)| n.as_str()).collect();
            let message = format!("`dataflow.yield` must yield {} values, found {}", expected.len(), types.len());
            let mut diagnostic = Diagnostic::error("N0527", loc, message);
            if !names.is_empty() {
                diagnostic = diagnostic.note(format!("they are {}", names.join(", ")));
            }
            self.found.push(diagnostic);
            return;
        }
        for (&ty, (what, wanted)) in types.iter().zip(expected) {
            if let Some(wanted) = *wanted
                && ty != wanted
            {
                let message = format!("{what} must be of type {}, found {}", self.show(wanted), self.show(ty));
                self.found.push(Diagnostic::error("N0527", loc, message));
            }
        }
    }

    fn epilogue(&mut self) {
        let Some(block) = self.view.epilogue else {
            if !self.view.epilogue_reads.is_empty() {
                self.error("N0528", "a map without an epilogue has no epilogue reads".into());
            }
            return;
        };
        let body_end = self.view.body_yield(self.body);
        let reduced: Vec<Option<Type>> = match body_end {
            Some(op) => self.body.operands(op).iter().map(|&v| Some(self.body.ty(v))).collect(),
            None => vec![None; self.view.writes.len()],
        };
        let reads = self.view.epilogue_reads.iter().map(|m| m.argument_type(self.ctx, self.body));
        let wanted: Vec<Option<Type>> = reduced.into_iter().chain(reads).collect();
        self.block_args("epilogue", block, &wanted);
        // Only what is left when the reduction is complete may be asked for.
        let parallel = self.view.is_parallel(self.ctx);
        let exprs: Vec<Expr> = self
            .body
            .block_ops(block)
            .filter_map(|op| {
                self.ctx.as_expr(
                    crate::Index::is(self.ctx, self.body, op)
                        .then(|| crate::Index::expr(self.ctx, self.body, op))??,
                )
            })
            .collect();
        self.parallel_only("the epilogue", &exprs, &parallel);
        let Some((end, types)) = self.terminator("epilogue", block) else { return };
        let expected: Vec<(String, Option<Type>)> = self
            .view
            .writes
            .iter()
            .enumerate()
            .map(|(i, w)| (format!("the value of write #{i}"), w.element(self.ctx).map(|e| scalar_type(self.ctx, e))))
            .collect();
        self.yielded(end, &types, &expected);
    }
}
