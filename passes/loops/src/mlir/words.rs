//! What fills 32 bits: `loops.load_word`, `loops.store_word` and `loops.dot`.
//!
//! A word holds four bytes or two `bf16`. Products of bytes are added up by one instruction where the machine has VNNI. Where it has
//! not, even and odd bytes are widened to 16 bits and multiplied in pairs (`pmaddwd`): a product of an unsigned and a signed byte
//! fits 16 bits with its sign, and the sum of two is one of 32, so this is exact too. (`pmaddubsw` is not: its sums saturate.)
//! Products of `bf16` are added up by one instruction where the machine has AVX512-BF16 (`vdpbf16ps`: rounded to nearest even, what
//! is not normal is zero); elsewhere a shift and a mask make two `f32` of a word.

use super::core::{Emit, Emitter, Reg, Val, type_text};
use super::exprs::LaneForm;
use super::memory::{Buffer, Element};
use nim_ir::Expr;

impl Emitter<'_> {
    /// How many elements of a buffer a word has.
    fn of_a_word(&self, buffer: &Buffer) -> Emit<i64> {
        if !matches!(buffer.element, Element::Int(8) | Element::BF16) || buffer.private.is_some() {
            return Err(self.error("words are those of a shared buffer of bytes or bf16"));
        }
        if self.mask.is_some() {
            return Err(self.error("access to a word cannot depend on a condition that differs from lane to lane"));
        }
        Ok(i64::from(4 / buffer.element.bytes()))
    }

    /// `loops.store_word`.
    pub fn store_word(&mut self, value: &Val, buffer: &Buffer, indices: &[Expr]) -> Emit<()> {
        let elements = self.of_a_word(buffer)?;
        let at = self.position(buffer, indices)?;
        let store = |emitter: &mut Self, value: &Val, at: Expr| {
            let pointer = emitter.address(buffer, at, 1, 0)?;
            let (value, pointer, ty) = (&value.name, &pointer.name, value.ty());
            emitter.line(&format!("llvm.store {value}, {pointer} {{alignment = 1 : i64}} : {ty}, !llvm.ptr"));
            Ok(())
        };
        match self.lane_form(at) {
            LaneForm::Linear { step, rest } if step == elements => {
                let value = self.spread(value, self.lane_loop.map(|l| l.count));
                store(self, &value, rest)
            }
            LaneForm::Uniform(at) if value.lanes.is_none() => store(self, value, at),
            _ => {
                let value = value.clone();
                self.each_lane(at, |emitter, at, lane| {
                    let scalar = emitter.lane(&value, lane);
                    store(emitter, &scalar, at)?;
                    Ok(scalar)
                })?;
                Ok(())
            }
        }
    }

    /// `loops.load_word`.
    pub fn load_word(&mut self, buffer: &Buffer, indices: &[Expr]) -> Emit<Val> {
        let elements = self.of_a_word(buffer)?;
        let at = self.position(buffer, indices)?;
        match self.lane_form(at) {
            LaneForm::Uniform(at) => self.word(buffer, at, None),
            LaneForm::Linear { step, rest } if step == elements => {
                let count = self.lane_loop.map(|l| l.count);
                self.word(buffer, rest, count)
            }
            LaneForm::Linear { .. } | LaneForm::Other(_) => {
                let scalars = self.each_lane(at, |emitter, at, _| emitter.word(buffer, at, None))?;
                Ok(self.join_lanes(&scalars))
            }
        }
    }

    fn word(&mut self, buffer: &Buffer, at: Expr, lanes: Option<u32>) -> Emit<Val> {
        let pointer = self.address(buffer, at, 1, 0)?;
        let ty = type_text(Reg::Int(32), lanes);
        let rhs = format!("llvm.load {} {{alignment = 1 : i64}} : !llvm.ptr -> {ty}", pointer.name);
        Ok(match buffer.constant {
            true => {
                let depth = self.depth();
                self.pure_at(depth, Reg::Int(32), lanes, rhs)
            }
            false => self.fixed(Reg::Int(32), lanes, &rhs),
        })
    }

    /// `loops.dot`.
    pub fn dot(&mut self, acc: &Val, u: &Val, s: &Val) -> Val {
        let lanes = [acc, u, s].iter().find_map(|v| v.lanes);
        let [acc, u, s] = [acc, u, s].map(|v| self.spread(v, lanes));
        let bits = lanes.unwrap_or(0) * 32;
        if acc.reg.is_float() {
            return self.dot_bf16(&acc, &u, &s, bits);
        }
        if matches!(bits, 128 | 256 | 512) && bits <= self.target.byte_products {
            let (a, b) = (self.as_bytes(&u), self.as_bytes(&s));
            let rhs = format!(
                "llvm.call_intrinsic \"llvm.x86.avx512.vpdpbusd.{bits}\"({}, {}, {}) : ({}, {}, {}) -> {}",
                acc.name,
                a.name,
                b.name,
                acc.ty(),
                a.ty(),
                b.ty(),
                acc.ty()
            );
            return self.pure(Reg::Int(32), lanes, &[&acc, &a, &b], rhs);
        }
        if matches!(bits, 128 | 256 | 512) && bits <= self.target.pair_products {
            return self.pairs(&acc, &u, &s);
        }
        let mut sum = acc;
        for k in 0..4 {
            let (byte, up, down) = (self.int(255, 32, None), self.int(24 - 8 * k, 32, None), self.int(24, 32, None));
            let by = self.int(8 * k, 32, None);
            let a = self.op("arith.shrui", "", &[&u, &by]);
            let a = self.op("arith.andi", "", &[&a, &byte]);
            let b = self.op("arith.shli", "", &[&s, &up]);
            let b = self.op("arith.shrsi", "", &[&b, &down]);
            let product = self.op("arith.muli", "", &[&a, &b]);
            sum = self.op("arith.addi", "", &[&sum, &product]);
        }
        sum
    }

    /// `p * 2^n` for 16 floats, where `n` is a whole number: `vscalefps`, which rounds once where the result is denormal.
    pub fn scaled(&mut self, p: &Val, n: &Val) -> Val {
        let all = self.pure(Reg::Int(16), None, &[], "llvm.mlir.constant(-1 : i16) : i16".into());
        let nearest = self.pure(Reg::Int(32), None, &[], "llvm.mlir.constant(4 : i32) : i32".into());
        let rhs = format!(
            "llvm.call_intrinsic \"llvm.x86.avx512.mask.scalef.ps.512\"({p}, {n}, {p}, {}, {}) : ({ty}, {ty}, {ty}, i16, i32) -> {ty}",
            all.name,
            nearest.name,
            p = p.name,
            n = n.name,
            ty = p.ty()
        );
        self.pure(Reg::F32, p.lanes, &[p, n], rhs)
    }

    fn dot_bf16(&mut self, acc: &Val, a: &Val, b: &Val, bits: u32) -> Val {
        if matches!(bits, 128 | 256 | 512) && bits <= self.target.bf16_products {
            let ty = format!("vector<{}xbf16>", bits / 16);
            let [a, b] = [a, b].map(|word| {
                let rhs = format!("vector.bitcast {} : {} to {ty}", word.name, word.ty());
                // Registers have no type of its own for this; nobody else sees the value.
                self.pure(Reg::Int(16), word.lanes.map(|n| 2 * n), &[word], rhs)
            });
            let rhs = format!(
                "llvm.call_intrinsic \"llvm.x86.avx512bf16.dpbf16ps.{bits}\"({}, {}, {}) : ({}, {ty}, {ty}) -> {}",
                acc.name,
                a.name,
                b.name,
                acc.ty(),
                acc.ty()
            );
            return self.pure(Reg::F32, acc.lanes, &[acc, &a, &b], rhs);
        }
        let (sixteen, high) = (self.int(16, 32, None), self.int(0xffff_0000, 32, None));
        let halves = |e: &mut Self, word: &Val| {
            let low = e.op("arith.shli", "", &[word, &sixteen]);
            let high = e.op("arith.andi", "", &[word, &high]);
            [low, high].map(|half| e.cast("arith.bitcast", &half, Reg::F32))
        };
        let (a, b) = (halves(self, a), halves(self, b));
        let mut sum = acc.clone();
        for (a, b) in a.iter().zip(&b) {
            let product = self.fop("arith.mulf", &[a, b]);
            sum = self.fop("arith.addf", &[&sum, &product]);
        }
        sum
    }

    fn as_bytes(&mut self, value: &Val) -> Val {
        let lanes = value.lanes.map(|n| 4 * n);
        let rhs = format!("vector.bitcast {} : {} to {}", value.name, value.ty(), type_text(Reg::Int(8), lanes));
        self.pure(Reg::Int(8), lanes, &[value], rhs)
    }

    /// Even and odd bytes as 16-bit integers, products in pairs.
    fn pairs(&mut self, acc: &Val, u: &Val, s: &Val) -> Val {
        let halves = |e: &mut Self, value: &Val| {
            let lanes = value.lanes.map(|n| 2 * n);
            let rhs = format!("vector.bitcast {} : {} to {}", value.name, value.ty(), type_text(Reg::Int(16), lanes));
            e.pure(Reg::Int(16), lanes, &[value], rhs)
        };
        let (u, s) = (halves(self, u), halves(self, s));
        let (low, eight) = (self.int(255, 16, None), self.int(8, 16, None));
        let even = (self.op("arith.andi", "", &[&u, &low]), self.op("arith.shli", "", &[&s, &eight]));
        let even = (even.0, self.op("arith.shrsi", "", &[&even.1, &eight]));
        let odd = (self.op("arith.shrui", "", &[&u, &eight]), self.op("arith.shrsi", "", &[&s, &eight]));
        let name = match acc.lanes {
            Some(4) => "sse2.pmadd.wd",
            Some(8) => "avx2.pmadd.wd",
            _ => "avx512.pmaddw.d.512",
        };
        let mut sum = acc.clone();
        for (a, b) in [even, odd] {
            let rhs = format!(
                "llvm.call_intrinsic \"llvm.x86.{name}\"({}, {}) : ({}, {}) -> {}",
                a.name,
                b.name,
                a.ty(),
                b.ty(),
                acc.ty()
            );
            let part = self.pure(Reg::Int(32), acc.lanes, &[&a, &b], rhs);
            sum = self.op("arith.addi", "", &[&sum, &part]);
        }
        sum
    }
}
