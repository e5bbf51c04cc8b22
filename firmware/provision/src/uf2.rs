//! UF2, the file format that a Pico's USB drive takes (Microsoft, "USB Flashing Format").

/// What a block carries: as much as an RP2040 takes at a time.
const PAYLOAD_BYTES: usize = 256;

/// A whole block.
const BLOCK_BYTES: usize = 512;

/// Family `RP2040`.
const FAMILY: u32 = 0xe48b_ff56;

/// Says that the family is named.
const FAMILY_IS_PRESENT: u32 = 0x2000;

/// The two numbers that a block begins with, and the one that it ends with.
const MAGIC: (u32, u32, u32) = (0x0a32_4655, 0x9e5d_5157, 0x0ab1_6f30);

/// Blocks that write `bytes` at `address`. What is left of the last one is written as erased flash.
pub(crate) fn image(address: u32, bytes: &[u8]) -> Vec<u8> {
    let payloads = bytes.chunks(PAYLOAD_BYTES);
    let count = payloads.len() as u32;
    let mut image = Vec::with_capacity(payloads.len() * BLOCK_BYTES);
    for (number, payload) in (0..).zip(payloads) {
        let target = address + number * PAYLOAD_BYTES as u32;
        let head = [
            MAGIC.0,
            MAGIC.1,
            FAMILY_IS_PRESENT,
            target,
            PAYLOAD_BYTES as u32,
            number,
            count,
            FAMILY,
        ];
        let mut block = [0; BLOCK_BYTES];
        for (place, word) in block.chunks_exact_mut(4).zip(head) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let data = &mut block[32..32 + PAYLOAD_BYTES];
        data.fill(0xff);
        data[..payload.len()].copy_from_slice(payload);
        block[BLOCK_BYTES - 4..].copy_from_slice(&MAGIC.2.to_le_bytes());
        image.extend(block);
    }
    image
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn word(block: &[u8], place: usize) -> u32 {
        u32::from_le_bytes(block[4 * place..][..4].try_into().unwrap())
    }

    #[test]
    fn a_block_is_laid_out_as_the_format_says() {
        let image = image(0x101f_f000, b"record");
        assert_eq!(image.len(), 512);
        assert_eq!(&image[..8], b"UF2\nWQ]\x9e");
        let words = [0x2000, 0x101f_f000, 256, 0, 1, 0xe48b_ff56];
        assert!((2..8).map(|place| word(&image, place)).eq(words));
        assert_eq!(&image[32..40], b"record\xff\xff");
        assert_eq!(word(&image, 127), 0x0ab1_6f30);
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn the_blocks_together_are_the_bytes(
            bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        ) {
            let image = image(0x1010_0000, &bytes);
            let mut flash: Vec<u8> = Vec::new();
            for (number, block) in image.chunks(512).enumerate() {
                prop_assert_eq!(word(block, 3) as usize, 0x1010_0000 + flash.len());
                prop_assert_eq!(word(block, 5) as usize, number);
                prop_assert_eq!(word(block, 6) as usize, image.len() / 512);
                flash.extend(&block[32..288]);
            }
            prop_assert_eq!(&flash[..bytes.len()], &bytes[..]);
            prop_assert!(flash[bytes.len()..].iter().all(|byte| *byte == 0xff));
        }
    }
}
