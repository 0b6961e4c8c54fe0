//! Attributes: compile-time data on ops.

use crate::{Context, Loc, Name, Type, types::TypeData};
use nim_expr::Expr;
use nim_tensor::Blob;
use std::hash::{Hash, Hasher};

/// An interned attribute. Equal attributes have equal handles.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Attr(pub(crate) u32);

/// Elements written out in the IR: row-major bytes of the host element type, or one element that stands for all.
#[derive(Clone, Debug)]
pub struct Elements {
    /// Bytes as in [`nim_tensor::Tensor`]; of one element when `splat`.
    pub bytes: Blob,
    /// One element for all.
    pub splat: bool,
}
impl PartialEq for Elements {
    fn eq(&self, other: &Elements) -> bool {
        self.splat == other.splat && self.bytes == other.bytes
    }
}
impl Eq for Elements {}
impl Hash for Elements {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.splat.hash(state);
        self.bytes.hash(state);
    }
}

/// What an attribute says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum AttrData {
    /// `unit`
    Unit,
    /// `true`, `false`
    Bool(bool),
    /// `5 : i64`
    Int {
        /// Value.
        value: i128,
        /// Integer type or `index`.
        ty: Type,
    },
    /// `5.0 : f32`; the value as the bits of an `f64`.
    Float {
        /// `f64::to_bits`.
        bits: u64,
        /// Float type.
        ty: Type,
    },
    /// `"text"`
    String(Name),
    /// `[a, b]`
    Array(Vec<Attr>),
    /// `{a = 1, b}`, sorted by the names' text.
    Dict(Vec<(Name, Attr)>),
    /// `tensor<4xf32>`
    Type(Type),
    /// `@root::@nested`
    SymbolRef(Vec<Name>),
    /// `dense<...> : type`
    Dense {
        /// Tensor or vector type.
        ty: Type,
        /// Elements.
        elements: Elements,
    },
    /// `dense<["a", "b"]> : tensor<2x!graph.string>`
    DenseStrings {
        /// Tensor type.
        ty: Type,
        /// Elements.
        elements: Vec<Name>,
    },
    /// `dense_resource<key> : type`: elements in the context's resources.
    DenseResource {
        /// Tensor type.
        ty: Type,
        /// Key in the resources.
        key: Name,
    },
    /// `array<i64: 1, 2>`; floats as `f64` bits, booleans as 0 and 1.
    DenseArray {
        /// Element type: `i1`, `i8` to `i64`, `f32`, `f64`.
        element: Type,
        /// Values.
        values: Vec<i64>,
    },
    /// `#sym.expr<"2*N + 1">`: a symbolic integer expression.
    Expr(Expr),
    /// `loc(...)`
    Loc(Loc),
    /// An attribute we keep as text: everything after `#` of a dialect's attribute, or `affine_map<...>`,
    /// `affine_set<...>`, `strided<...>`, `sparse<...>`, `distinct[..]<..>` as they stand.
    Opaque(Name),
    /// An attribute that the other kinds cannot hold, as it stands with its type: `"text" : i32`, integers beyond 128
    /// bits, `f80` and `f128`, elements of types that hosts do not have.
    Verbatim {
        /// The text, with its type.
        text: Name,
        /// The type, where it has one.
        ty: Option<Type>,
    },
}

/// Attributes of one op, sorted by the text of their names.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct AttrList(pub(crate) smallvec::SmallVec<[(Name, Attr); 2]>);

impl Clone for AttrList {
    #[inline]
    fn clone(&self) -> AttrList {
        // One copy of bytes, where the vector's own would go item by item.
        AttrList(smallvec::SmallVec::from_slice(&self.0))
    }
}

impl AttrList {
    /// No attribute.
    pub fn new() -> AttrList {
        AttrList::default()
    }
    /// The attribute of a name.
    #[inline]
    pub fn get(&self, name: Name) -> Option<Attr> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, a)| *a)
    }
    /// The attribute whose name is this text; looks at the few there are, where interning would cost more.
    pub fn get_text(&self, ctx: &Context, name: &str) -> Option<Attr> {
        self.0.iter().find(|(n, _)| ctx.str(*n) == name).map(|(_, a)| *a)
    }
    /// Sets or replaces; keeps the order by text.
    pub fn set(&mut self, ctx: &Context, name: Name, attr: Attr) {
        match self.0.binary_search_by(|(n, _)| ctx.str(*n).cmp(ctx.str(name))) {
            Ok(i) => self.0[i].1 = attr,
            Err(i) => self.0.insert(i, (name, attr)),
        }
    }
    /// Adds attributes whose names are not there yet, many at once.
    pub fn extend(&mut self, ctx: &Context, more: impl IntoIterator<Item = (Name, Attr)>) {
        self.0.extend(more);
        self.0.sort_by(|(a, _), (b, _)| ctx.str(*a).cmp(ctx.str(*b)));
    }
    /// Removes; returns what was there.
    pub fn remove(&mut self, name: Name) -> Option<Attr> {
        let i = self.0.iter().position(|(n, _)| *n == name)?;
        Some(self.0.remove(i).1)
    }
    /// Names and attributes.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (Name, Attr)> + '_ {
        self.0.iter().copied()
    }
    /// Number of attributes.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// True when there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Context {
    /// Interns an attribute.
    pub fn attr(&self, data: AttrData) -> Attr {
        Attr(self.attrs.intern(data))
    }
    /// What an attribute says.
    #[inline]
    pub fn attr_data(&self, attr: Attr) -> &AttrData {
        self.attrs.get(attr.0)
    }
    /// `unit`
    pub fn unit_attr(&self) -> Attr {
        self.attr(AttrData::Unit)
    }
    /// `true` or `false`
    pub fn bool_attr(&self, value: bool) -> Attr {
        self.attr(AttrData::Bool(value))
    }
    /// An integer of a given type.
    pub fn int_attr(&self, value: i128, ty: Type) -> Attr {
        self.attr(AttrData::Int { value, ty })
    }
    /// `value : i64`
    pub fn i64_attr(&self, value: i64) -> Attr {
        self.int_attr(value as i128, self.int_type(64))
    }
    /// `value : index`
    pub fn index_attr(&self, value: i64) -> Attr {
        self.int_attr(value as i128, self.index_type())
    }
    /// A float of a given type; the value is kept as an `f64`.
    pub fn float_attr(&self, value: f64, ty: Type) -> Attr {
        self.attr(AttrData::Float { bits: value.to_bits(), ty })
    }
    /// `"text"`
    pub fn string_attr(&self, text: &str) -> Attr {
        self.attr(AttrData::String(self.name(text)))
    }
    /// `[...]`
    pub fn array_attr(&self, items: impl IntoIterator<Item = Attr>) -> Attr {
        self.attr(AttrData::Array(items.into_iter().collect()))
    }
    /// `{...}`, sorted here.
    pub fn dict_attr(&self, items: impl IntoIterator<Item = (Name, Attr)>) -> Attr {
        let mut items: Vec<_> = items.into_iter().collect();
        items.sort_by(|a, b| self.str(a.0).cmp(self.str(b.0)));
        self.attr(AttrData::Dict(items))
    }
    /// `@name`
    pub fn symbol_ref(&self, name: &str) -> Attr {
        self.attr(AttrData::SymbolRef(vec![self.name(name)]))
    }
    /// `array<i64: ...>`
    pub fn i64_array(&self, values: &[i64]) -> Attr {
        self.attr(AttrData::DenseArray { element: self.int_type(64), values: values.to_vec() })
    }
    /// `array<i32: ...>`
    pub fn i32_array(&self, values: &[i64]) -> Attr {
        self.attr(AttrData::DenseArray { element: self.int_type(32), values: values.to_vec() })
    }
    /// A symbolic expression.
    pub fn expr_attr(&self, expr: Expr) -> Attr {
        self.attr(AttrData::Expr(expr))
    }
    /// An array of symbolic expressions.
    pub fn exprs_attr(&self, exprs: &[Expr]) -> Attr {
        self.array_attr(exprs.iter().map(|&e| self.expr_attr(e)))
    }

    /// The integer of an integer or boolean attribute.
    pub fn as_int(&self, attr: Attr) -> Option<i64> {
        match self.attr_data(attr) {
            AttrData::Int { value, .. } => i64::try_from(*value).ok(),
            AttrData::Bool(b) => Some(*b as i64),
            _ => None,
        }
    }
    /// The truth value.
    pub fn as_bool(&self, attr: Attr) -> Option<bool> {
        match self.attr_data(attr) {
            AttrData::Bool(b) => Some(*b),
            AttrData::Int { value, ty } if matches!(self.type_data(*ty), TypeData::Integer { width: 1, .. }) => {
                Some(*value != 0)
            }
            _ => None,
        }
    }
    /// The float.
    pub fn as_float(&self, attr: Attr) -> Option<f64> {
        match self.attr_data(attr) {
            AttrData::Float { bits, .. } => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }
    /// The text.
    pub fn as_string(&self, attr: Attr) -> Option<&str> {
        match self.attr_data(attr) {
            AttrData::String(name) => Some(self.str(*name)),
            _ => None,
        }
    }
    /// The type.
    pub fn as_type(&self, attr: Attr) -> Option<Type> {
        match self.attr_data(attr) {
            AttrData::Type(ty) => Some(*ty),
            _ => None,
        }
    }
    /// The name of a flat symbol reference.
    pub fn as_symbol_ref(&self, attr: Attr) -> Option<Name> {
        match self.attr_data(attr) {
            AttrData::SymbolRef(path) if path.len() == 1 => Some(path[0]),
            _ => None,
        }
    }
    /// The items of an array.
    pub fn as_array(&self, attr: Attr) -> Option<&[Attr]> {
        match self.attr_data(attr) {
            AttrData::Array(items) => Some(items),
            _ => None,
        }
    }
    /// Integers of `array<i64: ...>` (or another integer width), or of an array of integer attributes.
    pub fn as_ints(&self, attr: Attr) -> Option<Vec<i64>> {
        match self.attr_data(attr) {
            AttrData::DenseArray { element, values }
                if matches!(self.type_data(*element), TypeData::Integer { .. }) =>
            {
                Some(values.clone())
            }
            AttrData::Array(items) => items.iter().map(|&a| self.as_int(a)).collect(),
            _ => None,
        }
    }
    /// The expression; integers count as constants.
    pub fn as_expr(&self, attr: Attr) -> Option<Expr> {
        match self.attr_data(attr) {
            AttrData::Expr(e) => Some(*e),
            _ => self.as_int(attr).map(|v| self.exprs.constant(v)),
        }
    }
    /// The expressions of an array.
    pub fn as_exprs(&self, attr: Attr) -> Option<Vec<Expr>> {
        match self.attr_data(attr) {
            AttrData::Array(items) => items.iter().map(|&a| self.as_expr(a)).collect(),
            _ => Some(self.as_ints(attr)?.into_iter().map(|v| self.exprs.constant(v)).collect()),
        }
    }
}
