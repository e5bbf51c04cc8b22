//! What the audit log answers and is asked: the Rust twins of `fieldledger:audit/types` in `wit/`.

use crate::event::FIELDS;
use crate::validate::{InvalidField, Problems};

/// Most entries on one page.
pub const MAX_PAGE: u32 = 1_000;

/// Most entries in one result.
pub const MAX_RESULTS: u32 = 10_000;

/// The order of the log itself, and of a result unless asked otherwise.
pub const RECEIVED_AT: &str = "received_at";

/// What became of the events of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Position in the log of each event, in order; none for one that was there already, and where
    /// the sink has none to tell.
    pub indices: Vec<Option<u64>>,
    /// Events that were new.
    pub appended: u32,
    /// Events that were there already.
    pub duplicates: u32,
    /// Size of a durable, signed tree that covers all of them; 0 where the sink has none to tell.
    pub tree_size: u64,
}

/// Direction of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// Terms, `"phrases"` and `field:value`; empty matches all.
    pub query: String,
    /// RFC 3339, or a span before now such as `7d`.
    pub start: Option<String>,
    /// As `start`.
    pub end: Option<String>,
    /// Direction of the result.
    pub order: Order,
    /// A field of the event, or [`RECEIVED_AT`].
    pub order_by: Option<String>,
    /// Entries on the first page, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// Entries in the whole result, 1 to [`MAX_RESULTS`].
    pub max_results: u32,
    /// Field and the exact values it may have.
    pub restriction: Vec<(String, Vec<String>)>,
    /// With an inclusion proof for each entry.
    pub verbose: bool,
}

/// A tree head. `note` and `verifier_key` are empty where the sink does not sign C2SP checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Leaves in the tree.
    pub tree_size: u64,
    /// SHA-256, base64.
    pub root_hash: String,
    /// The signed note, whole.
    pub note: String,
    /// The key that verifies it; the newest where two sign.
    pub verifier_key: String,
    /// Every key that signed it, oldest first: two while one takes over from the other.
    pub verifier_keys: Vec<String>,
}

/// How an entry lost its envelope. Its leaf stays, and so does every proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalKind {
    /// Somebody had it erased.
    Erased,
    /// It was older than what the log keeps.
    GivenUp,
}

/// Where an envelope went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// How it was lost.
    pub kind: RemovalKind,
    /// The entry of the log that says so.
    pub entry: u64,
    /// Why, in words.
    pub reason: String,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Position in the log.
    pub index: u64,
    /// Canonical JSON; empty where it was removed.
    pub envelope: String,
    /// SHA-256 of the envelope, base64.
    pub envelope_hash: String,
    /// What the tree's leaf hashes, base64.
    pub leaf: String,
    /// RFC 6962 audit path, base64.
    pub proof: Vec<String>,
    /// Where the envelope went, if it is gone.
    pub removed: Option<Removal>,
}

/// A page of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// Names the result.
    pub id: String,
    /// Microseconds since the Unix epoch; 0 where the sink does not say.
    pub expires_at: u64,
    /// Entries in the whole result.
    pub count: u64,
    /// The entries of the page.
    pub entries: Vec<Entry>,
    /// The tree that proofs lead to.
    pub checkpoint: Checkpoint,
    /// Entries the search index has seen.
    pub indexed_size: u64,
}

/// Why the log did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The caller's fault; nothing was changed.
    #[error("{} fields are invalid", .0.len())]
    Invalid(Vec<InvalidField>),
    /// No such entry, result or tree size.
    #[error("not found: {0}")]
    NotFound(String),
    /// The result set has expired.
    #[error("expired: {0}")]
    Expired(String),
    /// The sink cannot do this.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// The log cannot serve this now.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// Checks the bounds and names in a query; what its terms mean is for the sink to say.
///
/// # Errors
///
/// Every fault found.
pub fn validate_query(query: &SearchQuery) -> Result<(), Vec<InvalidField>> {
    let mut problems = Problems::default();
    check_limit("limit", query.limit, MAX_PAGE, &mut problems);
    check_limit("max_results", query.max_results, MAX_RESULTS, &mut problems);
    if let Some(name) = &query.order_by
        && name != RECEIVED_AT
        && !is_field(name)
    {
        problems.add(0, "order_by", || {
            "is no field of an event; it must be one, or received_at".to_owned()
        });
    }
    for (item, (name, _)) in query.restriction.iter().enumerate() {
        if !is_field(name) {
            problems.add(item, "restriction", || {
                "names no field of an event; it must".to_owned()
            });
        }
    }
    problems.into_result()
}

/// Checks the size asked of a page.
///
/// # Errors
///
/// Where it is out of bounds.
pub fn validate_page_limit(limit: u32) -> Result<(), Vec<InvalidField>> {
    let mut problems = Problems::default();
    check_limit("limit", limit, MAX_PAGE, &mut problems);
    problems.into_result()
}

fn check_limit(name: &str, limit: u32, most: u32, problems: &mut Problems) {
    if limit == 0 || limit > most {
        problems.add(0, name, || format!("is {limit}; it must be 1 to {most}"));
    }
}

fn is_field(name: &str) -> bool {
    FIELDS.iter().any(|field| field.name == name)
}

#[cfg(test)]
pub(crate) mod samples {
    use super::{Order, SearchQuery};

    pub(crate) fn query() -> SearchQuery {
        SearchQuery {
            query: "actor:boiler".into(),
            start: Some("7d".into()),
            end: None,
            order: Order::Descending,
            order_by: None,
            limit: 20,
            max_results: 100,
            restriction: vec![("status".into(), vec!["SUCCESS".into()])],
            verbose: false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn bounds_and_names_are_checked() {
        assert_eq!(validate_query(&samples::query()), Ok(()));
        let query = SearchQuery {
            limit: 0,
            max_results: 10_001,
            order_by: Some("salt".into()),
            restriction: vec![("actor".into(), vec![]), ("received_at".into(), vec![])],
            ..samples::query()
        };
        let faults = validate_query(&query).unwrap_err();
        let found: Vec<(u32, &str)> = faults
            .iter()
            .map(|fault| (fault.item, fault.field.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (0, "limit"),
                (0, "max_results"),
                (0, "order_by"),
                (1, "restriction")
            ]
        );
        assert!(validate_page_limit(1_000).is_ok() && validate_page_limit(1_001).is_err());
    }
}
