//! Matches the check lines of a file against an input, in order: the algorithm of LLVM's FileCheck.

use super::directives::{Directive, Kind, Step};
use super::pattern::{Miss, Variables};
use std::ops::Range;

/// A check that failed, with what a report needs.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The check line.
    pub directive: &'a Directive,
    /// How it failed.
    pub why: Why,
    /// The part of the input that was searched.
    pub searched: Range<usize>,
    /// The variables as they were.
    pub variables: Variables,
    /// For a `-COUNT-n` line, how many matches there were.
    pub matched: u32,
}

/// How a check failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It matches nowhere, or cannot be matched.
    Missed(Miss),
    /// `-NOT`, and it is here.
    Excluded(Range<usize>),
    /// `-NEXT` or `-EMPTY`, and the match is so many lines after the one before.
    WrongLine(usize, Range<usize>),
    /// `-SAME`, and the match is here, on another line.
    OtherLine(Range<usize>),
}

/// Runs the steps; the failures, at most one in a block between two labels.
pub fn run<'a>(steps: &'a [Step], input: &[u8], mut variables: Variables, scoped: bool) -> Vec<Failure<'a>> {
    let mut failures = Vec::new();
    let mut rest = 0..input.len();
    let (mut next, mut label) = (0, 0);
    loop {
        // a label ends the block wherever its text stands, before anything else in the block is matched
        let block_end = loop {
            let Some(step) = steps.get(label) else { break None };
            label += 1;
            if step.check.kind == Kind::Label {
                break Some(step);
            }
        };
        let mut block = rest.clone();
        if let Some(step) = block_end {
            match step.check.pattern.find(&input[rest.clone()], &mut variables) {
                Ok(found) => {
                    block.end = rest.start + found.end;
                    rest.start = block.end;
                }
                Err(miss) => {
                    failures.push(fail(&step.check, Why::Missed(miss), rest, &variables));
                    return failures;
                }
            }
        }
        if next != 0 && scoped {
            variables.forget_local();
        }
        for step in &steps[next..label] {
            match (Block { input, variables: &mut variables }).step(step, block.clone()) {
                Ok(end) => block.start = end,
                Err(failure) => {
                    failures.push(*failure);
                    break;
                }
            }
        }
        next = label;
        if block_end.is_none() {
            return failures;
        }
    }
}

fn fail<'a>(directive: &'a Directive, why: Why, searched: Range<usize>, variables: &Variables) -> Failure<'a> {
    Failure { directive, why, searched, variables: variables.clone(), matched: 0 }
}

struct Block<'b> {
    input: &'b [u8],
    variables: &'b mut Variables,
}

type Outcome<'a, T> = Result<T, Box<Failure<'a>>>;

impl Block<'_> {
    fn find<'a>(&mut self, directive: &'a Directive, within: Range<usize>) -> Outcome<'a, Range<usize>> {
        match directive.pattern.find(&self.input[within.clone()], self.variables) {
            Ok(found) => Ok(within.start + found.start..within.start + found.end),
            Err(miss) => Err(Box::new(fail(directive, Why::Missed(miss), within, self.variables))),
        }
    }

    /// Matches one step; where the next one begins.
    fn step<'a>(&mut self, step: &'a Step, block: Range<usize>) -> Outcome<'a, usize> {
        let mut nots = Vec::new();
        let start = self.dags(&step.before, block.clone(), &mut nots)?;
        let check = &step.check;
        let count = if let Kind::Plain(count) = check.kind { count } else { 1 };
        let mut first = None;
        let mut end = start;
        for matched in 0..count {
            let found = self.find(check, end..block.end).map_err(|mut failure| {
                failure.matched = matched;
                failure
            })?;
            end = found.end;
            first.get_or_insert(found);
        }
        let first = first.unwrap_or(start..start);
        let skipped = start..first.start;
        let lines = self.input[skipped.clone()].iter().filter(|&&byte| byte == b'\n').count();
        let wrong = match check.kind {
            Kind::Next | Kind::Empty if lines != 1 => Some(Why::WrongLine(lines, first)),
            Kind::Same if lines != 0 => Some(Why::OtherLine(first)),
            _ => None,
        };
        if let Some(why) = wrong {
            return Err(Box::new(fail(check, why, start..block.end, self.variables)));
        }
        self.nots(&nots, skipped)?;
        Ok(end)
    }

    fn nots<'a>(&mut self, nots: &[&'a Directive], within: Range<usize>) -> Outcome<'a, ()> {
        for not in nots {
            let why = match self.find(not, within.clone()) {
                Ok(found) => Why::Excluded(found),
                Err(failure) if failure.why == Why::Missed(Miss::NotFound) => continue,
                Err(failure) => return Err(failure),
            };
            return Err(Box::new(fail(not, why, within, self.variables)));
        }
        Ok(())
    }

    /// Matches the groups of `-DAG` lines, with the `-NOT` lines between them; where the last group ends.
    /// The `-NOT` lines after the last group are left in `nots`.
    fn dags<'a>(
        &mut self,
        before: &'a [Directive],
        block: Range<usize>,
        nots: &mut Vec<&'a Directive>,
    ) -> Outcome<'a, usize> {
        let mut start = block.start;
        // matches of this group, sorted; no two overlap
        let mut taken: Vec<Range<usize>> = Vec::new();
        for (i, directive) in before.iter().enumerate() {
            if directive.kind == Kind::Not {
                nots.push(directive);
                continue;
            }
            let mut from = start;
            loop {
                let found = self.find(directive, from..block.end)?;
                let place = taken.partition_point(|range| range.end <= found.start);
                match taken.get(place) {
                    Some(range) if range.start < found.end => from = range.end,
                    _ => {
                        taken.insert(place, found);
                        break;
                    }
                }
            }
            let group_ends = before.get(i + 1).is_none_or(|next| next.kind == Kind::Not);
            if group_ends {
                self.nots(nots, start..taken[0].start)?;
                nots.clear();
                start = taken[taken.len() - 1].end;
                taken.clear();
            }
        }
        Ok(start)
    }
}
