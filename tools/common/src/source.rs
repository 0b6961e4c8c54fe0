//! Model files to modules.

use crate::{Failure, Interface, Stage, files};
use nim_ir::{Context, Module, verifier::verify_module};
use nim_onnx::{ImportOptions, InputDim, LoadedModel};
use nim_tensor::Blob;
use nim_text::ParseOptions;
use std::path::{Path, PathBuf};

/// A context that knows every dialect of the toolkit.
pub fn context() -> Context {
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.extend([&nim_graph::GRAPH, &nim_dataflow::DATAFLOW, &nim_loops::LOOPS, &nim_dyn::DYN]);
    Context::new(&dialects)
}

/// A model file, read but not yet a module.
#[derive(Debug)]
pub enum Source {
    /// An ONNX model.
    Onnx(Box<LoadedModel>),
    /// Text of the IR.
    Text {
        /// The file's name, for messages.
        name: String,
        /// What stands in it.
        text: String,
        /// The folder its large constants lie in.
        folder: PathBuf,
    },
    /// A module of the IR in bytecode.
    Bytecode {
        /// The file's name, for messages.
        name: String,
        /// What stands in it, mapped.
        blob: Blob,
    },
}

impl Source {
    /// Reads a model: by its name's ending `.onnx` or `.nir`, `.mlir`; bytecode under any other name too; standard input (`-`) is text if it is UTF-8
    /// without control characters.
    pub fn read(path: &Path) -> Result<Source, Failure> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match ending {
            "onnx" => Ok(Source::Onnx(Box::new(nim_onnx::load_model(path)?))),
            "nir" | "mlir" => Self::text(path, &files::read(path)?),
            _ if files::is_stdio(path) => {
                let bytes = files::read(path)?;
                // A small model may be valid UTF-8 by chance, but it begins with the tag of a field, which no text does.
                let control = |b: &u8| *b < b' ' && !b.is_ascii_whitespace();
                let text = std::str::from_utf8(&bytes).is_ok() && !bytes.iter().any(control);
                match text || nim_bytecode::is_bytecode(&bytes) {
                    true => Self::text(path, &bytes),
                    false => Ok(Source::Onnx(Box::new(nim_onnx::load_model_bytes(&bytes, ".")?))),
                }
            }
            _ if path.is_file() && nim_bytecode::is_bytecode(&files::read(path)?) => {
                Self::text(path, &files::read(path)?)
            }
            _ => {
                let message = format!("{}: a model's name ends in .onnx or .nir", path.display());
                Err(Failure::new(Stage::Load, message))
            }
        }
    }

    /// Text, or bytecode, which stands for it everywhere.
    fn text(path: &Path, bytes: &Blob) -> Result<Source, Failure> {
        let name = if files::is_stdio(path) { "<stdin>".to_string() } else { path.display().to_string() };
        if nim_bytecode::is_bytecode(bytes) {
            return Ok(Source::Bytecode { name, blob: bytes.clone() });
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|e| Failure::new(Stage::Load, format!("{}: not UTF-8 ({e})", path.display())))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf();
        Ok(Source::Text { name, text: text.to_string(), folder })
    }

    /// The ONNX model, if it is one.
    pub fn onnx(&self) -> Option<&LoadedModel> {
        match self {
            Source::Onnx(model) => Some(model),
            Source::Text { .. } | Source::Bytecode { .. } => None,
        }
    }

    /// The module, verified.
    ///
    /// # Errors
    /// All diagnostics of import or parser, else those of the verifier.
    pub fn module(&self, ctx: &Context, options: &ImportOptions) -> Result<Module, Failure> {
        let asked = options.symbolic_inputs || !options.constants.is_empty();
        if let (true, Source::Text { name, .. } | Source::Bytecode { name, .. }) = (asked, self) {
            let flags = "--symbolic-inputs and --constant say how an ONNX model is imported";
            return Err(Failure::new(Stage::Import, format!("{name}: {flags}; this is one of the IR already")));
        }
        let mut module = match self {
            Source::Onnx(model) => {
                nim_onnx::import(ctx, model, options).map_err(|d| Failure::diagnostics(Stage::Import, ctx, &d))?
            }
            Source::Text { name, text, folder } => {
                let source = ctx.add_source(name.clone(), text.clone());
                let options = ParseOptions { blob_dir: Some(folder.clone()), ..ParseOptions::default() };
                let (module, found) = nim_text::parse_module(ctx, source, &options);
                if found.iter().any(nim_ir::Diagnostic::is_error) {
                    return Err(Failure::diagnostics(Stage::Import, ctx, &found));
                }
                module
            }
            Source::Bytecode { name, blob } => nim_bytecode::read_module(ctx, name, blob, &Default::default())
                .map_err(|found| Failure::diagnostics(Stage::Import, ctx, &[found]))?,
        };
        verified(ctx, &module)?;
        if self.onnx().is_none() && !options.shapes.is_empty() {
            shaped(ctx, &mut module, options)?;
            verified(ctx, &module)?;
        }
        Ok(module)
    }
}

/// Gives inputs of a module of the IR the shapes that they are asked to have.
fn shaped(ctx: &Context, module: &mut Module, options: &ImportOptions) -> Result<(), Failure> {
    let fail = |message: String| Err(Failure::new(Stage::Import, format!("--input-shape: {message}")));
    let interface = Interface::of_function(ctx, module, "main")?;
    let mut wanted = vec![None; interface.inputs.len()];
    for (name, dims) in &options.shapes {
        let Some(at) = interface.input(name) else { return fail(format!("the model has no input {name:?}")) };
        let number = |dim: &InputDim| match dim {
            InputDim::Size(size) => Some(*size),
            InputDim::Symbol(_) => None,
        };
        let Some(dims) = dims.iter().map(number).collect::<Option<Vec<i64>>>() else {
            return fail(format!("{name:?}: a model of the IR has its symbols; only numbers can stand in their place"));
        };
        wanted[at] = Some(dims);
    }
    nim_graph_passes::set_shapes(ctx, module, "main", &wanted).or_else(fail)
}

/// Fails with everything the verifier finds.
pub fn verified(ctx: &Context, module: &Module) -> Result<(), Failure> {
    let found = verify_module(ctx, module);
    if found.iter().any(nim_ir::Diagnostic::is_error) {
        return Err(Failure::diagnostics(Stage::Verify, ctx, &found));
    }
    Ok(())
}
