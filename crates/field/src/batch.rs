//! Batches of poll results, as they are stored in JetStream and handed to a reader.
//!
//! The Rust twin of `fieldledger:field/types` in `wit/`: same names, same units.

use serde::{Deserialize, Serialize};

/// The span of engineering values a sensor declares as plausible, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Lowest plausible value.
    pub low: f64,
    /// Highest plausible value.
    pub high: f64,
}

/// How a raw value becomes an engineering value: `(raw - base) * scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Raw value that maps to `offset`.
    pub base: f64,
    /// Engineering units per raw unit.
    pub scale: f64,
    /// Engineering value at `base`.
    pub offset: f64,
}

/// What a sensor's heartbeat declared of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensorProfile {
    /// UUID, lower case, hyphenated.
    pub id: String,
    /// Name a person gave the sensor.
    pub alias: String,
    /// Where it is.
    pub location: String,
    /// UCUM code, or empty.
    #[serde(default)]
    pub unit: String,
    /// Plausible engineering values.
    #[serde(default)]
    pub range: Option<Range>,
    /// From raw to engineering value.
    #[serde(default)]
    pub calibration: Option<Calibration>,
}

/// How far a device's clock may be from the server's, microseconds: five minutes, as much as one that
/// is set once a day by hand may be wrong, and more than one that is set over a network ever is.
pub const CLOCK_TOLERANCE: u64 = 300_000_000;

/// How one poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The device answered in time with a number.
    Value,
    /// The device answered in time with something that is no number.
    Unparsable,
    /// No answer within the poll's timeout.
    NoReply,
    /// A number that arrived after its poll had already been recorded as [`Outcome::NoReply`].
    Late,
    /// A number that the device kept while it could not deliver it, and sent later
    /// ([`crate::bulk`]). No poll asked for it: its poll's number is one of its own, and the time of
    /// the poll the time of the measurement, as well as that is known.
    Historical,
}

/// What the signature of a result says of where it comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attestation {
    /// Not signed, and none is expected: nobody has approved a key of the sensor. Also where there is
    /// no reading that could be signed.
    #[default]
    Unsigned,
    /// Signed with the sensor's approved key.
    Valid,
    /// Signed with a key that the sensor shows, and that nobody has approved.
    Unapproved,
    /// Not signed, though the sensor has a key that was approved, now or once.
    Missing,
    /// The signature is not one of the sensor's key over this reading.
    Invalid,
    /// Signed with a key that was the sensor's and is retired.
    Retired,
}

impl Attestation {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Valid => "valid",
            Self::Unapproved => "unapproved",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Retired => "retired",
        }
    }

    /// Whether the result may be taken for the sensor's own: it is signed with its key, or nothing is
    /// known that it should be signed with.
    #[must_use]
    pub fn is_credible(self) -> bool {
        matches!(self, Self::Unsigned | Self::Valid | Self::Unapproved)
    }
}

/// Poll results, column by column: every list below `sensors` has one item per result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PollBatch {
    /// Unique id of the batch; a redelivered batch keeps it.
    pub id: String,
    /// Unique id of the polling run; with `poll` it names a poll for ever.
    pub epoch: String,
    /// Each sensor of the batch, once.
    pub sensors: Vec<SensorProfile>,
    /// Index into `sensors`.
    pub sensor: Vec<u32>,
    /// Number of the poll within the epoch.
    pub poll: Vec<u64>,
    /// When the poll was sent, microseconds since the Unix epoch.
    pub polled_at: Vec<u64>,
    /// When the answer arrived or the poll was given up, microseconds since the Unix epoch.
    pub received_at: Vec<u64>,
    /// How each poll ended.
    pub outcome: Vec<Outcome>,
    /// The number as the device wrote it, the unparsable text (at most 256 bytes), or empty.
    pub text: Vec<String>,
    /// The device's boot id, or empty.
    pub boot: Vec<String>,
    /// The device's sequence number, below 2^53.
    pub sequence: Vec<Option<u64>>,
    /// The device's own time, microseconds since the Unix epoch.
    pub device_at: Vec<Option<u64>>,
    /// The unit the reply named, or empty.
    pub unit: Vec<String>,
    /// True where the device repeated or turned back a sequence number within one boot.
    pub sequence_reused: Vec<bool>,
    /// The device's time since its boot in microseconds, where it does not know the time.
    #[serde(default)]
    pub device_up: Vec<Option<u64>>,
    /// What the signature says.
    #[serde(default)]
    pub attestation: Vec<Attestation>,
    /// The signature with what it takes to verify it (`fieldledger_attest::evidence`, JSON), or empty.
    #[serde(default)]
    pub evidence: Vec<String>,
}

impl PollBatch {
    /// The same with the columns that batches did not have before readings could be signed, as those
    /// have it that were stored then and not yet delivered.
    #[must_use]
    pub fn with_new_columns(mut self) -> Self {
        let rows = self.sensor.len();
        if self.device_up.is_empty() && self.attestation.is_empty() && self.evidence.is_empty() {
            self.device_up = vec![None; rows];
            self.attestation = vec![Attestation::Unsigned; rows];
            self.evidence = vec![String::new(); rows];
        }
        self
    }
}
