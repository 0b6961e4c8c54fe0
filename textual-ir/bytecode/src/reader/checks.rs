//! What the parser of the text makes sure of, made sure of here.

use crate::stream::{Damage, Read};
use nim_ir::{Context, Signedness, Type, TypeData};
use nim_tensor::{DType, tensor::element_count};

/// Largest width of an integer type.
const MAX_INTEGER_WIDTH: u32 = (1 << 24) - 1;

pub fn width(width: u32) -> Read<u32> {
    match width {
        1..=MAX_INTEGER_WIDTH => Ok(width),
        _ => Err(Damage("an integer type has an impossible width")),
    }
}

/// An integer that its type can hold.
pub fn integer(ctx: &Context, value: i128, ty: Type) -> Read<()> {
    let (bits, sign) = match ctx.type_data(ty) {
        TypeData::Integer { width, sign } => (*width, *sign),
        TypeData::Index => (64, Signedness::Signless),
        _ => return Err(Damage("an integer has a type that is none of integers")),
    };
    if bits >= 127 {
        return Ok(());
    }
    let half = 1i128 << (bits - 1);
    let fits = match sign {
        Signedness::Signless => (-half..2 * half).contains(&value),
        Signedness::Signed => (-half..half).contains(&value),
        Signedness::Unsigned => (0..2 * half).contains(&value),
    };
    if fits { Ok(()) } else { Err(Damage("an integer does not fit its type")) }
}

pub fn float(ctx: &Context, ty: Type) -> Read<()> {
    match ctx.type_data(ty) {
        TypeData::Float(_) => Ok(()),
        _ => Err(Damage("a float has a type that is none of floats")),
    }
}

/// Type and number of the elements that stand under a type of fixed shape.
pub fn elements(ctx: &Context, ty: Type) -> Read<(DType, usize)> {
    const SHAPE: Damage = Damage("elements have a type without fixed shape");
    let sizes: Vec<i64> = match ctx.type_data(ty) {
        TypeData::Vector { dims, .. } => dims.iter().map(|&(d, _)| d).collect(),
        _ => ctx.static_dims(ty).ok_or(SHAPE)?,
    };
    let sizes: Option<Vec<usize>> = sizes.into_iter().map(|d| usize::try_from(d).ok()).collect();
    let count = sizes.and_then(|sizes| element_count(&sizes)).ok_or(SHAPE)?;
    Ok((ctx.dtype_of(ty).ok_or(Damage("elements have a type that hosts do not have"))?, count))
}

/// Bytes that are so many elements.
pub fn bytes(dtype: DType, count: usize, bytes: &[u8]) -> Read<()> {
    if dtype == DType::String || count.checked_mul(dtype.size()) != Some(bytes.len()) {
        return Err(Damage("elements do not fit their type"));
    }
    if dtype == DType::Bool && bytes.iter().any(|&b| b > 1) {
        return Err(Damage("a truth value is neither 0 nor 1"));
    }
    Ok(())
}

/// Values of `array<...>`.
pub fn array(ctx: &Context, element: Type, values: &[i64]) -> Read<()> {
    let fits = match ctx.type_data(element) {
        TypeData::Integer { width: 64.., .. } | TypeData::Float(_) => true,
        TypeData::Integer { width, .. } => {
            let half = 1i64 << (width - 1);
            values.iter().all(|v| (-half..2 * half).contains(v))
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(Damage("a value does not fit its array")) }
}
