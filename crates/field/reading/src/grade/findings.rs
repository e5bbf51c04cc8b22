//! What speaks against a value, and how much.

use fieldledger_audit::timestamp;
use fieldledger_wire::batch::{
    Attestation, CLOCK_TOLERANCE, EARLIEST_TIME, Outcome, PollBatch, SensorProfile,
};
use fieldledger_wire::unit::{is_same, understood};

use crate::quality::Quality;

/// What speaks against a value.
#[derive(Default)]
pub(super) struct Findings(Vec<(Quality, String)>);

impl Findings {
    pub(super) fn add(&mut self, quality: Quality, reason: impl FnOnce() -> String) {
        self.0.push((quality, reason()));
    }

    /// The worst quality, and all reasons, worst first.
    pub(super) fn verdict(mut self) -> (Quality, Option<String>) {
        self.0.sort_by_key(|(quality, _)| *quality);
        let Some((worst, _)) = self.0.first() else {
            return (Quality::Good, None);
        };
        let worst = *worst;
        let reasons: Vec<String> = self.0.into_iter().map(|(_, reason)| reason).collect();
        (worst, Some(reasons.join("; ")))
    }
}

/// What the log did not take whole has no value, whatever is left of it.
pub(super) fn check_refusal(refusal: &str, findings: &mut Findings) {
    if !refusal.is_empty() {
        findings.add(Quality::BadDecodingError, || {
            format!("the reading could not be recorded as it was, and is cut: {refusal}")
        });
    }
}

/// What a device says of the time is kept as it says it, and flagged where it cannot be.
pub(super) fn check_clock(batch: &PollBatch, row: usize, findings: &mut Findings) {
    let Some(device_at) = batch.device_at[row] else {
        return;
    };
    if device_at < EARLIEST_TIME {
        let time = timestamp::from_micros(device_at).unwrap_or_default();
        findings.add(Quality::UncertainSubNormal, || {
            format!("the device's time is {time}, before there was this site: its clock is not set")
        });
        return;
    }
    let ahead = device_at.saturating_sub(batch.received_at[row]);
    // A value that was kept is older than any poll.
    let behind = match batch.outcome[row] {
        Outcome::Historical => 0,
        _ => batch.polled_at[row].saturating_sub(device_at),
    };
    let off = ahead.max(behind);
    if off > CLOCK_TOLERANCE {
        let seconds = off / 1_000_000;
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        findings.add(Quality::UncertainSubNormal, || {
            format!("the device's time is {seconds} s {side} the server's")
        });
    }
}

/// What the polling provider noticed, who knows what came before.
pub(super) fn check_remark(remark: &str, findings: &mut Findings) {
    if !remark.is_empty() {
        findings.add(Quality::UncertainSubNormal, || remark.to_owned());
    }
}

/// Both units name the engineering value, in whatever spelling. Where they differ there is no telling
/// which is right, and 20 in the wrong unit is worse than no value. A unit that nobody knows is kept, and
/// of value and unit only the value is good then.
pub(super) fn check_unit(
    replied: &str,
    sensor: &SensorProfile,
    has_value: bool,
    findings: &mut Findings,
) {
    let declared = sensor.unit.as_str();
    if !replied.is_empty() && !declared.is_empty() && !is_same(replied, declared) {
        findings.add(Quality::BadConfigurationError, || {
            format!("the reply is in {replied}, but the sensor declared {declared}")
        });
        return;
    }
    let unit = match declared {
        "" => replied,
        declared => declared,
    };
    if has_value && !understood(unit).is_known {
        findings.add(Quality::UncertainSubNormal, || {
            format!("the unit {unit:?} is not known; expected a UCUM code such as Cel")
        });
    }
}

/// What of an answer was left out because it could not be read: the value is good, and something beside
/// it is not.
pub(super) fn check_flaw(flaw: &str, findings: &mut Findings) {
    if !flaw.is_empty() {
        findings.add(Quality::UncertainSubNormal, || flaw.to_owned());
    }
}

/// A reading that is not the sensor's own is recorded with all that it claims, but not as a value.
pub(super) fn check_attestation(attestation: Attestation, findings: &mut Findings) {
    let reason = match attestation {
        Attestation::Unsigned | Attestation::Valid | Attestation::Unapproved => return,
        Attestation::Missing => "the sensor has a key, but this is not signed",
        Attestation::Invalid => "the signature is not that of the sensor's key over this reading",
        Attestation::Retired => "it is signed with a key that was retired",
    };
    findings.add(Quality::BadSecurityChecksFailed, || reason.to_owned());
}

pub(super) fn check_range(value: f64, sensor: &SensorProfile, findings: &mut Findings) {
    if let Some(range) = &sensor.range
        && !(range.low..=range.high).contains(&value)
    {
        findings.add(Quality::UncertainEngineeringUnitsExceeded, || {
            format!(
                "{value} lies outside the declared range of {} to {}",
                range.low, range.high
            )
        });
    }
}
