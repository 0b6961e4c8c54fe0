//! Types: every builtin type of MLIR, dimensions that may be symbolic, and dialect types as data.

use crate::{Attr, Context, Name, attrs::AttrData};
use nim_expr::Expr;
use nim_tensor::DType;

/// An interned type. Equal types have equal handles.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Type(pub(crate) u32);

/// One dimension of a shaped type: an expression (a number, a symbol, or built from them), or unknown.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Dim {
    /// Known as an expression over the symbols of the function; a plain number is a constant expression.
    Expr(Expr),
    /// `?`: nothing is known before run time.
    Unknown,
}

impl Dim {
    /// The expression, unless unknown.
    pub fn expr(self) -> Option<Expr> {
        match self {
            Dim::Expr(e) => Some(e),
            Dim::Unknown => None,
        }
    }
}

/// How an integer type is read.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Signedness {
    /// `i8`: just bits; ops decide. Our dialects treat it as signed (and `i1` as a truth value).
    Signless,
    /// `si8`.
    Signed,
    /// `ui8`.
    Unsigned,
}

/// The floating-point types of MLIR.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum FloatKind {
    F16,
    BF16,
    F32,
    F64,
    TF32,
    F80,
    F128,
    F8E5M2,
    F8E4M3,
    F8E4M3FN,
    F8E5M2FNUZ,
    F8E4M3FNUZ,
    F8E4M3B11FNUZ,
    F8E3M4,
    F8E8M0FNU,
    F6E2M3FN,
    F6E3M2FN,
    F4E2M1FN,
}

impl FloatKind {
    /// All kinds with the names MLIR gives them.
    pub const NAMES: [(FloatKind, &'static str); 18] = {
        use FloatKind::*;
        [
            (F16, "f16"),
            (BF16, "bf16"),
            (F32, "f32"),
            (F64, "f64"),
            (TF32, "tf32"),
            (F80, "f80"),
            (F128, "f128"),
            (F8E5M2, "f8E5M2"),
            (F8E4M3, "f8E4M3"),
            (F8E4M3FN, "f8E4M3FN"),
            (F8E5M2FNUZ, "f8E5M2FNUZ"),
            (F8E4M3FNUZ, "f8E4M3FNUZ"),
            (F8E4M3B11FNUZ, "f8E4M3B11FNUZ"),
            (F8E3M4, "f8E3M4"),
            (F8E8M0FNU, "f8E8M0FNU"),
            (F6E2M3FN, "f6E2M3FN"),
            (F6E3M2FN, "f6E3M2FN"),
            (F4E2M1FN, "f4E2M1FN"),
        ]
    };
    /// MLIR's name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(k, _)| *k == self).expect("all kinds are listed").1
    }
    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<FloatKind> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(k, _)| *k)
    }
    /// Width in bits.
    pub fn bits(self) -> u32 {
        use FloatKind::*;
        match self {
            F128 => 128,
            F80 => 80,
            F64 => 64,
            F32 => 32,
            TF32 => 19,
            F16 | BF16 => 16,
            F6E2M3FN | F6E3M2FN => 6,
            F4E2M1FN => 4,
            _ => 8,
        }
    }
}

/// What a type is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum TypeData {
    /// `none`
    None,
    /// `index`
    Index,
    /// `i8`, `si8`, `ui8`, ...
    Integer {
        /// Bits.
        width: u32,
        /// Reading.
        sign: Signedness,
    },
    /// `f32`, ...
    Float(FloatKind),
    /// `complex<f32>`
    Complex(Type),
    /// `tuple<...>`
    Tuple(Vec<Type>),
    /// `(inputs) -> results`
    Function {
        /// Inputs.
        inputs: Vec<Type>,
        /// Results.
        results: Vec<Type>,
    },
    /// `tensor<[N]x4xf32, encoding>`
    Tensor {
        /// Dimensions.
        dims: Vec<Dim>,
        /// Element type.
        element: Type,
        /// Encoding other than our symbolic dimensions.
        encoding: Option<Attr>,
    },
    /// `tensor<*xf32>`
    UnrankedTensor(Type),
    /// `memref<[N]x4xf32, layout, space>`
    MemRef {
        /// Dimensions.
        dims: Vec<Dim>,
        /// Element type.
        element: Type,
        /// Layout; row-major when absent.
        layout: Option<Attr>,
        /// Memory space.
        space: Option<Attr>,
    },
    /// `memref<*xf32, space>`
    UnrankedMemRef {
        /// Element type.
        element: Type,
        /// Memory space.
        space: Option<Attr>,
    },
    /// `vector<4x[8]xf32>`
    Vector {
        /// Sizes, each with its scalable flag.
        dims: Vec<(i64, bool)>,
        /// Element type.
        element: Type,
    },
    /// A type of a dialect we know: `!graph.sequence<tensor<4xf32>>`, the dotted name and its parameters.
    Dialect {
        /// `graph.sequence`
        name: Name,
        /// Parameters; types stand as type attributes.
        params: Vec<Attr>,
    },
    /// A type of a dialect we do not know, its text after `!` kept as it was.
    Opaque(Name),
}

impl Context {
    /// Interns a type.
    pub fn ty(&self, data: TypeData) -> Type {
        Type(self.types.intern(data))
    }
    /// What a type is.
    #[inline]
    pub fn type_data(&self, ty: Type) -> &TypeData {
        self.types.get(ty.0)
    }
    /// `index`
    pub fn index_type(&self) -> Type {
        self.ty(TypeData::Index)
    }
    /// `none`
    pub fn none_type(&self) -> Type {
        self.ty(TypeData::None)
    }
    /// A signless integer type.
    pub fn int_type(&self, width: u32) -> Type {
        self.ty(TypeData::Integer { width, sign: Signedness::Signless })
    }
    /// A floating-point type.
    pub fn float_type(&self, kind: FloatKind) -> Type {
        self.ty(TypeData::Float(kind))
    }
    /// `f32`
    pub fn f32_type(&self) -> Type {
        self.float_type(FloatKind::F32)
    }
    /// A function type.
    pub fn function_type(&self, inputs: &[Type], results: &[Type]) -> Type {
        self.ty(TypeData::Function { inputs: inputs.to_vec(), results: results.to_vec() })
    }
    /// A ranked tensor type without encoding.
    pub fn tensor_type(&self, dims: &[Dim], element: Type) -> Type {
        self.ty(TypeData::Tensor { dims: dims.to_vec(), element, encoding: None })
    }
    /// A ranked tensor type whose dimensions are all expressions.
    pub fn tensor_of(&self, dims: &[Expr], element: Type) -> Type {
        self.ty(TypeData::Tensor { dims: dims.iter().map(|&d| Dim::Expr(d)).collect(), element, encoding: None })
    }
    /// A row-major memref type whose dimensions are all expressions.
    pub fn memref_of(&self, dims: &[Expr], element: Type) -> Type {
        let dims = dims.iter().map(|&d| Dim::Expr(d)).collect();
        self.ty(TypeData::MemRef { dims, element, layout: None, space: None })
    }
    /// A fixed-size vector type.
    pub fn vector_type(&self, dims: &[i64], element: Type) -> Type {
        self.ty(TypeData::Vector { dims: dims.iter().map(|&d| (d, false)).collect(), element })
    }
    /// A constant dimension.
    pub fn dim(&self, size: i64) -> Dim {
        Dim::Expr(self.exprs.constant(size))
    }
    /// A dimension's size if it is a plain number.
    pub fn dim_const(&self, dim: Dim) -> Option<i64> {
        dim.expr().and_then(|e| self.exprs.as_const(e))
    }

    /// Dimensions of a ranked tensor or memref.
    pub fn dims(&self, ty: Type) -> Option<&[Dim]> {
        match self.type_data(ty) {
            TypeData::Tensor { dims, .. } | TypeData::MemRef { dims, .. } => Some(dims),
            _ => None,
        }
    }
    /// Dimensions of a ranked tensor or memref when all are expressions.
    pub fn dim_exprs(&self, ty: Type) -> Option<Vec<Expr>> {
        self.dims(ty)?.iter().map(|d| d.expr()).collect()
    }
    /// Sizes of a ranked tensor or memref when all are plain numbers.
    pub fn static_dims(&self, ty: Type) -> Option<Vec<i64>> {
        self.dims(ty)?.iter().map(|&d| self.dim_const(d)).collect()
    }
    /// Element type of a tensor, memref, vector or complex type.
    pub fn element_type(&self, ty: Type) -> Option<Type> {
        match self.type_data(ty) {
            TypeData::Tensor { element, .. }
            | TypeData::UnrankedTensor(element)
            | TypeData::MemRef { element, .. }
            | TypeData::UnrankedMemRef { element, .. }
            | TypeData::Vector { element, .. }
            | TypeData::Complex(element) => Some(*element),
            _ => None,
        }
    }
    /// True for ranked and unranked tensors.
    pub fn is_tensor(&self, ty: Type) -> bool {
        matches!(self.type_data(ty), TypeData::Tensor { .. } | TypeData::UnrankedTensor(_))
    }

    /// The element type as the IR writes it.
    pub fn type_of_dtype(&self, dtype: DType) -> Type {
        use DType::*;
        let unsigned = |width| self.ty(TypeData::Integer { width, sign: Signedness::Unsigned });
        match dtype {
            Bool => self.int_type(1),
            String => self.ty(TypeData::Dialect { name: self.name("graph.string"), params: vec![] }),
            C64 => self.ty(TypeData::Complex(self.float_type(FloatKind::F32))),
            C128 => self.ty(TypeData::Complex(self.float_type(FloatKind::F64))),
            d if d.is_unsigned_integer() => unsigned(d.bits() as u32),
            d if d.is_signed_integer() => self.int_type(d.bits() as u32),
            d => self.float_type(FloatKind::from_name(d.name()).expect("float names agree")),
        }
    }

    /// The element type that host tensors of this scalar type have; `None` when tensors cannot hold it.
    /// `index` is held as `i64`.
    pub fn dtype_of_type(&self, ty: Type) -> Option<DType> {
        let by_name = |name: &str| DType::ALL.into_iter().find(|d| d.name() == name);
        match self.type_data(ty) {
            TypeData::Index => Some(DType::I64),
            TypeData::Float(kind) => by_name(kind.name()),
            TypeData::Integer { width, sign: Signedness::Unsigned } => by_name(&format!("ui{width}")),
            TypeData::Integer { width, .. } => by_name(&format!("i{width}")),
            TypeData::Complex(e) => match self.type_data(*e) {
                TypeData::Float(FloatKind::F32) => Some(DType::C64),
                TypeData::Float(FloatKind::F64) => Some(DType::C128),
                _ => None,
            },
            TypeData::Dialect { name, .. } if self.str(*name) == "graph.string" => Some(DType::String),
            _ => None,
        }
    }

    /// Element type of a tensor or memref as host tensors hold it.
    pub fn dtype_of(&self, ty: Type) -> Option<DType> {
        self.dtype_of_type(self.element_type(ty)?)
    }

    /// A type as an attribute.
    pub fn type_attr(&self, ty: Type) -> Attr {
        self.attr(AttrData::Type(ty))
    }
}

impl Context {
    /// A type as text, for messages. The full printer of the text crate prints attributes in types too.
    pub fn display_type(&self, ty: Type) -> String {
        let shape = |dims: &[Dim]| -> String {
            dims.iter()
                .map(|d| match d {
                    Dim::Unknown => "?x".to_string(),
                    Dim::Expr(e) => match self.exprs.as_const(*e) {
                        Some(n) => format!("{n}x"),
                        None => format!("[{}]x", self.exprs.display(*e)),
                    },
                })
                .collect()
        };
        let list = |types: &[Type]| types.iter().map(|&t| self.display_type(t)).collect::<Vec<_>>().join(", ");
        match self.type_data(ty) {
            TypeData::None => "none".into(),
            TypeData::Index => "index".into(),
            TypeData::Integer { width, sign } => match sign {
                Signedness::Signless => format!("i{width}"),
                Signedness::Signed => format!("si{width}"),
                Signedness::Unsigned => format!("ui{width}"),
            },
            TypeData::Float(kind) => kind.name().into(),
            TypeData::Complex(e) => format!("complex<{}>", self.display_type(*e)),
            TypeData::Tuple(types) => format!("tuple<{}>", list(types)),
            TypeData::Function { inputs, results } => format!("({}) -> ({})", list(inputs), list(results)),
            TypeData::Tensor { dims, element, .. } => format!("tensor<{}{}>", shape(dims), self.display_type(*element)),
            TypeData::UnrankedTensor(e) => format!("tensor<*x{}>", self.display_type(*e)),
            TypeData::MemRef { dims, element, .. } => format!("memref<{}{}>", shape(dims), self.display_type(*element)),
            TypeData::UnrankedMemRef { element, .. } => format!("memref<*x{}>", self.display_type(*element)),
            TypeData::Vector { dims, element } => {
                let shape: String =
                    dims.iter().map(|&(d, s)| if s { format!("[{d}]x") } else { format!("{d}x") }).collect();
                format!("vector<{shape}{}>", self.display_type(*element))
            }
            TypeData::Dialect { name, params } => {
                let param = |&p: &Attr| match self.as_type(p) {
                    Some(ty) => Some(self.display_type(ty)),
                    None => self.as_symbol_ref(p).map(|name| format!("@{}", self.str(name))),
                };
                let params: Vec<String> = params.iter().filter_map(param).collect();
                match params.is_empty() {
                    true => format!("!{}", self.str(*name)),
                    false => format!("!{}<{}>", self.str(*name), params.join(", ")),
                }
            }
            TypeData::Opaque(text) => format!("!{}", self.str(*text)),
        }
    }
}
