//! Standard base64 (RFC 4648, section 4) in one spelling only.

use core::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding};

/// Most bytes that are written at a time: a multiple of three, so that no padding falls in between.
const CHUNK_BYTES: usize = 48;

/// Characters that [`CHUNK_BYTES`] take.
const CHUNK_CHARACTERS: usize = CHUNK_BYTES / 3 * 4;

/// Writes `bytes`, padded.
pub(crate) fn write_padded(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    write::<Base64>(f, bytes)
}

/// Writes `bytes` without padding.
pub(crate) fn write_unpadded(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    write::<Base64Unpadded>(f, bytes)
}

fn write<E: Encoding>(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let mut characters = [0; CHUNK_CHARACTERS];
    for chunk in bytes.chunks(CHUNK_BYTES) {
        let text = E::encode(chunk, &mut characters).map_err(|_too_short| fmt::Error)?;
        f.write_str(text)?;
    }
    Ok(())
}

/// Exactly `N` bytes from padded base64; none where it is anything else, be it another spelling of
/// the same bytes.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let decoded = decode_into(text, &mut bytes)?;
    (decoded == N).then_some(bytes)
}

/// How many bytes padded base64 holds, which are then in `bytes`.
pub(crate) fn decode_into(text: &str, bytes: &mut [u8]) -> Option<usize> {
    Base64::decode(text, bytes).ok().map(<[u8]>::len)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    struct Padded<'a>(&'a [u8]);

    impl fmt::Display for Padded<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_padded(f, self.0)
        }
    }

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(format!("{}", Padded(bytes.as_bytes())), text);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        assert_eq!(decode("Zg=="), Some(*b"f"));
        for text in [
            "Zh==", "Zg", "Zg=", "Zg== ", "Z g==", "Zm8=", "", "-_==", "Zg==Zg==",
        ] {
            assert_eq!(decode::<1>(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text: String = format!("{}", Padded(&bytes));
            let mut read: Vec<u8> = std::vec![0; 200];
            let length = decode_into(&text, &mut read).unwrap();
            prop_assert_eq!(&read[..length], &bytes[..]);
        }
    }
}
