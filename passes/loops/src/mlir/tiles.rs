//! Tile registers as AMX has them: `loops.tile_*`, and the configuration that a loop with `tiles` begins with.
//!
//! Registers keep the numbers that they have in `loops`: the intrinsics with numbers name machine registers, so nothing is allocated
//! and nothing is ever spilled. Each thread configures its own registers where its part of the loop begins, if it has one, and
//! releases them behind it, so that no state is left for the system to save.

use super::core::{Emit, Emitter, Reg, Val, type_text};
use super::exprs::LaneForm;
use nim_ir::{Expr, OpId};
use nim_loops::{TileKind, TileView, tile_shapes};

impl Emitter<'_> {
    /// Runs the closure, with the tile registers that a loop gives a shape configured around it.
    pub fn with_tiles(&mut self, op: OpId, f: impl FnOnce(&mut Self) -> Emit<()>) -> Emit<()> {
        let Some(shapes) = tile_shapes(self.ctx, self.body, op) else { return f(self) };
        let pool = &self.ctx.exprs;
        // The 64 bytes of LDTILECFG (Intel's manual, volume 2) as eight numbers: palette 1; from byte 16 on the bytes of a row, 16
        // bits each; from byte 48 on the numbers of rows, 8 bits each.
        let mut numbers = [1i64, 0, 0, 0, 0, 0, 0, 0];
        let mut rows = Expr::ZERO;
        for (t, shape) in shapes.iter().enumerate() {
            numbers[2 + t / 4] |= shape.bytes << (16 * (t % 4));
            rows = pool.add(rows, pool.scale(1 << (8 * t), shape.rows));
        }
        let rows = self.resolve(rows)?;
        let known = pool.as_const(rows);
        numbers[6] = known.unwrap_or(0);
        let size = self.i64(8);
        let rhs = format!("llvm.alloca {} x i64 {{alignment = 64 : i64}} : (i64) -> !llvm.ptr", size.name);
        let place = self.fixed_at(0, Reg::Int(64), None, &rhs);
        let ty = type_text(Reg::Int(64), Some(8));
        let numbers = numbers.map(|n| n.to_string()).join(", ");
        let constant = self.pure_at(0, Reg::Int(64), Some(8), format!("arith.constant dense<[{numbers}]> : {ty}"));
        self.line(&format!("llvm.store {}, {} {{alignment = 64 : i64}} : {ty}, !llvm.ptr", constant.name, place.name));
        if known.is_none() {
            let rows = self.uniform(rows)?;
            let at = format!("llvm.getelementptr {}[6] : (!llvm.ptr) -> !llvm.ptr, i64", place.name);
            let at = self.pure(Reg::Int(64), None, &[&place], at);
            self.line(&format!("llvm.store {}, {} {{alignment = 8 : i64}} : i64, !llvm.ptr", rows.name, at.name));
        }
        self.tile_intrinsic("ldtilecfg", &[], Some(&place), None);
        let done = f(self);
        self.tile_intrinsic("tilerelease", &[], None, None);
        done
    }

    /// An op on tile registers.
    pub fn tile_op(&mut self, op: OpId) -> Emit<()> {
        let view = TileView::new(self.ctx, self.body, op);
        let view = view.ok_or_else(|| self.error("an op on tile registers lacks an attribute"))?;
        if self.lane_loop.is_some() || self.mask.is_some() {
            return Err(self.error("an op on tile registers cannot stand in a vector loop"));
        }
        match view {
            TileView::Zero { tile } => self.tile_intrinsic("tilezero", &[tile], None, None),
            TileView::Dot { kind, tiles } => {
                let name = match kind {
                    TileKind::Bf16 => "tdpbf16ps",
                    TileKind::Bytes { left_signed: false, right_signed: false } => "tdpbuud",
                    TileKind::Bytes { left_signed: false, right_signed: true } => "tdpbusd",
                    TileKind::Bytes { left_signed: true, right_signed: false } => "tdpbsud",
                    TileKind::Bytes { left_signed: true, right_signed: true } => "tdpbssd",
                };
                self.tile_intrinsic(name, &tiles, None, None);
            }
            TileView::Move { tile, buffer, indices, stride, store } => {
                let buffer = self.buffer(buffer)?;
                if buffer.private.is_some() {
                    return Err(self.error("tile registers are moved from and to shared buffers"));
                }
                let at = self.position(&buffer, &indices)?;
                let LaneForm::Uniform(at) = self.lane_form(at) else {
                    return Err(self.error("where a tile lies differs from lane to lane"));
                };
                let pointer = self.address(&buffer, at, 1, 0)?;
                let stride = self.ctx.exprs.scale(buffer.element.bytes().into(), stride);
                let stride = self.resolve(stride)?;
                let stride = self.uniform(stride)?;
                let name = if store { "tilestored64" } else { "tileloadd64" };
                self.tile_intrinsic(name, &[tile], Some(&pointer), Some(&stride));
            }
        }
        Ok(())
    }

    fn tile_intrinsic(&mut self, name: &str, tiles: &[usize], pointer: Option<&Val>, stride: Option<&Val>) {
        let numbers: Vec<Val> = tiles.iter().map(|&t| self.int(t as i128, 8, None)).collect();
        let (mut names, mut types): (Vec<&str>, Vec<&str>) = numbers.iter().map(|v| (&*v.name, "i8")).unzip();
        for (value, ty) in [(pointer, "!llvm.ptr"), (stride, "i64")] {
            names.extend(value.map(|v| &*v.name));
            types.extend(value.map(|_| ty));
        }
        let line =
            format!("llvm.call_intrinsic \"llvm.x86.{name}\"({}) : ({}) -> ()", names.join(", "), types.join(", "));
        self.line(&line);
    }
}
