//! Dataflows of contractions: which operands are held in registers, over which loops.
//!
//! A [`Walk`] is an order of loops around a *box* of points that is written out, and for each operand the loop inside of which
//! its elements are held. An operand is stationary over the loops further inside that do not move it; what the box asks for
//! more than once is loaded once; where the loop just outside slides over elements that are held already, only new ones are
//! loaded. Everything else follows: how many registers a walk needs, how often it loads and stores, what it moves between
//! caches ([`count`]), and its code ([`emit`]).
//!
//! A [`Dataflow`] names the walks worth looking at, after YFlows (Zhou et al., Compiler Construction 2024): the *anchor* is the
//! operand that is held over the most loops; the box gives the others their share of the registers.
//!
//! | anchor | loops, outermost first | held |
//! | --- | --- | --- |
//! | output | results, *reductions* | results over all reductions |
//! | weight | columns, reductions, *rows* | weights over all rows |
//! | input | reductions, rows, *columns* | inputs over all columns and all results that they are part of |
//!
//! Under the input anchor a window's rows are walked by input: where output `y` reads input `s*y + d*r`, the loop runs over
//! `q = y + floor(d*r/s)`, for which all `r` read inputs `s*q ..`, so that results around `q` are added to where they lie. With
//! `slide` the columns go outermost instead; the window's results are then held, and move along.
//!
//! Tile registers have the same walks, whose elements are matrices: [`tiles`].
//!
//! Vectors run along the *columns*, a dimension of the results that the input does not depend on (in depthwise convolutions one
//! that it does), so results need no sum across lanes and are the same as under any other schedule.

mod contraction;
pub mod count;
mod emit;
mod slots;
mod tile_emit;
mod tiles;
mod walk;

pub use contraction::Contraction;
pub use emit::emit;
pub use tiles::Tiled;
pub use walk::{Loop, Walk};

use super::Env;
use crate::point::Points;
use count::Counts;
use nim_pass::Miss;
use std::fmt;
use std::str::FromStr;

/// The operand that is held over the most loops.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Anchor {
    /// Results.
    Output,
    /// The operand that differs from column to column.
    Weight,
    /// The operand that rows differ in.
    Input,
}

impl Anchor {
    /// All of them.
    pub const ALL: [Anchor; 3] = [Anchor::Output, Anchor::Weight, Anchor::Input];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Anchor::Output => "output",
            Anchor::Weight => "weight",
            Anchor::Input => "input",
        }
    }
}

/// One point of the space. As text: `output:rows4:columns2:window1:depth1`, with `:slide` behind where it slides; in tile registers
/// `output:rows2:columns2:depth1:tiles`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct Dataflow {
    /// The operand that is held longest.
    pub anchor: Anchor,
    /// Neighbours along the innermost dimension of rows in the box.
    pub rows: i64,
    /// Vectors of columns in the box.
    pub columns: i64,
    /// How many dimensions of the window, from the innermost on, are in the box.
    pub window: usize,
    /// Steps along the innermost reduction outside of the window that are in the box.
    pub depth: i64,
    /// Whether the loop over rows keeps what its next step needs too.
    pub slide: bool,
    /// Whether registers are [tile registers](tiles): rows, columns and depth then count blocks of rows, of 16 columns and of what a row
    /// of a register holds of the reduction.
    pub tiles: bool,
}

impl Dataflow {
    /// Nothing but the anchor is held: what the paper calls a basic dataflow.
    pub fn is_basic(&self) -> bool {
        self.rows == 1 && self.columns == 1 && self.depth == 1 && !self.slide && self.window_is_least()
    }

    /// The input anchor needs the window in the box.
    fn window_is_least(&self) -> bool {
        self.anchor == Anchor::Input || self.window == 0
    }
}

impl fmt::Display for Dataflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dataflow { anchor, rows, columns, window, depth, slide, tiles } = self;
        write!(f, "{}:rows{rows}:columns{columns}", anchor.name())?;
        if *tiles {
            return write!(f, ":depth{depth}:tiles");
        }
        write!(f, ":window{window}:depth{depth}")?;
        f.write_str(if *slide { ":slide" } else { "" })
    }
}

impl FromStr for Dataflow {
    type Err = String;

    fn from_str(text: &str) -> Result<Dataflow, String> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let anchor = Anchor::ALL.into_iter().find(|a| a.name() == name);
        let anchor = anchor.ok_or_else(|| format!("`{name}` is no anchor: output, weight, input"))?;
        let mut out = Dataflow { anchor, rows: 1, columns: 1, window: 0, depth: 1, slide: false, tiles: false };
        for part in parts {
            let digits = part.find(|c: char| c.is_ascii_digit()).unwrap_or(part.len());
            let (key, number) = part.split_at(digits);
            let count = || number.parse::<i64>().ok().filter(|n| (0..=64).contains(n)).ok_or_else(|| bad(part));
            match key {
                "rows" => out.rows = count()?.max(1),
                "columns" => out.columns = count()?.max(1),
                "window" => out.window = count()? as usize,
                "depth" => out.depth = count()?.max(1),
                "slide" if number.is_empty() => out.slide = true,
                "tiles" if number.is_empty() => out.tiles = true,
                _ => return Err(bad(part)),
            }
        }
        match out.tiles && (out.window > 0 || out.slide) {
            true => Err("`tiles` goes with rowsN, columnsN and depthN only".into()),
            false => Ok(out),
        }
    }
}

fn bad(part: &str) -> String {
    format!("`{part}` is no part of a dataflow: rowsN, columnsN, windowN, depthN with N up to 64, slide, tiles")
}

/// All points of a map's space, in vector and in tile registers, the fewest predicted cycles first.
///
/// # Errors
/// Why it has none.
pub fn ranked(points: &Points<'_>, env: &Env<'_>) -> Result<Vec<Counts>, Miss> {
    let contraction = Contraction::new(points, env)?;
    let target = &env.options.target;
    let operations = count::operations(points, &contraction, target.fma);
    let registers = i64::from(target.vector_registers);
    let mut all = count::rank(points.ctx, &contraction, registers, operations, target);
    if let Some(tiled) = Tiled::new(points, env, &contraction) {
        all.extend(tiled.space().iter().map(|walk| tiled.count(points.ctx, walk, target)));
        count::sort(&mut all);
    }
    Ok(all)
}

/// All points whose operands fit the vector registers.
pub fn space(contraction: &Contraction, registers: i64) -> Vec<Dataflow> {
    const ROWS: [i64; 9] = [1, 2, 3, 4, 6, 7, 8, 12, 14];
    const COLUMNS: [i64; 5] = [1, 2, 3, 4, 6];
    const DEPTH: [i64; 3] = [1, 2, 4];
    let mut out = vec![];
    for anchor in Anchor::ALL {
        for rows in ROWS {
            for columns in COLUMNS {
                for window in 0..=contraction.windows.len() {
                    for depth in DEPTH {
                        for slide in [false, true] {
                            let point = Dataflow { anchor, rows, columns, window, depth, slide, tiles: false };
                            if let Some(walk) = Walk::new(contraction, point)
                                && walk.registers(contraction) <= registers
                            {
                                out.push(point);
                            }
                        }
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back() {
        for text in [
            "output:rows4:columns2:window1:depth2",
            "input:rows1:columns1:window2:depth1:slide",
            "weight:rows2:columns3:depth1:tiles",
        ] {
            let point: Dataflow = text.parse().expect("parses");
            assert_eq!(point.to_string(), text);
        }
        let wrong = ["", "rows", "output:rows", "output:rows99", "output:slide2", "output:depth-1", "weight::"];
        let tiles = ["output:tiles2", "output:window1:tiles", "input:slide:tiles"];
        for wrong in wrong.into_iter().chain(tiles) {
            assert!(wrong.parse::<Dataflow>().is_err(), "{wrong}");
        }
    }
}
