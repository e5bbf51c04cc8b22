//! `cargo xtask up`: a whole site with a simulated field.

mod backoff;
mod metrics;
mod screen;
mod sites;
mod state;
mod token;
mod watch;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, value_parser};
use fieldledger_site::{Artifacts, NatsServer, Site, SiteOptions, find_nats_server, is_free};
use tokio::signal::unix::{SignalKind, signal};

use crate::{build, setup};
use metrics::Api;
use state::State;
use watch::Watch;

/// The first answer needs every part of the application to have found the others.
const FIRST_ANSWER: Duration = Duration::from_secs(60);

/// Options of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Port of the page and the API.
    #[arg(long, default_value_t = 8080)]
    port: u16,

    /// Simulated sensors of each site.
    #[arg(long, default_value_t = 40)]
    sensors: u32,

    /// Sites on this machine, each with a host, servers and a simulated field of its own. The first has
    /// the log and the page, and the others are leaf nodes of it.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=9))]
    sites: u16,

    /// Milliseconds between two polls of a simulated sensor; as the sensors themselves ask if
    /// absent.
    #[arg(long)]
    interval: Option<u32>,

    /// Forget what an earlier run left: log, keys, sensors.
    #[arg(long)]
    fresh: bool,

    /// Port of NATS.
    #[arg(long, default_value_t = 4222)]
    nats_port: u16,

    /// Port of MQTT.
    #[arg(long, default_value_t = 1883)]
    mqtt_port: u16,

    /// Port of the lattice's NATS, which listens on loopback only.
    #[arg(long, default_value_t = 4223)]
    lattice_port: u16,

    /// Let nobody in who names no user: neither the original's simulator nor its Pico W, which know
    /// none.
    #[arg(long)]
    no_open_field: bool,

    /// Encrypt the field: its NATS, its MQTT and the leaf nodes of its servers speak TLS only, vouched for
    /// by an authority of the site's own, whose certificate devices have to be given. Shuts out what
    /// knows no TLS: boards, and the original's simulator and Pico W.
    #[arg(long)]
    tls: bool,

    /// Folder of the site's state; `state` in the checkout if absent.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Run without the simulated field.
    #[arg(long)]
    no_simulator: bool,

    /// Address to listen on. Anything but loopback opens the API, which asks for no password, and the
    /// open field, unless `--no-open-field` closes it, to the network.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,

    /// Run what is in `build/` already.
    #[arg(long)]
    no_build: bool,
}

/// Runs a site until it is told to stop.
pub(crate) async fn run(args: UpArgs) -> anyhow::Result<()> {
    let folder = match &args.state {
        Some(folder) => folder.clone(),
        None => Artifacts::of_checkout().root().join("state"),
    };
    // What can be found wrong at once is, before a build of minutes.
    let state = State::lock(&folder)?;
    state.stop_leftovers();
    check_ports(&args)?;
    if !args.no_build {
        setup::install_missing()?;
        build::build_all().await?;
    }
    if args.fresh {
        state.clear()?;
    }
    let options = options(&args, &state)?;

    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let told_to_stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(told_to_stop);
    let mut watch = tokio::select! {
        () = &mut told_to_stop => return Ok(()),
        started = start(options, &args) => started?,
    };
    tokio::select! {
        () = &mut told_to_stop => {}
        () = watch.keep_running() => {}
    }
    watch.stop().await;
    Ok(())
}

fn check_ports(args: &UpArgs) -> anyhow::Result<()> {
    let ports = [
        ("page", args.port, "--port"),
        ("NATS", args.nats_port, "--nats-port"),
        ("MQTT", args.mqtt_port, "--mqtt-port"),
        ("the lattice", args.lattice_port, "--lattice-port"),
    ];
    let further = sites::ports(args);
    for (purpose, port, option) in ports.into_iter().chain(further) {
        let address = SocketAddr::new(args.listen, port);
        if !is_free(address) {
            bail!(
                "{address} is in use, needed for {purpose}; stop what listens there, \
                 or choose another port with `{option}`"
            );
        }
    }
    Ok(())
}

fn options(args: &UpArgs, state: &State) -> anyhow::Result<SiteOptions> {
    Ok(SiteOptions {
        artifacts: Artifacts::locate()?,
        state: state.folder().to_owned(),
        nats_program: find_nats_server()?,
        listen: args.listen,
        http_port: args.port,
        nats_port: args.nats_port,
        mqtt_port: args.mqtt_port,
        lattice_port: args.lattice_port,
        open_field: !args.no_open_field,
        tls: args.tls,
        lattice: "default".to_owned(),
        log_level: "info".to_owned(),
        overrides: vec![(
            "http-gateway".to_owned(),
            "tokens".to_owned(),
            token::setting(state.folder())?,
        )],
        leafnode_ports: sites::LEAFNODES,
        leaves: sites::leaves(args),
    })
}

async fn start(options: SiteOptions, args: &UpArgs) -> anyhow::Result<Watch> {
    let servers = options.leaves.len() * 2 + 2;
    let hosts = match options.leaves.len() {
        0 => "the wasmCloud host".to_owned(),
        leaves => format!("{} wasmCloud hosts", leaves + 1),
    };
    println!("starting {servers} nats-servers, {hosts} and the application");
    let site = Site::start(options).await?;
    let api = Api::new(&site.http_url());
    tokio::time::timeout(FIRST_ANSWER, api.healthy())
        .await
        .with_context(|| {
            let logs = site.state().join("logs");
            format!(
                "the application is deployed but {}/healthz gives no 200; see {}",
                site.http_url(),
                logs.display()
            )
        })?;
    announce(&site);
    let mut watch = Watch::new(site, api, simulator_arguments(args));
    watch.start_simulators().await?;
    Ok(watch)
}

/// The simulator's arguments, or `None` to run without.
fn simulator_arguments(args: &UpArgs) -> Option<Vec<String>> {
    if args.no_simulator {
        return None;
    }
    let mut arguments = vec!["--sensors".to_owned(), args.sensors.to_string()];
    if let Some(interval) = args.interval {
        arguments.extend(["--interval".to_owned(), interval.to_string()]);
    }
    Some(arguments)
}

fn announce(site: &Site) {
    println!();
    println!("  page   {}", site.http_url());
    println!("  NATS   {}", site.nats_url());
    println!("  MQTT   {}", mqtt_url(&site.nats));
    for leaf in &site.leaves {
        let (nats, mqtt) = (leaf.nats_url(), mqtt_url(&leaf.nats));
        println!("  {} NATS {nats}, MQTT {mqtt}", leaf.name());
    }
    if let Some(authority) = site.authority() {
        let certificate = authority.certificate();
        println!("  TLS    devices have to believe {}", certificate.display());
    }
    println!("  state  {}", site.state().display());
    println!("  token  {}", token::path(site.state()).display());
    println!("  ask    {}", command_line(site));
    println!("  stop   Ctrl-C");
    println!();
}

fn mqtt_url(server: &NatsServer) -> String {
    server.options().mqtt_url().unwrap_or_default()
}

/// How the log is read and checked from another terminal.
fn command_line(site: &Site) -> String {
    let program = Artifacts::of_checkout().command_line();
    let program = match std::env::current_dir() {
        Ok(folder) => program.strip_prefix(folder).unwrap_or(&program).to_owned(),
        Err(_) => program,
    };
    format!("{} --url {} status", program.display(), site.http_url())
}
