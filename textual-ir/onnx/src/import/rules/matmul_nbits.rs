//! MatMulNBits: products with weights of 4 or 8 bits in blocks, each with a scale and a zero point of its own.

use super::{Family, Importer, Node, Out};
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[("MatMulNBits", matmul_nbits)];

/// Two numbers of 4 bits a byte, the lower half first, side by side along the last axis.
fn unpacked(im: &mut Importer<'_>, x: ValueId) -> Built {
    let mut dims = im.dims(x)?;
    let rank = dims.len() as i64;
    let low = im.with_scalar("bitwise_and", x, 15.0)?;
    let high = im.with_scalar("shr", x, 4.0)?;
    let (low, high) = (im.unsqueeze(low, &[rank])?, im.unsqueeze(high, &[rank])?);
    let both = im.concat(&[low, high], dims.len())?;
    if let Some(last) = dims.last_mut() {
        *last = im.ctx().exprs.mul(*last, im.num(2));
    }
    im.reshape(both, &dims)
}

fn matmul_nbits(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (a, b, scales) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let (k, rows, block, bits) = (n.int("K", 0), n.int("N", 0), n.int("block_size", 0), n.int("bits", 4));
    if n.opt(4).is_some() {
        return Err(im.error("N0617", "MatMulNBits with an order of groups (g_idx) is not supported"));
    }
    if k <= 0 || rows <= 0 || block < 16 || !matches!(bits, 4 | 8) || im.dtype(b)? != DType::U8 {
        let message = format!("weights {rows} x {k} of {bits} bits in blocks of {block}");
        return Err(im.error("N0617", message).note("4 or 8 bits in bytes, and blocks of at least 16, are supported"));
    }
    // Both are positive.
    let blocks = (k - 1) / block + 1;
    let shape = |im: &Importer<'_>, last: i64| -> Vec<Expr> { [rows, blocks, last].map(|n| im.num(n)).to_vec() };
    let packed = shape(im, block * bits / 8);
    let b = im.reshape(b, &packed)?;
    let b = if bits == 4 { unpacked(im, b)? } else { b };
    let one = shape(im, 1);
    let zero = match n.opt(3) {
        None => im.scalar(DType::F32, f64::from(1u32 << (bits - 1)))?,
        Some(z) if im.dtype(z)? == DType::U8 => {
            let bytes = [im.num(rows), im.num((blocks * bits + 7) / 8)];
            let z = im.reshape(z, &bytes)?;
            let z = if bits == 4 { unpacked(im, z)? } else { z };
            let (start, size) = (im.num(0), im.num(blocks));
            let z = im.slice_axis(z, 1, start, size)?;
            let z = im.cast_to(z, DType::F32)?;
            im.reshape(z, &one)?
        }
        Some(z) => {
            let z = im.cast_to(z, DType::F32)?;
            im.reshape(z, &one)?
        }
    };
    let scales = im.cast_to(scales, DType::F32)?;
    let scales = im.reshape(scales, &one)?;
    let w = im.cast_to(b, DType::F32)?;
    let w = im.binary("sub", w, zero)?;
    let w = im.binary("mul", w, scales)?;
    let flat = [im.num(rows), im.num(blocks * block)];
    let w = im.reshape(w, &flat)?;
    let (start, size) = (im.num(0), im.num(k));
    let w = im.slice_axis(w, 1, start, size)?;
    let w = im.transpose(w, &[1, 0])?;
    let element = im.element(a)?;
    let w = im.cast(w, element)?;
    let y = im.matmul(a, w)?;
    Ok(vec![match n.opt(5) {
        Some(bias) => im.binary("add", y, bias)?,
        None => y,
    }])
}
