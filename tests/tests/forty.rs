//! Forty sensors, and every reading of theirs in the log once.
#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use fieldledger_e2e::{
    account,
    plant::{PATIENCE, Plant, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_reading_is_in_the_log_once_in_order_and_proved() -> Result<()> {
    let plant = Plant::start().await?;
    let record = plant.path("record.jsonl");
    let record_argument = record.display().to_string();
    let mut simulator = plant
        .site
        .start_simulator(
            "simulator",
            &[
                "--sensors",
                "40",
                "--interval",
                "400",
                "--polls",
                "12",
                "--record",
                &record_argument,
            ],
        )
        .await?;
    let status = tokio::time::timeout(PATIENCE, simulator.process.wait()).await??;
    ensure!(
        status.success(),
        "the simulator ended with {status}: {}",
        simulator.process.log_tail()
    );

    let answers = account::answers(&record)?;
    ensure!(
        answers.len() >= 39 * 12,
        "the simulator gave only {} answers",
        answers.len()
    );
    let missing = until("every answer is in the log", PATIENCE, async || {
        plant.api.until_indexed(PATIENCE).await?;
        let readings = account::readings(&plant.api, &answers).await?;
        let missing = account::settle(&answers, &readings)?;
        ensure!(
            missing.is_empty(),
            "{} answers are missing, the first: {:?}",
            missing.len(),
            missing.first()
        );
        Ok(Some(missing))
    })
    .await?;
    ensure!(missing.is_empty());

    let sensors = plant.api.get_json("/api/sensors").await?;
    let listed = sensors["sensors"].as_array().map_or(0, Vec::len);
    ensure!(listed == 40, "{listed} sensors are listed: {sensors}");

    // Nobody answers any more, and the sensors are down: the server's own "no responders" is no
    // answer of theirs.
    until("all sensors are down", PATIENCE, async || {
        let health = plant.api.get_json("/healthz").await?;
        ensure!(health["sensors_down"] == 40, "{health}");
        Ok(Some(()))
    })
    .await?;
    plant.finish().await;
    Ok(())
}
