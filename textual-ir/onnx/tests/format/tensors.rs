//! Every element type in every form of storage.

use nim_onnx::{data_type_of, proto::TensorProto, tensor_of, tensor_proto};
use nim_tensor::{DType, Tensor};

fn empty(dtype: DType, dims: &[i64]) -> TensorProto {
    TensorProto { name: "w".into(), data_type: data_type_of(dtype) as i32, dims: dims.to_vec(), ..Default::default() }
}

fn error(proto: &TensorProto) -> String {
    tensor_of(proto).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read() {
    for dtype in DType::ALL {
        for dims in [vec![], vec![5], vec![2, 3], vec![0, 4], vec![3, 1, 3]] {
            let count: usize = dims.iter().product();
            let x = match dtype {
                DType::String => Tensor::strings(&dims, (0..count).map(|i| format!("ß{i}")).collect()),
                _ => Tensor::from_i64s(dtype, &dims, &(0..count).map(|i| i as i64 % 2).collect::<Vec<_>>()).unwrap(),
            };
            let proto = tensor_proto(&x, "x");
            assert_eq!(tensor_of(&proto).unwrap(), x, "{x:?}");
        }
    }
}

#[test]
fn writing_and_reading_share_the_bytes() {
    let x = Tensor::new(&[3], vec![1.0f32, 2.0, 3.0]);
    let proto = tensor_proto(&x, "x");
    assert_eq!(proto.raw_data.as_ptr(), x.bytes().as_ptr());
    assert_eq!(tensor_of(&proto).unwrap().bytes().as_ptr(), x.bytes().as_ptr());
}

#[test]
fn typed_fields() {
    let read = |proto: TensorProto| tensor_of(&proto).unwrap();
    let f = |dtype, dims: &[i64], float_data: &[f32]| {
        read(TensorProto { float_data: float_data.to_vec(), ..empty(dtype, dims) })
    };
    let i = |dtype, dims: &[i64], int32_data: &[i32]| {
        read(TensorProto { int32_data: int32_data.to_vec(), ..empty(dtype, dims) })
    };
    assert_eq!(*f(DType::F32, &[2], &[1.5, -0.0]).elements::<f32>(), [1.5, -0.0]);
    assert_eq!(f(DType::C64, &[1], &[1.5, 2.0]).bytes(), [1.5f32.to_ne_bytes(), 2f32.to_ne_bytes()].concat());
    let d = TensorProto { double_data: vec![0.1, 0.2], ..empty(DType::F64, &[2]) };
    assert_eq!(*read(d).elements::<f64>(), [0.1, 0.2]);
    let z = TensorProto { double_data: vec![0.1, 0.2], ..empty(DType::C128, &[1, 1]) };
    assert_eq!(read(z).dims(), [1, 1]);
    let l = TensorProto { int64_data: vec![i64::MIN, 7], ..empty(DType::I64, &[2]) };
    assert_eq!(read(l).to_i64s().unwrap(), [i64::MIN, 7]);
    let u = TensorProto { uint64_data: vec![u64::MAX], ..empty(DType::U64, &[]) };
    assert_eq!(*read(u).elements::<u64>(), [u64::MAX]);
    let u = TensorProto { uint64_data: vec![4_000_000_000], ..empty(DType::U32, &[1]) };
    assert_eq!(*read(u).elements::<u32>(), [4_000_000_000]);

    assert_eq!(i(DType::I32, &[2], &[-1, 2]).to_i64s().unwrap(), [-1, 2]);
    assert_eq!(i(DType::I16, &[2], &[-300, 300]).to_i64s().unwrap(), [-300, 300]);
    assert_eq!(i(DType::U16, &[1], &[65535]).to_i64s().unwrap(), [65535]);
    assert_eq!(i(DType::I8, &[2], &[-128, 127]).to_i64s().unwrap(), [-128, 127]);
    assert_eq!(i(DType::U8, &[1], &[255]).to_i64s().unwrap(), [255]);
    assert_eq!(i(DType::Bool, &[3], &[0, 1, 2]), Tensor::bools(&[3], vec![false, true, true]));
    assert_eq!(i(DType::F16, &[2], &[0x3c00, 0xc000]).to_f64s().unwrap(), [1.0, -2.0]);
    assert_eq!(i(DType::BF16, &[2], &[0x3f80, 0xc000]).to_f64s().unwrap(), [1.0, -2.0]);
    assert_eq!(i(DType::F8E4M3FN, &[2], &[0x38, 0xb8]).to_f64s().unwrap(), [1.0, -1.0]);
    assert_eq!(i(DType::F8E4M3FNUZ, &[1], &[0x40]).to_f64s().unwrap(), [1.0]);
    assert_eq!(i(DType::F8E5M2, &[1], &[0x3c]).to_f64s().unwrap(), [1.0]);
    assert_eq!(i(DType::F8E5M2FNUZ, &[1], &[0x40]).to_f64s().unwrap(), [1.0]);
    assert_eq!(i(DType::F8E8M0FNU, &[2], &[127, 128]).to_f64s().unwrap(), [1.0, 2.0]);
    assert_eq!(i(DType::I4, &[3], &[0x8f, 0x07]).to_i64s().unwrap(), [-1, -8, 7]);
    assert_eq!(i(DType::U4, &[3], &[0x8f, 0x07]).to_i64s().unwrap(), [15, 8, 7]);
    assert_eq!(i(DType::F4E2M1FN, &[3], &[0x2f, 0x01]).to_f64s().unwrap(), [-6.0, 1.0, 0.5]);
    assert_eq!(i(DType::I2, &[5], &[0xe4, 0x02]).to_i64s().unwrap(), [0, 1, -2, -1, -2]);
    assert_eq!(i(DType::U2, &[5], &[0xe4, 0x02]).to_i64s().unwrap(), [0, 1, 2, 3, 2]);
    let s = TensorProto { string_data: vec!["ä".into(), "".into()], ..empty(DType::String, &[2]) };
    assert_eq!(read(s).as_strings().unwrap(), ["ä", ""]);
}

#[test]
fn raw_booleans_are_made_clean() {
    let raw = TensorProto { raw_data: vec![0, 1, 255].into(), ..empty(DType::Bool, &[3]) };
    assert_eq!(tensor_of(&raw).unwrap(), Tensor::bools(&[3], vec![false, true, true]));
}

#[test]
fn empty_tensors_need_no_data() {
    for dtype in DType::ALL {
        assert!(tensor_of(&empty(dtype, &[3, 0, i64::MAX, i64::MAX])).unwrap().is_empty());
    }
}

#[test]
fn errors_name_the_tensor() {
    let raw = |dtype, dims: &[i64], bytes: usize| TensorProto { raw_data: vec![0; bytes].into(), ..empty(dtype, dims) };
    assert_eq!(error(&empty(DType::F32, &[2, -1])), "tensor \"w\": shape [2, -1] has a negative dimension");
    assert!(error(&empty(DType::F32, &[i64::MAX, i64::MAX])).contains("overflows"));
    assert!(error(&raw(DType::C128, &[i64::MAX / 2], 5)).contains("overflows"));
    assert_eq!(
        error(&raw(DType::F32, &[2, 3], 20)),
        "tensor \"w\": shape [2, 3] of f32 needs 24 bytes, raw_data has 20"
    );
    assert!(error(&raw(DType::I4, &[3], 3)).contains("needs 2 bytes"));
    assert_eq!(
        error(&empty(DType::F32, &[2])),
        "tensor \"w\": shape [2] of f32 needs 2 items in float_data, 0 are there"
    );
    let wrong_field = TensorProto { int64_data: vec![1], ..empty(DType::F32, &[1]) };
    assert!(error(&wrong_field).contains("needs 1 items in float_data, 0 are there"));
    let both = TensorProto { float_data: vec![1.0], ..raw(DType::F32, &[1], 4) };
    assert!(error(&both).contains("in raw_data and in float_data at once"));
    assert!(error(&raw(DType::String, &[1], 1)).contains("strings cannot be stored in raw_data"));
    let text = TensorProto { string_data: vec![vec![0xff].into()], ..empty(DType::String, &[1]) };
    assert!(error(&text).contains("string 0 is not valid UTF-8"));
    let mut unknown = raw(DType::F32, &[1], 4);
    unknown.data_type = 99;
    assert!(error(&unknown).contains("element type 99"));
    unknown.data_type = 0;
    unknown.name = String::new();
    assert_eq!(error(&unknown), "a tensor without a name: the element type is not given");
    let part = TensorProto { segment: Some(Default::default()), ..raw(DType::F32, &[1], 4) };
    assert!(error(&part).contains("segment"));
}
