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
    /// Folder of the site's state, with the operator's key; `state` in the checkout if absent.
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,

    /// The server at which provider and devices are now.
    #[arg(
        long,
        value_name = "URL",
        default_value = "nats://127.0.0.1:4222",
        global = true
    )]
    server: String,

    /// A list counts where its version is higher than that of the one before; seconds since 1970 if
    /// absent.
    #[arg(long, value_name = "N", global = true)]
    version: Option<u64>,

    #[command(subcommand)]
    to: To,
}

#[derive(Debug, Subcommand)]
enum To {
    /// Send the polling provider elsewhere; it says whether it goes, and the log has who sent it.
    Provider(ProviderArgs),
    /// Send a device elsewhere. Devices do not answer.
    Device(DeviceArgs),
}

#[derive(Debug, Args)]
struct ProviderArgs {
    /// Best first, such as `nats://10.0.0.1:4222`. No users and passwords: the provider keeps its own.
    #[arg(required_unless_present = "as_configured")]
    brokers: Vec<String>,

    /// Undo it: those that the settings of its link name count again.
    #[arg(long, conflicts_with = "brokers")]
    as_configured: bool,

    /// Name of the provider's instance, as its setting INSTANCE has it.
    #[arg(long, value_name = "NAME", default_value = INSTANCE)]
    instance: String,

    /// Who sends it, for the log; the name of this machine's user if absent.
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

    /// Best first, such as `mqtts://10.0.0.1:8883`, as this device understands them.
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
                bail!("the provider stays where it is: {}", answer.reason);
            }
            match answer.server.as_str() {
                "" => println!("taken already: version {version}"),
                server => println!("taken: version {version}; polling goes on at {server}"),
            }
        }
        To::Device(device) => {
            let is_word = |c: char| !c.is_whitespace() && !matches!(c, '*' | '>');
            let prefix = device.prefix.replace('/', ".");
            ensure!(prefix.chars().all(is_word), "{prefix:?} is no prefix");
            list.brokers = device.brokers;
            operator.send_to_device(&prefix, device.id, &list).await?;
            println!("sent: version {version}; where it is heard, it counts at once");
        }
    }
    Ok(())
}
