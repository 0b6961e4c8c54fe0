//! A small linker: relocatable ELF objects in, one flat position-independent [`CodeImage`] out.
//!
//! Only what LLVM emits for kernels is handled (x86-64, position-independent, small code model, no thread-local
//! storage, no constructors); all else is an error that names it. Calls between objects go straight; calls to the
//! runtime's functions go through a stub and a slot each; addresses in constants become words that the loader rebases.

mod relocate;

use crate::error::CompileError;
use nim_vm::code_image::{CodeImage, ImageInfo, Layout, PAGE, imports};
use object::elf;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SectionFlags, SectionIndex, SectionKind, SymbolIndex};
use relocate::{Slot, is_got_load};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One object to link.
#[derive(Clone, Debug)]
pub struct ObjectFile {
    /// Symbol of the kernel it holds; exported from the image, and named in errors.
    pub kernel: String,
    /// ELF bytes.
    pub bytes: Vec<u8>,
}

/// What the image is for; copied into it.
#[derive(Clone, Debug, Default)]
pub struct ImageTarget {
    /// Architecture, as Rust names it.
    pub arch: String,
    /// Name of the target.
    pub name: String,
    /// CPU features the code needs.
    pub features: Vec<String>,
}

/// `jmp *slot(%rip)`, padded with traps; the displacement is at bytes 2 to 5.
const STUB: [u8; 8] = [0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc];
/// Fills the gaps between functions. Nothing should ever run there.
const TRAP: u8 = 0xcc;
/// Offsets are 32-bit and signed in x86-64's relative addressing; half of that leaves room for addends.
const MAX_IMAGE: usize = 1 << 30;

type Elf<'d> = ElfFile64<'d, Endianness>;

/// Which part of the image a section goes to, in the order they have in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Code,
    Rodata,
    Relro,
    Data,
}

/// A section's place: its part, and the offset there.
#[derive(Clone, Copy, Debug)]
struct Place {
    part: Part,
    offset: u64,
}

/// Links the objects, in their order. The result depends on nothing else.
///
/// # Errors
/// A symbol is missing, defined twice, or used in a way that this linker does not know; an object is malformed.
pub fn link(objects: &[ObjectFile], target: &ImageTarget) -> Result<CodeImage, CompileError> {
    let files = objects
        .iter()
        .map(|o| ElfFile64::parse(o.bytes.as_slice()).map_err(|e| o.error(e.to_string())))
        .collect::<Result<Vec<Elf>, _>>()?;
    let globals = define_globals(objects, &files)?;
    let imports = collect_imports(objects, &files, &globals)?;
    let mut linker = Linker { objects, files: &files, globals, imports, ..Linker::new(objects, &files) };
    linker.reserve_slots()?;
    for index in 0..files.len() {
        linker.place_sections(index)?;
    }
    linker.lay_out()?;
    linker.relocate()?;
    linker.finish(target)
}

impl ObjectFile {
    fn error(&self, message: impl Into<String>) -> CompileError {
        CompileError::Link { kernel: self.kernel.clone(), message: message.into() }
    }
}

/// Global symbols of all objects: name to object and symbol.
type Globals<'d> = HashMap<&'d str, (usize, SymbolIndex)>;

fn define_globals<'d>(objects: &'d [ObjectFile], files: &[Elf<'d>]) -> Result<Globals<'d>, CompileError> {
    let mut globals = HashMap::new();
    for (index, (object, file)) in objects.iter().zip(files).enumerate() {
        for symbol in file.symbols().filter(|s| s.is_global() && !s.is_undefined()) {
            let name = symbol.name().map_err(|e| object.error(e.to_string()))?;
            if globals.insert(name, (index, symbol.index())).is_some() {
                return Err(CompileError::DuplicateSymbol(name.to_owned()));
            }
        }
        if globals.get(object.kernel.as_str()).is_none_or(|(at, _)| *at != index) {
            let kernel = object.kernel.clone();
            let here = globals.iter().filter(|(_, (at, _))| *at == index);
            return Err(CompileError::MissingSymbol { kernel, defined: here.map(|(n, _)| (*n).to_owned()).collect() });
        }
    }
    Ok(globals)
}

/// Finds every symbol that no object defines, and checks it against the runtime's list.
fn collect_imports(objects: &[ObjectFile], files: &[Elf], globals: &Globals) -> Result<Vec<String>, CompileError> {
    let mut wanted = BTreeSet::new();
    for (object, file) in objects.iter().zip(files) {
        for symbol in file.symbols().filter(ObjectSymbol::is_undefined) {
            let name = symbol.name().map_err(|e| object.error(e.to_string()))?;
            // Position-independent objects may mention the table itself, which is ours to lay out.
            if name.is_empty() || name == "_GLOBAL_OFFSET_TABLE_" || globals.contains_key(name) {
                continue;
            }
            if imports::address(name).is_none() {
                return Err(CompileError::UndefinedSymbol { symbol: name.to_owned(), kernel: object.kernel.clone() });
            }
            wanted.insert(name.to_owned());
        }
    }
    Ok(wanted.into_iter().collect())
}

struct Linker<'a, 'd> {
    objects: &'d [ObjectFile],
    files: &'a [Elf<'d>],
    globals: Globals<'d>,
    /// Names in slot order.
    imports: Vec<String>,
    /// Slots for loads of our own symbols' addresses, behind those of the imports.
    own_slots: BTreeMap<Slot, u64>,
    /// Bytes of each [`Part`].
    parts: [Vec<u8>; 4],
    /// Where the sections of each object went.
    places: Vec<HashMap<SectionIndex, Place>>,
    /// Offset of the first stub in the image.
    stubs: u64,
    layout: Layout,
    /// Words that the loader must rebase.
    relative: BTreeSet<u64>,
    body: Vec<u8>,
}

impl<'a, 'd> Linker<'a, 'd> {
    fn new(objects: &'d [ObjectFile], files: &'a [Elf<'d>]) -> Self {
        Self {
            objects,
            files,
            globals: HashMap::new(),
            imports: Vec::new(),
            own_slots: BTreeMap::new(),
            parts: Default::default(),
            places: Vec::new(),
            stubs: 0,
            layout: Layout::default(),
            relative: BTreeSet::new(),
            body: Vec::new(),
        }
    }

    /// Opens the relro part with a slot for each import, then one for each own symbol loaded through the table.
    fn reserve_slots(&mut self) -> Result<(), CompileError> {
        for (index, file) in self.files.iter().enumerate() {
            for section in file.sections() {
                for (_, relocation) in section.relocations().filter(|(_, r)| is_got_load(r)) {
                    let slot = self.slot_key(index, &relocation)?;
                    if !matches!(slot, Slot::Import(_)) {
                        let next = (self.imports.len() + self.own_slots.len()) as u64;
                        self.own_slots.entry(slot).or_insert(next);
                    }
                }
            }
        }
        self.parts[Part::Relro as usize].resize(8 * (self.imports.len() + self.own_slots.len()), 0);
        Ok(())
    }

    /// Puts each section of one object that is needed at run time behind what its part holds already.
    fn place_sections(&mut self, index: usize) -> Result<(), CompileError> {
        let object = &self.objects[index];
        let mut places = HashMap::new();
        for section in self.files[index].sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
            let name = section.name().map_err(|e| object.error(e.to_string()))?;
            let has = |flag: u32| sh_flags & u64::from(flag) != 0;
            // Kernels do not unwind, so unwind tables are dropped.
            if !has(elf::SHF_ALLOC) || section.size() == 0 || name == ".eh_frame" {
                continue;
            }
            if has(elf::SHF_TLS) || name.starts_with(".init") || name.starts_with(".fini") {
                return Err(object.error(format!("section `{name}` (thread-local, or run at load time)")));
            }
            let part = match (has(elf::SHF_EXECINSTR), has(elf::SHF_WRITE)) {
                (true, _) => Part::Code,
                (_, false) => Part::Rodata,
                _ if name.starts_with(".data.rel.ro") => Part::Relro,
                _ => Part::Data,
            };
            let align = section.align().max(1);
            if !align.is_power_of_two() || align > PAGE {
                return Err(object.error(format!("section `{name}` wants an alignment of {align}, above a page")));
            }
            let bytes = &mut self.parts[part as usize];
            if bytes.len() as u64 + section.size() > MAX_IMAGE as u64 {
                return Err(object.error(format!("section `{name}` brings the image above {MAX_IMAGE} bytes")));
            }
            bytes.resize(bytes.len().next_multiple_of(align as usize), if part == Part::Code { TRAP } else { 0 });
            places.insert(section.index(), Place { part, offset: bytes.len() as u64 });
            if section.kind() == SectionKind::UninitializedData {
                bytes.resize(bytes.len() + section.size() as usize, 0);
            } else {
                bytes.extend_from_slice(section.data().map_err(|e| object.error(e.to_string()))?);
            }
        }
        self.places.push(places);
        Ok(())
    }

    /// Appends the stubs, decides where each part begins, and joins the parts.
    fn lay_out(&mut self) -> Result<(), CompileError> {
        let code = &mut self.parts[Part::Code as usize];
        code.resize(code.len().next_multiple_of(STUB.len()), TRAP);
        self.stubs = code.len() as u64;
        for _ in &self.imports {
            code.extend_from_slice(&STUB);
        }
        for (i, part) in self.parts.iter_mut().enumerate() {
            let filler = if i == Part::Code as usize { TRAP } else { 0 };
            part.resize(part.len().next_multiple_of(PAGE as usize), filler);
        }
        let [code, rodata, relro, data] = &self.parts;
        self.layout = Layout {
            code: code.len() as u64,
            rodata: rodata.len() as u64,
            relro: relro.len() as u64,
            data: data.len() as u64,
        };
        if self.layout.total() > MAX_IMAGE as u64 {
            let kernel = self.objects.last().map(|o| o.kernel.clone()).unwrap_or_default();
            let message = format!("all kernels together exceed {MAX_IMAGE} bytes, out of reach of relative addresses");
            return Err(CompileError::Link { kernel, message });
        }
        self.body = self.parts.concat();
        Ok(())
    }

    fn part_start(&self, part: Part) -> u64 {
        match part {
            Part::Code => self.layout.code_range().start,
            Part::Rodata => self.layout.rodata_range().start,
            Part::Relro => self.layout.relro_range().start,
            Part::Data => self.layout.data_range().start,
        }
    }

    fn finish(self, target: &ImageTarget) -> Result<CodeImage, CompileError> {
        let mut symbols = BTreeMap::new();
        for object in self.objects {
            let (at, symbol) = self.globals[object.kernel.as_str()];
            symbols.insert(object.kernel.clone(), self.address(at, symbol)?);
        }
        let info = ImageInfo {
            arch: target.arch.clone(),
            target: target.name.clone(),
            features: target.features.clone(),
            layout: self.layout,
            symbols,
            imports: self.imports,
            relative: self.relative.into_iter().collect(),
        };
        Ok(CodeImage { info, body: self.body })
    }
}
