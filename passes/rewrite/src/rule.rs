//! Rewrite rules as typed functions, one after the other on each op. Most are written by `rules!`; a longer one is
//!
//! ```text
//! fn double_not(site: &mut Site<'_>) -> Result<(), Miss> {
//!     let inner = site.operand_op(0, "t.not").ok_or(Miss("the operand is not made by `t.not`"))?;
//!     site.fire()?;                                     // the last check; changes come behind it
//!     site.replace(site.body.operand(inner, 0));
//!     Ok(())
//! }
//! ```

use crate::{RuleInfo, Rules};
use nim_ir::{Body, Builder, Context, Loc, LocData, OpId, OpName, ValueId};
use std::collections::HashMap;

/// Why a rule is not applied: one clause, without a full stop.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Miss(pub &'static str);

/// The rule was not let through.
const HELD: Miss = Miss("held back");

/// A rule and how it is applied.
#[derive(Copy, Clone)]
pub struct Rule {
    /// Its name and what it does.
    pub info: RuleInfo,
    /// Names of the ops that it looks at; `arith.*` for all of a dialect.
    pub roots: &'static [&'static str],
    /// Applies it.
    pub apply: fn(&mut Site<'_>) -> Result<(), Miss>,
}

impl Rule {
    /// A rule.
    pub const fn new(
        name: &'static str,
        description: &'static str,
        roots: &'static [&'static str],
        apply: fn(&mut Site<'_>) -> Result<(), Miss>,
    ) -> Rule {
        Rule { info: RuleInfo { name, description }, roots, apply }
    }
    fn looks_at(&self, op: &str) -> bool {
        self.roots.iter().any(|root| match root.strip_suffix('*') {
            Some(dialect) => op.starts_with(dialect),
            None => op == *root,
        })
    }
}

/// An op that a rule looks at.
pub struct Site<'a> {
    /// Types, attributes, names.
    pub ctx: &'a Context,
    /// The body that the op is in.
    pub body: &'a mut Body,
    /// The op.
    pub op: OpId,
    rules: Rules<'a>,
    rule: &'static str,
    fired: bool,
}

impl Site<'_> {
    /// Asks whether the rule may be applied. What comes behind this call may change the body, what comes before may not.
    ///
    /// # Errors
    /// It may not.
    pub fn fire(&mut self) -> Result<(), Miss> {
        self.fired = self.rules.may(self.rule, self.ctx, self.body, self.op);
        if self.fired { Ok(()) } else { Err(HELD) }
    }
    /// The op's full name.
    pub fn name(&self) -> &str {
        self.ctx.op_str(self.body.op_name(self.op))
    }
    /// The op of this name that makes an operand.
    pub fn operand_op(&self, operand: usize, name: &str) -> Option<OpId> {
        let value = self.body.operands_iter(self.op).nth(operand)?;
        self.body.defining_op(value).filter(|&op| self.body.is(self.ctx, op, name))
    }
    /// The location of what the rule makes of the op.
    pub fn loc(&self) -> Loc {
        derived(self.ctx, self.rules.pass(), self.rule, self.body.loc(self.op))
    }
    /// A builder before the op, whose ops say that they come from it by this rule.
    pub fn builder(&mut self) -> Builder<'_> {
        let loc = self.loc();
        let mut builder = Builder::before(self.ctx, self.body, self.op);
        builder.loc = loc;
        builder
    }
    /// Puts a value in place of the op's only result, and erases the op.
    pub fn replace(&mut self, value: ValueId) {
        let old = self.body.result(self.op);
        self.body.replace_all_uses(old, value);
        self.body.erase(self.op);
    }
}

fn derived(ctx: &Context, pass: &str, rule: &str, from: Loc) -> Loc {
    // Chains within one pass say nothing new.
    if let LocData::Derived { pass: before, .. } = ctx.loc_data(from)
        && ctx.str(*before) == pass
    {
        return from;
    }
    ctx.loc(LocData::Derived { pass: ctx.name(pass), pattern: Some(ctx.name(rule)), from })
}

/// The rules that a run of a pass applies, looked up by the names of ops.
pub struct RuleSet<'a> {
    rules: Rules<'a>,
    all: Vec<&'a Rule>,
    by_op: HashMap<OpName, Vec<&'a Rule>>,
    /// Why rules were not applied, as far as somebody was told: the next round finds the same.
    told: HashMap<(OpId, &'static str), Miss>,
}

impl<'a> RuleSet<'a> {
    /// Those of some rules that are not left out.
    pub fn new(rules: Rules<'a>, all: impl IntoIterator<Item = &'a Rule>) -> RuleSet<'a> {
        let all = all.into_iter().filter(|rule| rules.enabled(rule.info.name)).collect();
        RuleSet { rules, all, by_op: HashMap::new(), told: HashMap::new() }
    }
    /// Applies the first rule that fits the op; answers which one.
    pub fn apply(&mut self, ctx: &Context, body: &mut Body, op: OpId) -> Option<&'static str> {
        let name = body.op_name(op);
        let all = &self.all;
        let fitting = self.by_op.entry(name).or_insert_with(|| {
            let text = ctx.op_str(name);
            all.iter().copied().filter(|rule| rule.looks_at(text)).collect()
        });
        for rule in fitting {
            let mut site = Site { ctx, body, op, rules: self.rules, rule: rule.info.name, fired: false };
            match (rule.apply)(&mut site) {
                Ok(()) => {
                    debug_assert!(site.fired, "`{}` changes the body without asking", rule.info.name);
                    return Some(rule.info.name);
                }
                Err(_) if site.fired => debug_assert!(false, "`{}` gives up after it asked", rule.info.name),
                // Who wants to know was told when the rule asked.
                Err(why) if why == HELD => {}
                Err(why) => {
                    let name = rule.info.name;
                    if self.rules.wants_reasons(name) && self.told.insert((op, name), why) != Some(why) {
                        self.rules.missed(name, ctx, body, op, why.0);
                    }
                }
            }
        }
        None
    }
}
