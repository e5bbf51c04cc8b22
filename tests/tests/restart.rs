//! A site that is stopped and started again knows its sensors and its log.
#![forbid(unsafe_code)]

use std::fs::File;

use anyhow::{Context as _, Result, ensure};
use fieldledger_e2e::{
    account,
    api::{Api, Entry},
    plant::{PATIENCE, Plant, until},
    tree::root_of,
};
use fieldledger_site::Site;
use fieldledger_verifier::note::{LogKey, TreeHead, open};
use serde_json::{Value, json};

const SENSORS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finds_sensors_and_log_again() -> Result<()> {
    let mut plant = Plant::start().await?;
    let record = plant.path("record.jsonl").display().to_string();
    let simulator = plant
        .site
        .start_simulator(
            "before",
            &["--sensors", "6", "--interval", "200", "--record", &record],
        )
        .await?;
    until("the log has 100 entries", PATIENCE, async || {
        Ok((plant.api.checkpoint().await?.0.size >= 100).then_some(()))
    })
    .await?;
    simulator.stop().await;
    let answers = account::answers(&plant.path("record.jsonl"))?;

    let sensors_before = sensors(&plant.api).await?;
    ensure!(sensors_before.len() == SENSORS, "{sensors_before:?}");
    let note_before = plant.api.get_json("/api/checkpoint").await?;
    plant.api.until_indexed(PATIENCE).await?;
    let entries_before = plant.api.entries(json!({})).await?;

    plant.restart().await?;

    // Before anything else: nobody has sent a heartbeat since.
    let known = until("the sensors are known again", PATIENCE, async || {
        let sensors = sensors(&plant.api).await?;
        Ok((sensors.len() == SENSORS).then_some(sensors))
    })
    .await?;
    let heartbeats = plant
        .api
        .metric("fieldledger_polling_heartbeats_total")
        .await?;
    ensure!(heartbeats == 0.0, "{heartbeats} heartbeats have come");
    for (before, after) in sensors_before.iter().zip(&known) {
        for field in ["id", "alias", "location", "unit", "range", "first_seen"] {
            ensure!(before[field] == after[field], "{before} became {after}");
        }
    }

    plant.until_settled().await?;
    let readings = account::readings(&plant.api, &answers).await?;
    let missing = account::settle(&answers, &readings)?;
    ensure!(missing.is_empty(), "lost, not by a crash: {missing:?}");
    let head = same_log(&plant.api, &entries_before, &note_before).await?;

    let simulator = plant
        .site
        .start_simulator("after", &["--sensors", "6", "--interval", "200"])
        .await?;
    until(
        "readings of today join those of before",
        PATIENCE,
        async || {
            let entries = plant.api.entries(json!({"status": ["SUCCESS"]})).await?;
            let new = entries.iter().filter(|entry| entry.index >= head.size);
            Ok((new.count() >= 50).then_some(()))
        },
    )
    .await?;
    ensure!(sensors(&plant.api).await?.len() == SENSORS);
    simulator.stop().await;
    same_log(&plant.api, &entries_before, &note_before).await?;

    another_process_holds_the_ledger(&mut plant).await?;
    same_log(&plant.api, &entries_before, &note_before).await?;
    plant.finish().await;
    Ok(())
}

async fn sensors(api: &Api) -> Result<Vec<Value>> {
    let listed = api.get_json("/api/sensors").await?;
    Ok(listed["sensors"].as_array().context("no sensors")?.clone())
}

/// The log begins with the entries of before, under the key of before, and the tree that was signed
/// then is the beginning of today's. Returns today's head.
async fn same_log(api: &Api, entries_before: &[Entry], before: &Value) -> Result<TreeHead> {
    let size = api.until_indexed(PATIENCE).await?;
    let (head, _) = api.checkpoint().await?;
    ensure!(head.size >= size);
    let entries = api.entries(json!({})).await?;
    ensure!(
        entries.len() >= entries_before.len(),
        "{} entries are left",
        entries.len()
    );
    for (before, after) in entries_before.iter().zip(&entries) {
        ensure!(
            before.leaf_hash == after.leaf_hash,
            "entry {} has changed",
            before.index
        );
    }

    let now = api.get_json("/api/checkpoint").await?;
    ensure!(
        now["verifier_key"] == before["verifier_key"],
        "the log has another key"
    );
    let key = LogKey::parse(now["verifier_key"].as_str().context("no key")?)?;
    let signed = open(before["note"].as_str().context("no note")?, &key)?;
    let beginning = &entries[..usize::try_from(signed.size)?];
    ensure!(
        root_of(beginning) == signed.root,
        "not what was signed at {}",
        signed.size
    );
    Ok(head)
}

/// A ledger whose folder is in use says so, writes nothing, and is well again once it is free.
async fn another_process_holds_the_ledger(plant: &mut Plant) -> Result<()> {
    plant.site.stop().await;
    let lock = File::options()
        .write(true)
        .open(plant.path("ledger/lock"))?;
    lock.try_lock()
        .context("the stopped ledger still holds its folder")?;
    plant.site = Site::start(plant.site.options().clone()).await?;
    until("/healthz names the ledger and why", PATIENCE, async || {
        let answer = plant.api.get("/healthz").await?;
        ensure!(answer.status == 503, "/healthz answered {}", answer.status);
        let errors = answer.json()?["errors"].to_string();
        let clear = errors.contains("\"ledger\"") && errors.contains("another process holds");
        ensure!(clear, "{errors}");
        Ok(Some(()))
    })
    .await?;
    let answer = plant.api.get("/api/checkpoint").await?;
    ensure!(answer.status == 503, "a locked ledger gave {}", answer.body);
    drop(lock);
    plant.restart().await
}
