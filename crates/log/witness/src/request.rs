//! The body of `POST add-checkpoint`, C2SP tlog-witness.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_tlog::Hash;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};

/// Hashes that a consistency proof has at most.
pub const MAX_PROOF_HASHES: usize = 63;

/// Longest request that is read, bytes.
pub const MAX_REQUEST_BYTES: usize = 52 * 1024;

/// Why bytes are no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Too long.
    #[error("the request has {0} bytes; at most {MAX_REQUEST_BYTES} are read")]
    Length(usize),
    /// The first line.
    #[error("the first line must be `old`, a space and a size in decimal without leading zeros")]
    OldSize,
    /// A line of the proof.
    #[error("line {0} must be the base64 of a hash, 32 bytes, or empty before the checkpoint")]
    Hash(usize),
    /// Too long a proof.
    #[error("the proof has more than {MAX_PROOF_HASHES} hashes")]
    ProofLength,
    /// There is no empty line after the proof.
    #[error("there is no empty line before a checkpoint")]
    NoCheckpoint,
    /// What follows the empty line.
    #[error("the checkpoint cannot be read: {0}")]
    Checkpoint(#[from] CheckpointError),
}

/// A request to cosign a checkpoint.
#[derive(Debug, PartialEq)]
pub struct AddCheckpoint {
    /// Size of the tree that the witness is believed to have cosigned last; 0 for none.
    pub old_size: u64,
    /// RFC 6962 consistency proof from that tree to the checkpoint's; empty where there is nothing
    /// to prove.
    pub proof: Vec<Hash>,
    /// What is to be cosigned.
    pub checkpoint: SignedCheckpoint,
}

impl AddCheckpoint {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// When a byte of it is not as the specification has it.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        if body.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::Length(body.len()));
        }
        let (first, mut rest) = line(body).ok_or(RequestError::OldSize)?;
        let old_size = first
            .strip_prefix(b"old ")
            .and_then(decimal)
            .ok_or(RequestError::OldSize)?;
        let mut proof = Vec::new();
        loop {
            let (hash, after) = line(rest).ok_or(RequestError::NoCheckpoint)?;
            rest = after;
            if hash.is_empty() {
                break;
            }
            let decoded = BASE64_STANDARD.decode(hash).ok();
            let hash = decoded.and_then(|hash| <[u8; 32]>::try_from(hash).ok());
            let hash = hash.ok_or(RequestError::Hash(proof.len() + 2))?;
            if proof.len() == MAX_PROOF_HASHES {
                return Err(RequestError::ProofLength);
            }
            proof.push(Hash(hash));
        }
        Ok(Self {
            old_size,
            proof,
            checkpoint: SignedCheckpoint::parse(rest)?,
        })
    }

    /// The body, for a proof whose hashes are in base64 already.
    #[must_use]
    pub fn body(old_size: u64, proof: &[String], note: &str) -> String {
        let mut body = format!("old {old_size}\n");
        for hash in proof {
            body.push_str(hash);
            body.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = write!(body, "\n{note}");
        body
    }
}

/// The first line, without its end, and what follows.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// A number as the specification writes one: digits, no leading zero.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    let plain = digits == b"0" || !digits.starts_with(b"0");
    let digits = plain.then_some(digits)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    fn note() -> String {
        let log = fieldledger_tlog::LogKey::from_seed("example.com/log", &[7; 32]).unwrap();
        log.sign(42, Hash([9; 32])).unwrap()
    }

    fn hash(byte: u8) -> String {
        BASE64_STANDARD.encode([byte; 32])
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let body = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
            jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
            5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
            /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\nexample.com/behind-the-sofa\n\
            20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4UR\
            YN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let request = AddCheckpoint::parse(body.as_bytes()).unwrap();
        assert_eq!((request.old_size, request.proof.len()), (20_852_014, 4));
        assert_eq!(request.checkpoint.size(), 20_852_163);
    }

    #[test]
    fn every_deviation_is_named() {
        use RequestError as E;
        let note = note();
        let proof = format!("{}\n", hash(1)).repeat(64);
        for (body, expected) in [
            (String::new(), E::OldSize),
            ("old 1".to_owned(), E::OldSize),
            (format!("old 01\n\n{note}"), E::OldSize),
            (format!("old +1\n\n{note}"), E::OldSize),
            (format!("old -1\n\n{note}"), E::OldSize),
            (format!("old \n\n{note}"), E::OldSize),
            (format!("old  1\n\n{note}"), E::OldSize),
            (format!("Old 1\n\n{note}"), E::OldSize),
            (format!("old 1\r\n\n{note}"), E::OldSize),
            (format!("old 18446744073709551616\n\n{note}"), E::OldSize),
            (format!("\nold 1\n\n{note}"), E::OldSize),
            (format!("old 1\n{}\n", hash(1)), E::NoCheckpoint),
            (format!("old 1\n{}", hash(1)), E::NoCheckpoint),
            (format!("old 1\n{}\n\n{note}", &hash(1)[..43]), E::Hash(2)),
            (
                format!("old 1\n{}\n {}\n\n{note}", hash(1), hash(1)),
                E::Hash(3),
            ),
            (format!("old 1\nAAAA\n\n{note}"), E::Hash(2)),
            (format!("old 1\n{proof}\n{note}"), E::ProofLength),
            ("old 1\n\n".to_owned(), E::Checkpoint(CheckpointError::Note)),
            (
                format!("old 1\n\n{}", note.trim_end()),
                E::Checkpoint(CheckpointError::Note),
            ),
            (
                format!("old 1\n\n{}", "x".repeat(53_300)),
                E::Length(53_307),
            ),
        ] {
            let error = AddCheckpoint::parse(body.as_bytes()).unwrap_err();
            assert_eq!(error, expected, "{body:.80}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_built_is_read(old_size: u64, hashes in prop::collection::vec(any::<u8>(), 0..=63)) {
            let proof: Vec<String> = hashes.iter().map(|&byte| hash(byte)).collect();
            let body = AddCheckpoint::body(old_size, &proof, &note());
            let read = AddCheckpoint::parse(body.as_bytes()).unwrap();
            prop_assert_eq!(read.old_size, old_size);
            let expected: Vec<Hash> = hashes.iter().map(|&byte| Hash([byte; 32])).collect();
            prop_assert_eq!(read.proof, expected);
            prop_assert_eq!(read.checkpoint.to_note(), note());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = AddCheckpoint::parse(&bytes);
        }

        #[test]
        fn any_change_is_read_or_refused(position in 0_usize..1_000, byte: u8) {
            let mut body = AddCheckpoint::body(3, &[hash(1)], &note()).into_bytes();
            let position = position % body.len();
            body[position] = byte;
            let _ = AddCheckpoint::parse(&body);
        }
    }
}
