#!/usr/bin/env python3
"""Write cases of operators that the onnx package has no tests of, in the layout of its own:

    ${NIM_MODELS}/onnx-tests/extra/CASE/{model.onnx, data.json, test_data_set_0/{input,output}_J.pb}

`com.microsoft`, `ai.onnx.ml` and forms of old opsets, one node each, on random data (seeded by the case's name).
Outputs are onnxruntime's. A case that onnxruntime refuses is named and left out. Does nothing when the same file with the same
packages wrote them before.
"""
import json, math, os, shutil, sys, zlib
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


def node(op, inputs, outputs=1, domain="", opset=17, rtol=1e-4, atol=1e-5, plain=False, expected=None, **attributes):
    """`inputs`: arrays, None for an absent one; `outputs`: how many, or a list of which are wanted. `plain`: onnxruntime is asked
    for the operator of the same name in ONNX's own domain; `expected`: the outputs, where onnxruntime has it on GPUs only."""
    return dict(op=op, inputs=inputs, outputs=outputs, domain=domain, opset=opset, rtol=rtol, atol=atol, plain=plain, expected=expected,
                attributes=attributes)


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


def grouped_bits(g, batch, length, past, scales, kind, bits=8, heads=4, shared=2, size=16, lengths=None, extra=(None,) * 5, **attributes):
    """Keys and values that are kept as bytes or halves of them, with scales."""
    case = grouped(g, batch, length, past, heads, shared, size, lengths=lengths, extra=(*extra, *scales), k_quant_type=kind,
                   v_quant_type=kind, kv_cache_bit_width=bits, **attributes)
    for at in (3, 4):
        kept = g.integers(-127, 128, (batch, shared, past, size), dtype=np.int8)
        case["inputs"][at] = kept if bits == 8 else kept[..., : size // 2].view(np.uint8)
    return case


@case
def grouped_8_bits_token(g):
    return grouped_bits(g, 2, 1, 6, [np.array([0.02], np.float32), np.array([0.03], np.float32)], "PER_TENSOR", lengths=[4, 6])


@case
def grouped_8_bits_by_channel(g):
    scales = [np.abs(f32(g, 1, 2, 1, 16)) * 0.01 + 0.01 for _ in range(2)]
    return grouped_bits(g, 1, 1, 5, scales, "PER_CHANNEL", extra=(*rotations(g), None, None, None), do_rotary=1)


@case
def grouped_4_bits_token(g):
    return grouped_bits(g, 2, 1, 6, [np.array([0.3], np.float32), np.array([0.4], np.float32)], "PER_TENSOR", bits=4, lengths=[4, 6])


@case
def grouped_4_bits_by_channel(g):
    scales = [np.abs(f32(g, 1, 2, 1, 16)) * 0.1 + 0.2 for _ in range(2)]
    return grouped_bits(g, 1, 2, 5, scales, "PER_CHANNEL", bits=4, extra=(*rotations(g), None, None, None), do_rotary=1)


def unary_ms(op, shape=(3, 8), **attributes):
    return lambda g: node(op, [f32(g, *shape) * 2], 1, MS, **attributes)


CASES["ms_gelu"] = unary_ms("Gelu")
CASES["ms_quick_gelu"] = unary_ms("QuickGelu", alpha=1.3)
CASES["ms_fast_gelu"] = lambda g: node("FastGelu", [f32(g, 3, 8), f32(g, 8)], 1, MS)
CASES["ms_bias_gelu"] = lambda g: node("BiasGelu", [f32(g, 3, 8), f32(g, 8)], 1, MS)
CASES["fused_gemm"] = lambda g: node("FusedGemm", [f32(g, 3, 4), f32(g, 5, 4), f32(g, 5)], 1, MS, transB=1, alpha=0.5, activation="LeakyRelu", activation_alpha=0.2)
CASES["fused_matmul"] = lambda g: node("FusedMatMul", [f32(g, 2, 4, 3), f32(g, 2, 5, 4)], 1, MS, transA=1, transB=1, alpha=0.5)
CASES["fused_matmul_batches"] = lambda g: node("FusedMatMul", [f32(g, 3, 2, 4), f32(g, 2, 4, 5)], 1, MS, transBatchA=1)
CASES["fused_conv"] = lambda g: node("FusedConv", [f32(g, 1, 3, 6, 6), f32(g, 4, 3, 3, 3), f32(g, 4), f32(g, 1, 4, 4, 4)], 1, MS, activation="Relu")
CASES["fused_conv_clip"] = lambda g: node("FusedConv", [f32(g, 1, 3, 6, 6), f32(g, 4, 3, 3, 3)], 1, MS, activation="Clip", activation_params=[-0.5, 0.5])
CASES["skip_layer_norm"] = lambda g: node("SkipLayerNormalization", [f32(g, 2, 3, 8), f32(g, 2, 3, 8), f32(g, 8), f32(g, 8), f32(g, 8)], [0, 3], MS, epsilon=1e-5)
CASES["skip_layer_norm_broadcast"] = lambda g: node("SkipLayerNormalization", [f32(g, 2, 3, 8), f32(g, 3, 8), f32(g, 8)], 1, MS)
CASES["skip_simplified_layer_norm"] = lambda g: node("SkipSimplifiedLayerNormalization", [f32(g, 2, 3, 8), f32(g, 2, 3, 8), f32(g, 8)], [0, 3], MS)
CASES["simplified_layer_norm"] = lambda g: node("SimplifiedLayerNormalization", [f32(g, 2, 3, 8), f32(g, 8)], 1, axis=-1, epsilon=1e-5)


@case
def ms_rotary(g):
    return node("RotaryEmbedding", [f32(g, 2, 3, 16), np.array([[1, 2, 3], [4, 5, 6]]), f32(g, 10, 4), f32(g, 10, 4)], 1, MS)


@case
def ms_rotary_heads(g):
    return node("RotaryEmbedding", [f32(g, 2, 2, 3, 8), np.array([4]), f32(g, 10, 4), f32(g, 10, 4)], 1, MS, interleaved=1)


@case
def mha_plain(g):
    return node("MultiHeadAttention", [f32(g, 2, 3, 8), f32(g, 2, 5, 8), f32(g, 2, 5, 12), f32(g, 28)], 1, MS, num_heads=2)


@case
def mha_past(g):
    past = [f32(g, 2, 2, 4, 4), f32(g, 2, 2, 4, 4)]
    bias = f32(g, 1, 2, 3, 7)
    return node("MultiHeadAttention", [f32(g, 2, 3, 8), f32(g, 2, 3, 8), f32(g, 2, 3, 8), None, None, bias, *past], 3, MS, num_heads=2, unidirectional=1)


@case
def mha_key_mask(g):
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], np.int32)
    return node("MultiHeadAttention", [f32(g, 2, 3, 8), f32(g, 2, 5, 8), f32(g, 2, 5, 8), None, mask], 1, MS, num_heads=2, scale=0.7)


@case
def ms_attention_past(g):
    return node("Attention", [f32(g, 2, 3, 8), f32(g, 8, 24), f32(g, 24), None, f32(g, 2, 2, 2, 4, 4)], 2, MS, num_heads=2, unidirectional=1)


@case
def ms_attention_lengths(g):
    return node("Attention", [f32(g, 2, 3, 8), f32(g, 8, 24), f32(g, 24), np.array([2, 3], np.int32)], 1, MS, num_heads=2)


@case
def ms_attention_sizes(g):
    mask = np.array([[1, 1, 0], [1, 1, 1]], np.int32)
    return node("Attention", [f32(g, 2, 3, 8), f32(g, 8, 28), f32(g, 28), mask], 1, MS, num_heads=2, qkv_hidden_sizes=[8, 8, 12])


def nbits(g, bits, zeros=None, order=False, k=48, n=5, block=16, rows=3, **attributes):
    blocks = -(-k // block)
    inputs = [f32(g, rows, k), u8(g, n, blocks, block * bits // 8), f32(g, n * blocks)]
    if zeros == "packed":
        inputs.append(u8(g, n * -(-blocks * bits // 8)))
    elif zeros == "real":
        inputs.append((g.random((n, blocks)) * 2**bits).astype(np.float32))
    else:
        inputs.append(None)
    inputs.append(g.integers(0, blocks, k).astype(np.int32) if order else None)
    return node("MatMulNBits", inputs, 1, MS, K=k, N=n, block_size=block, bits=bits, rtol=1e-3, atol=1e-3, **attributes)


for bits in (2, 4, 8):
    CASES[f"matmul_{bits}_bits"] = lambda g, b=bits: nbits(g, b)
    CASES[f"matmul_{bits}_bits_zeros"] = lambda g, b=bits: nbits(g, b, "packed", k=80)
CASES["matmul_4_bits_real_zeros"] = lambda g: nbits(g, 4, "real")
CASES["matmul_4_bits_order"] = lambda g: nbits(g, 4, order=True)
CASES["matmul_4_bits_part"] = lambda g: nbits(g, 4, k=40, block=32)


@case
def dynamic_quantize_matmul(g):
    return node("DynamicQuantizeMatMul", [f32(g, 3, 8), u8(g, 8, 5), np.abs(f32(g, 5)) * 0.1, u8(g, 5), f32(g, 5)], 1, MS, rtol=1e-3, atol=1e-3)


@case
def matmul_integer_to_float(g):
    return node("MatMulIntegerToFloat", [u8(g, 3, 8), u8(g, 8, 5).astype(np.int8), scale(0.02), np.abs(f32(g, 5)) * 0.1, np.uint8(7), np.zeros(5, np.int8), f32(g, 5)], 1, MS, rtol=1e-3)


@case
def dynamic_quantize_lstm(g):
    w, r = g.integers(-127, 127, (1, 4, 16)).astype(np.int8), g.integers(-127, 127, (1, 4, 16)).astype(np.int8)
    x = [f32(g, 3, 2, 4), w, r, f32(g, 1, 32) * 0.1, None, None, None, None]
    zero = np.zeros(1, np.int8)
    return node("DynamicQuantizeLSTM", [*x, scale([0.01]), zero, scale([0.01]), zero], 3, MS, hidden_size=4, rtol=1e-2, atol=1e-2)


def qlinear(op, shapes=((2, 3, 4), (3, 4)), dtype=np.uint8, **attributes):
    def make(g):
        z = dtype(10)
        x = []
        for s in shapes:
            x += [u8(g, *s).astype(dtype), scale(0.0517), z]
        return node(op, [*x, scale(0.0931), dtype(3)], 1, MS, atol=1, rtol=0, **attributes)

    return make


CASES["qlinear_add"] = qlinear("QLinearAdd")
CASES["qlinear_add_signed"] = qlinear("QLinearAdd", dtype=np.int8)
CASES["qlinear_mul"] = qlinear("QLinearMul")
CASES["qlinear_sigmoid"] = qlinear("QLinearSigmoid", ((4, 5),))
CASES["qlinear_leaky_relu"] = qlinear("QLinearLeakyRelu", ((4, 5),), alpha=0.2)
CASES["qlinear_global_average_pool"] = qlinear("QLinearGlobalAveragePool", ((1, 3, 4, 4),))
CASES["qlinear_global_average_pool_last"] = qlinear("QLinearGlobalAveragePool", ((1, 4, 4, 3),), channels_last=1)
AVERAGED = {
    "": {}, "_pads": dict(pads=[1, 0, 2, 1]), "_included": dict(pads=[1, 0, 2, 1], count_include_pad=1), "_ceil": dict(strides=[2, 2], ceil_mode=1),
    "_same": dict(strides=[2, 2], auto_pad="SAME_UPPER"), "_last": dict(channels_last=1, pads=[1, 1, 1, 1]),
}
for name, how in AVERAGED.items():
    shape = (2, 7, 6, 3) if "channels_last" in how else (2, 3, 7, 6)
    CASES[f"qlinear_average_pool{name}"] = qlinear("QLinearAveragePool", (shape,), kernel_shape=[3, 2], **how)
CASES["qlinear_average_pool_signed"] = qlinear("QLinearAveragePool", ((1, 2, 5, 5),), np.int8, kernel_shape=[2, 2], strides=[1, 2])


@case
def qlinear_concat(g):
    return node("QLinearConcat", [scale(0.1), np.uint8(3), u8(g, 2, 3), scale(0.05), np.uint8(10), u8(g, 2, 2), scale(0.2), np.uint8(0)], 1, MS, axis=1, atol=1, rtol=0)



# Operators of ONNX's own that old models have in this domain.
CASES["ms_quantize"] = lambda g: node("QuantizeLinear", [f32(g, 3, 4), scale(0.1), np.uint8(120)], 1, MS)
CASES["ms_dequantize"] = lambda g: node("DequantizeLinear", [u8(g, 3, 4), scale(0.1), np.uint8(120)], 1, MS)
CASES["ms_dynamic_quantize"] = lambda g: node("DynamicQuantizeLinear", [f32(g, 3, 4)], 3, MS, plain=True)
CASES["ms_conv_integer"] = lambda g: node("ConvInteger", [u8(g, 1, 2, 5, 5), u8(g, 3, 2, 3, 3), np.uint8(3)], 1, MS, plain=True)
CASES["ms_matmul_integer"] = lambda g: node("MatMulInteger", [u8(g, 3, 4), u8(g, 4, 2), np.uint8(3)], 1, MS, plain=True)
CASES["ms_qlinear_matmul"] = lambda g: node("QLinearMatMul", [u8(g, 3, 4), scale(0.1), np.uint8(3), u8(g, 4, 2), scale(0.07), np.uint8(9), scale(1.3), np.uint8(5)], 1, MS, plain=True)
CASES["ms_qlinear_conv"] = lambda g: node("QLinearConv", [u8(g, 1, 2, 5, 5), scale(0.1), np.uint8(3), u8(g, 3, 2, 3, 3), scale(0.07), np.uint8(9), scale(1.3), np.uint8(5)], 1, MS, plain=True)
CASES["ms_layer_norm"] = lambda g: node("LayerNormalization", [f32(g, 2, 8), f32(g, 8), f32(g, 8)], 1, MS, plain=True)
CASES["ms_simplified_layer_norm"] = lambda g: node("SimplifiedLayerNormalization", [f32(g, 2, 8), f32(g, 8)], 1, MS, plain=True)


def gelu(x):
    return (0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))).astype(np.float32)


@case
def bias_split_gelu(g):
    x, bias = f32(g, 2, 3, 8), f32(g, 8)
    left, right = np.split(x + bias, 2, -1)
    return node("BiasSplitGelu", [x, bias], 1, MS, expected=[left * gelu(right)])


@case
def bias_add(g):
    x, bias, skip = f32(g, 2, 3, 8), f32(g, 8), f32(g, 2, 3, 8)
    return node("BiasAdd", [x, bias, skip], 1, MS, expected=[x + bias + skip])


@case
def mha_packed_kv(g):
    q, kv = f32(g, 2, 3, 2, 4), f32(g, 2, 5, 2, 2, 4)
    return node("MultiHeadAttention", [q.reshape(2, 3, 8), kv], 1, MS, num_heads=2, expected=[attended(q, kv[:, :, :, 0], kv[:, :, :, 1])])


@case
def mha_packed_qkv(g):
    qkv = f32(g, 2, 3, 2, 3, 4)
    return node("MultiHeadAttention", [qkv], 1, MS, num_heads=2, expected=[attended(*np.moveaxis(qkv, 3, 0))])


@case
def mha_buffer(g):
    """The past lies at the front of a buffer, which the new rows are written to."""
    q, k, v = f32(g, 1, 1, 2, 4), f32(g, 1, 1, 2, 4), f32(g, 1, 1, 2, 4)
    past = [f32(g, 1, 2, 6, 4), f32(g, 1, 2, 6, 4)]
    present = [p.copy() for p in past]
    for p, new in zip(present, (k, v)):
        p[:, :, 4:5] = new.transpose(0, 2, 1, 3)
    y = attended(q, *(p[:, :, :5].transpose(0, 2, 1, 3) for p in present))
    flat = [x.reshape(1, 1, 8) for x in (q, k, v)]
    return node("MultiHeadAttention", [*flat, None, None, None, *past, np.array([4], np.int32)], 3, MS, num_heads=2, expected=[y, *present])


def attended(q, k, v):
    """Attention over [batch, length, heads, size]."""
    scores = np.einsum("blhd,bmhd->bhlm", q, k) / math.sqrt(q.shape[-1])
    p = np.exp(scores - scores.max(-1, keepdims=True))
    y = np.einsum("bhlm,bmhd->blhd", p / p.sum(-1, keepdims=True), v)
    return y.reshape(*y.shape[:2], -1).astype(np.float32)


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


@case
def zip_map(g):
    return node("ZipMap", [f32(g, 3, 2)], 1, ML, classlabels_int64s=[7, -1])


@case
def zip_map_words(g):
    return node("ZipMap", [f32(g, 2, 3)], 1, ML, classlabels_strings=["dog", "cat", "ant"])


@case
def cast_map(g):
    return node("CastMap", [{5: np.float32(1.5), 2: np.float32(-2.25)}], 1, ML)


@case
def dict_vectorizer(g):
    return node("DictVectorizer", [{"a": np.float32(1.5), "c": np.float32(-2.25)}], 1, ML, string_vocabulary=["c", "b", "a"])


@case
def dict_vectorizer_numbers(g):
    return node("DictVectorizer", [{9: np.float32(4), 3: np.float32(-8)}], 1, ML, int64_vocabulary=[1, 3, 5, 9])


CASES["array_feature_extractor"] = lambda g: node("ArrayFeatureExtractor", [f32(g, 3, 5), np.array([4, 0])], 1, ML)
CASES["binarizer"] = lambda g: node("Binarizer", [f32(g, 3, 5)], 1, ML, threshold=0.3)
CASES["feature_vectorizer"] = lambda g: node("FeatureVectorizer", [f32(g, 3, 2), f32(g, 3, 4)], 1, ML, inputdimensions=[2, 3])
CASES["imputer"] = lambda g: node("Imputer", [np.array([[1, np.nan, 3], [np.nan, 5, 6]], np.float32)], 1, ML, imputed_value_floats=[0.5, 1.5, 2.5], replaced_value_float=float("nan"))
CASES["imputer_numbers"] = lambda g: node("Imputer", [np.array([[1, -1], [4, 2]])], 1, ML, imputed_value_int64s=[9], replaced_value_int64=-1)
CASES["scaler"] = lambda g: node("Scaler", [f32(g, 3, 4)], 1, ML, offset=[0.1, 0.2, 0.3, 0.4], scale=[2.0, 3.0, 4.0, 5.0])
CASES["scaler_of_integers"] = lambda g: node("Scaler", [g.integers(-9, 9, (3, 4))], 1, ML, offset=[0.5], scale=[2.0])
for norm in ("MAX", "L1", "L2"):
    CASES[f"normalizer_{norm.lower()}"] = lambda g, k=norm: node("Normalizer", [f32(g, 3, 4)], 1, ML, norm=k)
for transform in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"):
    CASES[f"linear_classifier_{transform.lower()}"] = lambda g, t=transform: node(
        "LinearClassifier", [np.abs(f32(g, 4, 3)) * 0.2], 2, ML, coefficients=[0.1, 0.2, 0.3, 0.3, 0.2, 0.4, 0.2, 0.1, 0.5],
        intercepts=[0.1, 0.2, 0.15], classlabels_ints=[4, 2, 9], post_transform=t, rtol=1e-3,
    )
CASES["linear_classifier_two"] = lambda g: node("LinearClassifier", [f32(g, 4, 3)], 2, ML, coefficients=[0.1, 0.2, 0.3, -0.1, -0.2, -0.3], intercepts=[0.1, -0.1], classlabels_strings=["no", "yes"], post_transform="LOGISTIC")
CASES["label_encoder_floats"] = lambda g: node("LabelEncoder", [np.array([1.5, np.nan, 3], np.float32)], 1, ML, keys_floats=[1.5, 2.5], values_strings=["a", "b"])
CASES["label_encoder_words"] = lambda g: node("LabelEncoder", [words("x", "b", "a")], 1, ML, keys_strings=["a", "b"], values_floats=[0.5, 1.5], default_float=-2.0)


def tree(g, classes=0, strings=False, targets=2, base=None, **attributes):
    """Two trees of depth two over three features, and one that is a leaf."""
    ids = list(range(7)) * 2 + [0]
    of = [0] * 7 + [1] * 7 + [2]
    modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "LEAF", "LEAF", "LEAF", "LEAF"] + ["BRANCH_GTE", "BRANCH_EQ", "BRANCH_NEQ", "LEAF", "LEAF", "LEAF", "LEAF"] + ["LEAF"]
    true, false = [1, 3, 5, 0, 0, 0, 0] * 2 + [0], [2, 4, 6, 0, 0, 0, 0] * 2 + [0]
    leaves = [(t, i) for t, i, m in zip(of, ids, modes) if m == "LEAF"]
    prefix, kinds = ("class", max(classes, 1)) if classes else ("target", targets)
    one = classes == 2 and attributes.pop("one", False)
    values = dict(
        nodes_treeids=of, nodes_nodeids=ids, nodes_modes=modes, nodes_truenodeids=true, nodes_falsenodeids=false,
        nodes_featureids=[int(v) for v in g.integers(0, 3, len(ids))], nodes_values=np.round(f32(g, len(ids)), 1).tolist(),
        nodes_missing_value_tracks_true=[int(v) for v in g.integers(0, 2, len(ids))],
    )
    values |= {
        f"{prefix}_treeids": [t for t, _ in leaves], f"{prefix}_nodeids": [i for _, i in leaves],
        f"{prefix}_ids": [0 if one else i % kinds for i in range(len(leaves))], f"{prefix}_weights": np.abs(f32(g, len(leaves))).tolist(),
    }
    if base is not None:
        values["base_values"] = base
    x = np.round(f32(g, 8, 3), 1)
    x[2, 1] = np.nan
    if not classes:
        return node("TreeEnsembleRegressor", [x], 1, ML, n_targets=targets, **values, **attributes)
    labels = {"classlabels_strings": list("abcd")[:classes]} if strings else {"classlabels_int64s": [3, 1, 7, 5][:classes]}
    return node("TreeEnsembleClassifier", [x], 2, ML, **values, **labels, **attributes)


for way in ("SUM", "AVERAGE", "MIN", "MAX"):
    CASES[f"tree_regressor_{way.lower()}"] = lambda g, a=way: tree(g, aggregate_function=a)
CASES["tree_regressor_base"] = lambda g: tree(g, base=[0.5, -0.25])
CASES["tree_regressor_logistic"] = lambda g: tree(g, post_transform="LOGISTIC")  # onnxruntime leaves a single target alone
for classes in (3, 4):  # of two classes onnxruntime does not take the better one
    for transform in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
        CASES[f"tree_classifier_{classes}_{transform.lower()}"] = lambda g, c=classes, t=transform: tree(g, c, post_transform=t, strings=c == 3)
CASES["tree_classifier_base"] = lambda g: tree(g, 3, base=[0.1, 0.2, -0.3])
for transform in ("NONE", "LOGISTIC"):
    CASES[f"tree_classifier_one_{transform.lower()}"] = lambda g, t=transform: tree(g, 2, one=True, post_transform=t)
CASES["tree_classifier_one_base"] = lambda g: tree(g, 2, one=True, base=[-1.5])


# ---- ai.onnx, old and rare forms; of random numbers only types and shapes are compared

CASES["random_normal"] = lambda g: node("RandomNormal", [], 1, shape=[2, 3], seed=1.0)
CASES["random_uniform"] = lambda g: node("RandomUniform", [], 1, shape=[2, 3], dtype=TensorProto.DOUBLE)
CASES["random_normal_like"] = lambda g: node("RandomNormalLike", [f32(g, 2, 3)], 1)
CASES["multinomial"] = lambda g: node("Multinomial", [f32(g, 2, 3)], 1, sample_size=5)


def running_sum():
    value = helper.make_tensor_value_info
    sizes = [value(n, TensorProto.FLOAT, [2]) for n in ("s", "e", "t", "o")]
    nodes = [helper.make_node("Add", ["s", "e"], ["t"]), helper.make_node("Identity", ["t"], ["o"])]
    return helper.make_graph(nodes, "sum", sizes[:2], sizes[2:])


CASES["scan_8"] = lambda g: node("Scan", [None, f32(g, 2, 2), f32(g, 2, 4, 2)], 2, opset=8, body=running_sum(), num_scan_inputs=1)
CASES["scan_8_lengths"] = lambda g: node("Scan", [np.array([4, 2]), f32(g, 2, 2), f32(g, 2, 4, 2)], 2, opset=8, body=running_sum(), num_scan_inputs=1)
CASES["scan_8_lengths_backwards"] = lambda g: node("Scan", [np.array([1, 3]), f32(g, 2, 2), f32(g, 2, 4, 2)], 2, opset=8, body=running_sum(), num_scan_inputs=1, directions=[1])


@case
def max_roi_pool(g):
    rois = np.array([[0, 1, 1, 6, 5], [1, 0, 2, 3, 7], [0, 4, 4, 4, 4], [1, 6, 6, 12, 12]], np.float32)
    return node("MaxRoiPool", [f32(g, 2, 3, 8, 8), rois], 1, opset=8, pooled_shape=[2, 3], spatial_scale=0.9)


def infos(inputs):
    result = []
    for i, v in enumerate(inputs):
        if v is not None:
            if isinstance(v, dict):
                key, value = next(iter(v.items()))
                value = helper.make_tensor_type_proto(TensorProto.STRING if isinstance(value, str) else helper.np_dtype_to_tensor_dtype(value.dtype), None)
                key = TensorProto.STRING if isinstance(key, str) else TensorProto.INT64
                result.append(helper.make_value_info(f"x{i}", helper.make_map_type_proto(key, value)))
                continue
            v = np.asarray(v)
            kind = TensorProto.STRING if v.dtype == object else helper.np_dtype_to_tensor_dtype(v.dtype)
            result.append(helper.make_tensor_value_info(f"x{i}", kind, v.shape))
    return result


def proto(v, name):
    """A value as the message that a test data file holds."""
    if isinstance(v, dict):
        keys = list(v)
        text = isinstance(keys[0], str)
        result = onnx.MapProto(name=name, key_type=TensorProto.STRING if text else TensorProto.INT64)
        (result.string_keys if text else result.keys).extend([k.encode() for k in keys] if text else keys)
        values = [np.array(x, dtype=object if isinstance(x, str) else np.float32 if isinstance(x, float) else None) for x in v.values()]
        result.values.elem_type = onnx.SequenceProto.TENSOR
        result.values.tensor_values.extend(numpy_helper.from_array(x) for x in values)
        return result
    if isinstance(v, list):
        result = onnx.SequenceProto(name=name, elem_type=onnx.SequenceProto.MAP)
        result.map_values.extend(proto(x, "") for x in v)
        return result
    return numpy_helper.from_array(np.asarray(v), name)


def save(name, what):
    inputs = [v if v is None or isinstance(v, dict) else np.asarray(v) for v in what["inputs"]]
    attributes = {k.rstrip("_"): v for k, v in what["attributes"].items()}
    while inputs and inputs[-1] is None:
        inputs.pop()
    wanted = what["outputs"] if isinstance(what["outputs"], list) else list(range(what["outputs"]))
    all_outputs = [f"y{i}" if i in wanted else "" for i in range(max(wanted) + 1)]
    outputs = [o for o in all_outputs if o]
    one = helper.make_node(
        what["op"], ["" if v is None else f"x{i}" for i, v in enumerate(inputs)], all_outputs, name, domain=what["domain"], **attributes
    )
    imports = [helper.make_opsetid("", what["opset"])]
    if what["domain"]:
        imports.append(helper.make_opsetid(what["domain"], 1 if what["domain"] == MS else 3))
    graph = helper.make_graph([one], name, infos(inputs), [onnx.ValueInfoProto(name=o) for o in outputs])
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    feeds = {f"x{i}": v for i, v in enumerate(inputs) if v is not None}
    asked = onnx.ModelProto.FromString(model.SerializeToString())
    if what["plain"]:
        asked.graph.node[0].domain = ""
    found = what["expected"]
    try:
        if found is None:
            session = ort.InferenceSession(asked.SerializeToString(), options, providers=["CPUExecutionProvider"])
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
    for output, v in zip(outputs, found):
        if isinstance(v, list):
            key, value = next(iter(v[0].items()))
            key = TensorProto.STRING if isinstance(key, str) else TensorProto.INT64
            kind = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
            model.graph.output.append(helper.make_value_info(output, helper.make_sequence_type_proto(kind)))
            continue
        v = np.asarray(v)
        kind = TensorProto.STRING if v.dtype.kind in "OU" else helper.np_dtype_to_tensor_dtype(v.dtype)
        model.graph.output.append(helper.make_tensor_value_info(output, kind, v.shape))
    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    with open(os.path.join(folder, "data.json"), "w") as f:
        json.dump({"rtol": what["rtol"], "atol": what["atol"]}, f)
    fed = [(k, v) for k, v in feeds.items()]
    for kind, values in (("input", fed), ("output", list(zip(outputs, found)))):
        for j, (key, v) in enumerate(values):
            with open(os.path.join(data, f"{kind}_{j}.pb"), "wb") as f:
                f.write(proto(v, key).SerializeToString())
    return True


def stamp():
    """What the cases depend on: this file and the packages they come from."""
    with open(__file__, "rb") as f:
        return f"{zlib.crc32(f.read()):08x} onnx {onnx.__version__} onnxruntime {ort.__version__}\n"


def made(folder):
    """Whether the folder's cases are those that would be written."""
    path = os.path.join(folder, "version")
    return os.path.isfile(path) and open(path).read() == stamp()


def mark(folder):
    with open(os.path.join(folder, "version"), "w") as f:
        f.write(stamp())


def main():
    wanted = sys.argv[1:]
    if not wanted and made(OUT):
        return
    if not wanted:
        shutil.rmtree(OUT, ignore_errors=True)
    done = 0
    for name, function in CASES.items():
        if not wanted or any(w in name for w in wanted):
            done += save(name, function(np.random.default_rng(zlib.crc32(name.encode()))))
    if not wanted:
        mark(OUT)
    print(f"{done} cases in {OUT}")


if __name__ == "__main__":
    main()
