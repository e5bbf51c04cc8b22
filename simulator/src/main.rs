//! The simulator as a program.
#![forbid(unsafe_code)]

mod cli;
mod report;

use std::error::Error as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use fieldledger_simulator::{MeshError, MeshSettings, Simulation, run, run_mesh};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;
use crate::report::Reporter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    if let Some(settings) = cli.mesh() {
        return simulate_mesh(&settings, cli.json);
    }
    // Settings that contradict each other are as wrong as a flag that does not exist: exit code 2.
    let simulation = Simulation::new(cli.settings()).unwrap_or_else(|error| {
        Cli::command()
            .error(ErrorKind::ValueValidation, error)
            .exit()
    });
    match simulate(simulation, &cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a mesh and prints its report. Settings that make no sense end it with code 2, as above.
fn simulate_mesh(settings: &MeshSettings, json: bool) -> ExitCode {
    let report = run_mesh(settings).unwrap_or_else(|error| match error {
        MeshError::Read { .. } => Cli::command().error(ErrorKind::Io, describe(&error)).exit(),
        error => Cli::command()
            .error(ErrorKind::ValueValidation, error)
            .exit(),
    });
    let text = match json {
        true => serde_json::to_string(&report).unwrap_or_default(),
        false => report.to_string(),
    };
    println!("{text}");
    ExitCode::SUCCESS
}

/// An error and what it came from.
fn describe(error: &MeshError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

async fn simulate(mut simulation: Simulation, cli: &Cli) -> anyhow::Result<()> {
    if let Some(path) = &cli.record {
        simulation.record_to(path)?;
    }
    let simulation = Arc::new(simulation);
    let stop = CancellationToken::new();
    let mut interrupted = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
    let mut terminated = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let reporter = Reporter::new(cli.json);
    let running = tokio::spawn(run(simulation.clone(), stop.clone()));
    let elapsed = async {
        match cli.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let reported = tokio::select! {
        () = stop.cancelled() => Ok(()),
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
        () = elapsed => Ok(()),
        closed = reporter.run(&simulation) => closed,
    };
    stop.cancel();
    let outcome = running.await.context("running the simulation")?;
    if simulation.counts().heartbeats == 0 {
        // The broker was never reached: there is nothing to sum up.
        return Ok(outcome?);
    }
    // A reader that has seen enough is no failure, and what ended the simulation matters more.
    let finished = reported.and_then(|()| reporter.finish(&simulation));
    if let Err(error) = finished {
        tracing::debug!(%error, "standard output is closed");
    }
    Ok(outcome?)
}
