//! Reads, runs, prints.

use crate::{
    bisect::Bisect,
    cli::{Config, List, SPLIT, Timing, Verify},
    dims, dump, expect, explain, named,
    oracle::Oracle,
    reproducer, rewrites, say,
};
use nim_ir::{Context, Diagnostic, DialectDef, Module, SourceId, verifier::verify_module};
use nim_irdl::Definitions;
use nim_pass::{Pipeline, Registry, RunOptions, RunReport};
use nim_tensor::Blob;
use nim_text::{
    ParseOptions, PrintOptions, RenderOptions, parse_indexed, parse_module, print_module, render_all, write_module,
};
use std::{
    fmt::Write as _,
    io::{Read, Write},
    path::Path,
};

/// Does what the command line says. `Ok(false)`: something was found, and told on the standard error stream.
///
/// # Errors
/// Files cannot be read or written, or the command line makes no sense.
pub fn run(registry: &Registry, dialects: &[&'static DialectDef], config: &Config) -> Result<bool, String> {
    if let Some(code) = &config.explain {
        return explain(config, code);
    }
    if let Some(list) = config.list {
        let text = match list {
            List::Passes => list_passes(registry),
            List::Dialects => list_dialects(dialects),
            List::Rewrites => rewrites::list(registry),
        };
        return write(config, &text).map(|()| true);
    }
    if config.check_pipeline {
        return check_pipeline(registry, dialects, config);
    }
    let (name, input) = read(&config.input)?;
    if let Some(oracle) = &config.bisect {
        return bisect(registry, dialects, config, &name, &input, oracle);
    }
    let parts = match (input, &config.split) {
        (Input::Text(text), Some(marker)) => split(&text, marker).into_iter().map(Input::Text).collect(),
        (input, _) => vec![input],
    };
    if let Some(asked) = &config.explain_dim {
        // Names of values are a matter of texts.
        let texts = parts.into_iter().filter_map(|part| match part {
            Input::Text(text) => Some(text),
            _ => None,
        });
        return explain_dim(dialects, config, &name, texts.collect(), asked);
    }
    let mut out = Output { config, to: None, said: config.bless_diagnostics.then(Vec::new) };
    let mut good = true;
    for part in parts {
        good &= one(registry, dialects, config, &name, part, &mut out)?;
    }
    if let Some(said) = out.said.take() {
        let text =
            std::fs::read_to_string(&config.input).map_err(|e| format!("cannot read `{}`: {e}", config.input))?;
        let blessed = expect::bless(&text, said);
        return match blessed == text {
            true => Ok(good),
            false => crate::write(Path::new(&config.input), blessed.as_bytes()).map(|()| good),
        };
    }
    out.finish()?;
    Ok(good)
}

/// `--explain-dim`: of the first part that has the value.
fn explain_dim(
    dialects: &[&'static DialectDef],
    config: &Config,
    name: &str,
    parts: Vec<String>,
    asked: &str,
) -> Result<bool, String> {
    let mut problem = Err(format!("`{name}` holds no text"));
    for part in parts {
        let ctx = Context::new(dialects);
        let source = ctx.add_source(name, part);
        let options = ParseOptions { blob_dir: None, ..parse_options(config) };
        let (module, found, index) = parse_indexed(&ctx, source, &options);
        say(&render(&ctx, config, &found));
        match dims::explain(&ctx, &module, &index, &ctx.source(source).text, asked) {
            Ok(steps) => {
                write(config, &render(&ctx, config, &steps))?;
                return Ok(!found.iter().any(Diagnostic::is_error));
            }
            Err(why) => problem = Err(why),
        }
    }
    problem
}

/// Where modules go. It is opened when the first of them is fine.
struct Output<'a> {
    config: &'a Config,
    to: Option<To>,
    /// What was found in all parts, when the comments of the input are to say it.
    said: Option<Vec<expect::Said>>,
}

enum To {
    File(nim_files::Output),
    Stdout(std::io::Stdout),
}

impl To {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            To::File(to) => to,
            To::Stdout(to) => to,
        }
    }
}

impl Output<'_> {
    fn print(&mut self, ctx: &Context, module: &Module) -> Result<(), String> {
        if self.config.no_output || self.config.verify_diagnostics.is_some() {
            return Ok(());
        }
        let to: &mut dyn Write = match &mut self.to {
            Some(to) => {
                let to = to.writer();
                write!(to, "\n{}\n\n", self.config.split.as_deref().unwrap_or(SPLIT)).or_else(enough)?;
                to
            }
            to => to
                .insert(match &self.config.output {
                    Some(path) => {
                        let file = nim_files::Output::create(path);
                        To::File(file.map_err(|e| format!("cannot write `{}`: {e}", path.display()))?)
                    }
                    None => To::Stdout(std::io::stdout()),
                })
                .writer(),
        };
        if self.config.bytecode {
            return to.write_all(&nim_bytecode::write_module(ctx, module)).or_else(enough);
        }
        write_module(ctx, module, &print_options(self.config), to).or_else(enough)
    }
    fn finish(&mut self) -> Result<(), String> {
        match (self.to.take(), &self.config.output) {
            (Some(To::File(to)), _) => to.finish().or_else(enough),
            (Some(To::Stdout(mut to)), _) => to.flush().or_else(enough),
            // A file is made even when there is nothing in it.
            (None, Some(_)) if !self.config.no_output && self.config.verify_diagnostics.is_none() => {
                write(self.config, "")
            }
            _ => Ok(()),
        }
    }
}

/// Whoever reads has seen enough.
fn enough(error: std::io::Error) -> Result<(), String> {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(format!("cannot write: {error}")),
    }
}

/// What is worked on: text, or a module in bytecode.
#[derive(Clone)]
enum Input {
    Text(String),
    Bytecode(Blob),
}

fn read(input: &str) -> Result<(String, Input), String> {
    let (name, blob) = if input == "-" {
        let mut bytes = vec![];
        std::io::stdin().read_to_end(&mut bytes).map_err(|e| format!("cannot read the standard input: {e}"))?;
        ("<stdin>", Blob::new(bytes))
    } else {
        // Large files are not copied; those that are no files cannot be mapped.
        let mapped = Blob::map_file(Path::new(input)).or_else(|_| std::fs::read(input).map(Blob::new));
        (input, mapped.map_err(|e| format!("cannot read `{input}`: {e}"))?)
    };
    if nim_bytecode::is_bytecode(&blob) {
        return Ok((name.to_string(), Input::Bytecode(blob)));
    }
    match String::from_utf8(blob.to_vec()) {
        Ok(text) => Ok((name.to_string(), Input::Text(text))),
        Err(e) => Err(format!("`{name}` is no text: byte {} is not UTF-8", e.utf8_error().valid_up_to())),
    }
}

fn write(config: &Config, text: &str) -> Result<(), String> {
    match &config.output {
        Some(path) => crate::write(path, text.as_bytes()),
        None => std::io::stdout().write_all(text.as_bytes()).or_else(enough),
    }
}

/// Parts between split lines, each with empty lines before it, so that line numbers are those of the whole text.
fn split(text: &str, marker: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end().starts_with(marker) {
            parts.push("\n".repeat(i + 1));
        } else if let Some(part) = parts.last_mut() {
            part.push_str(line);
        }
    }
    parts
}

fn print_options(config: &Config) -> PrintOptions {
    PrintOptions {
        generic: config.generic,
        debug_info: config.debug_info,
        elide_elements: config.elide_elements,
        elide_resources: config.elide_resources,
    }
}

/// Ops that no registered dialect has are kept; those of dialects that no IRDL file defines either are found later.
fn keeps_unknown(config: &Config) -> bool {
    config.allow_unregistered || config.irdl_file.is_some()
}

fn parse_options(config: &Config) -> ParseOptions {
    ParseOptions {
        allow_unregistered: keeps_unknown(config),
        upstream: crate::upstream(),
        // The definitions check the parameters.
        expand_aliases: config.irdl_file.is_some(),
        ..ParseOptions::default()
    }
}

/// The dialects of `--irdl-file`; `None` without one, or when something is wrong with it, which is added to `found`.
fn irdl(ctx: &Context, config: &Config, found: &mut Vec<Diagnostic>) -> Result<Option<Definitions>, String> {
    let Some(path) = &config.irdl_file else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read `{path}`: {e}"))?;
    match Definitions::read(ctx, path, &text) {
        Ok(definitions) => Ok(Some(definitions)),
        Err(wrong) => {
            found.extend(wrong);
            Ok(None)
        }
    }
}

/// A module against the dialects of `--irdl-file`.
fn check_irdl(ctx: &Context, config: &Config, definitions: &Definitions, module: &Module) -> Vec<Diagnostic> {
    let mut found = definitions.check(ctx, module);
    if !config.allow_unregistered {
        found.extend(definitions.foreign(ctx, module));
    }
    found
}

/// The module of an input, what was found, and its text, which is empty for bytecode.
fn load(ctx: &Context, config: &Config, name: &str, input: Input) -> (Module, Vec<Diagnostic>, SourceId) {
    match input {
        Input::Text(text) => {
            let source = ctx.add_source(name, text);
            let folder = Path::new(&config.input).parent().filter(|p| !p.as_os_str().is_empty());
            let blob_dir = (config.input != "-").then(|| folder.unwrap_or(Path::new(".")).to_path_buf());
            let options = ParseOptions { blob_dir, ..parse_options(config) };
            let (module, found) = parse_module(ctx, source, &options);
            (module, found, source)
        }
        Input::Bytecode(blob) => {
            let source = ctx.add_source(name, "");
            let allow_unregistered = keeps_unknown(config);
            let options = nim_bytecode::ReadOptions { allow_unregistered, max_depth: nim_text::max_depth() };
            match nim_bytecode::read_module(ctx, name, &blob, &options) {
                Ok(module) => (module, vec![], source),
                Err(found) => (Module::new(), vec![found], source),
            }
        }
    }
}

/// One part: whether it was fine; if it was, the module is printed.
fn one(
    registry: &Registry,
    dialects: &[&'static DialectDef],
    config: &Config,
    name: &str,
    input: Input,
    out: &mut Output<'_>,
) -> Result<bool, String> {
    let ctx = Context::new(dialects);
    let mut pipeline = match read_pipeline(&ctx, registry, config, config.pipeline.as_deref()) {
        Some(pipeline) => pipeline,
        None => return Ok(false),
    };
    let bytecode = match &input {
        Input::Bytecode(blob) => Some(blob.clone()),
        Input::Text(_) => None,
    };
    let (mut module, mut found, source) = load(&ctx, config, name, input);
    let mut verify_each = config.verify_each;
    if config.run_reproducer {
        verify_each &= reproducer::verifies(&ctx);
        let Some(text) = reproducer::pipeline(&ctx) else {
            return Err(format!("`{name}` is no reproducer: it names no pipeline"));
        };
        match read_pipeline(&ctx, registry, config, Some(&text)) {
            Some(read) => pipeline = read,
            None => return Ok(false),
        }
    }
    let definitions = irdl(&ctx, config, &mut found)?;
    if let Some(definitions) = &definitions {
        found.extend(check_irdl(&ctx, config, definitions, &module));
    }
    if config.dump_pipeline {
        say(&format!("{pipeline}\n"));
    }
    let mut report = RunReport::default();
    if !found.iter().any(Diagnostic::is_error) {
        let bytecode = bytecode.as_ref();
        let mut run = Run { registry, dialects, config, ctx: &ctx, pipeline: &pipeline, source, bytecode, verify_each };
        report = run.transform(&mut module, &mut found)?;
        if let Some(definitions) = definitions.filter(|_| !pipeline.is_empty()) {
            found.extend(check_irdl(&ctx, config, &definitions, &module));
        }
    }
    if let Some(timing) = config.timing {
        let text = match timing {
            Timing::Text if config.timing_list => report.timing_list(),
            Timing::Text => report.timing_table(),
            Timing::Json => report.timing_json(),
            Timing::Chrome => report.timing_chrome(),
        };
        match &config.timing_file {
            Some(path) => crate::write(path, text.as_bytes())?,
            None => say(&text),
        }
    }
    if config.statistics {
        let list = config.statistics_list;
        say(&if list { report.statistics_list() } else { report.statistics_table() });
    }
    if let Some(which) = config.verify_diagnostics {
        if let Some(said) = &mut out.said {
            let text = &ctx.source(source).text;
            said.extend(found.iter().flat_map(|d| expect::sayings(&ctx, text, d)));
            return Ok(true);
        }
        let problems = expect::compare(&ctx, &ctx.source(source).text, &found, which == Verify::OnlyExpected);
        problems.iter().for_each(|p| say(&format!("{name}: {p}\n")));
        return Ok(problems.is_empty());
    }
    say(&render(&ctx, config, &found));
    if found.iter().any(Diagnostic::is_error) {
        return Ok(false);
    }
    if config.verify_roundtrip {
        round_trip(&ctx, &module)?;
    }
    if config.nameloc {
        named::from_locations(&ctx, &mut module.body);
    }
    out.print(&ctx, &module)?;
    if config.split.is_none() {
        // The program ends here; taking a large module apart would only take time.
        std::mem::forget((module, ctx));
    }
    Ok(true)
}

/// Reads back what is printed, in both forms and with locations.
fn round_trip(ctx: &Context, module: &Module) -> Result<(), String> {
    for generic in [false, true] {
        let form = if generic { "generic" } else { "pretty" };
        let options = PrintOptions { generic, debug_info: true, ..PrintOptions::default() };
        let printed = print_module(ctx, module, &options);
        let source = ctx.add_source(format!("<{form} form>"), printed.as_str());
        let (again, found) =
            parse_module(ctx, source, &ParseOptions { allow_unregistered: true, ..ParseOptions::default() });
        if let Some(error) = found.into_iter().find(Diagnostic::is_error) {
            let shown = render_all(ctx, &[error], &RenderOptions::default());
            return Err(format!("the {form} form that is printed is not read back\n{shown}"));
        }
        let once_more = print_module(ctx, &again, &options);
        if once_more != printed {
            let changes = crate::diff::diff(&printed, &once_more);
            return Err(format!("the {form} form changes when it is read back\n{changes}"));
        }
    }
    Ok(())
}

fn render(ctx: &Context, config: &Config, found: &[Diagnostic]) -> String {
    render_all(ctx, found, &RenderOptions { color: config.color })
}

/// A pipeline from its text; `None` when something is wrong with it, which is told.
fn read_pipeline(ctx: &Context, registry: &Registry, config: &Config, text: Option<&str>) -> Option<Pipeline> {
    match text.map_or(Ok(Pipeline::default()), |text| Pipeline::parse(ctx, registry, text)) {
        Ok(pipeline) => Some(pipeline),
        Err(found) => {
            say(&render(ctx, config, &found));
            None
        }
    }
}

/// `--bisect`: names the pass and the rule that change what the program computes.
fn bisect(
    registry: &Registry,
    dialects: &[&'static DialectDef],
    config: &Config,
    name: &str,
    input: &Input,
    oracle: &Oracle,
) -> Result<bool, String> {
    let pipeline = config.pipeline.as_deref().ok_or("`--bisect` needs passes to look at")?;
    let ctx = Context::new(dialects);
    if read_pipeline(&ctx, registry, config, Some(pipeline)).is_none() {
        return Ok(false);
    }
    let found = load(&ctx, config, name, input.clone()).1;
    if found.iter().any(Diagnostic::is_error) {
        say(&render(&ctx, config, &found));
        return Ok(false);
    }
    let load = |ctx: &Context| Ok(load(ctx, config, name, input.clone()).0);
    let context = || Context::new(dialects);
    let finding = Bisect { registry, context: &context, load: &load, pipeline, oracle }.run()?;
    let (text, good) = crate::bisect::tell(&finding);
    write(config, &text)?;
    Ok(good)
}

/// `--check-pipeline`: whether the passes fit together; the pipeline as it is understood is printed.
fn check_pipeline(registry: &Registry, dialects: &[&'static DialectDef], config: &Config) -> Result<bool, String> {
    let ctx = Context::new(dialects);
    let Some(pipeline) = read_pipeline(&ctx, registry, config, config.pipeline.as_deref()) else { return Ok(false) };
    let found = pipeline.check(&ctx, Some(registry));
    say(&render(&ctx, config, &found));
    if found.is_empty() {
        write(config, &format!("{pipeline}\n"))?;
    }
    Ok(found.is_empty())
}

/// One pipeline and what it is run on.
struct Run<'a> {
    registry: &'a Registry,
    dialects: &'a [&'static DialectDef],
    config: &'a Config,
    ctx: &'a Context,
    pipeline: &'a Pipeline,
    source: SourceId,
    /// What was read when it was no text.
    bytecode: Option<&'a Blob>,
    verify_each: bool,
}

impl Run<'_> {
    /// Runs the pipeline; what it says is added to `found`.
    fn transform(&mut self, module: &mut Module, found: &mut Vec<Diagnostic>) -> Result<RunReport, String> {
        let (config, ctx) = (self.config, self.ctx);
        if self.pipeline.is_empty() {
            if self.verify_each {
                found.extend(verify_module(ctx, module));
            }
            return Ok(RunReport::default());
        }
        if let Some(path) = &config.always_reproducer {
            self.reproduce_into(path)?;
        }
        let rules = config.rewrites.control();
        let options = RunOptions { verify_each: self.verify_each, threads: config.threads, rules: rules.clone() };
        let mut dump = dump::Printer::new(ctx, config, print_options(config));
        let result = self.pipeline.run(ctx, Some(self.registry), module, &options, &mut dump);
        dump.problem.map_or(Ok(()), Err)?;
        if let Some(rules) = rules {
            say(&config.rewrites.table(&rules));
        }
        match result {
            Ok(report) => {
                found.extend(report.diagnostics().cloned());
                Ok(report)
            }
            Err(error) => {
                found.extend(error.report.diagnostics().cloned());
                // What failed is told in any case.
                if error.step.is_some()
                    && let Err(problem) = self.reproduce()
                {
                    say(&format!("warning: {problem}\n"));
                }
                found.extend(error.diagnostics);
                Ok(error.report)
            }
        }
    }

    /// Writes a reproducer where one was asked for, else to the folder of temporary files; not where failures are what is wanted.
    fn reproduce(&self) -> Result<(), String> {
        let path = match self.config.reproducer.as_deref() {
            Some("none") => return Ok(()),
            Some(path) => path.into(),
            None if self.config.verify_diagnostics.is_none() => reproducer::default_path(),
            None => return Ok(()),
        };
        self.reproduce_into(&path)
    }

    fn reproduce_into(&self, path: &Path) -> Result<(), String> {
        let load = |ctx: &Context| {
            let input = match self.bytecode {
                Some(blob) => Input::Bytecode(blob.clone()),
                None => Input::Text(self.ctx.source(self.source).text.clone()),
            };
            load(ctx, self.config, &self.ctx.source(self.source).name, input).0
        };
        let pipeline = self.pipeline.to_string();
        reproducer::write(self.dialects, self.verify_each, &load, &pipeline, path)?;
        say(&format!("note: `nim-opt --run-reproducer {}` does it again\n", path.display()));
        Ok(())
    }
}

fn explain(config: &Config, code: &str) -> Result<bool, String> {
    match explain::explain(code) {
        Some(text) => write(config, &format!("{text}\n")).map(|()| true),
        None => Err(format!("no diagnostic has the code `{code}`")),
    }
}

fn list_passes(registry: &Registry) -> String {
    let mut out = String::new();
    for pass in registry.passes().chain(registry.optional_passes()) {
        let _ = writeln!(out, "{}\n    {}", pass.name, pass.description);
        for option in &pass.options {
            let _ = writeln!(out, "    {}={}  {}", option.name, option.value, option.description);
        }
        for (word, list) in [("needs", pass.needs), ("gives", pass.gives)] {
            if !list.is_empty() {
                let _ = writeln!(out, "    {word} {}", list.join(", "));
            }
        }
    }
    for (name, description, text) in registry.pipelines() {
        let _ = writeln!(out, "{name}\n    {description}\n    {text}");
    }
    out
}

fn list_dialects(dialects: &[&'static DialectDef]) -> String {
    let mut out = String::new();
    for dialect in dialects {
        let _ = writeln!(out, "{}: {}", dialect.name, dialect.description);
        for op in dialect.ops {
            let _ = writeln!(out, "    {}  {}", op.name, op.summary);
        }
    }
    out
}
