//! Tensor data in files next to the model.
//!
//! A model comes from a stranger, so its file names are not trusted: only regular files inside the model's folder are
//! opened, whatever the path, `..` or a symbolic link says. Each file is mapped once and shared by all its tensors.

use crate::{OnnxError, proto::StringStringEntryProto};
use nim_tensor::Blob;
use prost::bytes::Bytes;
use std::{
    collections::HashMap,
    fs,
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Where a tensor's bytes lie, as its message says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    /// A path relative to the model's folder.
    pub location: String,
    /// Bytes before the tensor's.
    pub offset: usize,
    /// The tensor's bytes, if said.
    pub length: Option<usize>,
}

impl Location {
    /// Reads the entries of `TensorProto.external_data`; keys that the standard does not name are ignored.
    pub fn of(entries: &[StringStringEntryProto]) -> Result<Location, OnnxError> {
        let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
        let number = |key: &str| {
            let parse = |value: &str| {
                let bad = || OnnxError::invalid(format!("external data has {key} {value:?}, which is no byte count"));
                value.trim().parse::<usize>().map_err(|_| bad())
            };
            get(key).map(parse).transpose()
        };
        let location = get("location").filter(|l| !l.is_empty());
        let location = location.ok_or_else(|| OnnxError::invalid("external data has no location"))?;
        Ok(Location {
            location: location.to_string(),
            offset: number("offset")?.unwrap_or(0),
            length: number("length")?,
        })
    }
}

/// The files that a model's tensors may lie in.
#[derive(Debug)]
pub struct ExternalData {
    folder: PathBuf,
    /// The model's own file, if it came from one.
    model: Option<Blob>,
    /// By location as models spell it.
    mapped: Mutex<HashMap<String, Blob>>,
}

impl ExternalData {
    /// Files inside a folder.
    pub fn new(folder: impl Into<PathBuf>) -> ExternalData {
        ExternalData { folder: folder.into(), model: None, mapped: Mutex::default() }
    }

    /// The same, of a model that was read from these bytes.
    pub fn of_model(self, model: Blob) -> ExternalData {
        ExternalData { model: Some(model), ..self }
    }

    /// Bytes of the model's messages as a window into its file.
    pub fn window(&self, bytes: &Bytes) -> Blob {
        let window = self.model.as_ref().and_then(|model| model.part(bytes));
        window.unwrap_or_else(|| Blob::new(bytes.clone()))
    }

    /// The `size` bytes of a tensor at a location.
    pub fn get(&self, at: &Location, size: usize) -> Result<Blob, OnnxError> {
        let Location { location, offset, length } = at;
        if let Some(length) = length.filter(|&length| length != size) {
            return Err(OnnxError::invalid(format!(
                "its shape needs {size} bytes, external data gives it {length} in {location:?}"
            )));
        }
        let file = self.file(location)?;
        file.slice(*offset, size).ok_or_else(|| {
            let len = file.len();
            OnnxError::invalid(format!(
                "{size} bytes at offset {offset} reach past the end of {location:?}, which has {len} bytes"
            ))
        })
    }

    fn file(&self, location: &str) -> Result<Blob, OnnxError> {
        // A poisoned lock means that another thread panicked between two whole map operations: the map is sound.
        let mut mapped = self.mapped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(blob) = mapped.get(location) {
            return Ok(blob.clone());
        }
        let path = self.resolve(location)?;
        let blob = Blob::map_file(&path).map_err(|source| OnnxError::Io { path, source })?;
        mapped.insert(location.to_string(), blob.clone());
        Ok(blob)
    }

    /// The real path of a location, if it is a regular file inside the folder.
    fn resolve(&self, location: &str) -> Result<PathBuf, OnnxError> {
        let refuse = |why: &str| OnnxError::invalid(format!("external data location {location:?} {why}"));
        let relative = Path::new(location);
        if relative.is_absolute() {
            return Err(refuse("is an absolute path; only files in the model's folder may be named"));
        }
        if relative.components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir)) {
            return Err(refuse("leaves the model's folder"));
        }
        let real =
            |path: &Path| fs::canonicalize(path).map_err(|source| OnnxError::Io { path: path.to_path_buf(), source });
        let folder = real(&self.folder)?;
        let path = real(&folder.join(relative))?;
        if !path.starts_with(&folder) {
            return Err(refuse("is a symbolic link that leaves the model's folder"));
        }
        if !path.is_file() {
            return Err(refuse("is not a regular file"));
        }
        Ok(path)
    }
}
