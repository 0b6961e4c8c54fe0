//! Tile registers: the shapes that a loop gives them, and the ops that load, multiply and store them.
//!
//! A tile register holds up to 16 rows of up to 64 bytes. There are eight, known by their numbers. A `loops.for` with `tiles` gives
//! the first of them their shapes for as long as it runs; the ops on tiles stand inside of it, so who reads one knows its shape.

use crate::access::{parse_indices, print_access, verify_indices};
use crate::{For, TileDot, TileLoad, TileStore, TileZero};
use nim_builtin::syntax::{attr, error, error_at, print_attrs, set};
use nim_ir::{
    Body, Context, Diagnostic, Expr, FloatKind, OpId, OpState, Type, TypeData,
    syntax::{AsmParser, AsmPrinter, Parse},
};

/// Tile registers that there are.
pub const TILE_REGISTERS: usize = 8;
/// Most rows of a tile.
pub const TILE_ROWS: i64 = 16;
/// Most bytes of a row.
pub const TILE_BYTES: i64 = 64;

/// The shape of a tile register.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TileShape {
    /// Rows, 1 to 16. May depend on sizes that are known when the kernel runs.
    pub rows: Expr,
    /// Bytes of a row: a multiple of 4 up to 64.
    pub bytes: i64,
}

/// The shapes that a `loops.for` gives to tile registers 0, 1, ...; `None` if it gives none.
pub fn tile_shapes(ctx: &Context, body: &Body, op: OpId) -> Option<Vec<TileShape>> {
    For::is(ctx, body, op).then_some(())?;
    let rows = ctx.as_exprs(For::tile_rows(ctx, body, op)?)?;
    let bytes = ctx.as_ints(For::tile_bytes(ctx, body, op)?)?;
    (rows.len() == bytes.len())
        .then(|| rows.into_iter().zip(bytes).map(|(rows, bytes)| TileShape { rows, bytes }).collect())
}

/// The shapes that tile registers have at an op.
pub fn tile_shapes_at(ctx: &Context, body: &Body, op: OpId) -> Option<Vec<TileShape>> {
    let parent = |op: &OpId| body.parent_op(*op);
    std::iter::successors(body.parent_op(op), parent).find_map(|outer| tile_shapes(ctx, body, outer))
}

/// How many neighbours of a buffer fill 32 bits of a tile's row: four bytes, two `bf16`, one `i32` or `f32`.
pub fn tile_elements(ctx: &Context, buffer: Type) -> Option<usize> {
    let TypeData::MemRef { element, .. } = ctx.type_data(buffer) else { return None };
    match ctx.type_data(*element) {
        TypeData::Integer { width: 8, .. } => Some(4),
        TypeData::Float(FloatKind::BF16) => Some(2),
        TypeData::Integer { width: 32, .. } | TypeData::Float(FloatKind::F32) => Some(1),
        _ => None,
    }
}

/// What the factors of a `loops.tile_dot` are, as its attribute holds them.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum TileKind {
    /// Pairs of `bf16`, summed up in `f32`.
    Bf16,
    /// Fours of bytes, each side signed or not, summed up in `i32`.
    Bytes {
        /// Those of the left factor have a sign.
        left_signed: bool,
        /// Those of the right factor have a sign.
        right_signed: bool,
    },
}

impl TileKind {
    /// All, with their names.
    pub const NAMES: [(TileKind, &'static str); 5] = [
        (TileKind::Bf16, "bf16"),
        (TileKind::bytes(false, false), "u8u8"),
        (TileKind::bytes(false, true), "u8s8"),
        (TileKind::bytes(true, false), "s8u8"),
        (TileKind::bytes(true, true), "s8s8"),
    ];
    /// Bytes with and without signs.
    pub const fn bytes(left_signed: bool, right_signed: bool) -> TileKind {
        TileKind::Bytes { left_signed, right_signed }
    }
    /// The name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(k, _)| *k == self).map_or("bf16", |(_, n)| n)
    }
    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<TileKind> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(k, _)| *k)
    }
}

// ---- shapes of a loop

/// `tiles [16 x 64, N x 64]`
pub(crate) fn parse_shapes(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let (mut rows, mut bytes) = (vec![], vec![]);
    p.expect("[")?;
    loop {
        rows.push(p.expr()?);
        p.expect("by")?;
        bytes.push(p.integer()?);
        if !p.accept(",") {
            break;
        }
    }
    p.expect("]")?;
    let (rows, bytes) = (p.ctx().exprs_attr(&rows), p.ctx().i64_array(&bytes));
    set(p, state, "tile_rows", rows);
    set(p, state, "tile_bytes", bytes);
    Ok(())
}

pub(crate) fn print_shapes(p: &mut dyn AsmPrinter, shapes: &[TileShape]) {
    p.text(" tiles [");
    for (i, shape) in shapes.iter().enumerate() {
        p.text(if i > 0 { ", " } else { "" });
        p.expr(shape.rows);
        p.text(&format!(" by {}", shape.bytes));
    }
    p.text("]");
}

pub(crate) fn verify_shapes(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let loc = body.loc(op);
    if For::tile_rows(ctx, body, op).is_none() && For::tile_bytes(ctx, body, op).is_none() {
        return;
    }
    let mut wrong = |message: String| found.push(Diagnostic::error("N0564", loc, message));
    let Some(shapes) = tile_shapes(ctx, body, op) else {
        return wrong("`tile_rows` and `tile_bytes` are of one length".into());
    };
    if shapes.is_empty() || shapes.len() > TILE_REGISTERS {
        wrong(format!("there are {TILE_REGISTERS} tile registers, {} get a shape", shapes.len()));
    }
    for (i, shape) in shapes.iter().enumerate() {
        let rows = ctx.exprs.as_const(shape.rows).is_none_or(|rows| (1..=TILE_ROWS).contains(&rows));
        if !rows || shape.bytes % 4 != 0 || !(4..=TILE_BYTES).contains(&shape.bytes) {
            let (rows, bytes) = (ctx.exprs.display(shape.rows), shape.bytes);
            wrong(format!(
                "tile {i} of {rows} by {bytes}: there are 1 to {TILE_ROWS} rows of 4, 8, ... {TILE_BYTES} bytes"
            ));
        }
    }
    if tile_shapes_at(ctx, body, op).is_some() {
        wrong("a loop around this one gives tile registers their shapes already".into());
    }
}

// ---- ops

fn parse_tile(p: &mut dyn AsmParser, state: &mut OpState, name: &str) -> Parse<()> {
    let number = p.integer()?;
    let number = p.ctx().i64_attr(number);
    set(p, state, name, number);
    Ok(())
}

fn print_tile(p: &mut dyn AsmPrinter, op: OpId, name: &str) {
    if let Some(number) = attr(p, op, name).and_then(|a| p.ctx().as_int(a)) {
        p.text(&number.to_string());
    }
}

/// `0`
pub(crate) fn parse_zero(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    parse_tile(p, state, "tile")?;
    p.attr_dict(&mut state.attrs)
}

pub(crate) fn print_zero(p: &mut dyn AsmPrinter, op: OpId) {
    p.text(" ");
    print_tile(p, op, "tile");
    print_attrs(p, op, &["tile"]);
}

/// `4, %x[$0, $1] stride 64 : memref<...>`
pub(crate) fn parse_moved(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    parse_tile(p, state, "tile")?;
    p.expect(",")?;
    let loc = p.loc();
    let buffer = p.operand()?;
    if !parse_indices(p, state)?.is_empty() {
        return error_at(p, loc, "where a tile lies follows from variables of loops and symbols");
    }
    p.expect("stride")?;
    let stride = p.expr()?;
    let stride = p.ctx().expr_attr(stride);
    set(p, state, "stride", stride);
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let ty = p.ty()?;
    if p.ctx().element_type(ty).is_none() {
        return error(p, "expected a memref");
    }
    state.operands = vec![p.resolve(buffer, ty)?];
    Ok(())
}

pub(crate) fn print_moved(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    print_tile(p, op, "tile");
    p.text(", ");
    print_access(p, op, operands[0], &[], &mut |p| {
        p.text(" stride ");
        if let Some(stride) = attr(p, op, "stride").and_then(|a| p.ctx().as_expr(a)) {
            p.expr(stride);
        }
        print_attrs(p, op, &["indices", "stride", "tile"]);
    });
}

/// `u8s8 0, 4, 6`
pub(crate) fn parse_dot(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let loc = p.loc();
    let kind = p.keyword()?;
    let kind = p.ctx().str(kind).to_string();
    if TileKind::from_name(&kind).is_none() {
        let names: Vec<&str> = TileKind::NAMES.iter().map(|n| n.1).collect();
        return nim_builtin::syntax::unknown_word(p, loc, "kind", &kind, &names);
    }
    let kind = p.ctx().string_attr(&kind);
    set(p, state, "kind", kind);
    parse_tile(p, state, "sum")?;
    p.expect(",")?;
    parse_tile(p, state, "left")?;
    p.expect(",")?;
    parse_tile(p, state, "right")?;
    p.attr_dict(&mut state.attrs)
}

pub(crate) fn print_dot(p: &mut dyn AsmPrinter, op: OpId) {
    let kind = attr(p, op, "kind").and_then(|a| p.ctx().as_string(a)).unwrap_or_default().to_string();
    p.text(&format!(" {kind} "));
    for (i, name) in ["sum", "left", "right"].into_iter().enumerate() {
        p.text(if i > 0 { ", " } else { "" });
        print_tile(p, op, name);
    }
    print_attrs(p, op, &["kind", "sum", "left", "right"]);
}

/// The shapes of the registers that an op names, if all have one.
fn shapes_of(
    ctx: &Context,
    body: &Body,
    op: OpId,
    tiles: &[&str],
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<TileShape>> {
    let (loc, name) = (body.loc(op), ctx.op_str(body.op_name(op)));
    let Some(shapes) = tile_shapes_at(ctx, body, op) else {
        let message = format!("`{name}` stands in no loop that gives tile registers their shapes");
        found.push(
            Diagnostic::error("N0564", loc, message)
                .help("such a loop is written `loops.for ... tiles [16 by 64, ...]`"),
        );
        return None;
    };
    let mut out = vec![];
    for &tile in tiles {
        let number = body.attr_named(ctx, op, tile).and_then(|a| ctx.as_int(a)).unwrap_or(-1);
        match usize::try_from(number).ok().and_then(|n| shapes.get(n)) {
            Some(&shape) => out.push(shape),
            None => {
                let message =
                    format!("`{name}` uses tile {number}; the loop around it gives {} tiles a shape", shapes.len());
                found.push(Diagnostic::error("N0564", loc, message));
                return None;
            }
        }
    }
    Some(out)
}

pub(crate) fn verify_zero(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let _ = shapes_of(ctx, body, op, &["tile"], found);
}

pub(crate) fn verify_moved(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let _ = shapes_of(ctx, body, op, &["tile"], found);
    let ty = body.ty(body.operand(op, 0));
    let wanted: &[usize] = if TileStore::is(ctx, body, op) { &[1] } else { &[1, 2, 4] };
    if !tile_elements(ctx, ty).is_some_and(|n| wanted.contains(&n)) {
        let types = if wanted.len() == 1 { "i32 or f32" } else { "bytes, bf16, i32 or f32" };
        let (name, ty) = (ctx.op_str(body.op_name(op)), ctx.display_type(ty));
        found.push(Diagnostic::error("N0552", body.loc(op), format!("`{name}` takes a memref of {types}, found {ty}")));
    }
    let indices = body.attr_named(ctx, op, "indices").and_then(|a| ctx.as_exprs(a)).unwrap_or_default();
    verify_indices(ctx, body, op, body.operand(op, 0), &indices, found);
}

pub(crate) fn verify_dot(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let Some(shapes) = shapes_of(ctx, body, op, &["sum", "left", "right"], found) else { return };
    let [sum, left, right] = shapes[..] else { return };
    let agree = sum.rows == left.rows
        && sum.bytes == right.bytes
        && ctx.exprs.scale(4, right.rows) == ctx.exprs.constant(left.bytes);
    if !agree {
        let text = |s: TileShape| format!("{} by {}", ctx.exprs.display(s.rows), s.bytes);
        let message =
            format!("the sum is {}, the left factor {}, the right one {}", text(sum), text(left), text(right));
        let note = "the sum has the rows of the left factor and the bytes of the right one, which has a row for each 4 bytes of the left one's";
        found.push(Diagnostic::error("N0564", body.loc(op), message).note(note));
    }
}

/// The buffer that an op on tiles moves to or from, with its expressions, and whether it writes there.
pub(crate) fn moved(ctx: &Context, body: &Body, op: OpId) -> Option<(nim_ir::ValueId, Vec<Expr>, bool)> {
    let view = TileView::new(ctx, body, op)?;
    let TileView::Move { buffer, mut indices, stride, store, .. } = view else { return None };
    indices.push(stride);
    Some((buffer, indices, store))
}

/// What an op on tiles says.
#[derive(Clone, Debug)]
pub enum TileView {
    /// `loops.tile_zero`
    Zero {
        /// The register.
        tile: usize,
    },
    /// `loops.tile_load`, `loops.tile_store`
    Move {
        /// The register.
        tile: usize,
        /// The buffer.
        buffer: nim_ir::ValueId,
        /// Where the first row begins.
        indices: Vec<Expr>,
        /// Elements from the begin of a row to that of the next.
        stride: Expr,
        /// Whether the buffer is written.
        store: bool,
    },
    /// `loops.tile_dot`
    Dot {
        /// What the factors are.
        kind: TileKind,
        /// The registers of the sum, the left and the right factor.
        tiles: [usize; 3],
    },
}

impl TileView {
    /// The view of an op; `None` if it is no complete op on tiles.
    pub fn new(ctx: &Context, body: &Body, op: OpId) -> Option<TileView> {
        let tile = |name: &str| usize::try_from(ctx.as_int(body.attr_named(ctx, op, name)?)?).ok();
        if TileZero::is(ctx, body, op) {
            return Some(TileView::Zero { tile: tile("tile")? });
        }
        if TileDot::is(ctx, body, op) {
            let kind = TileKind::from_name(ctx.as_string(body.attr_named(ctx, op, "kind")?)?)?;
            return Some(TileView::Dot { kind, tiles: [tile("sum")?, tile("left")?, tile("right")?] });
        }
        let store = TileStore::is(ctx, body, op);
        (store || TileLoad::is(ctx, body, op)).then_some(())?;
        Some(TileView::Move {
            tile: tile("tile")?,
            buffer: *body.operands(op).first()?,
            indices: ctx.as_exprs(body.attr_named(ctx, op, "indices")?)?,
            stride: ctx.as_expr(body.attr_named(ctx, op, "stride")?)?,
            store,
        })
    }
}
