//! What the command line says about rewrite rules: which are watched, left out, or counted.
//!
//! Counters have upstream's names: `RULE-skip=N` holds a rule back N times, `RULE-count=N` lets it fire N times then.

use nim_ir::diagnostics::did_you_mean;
use nim_pass::{Outcome, Registry, RuleControl, RuleSettings, Window};
use std::{collections::BTreeMap, fmt::Write, sync::Arc};

/// The options about rules as they were given.
#[derive(Clone, Default, Debug)]
pub struct Rewrites {
    /// `--trace-rewrites`: `None` when it is not there, no name for all rules.
    pub traced: Option<Vec<String>>,
    /// `--disable-rewrite`
    pub disabled: Vec<String>,
    /// `--debug-counter`
    pub counters: Vec<String>,
    /// `--print-debug-counter`
    pub print_counters: bool,
}

impl Rewrites {
    /// Checks names and numbers.
    ///
    /// # Errors
    /// A rule that no pass has, or a counter that makes no sense.
    pub fn check(&self, registry: &Registry) -> Result<(), String> {
        let windows = self.windows()?;
        let named = self.traced.iter().flatten().chain(&self.disabled).chain(windows.keys());
        for name in named {
            if !registry.rules().any(|(_, rule)| rule.name == name) {
                let near = did_you_mean(name, registry.rules().map(|(_, rule)| rule.name));
                let hint = near.map_or("; `--list-rewrites` lists them".into(), |n| format!("; did you mean `{n}`?"));
                return Err(format!("there is no rewrite rule `{name}`{hint}"));
            }
        }
        Ok(())
    }

    fn windows(&self) -> Result<BTreeMap<String, Window>, String> {
        let mut windows: BTreeMap<String, Window> = BTreeMap::new();
        for text in &self.counters {
            let wrong = || format!("`{text}` is no debug counter; write `RULE-skip=N` or `RULE-count=N`");
            let (name, number) = text.split_once('=').ok_or_else(wrong)?;
            let number: u64 = number.trim().parse().map_err(|_| wrong())?;
            let name = name.trim();
            if let Some(rule) = name.strip_suffix("-skip") {
                windows.entry(rule.into()).or_default().skip = number;
            } else if let Some(rule) = name.strip_suffix("-count") {
                windows.entry(rule.into()).or_default().count = Some(number);
            } else {
                return Err(wrong());
            }
        }
        Ok(windows)
    }

    /// What a run is told; `None` when nothing is wanted.
    pub fn control(&self) -> Option<Arc<RuleControl>> {
        let wanted =
            self.traced.is_some() || self.print_counters || !self.disabled.is_empty() || !self.counters.is_empty();
        if !wanted {
            return None;
        }
        let mut settings = RuleSettings {
            disabled: self.disabled.iter().cloned().collect(),
            reasons: self.traced.iter().flatten().cloned().collect(),
            // They were checked when the command line was read.
            windows: self.windows().unwrap_or_default(),
            ..RuleSettings::default()
        };
        if let Some(names) = self.traced.clone() {
            settings.listener = Some(Box::new(move |event| {
                if !names.is_empty() && !names.iter().any(|n| n == event.rule) {
                    return;
                }
                let what = match event.outcome {
                    Outcome::Fired => "fired".to_string(),
                    Outcome::Missed(why) => format!("did not fire: {why}"),
                    Outcome::Held => "was held back by a counter".to_string(),
                };
                let place = nim_text::place_of(event.ctx, event.loc);
                crate::say(&format!("{place}: {}: `{}` on `{}` {what}\n", event.pass, event.rule, event.op));
            }));
        }
        Some(Arc::new(RuleControl::new(settings)))
    }

    /// What `--print-debug-counter` prints.
    pub fn table(&self, control: &RuleControl) -> String {
        let mut out = String::new();
        if self.print_counters {
            for (rule, count) in control.counts() {
                let Window { skip, count: most } = control.settings().windows.get(rule).copied().unwrap_or_default();
                let most = most.map_or("-1".into(), |n| n.to_string());
                let _ = writeln!(out, "{rule}: {{{count},{skip},{most}}}");
            }
        }
        out
    }
}

/// All rules with the passes that have them.
pub fn list(registry: &Registry) -> String {
    let mut out = String::new();
    let mut last = "";
    for (pass, rule) in registry.rules() {
        if pass.name != last {
            let _ = writeln!(out, "{}", pass.name);
            last = pass.name;
        }
        let _ = writeln!(out, "    {}  {}", rule.name, rule.description);
    }
    out
}
