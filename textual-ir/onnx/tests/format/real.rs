//! Every model and test data file in the model cache, when there is one.
//!
//! The cache is the folder in `NIM_MODELS`, else `.cache/nim-models` in the home folder. Without it the test says
//! `skipped` and passes: models are not part of the repository.

use nim_onnx::{
    LoadedModel,
    dataset::{list_data_sets, read_data_set},
    load_model,
    proto::{GraphProto, attribute_proto::AttributeType},
};
use nim_tensor::{E8m0Round, Rounding, Tolerance, Value, cast_with, compare};
use std::{
    env,
    path::{Path, PathBuf},
};

fn cache() -> Option<PathBuf> {
    let default = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache/nim-models"));
    env::var_os("NIM_MODELS").map(PathBuf::from).or_else(default).filter(|path| path.is_dir())
}

fn find_models(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name() == "model.onnx" {
            found.push(path);
        } else if entry.file_type().is_ok_and(|t| t.is_dir()) && entry.file_name() != "venv" {
            find_models(&path, found);
        }
    }
}

/// Applies the standard's tests of Cast, whose expected outputs come from its reference implementation.
#[test]
fn cast_agrees_with_the_standards_tests() {
    let Some(folder) = cache().map(|cache| cache.join("onnx-tests/node")).filter(|path| path.is_dir()) else {
        println!("skipped: no node tests in the model cache");
        return;
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut checked = 0;
    for folder in entries
        .map(|e| e.path())
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("test_cast_")))
    {
        let model = load_model(folder.join("model.onnx")).unwrap();
        let node = &model.proto.graph.as_ref().unwrap().node[0];
        let mut rounding = Rounding::default();
        for attribute in &node.attribute {
            match attribute.name.as_str() {
                "saturate" => rounding.saturate = attribute.i != 0,
                "round_mode" if &attribute.s[..] == b"down" => rounding.e8m0 = E8m0Round::Down,
                "round_mode" if &attribute.s[..] == b"nearest" => rounding.e8m0 = E8m0Round::Nearest,
                _ => {}
            }
        }
        for set in list_data_sets(&folder).unwrap() {
            let set = read_data_set(&set, &model).unwrap();
            let (input, expected) = (&set.inputs[0].value, &set.outputs[0].value);
            let to = expected.dtype().unwrap();
            let found = cast_with(input.as_tensor().unwrap(), to, rounding).unwrap();
            let result = compare(&Value::Tensor(found), expected, &Tolerance::default());
            assert!(result.passed(), "{}: {result}", folder.display());
            checked += 1;
        }
    }
    println!("{checked} casts");
}

/// Reads all tensors of a graph and of the graphs inside it; returns how many.
fn read_tensors(model: &LoadedModel, graph: &GraphProto, errors: &mut Vec<String>) -> usize {
    let mut results: Vec<_> = graph.initializer.iter().map(|t| model.tensor(t)).collect();
    results.extend(graph.sparse_initializer.iter().map(|t| model.sparse_tensor(t)));
    let mut inner = 0;
    for node in &graph.node {
        for attribute in &node.attribute {
            let ty = AttributeType::try_from(attribute.r#type);
            assert!(ty.is_ok(), "attribute {:?} of {:?}", attribute.name, node.name);
            results.extend(attribute.t.iter().chain(&attribute.tensors).map(|t| model.tensor(t)));
            let sparse = attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors);
            results.extend(sparse.map(|t| model.sparse_tensor(t)));
            let graphs = attribute.g.iter().chain(&attribute.graphs);
            inner += graphs.map(|g| read_tensors(model, g, errors)).sum::<usize>();
        }
    }
    errors.extend(results.iter().filter_map(|r| r.as_ref().err()).map(|e| format!("{}: {e}", model.path.display())));
    results.len() + inner
}

#[test]
fn everything_in_the_cache_is_read() {
    let Some(cache) = cache() else {
        println!("skipped: no model cache");
        return;
    };
    let mut paths = Vec::new();
    find_models(&cache, &mut paths);
    let (mut tensors, mut values, mut errors) = (0, 0, Vec::new());
    for path in &paths {
        let model = match load_model(path) {
            Ok(model) => model,
            Err(error) => {
                errors.push(error.to_string());
                continue;
            }
        };
        if let Some(graph) = &model.proto.graph {
            tensors += read_tensors(&model, graph, &mut errors);
        }
        for set in path.parent().and_then(|folder| list_data_sets(folder).ok()).into_iter().flatten() {
            match read_data_set(&set, &model) {
                Ok(set) => values += set.inputs.len() + set.outputs.len(),
                Err(error) => errors.push(error.to_string()),
            }
        }
    }
    println!("{} models, {tensors} tensors, {values} values", paths.len());
    assert!(errors.is_empty(), "{} errors:\n{}", errors.len(), errors.join("\n"));
}
