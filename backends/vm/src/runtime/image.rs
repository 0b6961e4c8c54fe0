//! Pictures. The formats are those of ONNX's ImageDecoder: BMP, JPEG, JPEG 2000, PNG, PNM, TIFF, WebP.

use super::{Call, Env};
use nim_tensor::{DType, Tensor, Value};

/// Pixels in rows, three bytes (red, green, blue) each.
struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

/// `image.decode(bytes) -> pixels`: `[height, width, channels]`. ints: 0 for red, green, blue; 1 for the reverse; 2 for grey. What
/// cannot be decoded is a picture without pixels, as the standard wants it.
pub(super) fn decode(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let format = call.int(0)?;
    let file = call.tensor(0)?;
    if file.dtype() != DType::U8 {
        return Err(format!("the bytes of a file are needed, found {file:?}"));
    }
    let nothing = || Picture { width: 0, height: 0, rgb: vec![] };
    let Picture { width, height, mut rgb } = picture(file.bytes(), call.env)?.unwrap_or_else(nothing);
    let (channels, pixels) = match format {
        0 => (3, rgb),
        1 => {
            rgb.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
            (3, rgb)
        }
        2 => (1, rgb.chunks_exact(3).map(grey).collect()),
        other => return Err(format!("there is no pixel format {other}")),
    };
    Ok(vec![Tensor::from_bytes(DType::U8, &[height, width, channels], pixels).into()])
}

/// The luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, in 16 bits of fixed point.
fn grey(pixel: &[u8]) -> u8 {
    let weights = [19595u32, 38470, 7471];
    let sum: u32 = pixel.iter().zip(weights).map(|(&p, w)| u32::from(p) * w).sum();
    ((sum + 0x8000) >> 16) as u8
}

#[cfg(not(feature = "images"))]
fn picture(_: &[u8], _: &Env) -> Result<Option<Picture>, String> {
    Err("this program was built without the formats of pictures (feature `images` of nim-vm)".into())
}

/// `None` for what is no picture; an error for one that is too large.
#[cfg(feature = "images")]
fn picture(bytes: &[u8], env: &Env) -> Result<Option<Picture>, String> {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    // Whatever a decoder does on a damaged file, the program goes on.
    let done = catch_unwind(AssertUnwindSafe(|| match bytes {
        [0xff, 0xd8, ..] => jpeg(bytes, env),
        [0xff, 0x4f, 0xff, 0x51, ..] | [0, 0, 0, 12, b'j', b'P', ..] => jpeg2000(bytes, env),
        _ => other(bytes, env),
    }));
    match done {
        Ok(Err(Refusal::TooLarge(message))) => Err(message),
        Ok(Ok(picture)) => Ok(Some(picture)),
        Ok(Err(Refusal::Damaged)) | Err(_) => Ok(None),
    }
}

/// Why there is no picture.
#[cfg(feature = "images")]
enum Refusal {
    Damaged,
    TooLarge(String),
}

#[cfg(feature = "images")]
impl<E: std::error::Error> From<E> for Refusal {
    fn from(_: E) -> Refusal {
        Refusal::Damaged
    }
}

#[cfg(feature = "images")]
fn admit(env: &Env, width: u32, height: u32) -> Result<(usize, usize), Refusal> {
    let (width, height) = (width as usize, height as usize);
    env.admit(DType::U8, &[height, width, 3]).map_err(Refusal::TooLarge)?;
    Ok((width, height))
}

/// By `jpeg-decoder`, whose chroma upsampling is the one that the standard asks for.
#[cfg(feature = "images")]
fn jpeg(bytes: &[u8], env: &Env) -> Result<Picture, Refusal> {
    use jpeg_decoder::{Decoder, PixelFormat};
    let mut decoder = Decoder::new(bytes);
    decoder.read_info()?;
    let info = decoder.info().ok_or(Refusal::Damaged)?;
    let (width, height) = admit(env, info.width.into(), info.height.into())?;
    let pixels = decoder.decode()?;
    let rgb = match info.pixel_format {
        PixelFormat::RGB24 => pixels,
        PixelFormat::L8 => pixels.iter().flat_map(|&l| [l; 3]).collect(),
        PixelFormat::L16 => pixels.chunks_exact(2).flat_map(|l| [l[1]; 3]).collect(),
        PixelFormat::CMYK32 => {
            let ink = |c: u8, k: u8| (u16::from(c) * u16::from(k) / 255) as u8;
            pixels.chunks_exact(4).flat_map(|p| [ink(p[0], p[3]), ink(p[1], p[3]), ink(p[2], p[3])]).collect()
        }
    };
    Ok(Picture { width, height, rgb })
}

#[cfg(feature = "images")]
fn jpeg2000(bytes: &[u8], env: &Env) -> Result<Picture, Refusal> {
    use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
    let image = Image::new(bytes, &DecodeSettings::default())?;
    let (width, height) = admit(env, image.width(), image.height())?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context)?;
    let channels = decoded.components().len();
    let pixels = decoded.data_u8();
    if channels == 0 || pixels.len() != width * height * channels {
        return Err(Refusal::Damaged);
    }
    let rgb = match channels {
        1 | 2 => pixels.chunks_exact(channels).flat_map(|p| [p[0]; 3]).collect(),
        _ => pixels.chunks_exact(channels).flat_map(|p| [p[0], p[1], p[2]]).collect(),
    };
    Ok(Picture { width, height, rgb })
}

#[cfg(feature = "images")]
fn other(bytes: &[u8], env: &Env) -> Result<Picture, Refusal> {
    use image::{ImageDecoder, ImageReader, Limits};
    let mut reader = ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(env.limit as u64);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let (width, height) = admit(env, width, height)?;
    let rgb = image::DynamicImage::from_decoder(decoder)?.into_rgb8().into_raw();
    Ok(Picture { width, height, rgb })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::random::Draws;

    fn run(bytes: &[u8], format: i64) -> Result<Tensor, String> {
        let env = &mut Env { limit: 1 << 20, seeds: Draws { seed: 1 }, drawn: 0 };
        let file = Tensor::new(&[bytes.len()], bytes.to_vec()).into();
        let found = decode(&mut Call { ints: &[format], sizes: &[], ins: &[file], env })?;
        Ok(found[0].as_tensor().unwrap().clone())
    }

    #[test]
    #[cfg(feature = "images")]
    fn a_portable_pixel_map() {
        let file = b"P6\n2 1\n255\n\x01\x02\x03\xff\x00\x80";
        assert_eq!(run(file, 0).unwrap(), Tensor::new(&[1, 2, 3], vec![1u8, 2, 3, 255, 0, 128]));
        assert_eq!(run(file, 1).unwrap(), Tensor::new(&[1, 2, 3], vec![3u8, 2, 1, 128, 0, 255]));
        assert_eq!(run(file, 2).unwrap(), Tensor::new(&[1, 2, 1], vec![2u8, 91]));
    }

    #[test]
    #[cfg(feature = "images")]
    fn what_is_damaged_has_no_pixels_and_what_is_too_large_is_refused() {
        for damaged in
            [&b""[..], b"P6\n2 1\n255\n\x01", b"\xff\xd8\xff", b"\xff\x4f\xff\x51\x00", b"GIF89a", b"\x89PNG\r\n\x1a\n"]
        {
            assert_eq!(run(damaged, 0).unwrap().dims(), [0, 0, 3], "{damaged:?}");
        }
        assert!(run(b"P6\n30000 30000\n255\n", 0).is_err());
    }
}
