//! What a loop carries but never changes is no part of it: exporters of while loops carry the weights along. Outside of the loop they
//! are constants again, which schedules pack and folds see.

use nim_ir::{OpId, ValueId, verifier::operand_groups};
use nim_pass::{Miss, Site};

/// `graph.loop` without the first carried value that its body yields as it got it.
pub(crate) fn drop_invariant(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op) = (site.ctx, site.op);
    let groups = operand_groups(ctx, site.body, op).ok_or(Miss("its operands do not fit together"))?;
    let [_, _, carried] = groups.as_slice() else { return Err(Miss("its operands do not fit together")) };
    let block = site.body.regions(op).first().and_then(|&r| site.body.entry_block(r)).ok_or(Miss("it has no body"))?;
    let end = site.body.last_op(block).ok_or(Miss("its body has no end"))?;
    let flag = site.body.attr_named(ctx, op, "has_condition").and_then(|a| ctx.as_bool(a)).unwrap_or(false);
    let before = usize::from(flag);
    let unchanged = |i: &usize| -> Option<(ValueId, ValueId, ValueId)> {
        let (body, i) = (&*site.body, *i);
        let start = body.operand(op, carried.start + i);
        let argument = *body.block_args(block).get(1 + i)?;
        let result = *body.results(op).get(i)?;
        let kept = body.operands_iter(end).nth(before + i)? == argument;
        let same = body.ty(start) == body.ty(argument) && body.ty(argument) == body.ty(result);
        (kept && same).then_some((start, argument, result))
    };
    let found = (0..carried.len()).find_map(|i| Some((i, unchanged(&i)?)));
    let (i, (start, argument, result)) =
        found.ok_or(Miss("each value that it carries is another one in the next iteration"))?;
    site.fire()?;
    site.body.replace_all_uses(argument, start);
    site.body.replace_all_uses(result, start);
    let mut yielded = site.body.operands(end).to_vec();
    yielded.remove(before + i);
    site.body.set_operands(end, &yielded);
    site.body.remove_block_arg(block, 1 + i);
    without(site, carried.start + i, i, [groups[0].len(), groups[1].len(), carried.len() - 1]);
    Ok(())
}

/// The loop again with an operand and a result less.
fn without(site: &mut Site<'_>, operand: usize, result: usize, segments: [usize; 3]) -> OpId {
    let (ctx, op) = (site.ctx, site.op);
    let mut operands = site.body.operands(op).to_vec();
    operands.remove(operand);
    let mut results = site.body.results(op).to_vec();
    results.remove(result);
    let types: Vec<_> = results.iter().map(|&r| site.body.ty(r)).collect();
    let old = site.body.regions(op)[0];
    let attrs = site.body.attrs(op).clone();
    let region = site.body.add_detached_region();
    site.body.move_blocks(old, region);
    let mut builder = site.builder();
    let mut state = builder.state("graph.loop").operands(&operands).results(&types).region(region);
    state.attrs = attrs;
    let new = builder.insert(state);
    let segments = segments.map(|n| n as i64);
    site.body.set_attr(ctx, new, "operandSegmentSizes", ctx.i32_array(&segments));
    for (position, &old) in results.iter().enumerate() {
        let (value, name) = (site.body.results(new)[position], site.body.value_name(old));
        site.body.set_value_name(value, name);
        site.body.replace_all_uses(old, value);
    }
    site.body.erase(op);
    new
}
