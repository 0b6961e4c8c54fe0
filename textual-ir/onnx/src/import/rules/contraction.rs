//! Matrix products.

use super::{Family, Importer, Node};
use nim_graph::Built;
use nim_ir::ValueId;

type Out = Built<Vec<ValueId>>;

pub(super) const RULES: Family = &[("Gemm", gemm), ("MatMul", matmul)];

fn matmul(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, y) = (n.input(im, 0)?, n.input(im, 1)?);
    Ok(vec![im.matmul(x, y)?])
}

/// `alpha * A' * B' + beta * C`
fn gemm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (mut a, mut b) = (n.input(im, 0)?, n.input(im, 1)?);
    if n.flag("transA", false) {
        a = im.transpose(a, &[1, 0])?;
    }
    if n.flag("transB", false) {
        b = im.transpose(b, &[1, 0])?;
    }
    let mut y = im.matmul(a, b)?;
    let alpha = n.float("alpha", 1.0) as f64;
    if alpha != 1.0 {
        y = im.with_scalar("mul", y, alpha)?;
    }
    if let Some(mut c) = n.opt(2) {
        let beta = n.float("beta", 1.0) as f64;
        if beta != 1.0 {
            c = im.with_scalar("mul", c, beta)?;
        }
        y = im.binary("add", y, c)?;
    }
    Ok(vec![y])
}
