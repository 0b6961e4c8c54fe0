//! The builder refuses what makes no op: each kind of mistake has its code.

use nim_graph::{GRAPH, GraphBuilder};
use nim_ir::{Body, Builder, Context, Diagnostic, ValueId};
use nim_tensor::DType;

/// The code that building with a matrix of `[N, 4]` floats and an `index` gives.
fn code<T>(f: impl FnOnce(&mut GraphBuilder<'_>, ValueId, ValueId) -> Result<T, Diagnostic>) -> Option<&'static str> {
    let ctx = Context::new(&[&GRAPH]);
    let mut body = Body::new();
    let region = body.add_root_region();
    let matrix = ctx.tensor_of(&[ctx.exprs.named("N"), ctx.exprs.constant(4)], ctx.f32_type());
    let block = body.add_block(region, &[matrix, ctx.index_type()], &[]);
    let (x, i) = (body.block_args(block)[0], body.block_args(block)[1]);
    let mut g = GraphBuilder::new(Builder::at_end(&ctx, &mut body, block));
    f(&mut g, x, i).err().map(|found| found.code)
}

#[test]
fn each_mistake_has_its_code() {
    assert_eq!(code(|g, _, i| g.dims(i)), Some("N0402"), "no tensor");
    assert_eq!(code(|g, x, _| g.exprs_or_bind(x, "n")), Some("N0403"), "a matrix is no list of sizes");
    assert_eq!(code(|g, _, _| g.scalar(DType::String, 1.0)), Some("N0404"), "a number is no text");
    assert_eq!(code(|g, x, _| g.unsqueeze(x, &[5])), Some("N0405"), "an axis behind the last");
    assert_eq!(code(|g, x, _| g.reverse(x, 2)), Some("N0405"), "an axis that is not there");
    let forgets = |g: &mut GraphBuilder<'_>, x, _| g.repeat(g.num(3), &[x], |_, _| Ok((vec![], vec![])));
    assert_eq!(code(forgets), Some("N0406"), "a loop that forgets what it carries");
    let fewer = |g: &mut GraphBuilder<'_>, x, _| {
        let (axis, k) = (g.ctx().i64_attr(1), g.ctx().expr_attr(g.num(-2)));
        g.op("graph.topk", &[x], &[("axis", axis), ("k", k)])
    };
    assert_eq!(code(fewer), Some("N0407"), "fewer than no elements");
    assert_eq!(code(|g, x, _| g.gather(x, x, 0)), Some("N0408"), "indices are integers");
    assert_eq!(code(|g, x, _| g.compare("greater", x, x)), Some("N0408"), "no such word");
    assert_eq!(code(|g, x, _| g.unary("relu", x)), None);
}
