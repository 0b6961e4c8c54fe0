//! Which schedule a map is walked under, as one piece of data: it is printed and read, stands as the attribute `loops.schedule` on a
//! kernel, comes out of every search and restricts it.
//!
//! A choice is no recipe of its own: a search that is given one looks only at the points of its space that are the choice, and takes
//! the cheapest of these. What no search would have considered is therefore no choice, whoever wrote it.

use super::explore::Dataflow;
use std::fmt;
use std::str::FromStr;

/// The attribute of a kernel that says how its maps are walked: a string for each map, as [`Choice`] is written, or [`AUTO`].
pub const ATTR: &str = "loops.schedule";

/// The word for a map whose schedule is left to the search.
pub const AUTO: &str = "auto";

/// The schedule of one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A contraction under a point of the exploration space: `output:rows4:columns2:window1:depth1`, or in tile registers
    /// `output:rows2:columns2:depth1:tiles`.
    Dataflow(Dataflow),
    /// Results in register tiles: `tiles:rows6=$0,$1:columns2=$2:even:block4:outside:packs1`.
    Tiles(Tiling),
    /// The same with products that are summed up a word at a time: `words:rows6=$0:columns2=$1`.
    Words(Tiling),
    /// The same in tile registers, where the machine has them: `tile-registers`. How many, the search decides.
    TileRegisters,
    /// A convolution with fewer products: `winograd6`, `winograd4:shared`.
    Winograd {
        /// Products along each window: 4 or 6.
        products: usize,
        /// Whether all inputs are transformed before anything else.
        shared: bool,
    },
    /// A reduction in vectors along what lies side by side: `rows`; `rows8` has so many vectors of partial results.
    Rows(Option<i64>),
    /// A map without reductions, in vectors: `vectors`; `vectors4` does so many at a time.
    Vectors(Option<i64>),
    /// One point after the other: `plain`.
    Plain,
}

/// How results are grouped into register tiles, and in which order tiles are walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Rows of a tile.
    pub rows: i64,
    /// Vectors of a tile.
    pub columns: i64,
    /// Dimensions that are rows; none where the tile is a single row.
    pub row_dims: Vec<usize>,
    /// Dimensions that vectors run along.
    pub column_dims: Vec<usize>,
    /// Whether rows are shared out to tiles of nearly the same size.
    pub even: bool,
    /// Tiles of rows that follow each other before the columns move on; 0: all.
    pub block: i64,
    /// Whether all blocks of rows are walked before the columns move on.
    pub outside: bool,
    /// Reads that are served by a packed copy.
    pub packs: Vec<usize>,
}

impl Choice {
    /// In a word the kind of schedule.
    pub fn kind(&self) -> &'static str {
        match self {
            Choice::Dataflow(_) => "dataflow",
            Choice::Tiles(_) => "tiles",
            Choice::Words(_) => "words",
            Choice::TileRegisters => "tile-registers",
            Choice::Winograd { .. } => "winograd",
            Choice::Rows(_) => "rows",
            Choice::Vectors(_) => "vectors",
            Choice::Plain => "plain",
        }
    }

    /// The tiles, where there are some.
    pub fn tiling(&self) -> Option<&Tiling> {
        match self {
            Choice::Tiles(tiling) | Choice::Words(tiling) => Some(tiling),
            _ => None,
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Dataflow(point) => point.fmt(f),
            Choice::Tiles(tiling) | Choice::Words(tiling) => write!(f, "{}:{tiling}", self.kind()),
            Choice::Winograd { products, shared } => {
                write!(f, "winograd{products}{}", if *shared { ":shared" } else { "" })
            }
            Choice::Rows(Some(count)) | Choice::Vectors(Some(count)) => write!(f, "{}{count}", self.kind()),
            _ => f.write_str(self.kind()),
        }
    }
}

impl fmt::Display for Tiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rows{}", self.rows)?;
        if !self.row_dims.is_empty() {
            write!(f, "={}", dims_text("$", &self.row_dims))?;
        }
        write!(f, ":columns{}={}", self.columns, dims_text("$", &self.column_dims))?;
        f.write_str(if self.even { ":even" } else { "" })?;
        match self.block {
            0 => f.write_str(":whole")?,
            1 => {}
            block => write!(f, ":block{block}")?,
        }
        f.write_str(if self.outside { ":outside" } else { "" })?;
        match self.packs.is_empty() {
            true => Ok(()),
            false => write!(f, ":packs{}", dims_text("", &self.packs)),
        }
    }
}

fn dims_text(mark: &str, dims: &[usize]) -> String {
    dims.iter().map(|k| format!("{mark}{k}")).collect::<Vec<_>>().join(",")
}

/// Largest numbers that are read.
const MOST_TILE: i64 = 64;
const MOST_BLOCK: i64 = 1 << 32;

/// How many vectors the schedules of rows and vectors may have at a time.
pub const AT_A_TIME: [i64; 4] = [1, 2, 4, 8];

/// The number behind the word of a schedule.
fn at_a_time(text: &str, kind: &str) -> Option<i64> {
    AT_A_TIME.into_iter().find(|count| text.strip_prefix(kind) == Some(count.to_string().as_str()))
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Choice, String> {
        let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        match (kind, rest) {
            ("tiles", Some(rest)) => rest.parse().map(Choice::Tiles),
            ("words", Some(rest)) => rest.parse().map(Choice::Words),
            ("winograd4" | "winograd6", None | Some("shared")) => {
                Ok(Choice::Winograd { products: if kind == "winograd4" { 4 } else { 6 }, shared: rest.is_some() })
            }
            ("tile-registers", None) => Ok(Choice::TileRegisters),
            ("rows", None) => Ok(Choice::Rows(None)),
            ("vectors", None) => Ok(Choice::Vectors(None)),
            (rows, None) if let Some(count) = at_a_time(rows, "rows") => Ok(Choice::Rows(Some(count))),
            (vectors, None) if let Some(count) = at_a_time(vectors, "vectors") => Ok(Choice::Vectors(Some(count))),
            ("plain", None) => Ok(Choice::Plain),
            ("output" | "weight" | "input", _) => text.parse().map(Choice::Dataflow),
            _ => Err(format!(
                "`{text}` is no schedule: auto, tiles:..., words:..., tile-registers, winograd4, winograd6, rows, vectors (rowsN, vectorsN with N 1, 2, 4 \
                 or 8), plain, or a dataflow (output:..., weight:..., input:...)"
            )),
        }
    }
}

impl FromStr for Tiling {
    type Err = String;

    fn from_str(text: &str) -> Result<Tiling, String> {
        let mut out = Tiling {
            rows: 0,
            columns: 0,
            row_dims: vec![],
            column_dims: vec![],
            even: false,
            block: 1,
            outside: false,
            packs: vec![],
        };
        for part in text.split(':') {
            let bad = || {
                format!(
                    "`{part}` is no part of a tiling: rowsN=$I,$J, columnsN=$K with N up to {MOST_TILE}, even, blockN, whole, \
                     outside, packsI,J"
                )
            };
            let number = |text: &str, most: i64| text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(bad);
            let dims = |text: &str, mark: &str| -> Result<Vec<usize>, String> {
                text.split(',').map(|d| d.strip_prefix(mark).and_then(|d| d.parse().ok()).ok_or_else(bad)).collect()
            };
            let sized = |text: &str| -> Result<(i64, Vec<usize>), String> {
                let (count, list) = text.split_once('=').map_or((text, None), |(count, list)| (count, Some(list)));
                Ok((number(count, MOST_TILE)?, list.map_or(Ok(vec![]), |list| dims(list, "$"))?))
            };
            match part {
                "even" => out.even = true,
                "outside" => out.outside = true,
                "whole" => out.block = 0,
                _ => {
                    if let Some(rest) = part.strip_prefix("rows") {
                        (out.rows, out.row_dims) = sized(rest)?;
                    } else if let Some(rest) = part.strip_prefix("columns") {
                        (out.columns, out.column_dims) = sized(rest)?;
                    } else if let Some(rest) = part.strip_prefix("block") {
                        out.block = number(rest, MOST_BLOCK)?;
                    } else if let Some(rest) = part.strip_prefix("packs") {
                        out.packs = dims(rest, "")?;
                    } else {
                        return Err(bad());
                    }
                }
            }
        }
        match out.rows > 0 && !out.column_dims.is_empty() {
            true => Ok(out),
            false => Err(format!("`{text}` lacks rowsN or columnsN=$K")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back() {
        for text in [
            "tiles:rows6=$0,$1:columns2=$2:even:block4:outside:packs1",
            "words:rows1:columns4=$0:whole",
            "tile-registers",
            "winograd6",
            "winograd4:shared",
            "rows",
            "rows8",
            "vectors",
            "vectors1",
            "plain",
            "weight:rows1:columns1:window0:depth1:slide",
            "input:rows2:columns1:depth2:tiles",
        ] {
            let choice: Choice = text.parse().expect("parses");
            assert_eq!(choice.to_string(), text);
        }
        for wrong in [
            "",
            "auto",
            "tiles",
            "tiles:",
            "tiles:rows6",
            "tiles:rows0:columns1=$0",
            "tiles:rows1:columns1=0",
            "rows:2",
            "rows3",
            "rows01",
            "vectors16",
            "tiles:rows99=$0:columns1=$1",
            "winograd5",
            "winograd6:shard",
            "words:rows1:columns1=$0:odd",
            "tiles:rows1:columns1=$99999999999999999999",
        ] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
    }
}
