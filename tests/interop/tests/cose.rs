//! COSE receipts, RFC 9942, checked by pycose.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_interop::log::Log;
use fieldledger_interop::programs::{check_receipt, output};
use fieldledger_verifier::entry::EntryProof;

#[tokio::test]
async fn pycose_verifies_receipts_and_refuses_changed_ones() -> Result<()> {
    let log = Log::start().await?;
    log.grow_to(1).await?;
    let refused = log.get("/log/receipt/0").await;
    let refused = refused.err().context("a tree of one leaf has a receipt")?;
    ensure!(refused.to_string().contains("two leaves"), "{refused}");

    log.grow_to(300).await?;
    let (receipt_file, leaf_file) = (log.path("receipt"), log.path("leaf"));
    for index in [0, 255, 299] {
        let receipt = log.get(&format!("/log/receipt/{index}")).await?;
        let proof = log.get(&format!("/log/proof/{index}")).await?;
        let proof = EntryProof::from_tlog_proof(str::from_utf8(&proof)?)?;
        let leaf = BASE64_STANDARD.decode(proof.leaf)?;
        fs::write(&receipt_file, &receipt)?;
        fs::write(&leaf_file, &leaf)?;
        let checked = output(&mut check_receipt(&receipt_file, &leaf_file, &log.key())?).await?;
        ensure!(checked.trim() == format!("{index} 300"), "{checked}");
    }

    let receipt = fs::read(&receipt_file)?;
    // A byte of the path, which ends before the detached payload and the signature.
    for position in [receipt.len() - 1, receipt.len() - 64 - 3 - 16] {
        let mut changed = receipt.clone();
        changed[position] ^= 1;
        fs::write(&receipt_file, changed)?;
        let checked = output(&mut check_receipt(&receipt_file, &leaf_file, &log.key())?).await;
        let refused = checked.err().context("a changed receipt was accepted")?;
        ensure!(
            refused.to_string().contains("signature is not over"),
            "{refused}"
        );
    }
    fs::write(&receipt_file, receipt)?;
    let mut leaf = fs::read(&leaf_file)?;
    leaf[20] ^= 1;
    fs::write(&leaf_file, leaf)?;
    let checked = output(&mut check_receipt(&receipt_file, &leaf_file, &log.key())?).await;
    ensure!(checked.is_err(), "another leaf was accepted");
    log.stop().await
}
