//! The ledger is away: every part that needs it says so, and no event goes missing in silence.
#![forbid(unsafe_code)]

use std::fs;

use anyhow::{Context as _, Result, ensure};
use fieldledger_e2e::{
    api::Api,
    plant::{PATIENCE, Plant, until},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// The subject in `wadm.yaml`.
const EVENTS: &str = "events.audit";

/// Events that programs publish while the ledger is away.
const EVENTS_MEANWHILE: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_survives_a_restart_of_the_ledger() -> Result<()> {
    let plant = Plant::start().await?;
    for round in 0..3 {
        let action = format!("LOGIN-{round}");
        kill_process(ledger(&plant)?, Signal::KILL)?;
        publish(&plant, &action).await?;
        until(&format!("{action} is in the log"), PATIENCE, async || {
            let entries = plant.api.entries(json!({"action": [action]})).await?;
            ensure!(entries.len() == 1, "{} times", entries.len());
            Ok(Some(()))
        })
        .await?;
    }
    plant.finish().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_stays_away_is_named_everywhere() -> Result<()> {
    let mut plant = Plant::start().await?;
    let arguments = ["--sensors", "4", "--interval", "200"];
    let simulator = plant.site.start_simulator("simulator", &arguments).await?;
    until("the log has 20 entries", PATIENCE, async || {
        Ok((plant.api.checkpoint().await?.0.size >= 20).then_some(()))
    })
    .await?;

    // Without its program the host cannot start it again.
    let ledger = ledger(&plant)?;
    let program = fs::read_link(format!("/proc/{}/exe", ledger.as_raw_nonzero()))?;
    let elsewhere = plant.path("ledger-program");
    fs::rename(&program, &elsewhere)?;
    kill_process(ledger, Signal::KILL)?;
    for number in 0..EVENTS_MEANWHILE {
        publish(&plant, &format!("LOGIN-{number}")).await?;
    }
    says_unavailable(&plant.api).await?;

    until("a warning says that events wait", PATIENCE, async || {
        let log = fs::read_to_string(plant.path("logs/host.log"))?;
        let mut lines = log.lines();
        let line = lines.find(|line| line.contains("are not recorded yet"));
        let line = line.context("no such line")?;
        let is_clear = line.contains("WARN") && line.contains(EVENTS) && line.contains("ledger");
        ensure!(is_clear, "{line}");
        Ok(Some(()))
    })
    .await?;
    until("polling says why batches wait", PATIENCE, async || {
        let log = fs::read_to_string(plant.path("logs/host.log"))?;
        let mut waits = log
            .lines()
            .filter(|line| line.contains("batch not recorded"));
        let is_named = waits.any(|line| line.contains("the ledger could not be called"));
        Ok(is_named.then_some(()))
    })
    .await?;
    // An ended component would have been logged by the host, and its caller not answered.
    let log = fs::read_to_string(plant.path("logs/host.log"))?;
    for line in log.lines() {
        for sign in ["failed to call component", "failed to handle invocation"] {
            ensure!(!line.contains(sign), "{line}");
        }
    }
    simulator.stop().await;

    // The power fails, too, and then everything comes back.
    plant.site.host.kill9().await;
    plant.site.nats.kill9().await;
    plant.site.nats.restart().await?;
    fs::rename(&elsewhere, &program)?;
    plant.site.restart_host().await?;
    plant.api.until_healthy(PATIENCE).await?;
    until("every event is in the log, once", PATIENCE, async || {
        for number in 0..EVENTS_MEANWHILE {
            let wanted = json!({"action": [format!("LOGIN-{number}")]});
            let found = plant.api.entries(wanted).await?.len();
            ensure!(found == 1, "LOGIN-{number} is there {found} times");
        }
        Ok(Some(()))
    })
    .await?;
    plant.finish().await;
    Ok(())
}

fn ledger(plant: &Plant) -> Result<Pid> {
    let process = plant.site.host.provider_process("ledger");
    let process = process.context("no process of the ledger")?;
    Pid::from_raw(i32::try_from(process)?).context("a process id out of range")
}

async fn publish(plant: &Plant, action: &str) -> Result<()> {
    let client = plant.nats().await?;
    let event = json!({"message": "signed in", "actor": "ann", "action": action});
    client.publish(EVENTS, event.to_string().into()).await?;
    Ok(client.flush().await?)
}

/// Whatever needs the ledger is answered, with the part that is away.
async fn says_unavailable(api: &Api) -> Result<()> {
    for answer in [
        api.post("/api/logs", "{}").await?,
        api.get("/api/checkpoint").await?,
        api.get("/api/proof/0").await?,
        api.get("/healthz").await?,
    ] {
        let (status, body) = (answer.status, &answer.body);
        ensure!(status == 503 && body.contains("ledger"), "{status}: {body}");
        let kind = answer.header("content-type");
        ensure!(kind == "application/problem+json", "{kind}: {body}");
    }
    Ok(())
}
