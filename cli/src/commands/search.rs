//! `fieldledger search`: entries that match.

use std::collections::BTreeMap;
use std::fmt;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::context::Context;
use crate::exit::{Exit, InputError};
use crate::found::{self, LARGEST_RESULT, Query};
use crate::output::table;
use crate::shown::{COLUMNS, Shown};

/// What to look for, shared with `export`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Filter {
    /// Only entries received at this time or later: 2026-01-02T03:04:05Z, 2026-01-02, or a span
    /// before now such as 90s, 15m, 12h, 7d or 1month. Without a zone UTC is meant.
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,

    /// Only entries received before this time, itself not included.
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<String>,

    /// Only entries whose column has exactly this value; several values of a column are alternatives.
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    pub(crate) restriction: Vec<String>,
}

/// Options of `search`.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Terms, "phrases", column:value such as `action:SENSOR_READING`, and prefix*; an entry matches
    /// if it matches all of them. Case matters but after ~, as in ~boiler.
    query: Vec<String>,

    #[command(flatten)]
    filter: Filter,

    /// Newest first, or oldest first.
    #[arg(long, value_enum, default_value_t = Order::Desc)]
    order: Order,

    /// Order all that match by this column of the event instead of the time of receipt: numbers as
    /// numbers and first, then texts, last what lacks the column.
    #[arg(long, value_name = "COLUMN")]
    order_by: Option<String>,

    /// Entries to show at most.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(LARGEST_RESULT)))]
    limit: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Oldest or smallest first.
    Asc,
    /// Newest or largest first.
    Desc,
}

/// The result.
#[derive(Debug, Default, Serialize)]
struct Found {
    /// Entries that are shown.
    count: u64,
    /// Entries that match.
    total: u64,
    /// Entries in the log.
    tree_size: u64,
    /// Entries that the search index has seen.
    indexed_size: u64,
    entries: Vec<Shown>,
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.entries.is_empty() {
            return formatter.write_str("nothing found");
        }
        formatter.write_str(&table(COLUMNS, self.entries.iter().map(Shown::cells)))
    }
}

impl Filter {
    /// The query that asks for this.
    ///
    /// # Errors
    ///
    /// [`InputError`] for text that is not a restriction.
    pub(crate) fn query(&self, terms: &[String]) -> anyhow::Result<Query> {
        let mut search_restriction: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in &self.restriction {
            let (column, value) = text.split_once('=').ok_or_else(|| {
                InputError(format!("--where {text:?} is not of the form COLUMN=VALUE"))
            })?;
            let values = search_restriction.entry(column.to_owned()).or_default();
            values.push(value.to_owned());
        }
        Ok(Query {
            query: terms.join(" "),
            start: self.start.clone(),
            end: self.end.clone(),
            search_restriction,
            ..Query::default()
        })
    }
}

/// Searches and shows.
pub(crate) fn run(args: &SearchArgs, context: &Context) -> anyhow::Result<Exit> {
    let query = Query {
        order: match args.order {
            Order::Asc => "asc",
            Order::Desc => "desc",
        },
        order_by: args.order_by.clone(),
        max_results: args.limit,
        ..args.filter.query(&args.query)?
    };
    let mut found = Found::default();
    found::pages(&context.client()?, &query, |page| {
        found.tree_size = page.root.size;
        found.indexed_size = page.indexed_size;
        found.total = page.total;
        found
            .entries
            .extend(page.events.into_iter().map(Shown::from));
        Ok(())
    })?;
    found.entries.truncate(args.limit as usize);
    found.count = found.entries.len() as u64;
    context.output.show(&found)?;
    if found.total > found.count {
        context.output.note(&format!(
            "{} of {} entries that match; -n shows more",
            found.count, found.total
        ));
    }
    let searches_index = !query.query.is_empty() || !query.search_restriction.is_empty();
    if searches_index && found.indexed_size < found.tree_size {
        context.output.note(&format!(
            "the search index has seen {} of {} entries; what is newer was not searched",
            found.indexed_size, found.tree_size
        ));
    }
    Ok(Exit::Ok)
}
