//! Readings, found in the log again: what charts and lists of sensors need.

use fieldledger_contract_derive::Wire;

use crate::base::WallTime;

/// A reading as the log holds it.
#[derive(Debug, Clone, PartialEq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Reading {
    /// Entry of the log.
    pub index: u64,
    /// UUID of the sensor.
    pub sensor: String,
    /// `SUCCESS`, `VALUE_ERROR` or `COMM_ERROR`.
    pub status: String,
    /// OPC UA status code name.
    #[cfg_attr(feature = "schema", schema(example = "Good"))]
    pub quality: String,
    /// Engineering value; none where the quality is Bad.
    pub value: Option<f64>,
    /// UCUM code, or empty.
    pub unit: String,
    /// When the device was polled.
    pub polled_at: WallTime,
    /// When its answer arrived.
    pub received_at: WallTime,
}

/// Readings of a span of time, summed up.
#[derive(Debug, Clone, PartialEq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Bucket {
    /// Start of the span.
    pub start: WallTime,
    /// Readings in it.
    pub count: u32,
    /// Those without a value.
    pub bad: u32,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// Mean of the values.
    pub mean: Option<f64>,
    /// Last value.
    pub last: Option<f64>,
}

/// Readings of one sensor.
#[derive(Debug, Clone, PartialEq, Wire)]
pub enum Series {
    /// Each of them, oldest first.
    Raw(Vec<Reading>),
    /// Summed up in equally long spans, oldest first.
    Buckets(Vec<Bucket>),
}
