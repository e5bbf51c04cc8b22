//! `cargo xtask wash`: the application as users of wasmCloud's own tool see it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use backon::{ConstantBuilder, Retryable as _};
use clap::Args;
use fieldledger_site::{
    Access, Artifacts, NatsOptions, NatsServer, Place, check_free, find_nats_server,
};
use serde_json::Value;

use crate::{build, program, setup};

/// The release of wash that belongs to wasmCloud 1.9.
const WASH_VERSION: &str = "0.43.";

/// The application's name in `wadm.yaml`.
const APPLICATION: &str = "fieldledger";

/// Ports in `wadm.yaml`, which is deployed as it is.
const NATS_PORT: u16 = 4222;
const HTTP_ADDRESS: &str = "127.0.0.1:8080";

/// How long the application may take to be deployed, and then to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Options of `wash`.
#[derive(Debug, Args)]
pub(crate) struct WashArgs {
    /// The wash to use; the one on PATH if absent. `cargo install wash --version 0.43.0 --locked`
    /// builds it in about ten minutes.
    #[arg(long, default_value = "wash", value_name = "PATH")]
    wash: PathBuf,

    /// Use the components in `build/` instead of running `wash build`.
    #[arg(long)]
    skip_build: bool,
}

/// Runs the check and leaves nothing running.
pub(crate) async fn run(args: &WashArgs) -> anyhow::Result<()> {
    let version = program::output(Command::new(&args.wash).arg("--version"))
        .context("wash 0.43 is needed, on PATH or by `--wash`")?;
    let version = version.lines().next().unwrap_or_default();
    let version = version.trim_start_matches("wash").trim();
    ensure!(
        version.trim_start_matches('v').starts_with(WASH_VERSION),
        "this checks with wash 0.43, but found `{version}`"
    );
    setup::install_for_running().await?;
    build::build_site().await?;
    let artifacts = Artifacts::locate()?;
    let folder = tempfile::tempdir().context("cannot create a folder for the check")?;
    let wash = Wash {
        program: args.wash.clone(),
        home: folder.path().to_owned(),
    };
    if !args.skip_build {
        build_components(&wash, &artifacts)?;
    }

    let http = HTTP_ADDRESS.parse().context("no address")?;
    check_free("the page, as wadm.yaml has it", http)?;
    let mut nats = NatsServer::start(NatsOptions {
        program: find_nats_server()?,
        listen: http.ip(),
        port: NATS_PORT,
        mqtt_port: None,
        monitor_port: None,
        access: Access::Anyone,
        tls: None,
        place: Place::Alone,
        folder: folder.path().join("nats"),
        logs: folder.path().join("logs"),
    })
    .await?;
    let checked = deploy_and_ask(&wash, &artifacts).await;
    // The host is stopped whatever the outcome, and before the server it speaks to.
    let stopped = wash.stop_host();
    nats.stop().await;
    if let Err(error) = &checked {
        let log = fs::read_to_string(wash.host_log()).unwrap_or_default();
        eprintln!("{error:#}\nthe host's log:\n{log}");
    }
    checked.and(stopped)?;
    println!("wash builds and deploys the application (wash {version})");
    Ok(())
}

fn build_components(wash: &Wash, artifacts: &Artifacts) -> anyhow::Result<()> {
    for package in build::COMPONENTS {
        let name = package.trim_start_matches("fieldledger-");
        println!("wash build of actors/{name}");
        let file = artifacts.component(name);
        fs::remove_file(&file).with_context(|| format!("cannot delete {}", file.display()))?;
        let actor = artifacts.root().join("actors").join(name);
        // Its own home would hide rustup's toolchains, so the caller's it is.
        program::run(Command::new(&wash.program).arg("build").current_dir(actor))?;
        ensure!(file.is_file(), "`wash build` left no {}", file.display());
    }
    Ok(())
}

async fn deploy_and_ask(wash: &Wash, artifacts: &Artifacts) -> anyhow::Result<()> {
    wash.start_host(artifacts)?;
    println!("wash app deploy wadm.yaml");
    until("the host takes commands", || {
        let hosts = wash.ask(&["get", "hosts", "--output", "json"])?;
        let count = hosts["hosts"].as_array().map_or(0, Vec::len);
        ensure!(count == 1, "{count} hosts answer");
        Ok(())
    })
    .await?;
    let manifest = artifacts.manifest();
    let manifest = manifest
        .to_str()
        .context("the checkout's path is not UTF-8")?;
    wash.run(&["app", "deploy", manifest])?;
    until("the application is deployed", || {
        let status = wash.ask(&["app", "status", APPLICATION, "--output", "json"])?;
        let state = &status["status"]["status"]["type"];
        ensure!(state == "deployed", "its status is {status}");
        Ok(())
    })
    .await?;
    until("HTTP answers", || {
        let url = format!("http://{HTTP_ADDRESS}/healthz");
        let mut answer = ureq::get(&url).call().context("no 200")?;
        println!("{url}: {}", answer.body_mut().read_to_string()?);
        Ok(())
    })
    .await?;
    wash.run(&["app", "undeploy", APPLICATION])?;
    wash.run(&["app", "delete", APPLICATION])
}

/// Tries `step` until it succeeds, or for [`PATIENCE`].
async fn until(what: &str, step: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let pauses = ConstantBuilder::default()
        .with_delay(Duration::from_millis(500))
        .without_max_times();
    let deadline = Instant::now() + PATIENCE;
    (async || step())
        .retry(pauses)
        .when(|_| Instant::now() < deadline)
        .await
        .with_context(|| format!("waited in vain until {what}"))
}

/// wash, with a home of its own, so that it neither finds nor leaves anything at the user's.
struct Wash {
    program: PathBuf,
    home: PathBuf,
}

impl Wash {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.home)
            .env("HOME", &self.home)
            .env("WASMCLOUD_CTL_PORT", NATS_PORT.to_string());
        command
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        program::run(&mut self.command(arguments))
    }

    fn ask(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let answer = program::output(&mut self.command(arguments))?;
        serde_json::from_str(&answer).with_context(|| format!("wash answered `{answer}`"))
    }

    fn host_log(&self) -> PathBuf {
        self.home.join("host.log")
    }

    fn start_host(&self, artifacts: &Artifacts) -> anyhow::Result<()> {
        let (host, log) = (artifacts.host(), self.host_log());
        let mut command = self.command(&["up", "--detached", "--nats-connect-only"]);
        command
            .args(["--disable-wadm", "--wasmcloud-version", "v1.9.2"])
            .args([
                "--nats-host",
                "127.0.0.1",
                "--nats-port",
                &NATS_PORT.to_string(),
            ])
            .args(["--rpc-timeout-ms", "20000", "--provider-delay", "10000"])
            .args(["--label", "fieldledger-central=true"])
            .args(["--label", "fieldledger-site=main"])
            .args([Path::new("--host-path"), &host])
            .args([Path::new("--host-log-path"), &log])
            .env("FIELDLEDGER_WITH_WADM", "true");
        program::run(&mut command)
    }

    /// Stops the one host there is.
    fn stop_host(&self) -> anyhow::Result<()> {
        let hosts = self.ask(&["get", "hosts", "--output", "json"])?;
        let id = hosts["hosts"][0]["id"].as_str();
        match id {
            Some(id) => self.run(&["stop", "host", id]),
            None => bail!("there is no host to stop: {hosts}"),
        }
    }
}
