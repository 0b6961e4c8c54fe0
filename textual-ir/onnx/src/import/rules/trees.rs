//! Ensembles of decision trees.
//!
//! All trees walk down at once: a matrix holds the node where each row of the input stands in each tree, and a loop as long
//! as the deepest tree moves all of them on. Leaves lead to themselves. What is known of the nodes lies in one table, one row
//! a node, so that a step is one gather of rows and one of features.

use super::{Family, Importer, Node, Out, ml::transformed};
use nim_graph::{Built, GraphBuilder};
use nim_ir::ValueId;
use nim_tensor::{DType, Tensor};
use rustc_hash::FxHashMap;

pub(super) const RULES: Family =
    &[("TreeEnsemble", tree_ensemble), ("TreeEnsembleClassifier", classifier), ("TreeEnsembleRegressor", regressor)];

/// When a node is left on its true side.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Test {
    Leaf,
    /// For features less than, equal to, greater than the split, and for NaN.
    Order([bool; 4]),
    Member,
}

impl Test {
    fn of(name: &str) -> Option<Test> {
        Some(Test::Order(match name {
            "LEAF" => return Some(Test::Leaf),
            "BRANCH_MEMBER" => return Some(Test::Member),
            "BRANCH_LEQ" => [true, true, false, false],
            "BRANCH_LT" => [true, false, false, false],
            "BRANCH_GTE" => [false, true, true, false],
            "BRANCH_GT" => [false, false, true, false],
            "BRANCH_EQ" => [false, true, false, false],
            // NaN differs from every number.
            "BRANCH_NEQ" => [true, false, true, true],
            _ => return None,
        }))
    }
}

/// A node of a tree.
struct Branch {
    test: Test,
    feature: i64,
    split: f64,
    /// Where a missing feature goes to the true side.
    missing: bool,
    /// True side, false side.
    next: [usize; 2],
    /// Values of a membership test.
    members: Vec<f64>,
}

impl Branch {
    fn leaf(own: usize) -> Branch {
        Branch { test: Test::Leaf, feature: 0, split: 0.0, missing: false, next: [own, own], members: vec![] }
    }
}

/// All trees.
struct Forest {
    nodes: Vec<Branch>,
    roots: Vec<usize>,
    /// What leaves add: node, target, weight.
    weights: Vec<(usize, usize, f64)>,
    targets: usize,
}

/// How what the trees say is put together.
struct Sum {
    aggregate: String,
    post_transform: String,
    base: Vec<f32>,
}

/// Columns of the table of nodes; values of memberships follow.
const FEATURE: i64 = 0;
const SPLIT: i64 = 1;
const TRUE_SIDE: i64 = 2;
const FALSE_SIDE: i64 = 3;
const LESS: i64 = 4;
const MEMBER: i64 = 8;
const MEMBERS: usize = 9;

impl Forest {
    /// The longest way from a root to a leaf; an error when a way comes back to where it was.
    fn depth(&self, im: &Importer<'_>) -> Built<usize> {
        let mut level: Vec<usize> = self.roots.clone();
        for depth in 0..=self.nodes.len() {
            level.retain(|&n| self.nodes[n].test != Test::Leaf);
            if level.is_empty() {
                return Ok(depth);
            }
            level = level.iter().flat_map(|&n| self.nodes[n].next).collect();
            level.sort_unstable();
            level.dedup();
        }
        Err(im.error("N0615", "the nodes of a tree form a circle"))
    }

    fn table(&self) -> Tensor {
        let most = self.nodes.iter().map(|n| n.members.len()).max().unwrap_or(0);
        let mut all = Vec::with_capacity(self.nodes.len() * (MEMBERS + most));
        for n in &self.nodes {
            let (order, member) = match n.test {
                Test::Order(order) => (order, false),
                test => ([false; 4], test == Test::Member),
            };
            all.extend([n.feature as f64, n.split, n.next[0] as f64, n.next[1] as f64]);
            all.extend([order[0], order[1], order[2], order[3] || n.missing, member].map(f64::from));
            // No feature equals NaN.
            all.extend((0..most).map(|i| n.members.get(i).copied().unwrap_or(f64::NAN)));
        }
        Tensor::new(&[self.nodes.len(), MEMBERS + most], all)
    }

    /// The leaf of each row of `x` in each tree.
    fn leaves(&self, im: &mut Importer<'_>, x: ValueId) -> Built {
        let dims = im.dims(x)?;
        let &[rows, features] = dims.as_slice() else {
            let found = im.ctx().display_type(im.ty(x));
            return Err(im.error("N0615", format!("trees need features of shape [rows, features], found {found}")));
        };
        let most = self.nodes.iter().map(|n| n.feature).max().unwrap_or(0);
        let needed = im.num(most.saturating_add(1));
        im.guard("le", needed, features, "features that the trees look at");
        let x = im.cast_to(x, DType::F64)?;
        let table = self.table();
        let width = table.dims()[1];
        let table = im.constant(&table, "nodes")?;
        let roots = Tensor::new(&[1, self.roots.len()], self.roots.iter().map(|&r| r as i64).collect());
        let roots = im.constant(&roots, "roots")?;
        let shape = [rows, im.num(self.roots.len() as i64)];
        let start = im.broadcast_to(roots, &shape)?;
        let steps = im.num(self.depth(im)? as i64);
        let walked =
            im.repeat(steps, &[start], |g, it| Ok((vec![step(g, x, table, width, it.carried[0])?], vec![])))?;
        Ok(walked[0])
    }

    fn build(&self, im: &mut Importer<'_>, x: ValueId, sum: &Sum) -> Out {
        if self.roots.is_empty() || self.targets == 0 || self.targets.saturating_mul(self.nodes.len()) > 1 << 27 {
            let (trees, targets) = (self.roots.len(), self.targets);
            return Err(
                im.error("N0615", format!("{trees} trees with {} nodes for {targets} targets", self.nodes.len()))
            );
        }
        let result = if im.dtype(x)? == DType::F64 { DType::F64 } else { DType::F32 };
        let leaves = self.leaves(im, x)?;
        let neutral = match sum.aggregate.as_str() {
            "SUM" | "AVERAGE" => 0.0,
            "MIN" => f64::INFINITY,
            "MAX" => f64::NEG_INFINITY,
            other => return Err(im.error("N0614", format!("no aggregate is named {other:?}"))),
        };
        let mut weights = vec![neutral; self.nodes.len() * self.targets];
        for &(node, target, weight) in &self.weights {
            let place = &mut weights[node * self.targets + target];
            *place = if neutral == 0.0 { *place + weight } else { weight };
        }
        let weights = Tensor::from_f64s(result, &[self.nodes.len(), self.targets], &weights);
        let weights = weights.map_err(|e| im.error("N0615", e.to_string()))?;
        let weights = im.constant(&weights, "weights")?;
        let votes = im.gather(weights, leaves, 0)?;
        let kind = match sum.aggregate.as_str() {
            "MIN" => "min",
            "MAX" => "max",
            _ => "sum",
        };
        let mut y = im.reduce(kind, votes, &[1], false)?;
        if neutral != 0.0 {
            // Targets that no leaf speaks of.
            let (none, zero) = (im.like(y, neutral)?, im.like(y, 0.0)?);
            let silent = im.compare("eq", y, none)?;
            y = im.select(silent, zero, y)?;
        }
        if sum.aggregate == "AVERAGE" {
            y = im.with_scalar("div", y, self.roots.len() as f64)?;
        }
        if !sum.base.is_empty() {
            if sum.base.len() != self.targets {
                let message = format!("{} base values for {} targets", sum.base.len(), self.targets);
                return Err(im.error("N0615", message));
            }
            let base = im.constant(&Tensor::new(&[sum.base.len()], sum.base.clone()), "base")?;
            let base = im.cast_to(base, result)?;
            y = im.binary("add", y, base)?;
        }
        Ok(vec![transformed(im, &sum.post_transform, y)?])
    }
}

/// All walkers one node on.
fn step(g: &mut GraphBuilder<'_>, x: ValueId, table: ValueId, width: usize, at: ValueId) -> Built {
    let rows = g.gather(table, at, 0)?;
    let column = |g: &mut GraphBuilder<'_>, i: i64| -> Built {
        let i = g.num(i);
        g.at(rows, 2, i)
    };
    let feature = column(g, FEATURE)?;
    let feature = g.cast_to(feature, DType::I64)?;
    let axis = g.ctx().i64_attr(1);
    let value = g.value("graph.gather_elements", &[x, feature], &[("axis", axis)])?;
    let split = column(g, SPLIT)?;
    let holds = [g.compare("lt", value, split)?, g.compare("eq", value, split)?, g.compare("gt", value, split)?];
    let missing = g.unary("isnan", value)?;
    let mut taken: Option<ValueId> = None;
    for (i, case) in holds.into_iter().chain([missing]).enumerate() {
        let wanted = column(g, LESS + i as i64)?;
        let wanted = g.cast_to(wanted, DType::Bool)?;
        let both = g.binary("and", case, wanted)?;
        taken = Some(match taken {
            Some(taken) => g.binary("or", taken, both)?,
            None => both,
        });
    }
    let mut taken = taken.ok_or_else(|| g.error("N0614", "a branch has cases"))?;
    if width > MEMBERS {
        let (start, size) = (g.num(MEMBERS as i64), g.num((width - MEMBERS) as i64));
        let members = g.slice_axis(rows, 2, start, size)?;
        let wide = g.unsqueeze(value, &[2])?;
        let equal = g.compare("eq", wide, members)?;
        let any = g.reduce("or", equal, &[2], false)?;
        let wanted = column(g, MEMBER)?;
        let wanted = g.cast_to(wanted, DType::Bool)?;
        let both = g.binary("and", any, wanted)?;
        taken = g.binary("or", taken, both)?;
    }
    let (yes, no) = (column(g, TRUE_SIDE)?, column(g, FALSE_SIDE)?);
    let next = g.select(taken, yes, no)?;
    g.cast_to(next, DType::I64)
}

/// Lists of one length that must be given.
fn ints(im: &Importer<'_>, n: &Node<'_>, name: &str, count: Option<usize>) -> Built<Vec<i64>> {
    let list = n.ints(name).unwrap_or_default();
    match count {
        Some(count) if list.len() != count => {
            Err(im.error("N0615", format!("`{name}` has {} entries, {count} are needed", list.len())))
        }
        _ => Ok(list),
    }
}

/// The numbers of a tensor attribute.
fn numbers(im: &Importer<'_>, n: &Node<'_>, name: &str) -> Built<Vec<f64>> {
    let Some(proto) = n.tensor(name) else { return Ok(vec![]) };
    let tensor = im.model.tensor(proto).map_err(|e| im.error("N0604", e.to_string()))?;
    tensor.to_f64s().ok_or_else(|| im.error("N0614", format!("`{name}` must hold numbers")))
}

fn index(im: &Importer<'_>, at: i64, length: usize, what: &str) -> Built<usize> {
    let place = usize::try_from(at).ok().filter(|&i| i < length);
    place.ok_or_else(|| im.error("N0615", format!("{what} {at} does not exist: there are {length}")))
}

/// TreeEnsemble: leaves have lists of their own.
fn tree_ensemble(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    const MODES: [&str; 7] =
        ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"];
    let x = n.input(im, 0)?;
    let features = ints(im, n, "nodes_featureids", None)?;
    let count = features.len();
    let (modes, splits) = (numbers(im, n, "nodes_modes")?, numbers(im, n, "nodes_splits")?);
    if modes.len() != count || splits.len() != count {
        return Err(im.error("N0615", format!("{} modes and {} splits for {count} nodes", modes.len(), splits.len())));
    }
    let sides = [
        (ints(im, n, "nodes_trueleafs", Some(count))?, ints(im, n, "nodes_truenodeids", Some(count))?),
        (ints(im, n, "nodes_falseleafs", Some(count))?, ints(im, n, "nodes_falsenodeids", Some(count))?),
    ];
    let missing = n.ints("nodes_missing_value_tracks_true").unwrap_or_default();
    let (targets, weights) = (ints(im, n, "leaf_targetids", None)?, numbers(im, n, "leaf_weights")?);
    let leaves = targets.len();
    if weights.len() != leaves {
        return Err(im.error("N0615", format!("{} weights for {leaves} leaves", weights.len())));
    }
    let members = numbers(im, n, "membership_values")?;
    let mut sets = members.split(|v| v.is_nan());
    let mut nodes = vec![];
    for i in 0..count {
        let mut next = [0; 2];
        for (to, (leaf, id)) in next.iter_mut().zip(&sides) {
            *to = match leaf[i] {
                0 => index(im, id[i], count, "the node")?,
                _ => count + index(im, id[i], leaves, "the leaf")?,
            };
        }
        let test = MODES.get(modes[i] as usize).and_then(|m| Test::of(m));
        let test = test.ok_or_else(|| im.error("N0614", format!("no test of a node has the number {}", modes[i])))?;
        let members = if test == Test::Member { sets.next().unwrap_or_default().to_vec() } else { vec![] };
        let missing = missing.get(i).is_some_and(|&m| m != 0);
        nodes.push(Branch { test, feature: features[i].max(0), split: splits[i], missing, next, members });
    }
    nodes.extend((count..count + leaves).map(Branch::leaf));
    let total = usize::try_from(n.int("n_targets", 1)).unwrap_or(0);
    let mut forest = Forest { nodes, roots: vec![], weights: vec![], targets: total };
    for root in ints(im, n, "tree_roots", None)? {
        forest.roots.push(index(im, root, count, "the root")?);
    }
    for (i, (&target, &weight)) in targets.iter().zip(&weights).enumerate() {
        forest.weights.push((count + i, index(im, target, total, "the target")?, weight));
    }
    let name = |list: &[&str], i: i64| usize::try_from(i).ok().and_then(|i| list.get(i)).map_or("?", |s| s).to_string();
    let sum = Sum {
        aggregate: name(&["AVERAGE", "SUM", "MIN", "MAX"], n.int("aggregate_function", 1)),
        post_transform: name(&["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"], n.int("post_transform", 0)),
        base: vec![],
    };
    forest.build(im, x, &sum)
}

/// Trees whose nodes are named by tree and number, leaves among them; what leaves say is named `prefix`.
fn named_forest(im: &Importer<'_>, n: &Node<'_>, prefix: &str, total: usize) -> Built<Forest> {
    let trees = ints(im, n, "nodes_treeids", None)?;
    let count = Some(trees.len());
    let ids = ints(im, n, "nodes_nodeids", count)?;
    let features = ints(im, n, "nodes_featureids", count)?;
    let (yes, no) = (ints(im, n, "nodes_truenodeids", count)?, ints(im, n, "nodes_falsenodeids", count)?);
    let modes = n.strings("nodes_modes").unwrap_or_default();
    let splits: Vec<f64> = match n.floats("nodes_values") {
        Some(v) => v.into_iter().map(f64::from).collect(),
        None => numbers(im, n, "nodes_values_as_tensor")?,
    };
    if modes.len() != trees.len() || splits.len() != trees.len() {
        let message = format!("{} modes and {} values for {} nodes", modes.len(), splits.len(), trees.len());
        return Err(im.error("N0615", message));
    }
    let missing = n.ints("nodes_missing_value_tracks_true").unwrap_or_default();
    let known: FxHashMap<(i64, i64), usize> = (0..trees.len()).map(|i| ((trees[i], ids[i]), i)).collect();
    let place = |im: &Importer<'_>, tree: i64, id: i64| {
        let found = known.get(&(tree, id)).copied();
        found.ok_or_else(|| im.error("N0615", format!("tree {tree} has no node {id}")))
    };
    let mut nodes = vec![];
    let mut inner = vec![false; trees.len()];
    for i in 0..trees.len() {
        let test = Test::of(&modes[i]).filter(|&t| t != Test::Member);
        let test = test.ok_or_else(|| im.error("N0614", format!("no test of a node is named {:?}", modes[i])))?;
        if test == Test::Leaf {
            nodes.push(Branch::leaf(i));
            continue;
        }
        let next = [place(im, trees[i], yes[i])?, place(im, trees[i], no[i])?];
        next.iter().for_each(|&n| inner[n] = true);
        let missing = missing.get(i).is_some_and(|&m| m != 0);
        let feature = features[i].max(0);
        nodes.push(Branch { test, feature, split: splits[i], missing, next, members: vec![] });
    }
    let roots = (0..trees.len()).filter(|&i| !inner[i]).collect();
    let mut forest = Forest { nodes, roots, weights: vec![], targets: total };
    let name = |what: &str| format!("{prefix}_{what}");
    let leaf_trees = ints(im, n, &name("treeids"), None)?;
    let count = Some(leaf_trees.len());
    let (leaf_ids, targets) = (ints(im, n, &name("nodeids"), count)?, ints(im, n, &name("ids"), count)?);
    let weights: Vec<f64> = match n.floats(&name("weights")) {
        Some(v) => v.into_iter().map(f64::from).collect(),
        None => numbers(im, n, &name("weights_as_tensor"))?,
    };
    if weights.len() != leaf_trees.len() {
        return Err(im.error("N0615", format!("{} weights for {} leaves", weights.len(), leaf_trees.len())));
    }
    for (i, &weight) in weights.iter().enumerate() {
        let node = place(im, leaf_trees[i], leaf_ids[i])?;
        forest.weights.push((node, index(im, targets[i], total, "the target")?, weight));
    }
    Ok(forest)
}

fn regressor(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let total = usize::try_from(n.int("n_targets", 1)).unwrap_or(0);
    let forest = named_forest(im, n, "target", total)?;
    let sum = Sum {
        aggregate: n.string("aggregate_function", "SUM"),
        post_transform: n.string("post_transform", "NONE"),
        base: n.floats("base_values").unwrap_or_default(),
    };
    forest.build(im, x, &sum)
}

/// The label of the best class, and the scores of all. Where only one of two classes has scores, these decide by their sign,
/// or, when none is negative, as a probability does; the other class gets what is left.
fn classifier(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let labels = match (n.ints("classlabels_int64s"), n.strings("classlabels_strings")) {
        (Some(v), _) if !v.is_empty() => Tensor::new(&[v.len()], v),
        (_, Some(v)) if !v.is_empty() => Tensor::strings(&[v.len()], v),
        _ => return Err(im.error("N0610", "class labels are needed")),
    };
    let forest = named_forest(im, n, "class", labels.len())?;
    let post = n.string("post_transform", "NONE");
    let base = n.floats("base_values").unwrap_or_default();
    let first = forest.weights.first().map(|w| w.1);
    let single = first.filter(|f| labels.len() == 2 && forest.weights.iter().all(|w| w.1 == *f));
    let mut sum = Sum { aggregate: "SUM".into(), post_transform: "NONE".into(), base: vec![] };
    let Some(class) = single else {
        sum.base = base;
        let scores = forest.build(im, x, &sum)?[0];
        let ctx = im.ctx();
        let attrs = [("kind", ctx.string_attr("max")), ("axis", ctx.i64_attr(1))];
        let best = im.value("graph.arg_reduce", &[scores], &attrs)?;
        let labels = im.constant(&labels, "labels")?;
        let label = im.gather(labels, best, 0)?;
        return Ok(vec![label, transformed(im, &post, scores)?]);
    };
    let positive = forest.weights.iter().all(|w| w.2 >= 0.0);
    let scores = forest.build(im, x, &sum)?[0];
    let (at, one) = (im.num(class as i64), im.num(1));
    let mut score = im.slice_axis(scores, 1, at, one)?;
    if let Some(&base) = base.get(class).or(base.first()) {
        score = im.with_scalar("add", score, base.into())?;
    }
    let limit = im.like(score, if positive { 0.5 } else { 0.0 })?;
    let flat = im.squeeze(score, &[1])?;
    let best = im.compare("gt", flat, limit)?;
    let best = im.cast_to(best, DType::I64)?;
    let labels = im.constant(&labels, "labels")?;
    let label = im.gather(labels, best, 0)?;
    let other = match (class, positive && post != "LOGISTIC") {
        (0, true) => {
            let whole = im.like(score, 1.0)?;
            im.binary("sub", whole, score)?
        }
        (0, false) => im.unary("neg", score)?,
        _ => im.with_scalar("mul", score, 0.0)?,
    };
    let both = im.concat(&[other, score], 1)?;
    let post = if class == 0 && post == "SOFTMAX" { "NONE" } else { &post };
    Ok(vec![label, transformed(im, post, both)?])
}
