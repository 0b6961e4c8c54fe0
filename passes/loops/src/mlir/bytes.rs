//! Bytes in fours: `loops.load4` and `loops.dot4`.
//!
//! A number of 32 bits holds four bytes. Their products are added up by one instruction where the machine has VNNI. Where it has
//! not, even and odd bytes are widened to 16 bits and multiplied in pairs (`pmaddwd`): a product of an unsigned and a signed byte
//! fits 16 bits with its sign, and the sum of two is one of 32, so this is exact too. (`pmaddubsw` is not: its sums saturate.)

use super::core::{Emit, Emitter, Reg, Val, type_text};
use super::exprs::LaneForm;
use super::memory::{Buffer, Element};
use nim_ir::Expr;

impl Emitter<'_> {
    /// `loops.load4`.
    pub fn load4(&mut self, buffer: &Buffer, indices: &[Expr]) -> Emit<Val> {
        if buffer.element != Element::Int(8) || buffer.private.is_some() {
            return Err(self.error("`loops.load4` reads from a shared buffer of bytes"));
        }
        if self.mask.is_some() {
            return Err(self.error("`loops.load4` cannot depend on a condition that differs from lane to lane"));
        }
        let at = self.position(buffer, indices)?;
        match self.lane_form(at) {
            LaneForm::Uniform(at) => self.four(buffer, at, None),
            LaneForm::Linear { step: 4, rest } => {
                let count = self.lane_loop.map(|l| l.count);
                self.four(buffer, rest, count)
            }
            LaneForm::Linear { .. } | LaneForm::Other(_) => {
                let scalars = self.each_lane(at, |emitter, at, _| emitter.four(buffer, at, None))?;
                Ok(self.join_lanes(&scalars))
            }
        }
    }

    fn four(&mut self, buffer: &Buffer, at: Expr, lanes: Option<u32>) -> Emit<Val> {
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

    /// `loops.dot4`.
    pub fn dot4(&mut self, acc: &Val, u: &Val, s: &Val) -> Val {
        let lanes = [acc, u, s].iter().find_map(|v| v.lanes);
        let [acc, u, s] = [acc, u, s].map(|v| self.spread(v, lanes));
        let bits = lanes.unwrap_or(0) * 32;
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
