//! `cargo xtask up`: a whole site with a simulated field.

mod backoff;
mod complaints;
mod metrics;
mod ports;
mod sites;
mod state;
mod stop;
mod token;
mod watch;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, value_parser};
use fieldledger_site::{Artifacts, NatsServer, Site, SiteOptions, find_nats_server, free_port};

use crate::progress::Steps;
use crate::screen::Screen;
use crate::{build, room, setup};
use complaints::Complaints;
use metrics::Api;
use state::State;
use stop::StopRequests;
use watch::Watch;

/// The first answer needs every part of the application to have found the others.
const FIRST_ANSWER: Duration = Duration::from_secs(60);

/// Options of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Port of the page and the API.
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    port: u16,

    /// Simulated sensors of each site.
    #[arg(long, default_value_t = 40, value_name = "N")]
    sensors: u32,

    /// Sites on this machine.
    ///
    /// Each has a host, servers and simulated sensors of its own. The first is the centre, which has the
    /// log and the page; the others join it.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = value_parser!(u16).range(1..=9))]
    sites: u16,

    /// Milliseconds between two polls of a sensor.
    ///
    /// Without this, each simulated sensor asks for an interval of its own.
    #[arg(long, value_name = "MS")]
    interval: Option<u32>,

    /// Delete the state of earlier runs first.
    ///
    /// That is the log with its keys, the known sensors, and the users of the field's server.
    #[arg(long)]
    fresh: bool,

    /// Port of the field's NATS.
    #[arg(long, default_value_t = 4222, value_name = "PORT")]
    nats_port: u16,

    /// Port of the field's MQTT.
    #[arg(long, default_value_t = 1883, value_name = "PORT")]
    mqtt_port: u16,

    /// Port of the lattice, on loopback.
    #[arg(long, default_value_t = 4223, value_name = "PORT")]
    lattice_port: u16,

    /// Let in only devices and programs that log in.
    ///
    /// Shuts out the simulator and the Pico W of the proof of concept this grew out of, which cannot.
    #[arg(long)]
    no_open_field: bool,

    /// Encrypt the field: NATS and MQTT with TLS only.
    ///
    /// Devices have to trust the certificate of an authority of the site's own, which is made. Shuts out
    /// what has no TLS: microcontrollers, and the simulator and the Pico W of the proof of concept this
    /// grew out of.
    #[arg(long)]
    tls: bool,

    /// Folder of the site's state [default: `state`].
    ///
    /// The default is in the checkout. It holds all that outlives a run, and the logs of the processes.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Run without simulated sensors.
    #[arg(long)]
    no_simulator: bool,

    /// Address to listen on.
    ///
    /// Any other than loopback opens to the network: the page and the API, which anyone may read, and the
    /// field for devices that do not log in, unless `--no-open-field` is given.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,

    /// Do not build; run what is in `build/`.
    #[arg(long)]
    no_build: bool,
}

/// Runs a site until it is asked to stop, and at once where it is asked twice.
pub(crate) async fn run(args: UpArgs) -> anyhow::Result<()> {
    let mut stop = StopRequests::listen()?;
    let screen = Screen::new();
    let folder = match &args.state {
        Some(folder) => folder.clone(),
        None => Artifacts::of_checkout().root().join("state"),
    };
    // What can be found wrong at once is, before a build of minutes.
    let state = State::lock(&folder, args.fresh)?;
    for name in state.stop_leftovers() {
        screen.message(&format!("stopped a {name} that an earlier run left behind"));
    }
    ports::check(&args)?;
    room::for_site(state.folder())?;

    let watch = tokio::select! {
        biased;
        () = stop.next() => None,
        started = prepare_and_start(&args, &state, &screen) => Some(started?),
    };
    let Some(mut watch) = watch else {
        screen.clear();
        // What was started is killed by now, and here what that has started.
        state.stop_leftovers();
        screen.message("stopped before the site was up; nothing is left running");
        return Ok(());
    };
    tokio::select! {
        () = stop.next() => {}
        () = watch.keep_running() => {}
    }
    screen.message("stopping; once more Ctrl-C stops at once");
    let is_orderly = tokio::select! {
        () = watch.stop() => true,
        () = stop.next() => false,
    };
    screen.clear();
    if !is_orderly {
        state.stop_leftovers();
        bail!("stopped at once, as a crash would; the log is checked at the next start");
    }
    screen.message("stopped");
    Ok(())
}

async fn prepare_and_start<'a>(
    args: &UpArgs,
    state: &State,
    screen: &'a Screen,
) -> anyhow::Result<Watch<'a>> {
    let mut steps = match args.no_build {
        true => Steps::new(screen, 1),
        false => Steps::new(screen, build::STEPS_OF_SITE + 2),
    };
    if !args.no_build {
        steps.announce("tools");
        setup::install_for_running().await?;
        build::site(&mut steps).await?;
    }
    if args.fresh {
        state.clear()?;
    }
    let options = options(args, state)?;
    let complaints = Complaints::from_now(&state.folder().join("logs"));
    let servers = options.leaves.len() * 2 + 2;
    let hosts = match options.leaves.len() {
        0 => "the wasmCloud host".to_owned(),
        leaves => format!("{} wasmCloud hosts", leaves + 1),
    };
    steps.announce(&format!(
        "start of {servers} nats-servers, {hosts} and the application"
    ));
    let started = start(options, args, screen).await;
    started.map_err(|error| room::explain(complaints.explain(error), state.folder()))
}

fn options(args: &UpArgs, state: &State) -> anyhow::Result<SiteOptions> {
    Ok(SiteOptions {
        artifacts: Artifacts::locate()?,
        state: state.folder().to_owned(),
        nats_program: find_nats_server()?,
        listen: args.listen,
        http_port: args.port,
        gateway_port: free_port(Ipv4Addr::LOCALHOST.into())?,
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

async fn start<'a>(
    options: SiteOptions,
    args: &UpArgs,
    screen: &'a Screen,
) -> anyhow::Result<Watch<'a>> {
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
    let mut watch = Watch::new(site, api, simulator_arguments(args), screen);
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
        println!("  TLS    devices have to trust {}", certificate.display());
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
