//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, ValueEnum};
use fieldledger_simulator::{
    Broker, Faults, Flapping, MeshSettings, MqttBroker, NatsBroker, Settings, Style,
};

/// Simulated sensors for Fieldledger: they announce themselves, answer polls, and misbehave on
/// demand.
///
/// The same seed gives the same sensors, values and faults. Ctrl-C, SIGTERM, --duration or --polls
/// end it with a summary.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// Protocol that the sensors speak
    #[arg(long, value_enum, default_value_t = ProtocolName::Nats)]
    protocol: ProtocolName,

    /// NATS server
    #[arg(long, value_name = "URL", default_value = "nats://127.0.0.1:4222")]
    url: String,

    /// NATS credentials: a file with a JWT and a seed
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,

    /// User and password, over NATS or MQTT: a file with both and a colon between them
    #[arg(long, value_name = "FILE", conflicts_with = "creds")]
    login: Option<PathBuf>,

    /// Speak TLS only, over NATS: a file with the authorities (PEM) that vouch for the server
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// MQTT broker, for --protocol mqtt
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883", value_parser = mqtt_address)]
    mqtt_url: MqttBroker,

    /// Sensors; the first 40 are those of the original simulator, the others have their kinds and sites in turn
    #[arg(long, value_name = "N", default_value_t = 40)]
    sensors: u32,

    /// Seed of the sensors' ids, values and faults
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,

    /// Boot id in modern answers [default: a new one]
    #[arg(long, value_name = "ID")]
    boot: Option<String>,

    /// Milliseconds between polls that the sensors ask for (the original ones asked for 10 minutes)
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    interval: u64,

    /// Milliseconds between heartbeats
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    heartbeat: u64,

    /// How messages are put: objects with sequence and time to the reply subject, or byte for byte
    /// like the original simulator's
    #[arg(long, value_enum, default_value_t = StyleName::Modern)]
    style: StyleName,

    /// What topics begin with [default: sim over NATS, picow over MQTT]
    #[arg(long, value_name = "WORD")]
    prefix: Option<String>,

    /// Connections to the broker [default: one for 20,000 sensors over NATS, for 500 over MQTT]
    #[arg(long, value_name = "N")]
    connections: Option<u32>,

    /// Seconds to look for the broker at the start
    #[arg(long, value_name = "S", default_value_t = 10)]
    connect_timeout: u64,

    /// Send each sensor's disconnect message at the end
    #[arg(long)]
    disconnect: bool,

    /// Stop after so many seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,

    /// Stop once every sensor has heard so many polls; it answers no more than these
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    polls: Option<u64>,

    /// Write every answer sent to a file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,

    /// Print one JSON object per second and a summary, for machines
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    faults: FaultArgs,

    #[command(flatten)]
    mesh: MeshArgs,
}

/// A mesh of simulated radios.
#[derive(Debug, Args)]
#[command(next_help_heading = "Mesh")]
struct MeshArgs {
    /// Simulate radios whose readings hop to a gateway, in time of its own and without a broker, and
    /// report how many arrive. Of the options above, --seed and --json count; see --mesh-polled
    #[arg(long)]
    mesh: bool,

    /// Nodes, the gateways among them
    #[arg(long, value_name = "N", default_value_t = 40, requires = "mesh")]
    mesh_nodes: u16,

    /// Gateways
    #[arg(long, value_name = "N", default_value_t = 2, requires = "mesh")]
    mesh_gateways: u16,

    /// Links, one in each line: NODE NODE [LOSS [MS]] [default: nodes at random, near ones linked]
    #[arg(long, value_name = "FILE", requires = "mesh")]
    mesh_links: Option<PathBuf>,

    /// Probability that a link loses a frame; between nodes at random, at a third of its reach
    #[arg(long, value_name = "P", default_value_t = 0.1, requires = "mesh")]
    mesh_loss: f64,

    /// Milliseconds that a frame takes over a link
    #[arg(long, value_name = "MS", default_value_t = 20, requires = "mesh")]
    mesh_delay: u32,

    /// Milliseconds between two readings of a node
    #[arg(long, value_name = "MS", default_value_t = 10_000, requires = "mesh")]
    mesh_interval: u32,

    /// Seconds that it goes on, in the mesh's time
    #[arg(long, value_name = "S", default_value_t = 1_800, requires = "mesh")]
    mesh_duration: u32,

    /// Nodes that die meanwhile; the first one is a gateway, where there are two
    #[arg(long, value_name = "N", default_value_t = 3, requires = "mesh")]
    mesh_deaths: u16,

    /// Let the gateways speak to the NATS server of --url: they announce the other nodes, and pass polls
    /// and answers on, in the world's time. A node takes a reading when it is polled, and --heartbeat
    /// counts instead of --mesh-interval; so do --interval, --boot, --style, --prefix, --creds, --login,
    /// --connect-timeout, --disconnect, --duration and --record
    #[arg(long, requires = "mesh")]
    mesh_polled: bool,

    /// How many times as fast as the world's the time of a polled mesh goes
    #[arg(long, value_name = "N", default_value_t = 1, requires = "mesh_polled", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    mesh_speed: u32,
}

/// What goes wrong.
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults (P is a probability from 0 to 1)")]
struct FaultArgs {
    /// A poll is not answered
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    drop: f64,

    /// An answer is late
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    late: f64,

    /// Milliseconds by which a late answer is late
    #[arg(long, value_name = "MS", default_value_t = 800)]
    late_by: u64,

    /// An answer is no number
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    garbage: f64,

    /// A value is outside the declared range
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    out_of_range: f64,

    /// A sensor is off during a period of so many milliseconds, such as 0.1/5000
    #[arg(long, value_name = "P/MS", value_parser = flapping)]
    flap: Option<Flapping>,

    /// The sensor named FAULTY_… works; else it drops a tenth of its polls
    #[arg(long)]
    no_faulty: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProtocolName {
    Nats,
    Mqtt,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StyleName {
    Modern,
    Original,
}

impl Cli {
    /// Reads the command line. Where it contradicts itself it says so and ends the program, as clap does.
    pub(crate) fn read() -> Self {
        let cli = Self::parse();
        // TLS in rumqttc would unite other features with those that the wasmCloud host is built with.
        if cli.tls_ca.is_some() && matches!(cli.protocol, ProtocolName::Mqtt) {
            let problem = "--tls-ca is for NATS: simulated sensors speak MQTT without TLS only";
            Self::command()
                .error(ErrorKind::ArgumentConflict, problem)
                .exit();
        }
        cli
    }

    /// The mesh to simulate instead of sensors at a broker.
    pub(crate) fn mesh(&self) -> Option<MeshSettings> {
        self.mesh.mesh.then(|| MeshSettings {
            nodes: self.mesh.mesh_nodes,
            gateways: self.mesh.mesh_gateways,
            seed: self.seed,
            links: self.mesh.mesh_links.clone(),
            loss: self.mesh.mesh_loss,
            delay: Duration::from_millis(self.mesh.mesh_delay.into()),
            interval: Duration::from_millis(self.mesh.mesh_interval.into()),
            duration: Duration::from_secs(self.mesh.mesh_duration.into()),
            deaths: self.mesh.mesh_deaths,
        })
    }

    /// How fast the time of the mesh goes, where a site polls it.
    pub(crate) fn mesh_speed(&self) -> Option<u32> {
        self.mesh.mesh_polled.then_some(self.mesh.mesh_speed)
    }

    /// What is to be simulated.
    pub(crate) fn settings(&self) -> Settings {
        let broker = match self.protocol {
            ProtocolName::Nats => Broker::Nats(NatsBroker {
                url: self.url.clone(),
                credentials: self.creds.clone(),
                login: self.login.clone(),
                tls_ca: self.tls_ca.clone(),
            }),
            ProtocolName::Mqtt => Broker::Mqtt(MqttBroker {
                login: self.login.clone(),
                ..self.mqtt_url.clone()
            }),
        };
        let defaults = Settings::default();
        Settings {
            sensors: self.sensors,
            seed: self.seed,
            boot: self.boot.clone().unwrap_or(defaults.boot),
            poll_interval: Duration::from_millis(self.interval),
            heartbeat_interval: Duration::from_millis(self.heartbeat),
            broker,
            connections: self.connections,
            connect_timeout: Duration::from_secs(self.connect_timeout),
            say_goodbye: self.disconnect,
            style: match self.style {
                StyleName::Modern => Style::Modern,
                StyleName::Original => Style::Original,
            },
            prefix: self.prefix.clone(),
            faults: Faults {
                drop: self.faults.drop,
                late: self.faults.late,
                late_by: Duration::from_millis(self.faults.late_by),
                garbage: self.faults.garbage,
                out_of_range: self.faults.out_of_range,
                flapping: self.faults.flap,
                faulty_sensor: !self.faults.no_faulty,
            },
            polls: self.polls,
        }
    }
}

/// `127.0.0.1:1883`, also with `mqtt://` before it.
fn mqtt_address(text: &str) -> Result<MqttBroker, String> {
    let expected = || format!("{text:?} is no address; expected HOST:PORT such as 127.0.0.1:1883");
    let address = text.strip_prefix("mqtt://").unwrap_or(text);
    let (host, port) = address.rsplit_once(':').ok_or_else(expected)?;
    let port = port.parse().map_err(|_| expected())?;
    if host.is_empty() || host.contains('/') || port == 0 {
        return Err(expected());
    }
    Ok(MqttBroker {
        host: host.to_owned(),
        port,
        login: None,
    })
}

/// `0.1/5000`: off with probability 0.1 during each period of 5 seconds.
fn flapping(text: &str) -> Result<Flapping, String> {
    let expected = || format!("{text:?} is not P/MS; expected something like 0.1/5000");
    let (probability, period) = text.split_once('/').ok_or_else(expected)?;
    Ok(Flapping {
        probability: probability.parse().map_err(|_| expected())?,
        period: Duration::from_millis(period.parse().map_err(|_| expected())?),
    })
}

/// `2.5`: two and a half seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is no time; expected seconds such as 30 or 0.5");
    let seconds: f64 = text.parse().map_err(|_| expected())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| expected())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_options_it_is_the_library_default() {
        let settings = Cli::parse_from(["simulator", "--boot", "b"]).settings();
        let expected = Settings {
            boot: "b".to_owned(),
            ..Settings::default()
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_mesh_without_options_is_the_library_default() {
        let cli = Cli::parse_from(["simulator", "--mesh"]);
        assert_eq!(cli.mesh(), Some(MeshSettings::default()));
        assert_eq!(Cli::parse_from(["simulator"]).mesh(), None);
        for alone in [
            &["--mesh-nodes", "9"][..],
            &["--mesh-polled"],
            &["--mesh", "--mesh-speed", "2"],
        ] {
            let arguments = std::iter::once(&"simulator").chain(alone);
            assert!(Cli::try_parse_from(arguments).is_err(), "{alone:?}");
        }
    }

    #[test]
    fn an_mqtt_address_is_host_and_port() {
        let broker = mqtt_address("mqtt://pi4.local:1883").unwrap();
        assert_eq!((broker.host.as_str(), broker.port), ("pi4.local", 1883));
        for wrong in [
            "",
            "host",
            "host:",
            ":1883",
            "host:x",
            "http://host:80",
            "host:0",
        ] {
            assert!(mqtt_address(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn flapping_is_probability_and_period() {
        let parsed = flapping("0.1/5000").unwrap();
        assert_eq!(parsed.period, Duration::from_secs(5));
        for wrong in ["", "0.1", "x/1", "0.1/", "0.1/-5"] {
            assert!(flapping(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_duration_is_seconds() {
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
        for wrong in ["", "-1", "NaN", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }
}
