//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0600", "model without a graph",
        "The file is protobuf, but no ONNX model, or an empty one. Export the model again; `nim-translate` reads \
         `ModelProto`, not bare tensors.",
        "an empty `model.onnx`";
    "N0601", "operator is not supported",
        "No rule is known for the operator, in the version of the operator set that the model names. \
         `docs/onnx-coverage.md` lists what is. Export with other operators, or add a rule.",
        "`y = com.example.Fancy(x)`";
    "N0602", "value is defined nowhere",
        "An output of a graph, subgraph or function is the result of no node. The model is damaged; `onnx.checker` \
         says so too.",
        "a graph with the output `y` and no node that gives `y`";
    "N0603", "input whose type is not supported",
        "The type of an input is missing or is none that the toolkit has, or its rank is left open and the model does not \
         decide it. Give the input an element type and a shape: in the file, or with `--input-shape x=[N]x3x224x224`.",
        "an input without `tensor_type`";
    "N0604", "constant cannot be read",
        "The bytes of a constant do not fit its shape and type, or its file of external data is not there. Put the \
         files beside the model, under the names that it gives them.",
        "an initializer of `float[4]` with 12 bytes";
    "N0605", "nodes form a circle",
        "Every node waits for another. The model is damaged.",
        "`a = Neg(b); b = Neg(a)`";
    "N0606", "file contradicts itself",
        "The element type that the file states for a value is not the one that follows from its nodes. (A rank or a size that \
         is stated wrongly is ignored: what follows is taken.) Remove the wrong entry of `value_info`, or infer types anew.",
        "`y = Relu(x)` with `x: float[3]` and `y: int64[3]`";
    "N0607", "function calls itself, or too deep",
        "Functions of a model are put where they are called, so they cannot be recursive; subgraphs are nested up to \
         a fixed depth.",
        "`f(x) { y = f(x) }`";
    "N0608", "no such input",
        "A shape or a constant is given for an input that the model does not have. The hint lists those it has.",
        "`--constant axes=1xi64=0` for a model whose only input is `x`";
    "N0610", "input is missing",
        "The operator needs an input that the node does not have, or that is of another kind than a tensor.",
        "`y = Add(x)`";
    "N0611", "subgraph is missing",
        "Operators such as `If`, `Loop` and `Scan` need their graphs as attributes.",
        "`If` without `else_branch`";
    "N0612", "axes are computed",
        "The axes of the operator decide the rank of its result, so they must be constants, or become some by \
         folding.",
        "`Squeeze` by axes that are an input of the model";
    "N0613", "axis does not fit",
        "The axis lies outside of the tensor's rank, or the operator cannot work along it.",
        "`Gather` with axis 2 on `float[2, 3]`";
    "N0614", "attribute that does not fit",
        "An attribute of the node is missing, of the wrong kind, or none of the words that the operator allows.",
        "`Pad` with the mode `mirror`";
    "N0615", "shapes do not fit the operator",
        "The shapes of inputs and attributes contradict each other or the standard. The message gives both.",
        "`Conv` of `float[1, 3, 8, 8]` with weights for 4 channels";
    "N0616", "size must be known when the model is compiled",
        "The operator's result can only be written down when this size is a number or an expression of the inputs' \
         dimensions. Fix the dimension when exporting, or compute the size from shapes.",
        "`OneHot` whose depth is an input of the model";
    "N0617", "variant of the operator is not supported",
        "The operator is known, but not with these attributes or inputs. The message names them.",
        "`MatMulNBits` with an order of groups";
    "N0618", "shape of a reshape does not fit",
        "0 copies a dimension of the input and -1 is what remains; another negative number, a 0 beyond the input's \
         rank, or a -1 beside a dimension of 0 has no meaning.",
        "`Reshape` of `float[2, 3]` by `[2, -2]`";
    "N0619", "removed axis is not 1",
        "`Squeeze` takes away axes of size 1 only.",
        "`Squeeze` of axis 1 of `float[2, 3]`";
    "N0620", "shape cannot be expanded",
        "`Expand` follows the rules of broadcasting: a dimension stays or was 1.",
        "`Expand` of `float[2]` to `[3]`";
    "N0621", "slice or split does not fit",
        "Starts, ends, axes and steps must be lists of one length, steps not 0, parts of a split positive and in sum \
         the axis.",
        "`Slice` with two starts and three axes";
    "N0622", "repeats do not fit",
        "`Tile` takes one number an axis.",
        "`Tile` of `float[2, 3]` by `[2]`";
    "N0623", "pads do not fit",
        "Pads are two numbers an axis: all begins, then all ends.",
        "`Pad` of `float[2, 3]` by `[1, 1]`";
    "N0624", "equation or matrix does not fit",
        "The terms of an `Einsum` equation must be as many as there are operands, with as many letters as they have \
         axes; `Det` takes square matrices.",
        "`Einsum` of `ij,jk->ik` on three operands";
    "N0625", "more elements than there are",
        "`TopK` gives at most as many elements as the axis has.",
        "`TopK` of 5 along an axis of 3";
    "N0626", "scales or sizes do not fit",
        "`Resize` takes one scale or size for each axis that it names, and scales are positive.",
        "`Resize` of `float[1, 3, 8, 8]` by `[2.0, 2.0]`";
    "N0627", "scale of a quantisation does not fit",
        "Scale and zero point are one number, one number an element of the axis, or one a block.",
        "`QuantizeLinear` along an axis of 4 with 3 scales";
    "N0628", "shape is no vector",
        "A shape is a vector of integers whose length is known when the model is compiled.",
        "`ConstantOfShape` of `int64[2, 2]`";
    "N0630", "one element is needed",
        "A condition or trip count is one value, a condition a truth value.",
        "`If` on `bool[2]`";
    "N0631", "branches give different types",
        "What both branches of `If` give must have one element type and rank; the condition is not known when the \
         model is compiled, so neither branch can be dropped. Dimensions that differ become a new symbol.",
        "`If` that gives `float[2]` or `int64[2]`";
    "N0632", "body of a loop does not fit",
        "The body of `Loop` and `Scan` takes and gives what the node carries, in the same order and with types that \
         go round.",
        "`Loop` that carries `float[2]` and gives back `float[3]`";
    "N0633", "loop over sequences of unknown length",
        "A loop that carries a sequence is unrolled when nothing else is possible, so its trip count must be known \
         when the model is compiled.",
        "`Loop` that appends to a sequence as often as an input says";
    "N0634", "weights of a recurrent operator do not fit",
        "Weights are `[directions, gates * hidden, size]`, and the direction one of `forward`, `reverse`, \
         `bidirectional`.",
        "`LSTM` with weights of rank 2";
    "N0635", "queries, keys or masks do not fit",
        "Attention takes sequences `[batch, length, size]`, or with heads as a fourth axis, and masks of rank 1 to 4.",
        "`MultiHeadAttention` with keys of rank 2";
    "N0640", "sequence or tensor in the wrong place",
        "The operator takes a sequence and got a tensor, or the other way round, or a sequence of another element \
         type.",
        "`SequenceAt` of a tensor";
    "N0641", "no such element",
        "A position outside of a sequence whose length is known, the value of an optional that is empty, or an empty \
         sequence whose elements would be needed.",
        "`SequenceAt` of position 3 in a sequence of 2";
    "N0642", "rank is not known",
        "A tensor that is taken out of a sequence or optional has a rank only when the file says so: give the type of \
         the sequence a shape.",
        "`SequenceAt` of an input `seq(tensor(float))` without a shape";
}
