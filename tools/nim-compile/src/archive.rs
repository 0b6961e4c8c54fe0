//! Archives of object files in the System V form that linkers read: a symbol table, a table of long names, members.

use std::fmt::Write;

/// One object file.
pub struct Member<'a> {
    /// Its name in the archive.
    pub name: String,
    /// The symbol it defines.
    pub symbol: &'a str,
    /// The object itself.
    pub bytes: &'a [u8],
}

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// An archive of these members, in their order; the same for the same members at any time.
///
/// # Errors
/// More than 4 GiB, which the symbol table cannot address.
pub fn write(members: &[Member<'_>]) -> Result<Vec<u8>, String> {
    let mut names = String::new();
    let mut references = vec![];
    for member in members {
        references.push(format!("/{}", names.len()));
        let _ = writeln!(names, "{}/", member.name);
    }
    let symbols: usize = members.iter().map(|m| m.symbol.len() + 1).sum();
    let table = 4 + 4 * members.len() + symbols;
    let mut at = MAGIC.len() + 2 * HEADER + table.next_multiple_of(2) + names.len().next_multiple_of(2);
    let mut index = (members.len() as u32).to_be_bytes().to_vec();
    for member in members {
        let place = u32::try_from(at).map_err(|_| "the objects do not fit into an archive of 4 GiB")?;
        index.extend(place.to_be_bytes());
        at += HEADER + member.bytes.len().next_multiple_of(2);
    }
    for member in members {
        index.extend(member.symbol.bytes());
        index.push(0);
    }
    let mut out = MAGIC.to_vec();
    add(&mut out, "/", &index);
    add(&mut out, "//", names.as_bytes());
    for (member, reference) in members.iter().zip(&references) {
        add(&mut out, reference, member.bytes);
    }
    Ok(out)
}

/// A header without time, owner and group, and what it is of, to an even length.
fn add(out: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, bytes.len());
    out.extend(header.bytes());
    out.extend(bytes);
    if bytes.len() % 2 == 1 {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbol_table_points_at_headers() {
        let member = |name: &str, symbol, bytes| Member { name: name.to_string(), symbol, bytes };
        let members = [member("first_kernel.o", "first_kernel", b"abc"), member("k.o", "k", b"defg")];
        let out = write(&members).unwrap();
        let number = |at: usize| u32::from_be_bytes(out[at..at + 4].try_into().unwrap()) as usize;
        let table = MAGIC.len() + HEADER;
        assert_eq!(number(table), 2);
        for (i, (reference, bytes)) in [("/0 ", &b"abc"[..]), ("/16 ", b"defg")].into_iter().enumerate() {
            let at = number(table + 4 + 4 * i);
            assert!(out[at..].starts_with(reference.as_bytes()), "{:?}", &out[at..at + 20]);
            assert!(out[at + HEADER..].starts_with(bytes));
        }
        assert_eq!(out.len() % 2, 0);
    }
}
