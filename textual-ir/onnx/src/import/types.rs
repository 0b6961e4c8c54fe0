//! ONNX types and ours.

use super::InputDim;
use crate::{
    dtype_of,
    proto::{
        TensorShapeProto, TypeProto, ValueInfoProto,
        tensor_shape_proto::{Dimension, dimension},
        type_proto,
    },
};
use nim_ir::{Context, Dim, Expr, Type, TypeData};
use nim_tensor::DType;

/// A symbol for a name of the file: what is not a plain identifier is made one.
pub fn symbol_expr(ctx: &Context, name: &str) -> Expr {
    let mut clean: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if !clean.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        clean.insert(0, 'd');
    }
    ctx.exprs.named(&clean)
}

/// The type of an input of any kind. Sequences and optional values know the ranks of their tensors only.
pub fn value_type(ctx: &Context, ty: &TypeProto, base: &str, symbolic: bool) -> Result<Type, String> {
    let wrapped = |name: &str, inner: Option<&TypeProto>| {
        let inner = inner.ok_or("a type inside of another is missing")?;
        let inner = match &inner.value {
            Some(type_proto::Value::TensorType(t)) => {
                let element = ctx.type_of_dtype(dtype_of(t.elem_type).map_err(|e| e.to_string())?);
                match &t.shape {
                    Some(shape) => ctx.tensor_type(&vec![Dim::Unknown; shape.dim.len()], element),
                    None => ctx.ty(TypeData::UnrankedTensor(element)),
                }
            }
            _ => value_type(ctx, inner, base, symbolic)?,
        };
        Ok(ctx.ty(TypeData::Dialect { name: ctx.name(name), params: vec![ctx.type_attr(inner)] }))
    };
    match &ty.value {
        Some(type_proto::Value::TensorType(tensor)) => tensor_type(ctx, tensor, base, symbolic),
        Some(type_proto::Value::SequenceType(s)) => wrapped("graph.sequence", s.elem_type.as_deref()),
        Some(type_proto::Value::OptionalType(o)) => wrapped("graph.optional", o.elem_type.as_deref()),
        Some(type_proto::Value::MapType(m)) => {
            let key = dtype_of(m.key_type).map_err(|e| e.to_string())?;
            if !key.is_integer() && key != DType::String {
                return Err(format!("the keys of a map are integers or text, found {key}"));
            }
            let key = ctx.type_of_dtype(key);
            let value = match m.value_type.as_deref().and_then(|t| t.value.as_ref()) {
                Some(type_proto::Value::TensorType(t)) => dtype_of(t.elem_type).map_err(|e| e.to_string())?,
                _ => return Err("the values of a map must be numbers or text".into()),
            };
            let value = ctx.ty(TypeData::UnrankedTensor(ctx.type_of_dtype(value)));
            let params = vec![ctx.type_attr(key), ctx.type_attr(value)];
            Ok(ctx.ty(TypeData::Dialect { name: ctx.name("graph.map"), params }))
        }
        Some(_) => Err("sparse tensors cannot be inputs".into()),
        None => Err("it has no type".into()),
    }
}

/// A shape of symbols of its own, called after an input as those of unnamed dimensions are.
pub fn open_shape(input: &str, rank: usize) -> Vec<InputDim> {
    (0..rank).map(|i| InputDim::Symbol(own_symbol(&super::value_name(input), i))).collect()
}

/// The symbol of a dimension that the file does not name.
fn own_symbol(base: &str, axis: usize) -> String {
    format!("{}_{axis}", base.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

/// A type with another shape, which must have the rank that the file says.
pub fn reshaped(ty: &TypeProto, shape: &[InputDim]) -> Result<TypeProto, String> {
    let mut ty = ty.clone();
    let Some(type_proto::Value::TensorType(tensor)) = &mut ty.value else {
        return Err("it is no tensor, so it cannot be given a shape".into());
    };
    if let Some(own) = tensor.shape.as_ref().filter(|own| own.dim.len() != shape.len()) {
        return Err(format!("its rank is {}, but it is given a shape of rank {}", own.dim.len(), shape.len()));
    }
    let dim = |d: &InputDim| {
        let value = match d {
            InputDim::Size(n) => dimension::Value::DimValue(*n),
            InputDim::Symbol(name) => dimension::Value::DimParam(name.clone()),
        };
        Dimension { value: Some(value), ..Dimension::default() }
    };
    tensor.shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
    Ok(ty)
}

/// The rank that the file gives a tensor.
pub fn declared_rank(info: &ValueInfoProto) -> Option<usize> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(t) => Some(t.shape.as_ref()?.dim.len()),
        _ => None,
    }
}

/// The type of an input: named dimensions are symbols, dimensions without a name get one made of the input's.
/// With `symbolic`, every dimension is a symbol of its own.
pub fn tensor_type(ctx: &Context, tensor: &type_proto::Tensor, base: &str, symbolic: bool) -> Result<Type, String> {
    let dtype = dtype_of(tensor.elem_type).map_err(|e| e.to_string())?;
    let Some(shape) = &tensor.shape else {
        return Err("its rank is not known, which is not supported".into());
    };
    let mut dims = vec![];
    for (i, dim) in shape.dim.iter().enumerate() {
        let own = || ctx.exprs.named(&own_symbol(base, i));
        dims.push(match &dim.value {
            _ if symbolic => own(),
            Some(dimension::Value::DimValue(n)) if *n >= 0 => ctx.exprs.constant(*n),
            Some(dimension::Value::DimParam(name)) if !name.is_empty() && name != "?" => symbol_expr(ctx, name),
            _ => own(),
        });
    }
    let ty = ctx.tensor_of(&dims, ctx.type_of_dtype(dtype));
    let known: Option<Vec<i64>> = dims.iter().map(|&d| ctx.exprs.as_const(d)).collect();
    match known.is_some_and(|known| !nim_graph::shape::fits_memory(&known)) {
        true => Err(format!("{} is larger than any memory", ctx.display_type(ty))),
        false => Ok(ty),
    }
}

/// An error when the file says another element type than what was inferred; it says which. Ranks and sizes that are stated wrongly
/// are common in files that converters wrote, and nothing depends on them: what follows from the nodes is taken.
pub fn contradicts(ctx: &Context, claim: &type_proto::Tensor, inferred: Type) -> Result<(), String> {
    if claim.elem_type != 0 {
        let dtype = dtype_of(claim.elem_type).map_err(|e| e.to_string())?;
        if ctx.dtype_of(inferred).is_some_and(|d| d != dtype) {
            return Err(format!("a tensor of {dtype}"));
        }
    }
    Ok(())
}

/// True for a vector of integers: what lists axes and sizes.
pub fn is_integer_list(input: &ValueInfoProto) -> bool {
    match input.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::TensorType(t)) => {
            dtype_of(t.elem_type).is_ok_and(|d| d.is_integer()) && t.shape.as_ref().is_some_and(|s| s.dim.len() == 1)
        }
        _ => false,
    }
}
