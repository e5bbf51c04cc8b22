//! `cargo xtask bench profile`: where the processor's time goes in a site at work, as a flame graph for
//! each process.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::Args;
use inferno::collapse::Collapse as _;
use inferno::collapse::perf::{Folder, Options as FoldOptions};
use inferno::flamegraph::{self, Options as GraphOptions};
use tokio::time::{Duration, sleep};

use crate::bench::Case;
use crate::bench::plant::Plant;
use crate::{build, program};

/// Samples a second. Odd, so that what happens a thousand times a second is not always missed or hit.
const FREQUENCY: &str = "997";

/// Options of `bench profile`.
#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    /// Sensors of the field.
    #[arg(long, default_value_t = 10_000)]
    sensors: u32,
    /// Milliseconds between two polls of a sensor.
    #[arg(long, default_value_t = 1_000)]
    interval: u32,
    /// Seconds that are looked at, after as many to warm up.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Where the flame graphs go.
    #[arg(long, default_value = "build/profile")]
    folder: PathBuf,
}

/// Builds a site with symbols, runs it with a field, and draws a flame graph of each process.
pub(crate) async fn run(args: &ProfileArgs) -> anyhow::Result<()> {
    find_perf()?;
    let artifacts = build::build_site_with_symbols().await?;
    let folder = &args.folder;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let case = Case {
        sensors: args.sensors,
        interval_ms: args.interval,
    };
    let plant = Plant::start(artifacts, case).await?;
    sleep(Duration::from_secs(args.seconds)).await;
    let mut recorders = Vec::new();
    for (name, process) in plant.processes()? {
        let samples = folder.join(format!("{name}.perf"));
        let mut perf = Command::new("perf");
        // Without counters of the hardware, which virtual machines often lack.
        perf.args(["record", "--quiet", "--event", "cpu-clock", "--call-graph"])
            .args(["fp", "--freq", FREQUENCY])
            .args(["--pid", &process.to_string(), "--output"])
            .arg(&samples)
            .args(["--", "sleep", &args.seconds.to_string()]);
        let child = perf.stdout(Stdio::null()).spawn();
        recorders.push((name, samples, child.context("cannot run perf")?));
    }
    for (name, _, recorder) in &mut recorders {
        let status = recorder.wait().context("lost perf")?;
        anyhow::ensure!(status.success(), "perf record of {name} failed ({status})");
    }
    plant.stop().await;
    for (name, samples, _) in &recorders {
        let graph = folder.join(format!("{name}.svg"));
        draw(name, samples, &graph)?;
        println!("{}", graph.display());
    }
    Ok(())
}

/// Says what to do where perf is missing, before anything is built.
fn find_perf() -> anyhow::Result<()> {
    let mut perf = Command::new("perf");
    let found = perf
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    found.status().context(
        "perf, which takes the samples, is not here; Debian's package is `linux-perf`, Ubuntu's `linux-tools-generic`",
    )?;
    Ok(())
}

fn draw(name: &str, samples: &Path, graph: &Path) -> anyhow::Result<()> {
    let mut script = Command::new("perf");
    script.arg("script").arg("--input").arg(samples);
    let line = program::describe(&script);
    let mut script = script
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    let output = script.stdout.take().context("perf has no output")?;
    let mut folded = Vec::new();
    Folder::from(FoldOptions::default())
        .collapse(BufReader::new(output), &mut folded)
        .with_context(|| format!("cannot read what `{line}` says"))?;
    let status = script.wait().with_context(|| format!("lost `{line}`"))?;
    anyhow::ensure!(status.success(), "`{line}` failed ({status})");
    let mut options = GraphOptions::default();
    options.title = format!("fieldledger: {name}");
    let file = File::create(graph).with_context(|| format!("cannot write {}", graph.display()))?;
    flamegraph::from_reader(&mut options, folded.as_slice(), BufWriter::new(file))
        .with_context(|| format!("cannot draw {}", graph.display()))
}
