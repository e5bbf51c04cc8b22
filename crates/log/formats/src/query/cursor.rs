//! The id of a result set: the search itself and the bounds that freeze it. The ledger remembers
//! nothing; the result is found again each time, and is the same because entries below a
//! bound never change.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fieldledger_audit::log::MAX_RESULTS;
use fieldledger_contract::audit::{Order, SearchQuery};
use serde::{Deserialize, Serialize};

use super::QueryFault;
use super::language::{self, Clause, column_position};

/// How long a result can be paged through, microseconds.
pub const LIFETIME: u64 = 3_600 * 1_000_000;

/// Changes whenever the meaning of a member does.
const VERSION: u32 = 2;

/// Bytes that an id may have.
const MAX_ID_BYTES: usize = 64 * 1024;

/// A search whose times are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    version: u32,
    query: String,
    restriction: Vec<(String, Vec<String>)>,
    descending: bool,
    /// A column of the event; none for the order of the log.
    order_by: Option<String>,
    /// Entries in the result at most.
    pub max_results: u32,
    /// Whether its entries come with proofs.
    pub verbose: bool,
    /// First entry that can be in the result.
    pub from: u64,
    /// First entry after `from` that cannot.
    pub to: u64,
    /// When the id stops working, microseconds since the Unix epoch.
    pub expires_at: u64,
}

/// What decides which entries are in the result.
#[derive(Debug, PartialEq, Eq)]
pub struct Filter {
    /// What the search looks for.
    pub clauses: Vec<Clause>,
    /// Position of a column, and the values it may have.
    pub restriction: Vec<(usize, Vec<String>)>,
}

impl Filter {
    /// Whether every entry matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty() && self.restriction.is_empty()
    }

    /// Reads a query and a restriction.
    ///
    /// # Errors
    ///
    /// [`QueryFault::Parameter`] names the parameter.
    pub fn parse(query: &str, restriction: &[(String, Vec<String>)]) -> Result<Self, QueryFault> {
        let clauses =
            language::parse(query).map_err(|fault| QueryFault::parameter("query", &fault))?;
        let mut columns = Vec::with_capacity(restriction.len());
        for (name, values) in restriction {
            let position = column_position(name).ok_or_else(|| {
                let problem = format!("names {name:?}, which is not a column of an event");
                QueryFault::parameter("restriction", &problem)
            })?;
            columns.push((position, values.clone()));
        }
        Ok(Self {
            clauses,
            restriction: columns,
        })
    }
}

impl Cursor {
    /// Freezes a search to the entries `from..to`.
    #[must_use]
    pub fn new(
        query: &SearchQuery,
        order_by: Option<String>,
        (from, to): (u64, u64),
        expires_at: u64,
    ) -> Self {
        Self {
            version: VERSION,
            query: query.query.clone(),
            restriction: query.restriction.clone(),
            descending: query.order == Order::Descending,
            order_by,
            max_results: query.max_results,
            verbose: query.verbose,
            from,
            to,
            expires_at,
        }
    }

    /// Direction of the result.
    #[must_use]
    pub fn order(&self) -> Order {
        if self.descending {
            Order::Descending
        } else {
            Order::Ascending
        }
    }

    /// Position of the column to order by; none for the order of the log.
    #[must_use]
    pub fn order_column(&self) -> Option<usize> {
        self.order_by.as_deref().and_then(column_position)
    }

    /// Whether the search was restricted to exactly these values of these columns.
    #[must_use]
    pub fn is_restricted_to(&self, expected: &[(String, Vec<String>)]) -> bool {
        sorted(&self.restriction) == sorted(expected)
    }

    /// What decides which entries are in the result.
    ///
    /// # Errors
    ///
    /// As [`Filter::parse`]: an id can be made by anyone.
    pub fn filter(&self) -> Result<Filter, QueryFault> {
        Filter::parse(&self.query, &self.restriction)
    }

    /// The id.
    #[must_use]
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self)
            .expect("texts and numbers have a form in JSON, and memory takes it");
        let checksum = crc32c::crc32c(&json).to_be_bytes();
        BASE64_URL_SAFE_NO_PAD.encode([&checksum, json.as_slice()].concat())
    }

    /// Reads an id. What it says is checked like a search, since anyone can make one.
    ///
    /// # Errors
    ///
    /// [`QueryFault::Parameter`] for what is not an id, [`QueryFault::Expired`] for one that is too
    /// old.
    pub fn decode(id: &str, now: u64) -> Result<Self, QueryFault> {
        let cursor = Self::read(id).ok_or_else(|| {
            QueryFault::parameter("id", "is not the id of a search result; search again")
        })?;
        if cursor.expires_at <= now {
            return Err(QueryFault::Expired);
        }
        Ok(cursor)
    }

    fn read(id: &str) -> Option<Self> {
        if id.len() > MAX_ID_BYTES {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(id).ok()?;
        let (checksum, json) = bytes.split_first_chunk::<4>()?;
        if crc32c::crc32c(json).to_be_bytes() != *checksum {
            return None;
        }
        let cursor: Self = serde_json::from_slice(json).ok()?;
        let bounded = cursor.version == VERSION
            && (1..=MAX_RESULTS).contains(&cursor.max_results)
            && cursor.from <= cursor.to;
        bounded.then_some(cursor)
    }
}

/// The columns of a restriction and the values of each, in an order of their own.
fn sorted(restriction: &[(String, Vec<String>)]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut columns = BTreeMap::new();
    for (name, values) in restriction {
        let column: &mut BTreeSet<&str> = columns.entry(name.as_str()).or_default();
        column.extend(values.iter().map(String::as_str));
    }
    columns
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    fn cursor() -> Cursor {
        let query = SearchQuery {
            query: "a actor:b".to_owned(),
            start: None,
            end: None,
            order: Order::Descending,
            order_by: Some("target".to_owned()),
            limit: 10,
            max_results: 100,
            restriction: vec![("status".to_owned(), vec!["SUCCESS".to_owned()])],
            verbose: true,
        };
        Cursor::new(&query, query.order_by.clone(), (3, 9), 1_000)
    }

    #[test]
    fn an_id_is_read_as_it_was_made() {
        let id = cursor().encode();
        assert_eq!(Cursor::decode(&id, 999).unwrap(), cursor());
        let filter = cursor().filter().unwrap();
        assert_eq!((filter.clauses.len(), filter.restriction.len()), (2, 1));
        let status = |value: &str| vec![("status".to_owned(), vec![value.to_owned()])];
        assert!(cursor().is_restricted_to(&status("SUCCESS")));
        assert!(!cursor().is_restricted_to(&status("FAILED")));
        assert!(!cursor().is_restricted_to(&[]));
    }

    #[test]
    fn an_old_id_has_expired() {
        let error = Cursor::decode(&cursor().encode(), 1_000).unwrap_err();
        assert_eq!(error, QueryFault::Expired);
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        let id = cursor().encode();
        let changed = format!("{}A{}", &id[..20], &id[21..]);
        for id in [
            "",
            "x",
            "!!!!",
            &id[..id.len() - 4],
            &changed,
            &"A".repeat(100_000),
        ] {
            let error = Cursor::decode(id, 0).unwrap_err();
            let is_id = |parameter: &str| parameter == "id";
            assert!(matches!(error, QueryFault::Parameter { parameter, .. } if is_id(parameter)));
        }
    }

    #[test]
    fn a_forged_id_stays_within_bounds() {
        let mut forged = cursor();
        forged.max_results = 10_001;
        assert!(Cursor::decode(&forged.encode(), 0).is_err());
        let mut forged = cursor();
        forged.query = "\"".to_owned();
        assert!(forged.filter().is_err());
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_text_is_refused_without_panic(id: String) {
            prop_assert!(Cursor::decode(&id, 0).is_err());
        }
    }
}
