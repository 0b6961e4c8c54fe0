//! Data in files next to the model, and what a hostile model may try there.

use crate::Folder;
use nim_onnx::{
    ExternalData, OnnxError,
    proto::{StringStringEntryProto, TensorProto, tensor_proto::DataLocation},
    tensor_of, tensor_with,
};
use nim_tensor::{DType, Tensor};

fn at(entries: &[(&str, &str)]) -> TensorProto {
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto { key: key.into(), value: value.into() };
    TensorProto {
        name: "w".into(),
        data_type: nim_onnx::data_type_of(DType::F32) as i32,
        dims: vec![2],
        data_location: DataLocation::External as i32,
        external_data: entries.iter().map(entry).collect(),
        ..Default::default()
    }
}

fn bytes(x: &[f32]) -> Vec<u8> {
    x.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[test]
fn a_file_is_mapped_once_and_shared() {
    let folder = Folder::new("external-shared");
    folder.write("w.bin", &bytes(&[1.0, 2.0, 3.0, 4.0]));
    let files = ExternalData::new(&folder.0);
    let first = tensor_with(&at(&[("location", "w.bin"), ("offset", "0"), ("length", "8")]), &files).unwrap();
    let second = tensor_with(&at(&[("location", "w.bin"), ("offset", "8")]), &files).unwrap();
    assert_eq!(first, Tensor::new(&[2], vec![1f32, 2.0]));
    assert_eq!(second, Tensor::new(&[2], vec![3f32, 4.0]));
    assert_eq!(second.bytes().as_ptr(), first.bytes().as_ptr().wrapping_add(8));
}

#[test]
fn files_in_folders_below_and_odd_offsets() {
    let folder = Folder::new("external-below");
    folder.write("sub/w.bin", &[&[9u8][..], &bytes(&[1.0, 2.0])].concat());
    let files = ExternalData::new(&folder.0);
    let x = tensor_with(&at(&[("location", "./sub/w.bin"), ("offset", "1"), ("checksum", "ab")]), &files).unwrap();
    assert_eq!(*x.elements::<f32>(), [1.0, 2.0]);
    let mut packed = at(&[("location", "sub/w.bin"), ("offset", "0"), ("length", "1")]);
    packed.data_type = nim_onnx::data_type_of(DType::U4) as i32;
    assert_eq!(tensor_with(&packed, &files).unwrap().to_i64s().unwrap(), [9, 0]);
    let mut none = at(&[("location", "sub/w.bin"), ("offset", "9")]);
    none.dims = vec![0];
    assert!(tensor_with(&none, &files).unwrap().is_empty());
}

#[test]
fn bad_locations() {
    let folder = Folder::new("external-bad");
    folder.write("w.bin", &bytes(&[1.0, 2.0]));
    let files = ExternalData::new(&folder.0);
    let error = |entries: &[(&str, &str)]| tensor_with(&at(entries), &files).unwrap_err().to_string();
    assert_eq!(error(&[]), "tensor \"w\": external data has no location");
    assert!(error(&[("location", "")]).contains("no location"));
    assert!(error(&[("location", "w.bin"), ("offset", "-4")]).contains("offset \"-4\", which is no byte count"));
    assert!(error(&[("location", "w.bin"), ("length", "x")]).contains("length \"x\""));
    assert_eq!(
        error(&[("location", "w.bin"), ("offset", "4")]),
        "tensor \"w\": 8 bytes at offset 4 reach past the end of \"w.bin\", which has 8 bytes"
    );
    assert!(error(&[("location", "w.bin"), ("offset", "18446744073709551615")]).contains("reach past the end"));
    assert!(error(&[("location", "w.bin"), ("length", "4")]).contains("needs 8 bytes, external data gives it 4"));
    assert!(error(&[("location", ".")]).contains("not a regular file"));
    let missing = tensor_with(&at(&[("location", "none.bin")]), &files).unwrap_err();
    assert!(matches!(missing.innermost(), OnnxError::Io { .. }), "{missing}");
    assert!(missing.to_string().starts_with("tensor \"w\": ") && missing.to_string().contains("none.bin"));
    assert!(tensor_of(&at(&[("location", "w.bin")])).unwrap_err().to_string().contains("another file"));
}

#[test]
fn no_location_leaves_the_folder() {
    let outer = Folder::new("external-outer");
    let secret = outer.write("secret.bin", &bytes(&[1.0, 2.0]));
    outer.write("model/w.bin", &bytes(&[1.0, 2.0]));
    let files = ExternalData::new(outer.0.join("model"));
    let error = |location: &str| tensor_with(&at(&[("location", location)]), &files).unwrap_err().to_string();
    assert!(error("../secret.bin").contains("leaves the model's folder"));
    assert!(error("x/../../secret.bin").contains("leaves the model's folder"));
    assert!(error(secret.to_str().unwrap()).contains("absolute path"));
    assert!(error("w.bin\0").contains("w.bin"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(&secret, outer.0.join("model/link.bin")).unwrap();
        symlink(&outer.0, outer.0.join("model/up")).unwrap();
        symlink("w.bin", outer.0.join("model/inside.bin")).unwrap();
        assert!(error("link.bin").contains("symbolic link that leaves"));
        assert!(error("up/secret.bin").contains("symbolic link that leaves"));
        assert!(tensor_with(&at(&[("location", "inside.bin")]), &files).is_ok());
    }
}
