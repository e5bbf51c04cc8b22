//! From what a search asks for to a query of the index.

use std::ops::Bound;

use fieldledger_contract::ledger::RetentionScope;
use fieldledger_formats::query::cursor::Filter;
use fieldledger_formats::query::language::{Clause, column_position};
use fieldledger_reading::record::ACTION;
use tantivy::Term;
use tantivy::query::{BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};

use super::schema::{IndexSchema, OWN, exact_term};

/// Entries of `from..to` that match all of the filter.
pub(crate) fn query(schema: &IndexSchema, filter: &Filter, from: u64, to: u64) -> BooleanQuery {
    let mut all = vec![range(schema.index, from, to)];
    all.extend(
        filter
            .clauses
            .iter()
            .map(|clause| one_clause(schema, clause)),
    );
    for (position, values) in &filter.restriction {
        let values = values.iter().map(|value| exact(schema, *position, value));
        all.push(any(values.collect()));
    }
    BooleanQuery::intersection(all)
}

/// Readings of a sensor that were polled in `start..end`.
pub(crate) fn readings(schema: &IndexSchema, sensor: &str, start: u64, end: u64) -> BooleanQuery {
    let source = column_position("source").unwrap_or_default();
    BooleanQuery::intersection(vec![
        exact(schema, source, sensor),
        range(schema.polled_at, start, end),
    ])
}

/// The entries `from..to`.
pub(crate) fn entries(schema: &IndexSchema, from: u64, to: u64) -> Box<dyn Query> {
    range(schema.index, from, to)
}

/// The entries below `below` whose payloads are given up.
pub(crate) fn given_up(schema: &IndexSchema, below: u64, scope: RetentionScope) -> BooleanQuery {
    let old = (Occur::Must, range(schema.index, 0, below));
    let wanted = match scope {
        RetentionScope::Readings => {
            let action = column_position("action").unwrap_or_default();
            (Occur::Must, exact(schema, action, ACTION))
        }
        RetentionScope::All => {
            let own = Term::from_field_u64(schema.own, OWN);
            let own = TermQuery::new(own, IndexRecordOption::Basic);
            (Occur::MustNot, Box::new(own) as Box<dyn Query>)
        }
    };
    BooleanQuery::new(vec![old, wanted])
}

fn range(field: Field, from: u64, to: u64) -> Box<dyn Query> {
    Box::new(RangeQuery::new(
        Bound::Included(Term::from_field_u64(field, from)),
        Bound::Excluded(Term::from_field_u64(field, to)),
    ))
}

fn exact(schema: &IndexSchema, position: usize, text: &str) -> Box<dyn Query> {
    let term = Term::from_field_u64(schema.exact, exact_term(position, text));
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn one_clause(schema: &IndexSchema, clause: &Clause) -> Box<dyn Query> {
    match clause.column {
        Some(position) => phrase(schema.texts[position], &clause.words),
        None => {
            let fields = schema.texts.iter();
            any(fields.map(|&field| phrase(field, &clause.words)).collect())
        }
    }
}

fn phrase(field: Field, words: &[String]) -> Box<dyn Query> {
    let mut terms: Vec<Term> = words
        .iter()
        .map(|word| Term::from_field_text(field, word))
        .collect();
    match terms.len() {
        0 => Box::new(EmptyQuery),
        1 => Box::new(TermQuery::new(terms.remove(0), IndexRecordOption::Basic)),
        _ => Box::new(PhraseQuery::new(terms)),
    }
}

fn any(queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    if queries.is_empty() {
        return Box::new(EmptyQuery);
    }
    Box::new(BooleanQuery::union(queries))
}
