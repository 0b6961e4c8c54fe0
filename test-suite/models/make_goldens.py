#!/usr/bin/env python3
"""Write test_data_set_{0,1}/{input,output}_j.pb beside every fetched model (the ONNX backend test layout).

    make_goldens.py [--force] [NAME...]      default: every model of shapes.py that is there

Inputs are random, seeded per model and setting; outputs are onnxruntime's with graph optimisations off, one thread.
golden.json records the shapes and, per output, the noise to allow for: how far the optimised onnxruntime is from that, and, of
models that round to integers, how far it is from itself when f32 weights move by one unit in the last place. (One number that
is rounded the other way is a whole quantisation step, and steps of many layers add up.)

Where noise is that large it hides mistakes too. So beside a model that rounds its activations lies the same model cut behind each
rounding, segments/model.onnx: what was rounded is an input, onnxruntime's own, and what will be rounded is an output. Each
segment starts from the right integers and has no noise to speak of (of an LSTM that rounds its own states, that of one layer).
"""
import json, os, sys, zlib
import numpy as np, onnx, onnxruntime as ort
from onnx import numpy_helper

sys.dont_write_bytecode = True
from shapes import SHAPES

# Noise of models that round to integers, and their segments, came with format 2.
FORMAT = 2
# Of how many changes of the weights the largest effect counts.
DRAWS = 12
ROOT = os.environ.get("NIM_MODELS") or os.path.expanduser("~/.cache/nim-models")


def folder(id):
    return os.path.join(ROOT, "pkg" if "/" in id else "zoo", *id.split("/"))


def open_model(path, level):
    o = ort.SessionOptions()
    o.intra_op_num_threads = o.inter_op_num_threads = 1
    o.graph_optimization_level = level
    o.log_severity_level = 3
    return ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])


ROUNDING = {"DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "QuantizeLinear"}


def moved(path, seed):
    """The model with each f32 weight one unit in the last place up or down; None if nothing in it rounds to integers."""
    model = onnx.load(path)
    if not any(n.op_type in ROUNDING for n in model.graph.node):
        return None
    rng = np.random.default_rng(seed)
    for i in model.graph.initializer:
        if i.data_type == onnx.TensorProto.FLOAT:
            a = numpy_helper.to_array(i)
            up = rng.integers(0, 2, a.shape) == 1
            with np.errstate(over="ignore"):
                b = np.nextafter(a, np.where(up, np.inf, -np.inf).astype(a.dtype))
            i.CopyFrom(numpy_helper.from_array(np.where((a == 0) | ~np.isfinite(b), a, b).astype(a.dtype), i.name))
    return model.SerializeToString()


def cut(path, data):
    """The model cut behind each rounding of activations, and its inputs; None if there is nothing to cut."""
    model = onnx.load(path)
    weights = {i.name for i in model.graph.initializer}
    cuts = [n for n in model.graph.node if n.op_type in ROUNDING and n.input[0] not in weights]
    if not cuts:
        return None
    ports = {v.name for v in [*model.graph.input, *model.graph.output]}
    new = lambda names: [n for n in dict.fromkeys(names) if n and n not in weights and n not in ports]
    rounded, before = new(o for n in cuts for o in n.output), new(n.input[0] for n in cuts)
    # Integers that are off by one step are what this is about: scales are compared, integers only handed on.
    scales = new(n.output[1] for n in cuts if n.op_type == "DynamicQuantizeLinear")
    states = new(o for n in cuts if n.op_type == "DynamicQuantizeLSTM" for o in n.output)
    seen = new(rounded + before)
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in seen)
    s = open_model(model.SerializeToString(), ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    values = [dict(zip(seen, s.run(seen, feeds))) for feeds in data]
    del model.graph.output[-len(seen):]
    del model.graph.value_info[:]

    def port(name, as_name):
        a, b = (v[name] for v in values)
        # A dimension of the same two sizes is the same dimension.
        dims = [m if m == n and m > 1 else f"d{m}_{n}" for m, n in zip(a.shape, b.shape)]
        return onnx.helper.make_tensor_value_info(as_name, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), dims)

    given = {n: n + "__given" for n in rounded}
    for node in model.graph.node:
        node.input[:] = [given.get(i, i) for i in node.input]
    model.graph.input.extend(port(n, given[n]) for n in rounded)
    model.graph.output.extend(port(n, n) for n in dict.fromkeys(before + scales + states) if n not in given or n in scales + states)
    return model, [{**feeds, **{given[n]: v[n] for n in rounded}} for feeds, v in zip(data, values)]


def inputs_of(model):
    weights = {i.name for i in model.graph.initializer}
    return [(i.name, onnx.helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type)) for i in model.graph.input if i.name not in weights]


def up_to_date(stamp, model, settings):
    """Made from this model file, at these shapes? (Not by the age of the scripts: a fresh clone is always younger.)"""
    if not os.path.exists(stamp) or os.path.getmtime(stamp) < os.path.getmtime(model):
        return False
    with open(stamp) as f:
        golden = json.load(f)
    if golden.get("format") != FORMAT and any(n.op_type in ROUNDING for n in onnx.load(model, load_external_data=False).graph.node):
        return False
    made = [s["inputs"] for s in golden["settings"]]
    return made == [{n: list(shape) for n, shape in s.items()} for s in settings]


def make(id, force):
    d = folder(id)
    path = os.path.join(d, "model.onnx")
    if not os.path.exists(path):
        return None
    settings, fill = SHAPES[id]
    if not force and up_to_date(os.path.join(d, "golden.json"), path, settings):
        return "kept"
    names = inputs_of(onnx.load(path, load_external_data=False))
    data = []
    for k, shapes in enumerate(settings):
        assert set(shapes) == {n for n, _ in names}, (id, sorted(shapes), names)
        rng = np.random.default_rng(zlib.crc32(f"{id}#{k}".encode()))
        normal = lambda g, s, k: g.standard_normal(s)
        data.append({n: np.asarray(fill.get(n, normal)(rng, shapes[n], k)).astype(t) for n, t in names})
    said = write(d, path, data)
    segments = cut(path, data)
    if segments:
        model, data = segments
        d = os.path.join(d, "segments")
        os.makedirs(d, exist_ok=True)
        onnx.save(model, os.path.join(d, "model.onnx"))
        said += "; in segments " + write(d, os.path.join(d, "model.onnx"), data)
    return said


def write(d, path, data):
    """Writes inputs, outputs and golden.json of a model into a folder."""
    names = inputs_of(onnx.load(path, load_external_data=False))
    runs, out_names = [], None
    for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
        s = open_model(path, level)
        kept = {i.name for i in s.get_inputs()}
        out_names = [o.name for o in s.get_outputs()]
        runs.append([s.run(None, {n: a for n, a in feeds.items() if n in kept}) for feeds in data])
        del s
    for seed in range(DRAWS):
        other = moved(path, seed)
        if other is not None:
            s = open_model(other, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
            runs.append([s.run(None, feeds) for feeds in data])
    info = dict(format=FORMAT, onnxruntime=ort.__version__, settings=[])
    for k, feeds in enumerate(data):
        ds = os.path.join(d, f"test_data_set_{k}")
        os.makedirs(ds, exist_ok=True)
        for j, (n, _) in enumerate(names):
            with open(f"{ds}/input_{j}.pb", "wb") as f:
                f.write(numpy_helper.from_array(feeds[n], n).SerializeToString())
        outs = {}
        for j, (n, exact) in enumerate(zip(out_names, runs[0][k])):
            exact, others = np.asarray(exact), [np.asarray(run[k][j]) for run in runs[1:]]
            fast, alike = others[0], all(x.shape == exact.shape for x in others)
            with open(f"{ds}/output_{j}.pb", "wb") as f:
                f.write(numpy_helper.from_array(exact, n).SerializeToString())
            o = dict(shape=list(exact.shape))
            if exact.dtype.kind == "f":
                assert np.isfinite(exact).all(), (d, n, "not finite")
                o.update(max_abs=float(np.abs(exact).max(initial=0)), noise=max(float(np.abs(exact.astype(np.float64) - x).max(initial=0)) for x in others) if alike else None)
            else:
                o.update(equal=bool(np.array_equal(exact, fast)))
            outs[n] = o
        info["settings"].append(dict(inputs={n: list(a.shape) for n, a in feeds.items()}, outputs=outs))
    with open(os.path.join(d, "golden.json"), "w") as f:
        json.dump(info, f, indent=1)
    o = [x for s in info["settings"] for x in s["outputs"].values() if "noise" in x]
    return "noise %.1e of %.1e" % (max((x["noise"] or 0) for x in o), max(x["max_abs"] for x in o)) if o else "ok"


def main(argv):
    force = "--force" in argv
    want = [a for a in argv if not a.startswith("-")]
    failed = done = 0
    for id in SHAPES:
        if want and not any(id == w or id.startswith(w + "/") for w in want):
            continue
        try:
            r = make(id, force)
        except Exception as e:
            r, failed = f"FAILED {type(e).__name__}: {str(e)[:200]}", failed + 1
        if r:
            done += not r.startswith("FAILED")
            if r != "kept":
                print(f"{id}: {r}", flush=True)
    print(f"{done} models with goldens, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
