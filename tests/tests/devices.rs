//! Devices of every kind that must work: the simulator of the proof of concept that this grew out of,
//! byte for byte, its FAULTY sensor too, and today's over MQTT. Its Pico W is in `pico_w.rs`.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use fieldledger_e2e::{
    account::{self, Answer},
    api::Entry,
    device::{Device, heartbeat, sensor_id},
    plant::{PATIENCE, Plant, until},
};
use fieldledger_site::Simulator;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_device_is_polled_and_recorded() -> Result<()> {
    let plant = Plant::start().await?;
    // Ids follow from the seed, so each fleet has its own.
    let kinds = [
        ("original", &["--seed", "42", "--style", "original"][..]),
        (
            "mqtt",
            &["--seed", "2", "--protocol", "mqtt", "--no-faulty"],
        ),
        (
            "mqtt-original",
            &[
                "--seed",
                "3",
                "--protocol",
                "mqtt",
                "--style",
                "original",
                "--no-faulty",
            ],
        ),
    ];
    let mut fleets = Vec::new();
    for (name, arguments) in kinds {
        fleets.push((name, start(&plant, name, arguments).await?));
    }
    a_device_that_loses_readings(&plant).await?;
    for (name, mut simulator) in fleets {
        let status = tokio::time::timeout(PATIENCE, simulator.process.wait()).await??;
        let tail = simulator.process.log_tail();
        ensure!(status.success(), "{name} ended with {status}: {tail}");
        let answers = account::answers(&plant.path(&format!("{name}.jsonl")))?;
        let dropped = 10 * 6 - answers.len();
        // Which polls the faulty sensor drops follows from the seed: of these six, one or more.
        let has_faulty = name == "original";
        ensure!(
            (dropped > 0) == has_faulty,
            "{name} gave {} answers",
            answers.len()
        );
        until(
            &format!("the answers of {name} are in the log"),
            PATIENCE,
            async || {
                plant.api.until_indexed(PATIENCE).await?;
                let readings = account::readings(&plant.api, &answers).await?;
                if name.ends_with("original") {
                    in_order_of_sending(&answers, &readings)?;
                    if has_faulty {
                        silence_is_recorded(&readings, dropped)?;
                    }
                } else {
                    let missing = account::settle(&answers, &readings)?;
                    ensure!(missing.is_empty(), "missing: {missing:?}");
                }
                Ok(Some(()))
            },
        )
        .await
        .with_context(|| name.to_owned())?;
        // They said goodbye at the end.
        let id = &answers.first().context("no answers")?.id;
        until(&format!("{name} is forgotten"), PATIENCE, async || {
            let status = plant.api.get(&format!("/api/sensors/{id}")).await?.status;
            Ok((status == 404).then_some(()))
        })
        .await?;
    }
    plant.finish().await;
    Ok(())
}

async fn start(plant: &Plant, name: &str, arguments: &[&str]) -> Result<Simulator> {
    let record = plant.path(&format!("{name}.jsonl")).display().to_string();
    let common = [
        "--sensors",
        "10",
        "--interval",
        "500",
        "--polls",
        "6",
        "--disconnect",
        "--record",
        &record,
    ];
    let arguments = [&common[..], arguments].concat();
    Ok(plant.site.start_simulator(name, &arguments).await?)
}

/// The original simulator's answers carry no sequence: what is in the log must be what was sent, in order.
fn in_order_of_sending(answers: &[Answer], readings: &BTreeMap<String, Vec<Entry>>) -> Result<()> {
    for (sensor, entries) in readings {
        let own = answers.iter().filter(|answer| answer.id == *sensor);
        let sent: Vec<&str> = own.map(|answer| answer.value.as_str()).collect();
        let mut logged = Vec::new();
        for entry in entries
            .iter()
            .filter(|entry| entry.field("status") == "SUCCESS")
        {
            let reading = entry.reading()?;
            ensure!(
                reading["boot"].is_null() && reading["seq"].is_null(),
                "{reading}"
            );
            logged.push(reading["raw"].as_str().context("no raw value")?.to_owned());
        }
        ensure!(
            logged == sent,
            "{sensor}: {logged:?} in the log, {sent:?} sent"
        );
    }
    Ok(())
}

/// The polls that the FAULTY sensor dropped are in the log, as polls without an answer.
fn silence_is_recorded(readings: &BTreeMap<String, Vec<Entry>>, dropped: usize) -> Result<()> {
    let faulty = readings.values().flatten().filter(|entry| {
        entry.field("actor").starts_with("FAULTY_") && entry.field("status") == "COMM_ERROR"
    });
    let mut silent = 0;
    for entry in faulty {
        let reading = entry.reading()?;
        ensure!(
            reading["quality"] == "BadNoCommunication" && entry.field("new").is_empty(),
            "{reading}"
        );
        silent += 1;
    }
    ensure!(
        silent >= dropped,
        "{dropped} polls dropped, {silent} in the log"
    );
    Ok(())
}

/// Numbers 3 and 4 never arrive: the log shows which readings are missing, and when.
async fn a_device_that_loses_readings(plant: &Plant) -> Result<()> {
    let id = sensor_id(2);
    let client = plant.nats().await?;
    let polls = AtomicU64::new(0);
    let _device = Device::start(&client, "sim.heartbeat", &heartbeat(&id), move |poll| {
        let number = match polls.fetch_add(1, Ordering::Relaxed) {
            early @ 0..=1 => early + 1,
            later => later + 3,
        };
        let answer = json!({"value": 20.5, "seq": number, "boot": "b1"});
        vec![poll.direct(answer.to_string())]
    })
    .await?;
    let path = format!("/api/gaps?sensor={id}&state=open");
    let gap = until("the gap is listed", PATIENCE, async || {
        let found = plant.api.get_json(&path).await?;
        Ok(found["gaps"].get(0).cloned())
    })
    .await?;
    ensure!(gap["missing"] == 2 && gap["boot"] == "b1", "{gap}");
    ensure!(
        gap["ranges"][0]["first"] == 3 && gap["ranges"][0]["last"] == 4,
        "{gap}"
    );
    let missing = plant
        .api
        .metric("fieldledger_ledger_readings_missing")
        .await?;
    ensure!(missing >= 2.0, "{missing} readings missing");
    Ok(())
}
