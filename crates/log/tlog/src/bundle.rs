//! Bundles of entries: what the leaves of a level 0 tile were hashed from, C2SP tlog-tiles.

/// Why entries and bytes cannot be turned into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// An entry's length does not fit its two bytes.
    #[error("entry {position} has {length} bytes; at most 65,535 fit a bundle")]
    TooLong {
        /// Position in the bundle.
        position: usize,
        /// Bytes of the entry.
        length: usize,
    },
    /// The bytes end within an entry.
    #[error("the bundle ends within entry {position}")]
    Cut {
        /// Position in the bundle.
        position: usize,
    },
}

/// Each entry after its length, two bytes, big-endian.
///
/// # Errors
///
/// When an entry is longer than 65,535 bytes.
pub fn encode_bundle<'a>(
    entries: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, BundleError> {
    let mut bytes = Vec::new();
    for (position, entry) in entries.into_iter().enumerate() {
        let length = u16::try_from(entry.len()).map_err(|_| BundleError::TooLong {
            position,
            length: entry.len(),
        })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle.
///
/// # Errors
///
/// When the bytes end within an entry.
pub fn decode_bundle(mut bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let cut = BundleError::Cut {
            position: entries.len(),
        };
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(cut)?;
        entries.push(entry);
        bytes = rest;
    }
    Ok(entries)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_two_bytes_big_endian() {
        let bundle = encode_bundle([b"ab".as_slice(), b""]).unwrap();
        assert_eq!(bundle, [0, 2, b'a', b'b', 0, 0]);
    }

    #[test]
    fn a_cut_bundle_names_the_entry() {
        assert_eq!(
            decode_bundle(&[0, 1, 9, 0]),
            Err(BundleError::Cut { position: 1 })
        );
        assert_eq!(
            decode_bundle(&[0, 2, 9]),
            Err(BundleError::Cut { position: 0 })
        );
    }

    #[test]
    fn an_entry_that_is_too_long_is_refused() {
        let error = encode_bundle([&[0; 65_536][..]]).unwrap_err();
        assert_eq!(
            error,
            BundleError::TooLong {
                position: 0,
                length: 65_536
            }
        );
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn decode_undoes_encode(entries: Vec<Vec<u8>>) {
            let bundle = encode_bundle(entries.iter().map(Vec::as_slice)).unwrap();
            prop_assert_eq!(decode_bundle(&bundle).unwrap(), entries);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = decode_bundle(&bytes);
        }
    }
}
