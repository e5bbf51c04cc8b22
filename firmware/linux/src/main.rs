//! A Linux machine as a field device: its own sensors, simulated ones and outputs, over MQTT or NATS.
//!
//! | module | holds |
//! |---|---|
//! | `settings` | the settings file; `device.yaml` is its reference |
//! | `discovery`, `sensors`, `outputs` | what there is on this machine, sensors, outputs as files |
//! | `clock` | the time on a Linux machine |
//! | `link` | a connection to one broker, over MQTT or NATS |
//! | `run` | the loop around the device |
//! | `held`, `sent_brokers`, `folder` | held readings and the last list of brokers, in files that survive a kill |
#![forbid(unsafe_code)]

mod clock;
mod discovery;
mod folder;
mod held;
mod link;
mod outputs;
mod run;
mod sensors;
mod sent_brokers;
mod settings;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use fieldledger_attest::identity::DeviceKey;
use fieldledger_device::sensor::{DEVICE_NUMBER, derived_id};
use nkeys::KeyPairType;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::settings::Settings;

/// Speaks for the sensors of this machine, signed.
#[derive(Debug, Parser)]
#[command(name = "fieldledger-device", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Announce the sensors, answer polls, and keep readings through outages.
    Run {
        /// The settings, YAML; see device.yaml beside the program's source.
        #[arg(long, default_value = "/etc/fieldledger-device.yaml")]
        config: PathBuf,
    },
    /// Make a key, unless there is one, and print what to enrol: key, fingerprint and ids.
    Keygen {
        /// The key file.
        #[arg(long, default_value = "/var/lib/fieldledger-device/key")]
        key: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // No colours in the journal.
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match Arguments::parse().command {
        Command::Run { config } => {
            let settings = Settings::read(&config)?;
            run::run(settings).await
        }
        Command::Keygen { key } => {
            let seed = fieldledger_key_file::read_or_create(&key).context("no key")?;
            let nkey = nkeys::KeyPair::new_from_raw(KeyPairType::User, seed)?;
            let key = DeviceKey::from_seed(&seed).public();
            println!("key         {key}");
            println!("fingerprint {}", key.fingerprint());
            println!("nkey        {}", nkey.public_key());
            println!(
                "device      {}",
                Uuid::from_bytes(derived_id(&key, DEVICE_NUMBER))
            );
            println!("sensor 0    {}", Uuid::from_bytes(derived_id(&key, 0)));
            Ok(())
        }
    }
}
