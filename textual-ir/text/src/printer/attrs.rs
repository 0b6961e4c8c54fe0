//! Attributes as text.

use super::Printer;
use crate::{numbers, strings};
use nim_ir::{Attr, AttrData, AttrKind, AttrList, Context, Expr, FloatKind, Name, Type, TypeData, attrs::Elements};
use nim_tensor::{DType, f64_of, i64_of};
use std::fmt::Write as _;

/// Elements beyond this number are written in hexadecimal, as upstream does.
const HEX_ELEMENTS: usize = 100;

/// Attributes that are text without `#`.
const VERBATIM: [&str; 4] = ["affine_map<", "affine_set<", "strided<", "distinct["];

/// How many elements the longest list of `dense<...>` or `sparse<...>` has that is kept as text; 0 of what has no list.
fn written(ctx: &Context, text: &str, ty: Type) -> usize {
    let Some(inside) = text.strip_prefix("dense<").or_else(|| text.strip_prefix("sparse<")) else { return 0 };
    if inside.starts_with('"') {
        let dims = ctx.static_dims(ty).unwrap_or_default();
        return dims.iter().fold(1, |n, &d| n.saturating_mul(usize::try_from(d).unwrap_or(0)));
    }
    let (mut longest, mut count, mut depth, mut pair) = (0, 0, 0usize, false);
    let (mut quoted, mut escaped, mut between) = (false, false, true);
    for c in inside.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => {
                count += usize::from(!quoted && !pair && depth > 0);
                quoted = !quoted;
                between = false;
            }
            _ if quoted => {}
            '[' => (depth, between) = (depth + 1, true),
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => (longest, count) = (longest.max(count), 0),
            ',' => between = true,
            '>' if depth == 0 => break,
            _ if c.is_whitespace() => {}
            _ => {
                // The second half of a complex number is no element of its own.
                count += usize::from(between && !pair && depth > 0);
                pair = if c == '(' { true } else { pair && c != ')' };
                between = false;
            }
        }
    }
    longest.max(count)
}

impl Printer<'_> {
    /// An attribute; numbers with their type.
    pub(super) fn attr(&mut self, attr: Attr) {
        self.attr_typed(attr, true);
    }
    /// An attribute; without the type where it is the one a number has by itself.
    pub(super) fn attr_short(&mut self, attr: Attr) {
        self.attr_typed(attr, false);
    }

    fn attr_typed(&mut self, attr: Attr, typed: bool) {
        let ctx = self.ctx;
        match ctx.attr_data(attr) {
            AttrData::Unit => self.push("unit"),
            AttrData::Bool(value) => self.push(if *value { "true" } else { "false" }),
            AttrData::Int { value, ty } => {
                let _ = write!(self.out, "{value}");
                if typed || *ty != ctx.int_type(64) {
                    self.push(" : ");
                    self.ty(*ty);
                }
            }
            AttrData::Float { bits, ty } => {
                let value = f64::from_bits(*bits);
                let text = numbers::float_literal(ctx, *ty, value);
                self.push(&text);
                // Hexadecimal bits are an integer unless the type says otherwise.
                if typed || *ty != ctx.float_type(FloatKind::F64) || !value.is_finite() {
                    self.push(" : ");
                    self.ty(*ty);
                }
            }
            AttrData::String(text) => self.push(&strings::quote(ctx.str(*text))),
            AttrData::Array(items) => {
                self.push("[");
                self.commas(items, |p, &item| p.attr_short(item));
                self.push("]");
            }
            AttrData::Dict(items) => {
                self.push("{");
                self.commas(items, |p, &(name, attr)| p.named_attr(name, attr, None));
                self.push("}");
            }
            AttrData::Type(ty) => self.ty(*ty),
            AttrData::SymbolRef(path) => {
                for (i, &name) in path.iter().enumerate() {
                    self.push(if i > 0 { "::" } else { "" });
                    self.push(&strings::symbol(ctx.str(name)));
                }
            }
            AttrData::Dense { ty, elements } => self.dense(*ty, elements),
            AttrData::DenseStrings { ty, elements } => {
                if self.elides(elements.len()) {
                    return self.elided(*ty);
                }
                self.push("dense<");
                let texts: Vec<String> = elements.iter().map(|&e| strings::quote(ctx.str(e))).collect();
                self.lists(*ty, &texts);
                self.push("> : ");
                self.ty(*ty);
            }
            AttrData::DenseResource { ty, key } => {
                self.resources.push(*key);
                self.push(&format!("dense_resource<{}> : ", strings::key(ctx.str(*key))));
                self.ty(*ty);
            }
            AttrData::DenseArray { element, values } => {
                self.push("array<");
                self.ty(*element);
                let float = matches!(ctx.type_data(*element), TypeData::Float(_));
                let bool = *element == ctx.int_type(1);
                for (i, &value) in values.iter().enumerate() {
                    self.push(if i == 0 { ": " } else { ", " });
                    let text = match value {
                        v if float => numbers::float_literal(ctx, *element, f64::from_bits(v as u64)),
                        v if bool => (v != 0).to_string(),
                        v => v.to_string(),
                    };
                    self.push(&text);
                }
                self.push(">");
            }
            AttrData::Expr(expr) => {
                let text = ctx.exprs.display(*expr).to_string();
                self.push(&format!("#sym.expr<{}>", strings::quote(&text)));
            }
            AttrData::Loc(loc) => self.location(*loc),
            AttrData::Verbatim { text, ty } => match (ctx.str(*text), ty) {
                (text, Some(ty)) if self.opts.elide_elements.is_some() && self.elides(written(ctx, text, *ty)) => {
                    self.elided(*ty);
                }
                (text, _) => self.push(text),
            },
            AttrData::Opaque(text) => {
                let text = ctx.str(*text);
                if !VERBATIM.iter().any(|start| text.starts_with(start)) {
                    self.push("#");
                }
                self.push(text);
            }
        }
    }

    fn elides(&self, count: usize) -> bool {
        self.opts.elide_elements.is_some_and(|limit| count > limit)
    }

    fn elided(&mut self, ty: Type) {
        self.push("dense_resource<__elided__> : ");
        self.ty(ty);
    }

    fn dense(&mut self, ty: Type, elements: &Elements) {
        let ctx = self.ctx;
        let Some(dtype) = ctx.dtype_of(ty) else { return self.elided(ty) };
        let size = dtype.size().max(1);
        let count = elements.bytes.len() / size;
        if !elements.splat && self.elides(count) {
            return self.elided(ty);
        }
        self.push("dense<");
        let element = ctx.element_type(ty).unwrap_or(ty);
        if elements.splat {
            let text = self.element_text(dtype, element, &elements.bytes);
            self.push(&text);
        } else if count > HEX_ELEMENTS && dtype != DType::Bool {
            let bytes = numbers::elements_little_endian(dtype, &elements.bytes);
            self.push(&format!("\"{}\"", strings::hex(&bytes)));
        } else {
            let texts: Vec<String> =
                elements.bytes.chunks_exact(size).map(|b| self.element_text(dtype, element, b)).collect();
            self.lists(ty, &texts);
        }
        self.push("> : ");
        self.ty(ty);
    }

    fn element_text(&self, dtype: DType, element: Type, bytes: &[u8]) -> String {
        let ctx = self.ctx;
        match dtype {
            DType::Bool => (bytes.first() != Some(&0)).to_string(),
            DType::C64 | DType::C128 => {
                let (part, kind) = match dtype {
                    DType::C64 => (DType::F32, FloatKind::F32),
                    _ => (DType::F64, FloatKind::F64),
                };
                let (re, im) = bytes.split_at(bytes.len().min(part.size()));
                let text = |b: &[u8]| numbers::float_literal(ctx, ctx.float_type(kind), f64_of(part, b));
                format!("({}, {})", text(re), text(im))
            }
            _ if dtype.is_float() => match f64_of(dtype, bytes) {
                x if x.is_finite() => numbers::float_literal(ctx, element, x),
                // The bits as they are: a NaN keeps its payload.
                _ => numbers::bits_literal(dtype, bytes),
            },
            DType::U64 => (i64_of(dtype, bytes).unwrap_or_default() as u64).to_string(),
            _ => i64_of(dtype, bytes).unwrap_or_default().to_string(),
        }
    }

    /// Elements in nested lists of the type's shape.
    fn lists(&mut self, ty: Type, texts: &[String]) {
        let dims: Vec<usize> = match self.ctx.type_data(ty) {
            TypeData::Vector { dims, .. } => dims.iter().map(|&(d, _)| d as usize).collect(),
            _ => self.ctx.static_dims(ty).unwrap_or_default().into_iter().map(|d| d as usize).collect(),
        };
        if texts.is_empty() {
            return;
        }
        if dims.iter().product::<usize>() != texts.len() {
            // A malformed attribute, shown as what it holds.
            return self.nested_list(&[texts.len()], texts);
        }
        self.nested_list(&dims, texts);
    }
    fn nested_list(&mut self, dims: &[usize], texts: &[String]) {
        let Some((&first, rest)) = dims.split_first() else {
            return self.push(texts.first().map_or("", String::as_str));
        };
        let step = texts.len() / first.max(1);
        self.push("[");
        self.commas(0..first, |p, i| p.nested_list(rest, &texts[i * step..(i + 1) * step]));
        self.push("]");
    }

    /// `name = attr`, or `name` alone for `unit`.
    pub(super) fn named_attr(&mut self, name: Name, attr: Attr, kind: Option<AttrKind>) {
        let text = self.ctx.str(name);
        match strings::is_bare_id(text) {
            true => self.push(text),
            false => self.push(&strings::quote(text)),
        }
        if !matches!(self.ctx.attr_data(attr), AttrData::Unit) {
            self.push(" = ");
            self.attr_of_kind(attr, kind);
        }
    }

    /// An attribute; expressions without decoration where the op's table says that they are.
    pub(super) fn attr_of_kind(&mut self, attr: Attr, kind: Option<AttrKind>) {
        let ctx = self.ctx;
        match (kind, ctx.attr_data(attr)) {
            (Some(AttrKind::Expr), AttrData::Expr(expr)) => self.expr_text(*expr),
            (Some(AttrKind::Exprs), AttrData::Array(items)) => {
                let exprs = items.iter().map(|&a| match ctx.attr_data(a) {
                    AttrData::Expr(expr) => Some(*expr),
                    _ => None,
                });
                match exprs.collect::<Option<Vec<Expr>>>() {
                    Some(exprs) => {
                        self.push("[");
                        self.commas(exprs, Self::expr_text);
                        self.push("]");
                    }
                    None => self.attr(attr),
                }
            }
            _ => self.attr(attr),
        }
    }

    /// `3072*N`; symbols that stand for values as the values.
    pub(super) fn expr_text(&mut self, expr: Expr) {
        let pool = &self.ctx.exprs;
        let mut text = pool.display(expr).to_string();
        if text.contains("\"%") {
            for symbol in pool.symbols(expr) {
                let name = pool.symbol_name(symbol);
                if name.starts_with('%') {
                    text = text.replace(&pool.display_symbol(symbol).to_string(), name);
                }
            }
        }
        self.push(&text);
    }

    /// ` {a = 1}` of what is not elided; `before` stands before the brace.
    pub(super) fn dict(&mut self, attrs: &AttrList, elided: &[&str], before: &str) {
        let op = self.op;
        let shown: Vec<(Name, Attr)> = attrs.iter().filter(|(n, _)| !elided.contains(&self.ctx.str(*n))).collect();
        if shown.is_empty() {
            return;
        }
        self.push(before);
        self.push("{");
        self.commas(shown, |p, (name, attr)| {
            let kind = op.and_then(|op| op.attr(p.ctx.str(name))).map(|a| a.kind);
            p.named_attr(name, attr, kind);
        });
        self.push("}");
    }
}
