#!/usr/bin/env python3
"""Write the backend tests of the installed onnx package to disk, all in one layout:

    ${NIM_MODELS}/onnx-tests/{node,simple,pytorch-converted,pytorch-operator,light}/CASE/
        model.onnx  test_data_set_N/{input,output}_J.pb  [data.json: rtol, atol; 1e-3 and 1e-7 where absent]

node cases are generated (the wheel has only their source). The next three are copied. light: nine image networks with
constant weights; their input, which the wheel leaves to the runner, is written too. cases.json has one row a node case:
name, ops, types, opset, tolerance. Does nothing when this version of onnx wrote them before; `--force` to redo.
"""
import glob, json, os, shutil, sys, time, warnings
import numpy as np, onnx, onnx.backend.test
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

ROOT = os.environ.get("NIM_MODELS") or os.path.expanduser("~/.cache/nim-models")
OUT = os.path.join(ROOT, "onnx-tests")
DATA = os.path.join(os.path.dirname(onnx.backend.test.__file__), "data")


def write(path, proto):
    with open(path, "wb") as f:
        f.write(proto.SerializeToString())


def encode(value, info):
    kind = info.type.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.from_list(value, info.name)
    if kind == "optional_type":
        return numpy_helper.from_optional(value, info.name)
    if kind == "map_type":
        return numpy_helper.from_dict(value, info.name)
    return value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(value, info.name)


def type_name(info):
    kind = info.type.WhichOneof("value")
    return onnx.TensorProto.DataType.Name(info.type.tensor_type.elem_type) if kind == "tensor_type" else kind


def node_cases():
    rows = []
    for case in load_model_tests(kind="node"):
        d, m = os.path.join(OUT, "node", case.name), case.model
        os.makedirs(d, exist_ok=True)
        write(d + "/model.onnx", m)
        with open(d + "/data.json", "w") as f:
            json.dump({"rtol": case.rtol, "atol": case.atol}, f)
        for i, (ins, outs) in enumerate(case.data_sets):
            ds = f"{d}/test_data_set_{i}"
            os.makedirs(ds, exist_ok=True)
            for what, values, infos in (("input", ins, m.graph.input), ("output", outs, m.graph.output)):
                for j, v in enumerate(values):
                    write(f"{ds}/{what}_{j}.pb", encode(v, infos[j]))
        rows.append(dict(name=case.name, ops=sorted({n.op_type for n in m.graph.node}), types=sorted({type_name(v) for v in [*m.graph.input, *m.graph.output]}),
                         opset={o.domain or "ai.onnx": o.version for o in m.opset_import}, functions=len(m.functions), rtol=case.rtol, atol=case.atol))
    with open(os.path.join(OUT, "cases.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
    return len(rows)


def copied(kind):
    n = 0
    for src in sorted(glob.glob(os.path.join(DATA, kind, "*", "model.onnx"))):
        d = os.path.dirname(src)
        shutil.copytree(d, os.path.join(OUT, kind, os.path.basename(d)), dirs_exist_ok=True)
        n += 1
    return n


def light():
    n = 0
    for src in sorted(glob.glob(os.path.join(DATA, "light", "*.onnx"))):
        name = os.path.basename(src)[:-5]
        ds = os.path.join(OUT, "light", name, "test_data_set_0")
        os.makedirs(ds, exist_ok=True)
        shutil.copy(src, os.path.join(OUT, "light", name, "model.onnx"))
        shutil.copy(src[:-5] + "_output_0.pb", ds + "/output_0.pb")
        m = onnx.load(src)
        weights = {i.name for i in m.graph.initializer}
        (x,) = [i for i in m.graph.input if i.name not in weights]
        shape = [d.dim_value for d in x.type.tensor_type.shape.dim]
        size = int(np.prod(shape))
        write(ds + "/input_0.pb", numpy_helper.from_array((np.arange(size).reshape(shape) / size).astype(np.float32), x.name))
        with open(os.path.join(OUT, "light", name, "data.json"), "w") as f:
            json.dump({"rtol": 2e-3 if "densenet" in name else 1e-3, "atol": 1e-7}, f)
        n += 1
    return n


def main():
    warnings.filterwarnings("ignore")
    t = time.time()
    stamp = os.path.join(OUT, "version")
    if "--force" not in sys.argv and os.path.exists(stamp) and open(stamp).read() == onnx.__version__:
        return 0
    os.makedirs(OUT, exist_ok=True)
    counts = dict(node=node_cases())
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        counts[kind] = copied(kind)
    counts["light"] = light()
    print(f"onnx {onnx.__version__}:", ", ".join(f"{k} {v}" for k, v in counts.items()), "-> %s in %.0f s" % (OUT, time.time() - t))
    if min(counts.values()) == 0:
        return 1
    with open(stamp, "w") as f:
        f.write(onnx.__version__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
