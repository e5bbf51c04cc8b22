//! A Pico W under MicroPython, over a real MQTT port.
#![forbid(unsafe_code)]

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fieldledger_e2e::{
    pico_w::{PicoW, SENSOR},
    plant::{PATIENCE, Plant, until},
};
use serde_json::json;

/// A program that asks to be polled once a minute needs more than [`PATIENCE`] for two readings.
const TWO_MINUTES_MORE: Duration = PATIENCE.saturating_add(Duration::from_secs(120));

/// Its answers carry no number, so what was under way when the broker died is lost, and nothing else:
/// one answer at most, because it is not polled again before it has answered.
const LOST_WITH_THE_BROKER: usize = 1;

#[tokio::test(flavor = "multi_thread")]
async fn a_pico_w_is_polled_also_after_its_broker_came_back() -> Result<()> {
    let mut plant = Plant::start().await?;
    let mut pico = PicoW::start(plant.site.mqtt_address(), plant.site.state())?;
    two_more_readings(&plant, &mut pico).await?;

    let api = &plant.api;
    let listed = api.get_json(&format!("/api/sensors/{SENSOR}")).await?;
    ensure!(listed["alias"] == "temp_01", "{listed}");
    ensure!(listed["location"] == "rp-pico-w", "{listed}");
    ensure!(listed["mac_address"] == "28:cd:c1:03:e2:9f", "{listed}");
    ensure!(listed["ip_address"] == "192.168.1.17", "{listed}");

    plant.site.nats.kill9().await;
    plant.site.nats.restart().await?;
    two_more_readings(&plant, &mut pico).await?;

    let logged = readings(&plant).await?;
    let measured = pico.temperatures()?;
    let lost = missing(&measured, &logged)?;
    ensure!(
        lost.len() <= LOST_WITH_THE_BROKER,
        "{lost:?} are missing, {measured:?} measured, {logged:?} in the log"
    );

    // It says no goodbye, but names a topic for one.
    drop(pico);
    let client = plant.nats().await?;
    let goodbye = format!("picow.{SENSOR}.disconnect");
    client.publish(goodbye, "".into()).await?;
    client.flush().await?;
    until("the Pico W is forgotten", PATIENCE, async || {
        let status = plant.api.get(&format!("/api/sensors/{SENSOR}")).await?;
        Ok((status.status == 404).then_some(()))
    })
    .await?;
    plant.finish().await;
    Ok(())
}

/// Waits until the second of the readings that it takes from now on is in the log.
async fn two_more_readings(plant: &Plant, pico: &mut PicoW) -> Result<()> {
    let before = pico.temperatures()?.len();
    until(
        "two more readings are in the log",
        TWO_MINUTES_MORE,
        async || {
            let measured = pico.temperatures()?;
            let second = measured.get(before + 1).context("not polled twice yet")?;
            let logged = readings(plant).await?;
            Ok(logged.contains(second).then_some(()))
        },
    )
    .await
}

/// The values of its readings, in the log's order.
async fn readings(plant: &Plant) -> Result<Vec<String>> {
    let found = json!({"source": [SENSOR], "status": ["SUCCESS"]});
    let mut values = Vec::new();
    for entry in plant.api.entries(found).await? {
        let reading = entry.reading()?;
        let is_on_time = reading["late"].is_null();
        ensure!(reading["quality"] == "Good" || !is_on_time, "{reading}");
        ensure!(entry.field("actor") == "temp_01" && entry.field("new") == reading["raw"]);
        values.push(reading["raw"].as_str().context("no raw value")?.to_owned());
    }
    Ok(values)
}

/// What was measured and is not in the log, up to the last that is.
fn missing(measured: &[String], logged: &[String]) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let mut measured = measured.iter();
    for value in logged {
        loop {
            let next = measured.next();
            let next = next.with_context(|| format!("{value} was not measured, or not then"))?;
            if next == value {
                break;
            }
            missing.push(next.clone());
        }
    }
    Ok(missing)
}
