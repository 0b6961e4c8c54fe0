//! ONNX models to and from the graph dialect.
