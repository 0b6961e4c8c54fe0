//! What a pass is.

use crate::{PassReport, Rule, RuleInfo, RuleSet, Rules};
use nim_ir::{AttrList, Body, Context, Diagnostic, Loc, Module};

/// An option of a pass, with the value it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PassOption {
    /// Name.
    pub name: &'static str,
    /// What it means.
    pub description: &'static str,
    /// Value, as the pipeline's text writes it.
    pub value: String,
}

impl PassOption {
    /// An option with anything that can be shown as its value.
    pub fn new(name: &'static str, description: &'static str, value: impl ToString) -> PassOption {
        PassOption { name, description, value: value.to_string() }
    }
}

/// What a pass sees of its surroundings.
#[derive(Copy, Clone)]
pub struct PassContext<'a> {
    /// Types, attributes, names, dialects.
    pub ctx: &'a Context,
    /// The pass's name.
    pub pass: &'a str,
    /// Threads that may be used.
    pub threads: usize,
    /// What is asked before a named rule is applied.
    pub rules: Rules<'a>,
}

impl PassContext<'_> {
    /// The location of what the pass makes from something else.
    pub fn derived(&self, from: Loc) -> Loc {
        self.ctx.derived_loc(self.pass, from)
    }
}

/// The op that owns the body which a body pass works on.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its full name: `func.func`; `builtin.module` for the module itself.
    pub op: String,
    /// Its attributes.
    pub attrs: AttrList,
    /// Its place.
    pub loc: Loc,
}

/// Rounds of [`greedy`]: rules that end at all end long before.
const MAX_ROUNDS: usize = 32;

/// What a pass does that is rules only: applies them to a body until none fits, counts, and names those that do not come to
/// rest.
///
/// # Errors
/// None; passes answer so.
pub fn greedy(
    pass: &PassContext<'_>,
    owner: &Owner,
    rules: &[Rule],
    body: &mut Body,
) -> Result<PassReport, Vec<Diagnostic>> {
    let mut report = PassReport::new();
    let mut fired = |rule| report.count(rule, 1);
    let settled = RuleSet::new(pass.rules, rules).greedy(pass.ctx, body, MAX_ROUNDS, &mut fired);
    report.diagnostics.extend(settled.err().map(|restless| restless.diagnostic(owner.loc)));
    Ok(report)
}

/// A pass over a module.
pub trait Pass: Send + Sync {
    /// `<dialect>-<verb>` or `<from>-to-<to>`.
    fn name(&self) -> &'static str;
    /// One sentence.
    fn description(&self) -> &'static str;
    /// Options with the values that they have: of a default pass, the defaults.
    fn options(&self) -> Vec<PassOption> {
        vec![]
    }
    /// What must hold before, in the words of [`crate::holds`]: `no_dialect(graph)`, `no_op(graph.lstm)`, or free words that
    /// some other pass gives.
    fn needs(&self) -> &'static [&'static str] {
        &[]
    }
    /// What holds afterwards.
    fn gives(&self) -> &'static [&'static str] {
        &[]
    }
    /// What it works on: names of ops, and of dialects (`graph`) for all of their ops. Where none is in the module the pass has
    /// run on nothing, which its user is told. Empty: whatever it promises in [`Pass::gives`] to remove, else any op.
    fn works_on(&self) -> &'static [&'static str] {
        &[]
    }
    /// Its rewrite rules by name.
    fn rules(&self) -> Vec<RuleInfo> {
        vec![]
    }
    /// Runs.
    ///
    /// # Errors
    /// What made it fail; at least one of them is an error. The module may be half changed.
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>>;
}

/// A pass over one body at a time. Bodies nested in the body are not there while it runs; it must not depend on others.
pub trait BodyPass: Send + Sync {
    /// See [`Pass::name`].
    fn name(&self) -> &'static str;
    /// See [`Pass::description`].
    fn description(&self) -> &'static str;
    /// See [`Pass::options`].
    fn options(&self) -> Vec<PassOption> {
        vec![]
    }
    /// See [`Pass::needs`].
    fn needs(&self) -> &'static [&'static str] {
        &[]
    }
    /// See [`Pass::gives`].
    fn gives(&self) -> &'static [&'static str] {
        &[]
    }
    /// See [`Pass::works_on`].
    fn works_on(&self) -> &'static [&'static str] {
        &[]
    }
    /// See [`Pass::rules`].
    fn rules(&self) -> Vec<RuleInfo> {
        vec![]
    }
    /// Names of the ops whose bodies it works on; empty for all, the module's own included.
    fn anchors(&self) -> &'static [&'static str] {
        &[]
    }
    /// Runs on a body.
    ///
    /// # Errors
    /// What made it fail.
    fn run(&self, pass: &PassContext<'_>, owner: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>>;
}

/// A pass of either kind.
pub enum AnyPass {
    /// Over a module.
    Module(Box<dyn Pass>),
    /// Over bodies.
    Body(Box<dyn BodyPass>),
}

macro_rules! forward {
    ($($(#[$m:meta])* $name:ident -> $ty:ty;)*) => {
        impl AnyPass {
            $( $(#[$m])* pub fn $name(&self) -> $ty {
                match self {
                    AnyPass::Module(pass) => pass.$name(),
                    AnyPass::Body(pass) => pass.$name(),
                }
            } )*
        }
    };
}
forward! {
    /// See [`Pass::name`].
    name -> &'static str;
    /// See [`Pass::description`].
    description -> &'static str;
    /// See [`Pass::options`].
    options -> Vec<PassOption>;
    /// See [`Pass::needs`].
    needs -> &'static [&'static str];
    /// See [`Pass::gives`].
    gives -> &'static [&'static str];
    /// See [`Pass::works_on`].
    works_on -> &'static [&'static str];
    /// See [`Pass::rules`].
    rules -> Vec<RuleInfo>;
}
