//! Processes killed under load, at moments that a seed chooses: nothing that was acknowledged is
//! lost, nothing is doubled.
#![forbid(unsafe_code)]

use std::time::Duration;

use anyhow::{Context as _, Result};
use fieldledger_chance::Numbers;
use fieldledger_e2e::{
    account,
    plant::{PATIENCE, Plant, until},
};
use fieldledger_site::Simulator;
use rand::Rng as _;

/// Forty sensors polled five times a second: 200 readings a second.
const LOAD: [&str; 4] = ["--sensors", "40", "--interval", "200"];

struct Load {
    plant: Plant,
    simulator: Simulator,
    moments: Numbers,
}

impl Load {
    async fn start() -> Result<Self> {
        let seed = fieldledger_chance::seed();
        let plant = Plant::start().await?;
        let record = plant.path("record.jsonl").display().to_string();
        let field = seed.get().to_string();
        let arguments = [&LOAD[..], &["--record", &record, "--seed", &field]].concat();
        let simulator = plant.site.start_simulator("simulator", &arguments).await?;
        Ok(Self {
            plant,
            simulator,
            moments: seed.numbers(),
        })
    }

    /// Waits for the moment of the next kill: after so many readings, and anywhere between two polls
    /// of a sensor.
    async fn until_next_kill(&mut self) -> Result<()> {
        let readings = self.moments.random_range(200..500);
        self.plant.until_grown_by(readings).await?;
        let longer = self.moments.random_range(0..200);
        tokio::time::sleep(Duration::from_millis(longer)).await;
        Ok(())
    }

    async fn kill_provider(&self, name: &str) -> Result<()> {
        let process = self.plant.site.host.provider_process(name);
        let process = process.with_context(|| format!("no process of provider {name}"))?;
        let process = i32::try_from(process)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let process = process.context("a process id out of range")?;
        rustix::process::kill_process(process, rustix::process::Signal::KILL)?;
        let killed = u32::try_from(process.as_raw_nonzero().get())?;
        until(
            "the host has started the provider again",
            PATIENCE,
            async || {
                Ok(self
                    .plant
                    .site
                    .host
                    .provider_process(name)
                    .filter(|now| *now != killed))
            },
        )
        .await?;
        Ok(())
    }

    /// Stops the load and settles the account: the log must come to hold every answer that was not
    /// under way at one of these moments, and none twice.
    async fn settle(self, kills: &[u64]) -> Result<()> {
        self.simulator.stop().await;
        let answers = account::answers(&self.plant.path("record.jsonl"))?;
        let missing = until(
            "every acknowledged answer is in the log",
            PATIENCE,
            async || {
                let readings = account::readings(&self.plant.api, &answers).await?;
                let missing = account::settle(&answers, &readings)?;
                account::only_unacknowledged(&missing, kills)?;
                Ok(Some(missing))
            },
        )
        .await?;
        eprintln!(
            "{} answers sent, {} of them not in the log",
            answers.len(),
            missing.len()
        );
        self.plant.finish().await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_ledger_loses_and_doubles_nothing() -> Result<()> {
    let mut load = Load::start().await?;
    for _ in 0..3 {
        load.until_next_kill().await?;
        load.kill_provider("ledger").await?;
        load.plant.api.until_healthy(PATIENCE).await?;
    }
    load.plant.until_grown_by(300).await?;
    load.settle(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_polling_provider_loses_only_what_it_had_not_stored() -> Result<()> {
    let mut load = Load::start().await?;
    let mut kills = Vec::new();
    for _ in 0..3 {
        load.until_next_kill().await?;
        kills.push(account::now()?);
        load.kill_provider("nats-polling").await?;
        load.plant.api.until_healthy(PATIENCE).await?;
    }
    load.plant.until_grown_by(300).await?;
    load.settle(&kills).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_host_loses_only_what_was_not_stored() -> Result<()> {
    let mut load = Load::start().await?;
    load.until_next_kill().await?;
    let killed = account::now()?;
    load.plant.site.host.kill9().await;
    load.plant.site.restart_host().await?;
    load.plant.api.until_healthy(PATIENCE).await?;
    load.plant.until_grown_by(300).await?;
    load.settle(&[killed]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_nats_server_loses_only_what_was_under_way() -> Result<()> {
    let mut load = Load::start().await?;
    load.until_next_kill().await?;
    let killed = account::now()?;
    load.plant.site.nats.kill9().await;
    load.plant.site.nats.restart().await?;
    load.plant.api.until_healthy(PATIENCE).await?;
    load.plant.until_grown_by(300).await?;
    load.settle(&[killed]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_of_the_lattice_loses_nothing() -> Result<()> {
    let mut load = Load::start().await?;
    load.until_next_kill().await?;
    load.plant.site.lattice_nats.kill9().await;
    load.plant.site.lattice_nats.restart().await?;
    load.plant.api.until_healthy(PATIENCE).await?;
    load.plant.until_grown_by(300).await?;
    load.settle(&[]).await
}
