#!/usr/bin/env python3
"""Write test_data_set_{0,1}/{input,output}_j.pb beside every fetched model (the ONNX backend test layout).

    make_goldens.py [--force] [NAME...]      default: every model of shapes.py that is there

Inputs are random, seeded per model and setting; outputs are onnxruntime's with graph optimisations off, one thread.
golden.json records the shapes and, per output, the noise to allow for: how far the optimised onnxruntime is from that, and, of
models that round to integers, how far it is from itself when f32 weights move by one unit in the last place. (One number that
is rounded the other way is a whole quantisation step, and steps of many layers add up.)
"""
import json, os, sys, zlib
import numpy as np, onnx, onnxruntime as ort
from onnx import numpy_helper

sys.dont_write_bytecode = True
from shapes import SHAPES

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


def inputs_of(model):
    weights = {i.name for i in model.graph.initializer}
    return [(i.name, onnx.helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type)) for i in model.graph.input if i.name not in weights]


def up_to_date(stamp, model, settings):
    """Made from this model file, at these shapes? (Not by the age of the scripts: a fresh clone is always younger.)"""
    if not os.path.exists(stamp) or os.path.getmtime(stamp) < os.path.getmtime(model):
        return False
    with open(stamp) as f:
        made = [s["inputs"] for s in json.load(f)["settings"]]
    return made == [{n: list(shape) for n, shape in s.items()} for s in settings]


def make(id, force):
    d = folder(id)
    path = os.path.join(d, "model.onnx")
    if not os.path.exists(path):
        return None
    stamp = os.path.join(d, "golden.json")
    settings, fill = SHAPES[id]
    if not force and up_to_date(stamp, path, settings):
        return "kept"
    names = inputs_of(onnx.load(path, load_external_data=False))
    data = []
    for k, shapes in enumerate(settings):
        assert set(shapes) == {n for n, _ in names}, (id, sorted(shapes), names)
        rng = np.random.default_rng(zlib.crc32(f"{id}#{k}".encode()))
        normal = lambda g, s, k: g.standard_normal(s)
        data.append({n: np.asarray(fill.get(n, normal)(rng, shapes[n], k)).astype(t) for n, t in names})
    runs, out_names = [], None
    for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
        s = open_model(path, level)
        out_names = [o.name for o in s.get_outputs()]
        runs.append([s.run(None, feeds) for feeds in data])
        del s
    for seed in range(3):
        other = moved(path, seed)
        if other is not None:
            s = open_model(other, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
            runs.append([s.run(None, feeds) for feeds in data])
    info = dict(onnxruntime=ort.__version__, settings=[])
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
                assert np.isfinite(exact).all(), (id, n, "not finite")
                o.update(max_abs=float(np.abs(exact).max(initial=0)), noise=max(float(np.abs(exact.astype(np.float64) - x).max(initial=0)) for x in others) if alike else None)
            else:
                o.update(equal=bool(np.array_equal(exact, fast)))
            outs[n] = o
        info["settings"].append(dict(inputs={n: list(a.shape) for n, a in feeds.items()}, outputs=outs))
    with open(stamp, "w") as f:
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
