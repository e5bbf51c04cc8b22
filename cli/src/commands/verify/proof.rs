//! One entry, from a file.

use std::io::Read;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_verifier::device;
use fieldledger_verifier::entry::{EntryProof, TLOG_PROOF};
use fieldledger_verifier::leaf::Leaf;
use fieldledger_verifier::note::LogKey;
use serde::Deserialize;

use super::report::Report;
use super::trust::Trust;
use crate::exit::InputError;

/// Longest proof that is read, bytes: an envelope has at most a mebibyte, twice that in JSON.
const LONGEST: u64 = 16 << 20;

/// What `/api/proof/{entry}` says beyond what a proof needs. It must fit the rest.
#[derive(Debug, Deserialize)]
struct Extras {
    tree_size: Option<u64>,
    envelope_hash: Option<String>,
    verifier_key: Option<String>,
}

/// Checks the proof in a file.
///
/// # Errors
///
/// [`InputError`] where the file is not a proof at all.
pub(super) fn verify(input: impl Read, path: &Path, trust: &Trust) -> anyhow::Result<Report> {
    let mut text = String::new();
    let read = input.take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| InputError(error.to_string()))
        .with_context(|| format!("cannot read {}", path.display()))?;
    let mut report = Report::new("proof", path.display().to_string());
    let (proof, extras) = if text.starts_with(TLOG_PROOF) {
        match EntryProof::from_tlog_proof(&text) {
            Ok(proof) => (proof, None),
            Err(error) => {
                report.add_error(None, &error);
                return Ok(report.finish());
            }
        }
    } else {
        let proof = serde_json::from_str(&text);
        let extras = serde_json::from_str(&text);
        let (Ok(proof), Ok(extras)) = (proof, extras) else {
            return Err(InputError(format!(
                "{} is neither a proof as JSON, a tlog-proof, nor an export in JSON lines",
                path.display()
            ))
            .into());
        };
        (proof, Some(extras))
    };
    check(&proof, extras.as_ref(), trust, &mut report);
    Ok(report.finish())
}

fn check(proof: &EntryProof, extras: Option<&Extras>, trust: &Trust, report: &mut Report) {
    report.first = proof.index;
    report.entries = 1;
    report.without_envelope = u64::from(proof.envelope.is_none());
    let index = Some(proof.index);
    let (head, key) = match trust.open(&proof.checkpoint) {
        Ok(opened) => opened,
        Err(error) => return report.add_error(index, &error),
    };
    report.name(&head);
    trust.judge(&proof.checkpoint, index, report);
    if let Err(error) = proof.verify(key) {
        report.add_error(index, &error);
    }
    match proof.envelope.as_deref().map(device::verify_envelope) {
        None | Some(Ok(None)) => {}
        Some(Ok(Some(signed))) => report.device_key = Some(signed.key.fingerprint().to_string()),
        Some(Err(error)) => report.add_error(index, &error),
    }
    let Some(extras) = extras else {
        return;
    };
    if extras.tree_size.is_some_and(|size| size != head.size) {
        report.add(index, "tree_size is not that of the signed tree".to_owned());
    }
    let leaf = BASE64_STANDARD.decode(&proof.leaf).unwrap_or_default();
    if let (Ok(leaf), Some(hash)) = (Leaf::read(&leaf), &extras.envelope_hash)
        && *hash != BASE64_STANDARD.encode(leaf.envelope_hash)
    {
        report.add(index, "envelope_hash is not the one in the leaf".to_owned());
    }
    if let Some(named) = &extras.verifier_key
        && LogKey::parse(named)
            .ok()
            .is_none_or(|named| named.name() != key.name())
    {
        report.add(index, "verifier_key is not a key of this log".to_owned());
    }
}
