//! Folders of ONNX test data, their tolerance, and comparing outputs with them.

use crate::{Failure, Interface, Stage, interface::onnx_port};
use nim_onnx::{
    ExternalData, LoadedModel,
    dataset::{DataSet, list_data_sets, read_data_set},
    proto::{GraphProto, ModelProto},
};
use nim_tensor::{Comparison, DType, Tolerance, Value, compare};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What ONNX's own test runner allows where a case says nothing.
pub const DEFAULT_TOLERANCE: Tolerance = Tolerance { rtol: 1e-3, atol: 1e-7, scaled_atol: 0.0 };

/// The data sets of a folder: its `test_data_set_*`, or the folder itself if files `input_*.pb` lie in it.
///
/// # Errors
/// The folder cannot be read, or there are none.
pub fn data_sets(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let found = list_data_sets(folder)?;
    if !found.is_empty() {
        return Ok(found);
    }
    if folder.join("input_0.pb").is_file() || folder.join("output_0.pb").is_file() {
        return Ok(vec![folder.to_path_buf()]);
    }
    Err(Failure::new(Stage::Load, format!("{}: there is no test_data_set_0 in it", folder.display())))
}

/// The tolerance of a case: `data.json` in its folder, else the default of ONNX.
///
/// # Errors
/// A `data.json` that cannot be read as one.
pub fn tolerance(folder: &Path) -> Result<Tolerance, Failure> {
    let path = folder.join("data.json");
    let Ok(text) = std::fs::read(&path) else { return Ok(DEFAULT_TOLERANCE) };
    let json: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| Failure::new(Stage::Load, format!("{}: {e}", path.display())))?;
    let number = |name: &str, default: f64| json.get(name).and_then(serde_json::Value::as_f64).unwrap_or(default);
    Ok(Tolerance {
        rtol: number("rtol", DEFAULT_TOLERANCE.rtol),
        atol: number("atol", DEFAULT_TOLERANCE.atol),
        scaled_atol: 0.0,
    })
}

/// How far what made the expected outputs of a data set is from itself when its order of rounding changes, by output.
pub type Noise = BTreeMap<String, f64>;

/// The noise of a data set: what `golden.json` in the folder above says (`models/make_goldens.py` measures and writes it). Empty
/// where there is none.
///
/// # Errors
/// A `golden.json` that cannot be read as one.
pub fn noise(set: &Path) -> Result<Noise, Failure> {
    let number = set.file_name().and_then(|n| n.to_str()?.strip_prefix("test_data_set_")?.parse::<usize>().ok());
    let path = set.parent().unwrap_or(Path::new("")).join("golden.json");
    let (Some(number), Ok(text)) = (number, std::fs::read(&path)) else { return Ok(Noise::new()) };
    let json: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| Failure::new(Stage::Load, format!("{}: {e}", path.display())))?;
    let outputs = json["settings"][number]["outputs"].as_object();
    let known = outputs.into_iter().flatten().filter_map(|(name, o)| Some((name.clone(), o["noise"].as_f64()?)));
    Ok(known.filter(|(_, noise)| noise.is_finite()).collect())
}

/// Reads a data set for a model of which only the interface is known.
///
/// # Errors
/// Files that cannot be read as what the interface says.
pub fn read_for_interface(folder: &Path, interface: &Interface) -> Result<DataSet, Failure> {
    let graph = GraphProto {
        input: interface.inputs.iter().map(onnx_port).collect(),
        output: interface.outputs.iter().map(onnx_port).collect(),
        ..GraphProto::default()
    };
    let model = LoadedModel {
        proto: ModelProto { graph: Some(graph), ..ModelProto::default() },
        path: PathBuf::new(),
        files: ExternalData::new(folder),
    };
    Ok(read_data_set(folder, &model)?)
}

/// The inputs of a data set in the order of an interface; what the interface does not list is left out.
///
/// # Errors
/// An input without a file, or one that does not fit.
pub fn inputs(set: &DataSet, interface: &Interface) -> Result<Vec<Value>, Failure> {
    let known = set.inputs.iter().filter(|i| interface.input(&i.name).is_some());
    interface.arrange(known.map(|i| (i.name.clone(), i.value.clone())).collect())
}

/// One output, compared.
#[derive(Clone, Debug)]
pub struct OutputResult {
    /// Its name.
    pub name: String,
    /// How it compares.
    pub comparison: Comparison,
    /// The noise of the reference, if the output agrees only because that is allowed for.
    pub noise: Option<f64>,
}

/// Two units in the last place of bf16, which ONNX's own runner allows them at least.
const BF16_RTOL: f64 = 1.0 / 64.0;

/// The tolerance of one output: as given, but at least what its element type can tell apart.
fn tolerance_of(expected: &Value, given: &Tolerance) -> Tolerance {
    match expected.as_tensor().map(|t| t.dtype()) {
        Some(DType::BF16) => Tolerance { rtol: given.rtol.max(BF16_RTOL), ..*given },
        _ => *given,
    }
}

/// Compares the outputs of a run with those of a data set. What is off by more than the tolerance is compared once more with the
/// reference's own noise beside it, and the result says so.
///
/// # Errors
/// A data set with an output that the model has not.
pub fn compare_outputs(
    found: &[Value],
    set: &DataSet,
    interface: &Interface,
    tolerance: &Tolerance,
    noise: &Noise,
) -> Result<Vec<OutputResult>, Failure> {
    let one = |expected: &nim_onnx::dataset::NamedValue| {
        let value = interface.output(&expected.name).and_then(|at| found.get(at));
        let value = value.ok_or_else(|| {
            Failure::new(
                Stage::Compare,
                format!("the model gives no output {:?}, the test data has one", expected.name),
            )
        })?;
        let name = expected.name.clone();
        let strict = tolerance_of(&expected.value, tolerance);
        let comparison = compare(value, &expected.value, &strict);
        if let (false, Some(&noise)) = (comparison.passed(), noise.get(&name)) {
            let loose = compare(value, &expected.value, &Tolerance { atol: strict.atol + noise, ..strict });
            if loose.passed() {
                return Ok(OutputResult { name, comparison: loose, noise: Some(noise) });
            }
        }
        Ok(OutputResult { name, comparison, noise: None })
    };
    set.outputs.iter().map(one).collect()
}

/// Fails with the first output that is wrong.
///
/// # Errors
/// That output's name and how it differs.
pub fn all_agree(results: &[OutputResult]) -> Result<(), Failure> {
    match results.iter().find(|r| !r.comparison.passed()) {
        None => Ok(()),
        Some(r) => Err(Failure::new(Stage::Compare, format!("output {:?}: {}", r.name, r.comparison))),
    }
}
