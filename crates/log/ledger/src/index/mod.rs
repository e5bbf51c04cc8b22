//! The search index: finds entries by text, column and sensor. Derived from the log by a thread of
//! its own; without the folder `index` it is built anew.
//!
//! Readings have an index of their own, `readings`; all other entries, and readings of odd shape, are
//! documents of tantivy (`schema`, `matching`). A `View` asks both.

mod matching;
mod ordering;
mod readings;
mod schema;
mod series;
mod tail;
mod view;
mod words;

pub(crate) use ordering::{Key, OrderCollector, Ordered, number_of_rank};
pub(crate) use series::{Extreme, Spans, Sum};
pub(crate) use tail::{Indexer, readings_folder, verify, verify_in_use};
pub(crate) use view::{View, Views};
