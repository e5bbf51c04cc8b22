//! The settings of a link, checked.
//!
//! `SUBSCRIPTION`, `URI`, `CLIENT_JWT` and `CLIENT_SEED` are those of the proof of concept this grew
//! out of; the rest is new, and all of it optional.
//!
//! | module | holds |
//! |---|---|
//! | `settings` | each setting's name, and what it is for |
//! | `values` | reading them one by one |
//! | `subscription` | a heartbeat subject, and the prefix that it implies |
//! | `connection` | a NATS server, and who to be there |
//! | `error` | what is wrong with them |

mod connection;
mod error;
mod settings;
mod subscription;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;
use std::time::Duration;

use fieldledger_wire::topic::TopicRules;

pub use connection::{Authorities, Connection, Credentials, Seed};
pub use error::ConfigError;
pub use settings::SETTINGS;
pub use subscription::Subscription;
use values::Values;

use crate::batcher::BatchLimits;
use crate::engine::Settings;

/// A result without a signature takes 120 bytes: this is four days of a hundred sensors that are polled once a
/// second, and an hour of ten thousand. A disk on which it is a nuisance is too small for the log itself.
const STORED_BYTES_MAX: u64 = 4_000_000_000;

/// A link's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the field is.
    pub connection: Connection,
    /// Where heartbeats arrive.
    pub subscriptions: Vec<Subscription>,
    /// Name in subjects, stored keys and consumers. A restart must find the same name.
    pub instance: String,
    /// How the engine behaves.
    pub engine: Settings,
    /// When a batch is full.
    pub batch: BatchLimits,
    /// Most results in memory while they cannot be stored.
    pub buffer_max: usize,
    /// Most bytes in the stream of batches while they cannot be delivered.
    pub stored_bytes_max: u64,
    /// Deliveries at a time.
    pub lanes: u32,
    /// How long a delivery may take.
    pub call_timeout: Duration,
    /// Most results per second of a backlog, beside as many as are polled meanwhile.
    pub drain_per_s: u32,
    /// Where programs publish events, which are kept until they are recorded.
    pub events: Option<String>,
}

impl Config {
    /// Reads a link's settings. `instance` is the default of `INSTANCE`; subjects of `lattice` are
    /// out of bounds for devices.
    ///
    /// # Errors
    ///
    /// Names the setting, its value and what would be right. An unknown setting is an error, since
    /// it is most likely a known one misspelt.
    pub fn from_map(
        map: &HashMap<String, String>,
        instance: &str,
        lattice: &str,
    ) -> Result<Self, ConfigError> {
        let values = Values(map);
        values.refuse_unknown()?;
        let subscriptions = values.subscriptions()?;
        let prefixes = values.prefixes(&subscriptions)?;
        let confined = values.confined(&prefixes)?;
        let topics = TopicRules::new(&prefixes, lattice).map_err(ConfigError::Prefix)?;
        Ok(Self {
            connection: values.connection()?,
            subscriptions,
            instance: values.instance(instance)?,
            engine: values.engine(topics, confined)?,
            batch: BatchLimits {
                count: values.number("BATCH_COUNT", 1_000, 1..=10_000)?,
                // A NATS message holds 1 MB at most unless the server is set otherwise.
                bytes: values.number("BATCH_BYTES", 262_144, 8_192..=1_000_000)?,
                age: values.milliseconds("BATCH_AGE_MS", 200, 0..=60_000)?,
            },
            buffer_max: values.number("BUFFER_MAX", 100_000, 1_000..=10_000_000)?,
            stored_bytes_max: values.number(
                "STORED_BYTES_MAX",
                STORED_BYTES_MAX,
                1_000_000..=1_000_000_000_000,
            )?,
            lanes: values.number("LANES", 2, 1..=64)?,
            call_timeout: values.milliseconds("CALL_TIMEOUT_MS", 20_000, 100..=600_000)?,
            drain_per_s: values.number("DRAIN_PER_S", 10_000, 1..=1_000_000)?,
            events: values.text("EVENTS").map(str::to_owned),
        })
    }
}
