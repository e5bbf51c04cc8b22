//! JSON after a line with its CRC-32C in hexadecimal: the form of the ledger's derived files. One
//! that a crash or a disk has changed counts as missing, and is computed again.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of the first line.
const LINE_BYTES: usize = 9;

/// The bytes of the file.
///
/// # Errors
///
/// Where the value has no form in JSON, such as a map whose keys are not texts.
pub fn encode(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_vec(value)?;
    let mut bytes = first_line(&body).into_bytes();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The value in the file; none where the checksum does not match, or it holds something else.
#[must_use]
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (line, body) = bytes.split_at_checked(LINE_BYTES)?;
    if line != first_line(body).as_bytes() {
        return None;
    }
    serde_json::from_slice(body).ok()
}

fn first_line(body: &[u8]) -> String {
    format!("{:08x}\n", crc32c::crc32c(body))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn a_file_is_read_whole_or_not_at_all(
            value: Vec<(u64, String)>,
            position in 0_usize..10_000,
            flip in 1_u8..=255,
        ) {
            let good = encode(&value).unwrap();
            prop_assert_eq!(decode(&good), Some(value));
            let position = position % good.len();
            let mut bad = good.clone();
            bad[position] ^= flip;
            prop_assert_eq!(decode::<Vec<(u64, String)>>(&bad), None);
            prop_assert_eq!(decode::<Vec<(u64, String)>>(&good[..position]), None);
        }
    }
}
