//! Types as text.

use super::Printer;
use crate::strings;
use nim_ir::{Attr, Dim, Type, TypeData};

impl Printer<'_> {
    pub(super) fn ty(&mut self, ty: Type) {
        if let Some(text) = self.types.get(&ty) {
            return self.out.push_str(text);
        }
        let start = self.out.len();
        self.type_text(ty);
        // Long ones have others in them, which would be kept as often as they are nested.
        if self.out.len() - start <= 256 {
            self.types.insert(ty, self.out[start..].into());
        }
    }

    fn type_text(&mut self, ty: Type) {
        let ctx = self.ctx;
        match ctx.type_data(ty) {
            TypeData::Complex(element) => {
                self.push("complex<");
                self.ty(*element);
                self.push(">");
            }
            TypeData::Tuple(types) => {
                self.push("tuple<");
                self.type_list(types);
                self.push(">");
            }
            TypeData::Function { inputs, results } => self.signature(inputs.iter().copied(), results.iter().copied()),
            TypeData::Tensor { dims, element, encoding } => {
                self.push("tensor<");
                self.dims(dims);
                self.ty(*element);
                if self.opts.generic && self.has_names(dims) {
                    self.push(", #sym.dims<");
                    self.dim_names(dims);
                    if let Some(encoding) = encoding {
                        self.push(", ");
                        self.attr(*encoding);
                    }
                    self.push(">");
                } else if let Some(encoding) = encoding {
                    self.push(", ");
                    self.attr(*encoding);
                }
                self.push(">");
            }
            TypeData::UnrankedTensor(element) => {
                self.push("tensor<*x");
                self.ty(*element);
                self.push(">");
            }
            TypeData::MemRef { dims, element, layout, space } => {
                self.push("memref<");
                self.dims(dims);
                self.ty(*element);
                if let Some(layout) = layout {
                    self.push(", ");
                    self.attr(*layout);
                }
                if self.opts.generic && self.has_names(dims) {
                    self.push(", {sym.dims = ");
                    self.dim_names(dims);
                    if let Some(space) = space {
                        self.push(", sym.space = ");
                        self.attr(*space);
                    }
                    self.push("}");
                } else {
                    self.memory_space(*space);
                }
                self.push(">");
            }
            TypeData::UnrankedMemRef { element, space } => {
                self.push("memref<*x");
                self.ty(*element);
                self.memory_space(*space);
                self.push(">");
            }
            TypeData::Vector { dims, element } => {
                self.push("vector<");
                for &(size, scalable) in dims {
                    self.push(&if scalable { format!("[{size}]x") } else { format!("{size}x") });
                }
                self.ty(*element);
                self.push(">");
            }
            TypeData::Dialect { name, params } => {
                self.push("!");
                self.push(ctx.str(*name));
                if !params.is_empty() {
                    self.push("<");
                    self.commas(params, |p, &param| p.attr(param));
                    self.push(">");
                }
            }
            TypeData::None | TypeData::Index | TypeData::Integer { .. } | TypeData::Float(_) | TypeData::Opaque(_) => {
                let text = ctx.display_type(ty);
                self.push(&text);
            }
        }
    }

    pub(super) fn type_list(&mut self, types: &[Type]) {
        self.commas(types, |p, &ty| p.ty(ty));
    }

    /// `(inputs) -> results`; one result that is no function stands without parentheses.
    pub(super) fn signature(
        &mut self,
        inputs: impl Iterator<Item = Type>,
        results: impl ExactSizeIterator<Item = Type> + Clone,
    ) {
        self.push("(");
        self.commas(inputs, Self::ty);
        self.push(") -> ");
        let alone = (results.len() == 1).then(|| results.clone().next()).flatten();
        match alone.filter(|&ty| !matches!(self.ctx.type_data(ty), TypeData::Function { .. })) {
            Some(result) => self.ty(result),
            None => {
                self.push("(");
                self.commas(results, Self::ty);
                self.push(")");
            }
        }
    }

    fn memory_space(&mut self, space: Option<Attr>) {
        if let Some(space) = space {
            self.push(", ");
            self.attr_short(space);
        }
    }

    /// Dimensions, each with its `x`.
    fn dims(&mut self, dims: &[Dim]) {
        for &dim in dims {
            match (dim, self.ctx.dim_const(dim)) {
                (_, Some(size)) => self.push(&format!("{size}x")),
                (Dim::Expr(expr), None) if !self.opts.generic => {
                    let text = self.ctx.exprs.display(expr).to_string();
                    self.push(&format!("[{text}]x"));
                }
                _ => self.push("?x"),
            }
        }
    }
    fn has_names(&self, dims: &[Dim]) -> bool {
        dims.iter().any(|&d| d != Dim::Unknown && self.ctx.dim_const(d).is_none())
    }
    /// `["N", 300, "?"]`
    fn dim_names(&mut self, dims: &[Dim]) {
        self.push("[");
        self.commas(dims, |p, &dim| match (dim, p.ctx.dim_const(dim)) {
            (_, Some(size)) => p.push(&size.to_string()),
            (Dim::Expr(expr), None) => {
                let text = p.ctx.exprs.display(expr).to_string();
                p.push(&strings::quote(&text));
            }
            (Dim::Unknown, None) => p.push("\"?\""),
        });
        self.push("]");
    }
}
