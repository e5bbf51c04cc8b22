//! The search index: finds entries by text, column and sensor. Derived from the log by a thread of
//! its own; without the folder `index` it is built anew.

mod matching;
mod ordering;
mod schema;
mod series;
mod tail;
mod view;
mod words;

pub(crate) use ordering::{Key, OrderCollector, Ordered, number_of_rank};
pub(crate) use series::{Extreme, Spans, Sum};
pub(crate) use tail::{Indexer, verify, verify_in_use};
pub(crate) use view::{View, Views};
