//! Passes by name.

use crate::{AnyPass, BodyPass, OptionError, Options, Pass, PassOption, RuleInfo};
use std::collections::BTreeMap;

type Make = Box<dyn Fn(&mut Options) -> Result<AnyPass, OptionError> + Send + Sync>;

/// What is known of a pass before one is made.
pub struct PassInfo {
    /// Name.
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Options with their defaults.
    pub options: Vec<PassOption>,
    /// What must hold before.
    pub needs: &'static [&'static str],
    /// What holds afterwards.
    pub gives: &'static [&'static str],
    /// What it works on, see [`Pass::works_on`](crate::Pass::works_on).
    pub works_on: &'static [&'static str],
    /// Its rewrite rules.
    pub rules: Vec<RuleInfo>,
    /// Takes a text in parentheses: `mlir(cse)`.
    pub argument: bool,
    make: Make,
}

impl PassInfo {
    fn of(make: Make) -> Option<PassInfo> {
        // Defaults are fine by construction; a pass that has none without options is a slip in its registration.
        let mut none = Options::default();
        let Ok(pass) = make(&mut none) else {
            debug_assert!(false, "a registered pass must be made without options");
            return None;
        };
        Some(PassInfo {
            name: pass.name(),
            description: pass.description(),
            options: pass.options(),
            needs: pass.needs(),
            gives: pass.gives(),
            works_on: pass.works_on(),
            rules: pass.rules(),
            argument: none.argument_used,
            make,
        })
    }
    /// Makes the pass.
    ///
    /// # Errors
    /// An option has a value that the pass cannot use.
    pub fn make(&self, options: &mut Options) -> Result<AnyPass, OptionError> {
        (self.make)(options)
    }
}

/// A pipeline with a name.
pub(crate) struct Alias {
    pub description: &'static str,
    pub text: String,
}

/// Passes and named pipelines. Passed along; there is no global one.
#[derive(Default)]
pub struct Registry {
    passes: BTreeMap<&'static str, PassInfo>,
    optional: BTreeMap<&'static str, PassInfo>,
    aliases: BTreeMap<&'static str, Alias>,
    absent: BTreeMap<&'static str, &'static str>,
}

impl Registry {
    /// An empty one.
    pub fn new() -> Registry {
        Registry::default()
    }
    /// Adds a pass over modules. `make` reads its options; without any it makes the default pass, whose name, description,
    /// options and contract go into the table.
    pub fn module_pass<P: Pass + 'static>(
        &mut self,
        make: impl Fn(&mut Options) -> Result<P, OptionError> + Send + Sync + 'static,
    ) {
        self.add(Box::new(move |options| Ok(AnyPass::Module(Box::new(make(options)?)))));
    }
    /// Adds a pass over modules that not all builds of a program have: pipelines may name it, but it is not among
    /// [`Registry::passes`], so that help and reference are the same for all of them. The others say [`Registry::absent`].
    pub fn optional_module_pass<P: Pass + 'static>(
        &mut self,
        make: impl Fn(&mut Options) -> Result<P, OptionError> + Send + Sync + 'static,
    ) {
        if let Some(info) = PassInfo::of(Box::new(move |options| Ok(AnyPass::Module(Box::new(make(options)?))))) {
            self.optional.insert(info.name, info);
        }
    }
    /// Adds a pass over bodies, as [`Registry::module_pass`] does.
    pub fn body_pass<P: BodyPass + 'static>(
        &mut self,
        make: impl Fn(&mut Options) -> Result<P, OptionError> + Send + Sync + 'static,
    ) {
        self.add(Box::new(move |options| Ok(AnyPass::Body(Box::new(make(options)?)))));
    }
    fn add(&mut self, make: Make) {
        if let Some(info) = PassInfo::of(make) {
            let before = self.passes.insert(info.name, info);
            debug_assert!(before.is_none(), "two passes have one name");
        }
    }
    /// Gives a pipeline a name, under which other pipelines may use it.
    pub fn pipeline(&mut self, name: &'static str, description: &'static str, text: impl Into<String>) {
        self.aliases.insert(name, Alias { description, text: text.into() });
    }

    /// Says of a pass that other builds have how one gets it; pipelines that name it are told.
    pub fn absent(&mut self, name: &'static str, how_to_get_it: &'static str) {
        self.absent.insert(name, how_to_get_it);
    }
    pub(crate) fn absent_reason(&self, name: &str) -> Option<&'static str> {
        self.absent.get(name).copied()
    }

    /// A pass by name.
    pub fn get(&self, name: &str) -> Option<&PassInfo> {
        self.passes.get(name).or_else(|| self.optional.get(name))
    }
    /// Passes that not all builds have.
    pub fn optional_passes(&self) -> impl Iterator<Item = &PassInfo> {
        self.optional.values()
    }
    /// All passes by name that every build has.
    pub fn passes(&self) -> impl Iterator<Item = &PassInfo> {
        self.passes.values()
    }
    /// All rewrite rules with the passes that have them.
    pub fn rules(&self) -> impl Iterator<Item = (&PassInfo, &RuleInfo)> {
        self.passes.values().flat_map(|pass| pass.rules.iter().map(move |rule| (pass, rule)))
    }
    /// Named pipelines: name, description, text.
    pub fn pipelines(&self) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
        self.aliases.iter().map(|(name, a)| (*name, a.description, a.text.as_str()))
    }
    pub(crate) fn alias(&self, name: &str) -> Option<&str> {
        self.aliases.get(name).map(|a| a.text.as_str())
    }
    /// All names that a pipeline may use.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.passes.keys().chain(self.aliases.keys()).copied()
    }
}
