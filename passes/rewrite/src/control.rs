//! Named rewrite rules, and how a run is told to watch, leave out or count them.
//!
//! A pass asks [`Rules::may`] each time it is about to apply a rule, after its last check and before its first change. Without a
//! [`RuleControl`] the answer is yes at once. With one, rules can be left out by name, be held back by a counter (which of the many
//! times is the one that breaks the program?), and everything that happens is told to whoever listens.

use nim_ir::{Body, Context, Loc, OpId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

/// A rule's name and one sentence on what it does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct RuleInfo {
    /// Unique among all rules.
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
}

/// What became of a rule at an op.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was applied.
    Fired,
    /// It looked at the op and let it be, for this reason.
    Missed(&'static str),
    /// It would have been applied, but a counter or the limit said no.
    Held,
}

/// One look of a rule at an op.
#[derive(Clone)]
pub struct RuleEvent<'a> {
    /// For the texts of handles.
    pub ctx: &'a Context,
    /// The pass.
    pub pass: &'a str,
    /// The rule.
    pub rule: &'static str,
    /// Name of the op.
    pub op: &'a str,
    /// Where the op comes from.
    pub loc: Loc,
    /// What became of it.
    pub outcome: Outcome,
}

/// Which applications of a rule are let through: after the first `skip`, so many as `count`.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Window {
    /// Applications that are held back first.
    pub skip: u64,
    /// Applications that are let through then; `None` for all.
    pub count: Option<u64>,
}

/// Who is told what rules do.
type Listener = Box<dyn Fn(&RuleEvent<'_>) + Send + Sync>;

/// What a run wants of rules.
#[derive(Default)]
pub struct RuleSettings {
    /// Rules that are left out.
    pub disabled: BTreeSet<String>,
    /// Rules whose reasons for not being applied are told; their number may be very large, so they are asked for by name.
    pub reasons: BTreeSet<String>,
    /// Applications that are let through, by rule.
    pub windows: BTreeMap<String, Window>,
    /// Applications of any rule that are let through.
    pub limit: Option<u64>,
    /// Told of everything.
    pub listener: Option<Listener>,
}

impl std::fmt::Debug for RuleSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut f = f.debug_struct("RuleSettings");
        f.field("disabled", &self.disabled).field("reasons", &self.reasons).field("windows", &self.windows);
        f.field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// What a run wants of rules, and what it has seen of them. A run with one works with one thread, so that counters count in
/// the order of the text.
#[derive(Default, Debug)]
pub struct RuleControl {
    settings: RuleSettings,
    seen: Mutex<Seen>,
}

/// How often rules were about to be applied.
#[derive(Default, Debug)]
struct Seen {
    by_rule: BTreeMap<&'static str, u64>,
    all: u64,
}

impl RuleControl {
    /// Control by these settings; nothing is seen yet.
    pub fn new(settings: RuleSettings) -> RuleControl {
        RuleControl { settings, seen: Mutex::default() }
    }
    /// What was asked for.
    pub fn settings(&self) -> &RuleSettings {
        &self.settings
    }
    /// How often each rule was about to be applied so far; those that were held back count.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).by_rule.clone()
    }
    /// How often any rule was about to be applied so far.
    pub fn total(&self) -> u64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).all
    }
    /// Counts one application; tells whether it is let through.
    fn pass(&self, rule: &'static str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.by_rule.entry(rule).or_default();
        let Window { skip, count } = self.settings.windows.get(rule).copied().unwrap_or_default();
        let inside = *before >= skip && count.is_none_or(|count| *before - skip < count);
        *before += 1;
        let within = self.settings.limit.is_none_or(|limit| seen.all < limit);
        seen.all += u64::from(inside);
        inside && within
    }
}

/// What a pass asks about its rules. By default every rule may be applied and nobody listens.
#[derive(Copy, Clone, Default)]
pub struct Rules<'a> {
    pass: &'a str,
    control: Option<&'a RuleControl>,
}

impl<'a> Rules<'a> {
    /// The rules of a pass under some control.
    pub fn new(pass: &'a str, control: Option<&'a RuleControl>) -> Rules<'a> {
        Rules { pass, control }
    }
    /// The pass.
    pub fn pass(&self) -> &'a str {
        self.pass
    }
    /// False when a rule is left out; such a rule need not be tried.
    pub fn enabled(&self, rule: &str) -> bool {
        self.control.is_none_or(|c| !c.settings.disabled.contains(rule))
    }
    /// True when somebody wants to know why this rule is not applied.
    pub fn wants_reasons(&self, rule: &str) -> bool {
        self.control.is_some_and(|c| c.settings.listener.is_some() && c.settings.reasons.contains(rule))
    }
    /// Whether a rule may be applied to an op now. To be asked once for each application, just before the first change.
    #[must_use]
    pub fn may(&self, rule: &'static str, ctx: &Context, body: &Body, op: OpId) -> bool {
        let Some(control) = self.control else { return true };
        if control.settings.disabled.contains(rule) {
            return false;
        }
        let let_through = control.pass(rule);
        self.tell(rule, ctx, body, op, if let_through { Outcome::Fired } else { Outcome::Held });
        let_through
    }
    /// Says why a rule was not applied to an op that it looked at.
    pub fn missed(&self, rule: &'static str, ctx: &Context, body: &Body, op: OpId, why: &'static str) {
        if self.wants_reasons(rule) {
            self.tell(rule, ctx, body, op, Outcome::Missed(why));
        }
    }
    fn tell(&self, rule: &'static str, ctx: &Context, body: &Body, op: OpId, outcome: Outcome) {
        if let Some(listener) = self.control.and_then(|c| c.settings.listener.as_ref()) {
            let (op, loc) = (ctx.op_str(body.op_name(op)), body.loc(op));
            listener(&RuleEvent { ctx, pass: self.pass, rule, op, loc, outcome });
        }
    }
}
