//! Answers searches, from the log itself where every entry matches, from the index otherwise.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fieldledger_audit::decimal::Decimal;
use fieldledger_audit::event::FIELDS;
use fieldledger_audit::log::{MAX_RESULTS, RECEIVED_AT};
use fieldledger_audit::{log, times, timestamp};
use fieldledger_contract::WallTime;
use fieldledger_contract::audit::{Entry, Order, SearchPage, SearchQuery};
use fieldledger_contract::ledger::{Bucket, Reading, Series};
use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::frame::Frame;
use fieldledger_formats::query::cursor::{Cursor, Filter, LIFETIME};
use tantivy::TantivyError;

use crate::clock::Clock;
use crate::error::{QueryError, StoreError};
use crate::head::{Head, Published};
use crate::index::{
    Extreme, Key, OrderCollector, Ordered, Spans, Sum, View, Views, number_of_rank,
};
use crate::proofs::Proofs;
use crate::readings::{Latest, reading_of};
use crate::store::reader::LogReader;

/// How long a search waits for entries that its client knows of. An index that is further behind is being
/// built anew, or cannot be written.
const INDEX_WAIT: Duration = Duration::from_secs(2);

/// How often it is looked meanwhile.
const INDEX_LOOK: Duration = Duration::from_millis(5);

/// Readings, or buckets, that a series has at most.
const MAX_SERIES: u32 = 10_000;

/// Entries whose texts are read from the log at most, to order a result by a column that the index
/// does not have whole.
const MOST_TEXTS: usize = 200_000;

/// Bytes of such a text that are compared.
const TEXT_BYTES: usize = 256;

/// From here on, one double stands for several whole numbers.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

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

    /// Waits for a while until all entries below `size` can be found.
    pub(crate) fn wait_for(&self, size: u64) {
        let begun = Instant::now();
        while self.views.is_some() && self.indexed_size() < size && begun.elapsed() < INDEX_WAIT {
            self.published.hurry();
            thread::sleep(INDEX_LOOK);
        }
    }

    /// The first page of a new result.
    pub(crate) fn search(
        &self,
        query: &SearchQuery,
        proofs: &Proofs,
    ) -> Result<SearchPage, QueryError> {
        log::validate_query(query).map_err(QueryError::Invalid)?;
        let filter = Filter::parse(&query.query, &query.restriction)?;
        let order_by = query.order_by.clone().filter(|name| name != RECEIVED_AT);
        let bound = match &self.views {
            Some(views) if order_by.is_some() => views.newest().size,
            _ if filter.is_empty() => self.published.head().size(),
            _ => self.view()?.size,
        };
        let bounds = self.span(query.start.as_deref(), query.end.as_deref(), bound)?;
        let expires_at = self.clock.now() + LIFETIME;
        let cursor = Cursor::new(query, order_by, bounds, expires_at);
        self.answer(&cursor, &filter, 0, query.limit, proofs)
    }

    /// Checks that there is something between the times of a search.
    pub(crate) fn check_times(&self, query: &SearchQuery) -> Result<(), QueryError> {
        let (start, end) = self.times(query.start.as_deref(), query.end.as_deref())?;
        times::check_span(start, end)
            .map_err(|fault| QueryError::parameter("start", fault.to_string()))
    }

    fn times(
        &self,
        start: Option<&str>,
        end: Option<&str>,
    ) -> Result<(Option<WallTime>, Option<WallTime>), QueryError> {
        let now = WallTime::from_micros(self.clock.now());
        let time = |name, text: Option<&str>| {
            let time = text.map(|text| times::parse(text, now)).transpose();
            time.map_err(|fault| QueryError::parameter(name, fault.to_string()))
        };
        Ok((time("start", start)?, time("end", end)?))
    }

    /// The first entry below `size` received at `start` or later, and the first that was received
    /// at `end` or later: `end` itself is not included. The same one twice where nothing can be
    /// between: Pangea's own tools ask for such.
    pub(crate) fn span(
        &self,
        start: Option<&str>,
        end: Option<&str>,
        size: u64,
    ) -> Result<(u64, u64), QueryError> {
        let (start, end) = self.times(start, end)?;
        let entry_at = |time: Option<WallTime>, otherwise| match time {
            Some(time) => self.first_received_at(time.micros, size),
            None => Ok(otherwise),
        };
        let (from, to) = (entry_at(start, 0)?, entry_at(end, size)?);
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
        let most = cursor.max_results as usize;
        let wanted = offset.saturating_add(limit).min(most);
        let (found, first) = match cursor.order_column() {
            None => self.find(cursor, filter, wanted)?,
            Some(column) => self.find_ordered(cursor, filter, column, wanted)?,
        };
        let page: Vec<u64> = first.into_iter().skip(offset).collect();
        let mut entries = entries(&page, cursor.verbose, &head, proofs)?;
        if !filter.is_empty() {
            // What was erased since it was indexed must not be found by its words.
            entries.retain(|entry| entry.removed.is_none());
        }
        let total = found - (page.len() - entries.len()) as u64;
        Ok(SearchPage {
            id: cursor.encode(),
            expires_at: Some(WallTime::from_micros(cursor.expires_at)),
            count: total.min(u64::from(cursor.max_results)),
            total,
            entries,
            checkpoint: head.checkpoint.clone(),
            indexed_size: self.indexed_size(),
        })
    }

    /// How many entries match, and the first `limit` of them in the order of the log.
    fn find(
        &self,
        cursor: &Cursor,
        filter: &Filter,
        limit: usize,
    ) -> Result<(u64, Vec<u64>), QueryError> {
        if !filter.is_empty() {
            let found = self
                .view()?
                .find(filter, (cursor.from, cursor.to), cursor.order(), limit);
            return found.map_err(index_error);
        }
        let all = cursor.from..cursor.to;
        let count = all.end - all.start;
        let found = match cursor.order() {
            Order::Ascending => all.take(limit).collect(),
            Order::Descending => all.rev().take(limit).collect(),
        };
        Ok((count, found))
    }

    /// How many entries match, and the first `limit` of all of them in the order of a column:
    /// numbers and times as such and first, then texts, and last what lacks the column. Entries that
    /// are equal come in the order of the log.
    fn find_ordered(
        &self,
        cursor: &Cursor,
        filter: &Filter,
        column: usize,
        limit: usize,
    ) -> Result<(u64, Vec<u64>), QueryError> {
        let order = OrderCollector {
            column,
            descending: cursor.order() == Order::Descending,
            // So many that values which are one double but not one number are told apart.
            wanted: MAX_RESULTS as usize,
            most_texts: MOST_TEXTS,
        };
        let bounds = (cursor.from, cursor.to);
        let (count, mut ordered) = match &self.views {
            Some(views) => views
                .newest()
                .find_ordered(filter, bounds, order)
                .map_err(index_error)?,
            None if filter.is_empty() => {
                let all = cursor.from..cursor.to;
                let count = all.end - all.start;
                let texts = Ordered {
                    texts: all.take(MOST_TEXTS).collect(),
                    text_count: count,
                    ..Ordered::default()
                };
                (count, texts)
            }
            None => return self.view().map(|_| (0, Vec::new())),
        };
        self.order_large_numbers(&mut ordered.keyed, column, order.descending)?;
        let mut first: Vec<u64> = ordered.keyed.into_iter().map(|(_, index)| index).collect();
        if first.len() < limit {
            if ordered.text_count > ordered.texts.len() as u64 {
                let problem = format!(
                    "would order {} texts of {}; at most {MOST_TEXTS} are ordered: narrow the search, \
                     or start and end",
                    ordered.text_count, FIELDS[column].name
                );
                return Err(QueryError::parameter("order_by", problem));
            }
            let (texts, mut without) =
                self.order_texts(&ordered.texts, column, order.descending)?;
            first.extend(texts);
            // Only where there is no index some come from there.
            without.extend(ordered.without);
            first.extend(without);
        }
        first.truncate(limit);
        Ok((count, first))
    }

    /// Puts entries that are one double to the index in the order of their digits.
    fn order_large_numbers(
        &self,
        keyed: &mut [(Key, u64)],
        column: usize,
        descending: bool,
    ) -> Result<(), QueryError> {
        if FIELDS[column].name == "timestamp" {
            return Ok(());
        }
        for equal in keyed.chunk_by_mut(|one, other| one.0 == other.0) {
            let (Key::Number(rank), _) = equal[0] else {
                return Ok(());
            };
            if equal.len() < 2 || number_of_rank(rank).abs() < EXACT_BELOW {
                continue;
            }
            let mut digits = BTreeMap::new();
            for &(_, index) in equal.iter() {
                digits.insert(index, self.log_key(index, column)?);
            }
            equal.sort_by(|(_, one), (_, other)| {
                let order = (&digits[one], one).cmp(&(&digits[other], other));
                turned(order, descending)
            });
        }
        Ok(())
    }

    /// These entries in the order of a column that is read from the log, and those that lack it.
    fn order_texts(
        &self,
        indices: &[u64],
        column: usize,
        descending: bool,
    ) -> Result<(Vec<u64>, Vec<u64>), QueryError> {
        let most = MAX_RESULTS as usize;
        let mut keyed = Vec::new();
        let mut without = Vec::new();
        let cut = |keyed: &mut Vec<(LogKey, u64)>| {
            keyed.sort_unstable_by(|one, other| match (&one.0, &other.0) {
                // Numbers are first in either direction.
                (LogKey::Number(_), LogKey::Text(_)) | (LogKey::Text(_), LogKey::Number(_)) => {
                    one.cmp(other)
                }
                _ => turned(one.cmp(other), descending),
            });
            keyed.truncate(most);
        };
        for &index in indices {
            match self.log_key(index, column)? {
                LogKey::Without => without.push(index),
                key => keyed.push((key, index)),
            }
            if keyed.len() >= 2 * most {
                cut(&mut keyed);
            }
        }
        cut(&mut keyed);
        without.sort_unstable_by(|one, other| turned(one.cmp(other), descending));
        Ok((keyed.into_iter().map(|(_, index)| index).collect(), without))
    }

    /// What an entry is ordered by, from the log. Times of events are numbers.
    fn log_key(&self, index: u64, column: usize) -> Result<LogKey, QueryError> {
        let stored = self.log.entry(index)?;
        let Some(bytes) = stored.envelope() else {
            return Ok(LogKey::Without);
        };
        let envelope =
            Envelope::parse(bytes).map_err(|problem| self.log.damaged(index, problem))?;
        let event = envelope.event();
        let text = event.values()[column];
        if text.is_empty() {
            return Ok(LogKey::Without);
        }
        let number = match FIELDS[column].name {
            "timestamp" => {
                timestamp::to_micros(text).and_then(|micros| Decimal::parse(&micros.to_string()))
            }
            "new" | "old" => Decimal::parse(text),
            _ => None,
        };
        Ok(match number {
            Some(number) => LogKey::Number(number),
            None => LogKey::Text(text[..text.floor_char_boundary(TEXT_BYTES)].to_owned()),
        })
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
        let (from, to) = (WallTime::from_micros(start), WallTime::from_micros(end));
        times::check_span(Some(from), Some(to))
            .map_err(|fault| QueryError::parameter("start", fault.to_string()))?;
        let view = self.view()?;
        let found = view
            .readings(sensor, start, end, limit)
            .map_err(index_error)?;
        let Some(indices) = found else {
            let spans = Spans::over(start, end, limit);
            let sums = view.sums(sensor, spans).map_err(index_error)?;
            return Ok(Series::Buckets(self.buckets(sums, spans)?));
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

    fn buckets(&self, sums: Vec<Sum>, spans: Spans) -> Result<Vec<Bucket>, QueryError> {
        let mut buckets = Vec::with_capacity(sums.len());
        for sum in sums {
            let valued = sum.good.saturating_add(sum.uncertain);
            // None for what is in too many units.
            let mean = sum.last.map(|_| sum.total / f64::from(valued));
            buckets.push(Bucket {
                start: WallTime::from_micros(sum.start),
                end: WallTime::from_micros(sum.start.saturating_add(spans.width)),
                unit: sum.unit,
                count: valued.saturating_add(sum.bad),
                good: sum.good,
                uncertain: sum.uncertain,
                bad: sum.bad,
                min: self.digits(sum.min)?,
                max: self.digits(sum.max)?,
                mean: mean.filter(|mean| mean.is_finite()),
                last: self.digits(sum.last)?,
            });
        }
        Ok(buckets)
    }

    /// A value as the log has it.
    fn digits(&self, value: Option<Extreme>) -> Result<Option<String>, QueryError> {
        let Some(Extreme { value, index, .. }) = value else {
            return Ok(None);
        };
        let stored = self.log.entry(index)?;
        let reading = match stored.envelope() {
            Some(bytes) => self.reading_in(bytes, index)?,
            // Erased since it was indexed.
            None => None,
        };
        let digits = reading.and_then(|reading| reading.value);
        Ok(Some(digits.unwrap_or_else(|| value.to_string())))
    }
}

/// What an entry is ordered by, as the log has it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LogKey {
    Number(Decimal),
    Text(String),
    /// It lacks the column.
    Without,
}

fn turned(order: Ordering, descending: bool) -> Ordering {
    match descending {
        true => order.reverse(),
        false => order,
    }
}

/// Why the index cannot answer. It refuses patterns that it cannot look for.
fn index_error(error: TantivyError) -> QueryError {
    match error {
        TantivyError::InvalidArgument(problem) => {
            tracing::debug!(problem, "a search asks for too much");
            let problem = "has a word before a * or after a ~ that is too long, or that too many words \
                           begin with; write it out, or more of it";
            QueryError::parameter("query", problem)
        }
        error => QueryError::Unavailable(error.to_string()),
    }
}

impl Search {
    /// The newest reading of a sensor that the log still has: the one that came last.
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
            let found = found.map_err(index_error)?;
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
