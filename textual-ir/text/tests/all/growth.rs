//! Time and output grow with the text, not with its square: wide ops, many mistakes, long lines.

use crate::common::*;
use nim_text::{ParseOptions, RenderOptions, parse_module, render_all};
use std::time::{Duration, Instant};

/// What would be minutes if each of so many things looked at all the others, and is a second or two.
const ENOUGH: Duration = Duration::from_secs(30);
const MANY: usize = 100_000;

fn quickly<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    assert!(start.elapsed() < ENOUGH, "{what} took {:?}", start.elapsed());
    done
}

fn list(item: impl Fn(usize) -> String) -> String {
    (0..MANY).map(item).collect::<Vec<_>>().join(", ")
}

fn round_trip(text: &str) {
    let ctx = context();
    let printed = generic(&ctx, &parse(&ctx, text));
    let again = context();
    assert_eq!(generic(&again, &parse(&again, &printed)), printed);
}

/// What is said of a text, as it is shown.
fn said(text: &str) -> (usize, String) {
    let ctx = context();
    let source = ctx.add_source("big.nir", text);
    let (_, found) = parse_module(&ctx, source, &ParseOptions { allow_unregistered: true, blob_dir: None });
    (found.len(), render_all(&ctx, &found, &RenderOptions::default()))
}

#[test]
fn ops_with_many_results_operands_and_attributes() {
    let types = list(|_| "i32".into());
    let values = format!("%r:{MANY} = \"t.x\"() : () -> ({types})\n");
    let uses = format!("\"t.y\"({}) : ({types}) -> ()\n", list(|i| format!("%r#{i}")));
    let attributes = format!("\"t.z\"() {{{}}} : () -> ()\n", list(|i| format!("a{i} = {i}")));
    quickly("a wide op", || round_trip(&(values + &uses + &attributes)));
}

#[test]
fn many_mistakes_on_many_lines() {
    let text: String = (0..MANY / 5).map(|i| format!("\"t.x\"(%missing{i}) : (i32) -> ()\n")).collect();
    let (count, shown) = quickly("many mistakes", || said(&text));
    assert_eq!(count, MANY / 5);
    assert!(shown.contains("--> big.nir:20000:7"), "the last one is shown with its line");
}

#[test]
fn many_mistakes_on_one_line() {
    let text = format!("\"t.x\"() {{a = dense<[{}]> : tensor<2xf32>}} : () -> ()\n", list(|_| "x".into()));
    let (count, shown) = quickly("a long line", || said(&text));
    assert!(count > 0);
    assert!(shown.len() < 2000 * count, "{} bytes about {count} mistakes", shown.len());
    let twice = format!("\"t.x\"() {{{}}} : () -> ()\n", list(|i| format!("a{} = 1", i / 2)));
    let (count, shown) = quickly("attributes given twice", || said(&twice));
    assert_eq!(count, MANY / 2);
    assert!(shown.len() < 2000 * count);
}

#[test]
fn one_mistake_in_nested_types_is_one() {
    let depth = 1000;
    let text = format!("\"t.x\"() {{a = {}f32{}}} : () -> ()\n", "complex<".repeat(depth), ">".repeat(depth));
    assert_eq!(said(&text).0, 1);
}

#[test]
fn part_of_a_long_line_is_shown_where_the_mistake_is() {
    let (_, shown) = said(&format!("\"t.x\"() {{{}, b = %}} : () -> ()", list(|i| format!("a{i} = {i}"))));
    let mut lines = shown.lines();
    let (place, code) = (lines.nth(1).unwrap_or_default(), lines.nth(1).unwrap_or_default());
    assert!(place.starts_with("  --> big.nir:1:1488"), "{place}");
    assert!(code.starts_with("1 | ...") && code.len() < 600, "{code}");
    let caret = lines.next().unwrap_or_default();
    assert_eq!(caret.find('^'), code.find("%}"), "{code}\n{caret}");
}

#[test]
fn aliases_of_aliases_end() {
    let types: String = (1..60).map(|i| format!("!a{i} = tuple<!a{}, !a{}>\n", i - 1, i - 1)).collect();
    let (_, shown) = quickly("types", || said(&format!("!a0 = i32\n{types}\"t.x\"() : () -> !a59\n")));
    assert!(shown.contains("N0114") && shown.contains("is too long with the aliases in it written out"), "{shown}");
    let locs: String = (0..60).map(|i| format!("#loc{i} = loc(fused[#loc{}, #loc{}])\n", i + 1, i + 1)).collect();
    let (_, shown) =
        quickly("locations", || said(&format!("\"t.x\"() : () -> () loc(#loc0)\n{locs}#loc60 = loc(unknown)\n")));
    assert!(shown.contains("N0114"), "{shown}");
}
