//! Model files.

use crate::{
    OnnxError,
    external::ExternalData,
    proto::{ModelProto, SparseTensorProto, TensorProto},
    sparse, tensor, value,
};
use nim_tensor::{Blob, Tensor};
use prost::bytes::Bytes;
use std::path::{Path, PathBuf};

/// What Git leaves in place of a large file that was not downloaded.
const GIT_LFS: &[u8] = b"version https://git-lfs";

/// A model in memory. Its weights are windows into the mapped file, or into the mapped files next to it.
#[derive(Debug)]
pub struct LoadedModel {
    /// The model's message.
    pub proto: ModelProto,
    /// The file it came from; empty if it came from memory.
    pub path: PathBuf,
    /// The files its tensors may lie in.
    pub files: ExternalData,
}

/// Maps a model file and decodes it. External data is looked at only when a tensor is asked for.
pub fn load_model(path: impl AsRef<Path>) -> Result<LoadedModel, OnnxError> {
    let path = path.as_ref();
    let blob = Blob::map_file(path).map_err(|source| OnnxError::Io { path: path.to_path_buf(), source })?;
    // The folder of a bare file name is the current one, which `parent` spells as nothing.
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let proto = decode_model(&blob).map_err(|e| e.in_file(path))?;
    Ok(LoadedModel { proto, path: path.to_path_buf(), files: ExternalData::new(folder).of_model(blob) })
}

/// Decodes a model from memory; `folder` is where its external data lies.
pub fn load_model_bytes(bytes: &Blob, folder: impl Into<PathBuf>) -> Result<LoadedModel, OnnxError> {
    let proto = decode_model(bytes)?;
    Ok(LoadedModel { proto, path: PathBuf::new(), files: ExternalData::new(folder).of_model(bytes.clone()) })
}

fn decode_model(blob: &Blob) -> Result<ModelProto, OnnxError> {
    if blob.starts_with(GIT_LFS) {
        return Err(OnnxError::invalid(
            "this is a Git LFS pointer, not the model itself: fetch it with `git lfs pull`",
        ));
    }
    let proto: ModelProto = value::message("ModelProto", Bytes::from_owner(blob.clone()))?;
    // Protobuf takes an empty file, and some others, for a message without fields.
    if proto.graph.is_none() {
        return Err(OnnxError::invalid("not an ONNX model: there is no graph in it"));
    }
    Ok(proto)
}

impl LoadedModel {
    /// Reads one of the model's tensors: an initializer or a tensor attribute.
    pub fn tensor(&self, proto: &TensorProto) -> Result<Tensor, OnnxError> {
        tensor::tensor_with(proto, &self.files)
    }

    /// Reads one of the model's sparse tensors as a dense one.
    pub fn sparse_tensor(&self, proto: &SparseTensorProto) -> Result<Tensor, OnnxError> {
        sparse::dense_with(proto, &self.files)
    }
}
