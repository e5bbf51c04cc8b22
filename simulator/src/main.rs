//! The simulator as a program.
//!
//! `cli` is the command line, `report` what is printed while it runs and in the end.
#![forbid(unsafe_code)]

mod cli;
mod report;

use std::error::Error as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::CommandFactory;
use clap::error::ErrorKind;
use fieldledger_simulator::{
    MeshError, MeshReport, MeshSettings, PolledMesh, PolledMeshError, Simulation, run, run_mesh,
};
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
    let cli = Cli::read();
    match (cli.mesh(), cli.mesh_speed()) {
        (Some(mesh), Some(speed)) => {
            return code_of(simulate_polled_mesh(&mesh, speed, &cli).await);
        }
        (Some(mesh), None) => return simulate_mesh(&mesh, cli.json),
        _ => {}
    }
    // Settings that contradict each other are as wrong as a flag that does not exist: exit code 2.
    let simulation = Simulation::new(cli.settings()).unwrap_or_else(|error| {
        Cli::command()
            .error(ErrorKind::ValueValidation, error)
            .exit()
    });
    code_of(simulate(simulation, &cli).await)
}

fn code_of(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a mesh and prints its report. Settings that make no sense end it with code 2, as above.
fn simulate_mesh(settings: &MeshSettings, json: bool) -> ExitCode {
    let report = run_mesh(settings).unwrap_or_else(|error| refuse_mesh(&error));
    print_mesh(&report, json);
    ExitCode::SUCCESS
}

/// Runs a mesh that a site polls until it is over or told to stop, and prints its report.
async fn simulate_polled_mesh(
    settings: &MeshSettings,
    speed: u32,
    cli: &Cli,
) -> anyhow::Result<()> {
    let polled = PolledMesh::new(settings, speed, cli.settings());
    let mut mesh = polled.unwrap_or_else(|error| match error {
        PolledMeshError::Mesh(error) => refuse_mesh(&error),
        error => Cli::command()
            .error(ErrorKind::ValueValidation, error)
            .exit(),
    });
    if let Some(path) = &cli.record {
        mesh.record_to(path)?;
    }
    let stop = CancellationToken::new();
    let mut interrupted = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
    let mut terminated = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let stopping = async {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
            () = elapsed(cli) => {}
        }
        stop.cancel();
        std::future::pending::<std::convert::Infallible>().await
    };
    let report = tokio::select! {
        report = mesh.run(stop.clone()) => report?,
        never = stopping => match never {},
    };
    print_mesh(&report, cli.json);
    Ok(())
}

fn refuse_mesh(error: &MeshError) -> ! {
    let kind = match error {
        MeshError::Read { .. } => ErrorKind::Io,
        _ => ErrorKind::ValueValidation,
    };
    Cli::command().error(kind, describe(error)).exit()
}

fn print_mesh(report: &MeshReport, json: bool) {
    let text = match json {
        true => serde_json::to_string(report).expect("a report is numbers and texts"),
        false => report.to_string(),
    };
    println!("{text}");
}

/// Returns after the time that the command line says.
async fn elapsed(cli: &Cli) {
    match cli.duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
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
    let reported = tokio::select! {
        () = stop.cancelled() => Ok(()),
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
        () = elapsed(cli) => Ok(()),
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
