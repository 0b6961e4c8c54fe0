//! Text form of `dataflow.map`; see the op's documentation.

use crate::{Combine, Map, MapView, iv_index};
use nim_builtin::syntax::{error, error_at, print_attrs, result_types, set, set_segments, unknown_word};
use nim_ir::{
    Attr, Expr, OpId, OpState, Type, ValueId,
    syntax::{AsmParser, AsmPrinter, OperandName, Parse},
};

/// Attributes that the syntax spells out.
const SPELLED: [&str; 9] = [
    "operandSegmentSizes",
    "domain",
    "reads",
    "borders",
    "epilogue_reads",
    "writes",
    "combine",
    "inits",
    "init_operands",
];

/// `[e, f]` as an array of expressions, or `[*]` as `unit`.
fn parse_subset(p: &mut dyn AsmParser) -> Parse<Attr> {
    p.expect("[")?;
    if p.accept("*") {
        p.expect("]")?;
        return Ok(p.ctx().unit_attr());
    }
    let mut exprs = vec![];
    if !p.accept("]") {
        loop {
            exprs.push(p.expr()?);
            if !p.accept(",") {
                break;
            }
        }
        p.expect("]")?;
    }
    Ok(p.ctx().exprs_attr(&exprs))
}

/// `[$0 < N, $1 < 3072]`
fn parse_domain(p: &mut dyn AsmParser) -> Parse<Vec<Expr>> {
    let mut domain: Vec<Expr> = vec![];
    p.expect("[")?;
    if !p.accept("]") {
        loop {
            let loc = p.loc();
            let variable = p.expr()?;
            let k = p.ctx().exprs.as_symbol(variable).and_then(|s| iv_index(p.ctx(), s));
            if k != Some(domain.len()) {
                return error_at(p, loc, format!("expected the iteration variable `${}`", domain.len()));
            }
            p.expect("<")?;
            domain.push(p.expr()?);
            if !p.accept(",") {
                break;
            }
        }
        p.expect("]")?;
    }
    Ok(domain)
}

/// `%a = %x[i, j]`: the block argument, the container and the subset.
fn parse_memlet(p: &mut dyn AsmParser) -> Parse<(OperandName, ValueId, Attr)> {
    let argument = p.operand()?;
    p.expect("=")?;
    let (value, subset) = parse_source(p)?;
    Ok((argument, value, subset))
}

/// `%x[i, j]`
fn parse_source(p: &mut dyn AsmParser) -> Parse<(ValueId, Attr)> {
    let value = p.operand()?;
    let value = p.resolve_defined(value)?;
    Ok((value, parse_subset(p)?))
}

fn argument_type(p: &dyn AsmParser, value: ValueId, subset: Attr) -> Type {
    let (ctx, ty) = (p.ctx(), p.body().ty(value));
    if subset == ctx.unit_attr() {
        return ty;
    }
    ctx.element_type(ty).map_or(ty, |e| crate::scalar_type(ctx, e))
}

pub(crate) fn parse(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let domain = parse_domain(p)?;
    let unit = p.ctx().unit_attr();

    let (mut reads, mut subsets, mut borders, mut args) = (vec![], vec![], vec![], vec![]);
    if p.accept("reads") {
        p.expect("(")?;
        while !p.accept(")") {
            let (argument, value, subset) = parse_memlet(p)?;
            borders.push(if p.accept("else") { p.attr()? } else { unit });
            args.push((argument, argument_type(p, value, subset)));
            reads.push(value);
            subsets.push(subset);
            if !p.accept(",") {
                p.expect(")")?;
                break;
            }
        }
    }

    let (mut writes, mut combine, mut inits, mut from_operand, mut starts) = (vec![], vec![], vec![], vec![], vec![]);
    p.expect("writes")?;
    p.expect("(")?;
    while !p.accept(")") {
        writes.push(parse_subset(p)?);
        combine.push(parse_combine(p)?);
        inits.push(if p.accept("init") { p.attr()? } else { unit });
        let into = p.accept("into");
        if into {
            let value = p.operand()?;
            starts.push(p.resolve_defined(value)?);
        }
        from_operand.push(into);
        if !p.accept(",") {
            p.expect(")")?;
            break;
        }
    }
    if p.accept("attributes") {
        p.attr_dict(&mut state.attrs)?;
    }
    p.region(state, &args)?;

    let (mut epilogue_values, mut epilogue_subsets) = (vec![], vec![]);
    if p.accept("epilogue") {
        p.expect("(")?;
        // Reduced values first; what has a `=` is a read.
        let (mut reduced, mut read_args) = (vec![], vec![]);
        while p.peek_operand() {
            let argument = p.operand()?;
            if p.accept("=") {
                let (value, subset) = parse_source(p)?;
                read_args.push((argument, argument_type(p, value, subset)));
                epilogue_values.push(value);
                epilogue_subsets.push(subset);
            } else if epilogue_values.is_empty() {
                reduced.push(argument);
            } else {
                return error(p, "expected `=`: reduced values stand before what is read");
            }
            if !p.accept(",") {
                break;
            }
        }
        let mut args = typed_reduced(p, state, reduced)?;
        args.extend(read_args);
        p.expect(")")?;
        p.region(state, &args)?;
    }

    let types = if writes.is_empty() { vec![] } else { p.expect(":").and_then(|()| p.types())? };
    if types.len() != writes.len() {
        return error(p, format!("{} writes, but {} result types", writes.len(), types.len()));
    }
    let ctx = p.ctx();
    let domain = ctx.exprs_attr(&domain);
    let any_border = borders.iter().any(|&b| b != unit);
    let arrays = [
        ("reads", Some(subsets)),
        ("borders", any_border.then_some(borders)),
        ("epilogue_reads", (!epilogue_subsets.is_empty()).then_some(epilogue_subsets)),
        ("writes", Some(writes)),
        ("combine", Some(combine)),
        ("inits", Some(inits)),
        (
            "init_operands",
            (!starts.is_empty()).then(|| from_operand.iter().map(|&b| ctx.bool_attr(b)).collect::<Vec<_>>()),
        ),
    ];
    let arrays = arrays.map(|(name, items)| (name, items.map(|items| ctx.array_attr(items))));
    set(p, state, "domain", domain);
    for (name, array) in arrays {
        if let Some(array) = array {
            set(p, state, name, array);
        }
    }
    set_segments(p, &mut state.attrs, &[reads.len(), epilogue_values.len(), starts.len()]);
    state.operands = [reads, epilogue_values, starts].concat();
    state.results = types;
    Ok(())
}

/// The combiner's name, or nothing for `none`.
fn parse_combine(p: &mut dyn AsmParser) -> Parse<Attr> {
    for (combine, name) in Combine::NAMES {
        if p.accept(name) {
            return Ok(p.ctx().string_attr(combine.name()));
        }
    }
    if [",", ")", "init", "into"].iter().any(|t| p.peek(t)) {
        return Ok(p.ctx().string_attr("none"));
    }
    let loc = p.loc();
    let word = p.keyword()?;
    let word = p.ctx().str(word).to_string();
    unknown_word(p, loc, "combiner", &word, &Combine::NAMES.map(|(_, n)| n))
}

/// Names of the reduced values with their types, which are what the body yields.
fn typed_reduced(p: &mut dyn AsmParser, state: &OpState, names: Vec<OperandName>) -> Parse<Vec<(OperandName, Type)>> {
    let body = p.body();
    let last = state.regions.last().and_then(|&r| body.entry_block(r)).and_then(|b| body.last_op(b));
    let types: Vec<Type> = last.map(|op| body.operands(op).iter().map(|&v| body.ty(v)).collect()).unwrap_or_default();
    if types.len() != names.len() {
        return error(p, format!("the body yields {} values, the epilogue takes {}", types.len(), names.len()));
    }
    Ok(names.into_iter().zip(types).collect())
}

fn print_subset(p: &mut dyn AsmPrinter, subset: Option<&[Expr]>) {
    p.text("[");
    match subset {
        None => p.text("*"),
        Some(exprs) => {
            for (i, &e) in exprs.iter().enumerate() {
                if i > 0 {
                    p.text(", ");
                }
                p.expr(e);
            }
        }
    }
    p.text("]");
}

fn comma(p: &mut dyn AsmPrinter, i: usize) {
    if i > 0 {
        p.text(", ");
    }
}

pub(crate) fn print(p: &mut dyn AsmPrinter, op: OpId) {
    // An op whose parts do not fit together is printed by what it has, so that a message can show it.
    let Some(view) = MapView::new(p.ctx(), p.body(), op) else {
        p.text(" <malformed>");
        print_attrs(p, op, &[]);
        return;
    };
    p.text(" [");
    for (k, &extent) in view.domain.iter().enumerate() {
        comma(p, k);
        p.text(&format!("${k} < "));
        p.expr(extent);
    }
    p.text("]");
    if !view.reads.is_empty() {
        p.text(" reads(");
        let args = view.body_args(p.body()).to_vec();
        for (i, (memlet, arg)) in view.reads.iter().zip(args).enumerate() {
            comma(p, i);
            p.value(arg);
            p.text(" = ");
            p.value(memlet.value);
            print_subset(p, memlet.subset.as_deref());
            if let Some(border) = memlet.border {
                p.text(" else ");
                p.attr(border);
            }
        }
        p.text(")");
    }
    p.text(" writes(");
    for (i, write) in view.writes.iter().enumerate() {
        comma(p, i);
        print_subset(p, write.subset.as_deref());
        if write.combine != Combine::None {
            p.text(" ");
            p.text(write.combine.name());
        }
        if let Some(init) = write.init {
            p.text(" init ");
            p.attr(init);
        }
        if let Some(value) = write.init_value {
            p.text(" into ");
            p.value(value);
        }
    }
    p.text(")");
    let (ctx, attrs) = (p.ctx(), p.body().attrs(op).clone());
    if attrs.iter().any(|(n, _)| !SPELLED.contains(&ctx.str(n))) {
        p.text(" attributes");
        print_attrs(p, op, &SPELLED);
    }
    p.text(" ");
    let body = Map::body(p.ctx(), p.body(), op);
    p.region(body, false, true);
    if let Some(region) = Map::epilogue(p.ctx(), p.body(), op) {
        let args = view.epilogue_args(p.body()).to_vec();
        let (reduced, reads) = args.split_at(view.writes.len().min(args.len()));
        p.text(" epilogue(");
        p.values(reduced);
        for (i, (memlet, &arg)) in view.epilogue_reads.iter().zip(reads).enumerate() {
            comma(p, i + reduced.len());
            p.value(arg);
            p.text(" = ");
            p.value(memlet.value);
            print_subset(p, memlet.subset.as_deref());
        }
        p.text(") ");
        p.region(region, false, true);
    }
    let types = result_types(p, op);
    if !types.is_empty() {
        p.text(" : ");
        p.types(&types);
    }
}
