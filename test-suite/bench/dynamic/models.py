"""Models with random weights that the workloads need beside those of the zoo."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(path, nodes, inputs, outputs, weights):
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "bench",
        [value(*i) for i in inputs],
        [value(*o) for o in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def lstm(path, layers, inputs=300, hidden=512, seed=1):
    """ONNX LSTM layers over a sequence of batch 1."""
    rng, nodes, weights, width, name = np.random.default_rng(seed), [], {}, inputs, "x"
    scale = 1 / np.sqrt(hidden)
    random = lambda *shape: (rng.uniform(-scale, scale, shape)).astype(np.float32)
    for layer in range(layers):
        weights |= {
            f"w{layer}": random(1, 4 * hidden, width),
            f"r{layer}": random(1, 4 * hidden, hidden),
            f"b{layer}": random(1, 8 * hidden),
        }
        names = [name, f"w{layer}", f"r{layer}", f"b{layer}"]
        nodes.append(helper.make_node("LSTM", names, [f"four{layer}"], hidden_size=hidden))
        weights["axis"] = np.array([1])
        out = "y" if layer + 1 == layers else f"h{layer}"
        nodes.append(helper.make_node("Squeeze", [f"four{layer}", "axis"], [out]))
        width, name = hidden, out
    save(path, nodes, [("x", ["seq", 1, inputs])], [("y", ["seq", 1, hidden])], weights)


def dense(path, rows, k, n, seed=2):
    """`[M, k] x [k, n]`, a bias and a ReLU."""
    rng = np.random.default_rng(seed)
    weights = {"w": rng.standard_normal((k, n)).astype(np.float32) / np.float32(k) ** 0.5}
    weights["b"] = rng.standard_normal(n).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("Add", ["xw", "b"], ["z"]),
        helper.make_node("Relu", ["z"], ["y"]),
    ]
    save(path, nodes, [("x", [rows, k])], [("y", [rows, n])], weights)


def fixed(source, path, shapes):
    """A model whose inputs have these shapes, with its large weights where they are."""
    model = onnx.load(source, load_external_data=False)
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name]):
            dim.dim_value = size
    for value in list(model.graph.output) + list(model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")
    onnx.save(model, path)
