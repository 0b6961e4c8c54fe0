//! Element types between the format's numbers and ours.

use crate::{OnnxError, proto::tensor_proto::DataType};
use nim_tensor::DType;

/// The element type that a `TensorProto.DataType` number stands for.
pub fn dtype_of(data_type: i32) -> Result<DType, OnnxError> {
    let data_type = DataType::try_from(data_type)
        .map_err(|_| OnnxError::unsupported(format!("element type {data_type} is not in the standard")))?;
    Ok(match data_type {
        DataType::Undefined => return Err(OnnxError::invalid("the element type is not given")),
        DataType::Float => DType::F32,
        DataType::Uint8 => DType::U8,
        DataType::Int8 => DType::I8,
        DataType::Uint16 => DType::U16,
        DataType::Int16 => DType::I16,
        DataType::Int32 => DType::I32,
        DataType::Int64 => DType::I64,
        DataType::String => DType::String,
        DataType::Bool => DType::Bool,
        DataType::Float16 => DType::F16,
        DataType::Double => DType::F64,
        DataType::Uint32 => DType::U32,
        DataType::Uint64 => DType::U64,
        DataType::Complex64 => DType::C64,
        DataType::Complex128 => DType::C128,
        DataType::Bfloat16 => DType::BF16,
        DataType::Float8e4m3fn => DType::F8E4M3FN,
        DataType::Float8e4m3fnuz => DType::F8E4M3FNUZ,
        DataType::Float8e5m2 => DType::F8E5M2,
        DataType::Float8e5m2fnuz => DType::F8E5M2FNUZ,
        DataType::Uint4 => DType::U4,
        DataType::Int4 => DType::I4,
        DataType::Float4e2m1 => DType::F4E2M1FN,
        DataType::Float8e8m0 => DType::F8E8M0FNU,
        DataType::Uint2 => DType::U2,
        DataType::Int2 => DType::I2,
        DataType::Float6e2m3 | DataType::Float6e3m2 => {
            return Err(OnnxError::unsupported(format!("element type {} is not supported", data_type.as_str_name())));
        }
    })
}

/// The `TensorProto.DataType` of an element type.
pub fn data_type_of(dtype: DType) -> DataType {
    match dtype {
        DType::F32 => DataType::Float,
        DType::U8 => DataType::Uint8,
        DType::I8 => DataType::Int8,
        DType::U16 => DataType::Uint16,
        DType::I16 => DataType::Int16,
        DType::I32 => DataType::Int32,
        DType::I64 => DataType::Int64,
        DType::String => DataType::String,
        DType::Bool => DataType::Bool,
        DType::F16 => DataType::Float16,
        DType::F64 => DataType::Double,
        DType::U32 => DataType::Uint32,
        DType::U64 => DataType::Uint64,
        DType::C64 => DataType::Complex64,
        DType::C128 => DataType::Complex128,
        DType::BF16 => DataType::Bfloat16,
        DType::F8E4M3FN => DataType::Float8e4m3fn,
        DType::F8E4M3FNUZ => DataType::Float8e4m3fnuz,
        DType::F8E5M2 => DataType::Float8e5m2,
        DType::F8E5M2FNUZ => DataType::Float8e5m2fnuz,
        DType::U4 => DataType::Uint4,
        DType::I4 => DataType::Int4,
        DType::F4E2M1FN => DataType::Float4e2m1,
        DType::F8E8M0FNU => DataType::Float8e8m0,
        DType::U2 => DataType::Uint2,
        DType::I2 => DataType::Int2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_number_of_its_own() {
        for dtype in DType::ALL {
            assert_eq!(dtype_of(data_type_of(dtype) as i32).unwrap(), dtype);
        }
        assert!(dtype_of(0).is_err());
        assert!(dtype_of(27).unwrap_err().to_string().contains("FLOAT6E2M3"));
        assert!(dtype_of(-5).is_err());
    }
}
