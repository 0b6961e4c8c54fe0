//! `--mlir-use-nameloc-as-prefix`: values are called after the names in the locations of what makes them.

use nim_ir::{Body, Context, Loc, LocData, Name};

/// Gives values the names of their locations, with `_` for what no name may hold; those without such a location keep theirs.
pub fn from_locations(ctx: &Context, body: &mut Body) {
    for region in body.root_regions().to_vec() {
        arguments(ctx, body, region);
    }
    for op in body.walk() {
        if let Some(name) = name_of(ctx, body.loc(op)) {
            for value in body.results(op).to_vec() {
                body.set_value_name(value, Some(name));
            }
        }
        for region in body.regions(op).to_vec() {
            arguments(ctx, body, region);
        }
    }
    for (_, nested) in body.nested_bodies_mut() {
        from_locations(ctx, nested);
    }
}

fn arguments(ctx: &Context, body: &mut Body, region: nim_ir::RegionId) {
    for block in body.blocks(region).to_vec() {
        for (i, value) in body.block_args(block).to_vec().into_iter().enumerate() {
            if let Some(name) = name_of(ctx, body.arg_loc(block, i)) {
                body.set_value_name(value, Some(name));
            }
        }
    }
}

fn name_of(ctx: &Context, loc: Loc) -> Option<Name> {
    let LocData::Name(name, _) = ctx.loc_data(loc) else { return None };
    let legal = |c: char| if c.is_ascii_alphanumeric() || "$._-".contains(c) { c } else { '_' };
    let mut text: String = ctx.str(*name).chars().map(legal).collect();
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) {
        text.insert(0, '_');
    }
    Some(ctx.name(&text))
}
