//! `cargo xtask brokers`: where else the field's server is, said to the provider and to devices.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use fieldledger_site::{
    Artifacts, BrokerList, DEVICE_PREFIX, FieldAddress, FieldOperator, FieldUsers,
};
use uuid::Uuid;

/// The id that wadm gives the component which the provider is linked to.
const INSTANCE: &str = "fieldledger-sensor_reader";

/// Options of `brokers`.
#[derive(Debug, Args)]
pub(crate) struct BrokersArgs {
    /// Folder of the site's state, with the operator's key [default: `state` in the checkout].
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,

    /// The server that the provider and devices are connected to now.
    #[arg(
        long,
        value_name = "URL",
        default_value = "nats://127.0.0.1:4222",
        global = true
    )]
    server: String,

    /// Version of the list, which has to be higher than that of the list before [default: seconds since
    /// 1970].
    #[arg(long, value_name = "N", global = true)]
    version: Option<u64>,

    #[command(subcommand)]
    to: To,
}

#[derive(Debug, Subcommand)]
enum To {
    /// Tell the polling provider; it answers whether it changes servers, and the log has who asked.
    Provider(ProviderArgs),
    /// Tell a device. Devices do not answer.
    Device(DeviceArgs),
}

#[derive(Debug, Args)]
struct ProviderArgs {
    /// Servers, best first, such as `nats://10.0.0.1:4222`, without users and passwords: the provider
    /// keeps its own.
    #[arg(required_unless_present = "as_configured")]
    brokers: Vec<String>,

    /// Go back to the servers in the settings of its link.
    #[arg(long, conflicts_with = "brokers")]
    as_configured: bool,

    /// Name of the provider's instance, as its setting INSTANCE has it.
    #[arg(long, value_name = "NAME", default_value = INSTANCE)]
    instance: String,

    /// Who asks, for the log [default: the name of this machine's user].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    /// Why, for the log.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

#[derive(Debug, Args)]
struct DeviceArgs {
    /// Its own id; those of its sensors are others.
    id: Uuid,

    /// Servers, best first, such as `mqtts://10.0.0.1:8883`.
    #[arg(required = true)]
    brokers: Vec<String>,

    /// The first word of its subjects.
    #[arg(long, default_value = DEVICE_PREFIX)]
    prefix: String,
}

/// Sends a list.
pub(crate) async fn run(args: BrokersArgs) -> anyhow::Result<()> {
    let state = match args.state {
        Some(folder) => folder,
        None => Artifacts::of_checkout().root().join("state"),
    };
    let server = state.join("nats");
    let seed = FieldUsers::of(&server).operator_seed();
    let tls_ca = FieldAddress::read(&server)?.and_then(|address| address.tls_ca);
    let version = match args.version {
        Some(version) => version,
        None => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .context("the clock stands before 1970; give a --version")?
            .as_secs(),
    };
    let operator = FieldOperator::connect(&args.server, &seed, tls_ca.as_deref()).await?;
    let mut list = BrokerList {
        version,
        brokers: Vec::new(),
        by: String::new(),
        reason: String::new(),
    };
    match args.to {
        To::Provider(provider) => {
            list.brokers = provider.brokers;
            let user = || std::env::var("USER").unwrap_or_default();
            list.by = provider.by.unwrap_or_else(user);
            list.reason = provider.reason;
            let answer = operator.send_to_provider(&provider.instance, &list).await?;
            if !answer.taken {
                bail!("the provider keeps its servers: {}", answer.reason);
            }
            match answer.server.as_str() {
                "" => println!("version {version} was in use already"),
                server => println!("version {version} is in use; polling goes on at {server}"),
            }
        }
        To::Device(device) => {
            let is_word = |c: char| !c.is_whitespace() && !matches!(c, '*' | '>');
            let prefix = device.prefix.replace('/', ".");
            ensure!(
                prefix.chars().all(is_word),
                "{prefix:?} is not a prefix of subjects"
            );
            list.brokers = device.brokers;
            operator.send_to_device(&prefix, device.id, &list).await?;
            println!("version {version} is sent; a device that is connected uses it at once");
        }
    }
    Ok(())
}
