//! The `graph` dialect: *what* is computed. Whole tensors, value semantics, named dimensions, few primitives.
//!
//! * [`ops`]: the definitions.
//! * [`shape`]: shape functions, shared by importer, verifier and shape inference.
//! * [`contents`]: what is known at compile time about small tensors, as symbolic expressions.
//! * [`build`]: building by hand, with trivial ops simplified away and broadcasts guarded.
//! * [`gradient`]: derivatives of what was built.

pub mod build;
mod build_control;
pub mod codes;
pub mod contents;
pub mod gradient;
pub mod ops;
pub mod shape;
mod verify;

pub use build::{Built, GraphBuilder};
pub use build_control::{Iteration, LoopSpec};

use nim_ir_macros::dialect;
use ops::{contraction, control, data, elementwise, indexing, layout, reduction};

dialect! {
    /// The dialect's tables.
    pub static GRAPH: "graph", "What is computed: whole tensors, the algebra of models.",
    ops[
        ..elementwise::UNARY, ..elementwise::BINARY,
        elementwise::IsInf, elementwise::Compare, elementwise::Select, elementwise::Cast, elementwise::BitCast,
        elementwise::Bernoulli,
        contraction::MatMul, contraction::Einsum, contraction::Conv, contraction::ConvTranspose, contraction::Pool,
        reduction::Reduce, reduction::ArgReduce, reduction::CumSum,
        layout::Constant, layout::Reshape, layout::BroadcastTo, layout::Transpose, layout::Concat, layout::Slice,
        layout::Pad, layout::Iota, layout::Range, layout::Resize,
        indexing::Gather, indexing::GatherElements, indexing::GatherNd, indexing::ScatterElements,
        indexing::ScatterNd, indexing::TopK, indexing::NonZero, indexing::Unique, indexing::Nms, indexing::Random,
        control::ShapeOf, control::Index, control::Bind, control::Guard, control::Assume, control::MatchCast,
        control::Runtime, control::If, control::Loop,
        control::Yield,
        data::Adt, data::Construct, data::Match, data::Closure, data::Lambda
    ],
    types["graph.string": "Text, an element type of tensors.", "graph.sequence": "A list of values of one type.",
          "graph.optional": "A value or nothing.", "graph.map": "Keys and a single element for each.",
          "graph.adt": "A value of an algebraic data type that `graph.adt` defines."]
}
