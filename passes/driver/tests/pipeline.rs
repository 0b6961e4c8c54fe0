//! Pipelines are read, printed, checked and run.

use nim_ir::{Body, Builder, Context, Diagnostic, Module, OpState};
use nim_pass::{
    BodyPass, Hooks, OptionError, Options, Owner, Pass, PassContext, PassOption, PassReport, Pipeline, Registry,
    RunOptions,
};

/// Marks each op of a body with the size that the option says.
struct Mark {
    size: i64,
}
impl BodyPass for Mark {
    fn name(&self) -> &'static str {
        "mark"
    }
    fn description(&self) -> &'static str {
        "Marks ops"
    }
    fn options(&self) -> Vec<PassOption> {
        vec![PassOption::new("size", "what they are marked with", self.size)]
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn gives(&self) -> &'static [&'static str] {
        &["marked"]
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        for op in body.walk() {
            body.set_attr(pass.ctx, op, "test.mark", pass.ctx.i64_attr(self.size));
            report.count("marked", 1);
        }
        Ok(report)
    }
}

/// Needs marks.
struct Check;
impl Pass for Check {
    fn name(&self) -> &'static str {
        "check"
    }
    fn description(&self) -> &'static str {
        "Needs marks"
    }
    fn needs(&self) -> &'static [&'static str] {
        &["marked"]
    }
    fn run(&self, _: &PassContext<'_>, _: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        Ok(PassReport::new())
    }
}

/// Panics.
struct Broken;
impl Pass for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }
    fn description(&self) -> &'static str {
        "Panics"
    }
    fn run(&self, _: &PassContext<'_>, _: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        panic!("on purpose")
    }
}

/// Promises what it does not do.
struct Idle;
impl Pass for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }
    fn description(&self) -> &'static str {
        "Promises to remove arith"
    }
    fn gives(&self) -> &'static [&'static str] {
        &["no_dialect(arith)"]
    }
    fn run(&self, _: &PassContext<'_>, _: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        Ok(PassReport::new())
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.body_pass(|o: &mut Options| -> Result<Mark, OptionError> { Ok(Mark { size: o.int("size", 1)? }) });
    registry.module_pass(|_| Ok(Check));
    registry.module_pass(|_| Ok(Broken));
    registry.module_pass(|_| Ok(Idle));
    registry.pipeline("both", "Marks, then checks", "mark{size=2},check");
    registry
}

fn parse(text: &str) -> Result<String, Vec<&'static str>> {
    let ctx = Context::new(nim_builtin::DIALECTS);
    match Pipeline::parse(&ctx, &registry(), text) {
        Ok(pipeline) => Ok(pipeline.to_string()),
        Err(found) => Err(found.iter().map(|d| d.code).collect()),
    }
}

#[test]
fn texts_are_read_and_printed() {
    for (text, printed) in [
        ("mark", "builtin.module(mark{size=1})"),
        (
            " builtin.module( func.func( mark{ size = 3 } , mark ) , check ) ",
            "builtin.module(func.func(mark{size=3},mark{size=1}),check)",
        ),
        ("both", "builtin.module(mark{size=2},check)"),
        ("", "builtin.module()"),
        ("builtin.module()", "builtin.module()"),
    ] {
        assert_eq!(parse(text).as_deref(), Ok(printed), "{text}");
        assert_eq!(parse(printed).as_deref(), Ok(printed), "{text}");
    }
}

#[test]
fn mistakes_are_all_found() {
    for (text, codes) in [
        ("marc", vec!["N0802"]),
        ("marc,chek", vec!["N0802", "N0802"]),
        ("mark{size=x}", vec!["N0806"]),
        ("mark{sise=1}", vec!["N0806"]),
        ("mark{size=1", vec!["N0800"]),
        ("func.func(mark", vec!["N0800"]),
        ("func.func(check)", vec!["N0801"]),
        ("loops.kernel(mark)", vec!["N0801"]),
        ("mark,,check", vec!["N0800"]),
        ("mark(x)", vec!["N0801"]),
    ] {
        assert_eq!(parse(text), Err(codes), "{text}");
    }
}

fn module(ctx: &Context, functions: usize) -> Module {
    let mut module = Module::new();
    let block = module.body.entry().unwrap();
    for i in 0..functions {
        let mut body = Body::new();
        let region = body.add_root_region();
        let entry = body.add_block(region, &[], &[]);
        Builder::at_end(ctx, &mut body, entry).op("func.return", &[], &[], &[]);
        let mut builder = Builder::at_end(ctx, &mut module.body, block);
        let state = OpState::new(ctx, "func.func", builder.loc)
            .attr(ctx, "sym_name", ctx.string_attr(&format!("f{i}")))
            .attr(ctx, "function_type", ctx.type_attr(ctx.function_type(&[], &[])))
            .nested(body);
        builder.insert(state);
    }
    module
}

#[test]
fn bodies_are_worked_on_by_several_threads() {
    let ctx = Context::new(nim_builtin::DIALECTS);
    let (registry, mut module) = (registry(), module(&ctx, 20));
    let pipeline = Pipeline::parse(&ctx, &registry, "both").unwrap();
    let options = RunOptions { threads: 4, ..RunOptions::default() };
    let report = pipeline.run(&ctx, Some(&registry), &mut module, &options, &mut ()).unwrap();
    assert_eq!(report.steps[0].bodies, Some(20));
    assert_eq!(report.steps[0].report.statistics["marked"], 20);
    assert_eq!(module.ops().count(), 20);
    assert!(module.ops().all(|op| module.body.nested(op).unwrap().entry().is_some()));
}

#[test]
fn contracts_are_checked_first() {
    let ctx = Context::new(nim_builtin::DIALECTS);
    let (registry, mut module) = (registry(), module(&ctx, 1));
    let pipeline = Pipeline::parse(&ctx, &registry, "check,mark").unwrap();
    let error = pipeline.run(&ctx, Some(&registry), &mut module, &RunOptions::default(), &mut ()).unwrap_err();
    assert_eq!(error.diagnostics[0].code, "N0803");
    assert_eq!(error.diagnostics[0].help.as_deref(), Some("put `mark` before it"));
    // Nobody knows what the module's maker did.
    let pipeline = Pipeline::parse(&ctx, &registry, "check").unwrap();
    assert!(pipeline.run(&ctx, Some(&registry), &mut module, &RunOptions::default(), &mut ()).is_ok());
}

#[test]
fn a_pass_on_nothing_says_so() {
    let ctx = Context::new(nim_builtin::DIALECTS);
    let (registry, mut module) = (registry(), module(&ctx, 0));
    let pipeline = Pipeline::parse(&ctx, &registry, "func.func(mark)").unwrap();
    let report = pipeline.run(&ctx, Some(&registry), &mut module, &RunOptions::default(), &mut ()).unwrap();
    assert_eq!(report.diagnostics().map(|d| d.code).collect::<Vec<_>>(), ["N0805"]);
}

#[derive(Default)]
struct Log(Vec<String>);
impl Hooks for Log {
    fn after(&mut self, step: &str, _: &Module) {
        self.0.push(step.into());
    }
    fn failed(&mut self, step: &str, _: &Module) {
        self.0.push(format!("failed {step}"));
    }
}

#[test]
fn a_fault_of_a_pass_is_a_diagnostic() {
    let ctx = Context::new(nim_builtin::DIALECTS);
    let (registry, mut module, mut log) = (registry(), module(&ctx, 1), Log::default());
    let pipeline = Pipeline::parse(&ctx, &registry, "mark,broken").unwrap();
    let error = pipeline.run(&ctx, Some(&registry), &mut module, &RunOptions::default(), &mut log).unwrap_err();
    assert_eq!(error.step.as_deref(), Some("broken"));
    assert_eq!(error.diagnostics[0].code, "N0804");
    assert_eq!(log.0, ["mark{size=1}", "failed broken"]);
}

#[test]
fn a_fault_is_not_the_programs() {
    let ctx = Context::new(nim_builtin::DIALECTS);
    let (registry, mut module) = (registry(), module(&ctx, 1));
    let mut fault = |text: &str| {
        let pipeline = Pipeline::parse(&ctx, &registry, text).unwrap();
        pipeline.run(&ctx, Some(&registry), &mut module, &RunOptions::default(), &mut ()).unwrap_err().fault
    };
    assert!(fault("broken"));
    assert!(!fault("check,mark"));
}

#[test]
fn what_a_pass_promised_and_left_is_told() {
    let ctx = Context::new(nim_builtin::DIALECTS);
    let (registry, mut module) = (registry(), module(&ctx, 1));
    let op = module.ops().next().unwrap();
    let function = module.body.nested_mut(op).unwrap();
    let ret = function.first_op(function.entry().unwrap()).unwrap();
    for value in 0..2 {
        let ty = ctx.int_type(32);
        let attr = ctx.int_attr(value, ty);
        Builder::before(&ctx, function, ret).value("arith.constant", &[], ty, &[("value", attr)]);
    }
    let pipeline = Pipeline::parse(&ctx, &registry, "idle").unwrap();
    let report = pipeline.run(&ctx, Some(&registry), &mut module, &RunOptions::default(), &mut ()).unwrap();
    let [told] = report.diagnostics().collect::<Vec<_>>()[..] else { panic!("one warning") };
    assert_eq!((told.code, told.notes.as_slice()), ("N0807", ["arith.constant: 2".to_string()].as_slice()));
}

#[test]
fn contracts_are_checked_without_a_module() {
    let ctx = Context::new(nim_builtin::DIALECTS);
    let registry = registry();
    let codes = |text: &str| {
        let pipeline = Pipeline::parse(&ctx, &registry, text).unwrap();
        pipeline.check(&ctx, Some(&registry)).iter().map(|d| d.code).collect::<Vec<_>>()
    };
    assert_eq!(codes("check,mark"), ["N0803"]);
    assert!(codes("mark,check").is_empty() && codes("check").is_empty());
}
