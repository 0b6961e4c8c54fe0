//! Mutated models give modules or errors, never a panic: nodes dropped, inputs swapped, attributes corrupted, cycles made,
//! dimensions huge or negative, types changed. The models are small ones, and those of the model cache when there is one:
//! the folder in `NIM_MODELS`, else `.cache/nim-models` in the home folder. `NIM_MUTANTS=20000` makes as many of each kind.

use crate::{F32, I64, context, graph, info, int, ints, model, node, numbers, random::Random, subgraph, weights};
use nim_ir::{Diagnostic, verifier::verify_module};
use nim_onnx::{
    ImportOptions, LoadedModel, import, load_model,
    proto::{
        AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto,
    },
};
use std::{env, path::PathBuf};

/// One of a list.
fn pick<'a, T>(random: &mut Random, list: &'a mut [T]) -> Option<&'a mut T> {
    let at = random.below(list.len());
    list.get_mut(at)
}

fn odd_number(random: &mut Random) -> i64 {
    const ODD: [i64; 14] =
        [0, 1, -1, 2, 3, -2, 7, 64, 1 << 20, 1 << 40, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN];
    ODD[random.below(ODD.len())]
}

fn small_models() -> Vec<GraphProto> {
    let conv = graph(
        vec![info("x", F32, "N,3,H,W")],
        vec![weights("w", &[4, 3, 3, 3]), weights("b", &[4]), numbers("s", &[0, -1]), weights("m", &[4, 5])],
        vec![
            node("Conv(x, w, b) -> a", vec![ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2]), int("group", 1)]),
            node("MaxPool(a) -> p", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]),
            node("GlobalAveragePool(p) -> g", vec![]),
            node("Reshape(g, s) -> f", vec![int("allowzero", 0)]),
            node("Gemm(f, m) -> y", vec![int("transB", 0)]),
        ],
        &["y"],
    );
    let attention = graph(
        vec![info("x", F32, "N,S,8")],
        vec![
            weights("w", &[8, 24]),
            numbers("parts", &[8, 8, 8]),
            numbers("target", &[0, 0, 2, 4]),
            numbers("axes", &[-1]),
        ],
        vec![
            node("MatMul(x, w) -> qkv", vec![]),
            node("Split(qkv, parts) -> q, k, v", vec![int("axis", 2)]),
            node("Reshape(q, target) -> q4", vec![]),
            node("Transpose(q4) -> qt", vec![ints("perm", &[0, 2, 1, 3])]),
            node("Softmax(qt) -> p", vec![int("axis", -1)]),
            node("ReduceMean(p, axes) -> r", vec![int("keepdims", 1)]),
            node("Slice(k, axes, axes, axes) -> sl", vec![]),
            node("Concat(k, v) -> kv", vec![int("axis", 1)]),
            node("TopK(kv, axes) -> tv, ti", vec![int("axis", 1)]),
        ],
        &["r", "kv"],
    );
    let body = graph(
        vec![info("i", I64, ""), info("c", crate::BOOL, ""), info("state", F32, "2,3")],
        vec![weights("half", &[1, 3])],
        vec![
            node("Identity(c) -> c2", vec![]),
            node("Concat(state, half) -> next", vec![int("axis", 0)]),
            node("ReduceSum(next) -> total", vec![int("keepdims", 0)]),
        ],
        &["c2", "next", "total"],
    );
    let control = graph(
        vec![info("x", F32, "2,3"), info("n", I64, "")],
        vec![weights("wl", &[1, 20, 3]), weights("rl", &[1, 20, 5])],
        vec![
            node("Loop(n, , x) -> grown, totals", vec![subgraph("body", body)]),
            node("Unsqueeze(grown, one) -> seq", vec![]),
            node("Constant() -> one", vec![ints("value_ints", &[1])]),
            node("LSTM(seq, wl, rl) -> y, h", vec![int("hidden_size", 5)]),
        ],
        &["y", "totals"],
    );
    vec![conv, attention, control]
}

fn mutate_dims(random: &mut Random, info: &mut ValueInfoProto) {
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) else { return };
    match random.below(4) {
        0 => t.elem_type = random.below(27) as i32,
        1 => t.shape = None,
        _ => {
            let value = Some(dimension::Value::DimValue(odd_number(random)));
            if let Some(dim) = t.shape.as_mut().and_then(|s| pick(random, &mut s.dim)) {
                dim.value = value;
            }
        }
    }
}

fn mutate_attribute(random: &mut Random, a: &mut AttributeProto) {
    match random.below(6) {
        0 => a.i = odd_number(random),
        1 => {
            let number = odd_number(random);
            if let Some(i) = pick(random, &mut a.ints) {
                *i = number;
            }
        }
        2 => a.ints.push(odd_number(random)),
        3 => {
            a.ints.pop();
        }
        4 => a.s = b"nonsense".to_vec().into(),
        _ => a.f = [f32::NAN, f32::INFINITY, -1.0, 0.0][random.below(4)],
    }
    if let Some(g) = &mut a.g {
        mutate(random, g);
    }
}

fn mutate_node(random: &mut Random, node: &mut NodeProto, names: &[String]) {
    const OPS: &[&str] = &[
        "Add",
        "MatMul",
        "Reshape",
        "Concat",
        "Loop",
        "If",
        "GRU",
        "Resize",
        "Einsum",
        "ConvTranspose",
        "Pad",
        "Expand",
        "GatherND",
        "Attention",
        "Squeeze",
        "QuantizeLinear",
        "Scan",
        "Split",
        "Slice",
        "TopK",
        "RoiAlign",
        "MaxRoiPool",
        "GridSample",
        "DeformConv",
        "Col2Im",
        "MaxUnpool",
        "LSTM",
        "SequenceAt",
        "SplitToSequence",
        "Tile",
        "DFT",
        "STFT",
        "NonMaxSuppression",
        "OneHot",
        "BatchNormalization",
        "CenterCropPad",
        "Upsample",
        "Cast",
        "ScatterND",
        "CumProd",
        "Det",
        "SoftmaxCrossEntropyLoss",
        "LpPool",
        "RotaryEmbedding",
        "TensorScatter",
        "QLinearConv",
        "DequantizeLinear",
        "StringSplit",
        "LinearAttention",
        "Unique",
    ];
    const MICROSOFT: &[&str] = &[
        "GroupQueryAttention",
        "QGemm",
        "QLinearSoftmax",
        "EmbedLayerNormalization",
        "Inverse",
        "BiasSplitGelu",
        "NhwcMaxPool",
        "MultiHeadAttention",
        "Attention",
        "DynamicQuantizeLSTM",
        "MatMulNBits",
        "FusedConv",
        "QLinearConcat",
    ];
    const ML: &[&str] = &[
        "SVMClassifier",
        "SVMRegressor",
        "OneHotEncoder",
        "CategoryMapper",
        "LinearClassifier",
        "TreeEnsembleRegressor",
        "Imputer",
        "Scaler",
        "LabelEncoder",
    ];
    match random.below(6) {
        0 => {
            let (domain, names) =
                [("", OPS), ("", OPS), ("com.microsoft", MICROSOFT), ("ai.onnx.ml", ML)][random.below(4)];
            node.domain = domain.to_string();
            node.op_type = names[random.below(names.len())].to_string();
        }
        1 => {
            let name = names[random.below(names.len())].clone();
            if let Some(input) = pick(random, &mut node.input) {
                *input = name;
            }
        }
        2 => node.input.push(names[random.below(names.len())].clone()),
        3 => {
            node.input.pop();
        }
        _ => {
            if let Some(a) = pick(random, &mut node.attribute) {
                mutate_attribute(random, a);
            }
        }
    }
}

fn mutate_tensor(random: &mut Random, t: &mut TensorProto) {
    let number = odd_number(random);
    match random.below(5) {
        0 => t.data_type = random.below(27) as i32,
        1 => t.dims.push(1),
        2 => {
            t.dims.pop();
        }
        3 => {
            // Elements of integer tensors: sizes, axes, indices.
            if t.data_type == I64 && t.raw_data.len() >= 8 {
                let mut raw = t.raw_data.to_vec();
                raw[..8].copy_from_slice(&number.to_le_bytes());
                t.raw_data = raw.into();
            } else if let Some(v) = pick(random, &mut t.int64_data) {
                *v = number;
            }
        }
        _ => {
            if let Some(d) = pick(random, &mut t.dims) {
                *d = number;
            }
        }
    }
}

fn mutate(random: &mut Random, g: &mut GraphProto) {
    let mut names: Vec<String> = g.input.iter().map(|i| i.name.clone()).collect();
    names.extend(g.node.iter().flat_map(|n| n.output.clone()));
    names.extend(g.initializer.iter().map(|t| t.name.clone()));
    names.push(String::new());
    for _ in 0..=random.below(2) {
        match random.below(6) {
            0 if !g.node.is_empty() => {
                let at = random.below(g.node.len());
                g.node.remove(at);
            }
            1 => {
                if let Some(i) = pick(random, &mut g.input) {
                    mutate_dims(random, i);
                }
            }
            2 => {
                if let Some(t) = pick(random, &mut g.initializer) {
                    mutate_tensor(random, t);
                }
            }
            _ => {
                if let Some(n) = pick(random, &mut g.node) {
                    mutate_node(random, n, &names);
                }
            }
        }
    }
}

/// Imports whatever it is; a module must be valid.
fn try_import(model: &LoadedModel, what: &str) {
    let ctx = context();
    match import(&ctx, model, &ImportOptions::default()) {
        Ok(module) => {
            let found = verify_module(&ctx, &module);
            let nodes = &model.proto.graph.as_ref().map(|g| &g.node);
            assert!(found.is_empty(), "{what} is imported as something invalid: {:?}\n{nodes:#?}", found[0]);
        }
        Err(list) => {
            assert!(!list.is_empty() && list.iter().all(|d| d.code.starts_with('N')), "{what}: {list:?}");
            // What is not about the model as a whole or its inputs names a node.
            let whole = |d: &Diagnostic| ("N0600"..="N0608").contains(&d.code);
            let named = |d: &Diagnostic| d.labels.iter().any(|l| ctx.loc_name(l.loc).is_some());
            let lost = list.iter().find(|d| !whole(d) && !named(d));
            assert!(lost.is_none(), "{what}: no node is named: {lost:?}");
        }
    }
}

/// How many mutants of a kind: what the environment says, else a number that takes seconds.
fn mutants(default: usize) -> usize {
    env::var("NIM_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[test]
fn small_models_survive_anything() {
    let mut random = Random(7);
    for (k, good) in small_models().into_iter().enumerate() {
        try_import(&model(good.clone()), &format!("model {k}"));
        for round in 0..mutants(2_000) {
            let mut bad = good.clone();
            mutate(&mut random, &mut bad);
            try_import(&model(bad), &format!("model {k}, mutation {round}"));
        }
    }
}

/// Where the cases of operators lie.
pub fn cases() -> Option<PathBuf> {
    let default = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache/nim-models"));
    Some(env::var_os("NIM_MODELS").map(PathBuf::from).or_else(default)?.join("onnx-tests"))
}

#[test]
fn node_tests_survive_anything() {
    let Some(folder) = cases().map(|c| c.join("node")).filter(|p| p.is_dir()) else {
        println!("skipped: no node tests in the model cache");
        return;
    };
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    let mut random = Random(11);
    let rounds = mutants(3 * cases.len()).div_ceil(cases.len().max(1));
    for case in cases {
        let Ok(good) = load_model(case.join("model.onnx")) else { continue };
        for round in 0..rounds {
            let mut proto = good.proto.clone();
            if let Some(g) = &mut proto.graph {
                mutate(&mut random, g);
            }
            let bad = LoadedModel { proto, path: good.path.clone(), files: nim_onnx::ExternalData::new(&case) };
            try_import(&bad, &format!("{}, mutation {round}", case.display()));
        }
    }
}
