//! Inputs whose rank the file leaves open. Types have a rank from here on, so one is found: what the caller says of the shape, else
//! the only rank with which the whole model can be imported. A run with tensors of another rank is refused at the entry.

use super::{ImportOptions, InputDim, types};
use crate::proto::{GraphProto, ValueInfoProto, type_proto};
use nim_ir::{Diagnostic, Loc};

/// The highest rank that is tried: `[batch, channels, time, height, width]` and one more.
const HIGHEST: usize = 6;
/// Of more inputs than this, only equal ranks are tried.
const APART: usize = 2;

/// Inputs of unknown rank of which the caller says nothing.
fn open<'g>(graph: &'g GraphProto, options: &ImportOptions) -> Vec<&'g ValueInfoProto> {
    let tensor = |i: &ValueInfoProto| {
        let value = i.r#type.as_ref().and_then(|t| t.value.as_ref());
        matches!(value, Some(type_proto::Value::TensorType(t)) if t.shape.is_none())
    };
    let given = |name: &str| {
        options.shapes.contains_key(name)
            || options.constants.contains_key(name)
            || graph.initializer.iter().any(|t| t.name == name)
    };
    graph.input.iter().filter(|i| tensor(i) && !given(&i.name)).collect()
}

/// Options under which every input has a rank.
///
/// `works` says whether the model can be imported with some options.
///
/// # Errors
/// No rank or several ranks fit: N0603. A name in the options that no input has: N0608.
pub(super) fn settled(
    graph: &GraphProto,
    options: &ImportOptions,
    works: &dyn Fn(&ImportOptions) -> bool,
) -> Result<ImportOptions, Diagnostic> {
    let is_input = |name: &str| graph.input.iter().any(|i| i.name == name);
    if let Some(name) = options.shapes.keys().chain(options.constants.keys()).filter(|n| !is_input(n)).min() {
        let known: Vec<String> = graph.input.iter().map(|i| format!("{:?}", i.name)).collect();
        let message = format!("{name:?} is not an input of the model");
        return Err(Diagnostic::error("N0608", Loc::UNKNOWN, message).help(format!("it has {}", known.join(", "))));
    }
    let inputs = open(graph, options);
    if inputs.is_empty() {
        return Ok(options.clone());
    }
    let tries: Vec<Vec<usize>> = match inputs.len() {
        n if n <= APART => (0..(HIGHEST + 1).pow(n as u32))
            .map(|code| (0..n).map(|k| code / (HIGHEST + 1).pow(k as u32) % (HIGHEST + 1)).collect())
            .collect(),
        n => (0..=HIGHEST).map(|rank| vec![rank; n]).collect(),
    };
    let with = |ranks: &[usize]| {
        let mut options = options.clone();
        for (input, &rank) in inputs.iter().zip(ranks) {
            options.shapes.insert(input.name.clone(), types::open_shape(&input.name, rank));
        }
        options
    };
    let mut found = tries.iter().map(|ranks| (ranks, with(ranks))).filter(|(_, options)| works(options));
    let (first, second) = (found.next(), found.next());
    let names: Vec<String> = inputs.iter().map(|i| format!("{:?}", i.name)).collect();
    let ranks = |ranks: &[usize]| ranks.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let problem = match (first, second) {
        (Some((_, options)), None) => return Ok(options),
        (Some((a, _)), Some((b, _))) => format!("the model can be read with {} and with {}", ranks(a), ranks(b)),
        (None, _) => format!("the model can be read with none up to {HIGHEST}"),
    };
    let message = match inputs.len() {
        1 => format!("the rank of input {} is not known, and {problem}", names[0]),
        _ => format!("the ranks of inputs {} are not known, and {problem}", names.join(", ")),
    };
    let hint = format!("say what shape it has: --input-shape '{}=[N]x3x224x224'", inputs[0].name);
    Err(Diagnostic::error("N0603", Loc::UNKNOWN, message).help(hint))
}

impl std::str::FromStr for InputDim {
    type Err = String;

    /// `224`, or `[name]`.
    fn from_str(text: &str) -> Result<InputDim, String> {
        if let Some(name) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return plain
                .then(|| InputDim::Symbol(name.to_string()))
                .ok_or_else(|| format!("[{name}] is not a name in brackets"));
        }
        let size = text.parse::<u32>().map_err(|_| format!("{text:?} is neither a size nor a name in brackets"))?;
        Ok(InputDim::Size(size.into()))
    }
}
