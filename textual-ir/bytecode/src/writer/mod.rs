//! Modules to bytes.

mod body;
mod tables;

use crate::{ALIGNMENT, MAGIC, SECTIONS, VERSION, stream::Out};
use nim_ir::{Context, Module};
use tables::Tables;

/// A module as bytes; all of its resources are in them.
pub fn write_module(ctx: &Context, module: &Module) -> Vec<u8> {
    let mut tables = Tables::new(ctx);
    let mut out = Out::default();
    let attrs = tables.list(&module.attrs);
    out.number(attrs.into());
    let loc = tables.loc(module.loc);
    out.number(loc.into());
    body::write(ctx, &mut tables, &module.body, &mut out);
    let sections = tables.sections(out);
    debug_assert_eq!(sections.len(), SECTIONS);

    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((SECTIONS as u32).to_le_bytes());
    let mut at = bytes.len() + 16 * SECTIONS;
    let mut offsets = vec![];
    for (i, section) in sections.iter().enumerate() {
        if i + 1 == SECTIONS {
            at = at.next_multiple_of(ALIGNMENT);
        }
        offsets.push(at);
        bytes.extend((at as u64).to_le_bytes());
        bytes.extend((section.len() as u64).to_le_bytes());
        at += section.len();
    }
    for (section, offset) in sections.iter().zip(offsets) {
        bytes.resize(offset, 0);
        bytes.extend(section);
    }
    bytes
}
