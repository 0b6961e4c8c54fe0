//! Bytes to modules. Whatever the bytes are, reading ends with a module or with a diagnostic.

mod body;
mod checks;
mod tables;

use crate::{
    MAGIC, SECTIONS, VERSION,
    stream::{Damage, In, Read},
};
use nim_ir::{Context, Diagnostic, Loc, Module};
use nim_tensor::Blob;
use tables::Tables;

/// The code of a file that cannot be read.
const DAMAGED: &str = "N0140";
/// The code of a file of another version.
const OTHER_VERSION: &str = "N0141";
/// The code of ops that no dialect has.
const UNKNOWN_OP: &str = "N0142";

/// How to read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Keep ops of dialects that are not registered instead of refusing them.
    pub allow_unregistered: bool,
    /// How deeply things may be nested: whoever prints or verifies them has a stack. An op in a region of an op is two levels.
    pub max_depth: u32,
}

impl Default for ReadOptions {
    /// Levels that fit into a stack of 2 MiB.
    fn default() -> ReadOptions {
        ReadOptions { allow_unregistered: false, max_depth: 160 }
    }
}

/// Reads a module. `name` is that of the file, for messages. Large constants share the bytes of the blob: those of a mapped
/// file stay in the file.
///
/// # Errors
/// The file is damaged, of another version, or has ops that are not known.
pub fn read_module(ctx: &Context, name: &str, blob: &Blob, options: &ReadOptions) -> Result<Module, Diagnostic> {
    let damaged = |Damage(what): Damage| {
        Diagnostic::error(DAMAGED, Loc::UNKNOWN, format!("`{name}` is no module in bytecode, or is damaged: {what}"))
    };
    let mut head = In::new(blob);
    let magic = head.take(MAGIC.len()).map_err(damaged)?;
    if magic != MAGIC {
        return Err(damaged(Damage("it does not begin as one")));
    }
    let version = head.bits32().map_err(damaged)?;
    if version != VERSION {
        let message = format!("`{name}` is bytecode of version {version}; version {VERSION} can be read");
        let found = Diagnostic::error(OTHER_VERSION, Loc::UNKNOWN, message);
        return Err(found.help("print it as text with the tool that wrote it"));
    }
    let mut unknown = None;
    let read = sections(blob, head).and_then(|sections| {
        let tables = Tables::read(ctx, &sections, options.max_depth)?;
        let mut stream = In::new(&sections[5]);
        let attrs = tables.list(&mut stream)?;
        let loc = tables.loc(&mut stream)?;
        let mut reader = body::Reader::new(ctx, &tables, options, sections[5].len());
        let body = reader.body(&mut stream)?;
        unknown = reader.unknown;
        if !stream.is_empty() {
            return Err(Damage("something stands behind the module"));
        }
        // What handles modules counts on their one block.
        match body.root_regions() {
            [region] if body.blocks(*region).len() == 1 => Ok(Module { body, attrs, loc }),
            _ => Err(Damage("the module is not one block")),
        }
    });
    match (read, unknown) {
        (Ok(_), Some(op)) => {
            let message = format!("`{name}` has the op `{op}`, which no registered dialect has");
            let found = Diagnostic::error(UNKNOWN_OP, Loc::UNKNOWN, message);
            Err(found.help("`--allow-unregistered-dialect` keeps such ops"))
        }
        (read, _) => read.map_err(damaged),
    }
}

/// The sections, each within the file.
fn sections(blob: &Blob, mut head: In<'_>) -> Read<Vec<Blob>> {
    if head.bits32()? as usize != SECTIONS {
        return Err(Damage("it has another number of sections"));
    }
    let mut sections = vec![];
    for _ in 0..SECTIONS {
        let (offset, len) = (usize::try_from(head.bits()?), usize::try_from(head.bits()?));
        let section = offset.ok().zip(len.ok()).and_then(|(offset, len)| blob.slice(offset, len));
        sections.push(section.ok_or(Damage("a section reaches beyond its end"))?);
    }
    Ok(sections)
}
