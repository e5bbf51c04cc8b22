//! Sensors, how they are polled, and what comes of it: `fieldledger:field/types`.
//!
//! Units are UCUM codes (<https://ucum.org>), the empty string where none is known. Sensor ids are
//! UUIDs in lower-case hyphenated form.

use fieldledger_contract_derive::{Packed, Wire};

mod batch;
mod registry;

pub use batch::{Attestation, Outcome, PollBatch};
pub use registry::{
    DeadLetter, Liveness, PollingStatus, Refusal, RefusalKind, SensorState, Standing,
};

/// The span of engineering values a sensor declares as plausible, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Wire, Packed)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[repr(C)]
pub struct Range {
    /// Lowest plausible value.
    pub low: f64,
    /// Highest plausible value.
    pub high: f64,
}

/// How a raw value becomes an engineering value: `(raw - base) * scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq, Wire, Packed)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[repr(C)]
pub struct Calibration {
    /// Raw value that maps to `offset`.
    pub base: f64,
    /// Engineering units per raw unit.
    pub scale: f64,
    /// Engineering value at `base`.
    pub offset: f64,
}

/// What a sensor's heartbeat declared of it.
#[derive(Debug, Clone, PartialEq, Wire, Packed)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SensorProfile {
    /// UUID, lower case, hyphenated.
    pub id: String,
    /// Name a person gave the sensor.
    pub alias: String,
    /// Where it is.
    pub location: String,
    /// UCUM code, the unit as it was sent where that is not known, or empty.
    #[cfg_attr(feature = "serde", serde(default))]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub unit: String,
    /// Plausible engineering values.
    #[cfg_attr(feature = "serde", serde(default))]
    pub range: Option<Range>,
    /// From raw to engineering value.
    #[cfg_attr(feature = "serde", serde(default))]
    pub calibration: Option<Calibration>,
    /// The unit as the heartbeat spelled it, where that is not the UCUM code; or empty.
    #[cfg_attr(feature = "serde", serde(default))]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub unit_sent: String,
}

/// What became of a batch once its records were durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Wire)]
#[repr(C)]
pub struct Ingested {
    /// Records written by this call.
    pub appended: u32,
    /// Records that an earlier delivery had already written.
    pub duplicates: u32,
    /// Size of the log that covers all of them.
    pub tree_size: u64,
}

/// Why a batch was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Wire)]
pub enum IngestError {
    /// The batch can never be accepted; the text names the column and row. Do not retry.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The log takes no more events, for the reason given: no batch can ever be recorded in it. Do
    /// not retry; pause.
    #[error("the log has ended: {0}")]
    Ended(String),
    /// The log could not be written now; the text says why. Retry.
    #[error("unavailable: {0}")]
    Unavailable(String),
}
