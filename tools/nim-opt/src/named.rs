//! `--mlir-use-nameloc-as-prefix`: values are called after the names in the locations of what makes them.

use nim_ir::{Body, Context, Loc, LocData, Name};

/// Gives values the names of their locations; those without such a location keep theirs.
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
    let name = match ctx.loc_data(loc) {
        LocData::Name(name, _) => *name,
        LocData::Fused(locs, _) => return locs.iter().find_map(|&loc| name_of(ctx, loc)),
        LocData::CallSite(callee, _) => return name_of(ctx, *callee),
        LocData::Derived { from, .. } => return name_of(ctx, *from),
        _ => return None,
    };
    // As upstream spells them: a space is `_`, what else no name may hold its bytes in hexadecimal.
    let mut text = String::new();
    for byte in ctx.str(name).bytes() {
        match byte {
            b' ' => text.push('_'),
            _ if byte.is_ascii_alphanumeric() || b"$._-".contains(&byte) => text.push(char::from(byte)),
            _ => text += &format!("{byte:X}"),
        }
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        text.insert(0, '_');
    }
    (!text.is_empty()).then(|| ctx.name(&text))
}
