//! After a fusion: equal reads become one, unused ones go, equal scalar ops become one.

use super::edit::{copy_block, reduced_types, replace};
use nim_dataflow::{MapBuilder, MapView, Memlet};
use nim_ir::{Attr, BlockId, Body, Context, Name, OpId, OpName, Type, ValueId, clone::Mapping};
use rustc_hash::FxHashMap;

/// Tidies a map up. Answers the op that it is then.
pub fn tidy(ctx: &Context, body: &mut Body, op: OpId) -> OpId {
    let Some(view) = MapView::new(ctx, body, op) else { return op };
    let blocks = [Some(view.body), view.epilogue];
    for block in blocks.into_iter().flatten() {
        merge_equal_ops(body, block);
        remove_unused_ops(body, block);
    }
    let reads = Kept::new(body, &view.reads, body.block_args(view.body));
    let first = view.writes.len();
    let args = view.epilogue.map_or(vec![], |e| body.block_args(e).to_vec());
    let epilogue_reads = Kept::new(body, &view.epilogue_reads, args.get(first..).unwrap_or_default());
    if reads.all && epilogue_reads.all {
        return op;
    }
    let mut parts = MapBuilder::from_view(&view);
    parts.reads = reads.memlets;
    parts.epilogue_reads = epilogue_reads.memlets;
    let reduced = view.epilogue.map(|_| reduced_types(ctx, body, &view));
    let loc = body.loc(op);
    let new = replace(
        ctx,
        body,
        op,
        loc,
        &parts,
        reduced.as_deref(),
        |b, new| {
            let old = b.body.block_args(view.body).to_vec();
            let mut mapping = Mapping::default();
            for (arg, place) in old.into_iter().zip(&reads.places) {
                if let Some(place) = place {
                    mapping.map(arg, new[*place]);
                }
            }
            copy_block(b, view.body, &mut mapping, None)
        },
        |b, new| {
            let Some(epilogue) = view.epilogue else { return new.to_vec() };
            let old = b.body.block_args(epilogue).to_vec();
            let mut mapping = Mapping::default();
            for (i, arg) in old.into_iter().enumerate() {
                let place = if i < first { Some(i) } else { epilogue_reads.places[i - first].map(|p| p + first) };
                if let Some(place) = place {
                    mapping.map(arg, new[place]);
                }
            }
            copy_block(b, epilogue, &mut mapping, None)
        },
    );
    // Ops that took equal reads may be equal now.
    if let Some(view) = MapView::new(ctx, body, new) {
        [Some(view.body), view.epilogue].into_iter().flatten().for_each(|b| merge_equal_ops(body, b));
    }
    new
}

/// Which reads stay, and where each old one is found among them.
struct Kept {
    memlets: Vec<Memlet>,
    places: Vec<Option<usize>>,
    all: bool,
}

impl Kept {
    fn new(body: &Body, reads: &[Memlet], args: &[ValueId]) -> Kept {
        let mut kept = Kept { memlets: vec![], places: vec![], all: true };
        for (read, &arg) in reads.iter().zip(args) {
            if !body.has_uses(arg) {
                kept.places.push(None);
                kept.all = false;
                continue;
            }
            match kept.memlets.iter().position(|m| m == read) {
                Some(known) => {
                    kept.places.push(Some(known));
                    kept.all = false;
                }
                None => {
                    kept.places.push(Some(kept.memlets.len()));
                    kept.memlets.push(read.clone());
                }
            }
        }
        kept
    }
}

/// What makes two scalar ops equal.
type Key = (OpName, Vec<ValueId>, Vec<(Name, Attr)>, Vec<Type>);

/// Ops of one block are all pure: equal ones give equal values.
fn merge_equal_ops(body: &mut Body, block: BlockId) {
    let mut known: FxHashMap<Key, OpId> = FxHashMap::default();
    for op in body.block_ops(block).collect::<Vec<_>>() {
        if body.results(op).is_empty() || !body.regions(op).is_empty() {
            continue;
        }
        let types = body.results(op).iter().map(|&r| body.ty(r)).collect();
        let key = (body.op_name(op), body.operands(op).to_vec(), body.attrs(op).iter().collect(), types);
        match known.get(&key) {
            None => {
                known.insert(key, op);
            }
            Some(&first) => {
                for i in 0..body.results(op).len() {
                    let (old, new) = (body.results(op)[i], body.results(first)[i]);
                    body.replace_all_uses(old, new);
                }
                body.erase(op);
            }
        }
    }
}

fn remove_unused_ops(body: &mut Body, block: BlockId) {
    let ops: Vec<OpId> = body.block_ops(block).collect();
    for op in ops.into_iter().rev() {
        if !body.results(op).is_empty() && body.results(op).iter().all(|&r| !body.has_uses(r)) {
            body.erase(op);
        }
    }
}
