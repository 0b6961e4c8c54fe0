//! `min` and `max`.

use crate::node::{Data, Expr, InvalidKind};
use crate::poly::ExprList;
use crate::pool::ExprPool;

/// Which end of the range.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Extremum {
    Min,
    Max,
}

impl ExprPool {
    /// The smaller of two.
    pub fn min(&self, a: Expr, b: Expr) -> Expr {
        self.extremum(Extremum::Min, [a, b])
    }

    /// The larger of two.
    pub fn max(&self, a: Expr, b: Expr) -> Expr {
        self.extremum(Extremum::Max, [a, b])
    }

    /// The smallest of all items; none when there are none.
    pub fn min_of(&self, items: impl IntoIterator<Item = Expr>) -> Option<Expr> {
        let mut items = items.into_iter().peekable();
        items.peek()?;
        Some(self.extremum(Extremum::Min, items))
    }

    /// The largest of all items; none when there are none.
    pub fn max_of(&self, items: impl IntoIterator<Item = Expr>) -> Option<Expr> {
        let mut items = items.into_iter().peekable();
        items.peek()?;
        Some(self.extremum(Extremum::Max, items))
    }

    /// The expression without its constant term, and that term.
    pub fn split_constant(&self, e: Expr) -> (Expr, i64) {
        match self.data(e) {
            Data::Const(v) => (Expr::ZERO, *v),
            Data::Sum(terms) => match terms.split_last() {
                Some((&last, rest)) => match self.as_const(last) {
                    Some(v) if rest.len() == 1 => (rest[0], v),
                    Some(v) => (self.intern(Data::Sum(rest.into())), v),
                    None => (e, 0),
                },
                None => (e, 0),
            },
            _ => (e, 0),
        }
    }

    /// Items must not be empty.
    pub(crate) fn extremum(&self, which: Extremum, items: impl IntoIterator<Item = Expr>) -> Expr {
        let mut invalid: Option<InvalidKind> = None;
        let mut flat = ExprList::new();
        for e in items {
            match (self.data(e), which) {
                (Data::Invalid(kind), _) => invalid = invalid.max(Some(*kind)),
                (Data::Min(list), Extremum::Min) | (Data::Max(list), Extremum::Max) => flat.extend_from_slice(list),
                _ => flat.push(e),
            }
        }
        if let Some(kind) = invalid {
            return Expr::invalid(kind);
        }
        // Of items that differ by a constant one wins; constants themselves are the case of a zero remainder.
        let mut best: Vec<(Expr, i64, Expr)> = Vec::with_capacity(flat.len());
        for &e in &flat {
            let (rest, k) = self.split_constant(e);
            match best.iter_mut().find(|b| b.0 == rest) {
                Some(b) => {
                    let wins = match which {
                        Extremum::Min => k < b.1,
                        Extremum::Max => k > b.1,
                    };
                    if wins {
                        (b.1, b.2) = (k, e);
                    }
                }
                None => best.push((rest, k, e)),
            }
        }
        let mut list: ExprList = best.iter().map(|b| b.2).collect();
        // min(a, max(a, b)) = a
        let candidates = list.clone();
        list.retain(|e| {
            let inner = match (self.data(*e), which) {
                (Data::Max(inner), Extremum::Min) | (Data::Min(inner), Extremum::Max) => inner,
                _ => return true,
            };
            !inner.iter().any(|i| candidates.contains(i))
        });
        list.sort_by(|&a, &b| self.compare(a, b));
        match list.as_slice() {
            [single] => *single,
            list => self.intern(match which {
                Extremum::Min => Data::Min(list.into()),
                Extremum::Max => Data::Max(list.into()),
            }),
        }
    }
}
