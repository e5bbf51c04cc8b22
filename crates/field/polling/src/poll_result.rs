//! How one poll ended.

use std::sync::Arc;

use fieldledger_attest::evidence::Evidence;
use fieldledger_wire::batch::{Attestation, Outcome, SensorProfile};
use uuid::Uuid;

use crate::moment::Moment;
use crate::poll_book::Flight;
use crate::receipt::Receipt;
use crate::sensor::Sensor;

/// How one poll ended. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct PollResult {
    /// Whose poll.
    pub sensor: Uuid,
    /// What the sensor declared of itself.
    pub profile: Arc<SensorProfile>,
    /// Number of the poll.
    pub poll: u64,
    /// When it was sent.
    pub polled_at: u64,
    /// When the answer arrived or the poll was given up.
    pub received_at: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The number as the device wrote it, the unparsable text, or empty.
    pub text: String,
    /// The device's boot id, or empty.
    pub boot: String,
    /// The device's sequence number.
    pub sequence: Option<u64>,
    /// The device's own time.
    pub device_at: Option<u64>,
    /// The unit the reply named, or empty.
    pub unit: String,
    /// True where the device repeated or turned back a sequence number within one boot.
    pub sequence_reused: bool,
    /// The device's time since its boot in microseconds, where it does not know the time.
    pub device_up: Option<u64>,
    /// What the signature says.
    pub attestation: Attestation,
    /// The signature with what it takes to verify it, as JSON, or empty.
    pub evidence: String,
    /// What speaks against it, as a sentence, or empty.
    pub remark: String,
    /// Of an answer that is no number, why; of another, what was left out of it. Or empty.
    pub flaw: String,
    /// To be sent once this result, and all before it, are stored.
    pub receipt: Option<Box<Receipt>>,
}

pub(crate) fn empty_result(
    sensor: &Sensor,
    flight: Flight,
    outcome: Outcome,
    now: Moment,
) -> PollResult {
    PollResult {
        sensor: flight.sensor,
        profile: sensor.profile.clone(),
        poll: flight.number,
        polled_at: flight.polled_at,
        received_at: now.wall,
        outcome,
        text: String::new(),
        boot: String::new(),
        sequence: None,
        device_at: None,
        unit: String::new(),
        sequence_reused: false,
        device_up: None,
        attestation: Attestation::Unsigned,
        evidence: String::new(),
        remark: String::new(),
        flaw: String::new(),
        receipt: None,
    }
}

/// Evidence as the log has it.
pub(crate) fn evidence_text(evidence: &Evidence) -> String {
    serde_json::to_string(evidence).expect("strings and numbers are JSON")
}
