//! Shape functions: result types from operand types and attributes, with symbolic dimensions. Written once, here;
//! the importer, the verifier and the shape inference pass all use them through the op tables.

mod contraction;
mod elementwise;
mod indexing;
mod layout;
mod reduction;
mod window;

pub use contraction::{einsum, matmul};
pub use elementwise::{
    broadcast, broadcast_dims, broadcast_mixed, broadcast_shapes, cast, compare, select, unary, unary_to_bool,
};
pub use indexing::{
    gather, gather_elements, gather_nd, nms, nonzero, range, scatter_elements, scatter_nd, topk, unique,
};
pub use layout::{
    broadcast_to, concat, constant, index, iota, pad, random, reshape, resize, shape_of, slice, transpose,
};
pub use reduction::{arg_reduce, cumsum, reduce};
pub use window::{conv, conv_transpose, pool, window_extent};

use nim_ir::{Diagnostic, Dim, Expr, ExprPool, InferInput, Type, TypeData};

/// Whether a tensor of these sizes, which are not negative, can be in any memory.
pub fn fits_memory(dims: &[i64]) -> bool {
    // The widest elements have 16 bytes; then bytes fit into 63 bits.
    const MOST: i64 = 1 << 59;
    dims.contains(&0) || dims.iter().try_fold(1i64, |n, &d| n.checked_mul(d)).is_some_and(|n| n < MOST)
}

/// Stands for a dimension of which nothing is known while shape functions compute; whatever mentions it in the
/// result is unknown again.
const UNKNOWN: &str = "?";

/// What shape functions read: operand shapes and attributes, with messages when something does not fit.
pub struct Shapes<'a> {
    input: &'a InferInput<'a>,
}

/// Result of a step of a shape function.
pub type Inferred<T> = Result<T, Diagnostic>;

impl<'a> Shapes<'a> {
    /// Wraps the input of a shape function.
    pub fn new(input: &'a InferInput<'a>) -> Self {
        Shapes { input }
    }
    /// The expression pool.
    pub fn pool(&self) -> &'a ExprPool {
        &self.input.ctx.exprs
    }
    /// An error about this op.
    pub fn error<T>(&self, message: impl Into<String>) -> Inferred<T> {
        Err(Diagnostic::error("N0401", self.input.loc, message))
    }
    /// Number of operands.
    pub fn count(&self) -> usize {
        self.input.operands.len()
    }
    /// Type of an operand.
    pub fn ty(&self, i: usize) -> Inferred<Type> {
        match self.input.operands.get(i) {
            Some(&ty) => Ok(ty),
            None => self.error(format!("operand {i} is missing")),
        }
    }
    /// Shape of an operand.
    pub fn dims(&self, i: usize) -> Inferred<Vec<Expr>> {
        let ty = self.ty(i)?;
        match self.input.ctx.dims(ty) {
            Some(dims) => Ok(dims.iter().map(|d| d.expr().unwrap_or_else(|| self.pool().named(UNKNOWN))).collect()),
            None => {
                let found = self.show(ty);
                self.error(format!("operand {i} must be a tensor of known rank, found {found}"))
            }
        }
    }
    /// Element type of an operand.
    pub fn element(&self, i: usize) -> Inferred<Type> {
        let ty = self.ty(i)?;
        match self.input.ctx.element_type(ty) {
            Some(e) => Ok(e),
            None => {
                let found = self.show(ty);
                self.error(format!("operand {i} must be a tensor, found {found}"))
            }
        }
    }
    /// A type as text.
    pub fn show(&self, ty: Type) -> String {
        self.input.ctx.display_type(ty)
    }
    /// A dimension as text.
    pub fn show_dim(&self, e: Expr) -> String {
        self.pool().display(e).to_string()
    }
    /// Reports operands of different element types.
    pub fn one_element_type(&self) -> Inferred<()> {
        for i in 1..self.count() {
            if self.element(i)? != self.element(0)? {
                let (a, b) = (self.show(self.ty(0)?), self.show(self.ty(i)?));
                return self.error(format!("operands must have one element type, found {a} and {b}"));
            }
        }
        Ok(())
    }
    /// A tensor type; dimensions that are not known become `?`.
    pub fn tensor(&self, dims: &[Expr], element: Type) -> Type {
        let unknown = self.pool().symbol(UNKNOWN);
        let dims: Vec<Dim> =
            dims.iter().map(|&d| if self.pool().mentions(d, unknown) { Dim::Unknown } else { Dim::Expr(d) }).collect();
        self.input.ctx.ty(TypeData::Tensor { dims, element, encoding: None })
    }
    /// A signless integer type.
    pub fn int(&self, width: u32) -> Type {
        self.input.ctx.int_type(width)
    }
    /// A constant dimension.
    pub fn num(&self, n: i64) -> Expr {
        self.pool().constant(n)
    }
    /// An integer attribute, or a default.
    pub fn int_attr(&self, name: &str, default: i64) -> Inferred<i64> {
        match self.input.attrs.get(self.input.ctx.name(name)) {
            None => Ok(default),
            Some(a) => self.input.ctx.as_int(a).map_or_else(|| self.error(format!("`{name}` must be an integer")), Ok),
        }
    }
    /// A boolean attribute, or a default.
    pub fn bool_attr(&self, name: &str, default: bool) -> Inferred<bool> {
        match self.input.attrs.get(self.input.ctx.name(name)) {
            None => Ok(default),
            Some(a) => self.input.ctx.as_bool(a).map_or_else(|| self.error(format!("`{name}` must be a bool")), Ok),
        }
    }
    /// A string attribute.
    pub fn str_attr(&self, name: &str) -> Inferred<&'a str> {
        match self.input.attrs.get(self.input.ctx.name(name)).and_then(|a| self.input.ctx.as_string(a)) {
            Some(s) => Ok(s),
            None => self.error(format!("needs the string attribute `{name}`")),
        }
    }
    /// An attribute with integers; `None` when absent.
    pub fn ints_opt(&self, name: &str) -> Inferred<Option<Vec<i64>>> {
        match self.input.attrs.get(self.input.ctx.name(name)) {
            None => Ok(None),
            Some(a) => match self.input.ctx.as_ints(a) {
                Some(v) => Ok(Some(v)),
                None => self.error(format!("`{name}` must be a list of integers")),
            },
        }
    }
    /// An attribute with expressions.
    pub fn exprs_attr(&self, name: &str) -> Inferred<Vec<Expr>> {
        match self.exprs_opt(name)? {
            Some(v) => Ok(v),
            None => self.error(format!("needs the attribute `{name}`")),
        }
    }
    /// An attribute with expressions; `None` when absent.
    pub fn exprs_opt(&self, name: &str) -> Inferred<Option<Vec<Expr>>> {
        match self.input.attrs.get(self.input.ctx.name(name)) {
            None => Ok(None),
            Some(a) => match self.input.ctx.as_exprs(a) {
                Some(v) => Ok(Some(v)),
                None => self.error(format!("`{name}` must be a list of expressions")),
            },
        }
    }
    /// One expression.
    pub fn expr_attr(&self, name: &str) -> Inferred<Expr> {
        match self.input.attrs.get(self.input.ctx.name(name)).and_then(|a| self.input.ctx.as_expr(a)) {
            Some(e) => Ok(e),
            None => self.error(format!("needs the expression `{name}`")),
        }
    }
    /// A type attribute.
    pub fn type_attr(&self, name: &str) -> Inferred<Type> {
        match self.input.attrs.get(self.input.ctx.name(name)).and_then(|a| self.input.ctx.as_type(a)) {
            Some(t) => Ok(t),
            None => self.error(format!("needs the type attribute `{name}`")),
        }
    }
    /// An axis attribute, counted from the end when negative, checked against the rank.
    pub fn axis(&self, name: &str, default: i64, rank: usize) -> Inferred<usize> {
        self.wrap_axis(self.int_attr(name, default)?, rank)
    }
    /// An axis counted from the end when negative, checked against the rank.
    pub fn wrap_axis(&self, axis: i64, rank: usize) -> Inferred<usize> {
        let wrapped = if axis < 0 { axis + rank as i64 } else { axis };
        match usize::try_from(wrapped) {
            Ok(a) if a < rank => Ok(a),
            _ => self.error(format!("axis {axis} lies outside a tensor of rank {rank}")),
        }
    }
    /// Reports two dimensions that must be equal and are provably not.
    pub fn same(&self, a: Expr, b: Expr, what: &str) -> Inferred<()> {
        if self.pool().prove_ne(a, b, &nim_ir::Facts::default()) {
            let (a, b) = (self.show_dim(a), self.show_dim(b));
            return self.error(format!("{what} must be equal, found {a} and {b}"));
        }
        Ok(())
    }
    /// One result. Sizes that are known must be sizes, and no tensor is larger than memory can be.
    pub fn one(&self, dims: &[Expr], element: Type) -> Inferred<Vec<Type>> {
        let ty = self.tensor(dims, element);
        let known: Option<Vec<i64>> = dims.iter().map(|&d| self.pool().as_const(d)).collect();
        if let Some(n) = dims.iter().filter_map(|&d| self.pool().as_const(d)).find(|&n| n < 0) {
            return self.error(format!("the result would have a dimension of size {n}: {}", self.show(ty)));
        }
        if known.is_some_and(|known| !fits_memory(&known)) {
            return self.error(format!("{} is larger than any memory", self.show(ty)));
        }
        Ok(vec![ty])
    }
}
