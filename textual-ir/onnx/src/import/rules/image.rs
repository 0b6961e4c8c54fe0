//! Pictures: files of several formats to pixels, by the runtime library.

use super::{Family, Importer, Node, Out};
use nim_tensor::DType;

pub(super) const RULES: Family = &[("ImageDecoder", image_decoder)];

/// The bytes of a file to `[height, width, channels]`.
fn image_decoder(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    if im.dtype(x)? != DType::U8 || im.rank(x)? != 1 {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("a vector of bytes is needed, found {found}")));
    }
    let (code, channels) = match n.string("pixel_format", "RGB").as_str() {
        "RGB" => (0, 3),
        "BGR" => (1, 3),
        "Grayscale" => (2, 1),
        other => return Err(im.error("N0614", format!("no pixel format is named {other:?}"))),
    };
    let dims = [im.fresh_symbol("height"), im.fresh_symbol("width"), im.num(channels)];
    let ty = im.ctx().tensor_of(&dims, im.element(x)?);
    Ok(vec![im.runtime_value("image.decode", &[x], &[code], ty)])
}
