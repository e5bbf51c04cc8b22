//! A mesh whose gateways speak to a site. Its radios are simulated (`simulator/src/mesh`), all else is
//! real.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, ensure};
use fieldledger_e2e::{
    account::{self, Answer},
    plant::{PATIENCE, Plant, until},
};
use serde_json::Value;

/// A ring of sensors, which no death of one of them cuts, and two gateways with two links each.
const LINKS: &str = "2 3\n3 4\n4 5\n5 6\n6 7\n7 8\n8 9\n9 10\n10 11\n11 2\n0 4\n0 9\n1 2\n1 7\n";

/// Nodes that are no gateways.
const SENSORS: usize = 10;

/// In the mesh's time, which goes ten times as fast: thirty seconds.
const MESH_SECONDS: &str = "300";

/// The last part of it, in microseconds: the second death is 6 s before its begin.
const AFTER_THE_DEATHS: u64 = 4_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_is_polled_and_recorded_while_its_nodes_die() -> Result<()> {
    // A node waits for a new way for half a minute of its time. What it then says is late, but is known
    // for what it is.
    let plant = Plant::start_with(|options| {
        options.set("nats-polling", "LATE_WINDOW_MS", "5000");
    })
    .await?;
    let links = plant.path("links");
    fs::write(&links, LINKS)?;
    let links = links.display().to_string();
    let record = plant.path("mesh.jsonl");
    let record_argument = record.display().to_string();
    let mut simulator = plant
        .site
        .start_simulator(
            "mesh",
            &[
                "--mesh",
                "--mesh-polled",
                "--mesh-speed",
                "10",
                "--mesh-nodes",
                "12",
                "--mesh-links",
                &links,
                "--mesh-deaths",
                "2",
                "--mesh-duration",
                MESH_SECONDS,
                "--heartbeat",
                "1500",
                "--interval",
                "500",
                "--json",
                "--record",
                &record_argument,
            ],
        )
        .await?;
    let status = tokio::time::timeout(PATIENCE, simulator.process.wait()).await??;
    let tail = simulator.process.log_tail();
    ensure!(status.success(), "the mesh ended with {status}: {tail}");

    let report: Value = serde_json::from_slice(&fs::read(simulator.process.output())?)?;
    ensure!(report["deaths"] == 2 && report["cut_off"] == 0, "{report}");
    let answers = account::answers(&record)?;
    let polls = &report["polls"];
    ensure!(polls["answered"] == answers.len(), "{report}");
    ensure!(answers.len() > SENSORS * 10, "{report}");
    all_but_one_are_heard_to_the_end(&answers)?;

    until("every answer is in the log once", PATIENCE, async || {
        plant.until_settled().await?;
        let readings = account::readings(&plant.api, &answers).await?;
        let mut sent: BTreeMap<(&str, u64), &str> = BTreeMap::new();
        for answer in &answers {
            sent.insert((&answer.id, answer.seq), &answer.value);
        }
        let mut silent = 0;
        for (sensor, entry) in readings
            .iter()
            .flat_map(|(sensor, entries)| entries.iter().map(move |entry| (sensor, entry)))
        {
            if entry.field("status") == "COMM_ERROR" {
                silent += 1;
                continue;
            }
            let reading = entry.reading()?;
            let number = reading["seq"].as_u64().context("no number")?;
            let value = sent.remove(&(sensor.as_str(), number));
            ensure!(
                value == reading["raw"].as_str(),
                "{reading} where {value:?} was sent, or it is there twice"
            );
        }
        ensure!(sent.is_empty(), "missing: {sent:?}");
        let lost = polls["lost"].as_u64().context("no count")?;
        ensure!(silent >= lost, "{lost} polls lost, {silent} in the log");
        Ok(Some(()))
    })
    .await?;
    plant.finish().await;
    Ok(())
}

/// A gateway has died and a sensor, which alone is silent.
fn all_but_one_are_heard_to_the_end(answers: &[Answer]) -> Result<()> {
    let end = answers.iter().map(|answer| answer.sent_at).max();
    let begin = end.context("no answers")?.saturating_sub(AFTER_THE_DEATHS);
    let all: BTreeSet<&str> = answers.iter().map(|answer| answer.id.as_str()).collect();
    let late = answers.iter().filter(|answer| answer.sent_at > begin);
    let heard: BTreeSet<&str> = late.map(|answer| answer.id.as_str()).collect();
    ensure!(
        all.len() == SENSORS && heard.len() == SENSORS - 1,
        "{} sensors answered, {} of them in the end",
        all.len(),
        heard.len()
    );
    Ok(())
}
