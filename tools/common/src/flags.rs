//! Parts of command lines that several tools have.

use crate::{Failure, Interface, Stage, values::InputSpec};
use clap::Args;
use nim_onnx::ImportOptions;
use nim_tensor::Value;

/// How an ONNX model is imported.
#[derive(Args, Clone, Debug, Default)]
pub struct ImportFlags {
    /// Make every dimension of every input a symbol of its own, whatever the file says.
    #[arg(long)]
    pub symbolic_inputs: bool,
    /// Make an input a constant: NAME=@FILE.npy, NAME=@FILE.pb or NAME=2xi64=1,2.
    #[arg(long, value_name = "NAME=VALUE")]
    pub constant: Vec<InputSpec>,
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
        Ok(options)
    }
}

/// What steers the compiler.
#[derive(Args, Clone, Debug)]
pub struct CompileFlags {
    /// The machine: host, x86-64, x86-64-v2, x86-64-v3, x86-64-v4, or one of them with features: x86-64-v3+avxvnni.
    #[arg(long, value_name = "TARGET", default_value = "host")]
    pub target: String,
    /// Do not fuse maps.
    #[arg(long)]
    pub no_fuse: bool,
    /// Plain loop nests instead of schedules: slow, for finding errors.
    #[arg(long)]
    pub naive: bool,
    /// Neither contract products into sums nor change the order of sums.
    #[arg(long)]
    pub strict: bool,
    /// Verify the module after every stage.
    #[arg(long)]
    pub verify_each: bool,
}

impl Default for CompileFlags {
    fn default() -> Self {
        CompileFlags { target: "host".into(), no_fuse: false, naive: false, strict: false, verify_each: false }
    }
}

#[cfg(feature = "llvm")]
impl CompileFlags {
    /// The compiler's settings.
    ///
    /// # Errors
    /// An unknown target.
    pub fn settings(&self, threads: usize) -> Result<nim_compiler::Options, Failure> {
        let target = nim_llvm::Target::parse(&self.target).map_err(|e| Failure::new(Stage::Compile, e.to_string()))?;
        let default = nim_compiler::Options::default();
        Ok(nim_compiler::Options {
            target,
            threads: threads.max(1),
            fuse: !self.no_fuse,
            naive: self.naive,
            strict: self.strict,
            verify: default.verify || self.verify_each,
            ..default
        })
    }
}

/// As many threads as the machine has.
pub fn all_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
