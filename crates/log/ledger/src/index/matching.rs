//! From what a search asks for to a query of the index.

use std::ops::Bound;

use fieldledger_audit::event::FIELDS;
use fieldledger_contract::ledger::RetentionScope;
use fieldledger_formats::query::cursor::Filter;
use fieldledger_formats::query::language::{Clause, column_position};
use fieldledger_reading::record::ACTION;
use tantivy::Term;
use tantivy::query::{
    BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query, RangeQuery, RegexPhraseQuery, RegexQuery,
    TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::schema::{IndexSchema, Known, OWN, VALUE_COLUMNS, exact_term, number_term};

/// Entries of `from..to` that match all of the filter.
///
/// # Errors
///
/// For a word that is too long to be looked for by its beginning or in any case.
pub(crate) fn query(
    schema: &IndexSchema,
    filter: &Filter,
    from: u64,
    to: u64,
) -> tantivy::Result<BooleanQuery> {
    let mut all = vec![range(schema.index, from, to)];
    for clause in &filter.clauses {
        all.push(one_clause(schema, clause)?);
    }
    for (position, values) in &filter.restriction {
        let values = values
            .iter()
            .map(|value| exact(schema, *position, Known::Text(value)));
        all.push(any(values.collect()));
    }
    Ok(BooleanQuery::intersection(all))
}

/// Readings of a sensor that were polled in `start..end`.
pub(crate) fn readings(schema: &IndexSchema, sensor: &str, start: u64, end: u64) -> BooleanQuery {
    let source = column_position("source").unwrap_or_default();
    BooleanQuery::intersection(vec![
        exact(schema, source, Known::Text(sensor)),
        range(schema.polled_at, start, end),
    ])
}

/// Readings with this producer and sequence, and perhaps others.
pub(crate) fn numbered(schema: &IndexSchema, producer: &str, sequence: u64) -> TermQuery {
    let term = Term::from_field_u64(schema.number, number_term(producer, sequence));
    TermQuery::new(term, IndexRecordOption::Basic)
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
            (Occur::Must, exact(schema, action, Known::Text(ACTION)))
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

fn exact(schema: &IndexSchema, position: usize, known: Known<'_>) -> Box<dyn Query> {
    let term = Term::from_field_u64(schema.exact, exact_term(position, known));
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn one_clause(schema: &IndexSchema, clause: &Clause) -> tantivy::Result<Box<dyn Query>> {
    let Some(position) = clause.column else {
        let mut columns = Vec::with_capacity(FIELDS.len());
        for position in 0..FIELDS.len() {
            columns.push(in_column(schema, position, clause)?);
        }
        return Ok(any(columns));
    };
    if clause.words.is_empty() {
        return Ok(exact(schema, position, Known::Present));
    }
    in_column(schema, position, clause)
}

/// Where a column holds a number, and a number is looked for, the numbers are compared, and not the
/// texts: 4.7 is 4.70 and neither -4.7 nor 4.7.1.
fn in_column(
    schema: &IndexSchema,
    position: usize,
    clause: &Clause,
) -> tantivy::Result<Box<dyn Query>> {
    let text = text_in(schema.texts[position], clause)?;
    let has_value = VALUE_COLUMNS.contains(&FIELDS[position].name);
    let Some(number) = clause.number.as_ref().filter(|_| has_value) else {
        return Ok(text);
    };
    let number = number.to_string();
    let equal = exact(schema, position, Known::Number(&number));
    let some_number = exact(schema, position, Known::SomeNumber);
    let other = BooleanQuery::new(vec![(Occur::Must, text), (Occur::MustNot, some_number)]);
    Ok(any(vec![equal, Box::new(other)]))
}

fn text_in(field: Field, clause: &Clause) -> tantivy::Result<Box<dyn Query>> {
    if !clause.is_open && !clause.ignores_case {
        return Ok(phrase(field, &clause.words));
    }
    let last = clause.words.len().saturating_sub(1);
    let patterns = clause.words.iter().enumerate().map(|(at, word)| {
        // A word has letters, digits, marks, underscores and a minus sign, which mean themselves.
        let any_case = if clause.ignores_case { "(?i)" } else { "" };
        let rest = if clause.is_open && at == last {
            ".*"
        } else {
            ""
        };
        format!("{any_case}{word}{rest}")
    });
    let patterns: Vec<String> = patterns.collect();
    Ok(match patterns.as_slice() {
        [] => Box::new(EmptyQuery),
        [pattern] => Box::new(RegexQuery::from_pattern(pattern, field)?),
        _ => {
            // Compiled here once to find out whether it can be.
            for pattern in &patterns {
                RegexQuery::from_pattern(pattern, field)?;
            }
            Box::new(RegexPhraseQuery::new(field, patterns))
        }
    })
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
