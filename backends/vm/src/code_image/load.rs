//! Makes an image callable: maps it, fills import slots and address words, then takes away write access.

use super::format::{self, CodeImage, FormatError, ImageInfo, PAGE};
use super::memory::{Access, Region};
use super::{amx, cpu, imports};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::{fmt, io};

/// Code that can be called. Unmapped when dropped: the owner must outlive every call into it.
#[derive(Debug)]
pub struct LoadedCode {
    /// `None` for an image without code.
    region: Option<Region>,
    symbols: BTreeMap<String, u64>,
    target: String,
}

/// Why an image cannot be loaded here.
#[derive(Debug)]
pub enum LoadError {
    /// The bytes are no usable image.
    Format(FormatError),
    /// Compiled for another architecture.
    Architecture {
        /// Architecture of the image.
        image: String,
        /// Architecture of this machine.
        host: &'static str,
    },
    /// This machine lacks CPU features that the code uses.
    Features {
        /// Target the image was compiled for.
        target: String,
        /// What is missing here.
        missing: Vec<String>,
    },
    /// The code calls a function that this runtime does not offer.
    Import(String),
    /// The operating system refused.
    Io(io::Error),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(e) => e.fmt(f),
            Self::Architecture { image, host } => {
                write!(f, "the code is for {image}, this machine is {host}: compile the model again here")
            }
            Self::Features { target, missing } => write!(
                f,
                "the code is for {target}, and this machine has no {}: compile the model for this machine",
                missing.join(", ")
            ),
            Self::Import(name) => write!(f, "the code calls `{name}`, which this runtime does not offer"),
            Self::Io(e) => write!(f, "cannot map code: {e}"),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Format(e) => Some(e),
            Self::Io(e) => Some(e),
            _ => None,
        }
    }
}

impl From<FormatError> for LoadError {
    fn from(e: FormatError) -> Self {
        Self::Format(e)
    }
}

impl From<io::Error> for LoadError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl LoadedCode {
    /// Loads an image that is in memory, copying its bytes.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(image: &CodeImage) -> Result<Self, LoadError> {
        format::check(&image.info, &image.body)?;
        Self::from_parts(&image.info, &image.body, None)
    }

    /// Loads an image from its stored form, copying the body. Bytes after the image are ignored.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        let (info, body) = format::parse(bytes)?;
        Self::from_parts(&info, &bytes[body], None)
    }

    /// Loads an image that lies in `file` at `offset`, `len` bytes long. When `offset` is a multiple of [`PAGE`] code
    /// and constants are mapped, and so shared between processes; otherwise they are copied.
    ///
    /// The file must not be changed or shortened while the code is loaded.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load_file(file: &File, offset: u64, len: u64) -> Result<Self, LoadError> {
        let available = file.metadata()?.len();
        if offset.checked_add(len).is_none_or(|end| end > available) {
            return Err(FormatError::Truncated.into());
        }
        let len = usize::try_from(len).map_err(|_| FormatError::Truncated)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, offset)?;
        let (info, body) = format::parse(&bytes)?;
        let at = offset + body.start as u64;
        Self::from_parts(&info, &bytes[body], at.is_multiple_of(PAGE).then_some((file, at)))
    }

    /// `backing` says where the body lies in a file, if it may be mapped from there.
    fn from_parts(info: &ImageInfo, body: &[u8], backing: Option<(&File, u64)>) -> Result<Self, LoadError> {
        check_machine(info)?;
        let addresses: Vec<u64> = info
            .imports
            .iter()
            .map(|name| imports::address(name).ok_or_else(|| LoadError::Import(name.clone())))
            .collect::<Result<_, _>>()?;
        let loaded = |region| Self { region, symbols: info.symbols.clone(), target: info.target.clone() };
        if body.is_empty() {
            return Ok(loaded(None));
        }

        let layout = &info.layout;
        let fixed = layout.rodata_range().end as usize;
        let mut region = Region::reserve(body.len())?;
        match backing {
            Some((file, at)) => {
                region.map_file(0..fixed, file, at)?;
                region.write(fixed, &body[fixed..])?;
            }
            None => region.write(0, body)?,
        }
        let base = region.base() as u64;
        for at in &info.relative {
            let mut word = [0; 8];
            word.copy_from_slice(&body[*at as usize..*at as usize + 8]);
            region.write(*at as usize, &(base + u64::from_le_bytes(word)).to_le_bytes())?;
        }
        let slots = layout.relro_range().start as usize;
        for (i, address) in addresses.iter().enumerate() {
            region.write(slots + 8 * i, &address.to_le_bytes())?;
        }
        region.protect(layout.code_range(), Access::ReadExecute)?;
        region.protect(layout.rodata_range(), Access::Read)?;
        region.protect(layout.relro_range(), Access::Read)?;
        Ok(loaded(Some(region)))
    }

    /// Address of an entry point. Valid while `self` lives. To call it, cast to the `extern "C"` function type that
    /// it was compiled with.
    pub fn symbol(&self, name: &str) -> Option<*const u8> {
        let region = self.region.as_ref()?;
        let offset = *self.symbols.get(name)?;
        // SAFETY: `format::check` proved that every symbol lies inside the body.
        Some(unsafe { region.base().add(offset as usize) })
    }

    /// Names of all entry points, sorted.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.symbols.keys().map(String::as_str)
    }

    /// The target the code was compiled for, e.g. `x86-64-v3`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The entry point that `address` lies in or after, with the distance to it: turns a program counter of a profile
    /// or of a crash into a name. `None` for an address outside of this code.
    pub fn symbol_at(&self, address: *const u8) -> Option<(&str, u64)> {
        let region = self.region.as_ref()?;
        let offset = (address as u64).checked_sub(region.base() as u64)?;
        let (name, start) = self.symbols.iter().filter(|(_, at)| **at <= offset).max_by_key(|(_, at)| **at)?;
        Some((name, offset - start))
    }
}

fn check_machine(info: &ImageInfo) -> Result<(), LoadError> {
    if info.arch != std::env::consts::ARCH {
        return Err(LoadError::Architecture { image: info.arch.clone(), host: std::env::consts::ARCH });
    }
    let mut missing = info.features.clone();
    missing.retain(|name| cpu::host_has(name) != Some(true));
    if missing.is_empty() && !amx::permitted(&info.features) {
        // As if there were none: the system lets no process of this kind use them.
        missing.extend(info.features.iter().filter(|name| amx::is_needed(name)).cloned());
    }
    if missing.is_empty() { Ok(()) } else { Err(LoadError::Features { target: info.target.clone(), missing }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code_image::Layout;

    /// `mov eax, edi; add eax, [rip + constant]; ret`, the constant on the read-only page.
    fn add_seven() -> CodeImage {
        let layout = Layout { code: PAGE, rodata: PAGE, relro: 0, data: 0 };
        let mut body = vec![0xcc; layout.total() as usize];
        let displacement = (PAGE as i32 - 8).to_le_bytes();
        let code = [&[0x89, 0xf8, 0x03, 0x05], &displacement[..], &[0xc3]].concat();
        body[..code.len()].copy_from_slice(&code);
        body[PAGE as usize..PAGE as usize + 4].copy_from_slice(&7_i32.to_le_bytes());
        CodeImage {
            info: ImageInfo {
                arch: "x86_64".to_owned(),
                target: "x86-64".to_owned(),
                layout,
                symbols: BTreeMap::from([("add7".to_owned(), 0)]),
                ..ImageInfo::default()
            },
            body,
        }
    }

    fn call(code: &LoadedCode, x: i32) -> i32 {
        let f = code.symbol("add7").expect("symbol");
        // SAFETY: the machine code above has this signature.
        let f: extern "C" fn(i32) -> i32 = unsafe { std::mem::transmute(f) };
        f(x)
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn runs_from_memory_and_from_a_file() {
        let image = add_seven();
        assert_eq!(call(&LoadedCode::load(&image).expect("load"), 35), 42);
        let stored = image.to_bytes();
        assert_eq!(call(&LoadedCode::load_bytes(&stored).expect("load"), 1), 8);
        let path = std::env::temp_dir().join(format!("nim-code-image-{}", std::process::id()));
        for offset in [PAGE, 100] {
            let mut content = vec![0; offset as usize];
            content.extend_from_slice(&stored);
            std::fs::write(&path, &content).expect("write");
            let file = File::open(&path).expect("open");
            let code = LoadedCode::load_file(&file, offset, stored.len() as u64).expect("load");
            assert_eq!(call(&code, 3), 10);
            let at = code.symbol("add7").expect("symbol").wrapping_add(2);
            assert_eq!(code.symbol_at(at), Some(("add7", 2)));
            assert!(LoadedCode::load_file(&file, offset, stored.len() as u64 + 1).is_err());
        }
        std::fs::remove_file(&path).expect("remove");
    }

    #[test]
    fn refuses_what_this_machine_cannot_run() {
        let mut image = add_seven();
        image.info.features.push("no-such-feature".to_owned());
        assert!(LoadedCode::load(&image).is_err());
        let mut image = add_seven();
        image.info.arch = "riscv64".to_owned();
        assert!(matches!(LoadedCode::load(&image), Err(LoadError::Architecture { .. })));
        let mut image = add_seven();
        image.info.layout.relro = PAGE;
        image.body.resize(image.body.len() + PAGE as usize, 0);
        image.info.imports.push("system".to_owned());
        assert!(matches!(LoadedCode::load(&image), Err(LoadError::Import(name)) if name == "system"));
    }
}
