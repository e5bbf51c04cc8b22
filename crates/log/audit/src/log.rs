//! The bounds of what the audit log is asked.

use fieldledger_contract::InvalidField;
use fieldledger_contract::audit::SearchQuery;

use crate::event::FIELDS;
use crate::validate::Problems;

/// Most entries on one page.
pub const MAX_PAGE: u32 = 1_000;

/// Most entries in one result.
pub const MAX_RESULTS: u32 = 10_000;

/// The order of the log itself, and of a result unless asked otherwise.
pub const RECEIVED_AT: &str = "received_at";

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
            "is not a field of an event; it must be one, or received_at".to_owned()
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
    use fieldledger_contract::audit::{Order, SearchQuery};

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
