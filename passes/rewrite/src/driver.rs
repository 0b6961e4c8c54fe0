//! Who applies rules: all over a body until none fits, or once to each op.

use crate::RuleSet;
use nim_ir::{Body, Context, Diagnostic, Loc};
use std::collections::BTreeMap;

/// Rules that had not come to rest when the driver gave up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restless {
    /// Rounds that there were.
    pub rounds: usize,
    /// How often each rule fired in the last of them.
    pub rules: BTreeMap<&'static str, u64>,
}

impl Restless {
    /// The warning that names the rules.
    pub fn diagnostic(&self, loc: Loc) -> Diagnostic {
        let rounds = self.rounds;
        let names: Vec<String> = self.rules.keys().map(|name| format!("`{name}`")).collect();
        let who = match names.split_last() {
            Some((last, [])) => format!("the rule {last} does"),
            Some((last, rest)) => format!("the rules {} and {last} do", rest.join(", ")),
            None => "what follows the rules does".into(),
        };
        let message = format!("no canonical form after {rounds} rounds: {who} not come to rest");
        let told = self.rules.iter().map(|(name, count)| format!("`{name}` fired {count} times in the last round"));
        let found = told.fold(Diagnostic::warning("N0820", loc, message), Diagnostic::note);
        match self.rules.keys().next() {
            Some(first) if self.rules.len() > 1 => found.help(format!("`--disable-rewrite={first}` breaks the circle")),
            _ => found,
        }
    }
}

impl RuleSet<'_> {
    /// Applies the rules to all ops of a body, again and again, until none fits any more. `fired` hears of each application.
    ///
    /// # Errors
    /// The rules that fired in the last of `max_rounds` rounds.
    pub fn greedy(
        &mut self,
        ctx: &Context,
        body: &mut Body,
        max_rounds: usize,
        fired: &mut dyn FnMut(&'static str),
    ) -> Result<(), Restless> {
        self.greedy_with(ctx, body, max_rounds, fired, &mut |_| BTreeMap::new())
    }

    /// As [`RuleSet::greedy`], with work between the rounds that answers what it did, by the names of rules of its own.
    ///
    /// # Errors
    /// As there.
    pub fn greedy_with(
        &mut self,
        ctx: &Context,
        body: &mut Body,
        max_rounds: usize,
        fired: &mut dyn FnMut(&'static str),
        between: &mut dyn FnMut(&mut Body) -> BTreeMap<&'static str, u64>,
    ) -> Result<(), Restless> {
        let mut last = BTreeMap::new();
        for _ in 0..max_rounds {
            last = self.once(ctx, body, fired);
            for (rule, count) in between(body) {
                if count > 0 {
                    (0..count).for_each(|_| fired(rule));
                    *last.entry(rule).or_default() += count;
                }
            }
            if last.is_empty() {
                return Ok(());
            }
        }
        Err(Restless { rounds: max_rounds, rules: last })
    }

    /// Applies one rule at most to each op that is there now; ops that rules make are not looked at. That is what a conversion
    /// wants. Answers how often each rule was applied.
    pub fn once(
        &mut self,
        ctx: &Context,
        body: &mut Body,
        fired: &mut dyn FnMut(&'static str),
    ) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for op in body.walk() {
            if body.is_erased(op) || body.block(op).is_none() {
                continue;
            }
            if let Some(rule) = self.apply(ctx, body, op) {
                fired(rule);
                *counts.entry(rule).or_default() += 1;
            }
        }
        counts
    }
}
