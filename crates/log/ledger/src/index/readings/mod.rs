//! The index of readings. Nearly all entries are readings, and nearly all of a reading is what the one
//! before had: so each is a profile and a few numbers, and no document of its own.
//!
//! - `scan` takes the envelope of a reading apart: its message is a *template* once its numbers, and the
//!   words that a sensor has of its own, are taken out. What is not of that form goes to the other index.
//! - A *shape* is what many readings have in common (`shape`); a *profile* is a shape with the texts of one
//!   sensor. A *block* (`block`) has the readings of up to 262,144 entries: each is the number of its profile,
//!   and the numbers of its message in packed columns (`column`). The newest block, the *tail*, is in
//!   memory and can be searched at once; a full one is a file (`file`) that is never changed.
//! - A search (`select`) is decided for each profile: a term matches always, never, or where numbers lie
//!   in ranges. Only for the latter rows are looked at; else the counts of the profiles are the answer.
//!   `pattern` is the search language without an index, with the words that the other index has.
//! - Erased entries are taken out of their block, which is written anew, before the entry that tells of
//!   the erasure counts as indexed.
//! - All of it follows from the log. The tail is written when the ledger closes; after a crash it is filled from
//!   the log again.

mod block;
mod bytes;
mod column;
mod digits;
mod file;
mod pattern;
mod scan;
mod select;
mod shape;
#[cfg(test)]
mod tests;
mod texts;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldledger_audit::event::FIELDS;
use fieldledger_contract::audit::Order;
use fieldledger_formats::query::cursor::Filter;
use fieldledger_reading::record::ACTION;
use parking_lot::RwLock;

use self::block::{Block, Head, Rows, SEQUENCE, Tail, without};
pub(crate) use self::bytes::Fault;
use self::file::{Cache, Sealed};
pub(crate) use self::scan::Scan;
use self::select::{Query, Verdicts};
use self::shape::Shape;
use super::ordering::{Key, OrderCollector, Ordered, Smallest, rank};
use super::series::{BlockSums, Extreme, Place, Spans, Sums};

/// Why readings cannot be looked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SearchFault {
    /// A word is too long to be looked for in any case.
    #[error("a word of the query is too long")]
    Word,
    /// A block cannot be read.
    #[error("the index of readings is damaged: {0}")]
    Block(#[from] Fault),
}

/// The readings as they were at one time; the tail goes on.
#[derive(Clone)]
pub(crate) struct Readings {
    blocks: Arc<Vec<Arc<Sealed>>>,
    tail: Arc<RwLock<Tail>>,
}

/// Takes readings in.
pub(crate) struct Shelf {
    folder: PathBuf,
    cache: Arc<Cache>,
    readings: Readings,
    /// The tail does not begin before it.
    end: u64,
}

impl Shelf {
    /// Opens the blocks in a folder. What does not follow the blocks before it without a gap, or is
    /// damaged, is removed: the readings from there on are indexed anew.
    pub(crate) fn open(folder: &Path, log_size: u64) -> Result<Self, Fault> {
        let cache = Arc::new(Cache::default());
        let mut blocks = Vec::new();
        let mut end = 0;
        let mut is_whole = true;
        for path in files(folder)? {
            if is_whole {
                match Sealed::open(path.clone(), &cache) {
                    Ok(block) if block.first == end && block.end <= log_size => {
                        end = block.end;
                        blocks.push(Arc::new(block));
                        continue;
                    }
                    Ok(_) => {}
                    Err(fault) => {
                        let path = path.display();
                        tracing::warn!(%fault, %path, "readings are indexed anew from here on");
                    }
                }
            }
            is_whole = false;
            fs::remove_file(&path)?;
        }
        let mut tail = Tail::new(end);
        if let Some(last) = blocks.pop() {
            let loaded = last.load().and_then(|block| without(&block, &|_| false));
            match loaded {
                Ok(filled) if filled.is_full() => blocks.push(last),
                Ok(filled) => tail = filled,
                Err(fault) => {
                    tracing::warn!(%fault, path = %last.path.display(), "readings are indexed anew from here on");
                    end = last.first;
                    tail = Tail::new(end);
                    fs::remove_file(&last.path)?;
                }
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            cache,
            readings: Readings {
                blocks: Arc::new(blocks),
                tail: Arc::new(RwLock::new(tail)),
            },
            end,
        })
    }

    /// The entries below are covered.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The readings as they are now.
    pub(crate) fn readings(&self) -> Readings {
        self.readings.clone()
    }

    /// Whether an entry that is covered is here.
    pub(crate) fn has(scan: &mut Scan, envelope: &[u8]) -> bool {
        scan.read(envelope)
            && Shape::is_written(scan)
            && Shape::of(&scan.shape, &mut Vec::new()).is_ok()
    }

    /// Covers entry `index`, and takes it if it is a reading of the form that is indexed here; true
    /// where it is.
    pub(crate) fn push(
        &mut self,
        index: u64,
        envelope: &[u8],
        scan: &mut Scan,
    ) -> Result<bool, Fault> {
        let is_taken = scan.read(envelope) && self.readings.tail.write().push(index, scan)?;
        self.end = index + 1;
        Ok(is_taken)
    }

    /// Covers the entries below `end`.
    pub(crate) fn cover(&mut self, end: u64) {
        self.end = self.end.max(end);
        self.readings.tail.write().cover(self.end);
    }

    /// Whether the tail should be written.
    pub(crate) fn is_full(&self) -> bool {
        self.readings.tail.read().is_full()
    }

    /// Writes the tail as a full block, and begins another.
    pub(crate) fn seal(&mut self) -> Result<(), Fault> {
        let sealed = {
            let tail = self.readings.tail.read();
            Sealed::write(&self.folder, &tail, &self.cache)?
        };
        let mut blocks = self.readings.blocks.to_vec();
        blocks.push(Arc::new(sealed));
        self.readings = Readings {
            blocks: Arc::new(blocks),
            tail: Arc::new(RwLock::new(Tail::new(self.end))),
        };
        Ok(())
    }

    /// Writes the tail, which the next start goes on with.
    pub(crate) fn save(&self) -> Result<(), Fault> {
        let tail = self.readings.tail.read();
        if tail.head().end > tail.head().first {
            Sealed::write(&self.folder, &tail, &self.cache)?;
        }
        Ok(())
    }

    /// Takes the readings among the entries `from..to` out, from the disk as well.
    pub(crate) fn remove(&mut self, from: u64, to: u64) -> Result<(), Fault> {
        let is_gone = |index: u64| (from..to).contains(&index);
        let mut blocks = Vec::with_capacity(self.readings.blocks.len());
        for block in self.readings.blocks.iter() {
            if !block.overlaps(from, to) {
                blocks.push(Arc::clone(block));
                continue;
            }
            let loaded = block.load()?;
            let mut rows = Rows::of(&loaded);
            if rows.row_at(from)? == rows.row_at(to)? {
                blocks.push(Arc::clone(block));
                continue;
            }
            let left = without(&loaded, &is_gone)?;
            let written = Sealed::write(&self.folder, &left, &self.cache)?;
            blocks.push(Arc::new(written));
        }
        let tail = {
            let tail = self.readings.tail.read();
            let mut rows = Rows::of(&*tail);
            match rows.row_at(from)? < rows.row_at(to)? {
                true => Some(without(&*tail, &is_gone)?),
                false => None,
            }
        };
        let tail = match tail {
            Some(left) => {
                // The tail of the last close may have them.
                let saved = self.folder.join(file::name_of(left.head().first));
                if saved.exists() {
                    fs::remove_file(&saved)?;
                }
                Arc::new(RwLock::new(left))
            }
            None => Arc::clone(&self.readings.tail),
        };
        self.readings = Readings {
            blocks: Arc::new(blocks),
            tail,
        };
        Ok(())
    }
}

/// The files of blocks in a folder, the oldest first. What a crash left beside them is removed by whoever
/// writes there again.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Which block of a folder is damaged, or does not belong to a log of `size` entries. Writes nothing.
pub(crate) fn verify(folder: &Path, size: u64) -> Result<(), String> {
    let cache = Arc::new(Cache::default());
    let problem = |path: &Path, fault: &dyn std::fmt::Display| {
        format!("damaged: {}: {fault}", path.display())
    };
    for path in files(folder).map_err(|fault| problem(folder, &fault))? {
        let block = match Sealed::open(path.clone(), &cache) {
            Ok(block) => block,
            // It was written anew, or taken away, meanwhile.
            Err(_) if !path.exists() => continue,
            Err(fault) => return Err(problem(&path, &fault)),
        };
        block.verify().map_err(|fault| problem(&path, &fault))?;
        if block.end > size {
            let end = block.end;
            return Err(format!(
                "{} has {end} entries, but the log has {size}",
                path.display()
            ));
        }
    }
    Ok(())
}

impl Readings {
    /// Hands every block to `each` that has entries of `from..to`, in their order or the other way.
    fn each_block(
        &self,
        (from, to): (u64, u64),
        is_descending: bool,
        mut each: impl FnMut(&dyn Block) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<(), Fault> {
        let count = self.blocks.len();
        for step in 0..=count {
            let at = match is_descending {
                true => count - step,
                false => step,
            };
            let flow = match self.blocks.get(at) {
                Some(block) if block.overlaps(from, to) => each(&block.load()?)?,
                Some(_) => continue,
                None => {
                    let tail = self.tail.read();
                    match tail.head().first < to && from < tail.head().end {
                        true => each(&*tail)?,
                        false => continue,
                    }
                }
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// How many readings of the entries `from..to` match, and the first `limit` of them.
    pub(crate) fn find(
        &self,
        filter: &Filter,
        (from, to): (u64, u64),
        order: Order,
        limit: usize,
    ) -> Result<(u64, Vec<u64>), SearchFault> {
        let query = Query::of(filter).ok_or(SearchFault::Word)?;
        let is_descending = order == Order::Descending;
        let mut count = 0;
        let mut found = Vec::new();
        self.each_block((from, to), is_descending, |block| {
            let head = block.head();
            let mut verdicts = Verdicts::of(&query, head)?;
            let rows = rows_of(block, (from, to))?;
            let is_counted = !verdicts.has_tests && rows.len() == head.rows;
            if is_counted {
                count += verdicts.sure;
            }
            if is_counted && found.len() >= limit {
                return Ok(ControlFlow::Continue(()));
            }
            verdicts.each(block, rows, is_descending, |rows, row, _| {
                if found.len() < limit {
                    found.push(rows.entry(row)?);
                } else if is_counted {
                    return Ok(ControlFlow::Break(()));
                }
                if !is_counted {
                    count += 1;
                }
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((count, found))
    }

    /// How many readings of the entries `from..to` match, and the first of them in the order of a column.
    pub(crate) fn find_ordered(
        &self,
        filter: &Filter,
        bounds: (u64, u64),
        order: OrderCollector,
    ) -> Result<(u64, Ordered), SearchFault> {
        let query = Query::of(filter).ok_or(SearchFault::Word)?;
        let mut count = 0;
        let mut all = Ordered::default();
        self.each_block(bounds, order.descending, |block| {
            let mut verdicts = Verdicts::of(&query, block.head())?;
            let rows = rows_of(block, bounds)?;
            let column = FIELDS[order.column].name;
            let mut ordered = OrderedBlock::of(order, block.head(), column)?;
            verdicts.each(block, rows, order.descending, |rows, row, profile| {
                count += 1;
                let shape = block.head().profiles[profile].shape() as usize;
                ordered.add(rows, row, (profile, shape))?;
                Ok(ControlFlow::Continue(()))
            })?;
            all = order.merge([std::mem::take(&mut all), ordered.finish()]);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((count, all))
    }

    /// The entries with the `limit` readings of a sensor that were received last, the last first.
    pub(crate) fn newest(&self, sensor: &str, limit: usize) -> Result<Vec<u64>, SearchFault> {
        let query = Query::of_sensor(sensor);
        let mut found = Vec::new();
        self.each_block((0, u64::MAX), true, |block| {
            let mut verdicts = Verdicts::of(&query, block.head())?;
            verdicts.each(block, 0..block.head().rows, true, |rows, row, _| {
                found.push(rows.entry(row)?);
                Ok(flow(found.len() < limit))
            })?;
            Ok(flow(found.len() < limit))
        })?;
        Ok(found)
    }

    /// When the readings of a sensor that were polled in `start..end` were polled, and their entries; one
    /// more than `limit` where there are more.
    pub(crate) fn places(
        &self,
        sensor: &str,
        (start, end): (u64, u64),
        limit: usize,
    ) -> Result<Vec<Place>, SearchFault> {
        let query = Query::of_sensor(sensor);
        let mut found = Vec::new();
        self.each_block((0, u64::MAX), false, |block| {
            let head = block.head();
            let mut verdicts = Verdicts::of(&query, head)?;
            verdicts.each(block, 0..head.rows, false, |rows, row, profile| {
                let polled_at = rows.polled_at(head.shape_of(profile)?, row)?;
                if (start..end).contains(&polled_at) {
                    found.push((polled_at, rows.entry(row)?));
                }
                Ok(flow(found.len() <= limit))
            })?;
            Ok(flow(found.len() <= limit))
        })?;
        Ok(found)
    }

    /// The readings of a sensor, summed up.
    pub(crate) fn sums(&self, sensor: &str, spans: Spans) -> Result<Sums, SearchFault> {
        let query = Query::of_sensor(sensor);
        let mut all = Sums::default();
        self.each_block((0, u64::MAX), false, |block| {
            let head = block.head();
            let mut verdicts = Verdicts::of(&query, head)?;
            let mut sums = BlockSums::of(spans);
            verdicts.each(block, 0..head.rows, false, |rows, row, profile| {
                let shape = head.shape_of(profile)?;
                let polled_at = rows.polled_at(shape, row)?;
                if !(spans.start..spans.end).contains(&polled_at) {
                    return Ok(ControlFlow::Continue(()));
                }
                let Some(value) = &shape.value else {
                    sums.add_bad(polled_at);
                    return Ok(ControlFlow::Continue(()));
                };
                let value = Extreme {
                    value: rows.value(value, row)?,
                    polled_at,
                    index: rows.entry(row)?,
                };
                sums.add(value, profile, shape.is_uncertain);
                Ok(ControlFlow::Continue(()))
            })?;
            let mut fault = None;
            all.merge(sums.named(|profile| {
                let profile = head.profiles.get(profile).ok_or(Fault::Reference);
                profile
                    .and_then(|profile| head.unit(profile))
                    .unwrap_or_else(|found| {
                        fault = Some(found);
                        String::new()
                    })
            }));
            fault.map_or(Ok(()), Err)?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// The entries with the reading of this producer and sequence, the oldest first.
    pub(crate) fn numbered(
        &self,
        producer: &str,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<u64>, SearchFault> {
        let mut found = Vec::new();
        self.each_block((0, u64::MAX), false, |block| {
            let head = block.head();
            let own = head.of_producer(producer);
            if !own.contains(&true) {
                return Ok(ControlFlow::Continue(()));
            }
            let mut rows = Rows::of(block);
            for group in 0..head.rows.div_ceil(column::GROUP) {
                if !rows.can_have(SEQUENCE, group, &[(sequence, sequence)])? {
                    continue;
                }
                let first = group * column::GROUP;
                for row in first..head.rows.min(first + column::GROUP) {
                    let profile = rows.get(block::PROFILE, row)?;
                    let profile = usize::try_from(profile).unwrap_or(usize::MAX);
                    if own.get(profile).copied().unwrap_or(false)
                        && rows.get(SEQUENCE, row)? == sequence
                    {
                        found.push(rows.entry(row)?);
                    }
                }
            }
            Ok(flow(found.len() < limit))
        })?;
        found.truncate(limit);
        Ok(found)
    }
}

fn flow(goes_on: bool) -> ControlFlow<()> {
    match goes_on {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    }
}

/// The rows with the entries `from..to`.
fn rows_of(block: &dyn Block, (from, to): (u64, u64)) -> Result<std::ops::Range<usize>, Fault> {
    let head = block.head();
    if from <= head.first && head.end <= to {
        return Ok(0..head.rows);
    }
    let mut rows = Rows::of(block);
    Ok(rows.row_at(from)?..rows.row_at(to)?)
}

/// Orders the readings of a block by a column.
struct OrderedBlock {
    order: OrderCollector,
    by: By,
    /// Keys and entries, each turned round where the order descends.
    keyed: Smallest<(u64, u64)>,
    texts: Vec<u64>,
    text_count: u64,
    without: Smallest<u64>,
}

/// What readings are ordered by.
enum By {
    /// For each profile the place of its text among those of all, and these texts; none where it is empty.
    Texts(Vec<Option<u64>>, Vec<String>),
    /// The time of the event, by shape.
    Times(Vec<Option<usize>>),
    /// The column `new`, by shape.
    Numbers(Vec<Option<shape::Number>>),
    /// The message, which is read from the log.
    Message,
    /// None has the column.
    Nothing,
}

impl OrderedBlock {
    fn of(order: OrderCollector, head: &Head, column: &str) -> Result<Self, Fault> {
        let by = match column {
            "action" | "actor" | "source" | "status" | "target" => {
                let mut texts = Vec::with_capacity(head.profiles.len());
                for profile in &head.profiles {
                    texts.push(match column {
                        "action" => ACTION,
                        "actor" => head.text(profile.actor()),
                        "source" => head.text(profile.source()),
                        "target" => head.text(profile.target()),
                        _ => head.shape(profile)?.status.as_str(),
                    });
                }
                let mut all: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
                all.sort_unstable();
                all.dedup();
                let place = |text: &str| {
                    let place = all.binary_search_by(|known| known.as_str().cmp(text));
                    place.ok().filter(|_| !text.is_empty()).map(|at| at as u64)
                };
                By::Texts(texts.into_iter().map(place).collect(), all)
            }
            "timestamp" => {
                let shapes = head.shapes.iter();
                By::Times(
                    shapes
                        .map(|shape| shape.has_time.then_some(shape.polled_at))
                        .collect(),
                )
            }
            "new" => By::Numbers(head.shapes.iter().map(|shape| shape.new.clone()).collect()),
            "message" => By::Message,
            _ => By::Nothing,
        };
        Ok(Self {
            order,
            by,
            keyed: Smallest::new(order.wanted),
            texts: Vec::new(),
            text_count: 0,
            without: Smallest::new(order.wanted),
        })
    }

    fn add(
        &mut self,
        rows: &mut Rows<'_>,
        row: usize,
        (number, shape): (usize, usize),
    ) -> Result<(), Fault> {
        let index = rows.entry(row)?;
        let key = match &self.by {
            By::Texts(places, _) => places.get(number).copied().flatten(),
            By::Times(shapes) => match shapes.get(shape).copied().flatten() {
                Some(column) => Some(digits::parts(rows.get(column, row)?).1),
                None => None,
            },
            By::Numbers(shapes) => match shapes.get(shape).and_then(Option::as_ref) {
                // Zero has one sign.
                Some(number) => Some(rank(rows.value(number, row)? + 0.0)),
                None => None,
            },
            By::Message => {
                self.text_count += 1;
                if self.texts.len() < self.order.most_texts {
                    self.texts.push(index);
                }
                return Ok(());
            }
            By::Nothing => None,
        };
        let turned = |number| self.order.turned(number);
        match key {
            Some(key) => self.keyed.add((turned(key), turned(index))),
            None => self.without.add(turned(index)),
        }
        Ok(())
    }

    fn finish(self) -> Ordered {
        let turned = |number| self.order.turned(number);
        let keyed = self.keyed.finish().into_iter().map(|(key, index)| {
            let (key, index) = (turned(key), turned(index));
            let text = match &self.by {
                By::Texts(_, texts) => usize::try_from(key).ok().and_then(|at| texts.get(at)),
                _ => None,
            };
            let key = text.map_or(Key::Number(key), |text| Key::Text(text.clone()));
            (key, index)
        });
        Ordered {
            keyed: keyed.collect(),
            texts: self.texts,
            text_count: self.text_count,
            without: self.without.finish().into_iter().map(turned).collect(),
        }
    }
}
