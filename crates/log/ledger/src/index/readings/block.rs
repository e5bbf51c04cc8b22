//! A block of readings: its head says what is in it, its columns have a number of each reading.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use super::bytes::{Fault, Reader, put, put_text};
use super::column::{Column, GROUP, Group};
use super::digits;
use super::scan::Scan;
use super::shape::{Number, Piece, Shape, value_of};
use super::texts::Texts;
use crate::gaps::numbering_of;

/// The column with the entry of each reading, as the distance to the block's first entry.
pub(super) const ENTRY: usize = 0;

/// The column with the profile.
pub(super) const PROFILE: usize = 1;

/// The column with the sequence of a numbered reading.
pub(super) const SEQUENCE: usize = 2;

/// Names of these columns.
const NAMES: [&str; 3] = ["entry", "profile", "sequence"];

/// Readings of a block.
const MOST_ROWS: usize = 1 << 18;

/// Bytes that the texts of a block may have, and profiles and shapes, before it is full.
const MOST_BYTES: usize = 8 << 20;
const MOST_PROFILES: usize = 1 << 16;
const MOST_SHAPES: usize = 1 << 12;

/// Columns that a block has at most.
const MOST_COLUMNS: usize = 200;

/// What readings have in common: all but their numbers.
#[derive(Debug)]
pub(super) struct Profile {
    key: Box<[u32]>,
    /// How many readings have it.
    pub(super) count: u32,
}

/// Who numbers a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Producer {
    Nobody,
    /// `reading/`, its sensor, and this boot.
    Boot(u32),
    /// This text.
    Other(u32),
}

impl Producer {
    fn encode(self) -> u32 {
        match self {
            Self::Nobody => 0,
            Self::Boot(text) => 2 * text + 1,
            Self::Other(text) => 2 * text + 2,
        }
    }

    fn decode(number: u32) -> Self {
        match number {
            0 => Self::Nobody,
            odd if odd % 2 == 1 => Self::Boot(odd / 2),
            even => Self::Other(even / 2 - 1),
        }
    }
}

impl Profile {
    /// Numbers of a key before those of its own words.
    const FIXED: usize = 5;

    pub(super) fn shape(&self) -> u32 {
        self.key[0]
    }

    pub(super) fn actor(&self) -> u32 {
        self.key[1]
    }

    pub(super) fn source(&self) -> u32 {
        self.key[2]
    }

    pub(super) fn target(&self) -> u32 {
        self.key[3]
    }

    pub(super) fn words(&self) -> &[u32] {
        &self.key[Self::FIXED..]
    }
}

/// What is in a block but for the numbers.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The entries that it covers.
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) rows: usize,
    pub(super) names: Vec<String>,
    keys: Texts,
    pub(super) shapes: Vec<Shape>,
    pub(super) texts: Texts,
    pub(super) profiles: Vec<Profile>,
}

impl Head {
    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number).unwrap_or_default()
    }

    pub(super) fn shape(&self, profile: &Profile) -> Result<&Shape, Fault> {
        self.shapes
            .get(profile.shape() as usize)
            .ok_or(Fault::Reference)
    }

    /// Bytes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let words: usize = self.profiles.iter().map(|profile| profile.key.len()).sum();
        let shapes = self.keys.bytes() * 6;
        self.texts.bytes() + shapes + 4 * words + 24 * self.profiles.len()
    }

    /// The unit of the values with this profile.
    pub(super) fn unit(&self, profile: &Profile) -> Result<String, Fault> {
        let mut unit = String::new();
        for piece in &self.shape(profile)?.unit {
            match piece {
                Piece::Fixed(text) => unit.push_str(text),
                Piece::Text(at) => {
                    let number = profile.words().get(*at).ok_or(Fault::Reference)?;
                    unit.push_str(self.text(*number));
                }
            }
        }
        Ok(unit)
    }

    /// For each profile whether its readings are numbered by this producer; nothing where none is.
    pub(super) fn of_producer(&self, producer: &str) -> Vec<bool> {
        let other = self.texts.find(producer);
        let parts = numbering_of(producer);
        let own = parts
            .and_then(|(sensor, boot)| Some((self.texts.find(sensor)?, self.texts.find(boot)?)));
        if other.is_none() && own.is_none() {
            return Vec::new();
        }
        let is_of = |profile: &Profile| match Producer::decode(profile.key[4]) {
            Producer::Nobody => false,
            Producer::Other(text) => Some(text) == other,
            Producer::Boot(boot) => Some((profile.source(), boot)) == own,
        };
        self.profiles.iter().map(is_of).collect()
    }

    /// The shape of profile number `profile`.
    pub(super) fn shape_of(&self, profile: usize) -> Result<&Shape, Fault> {
        self.shape(self.profiles.get(profile).ok_or(Fault::Reference)?)
    }

    pub(super) fn encode(&self, target: &mut Vec<u8>) {
        for number in [self.first, self.end, self.rows as u64] {
            put(target, number);
        }
        put(target, self.names.len() as u64);
        for name in &self.names {
            put_text(target, name);
        }
        self.keys.encode(target);
        self.texts.encode(target);
        put(target, self.profiles.len() as u64);
        for profile in &self.profiles {
            put(target, u64::from(profile.count));
            for &number in &profile.key {
                put(target, u64::from(number));
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes);
        let (first, end) = (reader.number()?, reader.number()?);
        let rows = usize::try_from(reader.number()?).map_err(|_| Fault::Cut)?;
        if end < first || rows as u64 > end - first {
            return Err(Fault::Reference);
        }
        let mut names = Vec::new();
        for _ in 0..reader.length()? {
            names.push(reader.text()?.to_owned());
        }
        let known = names.len();
        if known < NAMES.len() {
            return Err(Fault::Reference);
        }
        let keys = Texts::decode(&mut reader)?;
        let mut shapes = Vec::with_capacity(keys.len());
        for (_, key) in keys.iter() {
            shapes.push(Shape::of(key, &mut names)?);
        }
        let texts = Texts::decode(&mut reader)?;
        let mut profiles = Vec::new();
        for _ in 0..reader.length()? {
            let count = reader.small()?;
            let shape = reader.small()?;
            let own = shapes.get(shape as usize).ok_or(Fault::Reference)?.texts;
            let mut key = vec![shape];
            for at in 1..Profile::FIXED + own {
                let number = reader.small()?;
                if at != 4 && number as usize >= texts.len() {
                    return Err(Fault::Reference);
                }
                key.push(number);
            }
            profiles.push(Profile {
                key: key.into(),
                count,
            });
        }
        if !reader.rest().is_empty() || names.len() != known {
            return Err(Fault::Reference);
        }
        Ok(Self {
            first,
            end,
            rows,
            names,
            keys,
            shapes,
            texts,
            profiles,
        })
    }
}

/// A column in memory or in the cache.
pub(super) enum Held<'a> {
    Here(&'a Column),
    Shared(Arc<Column>),
}

impl Deref for Held<'_> {
    type Target = Column;

    fn deref(&self) -> &Column {
        match self {
            Self::Here(column) => column,
            Self::Shared(column) => column,
        }
    }
}

/// What has a head and columns.
pub(super) trait Block {
    fn head(&self) -> &Head;

    fn column(&self, at: usize) -> Result<Held<'_>, Fault>;

    /// The rows of all columns after the last full group.
    fn open(&self) -> &[Group];
}

/// A group of a column that was unpacked.
struct Unpacked<'a> {
    column: Held<'a>,
    group: usize,
    numbers: Box<Group>,
}

/// Reads the numbers of a block, each group of a column once while it is at it.
pub(super) struct Rows<'a> {
    block: &'a dyn Block,
    unpacked: Vec<Option<Unpacked<'a>>>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(block: &'a dyn Block) -> Self {
        let columns = block.head().names.len();
        Self {
            block,
            unpacked: std::iter::repeat_with(|| None).take(columns).collect(),
        }
    }

    /// The number of a row in a column.
    pub(super) fn get(&mut self, at: usize, row: usize) -> Result<u64, Fault> {
        Ok(self.group(at, row / GROUP)?[row % GROUP])
    }

    /// All numbers of a group.
    pub(super) fn group(&mut self, at: usize, group: usize) -> Result<&Group, Fault> {
        self.unpack(at, group)?;
        let unpacked = self.unpacked.get(at).and_then(Option::as_ref);
        Ok(&unpacked.ok_or(Fault::Reference)?.numbers)
    }

    /// Whether a number of the group can lie in the ranges.
    pub(super) fn can_have(
        &mut self,
        at: usize,
        group: usize,
        ranges: &[digits::Range],
    ) -> Result<bool, Fault> {
        self.load(at)?;
        let unpacked = self.unpacked.get(at).and_then(Option::as_ref);
        let column = &unpacked.ok_or(Fault::Reference)?.column;
        Ok(column.can_have(group, ranges))
    }

    fn load(&mut self, at: usize) -> Result<(), Fault> {
        let block = self.block;
        let place = self.unpacked.get_mut(at).ok_or(Fault::Reference)?;
        if place.is_none() {
            *place = Some(Unpacked {
                column: block.column(at)?,
                group: usize::MAX,
                numbers: Box::new([0; GROUP]),
            });
        }
        Ok(())
    }

    fn unpack(&mut self, at: usize, group: usize) -> Result<(), Fault> {
        self.load(at)?;
        let open = self.block.open();
        let unpacked = self.unpacked[at].as_mut().ok_or(Fault::Reference)?;
        if unpacked.group == group {
            return Ok(());
        }
        unpacked.group = usize::MAX;
        let beside = match group == unpacked.column.groups() {
            true => {
                *unpacked.numbers = *open.get(at).ok_or(Fault::Group)?;
                None
            }
            false => unpacked.column.unpack(group, &mut unpacked.numbers)?,
        };
        if let Some(beside) = beside {
            // An earlier column always, so that this ends.
            self.unpack(beside, group)?;
            let (before, from) = self.unpacked.split_at_mut(at);
            if let (Some(Some(other)), Some(Some(own))) = (before.get(beside), from.first_mut()) {
                for (number, other) in own.numbers.iter_mut().zip(other.numbers.iter()) {
                    *number = number.wrapping_add(*other);
                }
            }
        }
        if let Some(own) = &mut self.unpacked[at] {
            own.group = group;
        }
        Ok(())
    }

    /// When the reading of a row was polled.
    pub(super) fn polled_at(&mut self, shape: &Shape, row: usize) -> Result<u64, Fault> {
        Ok(digits::parts(self.get(shape.polled_at, row)?).1)
    }

    pub(super) fn value(&mut self, number: &Number, row: usize) -> Result<f64, Fault> {
        let whole = self.get(number.whole, row)?;
        let fraction = match number.fraction {
            Some(column) => Some(self.get(column, row)?),
            None => None,
        };
        Ok(value_of(number.is_negative, whole, fraction))
    }

    /// The entry of a row.
    pub(super) fn entry(&mut self, row: usize) -> Result<u64, Fault> {
        Ok(self.block.head().first + self.get(ENTRY, row)?)
    }

    /// The first row whose entry is not before `entry`.
    pub(super) fn row_at(&mut self, entry: u64) -> Result<usize, Fault> {
        let head = self.block.head();
        if entry <= head.first {
            return Ok(0);
        }
        let (mut low, mut high) = (0, head.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entry(middle)? < entry {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok(low)
    }
}

/// The block that is being filled, in memory.
#[derive(Debug)]
pub(super) struct Tail {
    head: Head,
    known: HashMap<Box<[u32]>, u32>,
    columns: Vec<Column>,
    open: Vec<Group>,
    key: Vec<u32>,
    numbers: Vec<u64>,
}

impl Block for Tail {
    fn head(&self) -> &Head {
        &self.head
    }

    fn column(&self, at: usize) -> Result<Held<'_>, Fault> {
        self.columns.get(at).map(Held::Here).ok_or(Fault::Reference)
    }

    fn open(&self) -> &[Group] {
        &self.open
    }
}

impl Tail {
    /// An empty one that begins with entry `first`.
    pub(super) fn new(first: u64) -> Self {
        let names = NAMES.map(str::to_owned).to_vec();
        Self {
            columns: vec![Column::default(); names.len()],
            open: vec![[0; GROUP]; names.len()],
            head: Head {
                first,
                end: first,
                names,
                ..Head::default()
            },
            known: HashMap::new(),
            key: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// It covers the entries below `end`.
    pub(super) fn cover(&mut self, end: u64) {
        self.head.end = self.head.end.max(end);
    }

    /// Whether the block should be written to the disk, and another be begun.
    pub(super) fn is_full(&self) -> bool {
        self.head.rows >= MOST_ROWS
            || self.head.profiles.len() >= MOST_PROFILES
            || self.head.shapes.len() >= MOST_SHAPES
            || self.head.names.len() >= MOST_COLUMNS
            || self.head.texts.bytes() + self.head.keys.bytes() >= MOST_BYTES
    }

    /// Takes the reading of entry `index`; false where it is none of this index after all.
    pub(super) fn push(&mut self, index: u64, scan: &Scan) -> Result<bool, Fault> {
        let shape = match self.head.keys.find(&scan.shape) {
            Some(shape) => shape,
            None => {
                if !Shape::is_written(scan) {
                    return Ok(false);
                }
                let known = self.head.names.len();
                let Ok(shape) = Shape::of(&scan.shape, &mut self.head.names) else {
                    self.head.names.truncate(known);
                    return Ok(false);
                };
                self.add_columns();
                self.head.shapes.push(shape);
                self.head.keys.add(&scan.shape)
            }
        };
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        let texts = &mut self.head.texts;
        key.push(shape);
        key.push(texts.add(&scan.actor));
        key.push(texts.add(&scan.source));
        key.push(texts.add(&scan.target));
        let producer = match numbering_of(&scan.producer) {
            None => Producer::Nobody,
            Some((sensor, boot)) if sensor == scan.source => Producer::Boot(texts.add(boot)),
            Some(_) => Producer::Other(texts.add(&scan.producer)),
        };
        key.push(producer.encode());
        for word in &scan.words {
            key.push(texts.add(&scan.message[word.clone()]));
        }
        let sequence = match producer {
            Producer::Nobody => None,
            _ => Some(scan.sequence),
        };
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.clone_from(&scan.numbers);
        let pushed = self.push_row(index, &key, sequence, &numbers);
        self.key = key;
        self.numbers = numbers;
        pushed.map(|()| true)
    }

    fn add_columns(&mut self) {
        let groups = self.columns[ENTRY].groups();
        while self.columns.len() < self.head.names.len() {
            let mut column = Column::default();
            for _ in 0..groups {
                column.push(&[0; GROUP], &[]);
            }
            self.columns.push(column);
            self.open.push([0; GROUP]);
        }
    }

    fn push_row(
        &mut self,
        index: u64,
        key: &[u32],
        sequence: Option<u64>,
        numbers: &[u64],
    ) -> Result<(), Fault> {
        let profile = match self.known.get(key) {
            Some(&profile) => profile,
            None => {
                let profile = u32::try_from(self.head.profiles.len()).unwrap_or(u32::MAX);
                self.known.insert(key.into(), profile);
                self.head.profiles.push(Profile {
                    key: key.into(),
                    count: 0,
                });
                profile
            }
        };
        self.head.profiles[profile as usize].count += 1;
        let at = self.head.rows % GROUP;
        if at == 0 {
            // What a reading does not have is what the one before had.
            for open in &mut self.open {
                let last = open[GROUP - 1];
                open.fill(last);
            }
        }
        let shape = self
            .head
            .shapes
            .get(key[0] as usize)
            .ok_or(Fault::Reference)?;
        let fixed = [
            (ENTRY, index - self.head.first),
            (PROFILE, u64::from(profile)),
        ];
        let sequence = sequence.map(|sequence| (SEQUENCE, sequence));
        let others = shape.columns.iter().copied().zip(numbers.iter().copied());
        for (column, number) in fixed.into_iter().chain(sequence).chain(others) {
            // Up to the end of the group, for the rows that do not have it.
            self.open[column][at..].fill(number);
        }
        self.head.rows += 1;
        self.cover(index + 1);
        if self.head.rows.is_multiple_of(GROUP) {
            self.close_group();
        }
        Ok(())
    }

    fn close_group(&mut self) {
        for at in 0..self.columns.len() {
            let (earlier, from) = self.open.split_at(at);
            self.columns[at].push(&from[0], earlier);
        }
    }

    /// Its columns with all rows in full groups, to be written.
    pub(super) fn closed(&self) -> Vec<Column> {
        let mut columns = self.columns.clone();
        if !self.head.rows.is_multiple_of(GROUP) {
            for (at, column) in columns.iter_mut().enumerate() {
                let (earlier, from) = self.open.split_at(at);
                column.push(&from[0], earlier);
            }
        }
        columns
    }
}

/// A block without the readings of some entries. Nothing of their texts is left in it.
pub(super) fn without(block: &dyn Block, is_gone: &dyn Fn(u64) -> bool) -> Result<Tail, Fault> {
    let head = block.head();
    let mut left = Tail::new(head.first);
    let mut rows = Rows::of(block);
    let mut shapes: HashMap<u32, u32> = HashMap::new();
    for row in 0..head.rows {
        let index = rows.entry(row)?;
        if is_gone(index) {
            continue;
        }
        let profile = usize::try_from(rows.get(PROFILE, row)?).unwrap_or(usize::MAX);
        let profile = head.profiles.get(profile).ok_or(Fault::Reference)?;
        let shape = head.shape(profile)?;
        let new_shape = match shapes.get(&profile.shape()) {
            Some(&shape) => shape,
            None => {
                let key = head.keys.get(profile.shape()).ok_or(Fault::Reference)?;
                let shape = Shape::of(key, &mut left.head.names)?;
                left.add_columns();
                left.head.shapes.push(shape);
                let new_shape = left.head.keys.add(key);
                shapes.insert(profile.shape(), new_shape);
                new_shape
            }
        };
        let mut text = |number: u32| left.head.texts.add(head.text(number));
        let mut key = vec![
            new_shape,
            text(profile.actor()),
            text(profile.source()),
            text(profile.target()),
        ];
        let producer = match Producer::decode(profile.key[4]) {
            Producer::Nobody => Producer::Nobody,
            Producer::Boot(boot) => Producer::Boot(text(boot)),
            Producer::Other(other) => Producer::Other(text(other)),
        };
        key.push(producer.encode());
        for &word in profile.words() {
            key.push(text(word));
        }
        let sequence = match producer {
            Producer::Nobody => None,
            _ => Some(rows.get(SEQUENCE, row)?),
        };
        let mut numbers = Vec::with_capacity(shape.columns.len());
        for &column in &shape.columns {
            numbers.push(rows.get(column, row)?);
        }
        left.push_row(index, &key, sequence, &numbers)?;
    }
    left.cover(head.end);
    Ok(left)
}
