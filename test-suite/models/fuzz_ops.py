#!/usr/bin/env python3
"""Write random cases of single operators, in the layout of ONNX's own backend tests:

    ${NIM_MODELS}/onnx-tests/fuzz/CASE/{model.onnx, data.json, test_data_set_0/{input,output}_J.pb}

    fuzz_ops.py [--cases N] [--seed S] [--out DIR] [OP ...]

An operator, one of its versions and element types from the schema, shapes, attributes and elements (NaN, infinities, -0,
halves, the ends of integer types) are drawn from the case's number: the same numbers give the same cases everywhere.
Outputs are onnxruntime's, else those of onnx's reference evaluator. Where the two differ the case is left out, as the
standard does not decide it (or one of them is wrong); `--disputed DIR` writes those there, with both outputs. Without arguments
it does nothing when the same file with the same packages wrote the cases before.
"""
import argparse, json, os, shutil, sys, warnings, zlib
import numpy as np, onnx, onnxruntime as ort, ml_dtypes
from onnx import TensorProto as T, helper, numpy_helper, defs
from onnx.reference import ReferenceEvaluator

warnings.filterwarnings("ignore")
np.seterr(all="ignore")
ROOT = os.environ.get("NIM_MODELS") or os.path.expanduser("~/.cache/nim-models")
NEWEST = 28
TYPES = {
    "tensor(float)": T.FLOAT, "tensor(double)": T.DOUBLE, "tensor(float16)": T.FLOAT16, "tensor(bfloat16)": T.BFLOAT16,
    "tensor(int8)": T.INT8, "tensor(int16)": T.INT16, "tensor(int32)": T.INT32, "tensor(int64)": T.INT64,
    "tensor(uint8)": T.UINT8, "tensor(uint16)": T.UINT16, "tensor(uint32)": T.UINT32, "tensor(uint64)": T.UINT64,
    "tensor(bool)": T.BOOL, "tensor(string)": T.STRING, "tensor(complex64)": T.COMPLEX64, "tensor(complex128)": T.COMPLEX128,
    "tensor(float8e4m3fn)": T.FLOAT8E4M3FN, "tensor(float8e4m3fnuz)": T.FLOAT8E4M3FNUZ, "tensor(float8e5m2)": T.FLOAT8E5M2,
    "tensor(float8e5m2fnuz)": T.FLOAT8E5M2FNUZ, "tensor(float8e8m0)": T.FLOAT8E8M0, "tensor(float4e2m1)": T.FLOAT4E2M1,
    "tensor(int4)": T.INT4, "tensor(uint4)": T.UINT4, "tensor(int2)": T.INT2, "tensor(uint2)": T.UINT2,
}
FLOATS = {T.FLOAT, T.DOUBLE, T.FLOAT16, T.BFLOAT16}
SMALL = {T.FLOAT8E4M3FN, T.FLOAT8E4M3FNUZ, T.FLOAT8E5M2, T.FLOAT8E5M2FNUZ, T.FLOAT8E8M0, T.FLOAT4E2M1}
COMPLEX = {T.COMPLEX64, T.COMPLEX128}
UNSIGNED = {T.UINT8, T.UINT16, T.UINT32, T.UINT64, T.UINT4, T.UINT2}
WORDS = ["", "a", "b", "ab", "Zeta", "é", "10", "-3.5", "nan", "INF", "a b", "c,d"]
NARROW = {T.INT4: (-8, 7), T.UINT4: (0, 15), T.INT2: (-2, 1), T.UINT2: (0, 3)}


def np_type(t):
    return helper.tensor_dtype_to_np_dtype(t)


class Gen:
    """Draws what a case is made of."""

    def __init__(self, seed):
        self.g = np.random.default_rng(seed)

    def pick(self, values):
        values = list(values)
        return values[int(self.g.integers(len(values)))]

    def chance(self, p):
        return self.g.random() < p

    def shape(self, least=0, most=4, zero=0.1, top=5):
        rank = int(self.g.integers(least, most + 1))
        return tuple(0 if self.chance(zero / max(rank, 1)) else int(self.g.integers(1, top)) for _ in range(rank))

    def shapes_to_broadcast(self, count):
        full = self.shape()
        result = []
        for _ in range(count):
            own = [1 if self.chance(0.25) else d for d in full]
            result.append(tuple(own[int(self.g.integers(len(own) + 1)):] if self.chance(0.3) else own))
        return result

    def axis(self, rank):
        return int(self.g.integers(-rank, rank)) if rank else 0

    def axes(self, rank, least=0):
        count = int(self.g.integers(min(least, rank), rank + 1))
        chosen = self.g.permutation(rank)[:count]
        return [int(a) - (rank if self.chance(0.4) else 0) for a in chosen]

    def wild(self, t, shape):
        """Any elements, the odd ones among them."""
        n = int(np.prod(shape))
        if t == T.STRING:
            return np.array([self.pick(WORDS) for _ in range(n)], dtype=object).reshape(shape)
        if t == T.BOOL:
            return self.g.integers(0, 2, shape).astype(bool)
        if t in FLOATS | SMALL:
            odd = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -1.5, -2.5, 1, -1, np.nan, np.inf, -np.inf, 1e-40, -1e-40, 3e38, 65504, 1e5, -3e9, 2.0**31, 1e20]
            values = self.g.standard_normal(n) * 3
            at = self.g.random(n) < 0.35
            values[at] = [self.pick(odd) for _ in range(int(at.sum()))]
            return values.astype(np.float32 if t != T.DOUBLE else np.float64).astype(np_type(t)).reshape(shape)
        if t in COMPLEX:
            return (self.g.standard_normal(shape) + 1j * self.g.standard_normal(shape)).astype(np_type(t))
        low, high = NARROW.get(t) or (np.iinfo(np_type(t)).min, np.iinfo(np_type(t)).max)
        values = [int(v) for v in self.g.integers(max(low, -9), min(high, 9), n, endpoint=True)]
        for i in range(n):
            if self.chance(0.3):
                values[i] = self.pick([low, high, 0, 1, max(low, -1), low + 1, high - 1])
        return np.array(values, dtype=np.int64 if low < 0 else np.uint64).astype(np_type(t)).reshape(shape)

    def tame(self, t, shape):
        """Numbers that sums of products are compared on."""
        if t in FLOATS | SMALL:
            values = self.g.standard_normal(shape).astype(np.float32)
            # The type of scales holds powers of two only.
            return (np.abs(values) + 0.1 if t == T.FLOAT8E8M0 else values).astype(np_type(t))
        if t in (T.STRING, T.BOOL) or t in COMPLEX:
            return self.wild(t, shape)
        low, high = NARROW.get(t) or (np.iinfo(np_type(t)).min, np.iinfo(np_type(t)).max)
        return self.g.integers(max(low, -9), min(high, 9), shape, endpoint=True).astype(np_type(t))

    def ints(self, values, t=T.INT64):
        return np.array(values, dtype=np_type(t))


SPECS = {}


def spec(*names):
    def add(f):
        for name in names:
            SPECS[name] = f
        return f
    return add


class Case:
    """Inputs (None: absent), attributes, how many outputs. `types` gives the element type of each type variable."""

    def __init__(self, g, schema, types):
        self.g, self.schema, self.types, self.version = g, schema, types, schema.since_version
        self.inputs, self.attributes, self.outputs, self.tolerance, self.constant = [], {}, 1, None, set()

    def t(self, i=0):
        """Element type of input `i` (of the variadic one for those behind it)."""
        inputs = self.schema.inputs
        name = inputs[min(i, len(inputs) - 1)].type_str
        return self.types[name] if name in self.types else TYPES[name]

    def has(self, attribute):
        return attribute in self.schema.attributes

    def maybe(self, **attributes):
        for name, value in attributes.items():
            if self.has(name) and self.g.chance(0.6):
                self.attributes[name] = value

    def wild(self, shape, i=None):
        i = len(self.inputs) if i is None else i
        self.inputs.append(self.g.wild(self.t(i), shape))

    def tame(self, shape, i=None):
        i = len(self.inputs) if i is None else i
        self.inputs.append(self.g.tame(self.t(i), shape))

    def axes_operand(self, rank, least=0, needed=False):
        """`axes` as an attribute or as input 1, as the version has it."""
        axes = self.g.axes(rank, least)
        if not needed and self.g.chance(0.25):
            return
        if self.has("axes"):
            if axes:
                self.attributes["axes"] = [a % rank for a in axes] if self.version < 11 else axes
        elif axes or needed or self.g.chance(0.5):
            self.constant.add(len(self.inputs))
            self.inputs.append(self.g.ints(axes))


@spec(*"""Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Cos Cosh Erf Exp Floor Identity IsNaN Log Neg Not Reciprocal
Relu Round Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan Tanh Celu Elu HardSigmoid HardSwish LeakyRelu Mish Selu
ThresholdedRelu Shape Size NonZero IsInf Gelu Swish Shrink""".split())
def elementwise(c):
    c.wild(c.g.shape(1 if c.schema.name == "NonZero" else 0))
    c.maybe(alpha=float(c.g.g.standard_normal()), beta=0.25, gamma=1.1, lambd=0.75, bias=0.5, approximate="tanh", detect_negative=0,
            detect_positive=0, start=c.g.axis(3), end=c.g.axis(3))
    if c.schema.name == "Celu":
        c.attributes["alpha"] = 0.7


@spec(*"""Add And BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Mul Or Pow Sub Xor PRelu
BitShift Mod""".split())
def binary(c):
    a, b = c.g.shapes_to_broadcast(2)
    if c.version < 7 and c.has("broadcast"):
        a = c.g.shape(1)
        b = a
        if c.g.chance(0.6):
            c.attributes["broadcast"] = 1
            at = int(c.g.g.integers(0, len(a)))
            end = int(c.g.g.integers(at, len(a) + 1))
            b = a[at:end]
            if c.g.chance(0.5) or end != len(a):
                c.attributes["axis"] = at
    elif c.schema.name == "PRelu":
        a = tuple(np.broadcast_shapes(a, b))
    c.wild(a)
    c.wild(b)
    if c.schema.name == "BitShift":
        c.attributes["direction"] = c.g.pick(["LEFT", "RIGHT"])
    if c.schema.name in ("Mod", "Div") and c.t() not in FLOATS:
        c.inputs[1][c.inputs[1] == 0] = 1
    if c.schema.name == "Mod" and (c.t() in FLOATS or c.g.chance(0.3)):
        c.attributes["fmod"] = 1


@spec("Max", "Min", "Sum", "Mean")
def variadic(c):
    shapes = c.g.shapes_to_broadcast(c.g.pick([1, 2, 2, 3]))
    for s in shapes:
        c.wild(s if c.version >= 8 else shapes[0], 0)


@spec("Where")
def where(c):
    for s in c.g.shapes_to_broadcast(3):
        c.wild(s)


@spec("Clip")
def clip(c):
    c.wild(c.g.shape())
    if c.version >= 11:
        for _ in range(2):
            c.inputs.append(None if c.g.chance(0.3) else c.g.wild(c.t(), ()))
    else:
        c.maybe(min=-1.5, max=c.g.pick([2.0, -3.0]))


@spec("Cast")
def cast(c):
    outs = [TYPES[t] for t in next(k for k in c.schema.type_constraints if k.type_param_str == "T2").allowed_type_strs if t in TYPES]
    to = c.g.pick(outs)
    x = c.g.wild(c.t(), c.g.shape())
    if c.t() in FLOATS | SMALL and to not in FLOATS | SMALL | {T.BOOL, T.STRING}:
        x = np.clip(np.nan_to_num(x.astype(np.float32), nan=1.5, posinf=7, neginf=1), 0 if to in UNSIGNED else -8, 7).astype(np_type(c.t()))
    if c.t() == T.STRING:
        words = ["1", "0", "-3", "12"] if to not in FLOATS | SMALL else ["1.5", "-2e3", "NaN", "-INF", "0.25"]
        x = np.array([c.g.pick(words) for _ in range(x.size)], dtype=object).reshape(x.shape)
    c.inputs = [x]
    c.attributes["to"] = onnx.TensorProto.DataType.Name(to) if c.version == 1 else to
    c.maybe(saturate=0, round_mode=c.g.pick(["up", "down", "nearest"]))


@spec("CastLike")
def cast_like(c):
    (c.wild if c.t() not in FLOATS | SMALL else c.tame)(c.g.shape())
    c.tame((1,))


@spec("Softmax", "LogSoftmax", "Hardmax")
def softmax(c):
    s = c.g.shape(1)
    c.tame(s)
    c.maybe(axis=c.g.axis(len(s)) if c.version >= 11 else int(c.g.g.integers(0, len(s))))


@spec(*["Reduce" + k for k in "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()])
def reduce(c):
    s = c.g.shape()
    (c.wild if c.schema.name in ("ReduceMax", "ReduceMin") else c.tame)(s)
    c.maybe(keepdims=0, noop_with_empty_axes=1)
    c.axes_operand(len(s))


@spec("ArgMax", "ArgMin")
def arg(c):
    s = tuple(max(d, 1) for d in c.g.shape(1))
    c.wild(s)
    c.inputs[0] = np.where(c.g.g.random(s) < 0.4, c.inputs[0].reshape(-1)[0], c.inputs[0]).astype(c.inputs[0].dtype)
    c.maybe(axis=c.g.axis(len(s)) if c.version >= 11 else int(c.g.g.integers(0, len(s))), keepdims=0, select_last_index=1)


@spec("TopK")
def topk(c):
    s = tuple(max(d, 1) for d in c.g.shape(1))
    axis = c.g.axis(len(s))
    k = int(c.g.g.integers(0 if c.version >= 10 else 1, s[axis] + 1))
    c.tame(s)
    if c.t() in FLOATS:
        c.inputs[0] = (np.round(c.inputs[0].astype(np.float32) * 2) / 2).astype(c.inputs[0].dtype)
    c.attributes["axis"] = axis if c.version >= 11 else axis % len(s)
    c.maybe(largest=0)
    c.outputs = 2
    if c.version == 1:
        c.attributes["k"] = k
    else:
        c.inputs.append(c.g.ints([k]))


@spec("CumSum", "CumProd")
def cumulative(c):
    s = c.g.shape(1)
    c.tame(s)
    c.constant.add(1)
    c.inputs.append(c.g.ints(c.g.axis(len(s)), c.t(1)))
    c.maybe(exclusive=1, reverse=1)


@spec("Concat")
def concat(c):
    s = c.g.shape(1)
    axis = c.g.axis(len(s)) if c.version >= 11 else int(c.g.g.integers(len(s)))
    for _ in range(c.g.pick([1, 2, 3])):
        own = list(s)
        own[axis] = int(c.g.g.integers(0, 4))
        c.wild(tuple(own), 0)
    if c.version >= 4 or axis != 1 or c.g.chance(0.5):
        c.attributes["axis"] = axis


@spec("Split")
def split(c):
    s = list(c.g.shape(1, zero=0.05))
    axis = c.g.axis(len(s)) if c.version >= 11 else int(c.g.g.integers(len(s)))
    parts = [int(v) for v in c.g.g.integers(0 if c.version >= 11 else 1, 4, c.g.pick([1, 2, 3]))]
    equal = c.g.chance(0.4)
    s[axis] = len(parts) * 2 if equal else sum(parts)
    c.wild(tuple(s))
    c.attributes["axis"] = axis
    c.outputs = len(parts)
    if equal:
        if c.version >= 18:
            c.attributes["num_outputs"] = len(parts)
            if c.g.chance(0.5) and len(parts) > 1:
                s[axis] -= 1
                c.inputs[0] = c.g.wild(c.t(), tuple(s))
    elif c.has("split"):
        c.attributes["split"] = parts
    else:
        c.inputs.append(c.g.ints(parts))


@spec("Transpose")
def transpose(c):
    s = c.g.shape()
    c.wild(s)
    if s:
        c.maybe(perm=[int(v) for v in c.g.g.permutation(len(s))])


@spec("Reshape")
def reshape(c):
    s = c.g.shape()
    n = int(np.prod(s))
    c.wild(s)
    new = list(c.g.pick([(n,), (1, n), (n, 1, 1), s[::-1], (-1,), (-1, 1)] if n else [s[::-1], (0,), s]))
    if c.has("allowzero") and 0 in new:
        c.attributes["allowzero"] = 1
    elif n and len(s) > 1 and c.g.chance(0.3):
        new = [0, -1]
    if c.has("shape"):
        c.attributes["shape"] = new
    else:
        c.inputs.append(c.g.ints(new))
        if c.g.chance(0.6):
            c.constant.add(1)


@spec("Flatten")
def flatten(c):
    s = c.g.shape(1 if c.version < 9 else 0)
    c.wild(s)
    c.maybe(axis=int(c.g.g.integers(-len(s) if c.version >= 11 else 0, len(s) + 1)))


@spec("Squeeze", "Unsqueeze")
def squeeze(c):
    s = c.g.shape(0, 3)
    if c.schema.name == "Unsqueeze":
        c.wild(s)
        c.axes_operand(len(s) + 2, 2, True)
        axes = c.attributes.get("axes", c.inputs[-1])
        while len(axes) != 2:
            c.inputs = c.inputs[:1]
            c.axes_operand(len(s) + 2, 2, True)
            axes = c.attributes.get("axes", c.inputs[-1])
    else:
        ones = c.g.axes(len(s))
        s = tuple(1 if i in [a % len(s) for a in ones] else d for i, d in enumerate(s))
        c.wild(s)
        if c.version < 11:
            ones = [a % len(s) for a in ones]
        if c.has("axes"):
            c.maybe(**({"axes": ones} if ones else {}))
        elif ones:
            c.constant.add(1)
            c.inputs.append(c.g.ints(ones))


@spec("Expand")
def expand(c):
    a, b = c.g.shapes_to_broadcast(2)
    c.wild(a)
    c.inputs.append(c.g.ints(b))
    c.constant.add(1)


@spec("Tile")
def tile(c):
    s = c.g.shape(1)
    c.wild(s)
    if c.version == 1:
        c.inputs += [c.g.g.integers(1, 3, ()).astype(np_type(c.t())), np.array(int(c.g.g.integers(len(s))), dtype=np_type(c.t()))]
        c.constant |= {1, 2}
    else:
        c.inputs.append(c.g.ints(c.g.g.integers(0, 4, len(s))))


@spec("Gather", "GatherElements")
def gather(c):
    s = tuple(max(1, d) for d in c.g.shape(1))
    axis = c.g.axis(len(s))
    c.wild(s)
    low = -s[axis] if c.version >= 11 else 0
    at = c.g.shape(0, 2) if c.schema.name == "Gather" else tuple(d if i != axis % len(s) else 3 for i, d in enumerate(s))
    c.inputs.append(c.g.g.integers(low, s[axis], at).astype(np_type(c.t(1))))
    c.attributes["axis"] = axis if c.version >= 11 or c.schema.name != "Gather" else axis % len(s)


@spec("GatherND")
def gather_nd(c):
    s = tuple(max(1, d) for d in c.g.shape(1))
    batch = int(c.g.g.integers(0, len(s))) if c.has("batch_dims") and c.g.chance(0.4) else 0
    last = int(c.g.g.integers(1, len(s) - batch + 1))
    lead = c.g.shape(1, 2)
    index = [c.g.g.integers(-s[batch + i], s[batch + i], s[:batch] + lead) for i in range(last)]
    c.wild(s)
    c.inputs.append(np.stack(index, -1).astype(np.int64))
    if batch:
        c.attributes["batch_dims"] = batch


@spec("Scatter", "ScatterElements")
def scatter(c):
    s = tuple(max(1, d) for d in c.g.shape(1))
    axis = c.g.axis(len(s))
    own = tuple(int(c.g.g.integers(1, d + 1)) for d in s)
    # Each place once: the order of writes is not the standard's.
    order = np.argsort(c.g.g.random(own[: axis % len(s)] + (s[axis],) + own[axis % len(s) + 1:]), axis=axis % len(s))
    index = np.take(order, range(own[axis]), axis=axis % len(s))
    if c.version >= 11 and c.g.chance(0.5):
        index = index - s[axis]
    reduction = c.g.pick(["none", "add", "mul", "max", "min"][: 3 if c.version < 18 else 5]) if c.has("reduction") and c.t() not in (T.STRING, T.BOOL) else "none"
    c.tame(s)
    c.inputs.append(index.astype(np_type(c.t(1))))
    c.inputs.append(c.g.tame(c.t(), own))
    c.attributes["axis"] = axis if c.version >= 11 else axis % len(s)
    if reduction != "none":
        c.attributes["reduction"] = reduction


@spec("ScatterND")
def scatter_nd(c):
    s = tuple(max(1, d) for d in c.g.shape(1))
    last = int(c.g.g.integers(1, len(s) + 1))
    places = int(np.prod(s[:last]))
    count = int(c.g.g.integers(0, places + 1))
    flat = c.g.g.permutation(places)[:count]
    index = np.stack(np.unravel_index(flat, s[:last]), -1).astype(np.int64).reshape(count, last)
    c.tame(s)
    c.inputs += [index, c.g.tame(c.t(), (count,) + s[last:])]
    if c.has("reduction") and c.t() not in (T.STRING, T.BOOL):
        c.maybe(reduction=c.g.pick(["add", "mul", "max", "min"][: 2 if c.version < 18 else 4]))


@spec("Slice")
def slice_(c):
    s = c.g.shape(1)
    axes = sorted(c.g.axes(len(s), 1), key=lambda a: a % len(s))
    starts = [int(v) for v in c.g.g.integers(-6, 7, len(axes))]
    ends = [int(c.g.pick([v, v, 2**31 - 1, -(2**31), 2**63 - 1])) for v in c.g.g.integers(-6, 7, len(axes))]
    c.wild(s)
    if c.version < 10:
        c.attributes |= {"starts": starts, "ends": [max(e, -(2**31)) for e in ends], "axes": [a % len(s) for a in axes]}
        return
    t = np_type(c.t(1))
    limit = np.iinfo(t)
    if c.version < 11:
        axes = [a % len(s) for a in axes]
    lists = [starts, [min(max(e, limit.min), limit.max) for e in ends], axes]
    if c.g.chance(0.6):
        lists.append([int(c.g.pick([1, 2, -1, -2, 3])) for _ in axes])
    c.inputs += [np.array(v, dtype=t) for v in lists]
    if c.g.chance(0.7):
        c.constant |= set(range(1, len(c.inputs)))
    else:
        c.constant |= {3, 4}


@spec("Pad")
def pad(c):
    s = tuple(max(d, 2) for d in c.g.shape(1))
    modes = ["constant", "edge", "reflect"] + (["wrap"] if c.version >= 19 else [])
    mode = c.g.pick(modes)
    r = len(s)
    low = [int(v) for v in c.g.g.integers(-1 if mode == "constant" else 0, 2, 2 * r)]
    c.wild(s)
    c.attributes["mode"] = mode
    if c.version < 11:
        c.attributes["pads" if c.version > 1 else "paddings"] = low
        c.maybe(value=1.5)
        return
    c.inputs.append(c.g.ints(low))
    c.inputs.append(c.g.wild(c.t(), ()) if c.g.chance(0.5) else None)
    if c.version >= 18 and c.g.chance(0.5):
        axes = c.g.axes(r, 1)
        c.inputs[1] = c.g.ints([low[0] for _ in range(2 * len(axes))])
        c.inputs.append(c.g.ints(axes))
        c.constant.add(3)
    if c.g.chance(0.6):
        c.constant.add(1)


@spec("MatMul", "MatMulInteger")
def matmul(c):
    m, k, n = (int(v) for v in c.g.g.integers(1, 6, 3))
    k = 0 if c.g.chance(0.05) else k
    a, b = c.g.shapes_to_broadcast(2) if c.g.chance(0.5) else ((), ())
    a, b = a[-2:] + (m, k), b[-2:] + (k, n)
    if c.g.chance(0.15):
        a = (k,)
    if c.g.chance(0.15):
        b = (k,)
    c.tame(a)
    c.tame(b)
    if c.schema.name == "MatMulInteger" and c.g.chance(0.6):
        c.inputs.append(c.g.tame(c.t(0), ()))
        c.inputs.append(c.g.tame(c.t(1), ()))


@spec("Gemm")
def gemm(c):
    m, k, n = (int(v) for v in c.g.g.integers(1, 6, 3))
    ta, tb = c.g.pick([0, 1]), c.g.pick([0, 1])
    c.tame((k, m) if ta else (m, k))
    c.tame((n, k) if tb else (k, n))
    if c.version < 11 or c.g.chance(0.7):
        c.tame(c.g.pick([(m, n)] if c.version < 7 else [(n,), (1, n), (m, 1), (m, n), (), (1,)]))
    c.maybe(alpha=0.5, beta=2.0)
    c.attributes |= {k: 1 for k, v in (("transA", ta), ("transB", tb)) if v}


def window(c, spatial, kernel):
    c.maybe(strides=[int(v) for v in c.g.g.integers(1, 3, spatial)], dilations=[int(v) for v in c.g.g.integers(1, 3, spatial)])
    if c.g.chance(0.4):
        c.attributes["auto_pad"] = c.g.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
        c.attributes.pop("dilations", None)
    else:
        c.maybe(pads=[int(v) for v in c.g.g.integers(0, 2, 2 * spatial)])


@spec("Conv", "ConvTranspose", "ConvInteger")
def conv(c):
    spatial, groups = c.g.pick([1, 2, 2, 3]), c.g.pick([1, 1, 2, 3])
    n, ci, co = c.g.pick([1, 2]), groups * c.g.pick([1, 2]), groups * c.g.pick([1, 2])
    kernel = [int(v) for v in c.g.g.integers(1, 4, spatial)]
    c.tame((n, ci, *(int(v) for v in c.g.g.integers(5, 8, spatial))))
    transposed = c.schema.name == "ConvTranspose"
    c.tame((ci, co // groups, *kernel) if transposed else (co, ci // groups, *kernel))
    if c.schema.name == "ConvInteger":
        if c.g.chance(0.5):
            c.inputs.append(c.g.tame(c.t(0), ()))
    elif c.g.chance(0.5):
        c.tame((co,))
    if groups > 1:
        c.attributes["group"] = groups
    c.maybe(kernel_shape=kernel)
    window(c, spatial, kernel)
    if transposed and c.attributes.get("strides") and c.g.chance(0.4):
        c.attributes["output_padding"] = [int(c.g.g.integers(0, v)) for v in c.attributes["strides"]]


@spec("MaxPool", "AveragePool", "LpPool")
def pool(c):
    spatial = c.g.pick([1, 2, 2, 3])
    kernel = [int(v) for v in c.g.g.integers(1, 4, spatial)]
    c.tame((1, 2, *(int(v) for v in c.g.g.integers(5, 8, spatial))))
    c.attributes["kernel_shape"] = kernel
    window(c, spatial, kernel)
    if "pads" in c.attributes:
        c.attributes["pads"] = [min(p, k - 1) for p, k in zip(c.attributes["pads"], kernel * 2)]
    c.maybe(ceil_mode=1, count_include_pad=1, p=3.0 if c.version == 1 else 3)
    if c.schema.name == "LpPool" and c.version < 18 or not c.has("dilations"):
        c.attributes.pop("dilations", None)
    if c.schema.name == "MaxPool" and c.version >= 8 and c.g.chance(0.3):
        c.outputs = 2


@spec("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "InstanceNormalization", "LRN", "MeanVarianceNormalization", "GroupNormalization", "LpNormalization")
def normal(c):
    spatial = c.g.pick([1, 2, 3])
    channels = 4
    if c.schema.name in ("LRN", "MeanVarianceNormalization"):
        spatial = 2
    c.tame((2, channels, *(int(v) for v in c.g.g.integers(1, 5, spatial))))
    if c.schema.name == "InstanceNormalization":
        c.tame((channels,)); c.tame((channels,))
        c.maybe(epsilon=0.01)
    if c.schema.name == "GroupNormalization":
        k = 2 if c.version < 21 else channels
        c.tame((k,)); c.tame((k,))
        c.attributes["num_groups"] = 2
    if c.schema.name == "LRN":
        c.attributes["size"] = c.g.pick([1, 2, 3, 4])
        c.maybe(alpha=0.1, beta=0.5, bias=2.0)
    if c.schema.name in ("GlobalLpPool", "LpNormalization"):
        c.maybe(p=1.0 if c.schema.name == "GlobalLpPool" and c.version == 1 else 1, axis=c.g.axis(spatial + 2))


@spec("LayerNormalization", "RMSNormalization")
def layer_norm(c):
    s = tuple(max(1, d) for d in c.g.shape(1))
    axis = c.g.axis(len(s))
    c.tame(s)
    c.tame(s[axis:] if axis else s)
    if c.schema.name == "LayerNormalization" and c.g.chance(0.6):
        c.inputs.append(c.g.tame(c.t(1), s[axis:] if axis else s))
    c.attributes["axis"] = axis


@spec("BatchNormalization")
def batch_norm(c):
    s = (2, 3, *c.g.shape(0, 2, zero=0))
    c.tame(s)
    for i in range(4):
        c.inputs.append(np.abs(c.g.tame(c.t(min(i + 1, len(c.schema.inputs) - 1)), (3,))) if i == 3 else c.g.tame(c.t(i + 1), (3,)))
    c.maybe(epsilon=0.01)
    if c.version < 7:
        c.attributes["is_test"] = 1
    if c.version == 1:
        c.attributes["consumed_inputs"] = [0, 0, 0, 1, 1]


@spec("Compress")
def compress(c):
    s = tuple(max(1, d) for d in c.g.shape(1))
    c.wild(s)
    axis = c.g.axis(len(s)) if c.version >= 11 else int(c.g.g.integers(len(s)))
    if c.g.chance(0.6):
        c.attributes["axis"] = axis
        c.inputs.append(c.g.wild(T.BOOL, (int(c.g.g.integers(1, s[axis] + 1)),)))
    else:
        c.inputs.append(c.g.wild(T.BOOL, (int(c.g.g.integers(1, int(np.prod(s)) + 1)),)))


@spec("OneHot")
def one_hot(c):
    s = c.g.shape(0, 3)
    depth = int(c.g.g.integers(1, 6))
    c.inputs.append(c.g.g.integers(0 if c.version < 11 else -depth - 1, depth + 1, s).astype(np_type(c.t(0))))
    c.inputs.append(c.g.pick([np.array(depth), np.array([depth])]).astype(np_type(c.t(1))))
    c.constant.add(1)
    c.tame((2,))
    c.maybe(axis=int(c.g.g.integers(-len(s) - 1, len(s) + 1)))


@spec("EyeLike")
def eye(c):
    c.tame(c.g.shape(2, 2))
    c.maybe(k=c.g.pick([1, -1, 7, -7]), dtype=c.g.pick([T.INT32, T.FLOAT, T.DOUBLE]))


@spec("Trilu")
def trilu(c):
    c.wild(c.g.shape(2, 4))
    if c.g.chance(0.7):
        c.inputs.append(c.g.ints(int(c.g.g.integers(-6, 7))))
    c.maybe(upper=0)


@spec("DepthToSpace", "SpaceToDepth")
def depth(c):
    b = c.g.pick([1, 2, 3])
    c.tame((2, 2 * b * b, 2, 3) if c.schema.name == "DepthToSpace" else (2, 3, 2 * b, 3 * b))
    c.attributes["blocksize"] = b
    c.maybe(mode=c.g.pick(["DCR", "CRD"]))


@spec("Range")
def range_(c):
    a, b, s = c.g.pick([(0, 5, 1), (2, 9, 3), (5, 0, -2), (3, 3, 1), (5, 1, 1), (0.5, 3.1, 0.3)])
    c.inputs = [np.array(v, dtype=np_type(c.t())) for v in ((a, b, s) if c.t() in FLOATS else (int(a), int(b), int(s) or 1))]


@spec("ConstantOfShape")
def constant_of_shape(c):
    c.inputs = [c.g.ints(c.g.shape())]
    outs = [TYPES[t] for t in next(k for k in c.schema.type_constraints if k.type_param_str == "T2").allowed_type_strs if t in TYPES]
    t = c.g.pick(outs)
    if c.g.chance(0.8):
        c.attributes["value"] = numpy_helper.from_array(c.g.tame(t, (1,)))


@spec("ReverseSequence")
def reverse(c):
    s = tuple(max(1, d) for d in c.g.shape(2))
    batch, time = c.g.pick([(0, 1), (1, 0)])
    c.wild(s)
    c.inputs.append(c.g.ints(c.g.g.integers(1, s[time] + 1, s[batch])))
    c.attributes |= {"batch_axis": batch, "time_axis": time}


@spec("Unique")
def unique(c):
    s = tuple(max(1, d) for d in c.g.shape(1, 3))
    c.tame(s)
    c.outputs = 4
    c.maybe(axis=c.g.axis(len(s)))


@spec("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
def quantize(c):
    s = tuple(max(1, d) for d in c.g.shape(2))
    c.inputs.append((c.g.tame(c.t(0), s).astype(np.float32) * (4 if c.schema.name[0] == "Q" else 1)).astype(np_type(c.t(0))))
    if c.schema.name == "DynamicQuantizeLinear":
        c.outputs = 3
        return
    axis = c.g.axis(len(s)) % len(s)
    per_axis = c.g.chance(0.5) and c.version >= 13
    scale = (s[axis],) if per_axis else ()
    spread = np.abs(c.g.g.standard_normal(scale)) * 0.3 + 0.1
    c.inputs.append((np.ceil(spread) if c.t(1) == T.INT32 else spread).astype(np_type(c.t(1))))
    if per_axis:
        c.attributes["axis"] = axis
    if c.schema.name == "QuantizeLinear":
        t = c.t(2)
        if c.g.chance(0.7) or t != T.UINT8:
            c.inputs.append(np.zeros(scale, np.float32).astype(np_type(t)) if t in SMALL or c.g.chance(0.2) else c.g.tame(t, scale))
    elif c.g.chance(0.6):
        c.inputs.append(np.zeros(scale, np_type(c.t(0))) if c.t(0) in SMALL | {T.INT32} else c.g.tame(c.t(0), scale))


@spec("Dropout")
def dropout(c):
    c.wild(c.g.shape())
    if c.version < 7:
        c.attributes["is_test"] = 1
    c.outputs = c.g.pick([1, 2]) if c.version >= 10 else 1


@spec("Resize", "Upsample")
def resize(c):
    s = (1, 2, *(int(v) for v in c.g.g.integers(2, 6, 2)))
    scales = np.array([1, 1, *(c.g.pick([0.5, 1.0, 1.5, 2.0, 2.5]) if c.schema.name == "Resize" else c.g.pick([1.0, 2.0, 3.0]) for _ in range(2))], np.float32)
    c.tame(s)
    # Between integers the last bit of a weight decides.
    modes = ["nearest"] if c.t() not in FLOATS else ["nearest", "linear", "cubic"] if c.version >= 11 else ["nearest", "linear"]
    c.attributes["mode"] = c.g.pick(modes)
    if c.schema.name == "Upsample":
        if c.version == 1:
            c.attributes |= {"height_scale": float(scales[2]), "width_scale": float(scales[3])}
            c.attributes["mode"] = c.g.pick(["nearest", "bilinear"]) if c.t() in FLOATS else "nearest"
        elif c.version == 7:
            c.attributes["scales"] = scales.tolist()
        else:
            c.inputs.append(scales)
            c.constant.add(1)
        return
    if c.version == 10:
        c.inputs.append(scales)
        c.constant.add(1)
        return
    c.maybe(coordinate_transformation_mode=c.g.pick(["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"][: 5 if c.version >= 19 else 4]),
            nearest_mode=c.g.pick(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]), exclude_outside=1, cubic_coeff_a=-0.5)
    if c.attributes["mode"] != "cubic":
        c.attributes.pop("exclude_outside", None)
    if c.t() not in FLOATS:  # onnxruntime alone decides, which rounds the sizes that corners are aligned by
        c.attributes.pop("coordinate_transformation_mode", None)
    roi = None if c.version >= 13 else np.zeros((0,), np_type(c.t(1)))
    if c.g.chance(0.5):
        c.inputs += [roi, scales]
        c.constant |= {1, 2}
    else:
        c.inputs += [roi, None if c.version >= 13 else np.zeros((0,), np.float32), c.g.ints([1, 2, *c.g.g.integers(1, 8, 2)])]
        c.constant |= {1, 2, 3}


@spec("Einsum")
def einsum(c):
    eq, shapes = c.g.pick([("ij,jk->ik", [(2, 3), (3, 4)]), ("bij,bjk", [(2, 2, 3), (2, 3, 2)]), ("ii->i", [(3, 3)]), ("ij->", [(2, 3)]), ("...i,...i->...", [(2, 3, 4), (3, 4)]),
                           ("i,j->ij", [(2,), (3,)]), ("ij->ji", [(2, 3)]), ("ijk,jil->kl", [(2, 3, 4), (3, 2, 5)])])
    for s in shapes:
        c.tame(s, 0)
    c.attributes["equation"] = eq


@spec("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(c):
    classes, s = 4, c.g.shape(0, 2, zero=0)
    c.tame((3, classes, *s))
    c.inputs.append(c.g.g.integers(0, classes, (3, *s)).astype(np_type(c.t(1))))
    if c.g.chance(0.5):
        c.inputs.append(np.abs(c.g.tame(c.t(0), (classes,))) + np.array(0.5, np_type(c.t(0))))
    c.maybe(reduction=c.g.pick(["none", "sum", "mean"]), ignore_index=int(c.g.g.integers(-1, classes)))


@spec("GridSample")
def grid_sample(c):
    spatial = 2 if c.version < 20 else c.g.pick([2, 2, 3])
    c.tame((1, 2, *(int(v) for v in c.g.g.integers(2, 5, spatial))))
    c.inputs.append((c.g.g.random((1, *(int(v) for v in c.g.g.integers(1, 4, spatial)), spatial)) * 2.4 - 1.2).astype(np_type(c.t(1))))
    modes = ["bilinear", "nearest", "bicubic"] if c.version < 20 else ["linear", "nearest"] + (["cubic"] if spatial == 2 else [])
    c.maybe(mode=c.g.pick(modes), padding_mode=c.g.pick(["zeros", "border", "reflection"]), align_corners=1)


@spec("Det")
def det(c):
    c.tame((*c.g.shape(0, 2), *[c.g.pick([1, 2, 3, 4])] * 2))


@spec("GRU", "LSTM", "RNN")
def recurrent(c):
    n = {"GRU": 3, "LSTM": 4, "RNN": 1}[c.schema.name]
    seq, b, i, h = (int(v) for v in c.g.g.integers(1, 4, 4))
    direction = c.g.pick(["forward", "reverse", "bidirectional"])
    d = 2 if direction == "bidirectional" else 1
    layout = c.has("layout") and c.g.chance(0.3)
    c.tame((b, seq, i) if layout else (seq, b, i))
    c.tame((d, n * h, i)); c.tame((d, n * h, h))
    c.inputs.append(c.g.tame(c.t(0), (d, 2 * n * h)) if c.g.chance(0.6) else None)
    c.inputs.append(c.g.g.integers(1, seq + 1, b).astype(np.int32) if c.g.chance(0.4) else None)
    c.inputs.append(c.g.tame(c.t(0), (b, d, h) if layout else (d, b, h)) if c.g.chance(0.5) else None)
    c.attributes |= {"hidden_size": h, "direction": direction}
    if layout:
        c.attributes["layout"] = 1
    if c.schema.name == "LSTM" and c.g.chance(0.5):
        c.inputs.append(c.g.tame(c.t(0), (b, d, h) if layout else (d, b, h)) if c.g.chance(0.5) else None)
        c.inputs.append(c.g.tame(c.t(0), (d, 3 * h)) if c.g.chance(0.6) else None)
    if c.schema.name == "GRU":
        c.maybe(linear_before_reset=1)
    if c.schema.name == "LSTM" and c.version >= 7:
        c.maybe(input_forget=1)
    c.maybe(clip=0.9)
    c.outputs = 3 if c.schema.name == "LSTM" else 2
    if c.version < 7:
        c.attributes["output_sequence"] = 1


@spec("StringConcat")
def string_concat(c):
    for s in c.g.shapes_to_broadcast(2):
        c.wild(s)


@spec("StringSplit")
def string_split(c):
    c.wild(c.g.shape(1, 2, zero=0))
    c.outputs = 2
    c.maybe(delimiter=c.g.pick([",", " ", "b"]), maxsplit=1)


@spec("DFT")
def dft(c):
    s = (2, *(int(v) for v in c.g.g.integers(2, 6, 2)), c.g.pick([1, 2]))
    c.tame(s)
    axis = c.g.pick([1, 2, -2, -3])
    inverse = c.g.chance(0.3)
    onesided = s[-1] == 1 and not inverse and c.g.chance(0.4)
    length = c.g.pick([None, None, 3, 6])
    if length:
        c.inputs.append(c.g.ints(length, c.t(1)))
    if c.version >= 20:
        if not length:
            c.inputs.append(None)
        c.inputs.append(c.g.ints(axis))
    else:
        c.attributes["axis"] = axis % 4
    c.constant |= {1, 2}
    if inverse:
        c.attributes["inverse"] = 1
    if onesided:
        c.attributes["onesided"] = 1


@spec("Col2Im")
def col2im(c):
    image, block = [int(v) for v in c.g.g.integers(3, 6, 2)], [int(v) for v in c.g.g.integers(1, 4, 2)]
    blocks = int(np.prod([i - b + 1 for i, b in zip(image, block)]))
    c.tame((2, 2 * block[0] * block[1], blocks))
    c.inputs += [c.g.ints(image), c.g.ints(block)]
    c.constant |= {1, 2}


@spec("CenterCropPad")
def crop(c):
    s = c.g.shape(1, zero=0)
    axes = c.g.axes(len(s), 1)
    c.wild(s)
    c.inputs.append(c.g.ints(c.g.g.integers(1, 7, len(axes)), c.t(1)))
    c.attributes["axes"] = axes


@spec("HannWindow", "HammingWindow", "BlackmanWindow")
def window_function(c):
    c.inputs = [c.g.ints(int(c.g.g.integers(1, 9)), c.t())]
    c.maybe(periodic=0, output_datatype=c.g.pick([T.FLOAT, T.DOUBLE, T.FLOAT16]))


@spec("BitCast")
def bit_cast(c):
    same = [t for t in TYPES.values() if t not in (T.STRING, T.BOOL) and np_type(t).itemsize == np_type(c.t()).itemsize and t not in NARROW and t not in SMALL]
    c.wild(c.g.shape())
    c.attributes["to"] = c.g.pick(same)


@spec("NonMaxSuppression")
def nms(c):
    boxes = c.g.g.random((2, 6, 4)).astype(np.float32)
    c.inputs = [boxes, c.g.g.random((2, 2, 6)).astype(np.float32), c.g.ints([3]), np.array([0.4], np.float32), np.array([0.2], np.float32)]
    c.inputs = c.inputs[: c.g.pick([3, 4, 5])]
    c.maybe(center_point_box=1)


@spec("RoiAlign")
def roi_align(c):
    c.tame((2, 2, 5, 6))
    c.inputs.append((c.g.g.random((3, 4)) * 2 + np.array([0, 0, 2, 2])).astype(np_type(c.t(1))))
    c.inputs.append(c.g.ints(c.g.g.integers(0, 2, 3)))
    c.maybe(mode=c.g.pick(["avg", "max"]), output_height=2, output_width=3, sampling_ratio=2, spatial_scale=0.7,
            coordinate_transformation_mode=c.g.pick(["half_pixel", "output_half_pixel"]))


TOLERANCE = {T.FLOAT: (1e-4, 1e-5), T.DOUBLE: (1e-6, 1e-8), T.FLOAT16: (4e-3, 4e-3), T.BFLOAT16: (3e-2, 3e-2)}


def schemas():
    result = {}
    for s in defs.get_all_schemas_with_history():
        if s.domain == "" and s.name in SPECS:
            result.setdefault(s.name, []).append(s)
    return {k: sorted(v, key=lambda s: s.since_version) for k, v in sorted(result.items())}


def draw(g, versions):
    """A schema, an opset in which it holds, the types of its variables; drawn anew until the case can be made."""
    at = int(g.g.integers(sum(not v.deprecated for v in versions)))
    schema = versions[at]
    last = versions[at + 1].since_version - 1 if at + 1 < len(versions) else NEWEST
    opset = int(g.g.integers(schema.since_version, last + 1))
    types = {}
    for k in schema.type_constraints:
        allowed = [TYPES[t] for t in k.allowed_type_strs if t in TYPES]
        if allowed:
            # Plain floats most often: they have the widest support to compare with.
            types[k.type_param_str] = T.FLOAT if T.FLOAT in allowed and g.chance(0.3) else g.pick(allowed)
    case = Case(g, schema, types)
    SPECS[schema.name](case)
    while case.inputs and case.inputs[-1] is None:
        case.inputs.pop()
    case.inputs = [None if v is None else np.asarray(v) for v in case.inputs]
    return case, opset


def onnx_type(v):
    return T.STRING if v.dtype.kind in "OU" else helper.np_dtype_to_tensor_dtype(v.dtype)


def model_of(case, opset, name):
    names = ["" if v is None else f"x{i}" for i, v in enumerate(case.inputs)]
    outputs = [f"y{i}" for i in range(case.outputs)]
    node = helper.make_node(case.schema.name, names, outputs, name, **case.attributes)
    given = [(i, v) for i, v in enumerate(case.inputs) if v is not None]
    infos = [helper.make_tensor_value_info(f"x{i}", onnx_type(v), v.shape) for i, v in given if i not in case.constant]
    constants = [numpy_helper.from_array(v, f"x{i}") for i, v in given if i in case.constant]
    graph = helper.make_graph([node], name, infos, [onnx.ValueInfoProto(name=o) for o in outputs], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=11 if opset < 25 else 13)
    return model, {f"x{i}": v for i, v in given if i not in case.constant}


PLAIN = "fiubc"


def by_onnxruntime(model, feeds, outputs):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        values = {}
        for k, v in feeds.items():
            if v.dtype.kind in PLAIN and v.dtype.isbuiltin == 1:
                values[k] = ort.OrtValue.ortvalue_from_numpy(np.array(v, order="C"))
            elif v.dtype.kind in "OU":
                values[k] = ort.OrtValue.ortvalue_from_numpy(v)
            elif v.dtype.itemsize == 2:
                values[k] = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(np.array(v, order="C").view(np.uint16), onnx_type(v))
            elif onnx_type(v) in NARROW or onnx_type(v) == T.FLOAT4E2M1:
                return "packed types do not go through the binding"
            else:
                values[k] = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(np.array(v, order="C").view(np.uint8), onnx_type(v))
        wanted = [o.name for o in session.get_outputs()]
        kinds = [o.type for o in session.get_outputs()]
        if any(TYPES.get(k) in NARROW or TYPES.get(k) == T.FLOAT4E2M1 for k in kinds):
            return "packed types do not go through the binding"
        found = session.run_with_ort_values(wanted, values)
        result = []
        for o, kind in zip(found, kinds):
            v = np.asarray(o.numpy())
            t = np_type(TYPES[kind])
            if kind != "tensor(string)" and v.dtype != t:
                v = v.view(t) if v.dtype.itemsize == t.itemsize else v.astype(t)
            result.append(v)
        return result
    except Exception as error:  # onnxruntime has no common class for what it refuses
        return str(error).splitlines()[0][:200]


def reference_is_wrong(case):
    """What onnx's reference evaluator is known to do otherwise than the standard says: its outputs decide nothing there."""
    name, v, a = case.schema.name, case.version, case.attributes
    return (
        # Clip, lengths, channels, automatic pads, packed types, ranks; integers by way of short floats; text that is put around.
        name in ("GRU", "LSTM", "RNN", "LRN", "MaxPool", "BitCast", "GlobalMaxPool")
        or name in ("Erf", "Pow") and case.t() not in FLOATS
        or name in ("Pad", "CenterCropPad") and case.t() == T.STRING
        or "broadcast" in case.schema.attributes  # alignment of the second operand
        or name in ("Softmax", "LogSoftmax", "Hardmax") and v < 13  # the input as a matrix
        or name == "LpNormalization" and a.get("p") == 1  # no absolute values
        or name in ("AveragePool", "LpPool", "GlobalLpPool", "Gemm", "Selu", "Clip", "PRelu") and v < 7
        or name == "ConvTranspose" and a.get("group", 1) > 1
        or name == "RMSNormalization" and case.t(0) != case.t(1)  # the type of the output
        or T.FLOAT8E8M0 in [case.t(i) for i in range(len(case.inputs))]  # it has no zero
        or name in ("GridSample", "Resize") and case.t() not in FLOATS  # rounding, imaginary parts
    )


def by_reference(model, feeds, case):
    if reference_is_wrong(case):
        return "not asked"
    try:
        found = ReferenceEvaluator(model).run(None, feeds)
        return [np.asarray(v) for v in found]
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"


def as_inferred(model, values):
    """Whether the element types are those of the schema: numpy sometimes promotes."""
    inferred = {o.name: o.type.tensor_type.elem_type for o in onnx.shape_inference.infer_shapes(model).graph.output}
    return all(inferred.get(f"y{j}") in (None, 0, onnx_type(v)) for j, v in enumerate(values))


def same(a, b, tolerance):
    if a.shape != b.shape or onnx_type(a) != onnx_type(b):
        return False
    if a.dtype.kind in "OU":
        return a.tolist() == b.tolist()
    if a.dtype.kind in "biu" and a.dtype.isbuiltin == 1:
        return bool((a == b).all())
    if a.dtype.kind == "c":
        return bool(np.allclose(a, b, *tolerance, equal_nan=True))
    a, b = a.astype(np.float64), b.astype(np.float64)
    return bool(np.allclose(a, b, *tolerance, equal_nan=True)) and bool((np.signbit(a) == np.signbit(b))[(a == 0) & (b == 0)].all())


def write(folder, model, feeds, outputs, tolerance):
    shutil.rmtree(folder, ignore_errors=True)
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data)
    del model.graph.output[:]
    for j, v in enumerate(outputs):
        model.graph.output.append(helper.make_tensor_value_info(f"y{j}", onnx_type(v), v.shape))
    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    with open(os.path.join(folder, "data.json"), "w") as f:
        json.dump({"rtol": tolerance[0], "atol": tolerance[1]}, f)
    for kind, values in (("input", list(feeds.items())), ("output", [(f"y{j}", v) for j, v in enumerate(outputs)])):
        for j, (key, v) in enumerate(values):
            with open(os.path.join(data, f"{kind}_{j}.pb"), "wb") as f:
                if onnx_type(v) == T.STRING:
                    v = np.array([str(x) for x in v.reshape(-1)], dtype=object).reshape(v.shape)
                f.write(numpy_helper.from_array(v, key).SerializeToString())


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
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--cases", type=int, default=2000)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", default=os.path.join(ROOT, "onnx-tests", "fuzz"))
    p.add_argument("--disputed")
    p.add_argument("ops", nargs="*")
    options = p.parse_args()
    usual = len(sys.argv) == 1
    if usual and made(options.out):
        return
    if usual:
        shutil.rmtree(options.out, ignore_errors=True)
    table = {k: v for k, v in schemas().items() if not options.ops or k in options.ops}
    names = list(table)
    done = disputed = refused = 0
    for i in range(options.cases):
        name = names[i % len(names)]
        g = Gen(zlib.crc32(f"{name}/{i // len(names)}/{options.seed}".encode()))
        try:
            case, opset = draw(g, table[name])
            model, feeds = model_of(case, opset, "node")
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        a, b = by_onnxruntime(model, feeds, case.outputs), by_reference(model, feeds, case)
        kinds = [onnx_type(v) for v in case.inputs if v is not None]
        tolerance = max((TOLERANCE.get(t, (0, 0)) for t in kinds + [case.attributes.get("to"), case.attributes.get("output_datatype")]), default=(0, 0))
        if tolerance == (0, 0):
            tolerance = TOLERANCE[T.FLOAT]
        label = f"{name}_{opset}_{'_'.join(T.DataType.Name(t).lower() for t in kinds[:2])}_{i // len(names)}_{options.seed}"
        both = isinstance(a, list) and isinstance(b, list)
        if both and not all(same(x, y, tolerance) for x, y in zip(a, b)):
            disputed += 1
            if options.disputed:
                write(os.path.join(options.disputed, "ort", label), model, feeds, a, tolerance)
                write(os.path.join(options.disputed, "ref", label), model, feeds, b, tolerance)
            continue
        found = a if isinstance(a, list) else b
        if isinstance(found, list) and not as_inferred(model, found):
            refused += 1
            continue
        if not isinstance(found, list):
            refused += 1
            if options.disputed:
                print(f"{label}: {a} | {b}", file=sys.stderr)
            continue
        write(os.path.join(options.out, label), model, feeds, found, tolerance)
        done += 1
    if usual:
        mark(options.out)
    print(f"{done} cases in {options.out}, {disputed} disputed, {refused} refused by both")


if __name__ == "__main__":
    main()
