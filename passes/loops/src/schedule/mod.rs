//! How the points of a map are walked.
//!
//! * [`explore`]: contractions under a dataflow that somebody asked for;
//! * [`words`]: sums of products of bytes or `bf16`, a word of 32 bits at a time;
//! * [`winograd`]: convolutions with fewer products, where the tolerance allows it;
//! * [`contraction`]: maps with reductions, in register tiles;
//! * [`rows`]: reductions along the contiguous dimension, in vectors of partial results;
//! * [`elementwise`]: maps without reductions;
//! * [`naive`]: everything, one point after the other.
//!
//! Which of them, and how, is a [`choice`]: [`candidates`] lists those that a map has, each search finds the best by its estimate, or
//! the one that is wanted.

pub mod access;
mod ahead;
pub mod candidates;
pub mod choice;
pub mod contraction;
pub mod cook_toom;
pub mod copies;
mod cost;
pub mod elementwise;
pub mod explore;
pub mod naive;
mod order;
pub mod rows;
pub mod shares;
pub mod tile;
pub mod tile_registers;
pub mod winograd;
pub mod word_copies;
mod words;

use crate::lower::Options;
use crate::nest::Nest;
use crate::packing::Packing;
use crate::point::Points;
use choice::Choice;
use nim_dataflow::Combine;
use nim_ir::{Context, Diagnostic, Expr, Facts, Type, TypeData, ValueId};
use nim_pass::{Miss, RuleInfo, Rules};

const fn rule(name: &'static str, description: &'static str) -> RuleInfo {
    RuleInfo { name, description }
}
const WORDS: RuleInfo = rule("walk-words", "products of bytes or bf16 are summed up a word at a time");
const WINOGRAD: RuleInfo = rule("walk-winograd", "windows of neighbours are short convolutions with fewer products");
const ROWS: RuleInfo = rule("walk-rows", "a reduction is taken in vectors along the dimension that lies side by side");
const TILES: RuleInfo = rule("walk-tiles", "a reduction's results stay in a register tile");
const VECTORS: RuleInfo = rule("walk-vectors", "a map without reductions is walked in vectors");
/// The schedules as rules, in the order in which a map is tried.
pub const RULES: [RuleInfo; 5] = [WORDS, WINOGRAD, ROWS, TILES, VECTORS];

/// Why a schedule does not suit a map; the outer error is a map that no schedule can walk.
pub type Tried = Result<Result<(), Miss>, Diagnostic>;

/// Results that are combined where they lie suit no other schedule than the plain one.
const IN_MEMORY: Miss = Miss("results are scattered, or written by several points of a parallel dimension");
const HELD: Miss = Miss("held back");

/// What schedules need beside the map: the kernel around it.
pub struct Env<'a> {
    /// What steers them.
    pub options: &'a Options,
    /// The context.
    pub ctx: &'a Context,
    /// Arguments of the kernel in the source body that are constants.
    pub constants: &'a [ValueId],
    /// All arguments of the kernel in the source body.
    pub tensors: &'a [ValueId],
    /// The buffers of these.
    pub args: &'a [ValueId],
    /// What the kernel may take for granted about its symbols.
    pub assumed: Facts,
    /// Buffers that schedules asked for.
    pub temporaries: Vec<Type>,
    /// Arrangements that schedules asked for.
    pub packing: Vec<Packing>,
    /// Whether some results are made twice, so that what they are made of must stay.
    pub repeats: bool,
    /// What is chosen when the kernel runs, in words: of each schedule as [`Choice`] is written, and what it leaves open.
    pub choices: Vec<String>,
    /// The schedule that somebody wants for the map; every search is restricted to it.
    pub wanted: Option<Choice>,
    /// The schedule that was taken for it.
    pub taken: Option<Choice>,
    /// Who is asked and told when a schedule is chosen.
    pub rules: Rules<'a>,
}

impl Env<'_> {
    /// Asks whether a schedule may be used; its last check.
    fn may(&self, points: &Points<'_>, rule: RuleInfo) -> Result<(), Miss> {
        match self.rules.may(rule.name, self.ctx, points.source, points.map.view.op) {
            true => Ok(()),
            false => Err(HELD),
        }
    }

    /// A size as a number for estimates: the likely one, else symbols count as `assumed`.
    pub fn estimate(&self, size: Expr, assumed: i64) -> f64 {
        match self.ctx.exprs.likely_value(size, &self.assumed) {
            Some(value) => value.max(1) as f64,
            None => access::estimate(self.ctx, size, assumed),
        }
    }

    /// Cycles in which so many bytes of constants stream through a kernel so often: the first time from where they lie after all others of
    /// the program were read, then from where they fit themselves. `growth`: how much larger
    /// those of windows are than in the model.
    pub fn weights_time(&self, bytes: f64, times: f64, growth: f64) -> f64 {
        let machine = &self.options.target.machine;
        bytes / machine.rate_of(bytes.max(self.options.weights.grown(growth)))
            + bytes * (times - 1.0) / machine.rate_of(bytes)
    }

    /// Says once what the schedule that was taken leaves to be chosen when the kernel runs.
    fn chosen(&mut self, what: Option<String>) {
        let line = self.taken.as_ref().zip(what).map(|(choice, what)| format!("{choice}: {what}"));
        if let Some(line) = line.filter(|line| !self.choices.contains(line)) {
            self.choices.push(line);
        }
    }

    /// A further buffer that the host allocates.
    pub fn temporary(&mut self, nest: &mut Nest<'_>, ty: Type) -> ValueId {
        self.temporaries.push(ty);
        match nest.body.entry() {
            Some(entry) => nest.body.add_block_arg(entry, ty, None),
            None => nest.local(&[], ty, false),
        }
    }

    /// Lanes of a vector of this type.
    pub fn lanes(&self, ty: Type) -> i64 {
        let bits = match self.ctx.type_data(ty) {
            TypeData::Integer { width, .. } => (*width).max(8),
            TypeData::Float(kind) => kind.bits().max(8),
            _ => 64,
        };
        i64::from((self.options.target.vector_bits / bits).max(1))
    }

    /// Whether results of the map's reductions may be combined in another order.
    pub fn reorders(&self, points: &Points<'_>) -> bool {
        points.map.view.writes.iter().enumerate().all(|(w, write)| {
            let float = matches!(self.ctx.type_data(points.accumulator_type(w)), TypeData::Float(_));
            match write.combine {
                Combine::None => false,
                Combine::Add | Combine::Mul => !float || self.options.target.reassociate,
                _ => true,
            }
        })
    }

    /// The number of the kernel's argument that a read reads, if it is constant, nobody else reads it, and where it is read depends
    /// on nothing but the point: a loop's number in an index makes it another part of the constant in each call.
    pub fn constant_arg(&self, points: &Points<'_>, read: usize) -> Option<usize> {
        let memlet = &points.map.view.reads[read];
        let position = self.tensors.iter().position(|&t| t == memlet.value)?;
        let pool = &self.ctx.exprs;
        let indices = memlet.subset.as_deref().unwrap_or_default();
        let same = indices.iter().all(|&e| pool.symbols(e).iter().all(|s| points.map.ivs.contains(s)));
        let constant = self.constants.contains(&memlet.value) && points.source.only_use(memlet.value).is_some();
        (constant && same).then_some(position)
    }
}

/// How a map of a block is walked, decided and prepared before the first block.
pub enum Walk {
    /// In register tiles, of words.
    Words(tile::Plan),
    /// In register tiles.
    Tiles(contraction::Chosen),
    /// Without preparation, under the first schedule that suits: rows, vectors, the plain nest.
    Plain,
}

/// Prepares a map for register tiles.
fn prepare(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    rule: RuleInfo,
) -> Result<Result<Walk, Miss>, Diagnostic> {
    Ok(match rule {
        WORDS => words::prepare(points, nest, env)?.map(Walk::Words),
        _ => contraction::prepare(points, nest, env)?.map(Walk::Tiles),
    })
}

/// Decides how a map of a block is walked, and makes the copies that this needs.
///
/// # Errors
/// What [`Points`] reports.
pub fn prepare_block(points: &mut Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>) -> Result<Walk, Diagnostic> {
    let rules = env.rules;
    if points.map.view.domain.contains(&Expr::ZERO) {
        return Ok(Walk::Plain);
    }
    for rule in [WORDS, ROWS, TILES].into_iter().filter(|rule| rules.enabled(rule.name)) {
        let tried = match rule {
            ROWS => rows::fits(points, env).map(|()| Walk::Plain),
            _ => prepare(points, nest, env, rule)?,
        };
        match tried {
            Ok(walk) => return Ok(walk),
            Err(HELD) => {}
            Err(Miss(why)) => rules.missed(rule.name, env.ctx, points.source, points.map.view.op, why),
        }
    }
    Ok(Walk::Plain)
}

impl Walk {
    /// Has a dimension end early, where that does no harm to how the map is walked: it walks no more of it than whole tiles need.
    pub fn end_at(&mut self, domain: &mut [Expr], k: usize, end: Expr) {
        let plan = match self {
            Walk::Words(plan) => plan,
            Walk::Tiles(chosen) => chosen.plan_mut(),
            Walk::Plain => return domain[k] = end,
        };
        if plan.columns.dims == [k] {
            plan.columns_end = Some(end);
        } else if plan.reductions.iter().any(|r| r.0 == k) {
            domain[k] = end;
        }
    }

    /// Whether the map need not be walked alone, since the one behind it can make its points where it reads them.
    pub fn goes_along(&self, points: &Points<'_>, behind: &Walk, next: &Points<'_>, env: &Env<'_>) -> bool {
        let plain = matches!((self, behind), (Walk::Plain, Walk::Plain));
        let enabled = [ROWS, VECTORS].iter().all(|rule| env.rules.enabled(rule.name));
        plain && enabled && elementwise::suits(points) && rows::goes_along(points, next, env)
    }

    /// Emits the map's part of a block, with that of a map that goes along.
    ///
    /// # Errors
    /// What [`Points`] reports.
    pub fn emit(
        &self,
        maker: Option<&Points<'_>>,
        points: &Points<'_>,
        nest: &mut Nest<'_>,
        env: &mut Env<'_>,
    ) -> Result<(), Diagnostic> {
        let fixed = points.fixed();
        match self {
            Walk::Words(plan) => {
                word_copies::fill_words(points, nest)?;
                tile::emit(points, nest, plan, &fixed)
            }
            Walk::Tiles(chosen) => chosen.emit(points, nest),
            Walk::Plain => {
                let done = rows::emit_behind(maker, points, nest, env, &fixed)?;
                if let (Err(_), Some(maker)) = (&done, maker) {
                    // Held back: each by itself then.
                    self.emit(None, maker, nest, env)?;
                }
                let done = if done.is_ok() { done } else { elementwise::emit(points, nest, env, &fixed)? };
                if done.is_ok() { Ok(()) } else { naive::emit(points, nest, &fixed) }
            }
        }
    }
}

/// Emits a map under the schedule that is wanted, else under the one that suits it; which, [`Env::taken`] says then.
///
/// # Errors
/// What [`Points`] reports; a schedule that is wanted and does not fit the map (`N0707`).
pub fn emit(points: &mut Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>) -> Result<(), Diagnostic> {
    let fixed: Vec<Option<Expr>> = vec![None; points.map.view.rank()];
    let empty = points.map.view.domain.contains(&Expr::ZERO);
    env.taken = Some(Choice::Plain);
    if empty {
        return naive::emit(points, nest, &fixed);
    }
    if let Some(wanted) = env.wanted.clone() {
        let tried = match wanted {
            Choice::Dataflow(point) => explore::emit(points, nest, env, point)?,
            Choice::Plain => return naive::emit(points, nest, &fixed),
            _ => walk(points, nest, env, rule_of(&wanted))?,
        };
        let Err(Miss(why)) = tried else {
            env.taken = Some(wanted);
            return Ok(());
        };
        let found = format!("the schedule `{wanted}` does not fit this map: {why}");
        env.wanted = None;
        let best = candidates::of_map(points, env, 1);
        let best = best.first().map_or(String::new(), |best| format!("; the search takes `{}`", best.choice));
        let help = format!("`{}` leaves it to the search{best}", choice::AUTO);
        return Err(Diagnostic::error("N0707", points.map.loc, found).help(help));
    }
    if let Some(dataflow) = env.options.dataflow {
        match explore::emit(points, nest, env, dataflow)? {
            Ok(()) => {
                env.taken = Some(Choice::Dataflow(dataflow));
                return Ok(());
            }
            Err(Miss(why)) => env.rules.missed(TILES.name, env.ctx, points.source, points.map.view.op, why),
        }
    }
    if !env.options.naive {
        let rules = env.rules;
        for rule in RULES.into_iter().filter(|rule| rules.enabled(rule.name)) {
            match walk(points, nest, env, rule)? {
                Ok(()) => return Ok(()),
                Err(HELD) => {}
                Err(Miss(why)) => rules.missed(rule.name, env.ctx, points.source, points.map.view.op, why),
            }
        }
    }
    env.taken = Some(Choice::Plain);
    naive::emit(points, nest, &fixed)
}

/// The rule that makes schedules of this kind.
fn rule_of(choice: &Choice) -> RuleInfo {
    match choice {
        Choice::Words(_) | Choice::TileRegisters => WORDS,
        Choice::Winograd { .. } => WINOGRAD,
        Choice::Rows(_) => ROWS,
        Choice::Tiles(_) | Choice::Dataflow(_) => TILES,
        Choice::Vectors(_) | Choice::Plain => VECTORS,
    }
}

fn walk(points: &mut Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>, rule: RuleInfo) -> Tried {
    let fixed: Vec<Option<Expr>> = vec![None; points.map.view.rank()];
    match rule {
        WORDS | TILES => Ok(match prepare(points, nest, env, rule)? {
            Ok(walk) => Ok(walk.emit(None, points, nest, env)?),
            Err(why) => Err(why),
        }),
        WINOGRAD => winograd::emit(points, nest, env),
        ROWS => rows::emit(points, nest, env, &fixed),
        _ => elementwise::emit(points, nest, env, &fixed),
    }
}
