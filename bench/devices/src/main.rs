//! What the NATS client for devices reaches, how much room it takes, and what signatures cost. `cargo xtask bench devices`
//! builds and runs it.
//!
//! | module | holds |
//! |---|---|
//! | `codec` | parsing and encoding alone, in memory |
//! | `publishing`, `server` | publishing to a real nats-server, in turns with async-nats |
//! | `size` | how much of a microcontroller's memory the client takes |
//! | `signed` | what a signature costs the server |
#![forbid(unsafe_code)]

mod codec;
mod publishing;
mod server;
mod signed;
mod size;

use std::path::PathBuf;

use clap::Parser;

/// Measures the NATS client for devices.
#[derive(Debug, Parser)]
struct Args {
    /// The nats-server to run.
    #[arg(long)]
    nats_server: PathBuf,
    /// Programs for a Cortex-M0 whose sections are counted, the first without NATS.
    #[arg(long)]
    firmware: Vec<PathBuf>,
    /// Messages that each client publishes in a turn.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// Turns that each client takes; the middle one counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    turns: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    size::print(&args.firmware)?;
    codec::print(args.turns)?;
    signed::print(args.turns)?;
    publishing::print(&args.nats_server, args.messages, args.turns).await
}

/// The middle one of some figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
