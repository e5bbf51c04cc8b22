//! Between entries of the log and gaps: the numbers in readings, and the entries about gaps.

use fieldledger_audit::{EventRow, timestamp};
use fieldledger_contract::field::Attestation;
use fieldledger_contract::ledger::{GapKind, GapState};
use fieldledger_formats::own::{Details, OwnKind};
use fieldledger_reading::Recorded;
use serde::Deserialize;
use serde_json::Value;

use super::gap::Gap;

/// How the producer of a numbered reading begins: `reading/<sensor>/<boot>`.
const NUMBERED: &str = "reading/";

/// Ranges that an entry tells apart.
const RANGES_LISTED: usize = 16;

/// What an entry says about the completeness of the log.
#[derive(Debug, Clone)]
pub(crate) enum Noted {
    /// It is a reading with a number.
    Number {
        /// The number that the device said, where it can be read.
        said: Option<u64>,
        /// When the device was polled, microseconds since the Unix epoch.
        polled_at: u64,
        /// The device's own time, microseconds since the Unix epoch.
        device_at: Option<u64>,
    },
    /// It is a reading under a number that was used before.
    Reused {
        /// The sensor's id.
        sensor: String,
        /// The device's boot id.
        boot: String,
        /// The number that the device said.
        number: u64,
        /// When the device was polled, microseconds since the Unix epoch.
        polled_at: u64,
        /// The device's own time, microseconds since the Unix epoch.
        device_at: Option<u64>,
    },
    /// It tells of a gap.
    Record(GapRecord),
    /// It tells that somebody closed one.
    Closing(Closing),
}

/// What is read of an entry that tells of a closing.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Closing {
    pub(crate) gap: u64,
    pub(crate) actor: String,
    pub(crate) reason: String,
}

/// What is read of an entry about a gap.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct GapRecord {
    pub(crate) gap: u64,
    pub(crate) state: GapState,
    #[serde(rename = "size")]
    pub(crate) extent: u64,
}

/// What an event notes, if it does. `told` is what a reading tells.
pub(crate) fn noted_in(
    event: &EventRow<'_>,
    producer: &str,
    told: Option<&Recorded<'_>>,
) -> Option<Noted> {
    if let Some(told) = told {
        return noted_in_reading(event.source, producer, told);
    }
    if producer == OwnKind::Gap.producer() {
        return serde_json::from_str(event.message).ok().map(Noted::Record);
    }
    if producer == OwnKind::GapClosing.producer() {
        return serde_json::from_str(event.message).ok().map(Noted::Closing);
    }
    None
}

fn noted_in_reading(sensor: &str, producer: &str, told: &Recorded<'_>) -> Option<Noted> {
    let Recorded {
        polled_at,
        device_at,
        seq,
        ..
    } = *told;
    if producer.starts_with(NUMBERED) {
        return Some(Noted::Number {
            said: seq,
            polled_at,
            device_at,
        });
    }
    // A device's own reading has its number but for one reason.
    let is_own = told.attestation.is_none_or(Attestation::is_credible);
    let boot = told
        .boot
        .as_deref()
        .filter(|boot| is_own && !boot.is_empty());
    Some(Noted::Reused {
        sensor: sensor.to_owned(),
        boot: boot?.to_owned(),
        number: seq?,
        polled_at,
        device_at,
    })
}

/// What an erased entry still notes: its number stays known, but not the times in it.
pub(crate) fn noted_in_erased(producer: &str, received_at: u64) -> Option<Noted> {
    producer.starts_with(NUMBERED).then_some(Noted::Number {
        said: None,
        polled_at: received_at,
        device_at: None,
    })
}

/// Sensor and boot of a numbered reading's producer.
pub(crate) fn numbering_of(producer: &str) -> Option<(&str, &str)> {
    producer.strip_prefix(NUMBERED)?.split_once('/')
}

/// What the log is to tell of a gap.
pub(crate) fn details(gap: &Gap) -> Details {
    let time = |micros| Value::from(timestamp::from_micros(micros).unwrap_or_default());
    let (kind, state) = (kind_name(gap.kind), state_name(gap.state));
    let mut details = Details::from([
        ("after", gap.after.into()),
        ("before", gap.before.into()),
        ("boot", gap.boot.as_str().into()),
        ("end", time(gap.end)),
        ("gap", gap.id.into()),
        ("kind", kind.into()),
        ("sensor", gap.sensor.as_str().into()),
        ("size", gap.extent().into()),
        ("start", time(gap.start)),
        ("state", state.into()),
    ]);
    if let Some(missing) = gap.missing() {
        details.insert("missing", missing.into());
    }
    if !gap.previous_boot.is_empty() {
        details.insert("previous_boot", gap.previous_boot.as_str().into());
    }
    if !gap.ranges.is_empty() {
        details.insert("numbers", numbers(gap).into());
    }
    details
}

/// The missing numbers, such as `5, 8-20`; those beyond the first ranges as one range with a count.
fn numbers(gap: &Gap) -> String {
    let mut texts = Vec::new();
    for range in gap.ranges.iter().take(RANGES_LISTED) {
        let all = range.missing == range.last - range.first + 1 || gap.kind == GapKind::Jump;
        texts.push(match (all, range.first == range.last) {
            (true, true) => range.first.to_string(),
            (true, false) => format!("{}-{}", range.first, range.last),
            (false, _) => format!("{} of {}-{}", range.missing, range.first, range.last),
        });
    }
    if let [first, .., last] | [first @ last] = gap.ranges.get(RANGES_LISTED..).unwrap_or_default()
    {
        let rest = gap.ranges[RANGES_LISTED..]
            .iter()
            .map(|range| range.missing);
        let missing = rest.fold(0, u64::saturating_add);
        texts.push(format!("{missing} of {}-{}", first.first, last.last));
    }
    texts.join(", ")
}

fn kind_name(kind: GapKind) -> &'static str {
    match kind {
        GapKind::Numbers => "numbers",
        GapKind::Restart => "restart",
        GapKind::Jump => "jump",
        GapKind::Reused => "reused",
    }
}

fn state_name(state: GapState) -> &'static str {
    match state {
        GapState::Open => "open",
        GapState::Closed => "closed",
        GapState::Unknown => "unknown",
    }
}
