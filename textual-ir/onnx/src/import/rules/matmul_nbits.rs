//! MatMulNBits: products with weights of 2, 4 or 8 bits in blocks, each with a scale and a zero point of its own.

use super::{Family, Importer, Node, Out};
use nim_graph::Built;
use nim_ir::ValueId;
use nim_tensor::DType;

pub(super) const RULES: Family = &[("MatMulNBits", matmul_nbits)];

/// Numbers of a few bits, the lowest of a byte first, side by side along the last axis.
pub(super) fn unpacked(im: &mut Importer<'_>, x: ValueId, bits: i64) -> Built {
    if bits == 8 {
        return Ok(x);
    }
    let mut dims = im.dims(x)?;
    let rank = dims.len() as i64;
    let mut parts = vec![];
    for shift in (0..8).step_by(bits as usize) {
        let part = im.with_scalar("shr", x, shift as f64)?;
        let part = im.with_scalar("bitwise_and", part, f64::from((1u32 << bits) - 1))?;
        parts.push(im.unsqueeze(part, &[rank])?);
    }
    let all = im.concat(&parts, dims.len())?;
    if let Some(last) = dims.last_mut() {
        *last = im.ctx().exprs.mul(*last, im.num(8 / bits));
    }
    im.reshape(all, &dims)
}

fn matmul_nbits(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (a, b, scales) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let (k, rows, block, bits) = (n.int("K", 0), n.int("N", 0), n.int("block_size", 0), n.int("bits", 4));
    if k <= 0 || rows <= 0 || block < 16 || !matches!(bits, 2 | 4 | 8) || im.dtype(b)? != DType::U8 {
        let message = format!("weights {rows} x {k} of {bits} bits in blocks of {block}");
        return Err(im
            .error("N0617", message)
            .note("2, 4 or 8 bits in bytes, and blocks of at least 16, are supported"));
    }
    // Both are positive.
    let blocks = (k - 1) / block + 1;
    let packed = [rows, blocks, block * bits / 8].map(|n| im.num(n));
    let b = im.reshape(b, &packed)?;
    let b = unpacked(im, b, bits)?;
    let whole = [rows, blocks * block].map(|n| im.num(n));
    let b = im.reshape(b, &whole)?;
    let w = im.cast_to(b, DType::F32)?;
    let table = [rows, blocks].map(|n| im.num(n));
    let zero = match n.opt(3) {
        None => None,
        Some(z) if im.dtype(z)? == DType::U8 => {
            let bytes = [rows, (blocks * bits + 7) / 8].map(|n| im.num(n));
            let z = im.reshape(z, &bytes)?;
            let z = unpacked(im, z, bits)?;
            let start = im.num(0);
            Some(im.slice_axis(z, 1, start, table[1])?)
        }
        Some(z) => Some(im.reshape(z, &table)?),
    };
    let scales = im.reshape(scales, &table)?;
    // One number a block to one a weight.
    let spread = |im: &mut Importer<'_>, v: ValueId| -> Built {
        let v = im.cast_to(v, DType::F32)?;
        if let Some(groups) = n.opt(4) {
            let v = im.gather(v, groups, 1)?;
            let more = [rows, blocks * block].map(|n| im.num(n));
            return im.pad_to(v, &more);
        }
        let column = im.unsqueeze(v, &[2])?;
        let [rows, blocks, block] = [rows, blocks, block].map(|n| im.num(n));
        let wide = im.broadcast_to(column, &[rows, blocks, block])?;
        im.reshape(wide, &whole)
    };
    let w = match zero {
        None => im.with_scalar("sub", w, f64::from(1u32 << (bits - 1)))?,
        Some(z) => {
            let z = spread(im, z)?;
            im.binary("sub", w, z)?
        }
    };
    let scales = spread(im, scales)?;
    let w = im.binary("mul", w, scales)?;
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
