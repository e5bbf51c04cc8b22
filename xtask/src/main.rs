//! `cargo xtask`: the commands that build, run and check Fieldledger.
//!
//! | module | holds |
//! |---|---|
//! | `setup` | what this machine needs beyond Rust |
//! | `build`, `artifacts`, `pack`, `firmware` | what is built, into `build/` |
//! | `progress`, `costs`, `screen`, `room` | how far a build is; what is shown; room on disks |
//! | `up`, `user`, `brokers`, `device_settings` | a site on this machine, its users, its brokers, and what a device needs to know of them |
//! | `test`, `flaky`, `lock_files`, `fuzz`, `wash`, `bench` | what is checked and measured |
//! | `program` | runs other programs |
#![forbid(unsafe_code)]

mod artifacts;
mod bench;
mod brokers;
mod build;
mod costs;
mod device_settings;
mod firmware;
mod flaky;
mod fuzz;
mod lock_files;
mod pack;
mod program;
mod progress;
mod room;
mod screen;
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
    /// Install what is missing for running and testing.
    ///
    /// Programs go to a folder of the project's own, Rust's targets to Rust. System packages are named, and
    /// installed with `--install-system` only.
    Setup(setup::SystemPackages),
    /// Build what a site runs, and the program for devices, into `build/`.
    Build,
    /// Build the programs for microcontrollers, and print their sizes.
    Firmware,
    /// Build and run a site with simulated sensors, until Ctrl-C.
    Up(up::UpArgs),
    /// Say which devices and programs may connect to the field.
    User(user::UserArgs),
    /// Tell the polling provider or a device which servers to connect to.
    Brokers(brokers::BrokersArgs),
    /// Check format, lints and docs, and run all tests.
    Test(test::TestArgs),
    /// Fuzz the parsers.
    Fuzz(fuzz::FuzzArgs),
    /// Measure throughput and latency on this machine.
    Bench(bench::BenchArgs),
    /// Check that the application builds and deploys with `wash`.
    Wash(wash::WashArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::Setup(system) => setup::install_for_tests(system).await,
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
