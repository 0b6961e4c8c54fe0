//! Parts of command lines that several tools have.

use crate::{Failure, Interface, Stage, values::InputSpec};
use clap::Args;
use nim_onnx::{ImportOptions, InputDim};
use nim_tensor::Value;
use std::path::PathBuf;
use std::str::FromStr;

/// How an ONNX model is imported.
#[derive(Args, Clone, Debug, Default)]
pub struct ImportFlags {
    /// Make every dimension of every input a symbol of its own, whatever the file says.
    #[arg(long)]
    pub symbolic_inputs: bool,
    /// Make an input a constant: NAME=@FILE.npy, NAME=@FILE.pb or NAME=2xi64=1,2.
    #[arg(long, value_name = "NAME=VALUE")]
    pub constant: Vec<InputSpec>,
    /// Give an input this shape instead of the file's: NAME=[N]x3x224x224, where [N] is a symbol; NAME= for a scalar. In a model of
    /// the IR numbers may stand in the place of symbols.
    #[arg(long, value_name = "NAME=SHAPE")]
    pub input_shape: Vec<InputShape>,
}

/// An input and its shape.
#[derive(Clone, Debug)]
pub struct InputShape {
    name: String,
    dims: Vec<InputDim>,
    text: String,
}

impl FromStr for InputShape {
    type Err = String;

    fn from_str(text: &str) -> Result<InputShape, String> {
        // Names of inputs may have `=` in them, shapes cannot.
        let (name, shape) = text.rsplit_once('=').ok_or("an input's name, =, and its shape are wanted")?;
        // `x` separates, but may be a letter of a name in brackets.
        let (mut parts, mut inside) = (vec![String::new()], false);
        for c in shape.chars() {
            inside = (inside || c == '[') && c != ']';
            match parts.last_mut() {
                Some(part) if inside || c != 'x' => part.push(c),
                _ => parts.push(String::new()),
            }
        }
        let dims = match shape {
            "" => vec![],
            _ => parts.iter().map(|p| p.parse()).collect::<Result<_, String>>()?,
        };
        Ok(InputShape { name: name.to_string(), dims, text: text.to_string() })
    }
}

impl ImportFlags {
    /// What the importer is told.
    ///
    /// # Errors
    /// A constant that cannot be read, or is no tensor.
    pub fn options(&self) -> Result<ImportOptions, Failure> {
        let mut options = ImportOptions { symbolic_inputs: self.symbolic_inputs, ..ImportOptions::default() };
        for spec in &self.constant {
            let Value::Tensor(tensor) = spec.value(&Interface::default(), 0)? else {
                return Err(Failure::new(Stage::Input, format!("constant {:?} is no tensor", spec.name)));
            };
            options.constants.insert(spec.name.clone(), tensor);
        }
        options.shapes = self.input_shape.iter().map(|s| (s.name.clone(), s.dims.clone())).collect();
        Ok(options)
    }

    /// The same as arguments of another tool.
    pub fn to_args(&self) -> Vec<String> {
        let symbolic = self.symbolic_inputs.then(|| "--symbolic-inputs".to_string());
        let constants = self.constant.iter().map(|c| format!("--constant={c}"));
        let shapes = self.input_shape.iter().map(|s| format!("--input-shape={}", s.text));
        symbolic.into_iter().chain(constants).chain(shapes).collect()
    }
}

fn error_bound(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(error) if error >= 0.0 && error.is_finite() => Ok(error),
        _ => Err("an error is a number from 0 on, as 1e-5".into()),
    }
}

/// What steers the compiler.
#[derive(Args, Clone, Debug)]
pub struct CompileFlags {
    /// The machine: host; a level: x86-64, x86-64-v2, x86-64-v3, x86-64-v4; a CPU as LLVM calls it: sapphirerapids, znver4, ...; or one
    /// of them with features: x86-64-v3+avxvnni. What schedules are estimated for follows it.
    #[arg(long, value_name = "TARGET", default_value = "host")]
    pub target: String,
    /// Do not fuse maps.
    #[arg(long)]
    pub no_fuse: bool,
    /// Run kernels on another device: those whose names match PATTERN, in which * stands for anything. Each device has
    /// memory of its own. The interpreter takes any name, nim-run --device says what one is for a compiled program.
    #[arg(long, value_name = "PATTERN:DEVICE")]
    pub place: Vec<String>,
    /// Give each buffer memory of its own instead of planning what shares it: for finding errors.
    #[arg(long)]
    pub no_plan: bool,
    /// Plain loop nests instead of schedules: slow, for finding errors.
    #[arg(long)]
    pub naive: bool,
    /// Neither contract products into sums nor change the order of sums.
    #[arg(long)]
    pub strict: bool,
    /// What convolutions, matrix products and recurrent nets read: f32 as the model says; bf16 or f16: their factors rounded to
    /// nearest, products still summed up in f32. All else computes in f32. bf16 is fast with AVX512-BF16 or AMX, f16 saves memory
    /// only.
    #[arg(long, value_name = "PRECISION", default_value = "f32", value_parser = ["f32", "bf16", "f16"])]
    pub precision: String,
    /// The error that one convolution may have for speed (Winograd's algorithms), as a part of its largest result, where plain sums
    /// of f32 have 2e-7. 0: none; without the flag 1e-5.
    #[arg(long, value_name = "ERROR", value_parser = error_bound)]
    pub tolerance: Option<f64>,
    /// Take the schedules of kernels from FILE, where nim-compile --tune wrote what it measured. What does not fit is passed over.
    #[arg(long, value_name = "FILE")]
    pub tune_log: Option<PathBuf>,
    /// Take them even if they were measured on another machine.
    #[arg(long)]
    pub tune_log_any_machine: bool,
    /// Verify the module after every stage.
    #[arg(long)]
    pub verify_each: bool,
    /// Neither take machine code of kernels from earlier compilations nor keep it (`NIM_CACHE`: the folder; empty: as this).
    #[arg(long)]
    pub no_cache: bool,
}

impl Default for CompileFlags {
    fn default() -> Self {
        CompileFlags {
            target: "host".into(),
            no_fuse: false,
            place: vec![],
            no_plan: false,
            naive: false,
            strict: false,
            precision: "f32".into(),
            tolerance: None,
            tune_log: None,
            tune_log_any_machine: false,
            verify_each: false,
            no_cache: false,
        }
    }
}

impl CompileFlags {
    /// The same as arguments of another tool.
    pub fn to_args(&self) -> Vec<String> {
        let flags = [
            (self.no_fuse, "--no-fuse"),
            (self.no_plan, "--no-plan"),
            (self.naive, "--naive"),
            (self.strict, "--strict"),
            (self.tune_log_any_machine, "--tune-log-any-machine"),
            (self.verify_each, "--verify-each"),
            (self.no_cache, "--no-cache"),
        ];
        let set = flags.iter().filter(|(on, _)| *on).map(|(_, name)| name.to_string());
        let place = self.place.iter().map(|rule| format!("--place={rule}"));
        let tolerance = self.tolerance.map(|error| format!("--tolerance={error}"));
        let log = self.tune_log.as_ref().map(|path| format!("--tune-log={}", path.display()));
        let precision = (self.precision != "f32").then(|| format!("--precision={}", self.precision));
        set.chain(place)
            .chain([format!("--target={}", self.target)])
            .chain(precision)
            .chain(tolerance)
            .chain(log)
            .collect()
    }
}

/// As many threads as the machine has.
pub fn all_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
