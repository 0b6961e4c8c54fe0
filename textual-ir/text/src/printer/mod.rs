//! The printer: pretty form, or the generic form that upstream's tools read.
//!
//! What is printed reads back as the same module, and prints as the same text again. Output depends on the module only:
//! not on the order in which things were interned, nor on threads.
//!
//! In generic form named dimensions travel in attributes that upstream keeps without looking at them:
//! * tensors: `tensor<?x300xf32, #sym.dims<["N", 300]>>`; another encoding stands behind the list;
//! * memrefs: as memory space `{sym.dims = ["N", 4]}`, since upstream takes dictionaries of any dialect there but neither
//!   unknown layouts nor unknown opaque spaces; the real space, if any, is its entry `sym.space`.

mod asm;
mod attrs;
mod format;
mod locations;
mod names;
mod ops;
mod types;

use crate::{
    blobs::{self, BlobFile},
    format::Format,
    parser::resource_text,
    strings,
};
use names::Names;
use nim_ir::{Attr, Body, Context, Loc, Module, Name, OpDef, OpId, Type};
use nim_tensor::Blob;
use rustc_hash::FxHashMap;
use std::{io, rc::Rc};

/// Resources of at least this many bytes go to the file beside the text.
const BLOB_BYTES: usize = 4096;

/// How to print.
#[derive(Clone, Debug, Default)]
pub struct PrintOptions {
    /// Every op in generic form, types and attributes as upstream reads them.
    pub generic: bool,
    /// Locations behind ops.
    pub debug_info: bool,
    /// Of constants with more elements than this, unless they are all equal, the elements are left out:
    /// `dense_resource<__elided__>`. Such a text is for reading.
    pub elide_elements: Option<usize>,
    /// Resources whose text has more characters than this are left out of the resource section.
    pub elide_resources: Option<usize>,
}

impl PrintOptions {
    /// For people: large constants are left out.
    pub fn readable() -> PrintOptions {
        PrintOptions { elide_elements: Some(16), elide_resources: Some(64), ..PrintOptions::default() }
    }
}

/// A module as text; all of its resources are in it.
pub fn print_module(ctx: &Context, module: &Module, opts: &PrintOptions) -> String {
    let mut printer = Printer::new(ctx, opts);
    printer.module(module);
    printer.resource_section(None);
    printer.out
}

/// Writes a module as text; what is written is not kept. All of its resources are in it.
///
/// # Errors
/// Those of the writer.
pub fn write_module(ctx: &Context, module: &Module, opts: &PrintOptions, to: &mut dyn io::Write) -> io::Result<()> {
    let mut printer = Printer::new(ctx, opts);
    printer.sink = Some(Sink { to, result: Ok(()) });
    printer.module(module);
    printer.resource_section(None);
    printer.flush();
    printer.sink.map_or(Ok(()), |sink| sink.result)
}

/// A module as text that refers to a file named `blobs_name` for its large constants, and that file, if it needs one.
pub fn write_with_blobs(
    ctx: &Context,
    module: &Module,
    opts: &PrintOptions,
    blobs_name: &str,
) -> (String, Option<BlobFile>) {
    let mut printer = Printer::new(ctx, opts);
    printer.module(module);
    let large: Vec<(String, Blob)> = printer
        .used_resources()
        .into_iter()
        .filter(|(_, blob)| blob.len() >= BLOB_BYTES)
        .map(|(key, blob)| (ctx.str(key).to_string(), blob))
        .collect();
    let file = (!large.is_empty()).then(|| BlobFile::new(blobs_name, large));
    printer.resource_section(file.as_ref());
    (printer.out, file)
}

/// An op with everything in it, without a line break at the end.
pub fn print_op(ctx: &Context, body: &Body, op: OpId, opts: &PrintOptions) -> String {
    let mut printer = Printer::new(ctx, opts);
    printer.push_frame(body, Rc::new(Names::new(ctx, body, None)));
    printer.op(op);
    printer.out
}

/// A type with everything in it.
pub fn print_type(ctx: &Context, ty: Type) -> String {
    let opts = PrintOptions::default();
    let mut printer = Printer::new(ctx, &opts);
    printer.ty(ty);
    printer.out
}

/// A type as upstream reads it.
pub(crate) fn print_generic_type(ctx: &Context, ty: Type) -> String {
    let opts = PrintOptions { generic: true, ..PrintOptions::default() };
    let mut printer = Printer::new(ctx, &opts);
    printer.ty(ty);
    printer.out
}

/// An attribute with its type.
pub fn print_attr(ctx: &Context, attr: Attr) -> String {
    let opts = PrintOptions::default();
    let mut printer = Printer::new(ctx, &opts);
    printer.attr(attr);
    printer.out
}

/// A location: `loc(...)`.
pub fn print_loc(ctx: &Context, loc: Loc) -> String {
    let opts = PrintOptions::default();
    let mut printer = Printer::new(ctx, &opts);
    printer.location(loc);
    printer.out
}

/// A body being printed.
struct Frame<'a> {
    body: &'a Body,
    names: Rc<Names>,
    /// Names in the bodies of its isolated ops: headers need them before the regions.
    nested: FxHashMap<OpId, Rc<Names>>,
}

/// Where text goes when there is enough of it.
struct Sink<'a> {
    to: &'a mut dyn io::Write,
    result: io::Result<()>,
}

/// Text is handed on when there is this much of it.
const FLUSH_BYTES: usize = 1 << 16;
/// Lines are indented no further than this many steps; else deeply nested text would be mostly white space.
const MAX_INDENT: usize = 100;

pub(crate) struct Printer<'a> {
    ctx: &'a Context,
    opts: &'a PrintOptions,
    out: String,
    sink: Option<Sink<'a>>,
    /// Above zero, what was printed may be taken back, so it is not handed on.
    holding: u32,
    /// Types as text, by type: few are printed often.
    types: FxHashMap<Type, Rc<str>>,
    indent: usize,
    frames: Vec<Frame<'a>>,
    /// Names of the ops whose regions are being printed.
    parents: Vec<&'a str>,
    /// The op whose own syntax is being printed, for the meaning of its attributes.
    op: Option<&'static OpDef>,
    resources: Vec<Name>,
    formats: FxHashMap<&'static str, Option<Rc<Format>>>,
}

impl<'a> Printer<'a> {
    fn new(ctx: &'a Context, opts: &'a PrintOptions) -> Printer<'a> {
        Printer {
            ctx,
            opts,
            out: String::new(),
            sink: None,
            holding: 0,
            types: FxHashMap::default(),
            indent: 0,
            frames: vec![],
            parents: vec![],
            op: None,
            resources: vec![],
            formats: FxHashMap::default(),
        }
    }
    fn push_frame(&mut self, body: &'a Body, names: Rc<Names>) {
        self.frames.push(Frame { body, names, nested: FxHashMap::default() });
    }
    fn frame(&self) -> &Frame<'a> {
        self.frames.last().expect("ops are printed within a body")
    }
    fn body(&self) -> &'a Body {
        self.frame().body
    }
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }
    /// Hands on what was printed.
    fn flush(&mut self) {
        if let Some(sink) = &mut self.sink {
            if sink.result.is_ok() {
                sink.result = sink.to.write_all(self.out.as_bytes());
            }
            self.out.clear();
        }
    }
    fn new_line(&mut self, extra: usize) {
        self.out.push('\n');
        const SPACES: &str = "                                                                                ";
        let mut spaces = 2 * (self.indent + extra).min(MAX_INDENT);
        while spaces > 0 {
            let now = spaces.min(SPACES.len());
            self.out.push_str(&SPACES[..now]);
            spaces -= now;
        }
    }
    /// Items with commas between them.
    fn commas<T>(&mut self, items: impl IntoIterator<Item = T>, mut print: impl FnMut(&mut Self, T)) {
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            print(self, item);
        }
    }

    /// A module. One without name and attributes is its ops, line by line.
    fn module(&mut self, module: &'a Module) {
        for (alias, value) in self.ctx.kept_aliases() {
            self.push(&format!("{alias} = {value}\n"));
        }
        let ops: Vec<OpId> = module.ops().collect();
        // A lone module at top level would read as the module itself.
        let lone_module = ops.len() == 1 && module.body.is(self.ctx, ops[0], "builtin.module");
        let plain = !self.opts.generic && !self.opts.debug_info;
        let bare = plain && module.attrs.is_empty() && !ops.is_empty() && !lone_module;
        let names = Rc::new(Names::new(self.ctx, &module.body, None));
        self.push_frame(&module.body, names);
        if bare {
            for op in ops {
                self.op(op);
                self.push("\n");
            }
        } else {
            self.module_op(module);
            self.push("\n");
        }
        self.frames.pop();
    }

    /// Resources that were printed by key, in the order of their keys.
    fn used_resources(&self) -> Vec<(Name, Blob)> {
        let keys = blobs::sorted_keys(self.ctx, self.resources.iter().copied());
        keys.into_iter().filter_map(|key| Some((key, self.ctx.resource(key)?))).collect()
    }

    fn resource_section(&mut self, file: Option<&BlobFile>) {
        let (mut inline, mut outside) = (vec![], vec![]);
        for (key, blob) in self.used_resources() {
            let text = self.ctx.str(key);
            // Two digits a byte, those of the alignment, `0x`.
            if self.opts.elide_resources.is_some_and(|limit| 2 * blob.len() + 10 > limit) {
                continue;
            }
            match file.and_then(|f| f.reference(text)) {
                Some(reference) => outside.push((strings::key(text), strings::quote(&reference))),
                None => inline.push((
                    strings::key(text),
                    format!("\"{}\"", resource_text(&blob.read(), self.ctx.resource_alignment(key))),
                )),
            }
        }
        let mut external: Vec<(&str, Vec<(String, String)>)> = vec![];
        for (owner, key, value) in self.ctx.foreign_resources() {
            if external.last().is_none_or(|(last, _)| *last != owner) {
                external.push((owner, vec![]));
            }
            if let Some((_, entries)) = external.last_mut() {
                entries.push((strings::key(key), value.to_string()));
            }
        }
        external.push((blobs::OWNER, outside));
        let groups = [("dialect_resources", vec![("builtin", inline)]), ("external_resources", external)];
        let groups: Vec<String> = groups
            .into_iter()
            .map(|(group, mut owners)| {
                owners.retain(|(_, entries)| !entries.is_empty());
                (group, owners)
            })
            .filter(|(_, owners)| !owners.is_empty())
            .map(|(group, owners)| {
                let owners: Vec<String> = owners.into_iter().map(resource_owner).collect();
                format!("  {group}: {{\n{}\n  }}", owners.join(",\n"))
            })
            .collect();
        if !groups.is_empty() {
            self.push(&format!("\n{{-#\n{}\n#-}}\n", groups.join(",\n")));
        }
    }
}

/// `owner: {...}` of a resource section.
fn resource_owner((owner, entries): (&str, Vec<(String, String)>)) -> String {
    let lines: Vec<String> = entries.iter().map(|(key, value)| format!("      {key}: {value}")).collect();
    format!("    {}: {{\n{}\n    }}", strings::key(owner), lines.join(",\n"))
}
