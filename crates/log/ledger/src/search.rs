//! Answers searches, from the log itself where every entry matches, from the index otherwise.

use std::sync::Arc;

use fieldledger_audit::event::FIELDS;
use fieldledger_audit::log::RECEIVED_AT;
use fieldledger_audit::{log, timestamp};
use fieldledger_contract::WallTime;
use fieldledger_contract::audit::{Entry, Order, SearchPage, SearchQuery};
use fieldledger_contract::ledger::{Reading, Series};
use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::frame::Frame;
use fieldledger_formats::query::cursor::{Cursor, Filter, LIFETIME};
use fieldledger_formats::query::times;

use crate::clock::Clock;
use crate::error::{QueryError, StoreError};
use crate::head::{Head, Published};
use crate::index::{Summary, View, Views};
use crate::proofs::Proofs;
use crate::readings::{Latest, reading_of};
use crate::store::reader::LogReader;

/// Readings, or buckets, that a series has at most.
const MAX_SERIES: u32 = 10_000;

/// Answers searches.
pub(crate) struct Search {
    pub(crate) log: Arc<LogReader>,
    pub(crate) published: Arc<Published>,
    /// None where the ledger keeps no index.
    pub(crate) views: Option<Arc<Views>>,
    pub(crate) clock: Clock,
}

impl Search {
    /// Entries that can be found by text, column and sensor.
    pub(crate) fn indexed_size(&self) -> u64 {
        self.views.as_ref().map_or(0, |views| views.newest().size)
    }

    /// The first page of a new result.
    pub(crate) fn search(
        &self,
        query: &SearchQuery,
        proofs: &Proofs,
    ) -> Result<SearchPage, QueryError> {
        log::validate_query(query).map_err(QueryError::Invalid)?;
        let filter = Filter::parse(&query.query, &query.restriction)?;
        let bound = if filter.is_empty() {
            self.published.head().size()
        } else {
            self.view()?.size
        };
        let bounds = self.span(query.start.as_deref(), query.end.as_deref(), bound)?;
        let order_by = query.order_by.clone().filter(|name| name != RECEIVED_AT);
        let expires_at = self.clock.now() + LIFETIME;
        let cursor = Cursor::new(query, order_by, bounds, expires_at);
        self.answer(&cursor, &filter, 0, query.limit, proofs)
    }

    /// The first entry below `size` received at `start` or later, and the first that was received
    /// at `end` or later.
    pub(crate) fn span(
        &self,
        start: Option<&str>,
        end: Option<&str>,
        size: u64,
    ) -> Result<(u64, u64), QueryError> {
        let now = self.clock.now();
        let entry_at = |name, text: Option<&str>, otherwise| match text {
            Some(text) => times::parse(text, now)
                .map_err(|fault| QueryError::parameter(name, fault.to_string()))
                .and_then(|time| self.first_received_at(time, size)),
            None => Ok(otherwise),
        };
        let from = entry_at("start", start, 0)?;
        let to = entry_at("end", end, size)?;
        Ok((from, to.max(from)))
    }

    /// Another page of an earlier result.
    pub(crate) fn page(
        &self,
        id: &str,
        offset: u32,
        limit: u32,
        proofs: &Proofs,
    ) -> Result<SearchPage, QueryError> {
        log::validate_page_limit(limit).map_err(QueryError::Invalid)?;
        let cursor = Cursor::decode(id, self.clock.now())?;
        let filter = cursor.filter()?;
        self.answer(&cursor, &filter, offset, limit, proofs)
    }

    /// Checks that this is the restriction of the search with that id, in whatever order.
    pub(crate) fn check_restriction(
        &self,
        id: &str,
        expected: &[(String, Vec<String>)],
    ) -> Result<(), QueryError> {
        let cursor = Cursor::decode(id, self.clock.now())?;
        if cursor.is_restricted_to(expected) {
            return Ok(());
        }
        let problem = "is not the restriction that the search was made with";
        Err(QueryError::parameter("restriction", problem))
    }

    fn answer(
        &self,
        cursor: &Cursor,
        filter: &Filter,
        offset: u32,
        limit: u32,
        proofs: &Proofs,
    ) -> Result<SearchPage, QueryError> {
        // Read after the bound was taken, so that it covers all that the cursor can see.
        let head = self.published.head();
        if cursor.to > head.size() {
            let problem = "the search result is that of another ledger; search again";
            return Err(QueryError::NotFound(problem.to_owned()));
        }
        let (offset, limit) = (offset as usize, limit as usize);
        let (count, page) = match cursor.order_column() {
            None => self.page_in_log_order(cursor, filter, offset, limit)?,
            Some(column) => self.page_by_column(cursor, filter, column, offset, limit)?,
        };
        let mut entries = entries(&page, cursor.verbose, &head, proofs)?;
        if !filter.is_empty() {
            // What was erased since it was indexed must not be found by its words.
            entries.retain(|entry| entry.removed.is_none());
        }
        Ok(SearchPage {
            id: cursor.encode(),
            expires_at: Some(WallTime::from_micros(cursor.expires_at)),
            count: count - (page.len() - entries.len()) as u64,
            entries,
            checkpoint: head.checkpoint.clone(),
            indexed_size: self.indexed_size(),
        })
    }

    fn page_in_log_order(
        &self,
        cursor: &Cursor,
        filter: &Filter,
        offset: usize,
        limit: usize,
    ) -> Result<(u64, Vec<u64>), QueryError> {
        let most = cursor.max_results as usize;
        let wanted = offset.saturating_add(limit).min(most);
        let (count, found) = self.find(cursor, filter, wanted)?;
        let page = found.into_iter().skip(offset).collect();
        Ok((count, page))
    }

    /// The result is the first `max_results` entries in the order of the log; only those are sorted.
    fn page_by_column(
        &self,
        cursor: &Cursor,
        filter: &Filter,
        column: usize,
        offset: usize,
        limit: usize,
    ) -> Result<(u64, Vec<u64>), QueryError> {
        let (count, found) = self.find(cursor, filter, cursor.max_results as usize)?;
        let mut keyed = Vec::with_capacity(found.len());
        for index in found {
            keyed.push((self.sort_key(index, column)?, index));
        }
        keyed.sort_unstable();
        if cursor.order() == Order::Descending {
            keyed.reverse();
        }
        let indices = keyed.into_iter().map(|(_, index)| index);
        Ok((count, indices.skip(offset).take(limit).collect()))
    }

    /// How many entries are in the result, and the first `limit` of them in the order of the log.
    fn find(
        &self,
        cursor: &Cursor,
        filter: &Filter,
        limit: usize,
    ) -> Result<(u64, Vec<u64>), QueryError> {
        let bounds = (cursor.from, cursor.to);
        let (count, found) = if filter.is_empty() {
            let all = cursor.from..cursor.to;
            let count = all.end - all.start;
            let found = match cursor.order() {
                Order::Ascending => all.take(limit).collect(),
                Order::Descending => all.rev().take(limit).collect(),
            };
            (count, found)
        } else {
            self.view()?
                .find(filter, bounds, cursor.order(), limit)
                .map_err(|error| QueryError::Unavailable(error.to_string()))?
        };
        Ok((count.min(u64::from(cursor.max_results)), found))
    }

    /// Times of events are compared as times, not as texts; what the event lacks comes first.
    fn sort_key(&self, index: u64, column: usize) -> Result<(u64, String), QueryError> {
        let stored = self.log.entry(index)?;
        let Some(bytes) = stored.envelope() else {
            return Ok((0, String::new()));
        };
        let envelope =
            Envelope::parse(bytes).map_err(|problem| self.log.damaged(index, problem))?;
        let event = envelope.event();
        let text = event.values()[column];
        if FIELDS[column].name == "timestamp" {
            return Ok((timestamp::to_micros(text).unwrap_or(0), String::new()));
        }
        Ok((0, text.to_owned()))
    }

    /// The first entry below `size` that was received at `time` or later; times never go back.
    fn first_received_at(&self, time: u64, size: u64) -> Result<u64, QueryError> {
        let (mut low, mut high) = (0, size);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.log.received_at(middle)? < time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn view(&self) -> Result<Arc<View>, QueryError> {
        match &self.views {
            Some(views) => Ok(views.newest()),
            None => Err(QueryError::parameter(
                "query",
                "needs the index, which this ledger is set not to keep; only searches without terms \
                 and restrictions are answered",
            )),
        }
    }

    /// Readings of one sensor polled in `start <= t < end`.
    pub(crate) fn series(
        &self,
        sensor: &str,
        start: u64,
        end: u64,
        limit: u32,
    ) -> Result<Series, QueryError> {
        if limit == 0 || limit > MAX_SERIES {
            let problem = format!("is {limit}; it must be 1 to {MAX_SERIES}");
            return Err(QueryError::parameter("limit", problem));
        }
        if start > end {
            let problem = format!("is {end}, before start, {start}; it must not be");
            return Err(QueryError::parameter("end", problem));
        }
        let found = self
            .view()?
            .series(sensor, start, end, limit)
            .map_err(|error| QueryError::Unavailable(error.to_string()))?;
        let indices = match found {
            Summary::Buckets(buckets) => return Ok(Series::Buckets(buckets)),
            Summary::Entries(indices) => indices,
        };
        let mut readings = Vec::with_capacity(indices.len());
        for index in indices {
            let stored = self.log.entry(index)?;
            // Erased since it was indexed.
            let Some(bytes) = stored.envelope() else {
                continue;
            };
            let reading = self.reading_in(bytes, index)?;
            let no_reading = || self.log.damaged(index, "the index took it for a reading");
            readings.push(reading.ok_or_else(no_reading)?);
        }
        Ok(Series::Raw(readings))
    }
}

impl Search {
    /// The newest reading of a sensor that the log still has: the one polled last.
    pub(crate) fn newest_reading(&self, sensor: &str) -> Result<Option<Reading>, QueryError> {
        let mut newest = Latest::default();
        let mut unindexed = 0;
        if let Some(views) = &self.views {
            let view = views.newest();
            unindexed = view.size;
            self.newest_indexed(&view, sensor, &mut newest)?;
        }
        let size = self.published.head().size();
        self.log.read(unindexed..size, |index, frame| {
            if let Frame::Envelope(bytes) = frame
                && let Some(reading) = self.reading_in(bytes, index)?
                && reading.sensor == sensor
            {
                newest.update(reading);
            }
            Ok(())
        })?;
        Ok(newest.all(1).pop())
    }

    /// Takes the newest reading in the index into account. Those that were erased since they were
    /// indexed are many at most once.
    fn newest_indexed(
        &self,
        view: &View,
        sensor: &str,
        newest: &mut Latest,
    ) -> Result<(), QueryError> {
        let mut limit = 16;
        loop {
            let found = view.newest(sensor, limit);
            let found = found.map_err(|error| QueryError::Unavailable(error.to_string()))?;
            let mut any = false;
            for &index in &found {
                let stored = self.log.entry(index)?;
                if let Some(bytes) = stored.envelope()
                    && let Some(reading) = self.reading_in(bytes, index)?
                {
                    newest.update(reading);
                    any = true;
                }
            }
            if any || found.len() < limit {
                return Ok(());
            }
            limit *= 16;
        }
    }

    fn reading_in(&self, envelope: &[u8], index: u64) -> Result<Option<Reading>, StoreError> {
        let reading = Envelope::parse(envelope).and_then(|envelope| {
            let received_at = envelope.received_at()?;
            Ok(reading_of(&envelope.event(), index, received_at))
        });
        reading.map_err(|problem| self.log.damaged(index, problem))
    }
}

fn entries(
    indices: &[u64],
    verbose: bool,
    head: &Head,
    proofs: &Proofs,
) -> Result<Vec<Entry>, QueryError> {
    if verbose {
        return proofs.proven(indices.iter().copied(), head);
    }
    indices.iter().map(|&index| proofs.entry(index)).collect()
}
