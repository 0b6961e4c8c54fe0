//! Locations as text. Spans become file, line and column.

use super::Printer;
use crate::strings;
use nim_ir::{Loc, LocData};

impl Printer<'_> {
    /// `loc(...)`
    pub(super) fn location(&mut self, loc: Loc) {
        self.push("loc(");
        self.location_inside(loc);
        self.push(")");
    }

    fn location_inside(&mut self, loc: Loc) {
        let ctx = self.ctx;
        match ctx.loc_data(loc) {
            LocData::Unknown => self.push("unknown"),
            LocData::Span { source, start, .. } => {
                let (line, column) = ctx.source(*source).line_column(*start as usize);
                let file = strings::quote(&ctx.source(*source).name);
                self.push(&format!("{file}:{line}:{column}"));
            }
            LocData::File { file, line, column } => {
                self.push(&format!("{}:{line}:{column}", strings::quote(ctx.str(*file))));
            }
            LocData::FileRange { file, start, end } => {
                self.push(&format!("{}:{}:{} to ", strings::quote(ctx.str(*file)), start.0, start.1));
                if end.0 != start.0 {
                    self.push(&end.0.to_string());
                }
                self.push(&format!(":{}", end.1));
            }
            LocData::Name(name, child) => {
                self.push(&strings::quote(ctx.str(*name)));
                if *child != Loc::UNKNOWN {
                    self.push("(");
                    self.location_inside(*child);
                    self.push(")");
                }
            }
            LocData::Fused(locs, metadata) => {
                self.push("fused");
                if let Some(metadata) = metadata {
                    self.push("<");
                    self.attr(*metadata);
                    self.push(">");
                }
                self.push("[");
                self.commas(locs, |p, &loc| p.location_inside(loc));
                self.push("]");
            }
            LocData::CallSite(callee, caller) => {
                self.push("callsite(");
                self.location_inside(*callee);
                self.push(" at ");
                self.location_inside(*caller);
                self.push(")");
            }
            LocData::Derived { pass, pattern, from } => {
                self.push(&format!("fused<{{sym.pass = {}", strings::quote(ctx.str(*pass))));
                if let Some(pattern) = pattern {
                    self.push(&format!(", sym.pattern = {}", strings::quote(ctx.str(*pattern))));
                }
                self.push("}>[");
                self.location_inside(*from);
                self.push("]");
            }
        }
    }
}
