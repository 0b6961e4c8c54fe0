//! From MLIR texts to one code image, on several threads.

use crate::error::CompileError;
use crate::fatal::Working;
use crate::link::{ImageTarget, ObjectFile, link};
use crate::module::{LlvmContext, LlvmModule, Machine, Options};
use crate::target::Target;
use nim_mlir::{MlirContext, MlirModule};
use nim_vm::code_image::CodeImage;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One kernel to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelSource<'a> {
    /// The function that becomes an entry point. Other functions of the text are its helpers.
    pub symbol: &'a str,
    /// MLIR text in upstream's dialects. Functions follow C's calling convention: `memref<f32>` arguments are
    /// pointers, `index` is 64 bits wide.
    pub text: &'a str,
}

/// Where in the way to machine code to stop and look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump {
    /// After MLIR's passes: the `llvm` dialect.
    LlvmDialect,
    /// LLVM IR as translated.
    LlvmIr,
    /// LLVM IR after optimisation.
    OptimisedIr,
    /// Assembly.
    Assembly,
}

/// Time spent in each stage, summed over kernels and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Making MLIR contexts and LLVM code generators.
    pub setup: Duration,
    /// Reading MLIR text.
    pub parse: Duration,
    /// MLIR's passes down to the `llvm` dialect.
    pub passes: Duration,
    /// From the `llvm` dialect to LLVM IR.
    pub translate: Duration,
    /// LLVM's optimisation.
    pub optimise: Duration,
    /// LLVM's code generation.
    pub emit: Duration,
    /// Linking the image.
    pub link: Duration,
}

impl StageTimes {
    fn add(&mut self, other: &Self) {
        self.setup += other.setup;
        self.parse += other.parse;
        self.passes += other.passes;
        self.translate += other.translate;
        self.optimise += other.optimise;
        self.emit += other.emit;
        self.link += other.link;
    }
}

/// A compiler for one target that keeps its MLIR contexts, so that only the first kernels pay for making them.
#[derive(Debug)]
pub struct Compiler {
    target: Target,
    options: Options,
    threads: usize,
    idle: Mutex<Vec<MlirContext>>,
    times: Mutex<StageTimes>,
}

/// What one thread needs to compile kernels one after another.
struct Worker<'a> {
    compiler: &'a Compiler,
    mlir: MlirContext,
    machine: Machine,
    times: StageTimes,
}

/// Compiles kernels into one image, on as many threads as the machine has cores.
///
/// # Errors
/// See [`Compiler::compile`].
pub fn compile_kernels(
    sources: &[KernelSource],
    target: &Target,
    options: &Options,
) -> Result<CodeImage, CompileError> {
    Compiler::new(target, options).compile(sources)
}

/// Links objects of kernels into one image.
///
/// # Errors
/// What the linker refuses.
pub fn link_image(objects: &[ObjectFile], target: &Target) -> Result<CodeImage, CompileError> {
    let target = ImageTarget {
        arch: target.arch().to_owned(),
        name: target.name().to_owned(),
        features: target.features().to_vec(),
    };
    link(objects, &target)
}

impl Compiler {
    /// Makes a compiler; nothing is loaded before the first kernel.
    pub fn new(target: &Target, options: &Options) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let (idle, times) = Default::default();
        Self { target: target.clone(), options: options.clone(), threads, idle, times }
    }

    /// Sets the most threads that [`Compiler::compile`] may use, at least 1.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The target compiled for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Time spent so far.
    pub fn times(&self) -> StageTimes {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compiles kernels and links them into one image. The image does not depend on the number of threads.
    ///
    /// # Errors
    /// All errors of all kernels, in the kernels' order; [`CompileError::Many`] if there are several.
    pub fn compile(&self, sources: &[KernelSource]) -> Result<CodeImage, CompileError> {
        let objects = self.compile_objects(sources)?;
        let start = Instant::now();
        let image = link_image(&objects, &self.target)?;
        self.add_times(&StageTimes { link: start.elapsed(), ..StageTimes::default() });
        Ok(image)
    }

    /// Compiles kernels to one relocatable ELF object each, in their order.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub fn compile_objects(&self, sources: &[KernelSource]) -> Result<Vec<ObjectFile>, CompileError> {
        let results: Vec<Mutex<Option<Result<ObjectFile, CompileError>>>> =
            sources.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), CompileError> {
            let mut worker = None;
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let (Some(source), Some(result)) = (sources.get(index), results.get(index)) else { break };
                let worker = match &mut worker {
                    Some(worker) => worker,
                    none => none.insert(Worker::new(self)?),
                };
                let object = worker.object(source);
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(object);
            }
            if let Some(worker) = worker {
                worker.retire();
            }
            Ok(())
        };
        let threads = self.threads.min(sources.len());
        if threads <= 1 {
            work()?;
        } else {
            std::thread::scope(|scope| {
                let spawned: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
                let mine = work();
                let others = spawned.into_iter().map(|t| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p)));
                others.fold(mine, Result::and)
            })?;
        }

        let mut objects = Vec::with_capacity(sources.len());
        let mut errors = Vec::new();
        for result in results {
            match result.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some(Ok(object)) => objects.push(object),
                Some(Err(error)) => errors.push(error),
                // Cannot be: a worker that gave up has returned its error above.
                None => {}
            }
        }
        match errors.len() {
            0 => Ok(objects),
            1 => Err(errors.remove(0)),
            _ => Err(CompileError::Many(errors)),
        }
    }

    /// Compiles one kernel as far as wanted and shows it as text.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub fn dump(&self, source: &KernelSource, what: Dump) -> Result<String, CompileError> {
        let mut worker = Worker::new(self)?;
        let text = worker.dump(source, what);
        worker.retire();
        text
    }

    fn add_times(&self, times: &StageTimes) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).add(times);
    }
}

impl<'a> Worker<'a> {
    fn new(compiler: &'a Compiler) -> Result<Self, CompileError> {
        let start = Instant::now();
        let idle = compiler.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mlir = idle.unwrap_or_default();
        let machine = Machine::new(&compiler.target, compiler.options.level)?;
        let times = StageTimes { setup: start.elapsed(), ..StageTimes::default() };
        Ok(Self { compiler, mlir, machine, times })
    }

    /// Gives the context back for the next call, and reports times.
    fn retire(self) {
        self.compiler.add_times(&self.times);
        self.compiler.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.mlir);
    }

    fn object(&mut self, source: &KernelSource) -> Result<ObjectFile, CompileError> {
        let _working = Working::on(source.symbol);
        let Self { compiler, mlir, machine, times } = self;
        let context = LlvmContext::new();
        let lowered = lower(mlir, source, times)?;
        let module = optimise(&context, lowered, source, compiler, machine, times)?;
        let bytes = timed(&mut times.emit, || module.emit_object(machine))?;
        Ok(ObjectFile { kernel: source.symbol.to_owned(), bytes })
    }

    fn dump(&mut self, source: &KernelSource, what: Dump) -> Result<String, CompileError> {
        let _working = Working::on(source.symbol);
        let Self { compiler, mlir, machine, times } = self;
        let context = LlvmContext::new();
        let lowered = lower(mlir, source, times)?;
        match what {
            Dump::LlvmDialect => lowered.print(false).map_err(|e| mlir_error(source, e)),
            Dump::LlvmIr => Ok(context.translate(&lowered, source.symbol)?.ir_text()),
            Dump::OptimisedIr => Ok(optimise(&context, lowered, source, compiler, machine, times)?.ir_text()),
            Dump::Assembly => optimise(&context, lowered, source, compiler, machine, times)?.emit_assembly(machine),
        }
    }
}

fn lower<'c>(
    mlir: &'c MlirContext,
    source: &KernelSource,
    times: &mut StageTimes,
) -> Result<MlirModule<'c>, CompileError> {
    let mut module = timed(&mut times.parse, || mlir.parse(source.text)).map_err(|e| mlir_error(source, e))?;
    timed(&mut times.passes, || module.lower_to_llvm_dialect()).map_err(|e| mlir_error(source, e))?;
    Ok(module)
}

fn optimise<'l>(
    context: &'l LlvmContext,
    lowered: MlirModule,
    source: &KernelSource,
    compiler: &Compiler,
    machine: &Machine,
    times: &mut StageTimes,
) -> Result<LlvmModule<'l>, CompileError> {
    let module = timed(&mut times.translate, || context.translate(&lowered, source.symbol))?;
    module.keep_only(source.symbol)?;
    timed(&mut times.optimise, || module.optimise(machine, &compiler.options))?;
    Ok(module)
}

fn mlir_error(source: &KernelSource, error: nim_mlir::MlirError) -> CompileError {
    CompileError::Mlir { kernel: source.symbol.to_owned(), error }
}

fn timed<T>(total: &mut Duration, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = step();
    *total += start.elapsed();
    result
}
