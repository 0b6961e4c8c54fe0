//! Types narrower than a byte: several elements a byte in files, one a byte in tensors.

use nim_tensor::{DType, encode_i64};

/// Elements in one byte: 2 for 4-bit types, 4 for 2-bit types, else 1.
pub(crate) fn elements_per_byte(dtype: DType) -> usize {
    match dtype {
        DType::I4 | DType::U4 | DType::F4E2M1FN => 2,
        DType::I2 | DType::U2 => 4,
        _ => 1,
    }
}

/// The first `count` elements of packed bytes, the lowest bits first.
pub(crate) fn unpack(dtype: DType, packed: impl IntoIterator<Item = u8>, count: usize) -> Vec<u8> {
    let per_byte = elements_per_byte(dtype);
    let bits = 8 / per_byte;
    let code = |byte: u8, i: usize| -> u8 {
        let low = byte >> (bits * i);
        match dtype {
            DType::F4E2M1FN => low & 0xf,
            // Sign or zeros above the element's bits, as tensors want it.
            _ => encode_i64(dtype, low.into())[0],
        }
    };
    packed
        .into_iter()
        .flat_map(|byte| (0..per_byte).map(move |i| (byte, i)))
        .map(|(b, i)| code(b, i))
        .take(count)
        .collect()
}

/// Elements packed, the lowest bits first; missing elements of the last byte are zero.
pub(crate) fn pack(dtype: DType, elements: &[u8]) -> Vec<u8> {
    let per_byte = elements_per_byte(dtype);
    let bits = 8 / per_byte;
    let mask = ((1u16 << bits) - 1) as u8;
    let byte = |group: &[u8]| group.iter().enumerate().fold(0, |byte, (i, x)| byte | (x & mask) << (bits * i));
    elements.chunks(per_byte).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nibbles_and_pairs_of_bits() {
        assert_eq!(unpack(DType::U4, [0x21, 0xf3], 3), [1, 2, 3]);
        assert_eq!(unpack(DType::I4, [0x8f], 2), [0xff, 0xf8]);
        assert_eq!(unpack(DType::F4E2M1FN, [0x8f], 2), [0xf, 0x8]);
        assert_eq!(unpack(DType::U2, [0b11_10_01_00], 4), [0, 1, 2, 3]);
        assert_eq!(unpack(DType::I2, [0b11_10_01_00, 0b10], 5), [0, 1, 0xfe, 0xff, 0xfe]);
    }

    #[test]
    fn packing_undoes_unpacking() {
        for dtype in [DType::U4, DType::I4, DType::F4E2M1FN, DType::U2, DType::I2] {
            let packed: Vec<u8> = (0..=255).collect();
            let elements = unpack(dtype, packed.iter().copied(), usize::MAX);
            assert_eq!(elements.len(), 256 * elements_per_byte(dtype));
            assert_eq!(pack(dtype, &elements), packed);
        }
        assert_eq!(pack(DType::I4, &[0xff, 0xf8, 1]), [0x8f, 0x01]);
    }
}
