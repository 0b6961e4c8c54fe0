//! `dense<...>`: nested lists, one element for all, or the bytes in hexadecimal.

use super::{
    Parser,
    attrs::{float_fits, integer_value},
};
use crate::{
    codes,
    lexer::{Kind, Token},
    numbers, strings,
};
use nim_ir::{Attr, AttrData, Diagnostic, FloatKind, Type, TypeData, attrs::Elements, syntax::Parse};
use nim_tensor::{Blob, DType, Rounding};

/// A number or word as written.
#[derive(Copy, Clone)]
struct Number {
    negative: bool,
    token: Token,
}

/// An element as written.
#[derive(Copy, Clone)]
enum Literal {
    One(Number),
    Complex(Number, Number),
}

impl Literal {
    fn token(self) -> Token {
        match self {
            Literal::One(n) | Literal::Complex(n, _) => n.token,
        }
    }
}

/// Elements in order, and the shape of the lists.
#[derive(Default)]
struct Lists {
    elements: Vec<Literal>,
    /// `None` at a depth that no list has fixed yet.
    shape: Vec<usize>,
}

impl Parser<'_> {
    pub(super) fn dense_attr(&mut self) -> Parse<Attr> {
        let start = self.tokens.bump();
        self.expect_token("<")?;
        let open = self.tokens.peek();
        let mut lists = Lists::default();
        let is_list = self.peek_is("[");
        if !self.peek_is(">") {
            self.dense_literal(&mut lists, 0)?;
        }
        self.expect_token(">")?;
        let close = self.tokens.previous().map_or(start, |t| t);
        let ty = self.elements_type()?;
        if self.is_error_type(ty) {
            return Ok(self.ctx.unit_attr());
        }
        let dims = self.elements_shape(ty, start)?;
        let host = self.ctx.dtype_of(ty);
        let count: usize = dims.iter().product();
        if let (false, [Literal::One(n)], Some(_)) = (is_list, lists.elements.as_slice(), host)
            && n.token.kind == Kind::String
            && host != Some(DType::String)
        {
            return self.dense_hex(n.token, ty, count);
        }
        let splat = !is_list && lists.elements.len() == 1;
        if !splat && lists.shape != dims && !(lists.elements.is_empty() && count == 0) {
            let message = format!("elements of shape {:?} do not fit {}", lists.shape, self.ctx.display_type(ty));
            return Err(self.error(codes::BAD_ELEMENTS, open, message));
        }
        if host.is_none() {
            self.wide_elements(ty, &lists.elements, count, is_list)?;
            // Tensors of the host cannot hold the elements: kept as it stands.
            let text = format!("{} : ", &self.tokens.source()[start.start as usize..close.end as usize]);
            return Ok(self.verbatim_text(&text, ty));
        }
        self.dense_of(ty, &lists.elements, count)
    }

    /// Checks elements of floats that the host does not have; `count` are wanted.
    fn wide_elements(&mut self, ty: Type, literals: &[Literal], count: usize, is_list: bool) -> Parse<()> {
        let element = self.ctx.element_type(ty).unwrap_or(ty);
        let (float, parts) = match self.ctx.type_data(element) {
            TypeData::Float(kind) => (*kind, 1),
            TypeData::Complex(part) => match self.ctx.type_data(*part) {
                TypeData::Float(kind) => (*kind, 2),
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        if let (false, [Literal::One(n)]) = (is_list, literals)
            && n.token.kind == Kind::String
        {
            let size = parts * (float.bits() as usize).div_ceil(8);
            let bytes = strings::unquote(self.tokens.text(n.token)).ok().and_then(|text| strings::unhex(&text));
            return match bytes.map(|b| b.len()) {
                Some(found) if found == size || Some(found) == count.checked_mul(size) => Ok(()),
                Some(found) => {
                    let message = format!(
                        "{} need {} bytes, found {found}",
                        self.ctx.display_type(ty),
                        count.saturating_mul(size)
                    );
                    Err(self.error(codes::BAD_ELEMENTS, n.token, message))
                }
                None => {
                    let message = "the bytes of the elements are written `\"0x...\"`";
                    Err(self.error(codes::BAD_ELEMENTS, n.token, message))
                }
            };
        }
        for &literal in literals {
            let numbers = match (literal, parts) {
                (Literal::One(n), 1) => vec![n],
                (Literal::Complex(re, im), 2) => vec![re, im],
                (Literal::One(n), _) => {
                    return Err(self.error(codes::BAD_ELEMENTS, n.token, "a complex element is written `(1.0, 2.0)`"));
                }
                (Literal::Complex(re, _), _) => {
                    return Err(self.error(codes::BAD_ELEMENTS, re.token, "the elements are not complex"));
                }
            };
            for n in numbers {
                if let Err(message) = float_fits(n.token.kind, n.negative, self.tokens.text(n.token), float) {
                    return Err(self.error(codes::BAD_ELEMENTS, n.token, message));
                }
            }
        }
        Ok(())
    }

    fn dense_literal(&mut self, lists: &mut Lists, depth: usize) -> Parse<()> {
        if !self.accept_token("[") {
            let element = self.dense_element()?;
            lists.elements.push(element);
            return Ok(());
        }
        let open = self.tokens.previous().unwrap_or(self.tokens.peek());
        let known = depth < lists.shape.len();
        if !known {
            lists.shape.push(0);
        }
        let mut children = None;
        let items = self.nested(|p| {
            p.list_until("]", |p| {
                let is_list = p.peek_is("[");
                if *children.get_or_insert(is_list) != is_list || (!is_list && lists.shape.len() > depth + 1) {
                    let token = p.tokens.peek();
                    return Err(p.error(codes::BAD_ELEMENTS, token, "lists and elements stand at the same level"));
                }
                p.dense_literal(lists, depth + 1)
            })
        })?;
        if known && lists.shape[depth] != items.len() {
            let message = format!("this list has {} items, the one before it {}", items.len(), lists.shape[depth]);
            return Err(self.error(codes::BAD_ELEMENTS, open, message));
        }
        lists.shape[depth] = items.len();
        Ok(())
    }

    fn dense_number(&mut self) -> Parse<Number> {
        let negative = self.accept_token("-");
        let token = self.tokens.peek();
        let word = matches!(self.tokens.text(token), "true" | "false");
        match token.kind {
            Kind::Integer | Kind::HexInteger | Kind::Float => {}
            Kind::String if !negative => {}
            Kind::BareId if !negative && word => {}
            _ => return Err(self.unexpected("an element")),
        }
        self.tokens.bump();
        Ok(Number { negative, token })
    }

    fn dense_element(&mut self) -> Parse<Literal> {
        if !self.accept_token("(") {
            return self.dense_number().map(Literal::One);
        }
        let real = self.dense_number()?;
        self.expect_token(",")?;
        let imaginary = self.dense_number()?;
        self.expect_token(")")?;
        Ok(Literal::Complex(real, imaginary))
    }

    /// Sizes of an elements type.
    fn elements_shape(&mut self, ty: Type, at: Token) -> Parse<Vec<usize>> {
        let dims = match self.ctx.type_data(ty) {
            TypeData::Vector { dims, .. } => Some(dims.iter().map(|&(d, _)| d).collect()),
            TypeData::Tensor { .. } | TypeData::MemRef { .. } => self.ctx.static_dims(ty),
            _ => None,
        };
        let sizes = dims.and_then(|d| d.into_iter().map(|d| usize::try_from(d).ok()).collect::<Option<Vec<_>>>());
        let Some(sizes) = sizes else {
            let message =
                format!("elements need a tensor or vector of fixed shape, found {}", self.ctx.display_type(ty));
            return Err(self.error(codes::BAD_ELEMENTS, at, message));
        };
        if nim_tensor::tensor::element_count(&sizes).is_none() {
            return Err(self.error(codes::BAD_ELEMENTS, at, "the number of elements overflows"));
        }
        Ok(sizes)
    }

    fn dense_of(&mut self, ty: Type, literals: &[Literal], count: usize) -> Parse<Attr> {
        let Some(dtype) = self.ctx.dtype_of(ty) else { return Err(nim_ir::syntax::Reported) };
        if dtype == DType::String {
            let mut elements = vec![];
            for literal in literals {
                let token = literal.token();
                let text =
                    if token.kind == Kind::String { strings::unquote(self.tokens.text(token)).ok() } else { None };
                match text {
                    Some(text) => elements.push(self.ctx.name(&text)),
                    None => {
                        return Err(self.error(codes::BAD_ELEMENTS, token, "the elements of this tensor are strings"));
                    }
                }
            }
            if let &[one] = elements.as_slice() {
                elements = vec![one; count];
            }
            return Ok(self.ctx.attr(AttrData::DenseStrings { ty, elements }));
        }
        let mut bytes = Vec::with_capacity(literals.len() * dtype.size());
        let mut bad = false;
        for &literal in literals {
            match self.element_bytes(dtype, ty, literal) {
                Ok(element) => bytes.extend_from_slice(&element),
                // All wrong elements are reported.
                Err((token, message)) => {
                    let loc = self.loc_of(token);
                    self.emit(Diagnostic::error(codes::BAD_ELEMENTS, loc, message));
                    bad = true;
                }
            }
        }
        if bad {
            return Err(nim_ir::syntax::Reported);
        }
        Ok(self.dense_bytes(ty, dtype, bytes, count))
    }

    /// The attribute of these bytes: all elements or one of them; equal elements become one.
    fn dense_bytes(&self, ty: Type, dtype: DType, mut bytes: Vec<u8>, count: usize) -> Attr {
        let size = dtype.size();
        let splat = count > 0 && !bytes.is_empty() && bytes.chunks_exact(size).all(|c| c == &bytes[..size]);
        if splat {
            bytes.truncate(size);
        }
        if count == 0 {
            bytes.clear();
        }
        self.ctx.attr(AttrData::Dense { ty, elements: Elements { bytes: Blob::new(bytes), splat } })
    }

    fn element_bytes(&self, dtype: DType, ty: Type, literal: Literal) -> Result<Vec<u8>, (Token, String)> {
        let element = self.ctx.element_type(ty).unwrap_or(ty);
        let half = match dtype {
            DType::C64 => Some((DType::F32, FloatKind::F32)),
            DType::C128 => Some((DType::F64, FloatKind::F64)),
            _ => None,
        };
        let part = |n: Number, kind: FloatKind, dtype: DType| {
            let text = self.tokens.text(n.token);
            // Bits are taken as they are: a NaN keeps its payload.
            if let (Kind::HexInteger, false, Ok(bits)) =
                (n.token.kind, n.negative, u64::from_str_radix(text.get(2..).unwrap_or_default(), 16))
                && kind.bits() <= 64
                && (kind.bits() == 64 || bits >> kind.bits() == 0)
            {
                return Ok(numbers::little_endian(&bits.to_le_bytes()[..dtype.size()]));
            }
            let value = self.float_value(n.token.kind, n.negative, text, kind).map_err(|m| (n.token, m))?;
            // It is a value of the type, an infinity too.
            let rounding = Rounding { saturate: false, ..Rounding::default() };
            Ok(nim_tensor::encode_f64_with(dtype, value, rounding).to_vec())
        };
        match (literal, half) {
            (Literal::Complex(re, im), Some((dtype, kind))) => {
                let mut bytes = part(re, kind, dtype)?;
                bytes.extend(part(im, kind, dtype)?);
                Ok(bytes)
            }
            (_, Some(_)) => Err((literal.token(), "a complex element is written `(1.0, 2.0)`".into())),
            (Literal::Complex(re, _), None) => Err((re.token, "the elements are not complex".into())),
            (Literal::One(n), None) => {
                if let TypeData::Float(kind) = self.ctx.type_data(element) {
                    return part(n, *kind, dtype);
                }
                let text = self.tokens.text(n.token);
                let value = match text {
                    "true" | "false" if dtype == DType::Bool => i128::from(text == "true"),
                    _ => integer_value(n.token.kind, n.negative, text)
                        .and_then(|v| numbers::integer_in(self.ctx, element, v))
                        .map_err(|m| (n.token, m))?,
                };
                Ok(nim_tensor::encode_i64(dtype, value as i64).to_vec())
            }
        }
    }

    /// `"0x..."`: the elements' bytes, little-endian; truth values may be packed eight to a byte, as upstream does.
    fn dense_hex(&mut self, token: Token, ty: Type, count: usize) -> Parse<Attr> {
        let Some(dtype) = self.ctx.dtype_of(ty) else { return Err(nim_ir::syntax::Reported) };
        let text = strings::unquote(self.tokens.text(token)).ok();
        let Some(bytes) = text.as_deref().and_then(strings::unhex) else {
            return Err(self.error(codes::BAD_ELEMENTS, token, "the bytes of the elements are written `\"0x...\"`"));
        };
        let packed = count.div_ceil(8);
        let bytes = match dtype {
            DType::Bool if bytes.len() == packed && packed != count => {
                (0..count).map(|i| bytes[i / 8] >> (i % 8) & 1).collect()
            }
            // One byte for all: upstream writes 0xFF for true.
            DType::Bool => bytes.iter().map(|&b| u8::from(b != 0)).collect(),
            _ => numbers::elements_little_endian(dtype, &bytes),
        };
        if bytes.len() != count * dtype.size() && bytes.len() != dtype.size() {
            let message =
                format!("{} need {} bytes, found {}", self.ctx.display_type(ty), count * dtype.size(), bytes.len());
            return Err(self.error(codes::BAD_ELEMENTS, token, message));
        }
        Ok(self.dense_bytes(ty, dtype, bytes, count))
    }
}
