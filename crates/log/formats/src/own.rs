//! Entries that the ledger writes about its own log.
//!
//! What happens to the log is in the log: such an entry is an audit event like any other, told apart
//! by its producer, `ledger/<kind>`, which nobody else may use. Producer and sequence make it
//! idempotent, so a kind that must be written once for each of its subjects numbers it by the
//! subject, and may write it again after a crash.

use std::collections::BTreeMap;

use fieldledger_audit::{EventColumns, InvalidField};
use serde_json::Value;

use crate::envelope::Envelope;

/// How the producer of each of the ledger's own entries begins.
pub const OWN_PRODUCERS: &str = "ledger/";

/// `actor` of each of the ledger's own entries.
const ACTOR: &str = "fieldledger";

/// What the ledger says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnKind {
    /// A root of the Pangea tree was published; numbered by the tree's size.
    Root,
    /// An entry's payload was erased; numbered by the entry.
    Erasure,
    /// The keys that sign the log changed; numbered by the change.
    Key,
    /// The oldest payloads are given up; numbered by the entry's own position.
    Retention,
    /// The log takes no more entries, and where it goes on; number 0.
    Freeze,
    /// A device's numbers lack some, or no longer do; numbered in the order written.
    Gap,
    /// Somebody closed a gap; numbered by the gap.
    GapClosing,
    /// The server's clock stepped, or can be believed again; numbered by the microsecond in which that was
    /// found.
    Clock,
    /// The log goes on where another ended; number 0.
    Start,
}

impl OwnKind {
    /// `action` of the event.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::Root => "LOG_ROOT",
            Self::Erasure => "LOG_ERASURE",
            Self::Key => "LOG_KEY",
            Self::Retention => "LOG_RETENTION",
            Self::Freeze => "LOG_FREEZE",
            Self::Gap => "LOG_GAP",
            Self::GapClosing => "LOG_GAP_CLOSING",
            Self::Clock => "LOG_CLOCK",
            Self::Start => "LOG_START",
        }
    }

    /// `producer` of the entry.
    #[must_use]
    pub fn producer(self) -> &'static str {
        match self {
            Self::Root => "ledger/root",
            Self::Erasure => "ledger/erasure",
            Self::Key => "ledger/key",
            Self::Retention => "ledger/retention",
            Self::Freeze => "ledger/freeze",
            Self::Gap => "ledger/gap",
            Self::GapClosing => "ledger/gap-closing",
            Self::Clock => "ledger/clock",
            Self::Start => "ledger/start",
        }
    }
}

/// What an entry of the ledger's own tells: names and scalar values, sorted.
pub type Details = BTreeMap<&'static str, Value>;

/// The event for an entry of the ledger's own, in the log `origin`. `details` become its message, as
/// canonical JSON.
#[must_use]
pub fn event(kind: OwnKind, sequence: u64, origin: &str, details: &Details) -> EventColumns {
    let message = serde_json::to_string(details)
        .expect("texts and scalars have a form in JSON, and memory takes it");
    EventColumns {
        producer: vec![kind.producer().to_owned()],
        sequence: vec![sequence],
        message: vec![message],
        actor: vec![ACTOR.to_owned()],
        action: vec![kind.action().to_owned()],
        source: vec![origin.to_owned()],
        ..EventColumns::default()
    }
}

/// What the message of an entry of the ledger's own tells.
#[must_use]
pub fn details_in(message: &str) -> Option<BTreeMap<String, Value>> {
    serde_json::from_str(message).ok()
}

/// The text that it tells under this name.
#[must_use]
pub fn detail_in(message: &str, name: &str) -> Option<String> {
    Some(details_in(message)?.get(name)?.as_str()?.to_owned())
}

/// Whether a producer is one that only the ledger itself may use.
#[must_use]
pub fn is_own(producer: &str) -> bool {
    producer.starts_with(OWN_PRODUCERS)
}

impl Envelope<'_> {
    /// Whether it is an entry of the ledger's own.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.origin().is_some_and(|(producer, _)| is_own(producer))
    }
}

/// Which events of a call use the ledger's own producers.
#[must_use]
pub fn impostors(columns: &EventColumns) -> Vec<InvalidField> {
    let named = columns.producer.iter().enumerate();
    let impostors = named.filter(|(_, producer)| is_own(producer));
    impostors
        .map(|(item, producer)| InvalidField {
            item: u32::try_from(item).unwrap_or(u32::MAX),
            field: "producer".into(),
            problem: format!("is {producer:?}; {OWN_PRODUCERS:?} is for the ledger's own entries"),
        })
        .collect()
}
