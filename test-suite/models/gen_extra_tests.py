#!/usr/bin/env python3
"""Write cases of operators that the onnx package has no tests of, in the layout of its own:

    ${NIM_MODELS}/onnx-tests/extra/CASE/{model.onnx, data.json, test_data_set_0/{input,output}_J.pb}

`com.microsoft`, `ai.onnx.ml` and forms of old opsets, one node each, on random data (seeded by the case's name).
Outputs are onnxruntime's. A case that onnxruntime refuses is named and left out.
"""
import json, os, shutil, sys, zlib
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ROOT = os.environ.get("NIM_MODELS") or os.path.expanduser("~/.cache/nim-models")
OUT = os.path.join(ROOT, "onnx-tests", "extra")
MS, ML = "com.microsoft", "ai.onnx.ml"
CASES = {}  # name -> function of a random generator that gives what `save` takes


def case(function):
    CASES[function.__name__] = function


def f32(g, *shape):
    return g.standard_normal(shape).astype(np.float32)


def node(op, inputs, outputs=1, domain="", opset=17, rtol=1e-4, atol=1e-5, dynamic=True, **attributes):
    """`inputs`: arrays, None for an absent one; `outputs`: how many, or a list of which are wanted."""
    return dict(op=op, inputs=inputs, outputs=outputs, domain=domain, opset=opset, rtol=rtol, atol=atol, attributes=attributes)


# ---- com.microsoft


@case
def embed_layer_norm(g):
    ids, segments = g.integers(0, 11, (2, 5)).astype(np.int32), g.integers(0, 2, (2, 5)).astype(np.int32)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
    tables = [f32(g, 11, 8), f32(g, 7, 8), f32(g, 2, 8), f32(g, 8), f32(g, 8)]
    return node("EmbedLayerNormalization", [ids, segments, *tables, mask], 3, MS, epsilon=1e-5)


@case
def embed_layer_norm_positions(g):
    ids, at = g.integers(0, 11, (2, 5)).astype(np.int32), g.integers(0, 7, (2, 5)).astype(np.int32)
    return node("EmbedLayerNormalization", [ids, None, f32(g, 11, 8), f32(g, 7, 8), None, f32(g, 8), f32(g, 8), None, at], 2, MS)


@case
def inverse(g):
    return node("Inverse", [f32(g, 2, 4, 4)], 1, MS, rtol=1e-3, atol=1e-4)


@case
def inverse_of_a_permutation(g):
    return node("Inverse", [np.eye(4, dtype=np.float32)[[2, 0, 3, 1]] * 2], 1, MS)


@case
def ms_grid_sample(g):
    return node("GridSample", [f32(g, 1, 2, 4, 5), np.tanh(f32(g, 1, 3, 4, 2))], 1, MS, mode="bilinear", padding_mode="border")


@case
def ms_grid_sample_bicubic(g):
    return node("GridSample", [f32(g, 1, 2, 4, 5), np.tanh(f32(g, 1, 3, 4, 2))], 1, MS, mode="bicubic", align_corners=1)


def u8(g, *shape):
    return g.integers(0, 256, shape).astype(np.uint8)


@case
def nhwc_max_pool(g):
    return node("NhwcMaxPool", [u8(g, 1, 7, 8, 3)], 1, MS, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])


@case
def nhwc_max_pool_ceil(g):
    return node("NhwcMaxPool", [u8(g, 1, 8, 8, 3).astype(np.int8)], 1, MS, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)


def scale(x):
    return np.array(x, np.float32)


@case
def qgemm(g):
    a, b, c = u8(g, 3, 5), u8(g, 5, 4), g.integers(-500, 500, (4,)).astype(np.int32)
    return node("QGemm", [a, scale(0.02), np.uint8(120), b, scale(0.03), np.uint8(130), c, scale(0.1), np.uint8(127)], 1, MS, atol=1)


@case
def qgemm_real(g):
    a, b, c = u8(g, 5, 3), g.integers(-128, 128, (4, 5)).astype(np.int8), g.integers(-500, 500, (3, 4)).astype(np.int32)
    scales = (g.random(4) * 0.1).astype(np.float32)
    zeros = np.zeros(4, np.int8)
    return node("QGemm", [a, scale(0.02), np.uint8(120), b, scales, zeros, c], 1, MS, alpha=0.5, transA=1, transB=1)


@case
def qlinear_softmax(g):
    x = [u8(g, 2, 3, 6), scale(0.05), np.uint8(100), scale(1 / 256), np.uint8(0)]
    return node("QLinearSoftmax", x, 1, MS, atol=1, axis=-1, opset_=13)


@case
def qlinear_softmax_old(g):
    x = [u8(g, 2, 3, 6).astype(np.int8), scale(0.05), np.int8(0), scale(1 / 256), np.int8(-128)]
    return node("QLinearSoftmax", x, 1, MS, atol=1, axis=1, opset_=12)


def grouped(g, batch, length, past, heads=4, shared=2, size=8, most=None, packed=False, lengths=None, extra=(), **attributes):
    most = past + length if most is None else most
    lengths = np.full(batch, past + length - 1, np.int32) if lengths is None else np.array(lengths, np.int32)
    if packed:
        qkv = [f32(g, batch, length, (heads + 2 * shared) * size), None, None]
    else:
        qkv = [f32(g, batch, length, heads * size), f32(g, batch, length, shared * size), f32(g, batch, length, shared * size)]
    cache = [f32(g, batch, shared, past, size), f32(g, batch, shared, past, size)] if past else [None, None]
    inputs = [*qkv, *cache, lengths, np.array(most, np.int32), *extra]
    return node("GroupQueryAttention", inputs, 3, MS, num_heads=heads, kv_num_heads=shared, **attributes)


@case
def grouped_prompt(g):
    return grouped(g, 2, 5, 0)


@case
def grouped_token(g):
    return grouped(g, 2, 1, 6)


@case
def grouped_packed_scale(g):
    return grouped(g, 1, 3, 4, packed=True, scale=0.3, softcap=2.0)


@case
def grouped_window(g):
    return grouped(g, 1, 6, 0, local_window_size=3)


def rotations(g, rows=16, half=8):
    angle = f32(g, rows, half)
    return np.cos(angle), np.sin(angle)


@case
def grouped_rotary(g):
    return grouped(g, 2, 1, 6, size=16, extra=rotations(g), do_rotary=1)


@case
def grouped_rotary_prompt(g):
    return grouped(g, 2, 4, 0, size=16, extra=rotations(g), do_rotary=1, rotary_interleaved=1)


@case
def grouped_lengths(g):
    return grouped(g, 2, 1, 6, lengths=[4, 6])


@case
def grouped_bias(g):
    return grouped(g, 1, 3, 0, extra=(None, None, None, f32(g, 1, 4, 3, 3)))


@case
def grouped_smooth(g):
    return grouped(g, 1, 3, 2, smooth_softmax=1)


# ---- ai.onnx.ml

KERNELS = {"linear": "LINEAR", "poly": "POLY", "rbf": "RBF", "sigmoid": "SIGMOID"}


def svm_regressor(g, kernel, **attributes):
    values = dict(
        coefficients=f32(g, 5).tolist(), support_vectors=f32(g, 20).tolist(), n_supports=5, rho=[0.25],
        kernel_type=kernel, kernel_params=[0.3, 0.5, 3.0],
    )
    return node("SVMRegressor", [f32(g, 6, 4)], 1, ML, **(values | attributes))


for name, kind in KERNELS.items():
    CASES[f"svm_regressor_{name}"] = lambda g, kind=kind: svm_regressor(g, kind)


@case
def svm_regressor_one_class(g):
    return svm_regressor(g, "RBF", one_class=1)


def svm_classifier(g, classes, kernel="RBF", probabilities=False, strings=False, **attributes):
    per_class = [3, 2, 4, 2][:classes]
    vectors, pairs = sum(per_class), classes * (classes - 1) // 2
    labels = {"classlabels_strings": list("abcd")[:classes]} if strings else {"classlabels_ints": [3, 1, 7, 5][:classes]}
    values = dict(
        coefficients=f32(g, vectors * (classes - 1)).tolist(), support_vectors=f32(g, vectors * 4).tolist(),
        vectors_per_class=per_class, rho=f32(g, pairs).tolist(), kernel_type=kernel, kernel_params=[0.3, 0.5, 3.0], **labels,
    )
    if probabilities:
        values |= dict(prob_a=(-np.abs(f32(g, pairs))).tolist(), prob_b=f32(g, pairs).tolist())
    return node("SVMClassifier", [f32(g, 9, 4)], 2, ML, **(values | attributes))


for classes in (2, 3, 4):
    CASES[f"svm_classifier_{classes}"] = lambda g, c=classes: svm_classifier(g, c)
    CASES[f"svm_classifier_{classes}_probable"] = lambda g, c=classes: svm_classifier(g, c, probabilities=True, strings=True)
    if classes > 2:  # onnxruntime gives the one score of two classes as it is; the standard transforms it
        CASES[f"svm_classifier_{classes}_softmax"] = lambda g, c=classes: svm_classifier(g, c, "POLY", post_transform="SOFTMAX")


for transform in ("LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"):
    CASES[f"linear_regressor_{transform.lower()}"] = lambda g, t=transform: node(
        "LinearRegressor", [np.abs(f32(g, 4, 3)) * 0.2], 1, ML, coefficients=[0.1, 0.2, 0.3, 0.3, 0.2, 0.4], targets=2,
        intercepts=[0.1, 0.2], post_transform=t, rtol=1e-3,
    )


def words(*values):
    return np.array(values, dtype=object)


@case
def category_mapper(g):
    return node("CategoryMapper", [words("dog", "cat", "cow")], 1, ML, cats_strings=["cat", "dog"], cats_int64s=[5, 7])


@case
def category_mapper_back(g):
    return node("CategoryMapper", [np.array([[7, 5, 6]])], 1, ML, cats_strings=["cat", "dog"], cats_int64s=[5, 7])


@case
def one_hot_encoder(g):
    return node("OneHotEncoder", [np.array([[3, 1], [2, 9]])], 1, ML, cats_int64s=[1, 2, 3])


@case
def one_hot_encoder_words(g):
    return node("OneHotEncoder", [words("b", "x", "a")], 1, ML, cats_strings=["a", "b", "c"])


@case
def one_hot_encoder_all_known(g):
    return node("OneHotEncoder", [np.array([3, 1])], 1, ML, cats_int64s=[1, 2, 3], zeros=0)


# ---- ai.onnx, old and rare forms


@case
def max_roi_pool(g):
    rois = np.array([[0, 1, 1, 6, 5], [1, 0, 2, 3, 7], [0, 4, 4, 4, 4], [1, 6, 6, 12, 12]], np.float32)
    return node("MaxRoiPool", [f32(g, 2, 3, 8, 8), rois], 1, opset=8, pooled_shape=[2, 3], spatial_scale=0.9)


def infos(inputs):
    result = []
    for i, v in enumerate(inputs):
        if v is not None:
            v = np.asarray(v)
            kind = TensorProto.STRING if v.dtype == object else helper.np_dtype_to_tensor_dtype(v.dtype)
            result.append(helper.make_tensor_value_info(f"x{i}", kind, v.shape))
    return result


def save(name, what):
    inputs = [None if v is None else np.asarray(v) for v in what["inputs"]]
    attributes = {k.rstrip("_"): v for k, v in what["attributes"].items()}
    outputs = [f"y{i}" for i in range(what["outputs"])]
    one = helper.make_node(
        what["op"], ["" if v is None else f"x{i}" for i, v in enumerate(inputs)], outputs, name, domain=what["domain"], **attributes
    )
    imports = [helper.make_opsetid("", what["opset"])]
    if what["domain"]:
        imports.append(helper.make_opsetid(what["domain"], 1 if what["domain"] == MS else 3))
    graph = helper.make_graph([one], name, infos(inputs), [onnx.ValueInfoProto(name=o) for o in outputs])
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    feeds = {f"x{i}": v for i, v in enumerate(inputs) if v is not None}
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = session.run(None, feeds)
    except Exception as error:  # onnxruntime has no common class for what it refuses
        print(f"{name}: onnxruntime refuses it: {str(error).splitlines()[0][:160]}", file=sys.stderr)
        return False
    folder = os.path.join(OUT, name)
    shutil.rmtree(folder, ignore_errors=True)
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data)
    # The types that onnxruntime found; the runner reads outputs by them.
    del model.graph.output[:]
    for output, v in zip(session.get_outputs(), found):
        v = np.asarray(v)
        kind = TensorProto.STRING if v.dtype.kind in "OU" else helper.np_dtype_to_tensor_dtype(v.dtype)
        model.graph.output.append(helper.make_tensor_value_info(output.name, kind, v.shape))
    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    with open(os.path.join(folder, "data.json"), "w") as f:
        json.dump({"rtol": what["rtol"], "atol": what["atol"]}, f)
    fed = [(k, v) for k, v in feeds.items()]
    for kind, values in (("input", fed), ("output", list(zip(outputs, found)))):
        for j, (key, v) in enumerate(values):
            with open(os.path.join(data, f"{kind}_{j}.pb"), "wb") as f:
                f.write(numpy_helper.from_array(np.asarray(v), key).SerializeToString())
    return True


def main():
    wanted = sys.argv[1:]
    done = 0
    for name, function in CASES.items():
        if not wanted or any(w in name for w in wanted):
            done += save(name, function(np.random.default_rng(zlib.crc32(name.encode()))))
    print(f"{done} cases in {OUT}")


if __name__ == "__main__":
    main()
