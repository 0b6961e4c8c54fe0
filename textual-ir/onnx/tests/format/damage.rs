//! Damaged files give errors or values, never a panic.

use crate::{models::small_model, random::Random};
use nim_onnx::{
    LoadedModel, dense_of, load_model_bytes,
    proto::{SparseTensorProto, TensorProto},
    tensor_proto,
};
use nim_tensor::{Blob, DType, Tensor, Value};
use prost::Message;

fn read_everything(model: &LoadedModel) {
    let Some(graph) = &model.proto.graph else { return };
    for tensor in &graph.initializer {
        let _ = model.tensor(tensor);
    }
    for sparse in &graph.sparse_initializer {
        let _ = model.sparse_tensor(sparse);
    }
}

fn damage(good: &[u8], read: impl Fn(Blob)) {
    for cut in 0..good.len() {
        read(Blob::new(good[..cut].to_vec()));
    }
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.to_vec();
            bad[at] ^= 1 << bit;
            read(Blob::new(bad));
        }
    }
    let mut random = Random(1);
    for _ in 0..20_000 {
        let mut bad = good.to_vec();
        for _ in 0..=random.below(6) {
            match random.below(3) {
                0 if !bad.is_empty() => {
                    let at = random.below(bad.len());
                    bad.remove(at);
                }
                1 => bad.insert(random.below(bad.len() + 1), random.below(256) as u8),
                _ if !bad.is_empty() => {
                    let at = random.below(bad.len());
                    bad[at] = random.below(256) as u8;
                }
                _ => {}
            }
        }
        read(Blob::new(bad));
    }
}

#[test]
fn models() {
    let mut model = small_model();
    let graph = model.graph.as_mut().unwrap();
    for dtype in [DType::I4, DType::BF16, DType::Bool, DType::C64] {
        graph.initializer.push(tensor_proto(&Tensor::from_i64s(dtype, &[3], &[0, 1, 1]).unwrap(), dtype.name()));
    }
    graph.initializer.push(tensor_proto(&Tensor::strings(&[1], vec!["word".into()]), "s"));
    graph.initializer.push(TensorProto { data_type: 6, dims: vec![2], int32_data: vec![1, -1], ..Default::default() });
    graph.sparse_initializer.push(SparseTensorProto {
        values: Some(tensor_proto(&Tensor::new(&[1], vec![1f32]), "sp")),
        indices: Some(tensor_proto(&Tensor::new(&[1, 2], vec![1i64, 1]), "")),
        dims: vec![2, 2],
    });
    assert!(dense_of(&graph.sparse_initializer[0]).is_ok());
    damage(&model.encode_to_vec(), |blob| {
        if let Ok(model) = load_model_bytes(&blob, ".") {
            read_everything(&model);
        }
    });
}

#[test]
fn values() {
    let tensor = Value::Tensor(Tensor::from_i64s(DType::I2, &[3], &[1, 0, 1]).unwrap());
    let list = Value::Sequence(vec![tensor.clone(), tensor]);
    let keys = Tensor::strings(&[2], vec!["a".into(), "b".into()]);
    let value = Value::Sequence(vec![Value::Optional(Some(Box::new(Value::Map(keys, Box::new(list)))))]);
    let good = nim_onnx::encode_value(&value, "v").unwrap();
    assert_eq!(nim_onnx::decode_value(&Blob::new(good.clone()), None).unwrap(), value);
    damage(&good, |blob| {
        let _ = nim_onnx::decode_value(&blob, None);
    });
}
