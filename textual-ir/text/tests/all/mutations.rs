//! Broken texts: no mutation of a text makes the parser or the printer panic or hang.

use crate::common::*;

const SAMPLE: &str = "\
!t = tensor<[N]x4xf32>
#map = affine_map<(d0) -> (d0 + 1)>
module @m attributes {a = 1 : i64, b = #map, c = dense<[[1, 2], [3, 4]]> : tensor<2x2xi32>} {
  toy.func ({
  ^bb0(%x: tensor<[N]x4xf32>, %i: i1):
    %y = toy.add %x, %x : (tensor<[N]x4xf32>, !t) -> tensor<[N]x4xf32>
    %a, %b:2 = \"x.y\"(%y, %later#1) <{p = array<i64: 1, 2>}> ({
      %c = toy.scale %y by 2*N + 1 {note = \"x\"} : !t
      \"x.use\"(%c)[^next] : (!t) -> ()
    ^next:
      toy.yield
    }, {}) {loc = loc(fused<\"m\">[\"a\", unknown]), e = #sym.expr<\"N - 1\">} : (!t, f32) -> (i32, f32, f32) loc(\"n\"(\"f\":1:2))
    %later:2 = \"x.y\"() : () -> (i1, f32)
    toy.if %i {
      toy.yield
    } else {
      %d = toy.size %y[2] shape [N, 2*N] mode fast
    }
    toy.yield %y : (!t) -> ()
  }) {sym_name = \"main\"}
  \"x.y\"() {r = dense_resource<key> : tensor<1xf32>, s = strided<[1], offset: ?>, m = memref<[N]x?xf32, #map, 1>} : () -> ()
}
{-#
  dialect_resources: {
    builtin: {
      key: \"0x400000000000803F\"
    }
  }
#-}
";

/// A small generator of numbers, the same on every run.
struct Numbers(u64);
impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

fn survives(text: &str) {
    let ctx = context();
    let (module, found) = try_parse(&ctx, text);
    show(&ctx, &found);
    let (plain, raw) = (pretty(&ctx, &module), generic(&ctx, &module));
    debug(&ctx, &module);
    // What was read without complaint must read back.
    if found.is_empty() {
        for text in [&plain, &raw] {
            let (again, found) = try_parse(&ctx, text);
            assert!(found.is_empty(), "{}\nin\n{text}", show(&ctx, &found));
            assert_eq!(pretty(&ctx, &again), plain);
        }
    }
}

#[test]
fn the_sample_is_fine() {
    let ctx = context();
    parse(&ctx, SAMPLE);
    survives(SAMPLE);
}

#[test]
fn deleted_replaced_and_swapped_tokens() {
    let tokens = nim_text::lexer::Tokens::new(SAMPLE);
    let spans: Vec<_> = tokens.map(|t| t.range()).collect();
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for round in 0..3000 {
        let mut pieces: Vec<&str> = vec![];
        let mut at = 0;
        for span in &spans {
            pieces.push(&SAMPLE[at..span.start]);
            pieces.push(&SAMPLE[span.clone()]);
            at = span.end;
        }
        for _ in 0..1 + numbers.below(4) {
            let (i, j) = (numbers.below(spans.len()) * 2 + 1, numbers.below(spans.len()) * 2 + 1);
            match round % 3 {
                0 => pieces[i] = "",
                1 => pieces[i] = pieces[j],
                _ => pieces.swap(i, j),
            }
        }
        survives(&pieces.concat());
    }
}

#[test]
fn truncated_and_garbled_texts() {
    let mut numbers = Numbers(7);
    for end in (0..SAMPLE.len()).step_by(3) {
        survives(&SAMPLE[..end]);
        survives(&SAMPLE[end..]);
    }
    for _ in 0..1500 {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        for _ in 0..1 + numbers.below(6) {
            let i = numbers.below(bytes.len());
            bytes[i] = b"{}()[]<>\"%#!^@:,-=x0 \n"[numbers.below(22)];
        }
        survives(&String::from_utf8_lossy(&bytes));
    }
}
