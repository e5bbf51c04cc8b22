//! Values that others published: the vectors of RFC 6962's implementations, and the examples in the
//! C2SP specifications, against the server's tree and the verifier's.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_tlog as tlog;
use fieldledger_verifier::entry::EntryProof;
use fieldledger_verifier::note::{self, LogKey, NoteError};
use fieldledger_verifier::{Hash, tree};
use serde::Deserialize;

/// A proof, and whether it is one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    name: String,
    leaf_idx: u64,
    tree_size: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    name: String,
    size1: u64,
    size2: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

/// None where it has another length than a hash.
fn hash(text: &str) -> Option<Hash> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

fn hashes(texts: Option<&Vec<String>>) -> Option<Vec<Hash>> {
    texts.into_iter().flatten().map(|text| hash(text)).collect()
}

fn ours(proof: &[Hash]) -> Vec<tlog::Hash> {
    proof.iter().copied().map(tlog::Hash).collect()
}

#[test]
fn inclusion_is_judged_as_others_judge_it() -> Result<()> {
    let mut accepted = 0;
    for line in include_str!("../vectors/inclusion.jsonl").lines() {
        let probe: Inclusion = serde_json::from_str(line)?;
        let name = &probe.name;
        let (Some(root), Some(leaf), Some(proof)) = (
            hash(&probe.root),
            hash(&probe.leaf_hash),
            hashes(probe.proof.as_ref()),
        ) else {
            // No hash at all, which our types already refuse.
            ensure!(probe.want_err, "{name}");
            continue;
        };
        let (index, size) = (probe.leaf_idx, probe.tree_size);
        let verifier = tree::verify_inclusion(&leaf, index, size, &proof, &root).is_ok();
        ensure!(verifier != probe.want_err, "the verifier, {name}");
        let (root, leaf) = (tlog::Hash(root), tlog::Hash(leaf));
        let server = tlog::verify_inclusion(&ours(&proof), size, root, index, leaf);
        ensure!(server != probe.want_err, "the server, {name}");
        accepted += u32::from(verifier);
    }
    ensure!(accepted >= 5, "only {accepted} proofs were accepted");
    Ok(())
}

#[test]
fn consistency_is_judged_as_others_judge_it() -> Result<()> {
    let mut accepted = 0;
    for line in include_str!("../vectors/consistency.jsonl").lines() {
        let probe: Consistency = serde_json::from_str(line)?;
        let name = &probe.name;
        let (Some(old), Some(new), Some(proof)) = (
            hash(&probe.root1),
            hash(&probe.root2),
            hashes(probe.proof.as_ref()),
        ) else {
            // One probe wants anything that is the same twice to be consistent.
            ensure!(probe.want_err || probe.root1 == probe.root2, "{name}");
            continue;
        };
        let (size1, size2) = (probe.size1, probe.size2);
        let verifier = tree::verify_consistency(size1, &old, size2, &new, &proof).is_ok();
        ensure!(verifier != probe.want_err, "the verifier, {name}");
        let (old, new) = ((size1, tlog::Hash(old)), (size2, tlog::Hash(new)));
        let server = tlog::verify_consistency(&ours(&proof), old, new);
        ensure!(server != probe.want_err, "the server, {name}");
        accepted += u32::from(verifier);
    }
    ensure!(accepted >= 5, "only {accepted} proofs were accepted");
    Ok(())
}

/// The example of C2SP signed-note.
const NOTE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n\
    \u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

#[test]
fn the_example_of_signed_note_is_signed() -> Result<()> {
    let key = LogKey::parse(NOTE_KEY)?;
    // It is signed, but says nothing about a tree.
    let opened = note::open(NOTE, &key);
    ensure!(matches!(opened, Err(NoteError::Form(_))), "{opened:?}");
    let opened = tlog::open_checkpoint(NOTE.as_bytes(), NOTE_KEY);
    ensure!(
        matches!(opened, Err(tlog::CheckpointError::Content(_))),
        "{opened:?}"
    );

    let changed = NOTE.replace("example message", "example Message");
    let opened = note::open(&changed, &key);
    ensure!(
        matches!(opened, Err(NoteError::BadSignature(_))),
        "{opened:?}"
    );
    let opened = tlog::open_checkpoint(changed.as_bytes(), NOTE_KEY);
    ensure!(
        matches!(opened, Err(tlog::CheckpointError::Signature { .. })),
        "{opened:?}"
    );
    Ok(())
}

/// The example of C2SP tlog-proof, whose signatures are shortened.
const PROOF: &str = "c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

\u{2014} example.com/fancylog hI2DJw[...]1roloI=
";

#[test]
fn the_example_of_tlog_proof_is_read() -> Result<()> {
    // Its extra data is the name of a file; ours begins with a leaf.
    let refused = EntryProof::from_tlog_proof(PROOF).err();
    let refused = refused.context("an entry without a leaf was read")?;
    ensure!(
        refused.to_string().contains("shorter than a leaf"),
        "{refused}"
    );

    let extra = BASE64_STANDARD.encode([&[1; 49][..], b"{}"].concat());
    let example = PROOF.lines().nth(1).context("no second line")?;
    let proof = EntryProof::from_tlog_proof(&PROOF.replace(example, &format!("extra {extra}")))?;
    ensure!((proof.index, proof.inclusion_proof.len()) == (73_894, 5));
    ensure!(proof.envelope.as_deref() == Some("{}"));
    ensure!(
        proof
            .checkpoint
            .starts_with("example.com/fancylog\n109482\n")
    );
    Ok(())
}
