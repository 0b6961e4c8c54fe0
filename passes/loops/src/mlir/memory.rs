//! Buffers: addresses, loads and stores, masked and per lane.
//!
//! A buffer is a bare pointer; an element's address is the row-major position as one expression. Its parts are added in
//! the scopes where they are known, the constant last, so that what is left in an inner loop fits an addressing mode.

use super::core::{Emit, Emitter, Reg, Val, type_text};
use super::exprs::LaneForm;
use nim_ir::{Expr, FloatKind, Signedness, Type, TypeData, ValueId};
use std::rc::Rc;

/// How an element lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Element {
    F32,
    F64,
    F16,
    BF16,
    /// One byte, 0 or 1.
    Bool,
    /// Whole bytes.
    Int(u32),
    /// A few bits in a byte of their own, extended by sign or zeros.
    Short {
        width: u32,
        signed: bool,
    },
    /// An 8-bit float or narrower, one byte each.
    Mini(FloatKind),
}

impl Element {
    pub fn bytes(self) -> u32 {
        match self {
            Element::F64 => 8,
            Element::F32 => 4,
            Element::F16 | Element::BF16 => 2,
            Element::Bool | Element::Short { .. } | Element::Mini(_) => 1,
            Element::Int(width) => width / 8,
        }
    }
    /// The type that is loaded and stored.
    pub fn text(self) -> &'static str {
        match self {
            Element::F32 => "f32",
            Element::F64 => "f64",
            Element::F16 => "f16",
            Element::BF16 => "i16",
            Element::Bool | Element::Short { .. } | Element::Mini(_) => "i8",
            Element::Int(8) => "i8",
            Element::Int(16) => "i16",
            Element::Int(32) => "i32",
            Element::Int(_) => "i64",
        }
    }
    fn typed(self, lanes: Option<u32>) -> String {
        match lanes {
            Some(n) => format!("vector<{n}x{}>", self.text()),
            None => self.text().to_owned(),
        }
    }
}

/// A buffer of the kernel.
#[derive(Clone)]
pub(super) struct Buffer {
    pub pointer: Val,
    pub element: Element,
    pub dims: Vec<Expr>,
    /// A local that each lane of the running vector loop has for itself: lanes lie side by side.
    pub private: Option<u32>,
    /// Nothing writes to it while the kernel runs.
    pub constant: bool,
    /// A local: every access is inside of it.
    pub local: bool,
}

impl Emitter<'_> {
    /// How elements of a type lie in memory.
    pub fn element(&self, ty: Type) -> Emit<Element> {
        Ok(match self.ctx.type_data(ty) {
            TypeData::Index => Element::Int(64),
            TypeData::Float(FloatKind::F32) => Element::F32,
            TypeData::Float(FloatKind::F64) => Element::F64,
            TypeData::Float(FloatKind::F16) => Element::F16,
            TypeData::Float(FloatKind::BF16) => Element::BF16,
            TypeData::Float(kind) if kind.bits() <= 8 => Element::Mini(*kind),
            TypeData::Integer { width: 1, .. } => Element::Bool,
            TypeData::Integer { width: width @ (8 | 16 | 32 | 64), .. } => Element::Int(*width),
            TypeData::Integer { width, sign } if *width < 8 => {
                Element::Short { width: *width, signed: *sign != Signedness::Unsigned }
            }
            _ => return Err(self.error(format!("kernels cannot hold {} in memory", self.ctx.display_type(ty)))),
        })
    }

    /// Row-major position of an element, resolved.
    pub fn position(&mut self, buffer: &Buffer, indices: &[Expr]) -> Emit<Expr> {
        let pool = &self.ctx.exprs;
        if indices.len() != buffer.dims.len() {
            return Err(self.error("a load or store has as many indices as its buffer has dimensions"));
        }
        let mut at = Expr::ZERO;
        for (&index, &dim) in indices.iter().zip(&buffer.dims) {
            at = pool.add(pool.mul(at, dim), index);
        }
        self.resolve(pool.cancel_remainders(at))
    }

    /// The address of element `at` (uniform), scaled by `scale` elements, `extra` elements further.
    pub fn address(&mut self, buffer: &Buffer, at: Expr, scale: i64, extra: i64) -> Emit<Val> {
        let pool = &self.ctx.exprs;
        let (symbolic, constant) = pool.split_constant(pool.scale(scale, at));
        let mut terms: Vec<(usize, Expr)> =
            pool.terms(symbolic).iter().map(|&(k, m)| pool.scale(k, m)).map(|t| (self.expr_depth(t), t)).collect();
        terms.sort_by_key(|&(depth, _)| depth);
        let mut pointer = buffer.pointer.clone();
        let text = buffer.element.text();
        while let Some(&(depth, _)) = terms.first() {
            let count = terms.iter().take_while(|(d, _)| *d == depth).count();
            let level = pool.sum(terms.drain(..count).map(|(_, t)| t));
            let offset = self.uniform(level)?;
            let rhs =
                format!("llvm.getelementptr {}[{}] : (!llvm.ptr, i64) -> !llvm.ptr, {text}", pointer.name, offset.name);
            pointer = self.pure(Reg::Int(64), None, &[&pointer.clone(), &offset], rhs);
        }
        let constant = constant + extra;
        if constant != 0 {
            // Larger constants do not fit the operation's 32 bits.
            let rhs = match i32::try_from(constant) {
                Ok(c) => format!("llvm.getelementptr {}[{c}] : (!llvm.ptr) -> !llvm.ptr, {text}", pointer.name),
                Err(_) => {
                    let offset = self.i64(constant);
                    format!(
                        "llvm.getelementptr {}[{}] : (!llvm.ptr, i64) -> !llvm.ptr, {text}",
                        pointer.name, offset.name
                    )
                }
            };
            pointer = self.pure(Reg::Int(64), None, &[&pointer.clone()], rhs);
        }
        Ok(pointer)
    }

    /// `loops.load`.
    /// Asks for the line of an element (uniform) in the second-level cache.
    pub fn prefetch(&mut self, buffer: &Buffer, indices: &[Expr]) -> Emit<()> {
        let at = self.position(buffer, indices)?;
        let pointer = self.address(buffer, at, 1, 0)?;
        // Of the four degrees of locality, 2 is the second level (`prefetcht1`).
        let attributes = "<{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>";
        self.line(&format!("\"llvm.intr.prefetch\"({}) {attributes} : (!llvm.ptr) -> ()", pointer.name));
        Ok(())
    }

    pub fn load(&mut self, buffer: &Buffer, indices: &[Expr]) -> Emit<Val> {
        let at = self.position(buffer, indices)?;
        if let Some(lanes) = buffer.private {
            if let LaneForm::Uniform(at) = self.lane_form(at) {
                let pointer = self.address(buffer, at, lanes.into(), 0)?;
                return self.plain_load(buffer, &pointer, Some(lanes));
            }
            let scalars = self.each_lane(at, |emitter, at, lane| {
                let pointer = emitter.address(buffer, at, lanes.into(), lane.into())?;
                emitter.plain_load(buffer, &pointer, None)
            })?;
            return Ok(self.join_lanes(&scalars));
        }
        let count = self.lane_loop.map(|l| l.count);
        let mask = if buffer.local { None } else { self.mask.clone() };
        match self.lane_form(at) {
            LaneForm::Uniform(at) => match mask.filter(|_| !self.first_on) {
                None => {
                    let pointer = self.address(buffer, at, 1, 0)?;
                    self.plain_load(buffer, &pointer, None)
                }
                // Nobody may take part, and then the address may lie outside.
                Some(mask) => {
                    let any = self.any(&mask);
                    let pointer = self.address(buffer, at, 1, 0)?;
                    self.guarded_load(buffer, &pointer, &any)
                }
            },
            LaneForm::Linear { step: 1, rest } => {
                let pointer = self.address(buffer, rest, 1, 0)?;
                match mask {
                    None => self.plain_load(buffer, &pointer, count),
                    Some(mask) => self.masked_load(buffer, &pointer, &mask),
                }
            }
            LaneForm::Linear { step, rest }
                if mask.is_none() && matches!(step, -1 | 2) && count.is_some_and(|n| n >= 4) =>
            {
                self.shuffled_load(buffer, rest, step, count.unwrap_or(1))
            }
            LaneForm::Linear { .. } | LaneForm::Other(_) => {
                let scalars = self.each_lane(at, |emitter, at, lane| {
                    let pointer = emitter.address(buffer, at, 1, 0)?;
                    match &mask {
                        None => emitter.plain_load(buffer, &pointer, None),
                        Some(mask) => {
                            let on = emitter.lane(mask, lane);
                            emitter.guarded_load(buffer, &pointer, &on)
                        }
                    }
                })?;
                Ok(self.join_lanes(&scalars))
            }
        }
    }

    /// `loops.store`.
    pub fn store(&mut self, value: &Val, buffer: &Buffer, indices: &[Expr]) -> Emit<()> {
        let at = self.position(buffer, indices)?;
        if let Some(lanes) = buffer.private {
            let LaneForm::Uniform(at) = self.lane_form(at) else {
                let value = self.spread(value, Some(lanes));
                let mask = self.mask.clone();
                self.each_lane(at, |emitter, at, lane| {
                    let pointer = emitter.address(buffer, at, lanes.into(), lane.into())?;
                    let scalar = emitter.lane(&value, lane);
                    let on = mask.as_ref().map(|m| emitter.lane(m, lane));
                    emitter.guarded_store(buffer, &scalar, &pointer, on)?;
                    Ok(scalar)
                })?;
                return Ok(());
            };
            let pointer = self.address(buffer, at, lanes.into(), 0)?;
            let mut value = self.spread(value, Some(lanes));
            if let Some(mask) = self.mask.clone() {
                let old = self.plain_load(buffer, &pointer, Some(lanes))?;
                value = self.select(&mask, &value, &old);
            }
            return self.plain_store(buffer, &value, &pointer);
        }
        let mask = self.mask.clone();
        match self.lane_form(at) {
            LaneForm::Uniform(at) => {
                let pointer = self.address(buffer, at, 1, 0)?;
                match value.lanes {
                    None => {
                        let on = mask.filter(|_| !self.first_on).map(|m| self.any(&m));
                        self.guarded_store(buffer, value, &pointer, on)
                    }
                    // All lanes write one place: in order, so the last one stays.
                    Some(lanes) => {
                        for lane in 0..lanes {
                            let scalar = self.lane(value, lane);
                            let on = mask.as_ref().map(|m| self.lane(m, lane));
                            self.guarded_store(buffer, &scalar, &pointer, on)?;
                        }
                        Ok(())
                    }
                }
            }
            LaneForm::Linear { step: 1, rest } => {
                let count = self.lane_loop.map(|l| l.count);
                let pointer = self.address(buffer, rest, 1, 0)?;
                let value = self.spread(value, count);
                match mask {
                    None => self.plain_store(buffer, &value, &pointer),
                    Some(mask) => self.masked_store(buffer, &value, &pointer, &mask),
                }
            }
            LaneForm::Linear { .. } | LaneForm::Other(_) => {
                // All lanes are rounded at once where that gives integers.
                let whole = buffer.element == Element::BF16;
                let value = if whole { self.encode_memory(buffer.element, value)? } else { value.clone() };
                self.each_lane(at, |emitter, at, lane| {
                    let pointer = emitter.address(buffer, at, 1, 0)?;
                    let scalar = emitter.lane(&value, lane);
                    let raw = if whole { scalar } else { emitter.encode_memory(buffer.element, &scalar)? };
                    let on = mask.as_ref().map(|m| emitter.lane(m, lane));
                    emitter.store_raw(buffer, &raw, &pointer, on);
                    Ok(raw)
                })?;
                Ok(())
            }
        }
    }

    pub fn each_lane(&mut self, at: Expr, mut f: impl FnMut(&mut Self, Expr, u32) -> Emit<Val>) -> Emit<Vec<Val>> {
        let count = self.lane_loop.map_or(1, |l| l.count);
        let mut out = vec![];
        for lane in 0..count {
            let at = self.in_lane(at, lane)?;
            out.push(f(self, at, lane)?);
        }
        Ok(out)
    }

    /// True when any lane is on.
    fn any(&mut self, mask: &Val) -> Val {
        let rhs = format!("vector.reduction <or>, {} : {} into i1", mask.name, mask.ty());
        self.pure(Reg::Int(1), None, &[mask], rhs)
    }

    /// Every second element, or elements backwards, from whole vectors; nothing beyond the last element is touched.
    fn shuffled_load(&mut self, buffer: &Buffer, rest: Expr, step: i64, lanes: u32) -> Emit<Val> {
        let n = i64::from(lanes);
        let (first, second, order): (i64, Option<i64>, Vec<i64>) = if step < 0 {
            (1 - n, None, (0..n).rev().collect())
        } else {
            // The second vector begins with the last element of the first.
            (0, Some(n - 1), (0..n).map(|i| if 2 * i < n { 2 * i } else { 2 * i - (n - 1) + n }).collect())
        };
        let pointer = self.address(buffer, rest, 1, first)?;
        let a = self.plain_load(buffer, &pointer, Some(lanes))?;
        let b = match second {
            Some(extra) => {
                let pointer = self.address(buffer, rest, 1, extra)?;
                self.plain_load(buffer, &pointer, Some(lanes))?
            }
            None => a.clone(),
        };
        let order: Vec<String> = order.iter().map(i64::to_string).collect();
        let rhs = format!("vector.shuffle {}, {} [{}] : {}, {}", a.name, b.name, order.join(", "), a.ty(), b.ty());
        Ok(self.pure(a.reg, Some(lanes), &[&a, &b], rhs))
    }

    fn plain_load(&mut self, buffer: &Buffer, pointer: &Val, lanes: Option<u32>) -> Emit<Val> {
        let element = buffer.element;
        let ty = element.typed(lanes);
        let rhs = format!("llvm.load {} {{alignment = {} : i64}} : !llvm.ptr -> {ty}", pointer.name, element.bytes());
        let reg = raw_reg(element);
        let raw = match buffer.constant {
            true => {
                let depth = self.depth();
                self.pure_at(depth, reg, lanes, rhs)
            }
            false => self.fixed(reg, lanes, &rhs),
        };
        self.decode_memory(element, &raw)
    }

    fn plain_store(&mut self, buffer: &Buffer, value: &Val, pointer: &Val) -> Emit<()> {
        self.guarded_store(buffer, value, pointer, None)
    }

    fn masked_load(&mut self, buffer: &Buffer, pointer: &Val, mask: &Val) -> Emit<Val> {
        let element = buffer.element;
        let reg = raw_reg(element);
        let ty = element.typed(mask.lanes);
        let zero = self.raw_zero(element, mask.lanes);
        let rhs = format!(
            "llvm.intr.masked.load {}, {}, {} {{alignment = {} : i32}} : (!llvm.ptr, {}, {ty}) -> {ty}",
            pointer.name,
            mask.name,
            zero.name,
            element.bytes(),
            mask.ty()
        );
        let raw = self.fixed(reg, mask.lanes, &rhs);
        self.decode_memory(element, &raw)
    }

    fn masked_store(&mut self, buffer: &Buffer, value: &Val, pointer: &Val, mask: &Val) -> Emit<()> {
        let raw = self.encode_memory(buffer.element, value)?;
        let ty = buffer.element.typed(raw.lanes);
        let align = buffer.element.bytes();
        self.line(&format!(
            "llvm.intr.masked.store {}, {}, {} {{alignment = {align} : i32}} : {ty}, {} into !llvm.ptr",
            raw.name,
            pointer.name,
            mask.name,
            mask.ty()
        ));
        Ok(())
    }

    /// A scalar load where `on` holds, else zero.
    fn guarded_load(&mut self, buffer: &Buffer, pointer: &Val, on: &Val) -> Emit<Val> {
        let (element, reg) = (buffer.element, raw_reg(buffer.element));
        let zero = self.raw_zero(element, None);
        let (ty, align) = (element.text(), element.bytes());
        let (inner, out): (Rc<str>, Rc<str>) = (self.fresh(), self.fresh());
        self.line(&format!("{out} = scf.if {} -> ({ty}) {{", on.name));
        self.line(&format!("  {inner} = llvm.load {} {{alignment = {align} : i64}} : !llvm.ptr -> {ty}", pointer.name));
        self.line(&format!("  scf.yield {inner} : {ty}"));
        self.line("} else {");
        self.line(&format!("  scf.yield {} : {ty}", zero.name));
        self.line("}");
        let raw = Val { name: out, reg, lanes: None, depth: self.depth() };
        self.decode_memory(element, &raw)
    }

    fn guarded_store(&mut self, buffer: &Buffer, value: &Val, pointer: &Val, on: Option<Val>) -> Emit<()> {
        let raw = self.encode_memory(buffer.element, value)?;
        self.store_raw(buffer, &raw, pointer, on);
        Ok(())
    }

    /// Stores what is encoded already, where `on` holds.
    fn store_raw(&mut self, buffer: &Buffer, raw: &Val, pointer: &Val, on: Option<Val>) {
        let (ty, align) = (buffer.element.typed(raw.lanes), buffer.element.bytes());
        let store =
            format!("llvm.store {}, {} {{alignment = {align} : i64}} : {ty}, !llvm.ptr", raw.name, pointer.name);
        match on {
            None => self.line(&store),
            Some(on) => {
                self.line(&format!("scf.if {} {{", on.name));
                self.line(&format!("  {store}"));
                self.line("}");
            }
        }
    }

    fn raw_zero(&mut self, element: Element, lanes: Option<u32>) -> Val {
        match raw_reg(element) {
            _ if element == Element::F16 => {
                let ty = element.typed(lanes);
                let text = if lanes.is_some() { "dense<0.0>" } else { "0.0" };
                self.pure_at(0, Reg::Int(16), lanes, format!("arith.constant {text} : {ty}"))
            }
            Reg::Int(width) => self.int(0, width, lanes),
            reg => self.float(0.0, reg, lanes),
        }
    }

    /// What was loaded, as it is held in registers.
    fn decode_memory(&mut self, element: Element, raw: &Val) -> Emit<Val> {
        let value = self.decoded(element, raw)?;
        if matches!(element, Element::F16 | Element::BF16) {
            self.widened.insert(value.name.clone(), (element, raw.clone()));
        }
        Ok(value)
    }

    fn decoded(&mut self, element: Element, raw: &Val) -> Emit<Val> {
        Ok(match element {
            Element::F32 | Element::F64 | Element::Int(_) => raw.clone(),
            Element::Bool => {
                let zero = self.int(0, 8, raw.lanes);
                self.compare("ne", raw, &zero)
            }
            Element::Short { width, .. } => self.cast("arith.trunci", raw, Reg::Int(width)),
            Element::F16 => {
                let (from, to) = (element.typed(raw.lanes), type_text(Reg::F32, raw.lanes));
                self.pure(Reg::F32, raw.lanes, &[raw], format!("arith.extf {} : {from} to {to}", raw.name))
            }
            Element::BF16 => {
                let wide = self.cast("arith.extui", raw, Reg::Int(32));
                let sixteen = self.int(16, 32, raw.lanes);
                let shifted = self.op("arith.shli", "", &[&wide, &sixteen]);
                self.cast("arith.bitcast", &shifted, Reg::F32)
            }
            Element::Mini(kind) => self.decode_mini(kind, raw)?,
        })
    }

    /// A value of a register, as it is stored.
    fn encode_memory(&mut self, element: Element, value: &Val) -> Emit<Val> {
        // What was widened is rounded already.
        if let Some((_, raw)) = self.widened.get(&value.name).filter(|(from, _)| *from == element) {
            return Ok(raw.clone());
        }
        Ok(match element {
            Element::F32 | Element::F64 | Element::Int(_) => value.clone(),
            Element::Bool => self.cast("arith.extui", value, Reg::Int(8)),
            Element::Short { signed: true, .. } => self.cast("arith.extsi", value, Reg::Int(8)),
            Element::Short { .. } => self.cast("arith.extui", value, Reg::Int(8)),
            Element::F16 => {
                let (from, to) = (value.ty(), element.typed(value.lanes));
                self.pure(Reg::Int(16), value.lanes, &[value], format!("arith.truncf {} : {from} to {to}", value.name))
            }
            Element::BF16 => self.bf16_bits(value),
            Element::Mini(kind) => self.encode_mini(kind, value)?,
        })
    }

    /// The bits of an `f32` rounded to `bf16`, half to even; NaN stays a quiet NaN.
    pub fn bf16_bits(&mut self, value: &Val) -> Val {
        let lanes = value.lanes;
        if self.target.bf16_rounding {
            let short = lanes.map_or_else(|| "bf16".to_owned(), |n| format!("vector<{n}xbf16>"));
            let rhs = format!("arith.truncf {} : {} to {short}", value.name, value.ty());
            let rounded = self.pure(Reg::Int(16), lanes, &[value], rhs);
            let rhs = format!("arith.bitcast {} : {short} to {}", rounded.name, rounded.ty());
            return self.pure(Reg::Int(16), lanes, &[&rounded], rhs);
        }
        let bits = self.cast("arith.bitcast", value, Reg::Int(32));
        let (sixteen, one) = (self.int(16, 32, lanes), self.int(1, 32, lanes));
        let (half, quiet) = (self.int(0x7fff, 32, lanes), self.int(0x40_0000, 32, lanes));
        let high = self.op("arith.shrui", "", &[&bits, &sixteen]);
        let odd = self.op("arith.andi", "", &[&high, &one]);
        let bias = self.op("arith.addi", "", &[&odd, &half]);
        let rounded = self.op("arith.addi", "", &[&bits, &bias]);
        let nan = self.op("arith.ori", "", &[&bits, &quiet]);
        let is_nan = self.compare("uno", value, value);
        let chosen = self.select(&is_nan, &nan, &rounded);
        let shifted = self.op("arith.shrui", "", &[&chosen, &sixteen]);
        self.cast("arith.trunci", &shifted, Reg::Int(16))
    }

    /// A float in `f32` rounded to what a short float can hold.
    pub fn round_to(&mut self, kind: FloatKind, value: &Val) -> Emit<Val> {
        let Some(element) = short_float(kind) else { return Ok(value.clone()) };
        let raw = self.encode_memory(element, value)?;
        self.decode_memory(element, &raw)
    }

    /// The bits of a short float, as an integer of 16 or 8 bits.
    pub fn short_bits(&mut self, kind: FloatKind, value: &Val) -> Emit<Val> {
        let Some(element) = short_float(kind) else { return Ok(value.clone()) };
        let raw = self.encode_memory(element, value)?;
        Ok(match element {
            Element::F16 => {
                let (from, to) = (element.typed(raw.lanes), type_text(Reg::Int(16), raw.lanes));
                self.pure(Reg::Int(16), raw.lanes, &[&raw], format!("arith.bitcast {} : {from} to {to}", raw.name))
            }
            _ => raw,
        })
    }

    /// The short float of these bits.
    pub fn short_of_bits(&mut self, kind: FloatKind, bits: &Val) -> Emit<Val> {
        let Some(element) = short_float(kind) else { return Ok(bits.clone()) };
        let raw = match element {
            Element::F16 => {
                let (from, to) = (bits.ty(), element.typed(bits.lanes));
                self.pure(Reg::Int(16), bits.lanes, &[bits], format!("arith.bitcast {} : {from} to {to}", bits.name))
            }
            // Codes of fewer bits than a byte.
            _ if bits.reg.bits() < 8 => self.cast("arith.extui", bits, Reg::Int(8)),
            _ => bits.clone(),
        };
        self.decode_memory(element, &raw)
    }

    /// `loops.local`.
    pub fn local(&mut self, result: ValueId) -> Emit<()> {
        let ty = self.body.ty(result);
        let element_ty = self.ctx.element_type(ty).unwrap_or(ty);
        let element = self.element(element_ty)?;
        let dims = self.ctx.static_dims(ty).ok_or_else(|| self.error("`loops.local` needs a constant size"))?;
        let private = self.lane_loop.map(|l| l.count);
        let count = dims.iter().product::<i64>().max(1) * i64::from(private.unwrap_or(1));
        let size = self.i64(count);
        let align = if count > 1 { 64 } else { element.bytes() };
        let text = element.text();
        // In the entry block, where LLVM can turn it into registers.
        let rhs = format!("llvm.alloca {} x {text} {{alignment = {align} : i64}} : (i64) -> !llvm.ptr", size.name);
        let pointer = self.fixed_at(0, Reg::Int(64), None, &rhs);
        let dims = dims.iter().map(|&d| self.ctx.exprs.constant(d)).collect();
        self.buffers.insert(result, Buffer { pointer, element, dims, private, constant: false, local: true });
        Ok(())
    }
}

/// How a float of less than 32 bits lies in memory.
fn short_float(kind: FloatKind) -> Option<Element> {
    match kind {
        FloatKind::F16 => Some(Element::F16),
        FloatKind::BF16 => Some(Element::BF16),
        kind if kind.bits() <= 8 => Some(Element::Mini(kind)),
        _ => None,
    }
}

/// The register type of what is loaded; `f16` has none of its own and passes as its bits.
fn raw_reg(element: Element) -> Reg {
    match element {
        Element::F32 => Reg::F32,
        Element::F64 => Reg::F64,
        Element::F16 | Element::BF16 => Reg::Int(16),
        Element::Bool | Element::Short { .. } | Element::Mini(_) => Reg::Int(8),
        Element::Int(width) => Reg::Int(width),
    }
}
