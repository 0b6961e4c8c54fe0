//! Bridge to upstream MLIR.
