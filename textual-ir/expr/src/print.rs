//! The text form. Parsing it gives the same expression again.

use std::fmt::{self, Display, Formatter, Write};

use crate::node::{Data, Expr, Symbol};
use crate::pool::ExprPool;

/// Names that are functions of the text form; a symbol of that name is quoted.
pub(crate) const KEYWORDS: [&str; 6] = ["floordiv", "ceildiv", "mod", "min", "max", "invalid"];

/// Whether a name needs no quotes: a plain identifier that is no function, or `$` and digits.
pub(crate) fn is_plain_name(name: &str) -> bool {
    if let Some(digits) = name.strip_prefix('$') {
        return !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    }
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
        && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'.')
        && !KEYWORDS.contains(&name)
}

impl ExprPool {
    /// The text form, for example `3072*N + 4` or `floordiv(N + 1, 2)`.
    pub fn display(&self, e: Expr) -> impl Display + '_ {
        Shown { pool: self, e }
    }

    /// The name of a symbol as it stands in the text form, quoted when it is not plain.
    pub fn display_symbol(&self, s: Symbol) -> impl Display + '_ {
        ShownSymbol { name: self.symbol_name(s) }
    }
}

struct ShownSymbol<'a> {
    name: &'a str,
}

impl Display for ShownSymbol<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_plain_name(self.name) {
            return f.write_str(self.name);
        }
        f.write_char('"')?;
        for c in self.name.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

struct Shown<'a> {
    pool: &'a ExprPool,
    e: Expr,
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.pool.write_sum(f, self.e)
    }
}

impl ExprPool {
    fn write_sum(&self, f: &mut Formatter<'_>, e: Expr) -> fmt::Result {
        for (i, &term) in self.term_slice(&e).iter().enumerate() {
            let (k, m) = self.split_coefficient(term);
            // The smallest number has no positive counterpart to subtract.
            let subtract = i > 0 && k < 0 && k != i64::MIN;
            match i {
                0 => {}
                _ if subtract => f.write_str(" - ")?,
                _ => f.write_str(" + ")?,
            }
            self.write_term(f, if subtract { -k } else { k }, m)?;
        }
        Ok(())
    }

    fn write_term(&self, f: &mut Formatter<'_>, k: i64, monomial: Expr) -> fmt::Result {
        if monomial == Expr::ONE {
            return write!(f, "{k}");
        }
        match k {
            1 => {}
            -1 => f.write_char('-')?,
            _ => write!(f, "{k}*")?,
        }
        for (i, &factor) in self.factor_slice(&monomial).iter().enumerate() {
            if i > 0 {
                f.write_char('*')?;
            }
            self.write_atom(f, factor)?;
        }
        Ok(())
    }

    fn write_atom(&self, f: &mut Formatter<'_>, e: Expr) -> fmt::Result {
        match self.data(e) {
            Data::Symbol(s) => self.display_symbol(*s).fmt(f),
            Data::FloorDiv(a, b) => self.write_division(f, *a, *b),
            Data::CeilDiv(a, b) => self.write_call(f, "ceildiv", &[*a, *b]),
            Data::Mod(a, b) => self.write_call(f, "mod", &[*a, *b]),
            Data::Min(list) => self.write_call(f, "min", list),
            Data::Max(list) => self.write_call(f, "max", list),
            Data::Invalid(kind) => write!(f, "invalid({})", kind.name()),
            Data::Const(_) | Data::Sum(_) | Data::Product { .. } => {
                f.write_char('(')?;
                self.write_sum(f, e)?;
                f.write_char(')')
            }
        }
    }

    fn write_division(&self, f: &mut Formatter<'_>, a: Expr, b: Expr) -> fmt::Result {
        // Rounding up by a constant is stored as rounding down; show what was most likely meant.
        if let Some(c) = self.as_const(b).filter(|&c| c > 2) {
            let (x, k) = self.split_constant(a);
            if k == c - 1 {
                return self.write_call(f, "ceildiv", &[x, b]);
            }
        }
        self.write_call(f, "floordiv", &[a, b])
    }

    fn write_call(&self, f: &mut Formatter<'_>, name: &str, arguments: &[Expr]) -> fmt::Result {
        write!(f, "{name}(")?;
        for (i, &a) in arguments.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            self.write_sum(f, a)?;
        }
        f.write_char(')')
    }
}
