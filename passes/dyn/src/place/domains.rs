//! Which buffers must be on one device: domains of values, united over the whole program.
//!
//! A view, a reshape and the memory below are the same bytes, so they are one domain; so are what a loop carries and what it gives,
//! and what a function gives and what its calls give. What a kernel writes is where the kernel runs; what the host looks at to find
//! sizes and ways is on the host. A value that is passed on (yielded, carried, an argument, a result) *flows* from one
//! domain into another: domains that nothing ties down are united along flows, and then go where they are read and come from
//! most, an iteration of a loop counting more than what is outside of it. Where a flow or a read crosses devices, there is a copy.

use nim_builtin::func;
use nim_dyn::{Alloc, Bind, Check, Closure, Constant, Copy, Guard, If, Index, Invoke, Kill, Loop, Match, MatchCast};
use nim_dyn::{Arena, Device, Reshape, View, Yield, device_attr};
use nim_ir::{Body, Context, Diagnostic, Loc, Module, Name, OpId, TypeData, ValueId, verifier::operand_groups};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::ops::Range;

/// A value of a function of the program, or what a function gives.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Key {
    Value(usize, ValueId),
    Result(usize, usize),
}

/// Sets of numbers that are united again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    parent: Vec<usize>,
}

impl Sets {
    fn add(&mut self) -> usize {
        self.parent.push(self.parent.len());
        self.parent.len() - 1
    }
    pub(super) fn find(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }
    pub(super) fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b)] = a.min(b);
    }
}

/// An operand of an op.
#[derive(Copy, Clone, Debug)]
pub(super) struct Use {
    pub(super) function: usize,
    pub(super) op: OpId,
    pub(super) operand: usize,
    /// Loops around it.
    depth: u32,
}

/// What an operand is there for.
#[derive(Copy, Clone, Debug)]
pub(super) enum Purpose {
    /// It is read on a device.
    Read(Device),
    /// It becomes a value of this domain.
    Flow(usize),
}

/// Why a domain is where it is.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) device: Device,
    pub(super) why: String,
}

/// The domains of a program.
pub(super) struct Domains<'a> {
    ctx: &'a Context,
    pub(super) functions: Vec<(Name, OpId)>,
    by_name: FxHashMap<Name, usize>,
    kernels: &'a FxHashMap<Name, Device>,
    nodes: FxHashMap<Key, usize>,
    sets: Sets,
    /// Domains, and all that flows between them: who may be the same memory.
    aliases: Sets,
    pins: Vec<(usize, Device, Loc, String)>,
    pub(super) uses: Vec<(Use, usize, Purpose)>,
    /// Ops that write to memory.
    pub(super) writes: Vec<(usize, OpId, usize)>,
    homes: FxHashMap<usize, Home>,
}

impl<'a> Domains<'a> {
    /// Those of a module whose kernels are on these devices.
    ///
    /// # Errors
    /// Memory that has to be on two devices at the same time.
    pub(super) fn new(
        ctx: &'a Context,
        module: &Module,
        kernels: &'a FxHashMap<Name, Device>,
    ) -> Result<Domains<'a>, Vec<Diagnostic>> {
        let mut functions = vec![];
        for op in module.ops().filter(|&op| func::Func::is(ctx, &module.body, op)) {
            let body = module.body.nested(op).filter(|body| body.entry().is_some());
            if let (Some(name), Some(_)) = (module.symbol_name(ctx, op), body) {
                functions.push((ctx.name(name), op));
            }
        }
        let by_name = functions.iter().enumerate().map(|(i, (name, _))| (*name, i)).collect();
        let mut domains = Domains {
            ctx,
            functions,
            by_name,
            kernels,
            nodes: FxHashMap::default(),
            sets: Sets::default(),
            aliases: Sets::default(),
            pins: vec![],
            uses: vec![],
            writes: vec![],
            homes: FxHashMap::default(),
        };
        domains.collect(module);
        domains.decide()?;
        Ok(domains)
    }

    fn node(&mut self, key: Key) -> usize {
        let (sets, aliases) = (&mut self.sets, &mut self.aliases);
        *self.nodes.entry(key).or_insert_with(|| {
            aliases.add();
            sets.add()
        })
    }

    /// Where a value is.
    pub(super) fn home(&mut self, key: Key) -> Device {
        self.home_of(key).map_or(Device::HOST, |home| home.device)
    }

    pub(super) fn home_of(&mut self, key: Key) -> Option<Home> {
        let node = *self.nodes.get(&key)?;
        self.home_of_node(node)
    }

    pub(super) fn home_of_node(&mut self, node: usize) -> Option<Home> {
        let root = self.sets.find(node);
        self.homes.get(&root).cloned()
    }

    /// What stands for the domain of a value.
    pub(super) fn root(&mut self, key: Key) -> Option<usize> {
        let node = self.node_of(key)?;
        Some(self.sets.find(node))
    }

    /// The number of a value, if anything was said of it.
    pub(super) fn node_of(&self, key: Key) -> Option<usize> {
        self.nodes.get(&key).copied()
    }

    /// True when both may be the same memory.
    pub(super) fn may_alias(&mut self, a: usize, b: usize) -> bool {
        self.aliases.find(a) == self.aliases.find(b)
    }

    fn collect(&mut self, module: &Module) {
        let mut called = vec![false; self.functions.len()];
        for function in 0..self.functions.len() {
            let Some(body) = module.body.nested(self.functions[function].1) else { continue };
            let mut depth: FxHashMap<OpId, u32> = FxHashMap::default();
            for op in body.walk() {
                let outer = body.parent_op(op);
                let around = outer.and_then(|outer| depth.get(&outer)).copied().unwrap_or(0);
                let own = outer.is_some_and(|outer| Loop::is(self.ctx, body, outer));
                depth.insert(op, around + u32::from(own));
                let site = Site { function, body, op, depth: around + u32::from(own) };
                if let Some(callee) = self.op(module, &site) {
                    called[callee] = true;
                }
            }
        }
        for (function, called) in called.into_iter().enumerate() {
            let (name, op) = self.functions[function];
            if !called || self.ctx.str(name) == "main" {
                self.pin_signature(module, op, function, "given or taken by the program's caller");
            }
        }
    }

    /// Arguments and results of a function are on the host.
    fn pin_signature(&mut self, module: &Module, op: OpId, function: usize, why: &str) {
        let results = func::signature(self.ctx, &module.body, op).map_or(0, |(_, results)| results.len());
        let Some(body) = module.body.nested(op) else { return };
        let args = body.entry().map(|entry| body.block_args(entry).to_vec()).unwrap_or_default();
        let args = args.into_iter().map(|arg| Key::Value(function, arg));
        for key in args.chain((0..results).map(|i| Key::Result(function, i))).collect::<Vec<_>>() {
            let node = self.node(key);
            self.pins.push((node, Device::HOST, module.body.loc(op), why.to_owned()));
        }
    }

    /// Takes note of one op; the function that it calls.
    fn op(&mut self, module: &Module, site: &Site<'_>) -> Option<usize> {
        let (ctx, body, op) = (self.ctx, site.body, site.op);
        let (operands, results) = (body.operands(op), body.results(op));
        let callee = || body.attr_named(ctx, op, "callee").and_then(|a| ctx.as_symbol_ref(a));
        match ctx.op_str(body.op_name(op)) {
            Alloc::NAME | Arena::NAME | Constant::NAME => {
                if let Some(device) = device_attr(ctx, body, op) {
                    self.pin(site, results[0], device, "the text says so".into());
                }
            }
            View::NAME | Reshape::NAME | MatchCast::NAME => self.same(site, operands[0], results[0]),
            Copy::NAME => self.write(site, operands[1]),
            Invoke::NAME => {
                let name = callee();
                let device = name.and_then(|name| self.kernels.get(&name)).copied().unwrap_or(Device::HOST);
                let ins = operand_groups(ctx, body, op).and_then(|g| Some(g.first()?.len())).unwrap_or(operands.len());
                self.read(site, 0..ins, device);
                for &out in &operands[ins..] {
                    let kernel = name.map(|name| ctx.str(name)).unwrap_or_default();
                    self.pin(site, out, device, format!("written by @{kernel}"));
                    self.write(site, out);
                }
            }
            Index::NAME => {
                self.pin(site, operands[0], Device::HOST, "sizes are found on the host".into());
                self.write(site, operands[0]);
            }
            Bind::NAME => self.read(site, 0..1, Device::HOST),
            Guard::NAME | Check::NAME | Kill::NAME => {}
            If::NAME | Match::NAME => {
                self.read(site, 0..1, Device::HOST);
                for &region in body.regions(op) {
                    let args = body.entry_block(region).map(|b| body.block_args(b).to_vec()).unwrap_or_default();
                    args.into_iter().for_each(|v| {
                        self.pin(site, v, Device::HOST, "held by a value of a data type, or a function".into())
                    });
                    if let Some(end) = terminator(ctx, body, region) {
                        self.flow(&site.at(end), 0, results);
                    }
                }
            }
            Loop::NAME => self.repeat(site),
            func::Call::NAME => {
                let known = callee().and_then(|name| self.by_name.get(&name)).copied();
                let known = known.and_then(|callee| Some((callee, module.body.nested(self.functions[callee].1)?)));
                let Some((callee, target)) = known else {
                    self.on_host(site, func::Call::NAME);
                    return None;
                };
                let args = target.entry().map(|entry| target.block_args(entry).to_vec()).unwrap_or_default();
                for (i, arg) in args.into_iter().enumerate().take(operands.len()) {
                    let to = self.node(Key::Value(callee, arg));
                    self.pass_on(site, i, to);
                }
                for (i, &result) in results.iter().enumerate() {
                    let (given, here) =
                        (self.node(Key::Result(callee, i)), self.node(Key::Value(site.function, result)));
                    self.sets.unite(given, here);
                }
                return Some(callee);
            }
            func::Return::NAME => {
                for i in 0..operands.len() {
                    let to = self.node(Key::Result(site.function, i));
                    self.pass_on(site, i, to);
                }
            }
            Yield::NAME => {}
            name => {
                // Runtime functions, values that hold others, calls of functions that are values.
                self.on_host(site, name);
                let callee = callee().filter(|_| name == Closure::NAME);
                if let Some(&callee) = callee.and_then(|name| self.by_name.get(&name)) {
                    let op = self.functions[callee].1;
                    self.pin_signature(module, op, callee, "who calls a function that is a value is not known");
                }
            }
        }
        None
    }

    fn repeat(&mut self, site: &Site<'_>) {
        let (ctx, body, op) = (self.ctx, site.body, site.op);
        let results = body.results(op);
        let groups = operand_groups(ctx, body, op).unwrap_or_default();
        let Some(&region) = body.regions(op).first() else { return };
        let args = body.entry_block(region).map(|b| body.block_args(b).to_vec()).unwrap_or_default();
        let carried = groups.get(2).cloned().unwrap_or(0..0);
        self.read(site, 0..carried.start, Device::HOST);
        if let Some(&number) = args.first() {
            self.pin(site, number, Device::HOST, "sizes are found on the host".into());
        }
        for (i, operand) in carried.clone().enumerate() {
            let (Some(&arg), Some(&result)) = (args.get(i + 1), results.get(i)) else { continue };
            self.same(site, arg, result);
            let to = self.node(Key::Value(site.function, arg));
            self.pass_on(site, operand, to);
        }
        let Some(end) = terminator(ctx, body, region) else { return };
        let inside = Site { depth: site.depth + 1, ..site.at(end) };
        let skip = usize::from(Loop::has_condition(ctx, body, op).is_some());
        self.read(&inside, 0..skip.min(body.operand_count(end)), Device::HOST);
        // What is carried is what the loop gives.
        self.flow(&inside, skip, results);
    }

    // ---- what ops say

    fn is_buffer(&self, site: &Site<'_>, value: ValueId) -> bool {
        let ty = site.body.ty(value);
        matches!(self.ctx.type_data(ty), TypeData::MemRef { .. } | TypeData::UnrankedMemRef { .. })
            || ty == nim_dyn::storage_type(self.ctx)
    }
    fn pin(&mut self, site: &Site<'_>, value: ValueId, device: Device, why: String) {
        if self.is_buffer(site, value) {
            let node = self.node(Key::Value(site.function, value));
            self.pins.push((node, device, site.body.loc(site.op), why));
        }
    }
    /// All that an op takes and gives is on the host.
    fn on_host(&mut self, site: &Site<'_>, name: &str) {
        self.read(site, 0..site.body.operand_count(site.op), Device::HOST);
        let results = site.body.results(site.op).to_vec();
        results.into_iter().for_each(|v| self.pin(site, v, Device::HOST, format!("made by `{name}`")));
    }
    fn same(&mut self, site: &Site<'_>, a: ValueId, b: ValueId) {
        let (a, b) = (self.node(Key::Value(site.function, a)), self.node(Key::Value(site.function, b)));
        self.sets.unite(a, b);
    }
    fn write(&mut self, site: &Site<'_>, value: ValueId) {
        let node = self.node(Key::Value(site.function, value));
        self.writes.push((site.function, site.op, node));
    }
    fn used(&mut self, site: &Site<'_>, operand: usize, purpose: Purpose) {
        let value = site.body.operand(site.op, operand);
        if self.is_buffer(site, value) {
            let node = self.node(Key::Value(site.function, value));
            let at = Use { function: site.function, op: site.op, operand, depth: site.depth };
            self.uses.push((at, node, purpose));
        }
    }
    fn read(&mut self, site: &Site<'_>, operands: Range<usize>, device: Device) {
        operands.for_each(|i| self.used(site, i, Purpose::Read(device)));
    }
    fn pass_on(&mut self, site: &Site<'_>, operand: usize, to: usize) {
        self.used(site, operand, Purpose::Flow(to));
    }
    /// Operands of a terminator from `skip` on become these values.
    fn flow(&mut self, site: &Site<'_>, skip: usize, values: &[ValueId]) {
        for (i, &value) in values.iter().enumerate().take(site.body.operand_count(site.op).saturating_sub(skip)) {
            let to = self.node(Key::Value(site.function, value));
            self.pass_on(site, skip + i, to);
        }
    }

    // ---- what follows

    fn flows(&self) -> Vec<(usize, usize, u32)> {
        let flow = |(at, from, purpose): &(Use, usize, Purpose)| match *purpose {
            Purpose::Flow(to) => Some((*from, to, at.depth)),
            Purpose::Read(_) => None,
        };
        self.uses.iter().filter_map(flow).collect()
    }

    fn decide(&mut self) -> Result<(), Vec<Diagnostic>> {
        let flows = self.flows();
        // Who writes to what was passed on writes to the memory of whoever passed it.
        loop {
            let (sets, writes) = (&mut self.sets, &self.writes);
            let written: FxHashSet<usize> = writes.iter().map(|w| sets.find(w.2)).collect();
            let apart = |sets: &mut Sets, f: &&(usize, usize, u32)| {
                let to = sets.find(f.1);
                written.contains(&to) && sets.find(f.0) != to
            };
            let Some(&(from, to, _)) = flows.iter().find(|f| apart(&mut self.sets, f)) else { break };
            self.sets.unite(from, to);
        }
        let mut found = vec![];
        for (node, device, loc, why) in std::mem::take(&mut self.pins) {
            let root = self.sets.find(node);
            match self.homes.get(&root) {
                Some(known) if known.device != device => {
                    let (ctx, message) = (self.ctx, "a buffer would have to be on two devices at the same time");
                    let one = |d: Device, why: &str| format!("on {}: {why}", d.describe(ctx));
                    let diagnostic = Diagnostic::error("N0724", loc, message).note(one(known.device, &known.why));
                    found.push(diagnostic.note(one(device, &why)));
                }
                Some(_) => {}
                None => {
                    self.homes.insert(root, Home { device, why });
                }
            }
        }
        if !found.is_empty() {
            return Err(found);
        }
        for &(from, to, _) in &flows {
            let open = |domains: &mut Self, node| !domains.homes.contains_key(&domains.sets.find(node));
            if open(self, from) && open(self, to) {
                self.sets.unite(from, to);
            }
        }
        self.vote(&flows);
        self.aliases = self.sets.clone();
        flows.iter().for_each(|&(from, to, _)| self.aliases.unite(from, to));
        Ok(())
    }

    /// Domains that nothing ties down go where most of what they are read by and come from is.
    fn vote(&mut self, flows: &[(usize, usize, u32)]) {
        let weight = |depth: u32| 16u64.saturating_pow(depth.min(12));
        let mut votes: FxHashMap<usize, Vec<(Device, u64)>> = FxHashMap::default();
        let mut vote = |root: usize, device: Device, depth: u32| {
            let list = votes.entry(root).or_default();
            match list.iter_mut().find(|(d, _)| *d == device) {
                Some((_, sum)) => *sum = sum.saturating_add(weight(depth)),
                None => list.push((device, weight(depth))),
            }
        };
        for (at, node, purpose) in &self.uses {
            if let Purpose::Read(device) = purpose {
                vote(self.sets.find(*node), *device, at.depth);
            }
        }
        for &(from, to, depth) in flows {
            let (from, to) = (self.sets.find(from), self.sets.find(to));
            for (here, there) in [(from, to), (to, from)] {
                if let Some(home) = self.homes.get(&there) {
                    vote(here, home.device, depth);
                }
            }
        }
        for (root, list) in votes {
            // The host is where nothing says otherwise.
            let rank = |&(device, sum): &(Device, u64)| (sum, device == Device::HOST, Reverse(device.name(self.ctx)));
            let best = list.iter().copied().max_by_key(rank);
            if let Some((device, _)) = best {
                let why = "that is where most of the sources and readers are".to_owned();
                self.homes.entry(root).or_insert(Home { device, why });
            }
        }
    }
}

/// An op and what is around it.
#[derive(Copy, Clone)]
struct Site<'a> {
    function: usize,
    body: &'a Body,
    op: OpId,
    depth: u32,
}

impl Site<'_> {
    fn at(&self, op: OpId) -> Self {
        Site { op, ..*self }
    }
}

fn terminator(ctx: &Context, body: &Body, region: nim_ir::RegionId) -> Option<OpId> {
    body.entry_block(region).and_then(|b| body.last_op(b)).filter(|&op| Yield::is(ctx, body, op))
}
