//! The index as readers see it.

use std::sync::Arc;

use fieldledger_contract::audit::Order;
use fieldledger_formats::query::cursor::Filter;
use parking_lot::RwLock;
use tantivy::Searcher;
use tantivy::TantivyError;
use tantivy::collector::{Count, TopDocs};

use super::matching;
use super::ordering::{OrderCollector, Ordered};
use super::readings::{Readings, SearchFault};
use super::schema::{self, IndexSchema};
use super::series::{EntriesCollector, Spans, Sum, SumsCollector};

/// The index as it was at one time.
#[derive(Clone)]
pub(crate) struct View {
    pub(super) searcher: Searcher,
    pub(super) schema: IndexSchema,
    pub(super) readings: Readings,
    /// Entries it covers: all below this.
    pub(crate) size: u64,
}

/// Where the newest [`View`] is found.
pub(crate) struct Views(RwLock<Arc<View>>);

impl Views {
    pub(super) fn new(view: View) -> Self {
        Self(RwLock::new(Arc::new(view)))
    }

    pub(crate) fn newest(&self) -> Arc<View> {
        Arc::clone(&self.0.read())
    }

    pub(super) fn replace(&self, view: View) {
        *self.0.write() = Arc::new(view);
    }
}

impl View {
    /// How many entries of `from..to` match, and the first `limit` of them.
    pub(crate) fn find(
        &self,
        filter: &Filter,
        (from, to): (u64, u64),
        order: Order,
        limit: usize,
    ) -> tantivy::Result<(u64, Vec<u64>)> {
        let query = matching::query(&self.schema, filter, from, to)?;
        let in_order = match order {
            Order::Ascending => tantivy::Order::Asc,
            Order::Descending => tantivy::Order::Desc,
        };
        let first =
            TopDocs::with_limit(limit.max(1)).order_by_fast_field::<u64>(schema::INDEX, in_order);
        let (found, count) = self.searcher.search(&query, &(first, Count))?;
        let (reading_count, readings) = self.readings.find(filter, (from, to), order, limit)?;
        let mut indices: Vec<u64> = found.into_iter().filter_map(|(index, _)| index).collect();
        indices.extend(readings);
        indices.sort_unstable();
        if order == Order::Descending {
            indices.reverse();
        }
        indices.truncate(limit);
        Ok((count as u64 + reading_count, indices))
    }

    /// Entries that may be the reading of this producer and sequence.
    pub(crate) fn numbered(
        &self,
        producer: &str,
        sequence: u64,
        limit: usize,
    ) -> tantivy::Result<Vec<u64>> {
        let query = matching::numbered(&self.schema, producer, sequence);
        let first = TopDocs::with_limit(limit)
            .order_by_fast_field::<u64>(schema::INDEX, tantivy::Order::Asc);
        let found = self.searcher.search(&query, &first)?;
        let readings = self.readings.numbered(producer, sequence, limit);
        let mut indices: Vec<u64> = found.into_iter().filter_map(|(index, _)| index).collect();
        indices.extend(readings?);
        indices.sort_unstable();
        indices.truncate(limit);
        Ok(indices)
    }

    /// How many entries of `from..to` match, and the first of them in the order of a column.
    pub(crate) fn find_ordered(
        &self,
        filter: &Filter,
        (from, to): (u64, u64),
        order: OrderCollector,
    ) -> tantivy::Result<(u64, Ordered)> {
        let query = matching::query(&self.schema, filter, from, to)?;
        let (ordered, count) = self.searcher.search(&query, &(order, Count))?;
        let (reading_count, readings) = self.readings.find_ordered(filter, (from, to), order)?;
        let ordered = order.merge([ordered, readings]);
        Ok((count as u64 + reading_count, ordered))
    }

    /// The entries with the `limit` readings of a sensor that were received last.
    pub(crate) fn newest(&self, sensor: &str, limit: usize) -> tantivy::Result<Vec<u64>> {
        let query = matching::readings(&self.schema, sensor, 0, u64::MAX);
        let newest = TopDocs::with_limit(limit)
            .order_by_fast_field::<u64>(schema::INDEX, tantivy::Order::Desc);
        let found = self.searcher.search(&query, &newest)?;
        let mut indices: Vec<u64> = found.into_iter().filter_map(|(index, _)| index).collect();
        indices.extend(self.readings.newest(sensor, limit)?);
        indices.sort_unstable_by(|one, other| other.cmp(one));
        indices.truncate(limit);
        Ok(indices)
    }

    /// The entries with the readings of a sensor that were polled in `start..end`, oldest first; none
    /// where there are more than `limit`.
    pub(crate) fn readings(
        &self,
        sensor: &str,
        start: u64,
        end: u64,
        limit: u32,
    ) -> tantivy::Result<Option<Vec<u64>>> {
        let query = matching::readings(&self.schema, sensor, start, end);
        let limit = limit as usize;
        let mut places = self.searcher.search(&query, &EntriesCollector { limit })?;
        let readings = self.readings.places(sensor, (start, end), limit);
        places.extend(readings?);
        if places.len() > limit {
            return Ok(None);
        }
        places.sort_unstable();
        Ok(Some(places.into_iter().map(|(_, index)| index).collect()))
    }

    /// The readings of a sensor, summed up.
    pub(crate) fn sums(&self, sensor: &str, spans: Spans) -> tantivy::Result<Vec<Sum>> {
        let query = matching::readings(&self.schema, sensor, spans.start, spans.end);
        let mut sums = self.searcher.search(&query, &SumsCollector { spans })?;
        sums.merge(self.readings.sums(sensor, spans)?);
        Ok(sums.finish(spans))
    }
}

impl From<SearchFault> for TantivyError {
    fn from(fault: SearchFault) -> Self {
        match fault {
            SearchFault::Word => Self::InvalidArgument(fault.to_string()),
            SearchFault::Block(_) => Self::SystemError(fault.to_string()),
        }
    }
}
