//! The ONNX messages as Rust structs, generated from `proto/onnx.proto` when the crate is built.

#![allow(missing_docs, clippy::all, rustdoc::all)]

include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
