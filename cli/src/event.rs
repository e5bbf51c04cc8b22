//! The columns of an envelope, for people and tables.

use std::borrow::Cow;

use serde::Deserialize;

/// What an envelope holds but for its salt. Columns that it lacks are none.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Envelope<'a> {
    /// The event.
    #[serde(borrow, default)]
    pub(crate) event: Event<'a>,
    /// The client's signature of the event, base64.
    #[serde(borrow)]
    pub(crate) signature: Option<Cow<'a, str>>,
    /// The key that verifies it.
    #[serde(borrow)]
    pub(crate) public_key: Option<Cow<'a, str>>,
    /// Who wrote it.
    #[serde(borrow)]
    pub(crate) producer: Option<Cow<'a, str>>,
    /// The producer's number for it.
    pub(crate) sequence: Option<u64>,
    /// When the ledger took it, RFC 3339.
    #[serde(borrow)]
    pub(crate) received_at: Option<Cow<'a, str>>,
}

/// The columns of an event.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Event<'a> {
    #[serde(borrow)]
    pub(crate) action: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) actor: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) new: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) old: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) target: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) tenant_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) timestamp: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    /// Reads an envelope; what is not an envelope has no columns.
    pub(crate) fn read(text: Option<&'a str>) -> Self {
        let read = text.and_then(|text| serde_json::from_str(text).ok());
        read.unwrap_or_default()
    }
}
