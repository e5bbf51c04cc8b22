//! Every entry's bundle, as it is downloaded, is verified by the verifier that shares no code with
//! the server; so is consistency between any two sizes.

use anyhow::{Result, ensure};
use fieldledger_interop::log::Log;
use fieldledger_verifier::entry::{EntryProof, hash_of};
use fieldledger_verifier::note::{self, LogKey, TreeHead};
use fieldledger_verifier::tree::{leaf_hash, verify_consistency};
use serde::Deserialize;

#[derive(Deserialize)]
struct Consistency {
    consistency_proof: Vec<String>,
}

#[tokio::test]
async fn every_bundle_is_verified_offline_and_no_byte_of_it_can_change() -> Result<()> {
    let log = Log::start().await?;
    let key = LogKey::parse(&log.key())?;
    for size in [1, 2, 3, 257, 300] {
        log.grow_to(size).await?;
        for index in [0, size / 2, size - 1] {
            let bundle = log.get(&format!("/api/proof/{index}/bundle")).await?;
            let entry = EntryProof::from_tlog_proof(str::from_utf8(&bundle)?)?;
            let verified = entry.verify(&key)?;
            ensure!(verified.head.size == size && verified.envelope_checked);
            let payload = log.get(&format!("/log/payload/{index}")).await?;
            ensure!(entry.envelope.map(String::into_bytes) == Some(payload));

            let proof = log.get(&format!("/log/proof/{index}")).await?;
            let proof = EntryProof::from_tlog_proof(str::from_utf8(&proof)?)?;
            ensure!(!proof.verify(&key)?.envelope_checked);
        }
    }
    let bundle = log.get("/api/proof/299/bundle").await?;
    for position in 0..bundle.len() {
        let mut changed = bundle.clone();
        changed[position] ^= 1;
        let is_accepted = String::from_utf8(changed)
            .ok()
            .and_then(|text| EntryProof::from_tlog_proof(&text).ok())
            .is_some_and(|entry| entry.verify(&key).is_ok());
        ensure!(!is_accepted, "byte {position} can be changed");
    }
    log.stop().await
}

#[tokio::test]
async fn trees_of_any_two_sizes_are_consistent() -> Result<()> {
    let log = Log::start().await?;
    let key = LogKey::parse(&log.key())?;
    let mut heads: Vec<TreeHead> = Vec::new();
    for size in [1, 2, 7, 8, 255, 256, 257, 300] {
        heads.push(note::open(&log.grow_to(size).await?.note, &key)?);
    }
    for old in &heads {
        for new in heads.iter().filter(|new| new.size >= old.size) {
            let path = format!("/api/consistency?old={}&new={}", old.size, new.size);
            let answer: Consistency = serde_json::from_slice(&log.get(&path).await?)?;
            let proof = answer.consistency_proof.iter();
            let proof = proof.map(|hash| hash_of("consistency_proof", hash));
            let proof = proof.collect::<Result<Vec<_>, _>>()?;
            verify_consistency(old.size, &old.root, new.size, &new.root, &proof)?;
            let wrong = leaf_hash(b"another tree");
            ensure!(verify_consistency(old.size, &wrong, new.size, &new.root, &proof).is_err());
        }
    }
    let newest = log.get("/api/consistency?old=8").await?;
    ensure!(String::from_utf8(newest)?.contains("example.com/plant\\n300\\n"));
    log.stop().await
}

#[tokio::test]
async fn partial_tiles_of_every_size_begin_the_full_ones() -> Result<()> {
    let log = Log::start().await?;
    log.grow_to(300).await?;
    for folder in ["0", "entries"] {
        let unit = if folder == "0" { 32 } else { 2 + 49 };
        let full = log.get(&format!("/log/tile/{folder}/000")).await?;
        ensure!(full.len() == 256 * unit);
        for width in [1_usize, 2, 127, 255] {
            let partial = log
                .get(&format!("/log/tile/{folder}/000.p/{width}"))
                .await?;
            ensure!(partial == full[..width * unit], "{folder} {width}");
        }
        ensure!(
            log.get(&format!("/log/tile/{folder}/001.p/44"))
                .await?
                .len()
                == 44 * unit
        );
        for beyond in ["001.p/45", "001", "002.p/1", "x999/999"] {
            let refused = log.get(&format!("/log/tile/{folder}/{beyond}")).await;
            ensure!(
                refused.is_err_and(|error| error.to_string().contains("404")),
                "{beyond}"
            );
        }
    }
    ensure!(log.get("/log/tile/1/000.p/1").await?.len() == 32);
    for beyond in ["1/000.p/2", "1/000", "2/000.p/1", "63/000"] {
        ensure!(
            log.get(&format!("/log/tile/{beyond}")).await.is_err(),
            "{beyond}"
        );
    }

    // What is damaged on disk does not get out.
    let sound = log.get("/log/tile/0/000").await?;
    let file = log.path("log/tile").join("level-0");
    let mut damaged = std::fs::read(&file)?;
    damaged[100] ^= 1;
    std::fs::write(&file, damaged)?;
    ensure!(log.get("/log/tile/0/000").await? == sound);
    let leaf = &log.get("/log/tile/entries/000").await?[2..51];
    ensure!(leaf_hash(leaf) == sound[..32], "a leaf and its hash");
    log.stop().await
}
