//! `dyn-place-devices`: where each buffer of the program is, and copies where it is wanted elsewhere.
//!
//! Kernels have their devices: their attribute `device`, or what the option `kernels` says. From these, and from what the host
//! must see (sizes, conditions, what the caller gives and gets), follows where every buffer is ([`domains`]); its type
//! says so from then on. Copies stand in front of what wants them, out of loops as far as what they copy stays the same, one for
//! all who want it ([`copies`]). Constants are not copied: each device gets its own when the program is loaded.
//!
//! It stands before `dyn-plan-memory`, which plans the memory of each device by itself.

mod copies;
mod domains;

use copies::{Copied, Inserter};
use domains::{Domains, Key};
use nim_builtin::func;
use nim_dyn::{Alloc, Constant, Device, Invoke, device_attr};
use nim_ir::{Body, Context, Diagnostic, Loc, Module, Name, OpId, Severity, TypeData, ValueId};
use rustc_hash::FxHashMap;

/// The name of the pass.
pub const NAME: &str = "dyn-place-devices";

/// Kernels whose names match a pattern run on a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// A name, in which `*` stands for anything.
    pub pattern: String,
    /// The device.
    pub device: String,
}

impl std::str::FromStr for Rule {
    type Err = String;

    /// `matmul*:npu`
    fn from_str(text: &str) -> Result<Rule, String> {
        let word = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        match text.rsplit_once(':') {
            Some((pattern, device)) if !pattern.is_empty() && !device.is_empty() && device.chars().all(word) => {
                Ok(Rule { pattern: pattern.into(), device: device.into() })
            }
            _ => Err(format!("`{text}` is no rule: PATTERN:DEVICE, such as `matmul*:npu`")),
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.pattern, self.device)
    }
}

/// What the pass did.
#[derive(Clone, Default, Debug)]
pub struct Placed {
    /// Kernels that do not run on the host.
    pub kernels: usize,
    /// Copies inserted.
    pub copies: usize,
    /// Of these, those that were taken out of loops.
    pub hoisted: usize,
    /// Uses that take a copy which another one made.
    pub shared: usize,
    /// Constants on devices.
    pub constants: usize,
    /// Where everything is and why, function by function.
    pub explanation: Vec<Diagnostic>,
}

/// Places the buffers of a module.
///
/// # Errors
/// A rule that no kernel matches; a buffer that would have to be on two devices; a copy of unknown size.
pub fn place_devices(ctx: &Context, module: &mut Module, rules: &[Rule]) -> Result<Placed, Vec<Diagnostic>> {
    let mut placed = Placed::default();
    let why = place_kernels(ctx, module, rules)?;
    let kernels: FxHashMap<Name, Device> = why.iter().map(|(&name, (device, _))| (name, *device)).collect();
    placed.kernels = kernels.values().filter(|&&d| d != Device::HOST).count();
    let elsewhere = |body: &Body| body.walk().into_iter().any(|op| device_attr(ctx, body, op).is_some());
    if placed.kernels == 0 && !module.ops().filter_map(|op| module.body.nested(op)).any(elsewhere) {
        return Ok(placed);
    }
    let mut domains = Domains::new(ctx, module, &kernels)?;
    let mut found = vec![];
    for function in 0..domains.functions.len() {
        let (name, op) = domains.functions[function];
        let Some(mut body) = module.body.take_nested(op) else { continue };
        let values = values_of(&body);
        match Inserter::new(ctx, &mut domains, function, &body).run(&mut body) {
            Ok(copies) => {
                placed.copies += copies.iter().filter(|c| !c.constant).count();
                placed.constants += copies.iter().filter(|c| c.constant).count();
                placed.hoisted += copies.iter().filter(|c| c.hoisted > 0).count();
                placed.shared += copies.iter().map(|c| c.uses - 1).sum::<usize>();
                let loc = module.body.loc(op);
                placed.explanation.push(explain(ctx, &mut domains, (function, name, loc), &body, &why, &copies));
            }
            Err(more) => found.extend(more),
        }
        for v in values {
            let device = domains.home(Key::Value(function, v));
            let ty = device.place(ctx, body.ty(v));
            body.set_ty(v, ty);
            let makes = |&op: &OpId| Alloc::is(ctx, &body, op) || Constant::is(ctx, &body, op);
            if let (Some(op), Some(name)) = (body.defining_op(v).filter(makes), device.attr()) {
                body.set_attr(ctx, op, "device", name);
            }
        }
        signature(ctx, module, (function, op), &body, &mut domains);
        module.body.set_nested(op, body);
    }
    if found.is_empty() { Ok(placed) } else { Err(found) }
}

/// The device of each kernel, and why.
fn place_kernels(
    ctx: &Context,
    module: &mut Module,
    rules: &[Rule],
) -> Result<FxHashMap<Name, (Device, String)>, Vec<Diagnostic>> {
    let mut kernels = FxHashMap::default();
    let mut used = vec![false; rules.len()];
    for op in module.ops().collect::<Vec<_>>() {
        let is_kernel = ["loops.kernel", "dataflow.kernel"].iter().any(|name| module.body.is(ctx, op, name));
        let Some(name) = module.symbol_name(ctx, op).map(str::to_owned).filter(|_| is_kernel) else { continue };
        let rule = rules.iter().position(|rule| matches(&rule.pattern, &name));
        let mut given = match device_attr(ctx, &module.body, op) {
            None => (Device::HOST, "nothing says otherwise".to_owned()),
            Some(device) => (device, "the kernel says so".to_owned()),
        };
        if let Some(rule) = rule {
            used[rule] = true;
            let device = Device::named(ctx, &rules[rule].device);
            given = (device, format!("`{}` was asked for", rules[rule]));
            module.body.set_attr(ctx, op, "device", ctx.string_attr(device.name(ctx)));
        }
        kernels.insert(ctx.name(&name), given);
    }
    let unused = rules.iter().zip(used).filter(|(_, used)| !used);
    let error = |(rule, _): (&Rule, bool)| {
        let mut names: Vec<&str> = kernels.keys().map(|&name| ctx.str(name)).collect();
        names.sort_unstable();
        let message = format!("no kernel has a name like `{}`", rule.pattern);
        let near = nim_ir::diagnostics::did_you_mean(&rule.pattern, names.iter().copied());
        let error = Diagnostic::error("N0726", module.loc, message);
        match near {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.note(format!("the kernels are {}", some_of(&names))),
        }
    };
    let errors: Vec<Diagnostic> = unused.map(error).collect();
    if errors.is_empty() { Ok(kernels) } else { Err(errors) }
}

/// Whether a name is what a pattern says, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// All values of a function, in the order of the text.
fn values_of(body: &Body) -> Vec<ValueId> {
    let mut values = body.entry().map(|entry| body.block_args(entry).to_vec()).unwrap_or_default();
    for op in body.walk() {
        values.extend_from_slice(body.results(op));
        let blocks = body.regions(op).iter().flat_map(|&r| body.blocks(r));
        values.extend(blocks.flat_map(|&b| body.block_args(b)));
    }
    values
}

/// What a function takes and gives is where it is.
fn signature(
    ctx: &Context,
    module: &mut Module,
    (function, op): (usize, OpId),
    body: &Body,
    domains: &mut Domains<'_>,
) {
    let Some((_, results)) = func::signature(ctx, &module.body, op) else { return };
    let args = body.entry().map(|entry| body.block_args(entry).to_vec()).unwrap_or_default();
    let inputs: Vec<_> = args.iter().map(|&arg| body.ty(arg)).collect();
    let mut place = |(i, &ty)| domains.home(Key::Result(function, i)).place(ctx, ty);
    let results: Vec<_> = results.iter().enumerate().map(&mut place).collect();
    let ty = ctx.function_type(&inputs, &results);
    module.body.set_attr(ctx, op, "function_type", ctx.type_attr(ty));
}

/// `a`; `a and b`; `a, b and c`; `a, b, c, d, e, f and 3 more`.
fn some_of(names: &[impl AsRef<str>]) -> String {
    const MOST: usize = 6;
    let mut list: Vec<&str> = names.iter().map(|n| n.as_ref()).collect();
    let more = format!("{} more", list.len().saturating_sub(MOST));
    if list.len() > MOST {
        list.splice(MOST.., [more.as_str()]);
    }
    match list.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => list.concat(),
    }
}

/// Where the buffers of a function are and why, and what is copied.
fn explain(
    ctx: &Context,
    domains: &mut Domains<'_>,
    (function, name, loc): (usize, Name, Loc),
    body: &Body,
    kernels: &FxHashMap<Name, (Device, String)>,
    copies: &[Copied],
) -> Diagnostic {
    let show = |v: ValueId| match (body.value_name(v), body.defining_op(v)) {
        (Some(name), _) => format!("%{}", ctx.str(name)),
        (None, Some(op)) => format!("a result of `{}`", ctx.op_str(body.op_name(op))),
        (None, None) => "an argument".into(),
    };
    let mut notes = vec![];
    let mut invoked = vec![];
    for op in body.walk().into_iter().filter(|&op| Invoke::is(ctx, body, op)) {
        let callee = body.attr_named(ctx, op, "callee").and_then(|a| ctx.as_symbol_ref(a));
        let known = callee.and_then(|callee| Some((callee, kernels.get(&callee)?)));
        if let Some((callee, (device, why))) = known.filter(|(callee, _)| !invoked.contains(callee)) {
            invoked.push(callee);
            notes.push(format!("@{} runs on {}: {why}", ctx.str(callee), device.describe(ctx)));
        }
    }
    // Buffers by device and reason, in the order of their first.
    let mut groups: Vec<((Device, String), Vec<String>)> = vec![];
    let mut seen = vec![];
    for v in values_of(body).into_iter().filter(|&v| matches!(ctx.type_data(body.ty(v)), TypeData::MemRef { .. })) {
        let Some(home) = domains.home_of(Key::Value(function, v)) else { continue };
        let root = domains.root(Key::Value(function, v));
        if seen.contains(&root) {
            continue;
        }
        seen.push(root);
        match groups.iter_mut().find(|(key, _)| *key == (home.device, home.why.clone())) {
            Some((_, list)) => list.push(show(v)),
            None => groups.push(((home.device, home.why), vec![show(v)])),
        }
    }
    notes.extend(groups.into_iter().map(|((device, why), list)| {
        let verb = if list.len() == 1 { "is" } else { "are" };
        format!("{} {verb} on {}: {why}", some_of(&list), device.describe(ctx))
    }));
    for copy in copies {
        let (value, to) = (show(copy.value), copy.to.describe(ctx));
        let uses = if copy.uses > 1 { format!(", for {} uses", copy.uses) } else { String::new() };
        notes.push(if copy.constant {
            format!("{value} is put on {to} once, when the program is loaded{uses}")
        } else {
            let from = copy.from.describe(ctx);
            let loops = match copy.hoisted {
                0 => String::new(),
                1 => ", hoisted out of a loop".into(),
                n => format!(", hoisted out of {n} loops"),
            };
            let before = ctx.op_str(body.op_name(copy.before));
            format!("{value} is copied from {from} to {to} before `{before}`{loops}{uses}")
        });
    }
    let note = Diagnostic::warning("N0727", loc, format!("placement of @{}", ctx.str(name)));
    Diagnostic { severity: Severity::Note, notes, ..note }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("matmul", "matmul", true),
            ("matmul", "matmul_add", false),
            ("matmul*", "matmul_add", true),
            ("*add", "matmul_add", true),
            ("*m*a*", "matmul", true),
            ("a*a", "a", false),
            ("*", "", true),
            ("m*l_*d", "matmul_add", true),
            ("m*x*d", "matmul_add", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert_eq!(some_of(&["a"]), "a");
        assert_eq!(some_of(&["a", "b", "c"]), "a, b and c");
        assert_eq!(some_of(&["a"; 8]), "a, a, a, a, a, a and 2 more");
        assert!("matmul".parse::<Rule>().is_err() && ":npu".parse::<Rule>().is_err() && "a:".parse::<Rule>().is_err());
        assert_eq!("a*:npu".parse::<Rule>().unwrap().to_string(), "a*:npu");
    }
}
