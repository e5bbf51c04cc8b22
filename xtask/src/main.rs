//! `cargo xtask`: the commands that build, run and check Fieldledger.
#![forbid(unsafe_code)]

mod artifacts;
mod bench;
mod brokers;
mod build;
mod debian;
mod device_settings;
mod firmware;
mod flaky;
mod fuzz;
mod interop_tools;
mod lock_files;
mod made_from;
mod npm;
mod pack;
mod pangea_sdks;
mod program;
mod setup;
mod test;
mod up;
mod user;
mod wash;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, runs and checks Fieldledger.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what is missing: Rust's targets, nats-server, and what the tests check against.
    Setup,
    /// Build host, providers, components, simulator, command line and the program for devices into `build/`.
    Build,
    /// Build the programs for microcontrollers into `build/`, and say how large they are.
    Firmware,
    /// Build, then run a whole site with a simulated field, until Ctrl-C.
    Up(up::UpArgs),
    /// Say who may connect to the field's server: devices and programs.
    User(user::UserArgs),
    /// Send the polling provider, or a device, to other servers of the field.
    Brokers(brokers::BrokersArgs),
    /// Check format, lints and docs, and run all tests.
    Test(test::TestArgs),
    /// Give the parsers bytes that nobody would write.
    Fuzz(fuzz::FuzzArgs),
    /// Measure what this machine reaches.
    Bench(bench::BenchArgs),
    /// Check with a real `wash` that the application builds and deploys with it.
    Wash(wash::WashArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::Setup => setup::install_missing(),
        Task::Build => build::build_all().await,
        Task::Firmware => firmware::build(),
        Task::Up(args) => up::run(args).await,
        Task::User(args) => user::run(args),
        Task::Brokers(args) => brokers::run(args).await,
        Task::Test(args) => test::run(&args).await,
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Bench(args) => bench::run(&args).await,
        Task::Wash(args) => wash::run(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
