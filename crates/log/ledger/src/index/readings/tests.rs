//! The index of readings against the other one: the same readings, the same queries, the same results.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::fs;

use fieldledger_audit::timestamp;
use fieldledger_audit::{EventRow, Signature};
use fieldledger_chance::proptest_config;
use fieldledger_contract::audit::Order;
use fieldledger_formats::envelope::{Envelope, write_envelope};
use fieldledger_formats::query::cursor::Filter;
use fieldledger_formats::query::words::{normal, words};
use fieldledger_reading::Recorded;
use fieldledger_reading::quality::{Quality, Severity};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index as Pick, select};
use tantivy::Index;
use tantivy::collector::{Count, TopDocs};

use super::*;
use crate::index::matching;
use crate::index::ordering::OrderCollector;
use crate::index::schema::{self, IndexSchema};
use crate::index::series::{EntriesCollector, Sum, SumsCollector};
use crate::index::words::{NAME, Words};

const START: u64 = 1_767_323_045_000_000;

/// A reading, before it is written.
#[derive(Debug, Clone)]
struct Made {
    actor: &'static str,
    source: &'static str,
    target: &'static str,
    boot: Option<&'static str>,
    unit: Option<&'static str>,
    reason: Option<&'static str>,
    quality: Quality,
    value: String,
    raw: String,
    polled_at: u64,
    number: u64,
    has_time: bool,
}

impl Made {
    fn producer(&self) -> String {
        match self.boot {
            Some(boot) => format!("reading/{}/{boot}", self.source),
            None => format!("poll/{}/e", self.source),
        }
    }

    fn message(&self) -> String {
        let is_bad = self.quality.severity() == Severity::Bad;
        let recorded = Recorded {
            attestation: None,
            boot: self.boot.map(Cow::Borrowed),
            device_at: (self.number.is_multiple_of(3)).then_some(self.polled_at + 7),
            device_unit: None,
            device_up: None,
            evidence: None,
            historical: self.number.is_multiple_of(5),
            late: false,
            poll: Cow::Owned(format!("7c0d8f2e5b1a4c39/{}", self.number * 3)),
            polled_at: self.polled_at,
            quality: self.quality,
            raw: Some(Cow::Borrowed(&self.raw)),
            reason: self.reason.map(Cow::Borrowed),
            received_at: self.polled_at + 950,
            seq: self.boot.map(|_| self.number),
            unit: self.unit.map(Cow::Borrowed),
            value: (!is_bad).then_some(Cow::Borrowed(self.value.as_str())),
        };
        recorded.to_message()
    }

    fn envelope(&self) -> Vec<u8> {
        let message = self.message();
        let time = timestamp::from_micros(self.polled_at).unwrap();
        let is_bad = self.quality.severity() == Severity::Bad;
        let event = EventRow {
            action: "SENSOR_READING",
            actor: self.actor,
            message: &message,
            new: if is_bad { "" } else { &self.value },
            source: self.source,
            status: if is_bad { "VALUE_ERROR" } else { "SUCCESS" },
            target: self.target,
            timestamp: if self.has_time { &time } else { "" },
            ..EventRow::default()
        };
        let mut bytes = Vec::new();
        let producer = self.producer();
        write_envelope(
            &mut bytes,
            &event.canonical(),
            Some((&producer, self.number)),
            Signature::default(),
            ("2026-01-02T03:04:05.000006Z", None),
            [7; 16],
        );
        bytes
    }
}

fn made() -> impl Strategy<Value = Made> {
    let names = (
        select(vec![
            "boiler_1",
            "Boiler-1",
            "",
            "K\u{fc}hler 3",
            "Ku\u{308}hler 3",
            "TempSensor01",
        ]),
        select(vec!["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "s-2", "x_05Z"]),
        select(vec!["Hall 3", "Hall 30", "", "hall_3_b", "\u{b5}-Lab"]),
        select(vec![
            None,
            Some("7c0d8f2e"),
            Some("b-1"),
            Some("17"),
            Some("deadbeef"),
        ]),
        select(vec![
            None,
            Some("Cel"),
            Some("m3/h"),
            Some("10*3/ul"),
            Some("\u{b5}g"),
        ]),
        select(vec![
            None,
            Some("the value -5 is below 0.5"),
            Some("21\u{b0}C at 12-5 of -07"),
            Some("a-7 b_8 8_9"),
        ]),
    );
    let numbers = (
        select(Quality::ALL.to_vec()),
        select(vec![
            "21.5",
            "21.50",
            "-4.7",
            "4.70",
            "0",
            "-0.0",
            "100",
            "007",
            "5",
            "9007199254740993",
            "1e3",
            "0.05",
        ]),
        select(vec!["21.5", "x 21", "-4.7", "5", "on", "4.7.1"]),
        0_u64..40_000_000,
        0_u64..30,
        any::<bool>(),
    );
    (names, numbers).prop_map(|(names, numbers)| Made {
        actor: names.0,
        source: names.1,
        target: names.2,
        boot: names.3,
        unit: names.4,
        reason: names.5,
        quality: numbers.0,
        value: numbers.1.to_owned(),
        raw: numbers.2.to_owned(),
        polled_at: START + numbers.3,
        number: numbers.4,
        has_time: numbers.5,
    })
}

/// What is asked of some text that a reading has.
#[derive(Debug, Clone)]
struct Asked {
    reading: Pick,
    column: Pick,
    word: Pick,
    length: usize,
    in_column: bool,
    any_case: bool,
    cut: Option<usize>,
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        any::<Pick>(),
        any::<Pick>(),
        any::<Pick>(),
        1_usize..4,
        any::<bool>(),
        any::<bool>(),
        proptest::option::of(0_usize..4),
    )
        .prop_map(
            |(reading, column, word, length, in_column, any_case, cut)| Asked {
                reading,
                column,
                word,
                length,
                in_column,
                any_case,
                cut,
            },
        )
}

impl Asked {
    /// A query that finds something of these entries.
    fn query(&self, entries: &[Vec<u8>]) -> String {
        let envelope = Envelope::parse(&entries[self.reading.index(entries.len())]).unwrap();
        let event = envelope.event();
        let values = event.values();
        let there: Vec<usize> = (0..values.len())
            .filter(|&at| !values[at].is_empty())
            .collect();
        let column = *self.column.get(&there);
        let text = normal(values[column]);
        let found: Vec<&str> = words(&text).collect();
        let from = self.word.index(found.len());
        let to = found.len().min(from + self.length);
        let mut phrase = found[from..to].join(" ");
        let mut star = "";
        if let Some(cut) = self.cut {
            for _ in 0..cut {
                if phrase.chars().count() > 1 {
                    phrase.pop();
                }
            }
            star = "*";
        }
        let phrase = phrase.trim().trim_end_matches('-').trim();
        if phrase.is_empty() {
            return "*".to_owned();
        }
        let tilde = if self.any_case { "~" } else { "" };
        match self.in_column {
            true => format!("{tilde}{}:\"{phrase}\"{star}", FIELDS[column].name),
            false => format!("{tilde}\"{phrase}\"{star}"),
        }
    }
}

/// Both indexes of the same readings.
struct Both {
    readings: Readings,
    schema: IndexSchema,
    searcher: tantivy::Searcher,
    entries: Vec<Vec<u8>>,
    size: u64,
    shelf: Shelf,
    _folder: tempfile::TempDir,
}

impl Both {
    /// Some of the readings are in full blocks. Readings stand at every second entry.
    fn of(made: &[Made], sealed_after: &[Pick]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = IndexSchema::new();
        let index = Index::create_in_ram(schema.schema.clone());
        index.tokenizers().register(NAME, Words::default());
        let mut writer = index.writer_with_num_threads(1, 15_000_000).unwrap();
        let mut shelf = Shelf::open(folder.path(), 0).unwrap();
        let mut scan = Scan::default();
        let mut entries = Vec::new();
        let seals: Vec<usize> = sealed_after.iter().map(|at| at.index(made.len())).collect();
        for (at, made) in made.iter().enumerate() {
            let bytes = made.envelope();
            let index = at as u64 * 2;
            let is_here = shelf.push(index, &bytes, &mut scan).unwrap();
            assert_eq!(is_here, Shelf::has(&mut scan, &bytes));
            let is_number = decimal_value(made);
            assert_eq!(is_here, is_number, "{}", made.message());
            if is_here {
                let envelope = Envelope::parse(&bytes).unwrap();
                writer
                    .add_document(schema.document(index, &envelope))
                    .unwrap();
                entries.push(bytes);
            }
            shelf.cover(index + 2);
            if seals.contains(&at) {
                shelf.seal().unwrap();
            }
        }
        writer.commit().unwrap();
        Self {
            readings: shelf.readings(),
            searcher: index.reader().unwrap().searcher(),
            schema,
            entries,
            size: made.len() as u64 * 2,
            shelf,
            _folder: folder,
        }
    }

    fn agree(&self, filter: &Filter, bounds: (u64, u64)) {
        let query = matching::query(&self.schema, filter, bounds.0, bounds.1).unwrap();
        for (order, in_order) in [
            (Order::Ascending, tantivy::Order::Asc),
            (Order::Descending, tantivy::Order::Desc),
        ] {
            for limit in [3, 1_000] {
                let first =
                    TopDocs::with_limit(limit).order_by_fast_field::<u64>(schema::INDEX, in_order);
                let (found, count) = self.searcher.search(&query, &(first, Count)).unwrap();
                let found: Vec<u64> = found.into_iter().filter_map(|(index, _)| index).collect();
                let (its_count, its) = self.readings.find(filter, bounds, order, limit).unwrap();
                assert_eq!((its_count, &its), (count as u64, &found), "{filter:?}");
            }
        }
    }
}

/// Whether the value is of the form that has columns.
fn decimal_value(made: &Made) -> bool {
    made.quality.severity() == Severity::Bad || made.value != "1e3"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..proptest_config() })]

    #[test]
    fn both_indexes_find_the_same(
        made in vec(made(), 1..200),
        asked in vec((asked(), proptest::option::of(asked())), 1..12),
        seals in vec(any::<Pick>(), 0..3),
        bounds in any::<[Pick; 2]>(),
    ) {
        let both = Both::of(&made, &seals);
        if both.entries.is_empty() {
            return Ok(());
        }
        for (one, other) in &asked {
            let mut query = one.query(&both.entries);
            if let Some(other) = other {
                query = format!("{query} {}", other.query(&both.entries));
            }
            let filter = Filter::parse(&query, &[]).unwrap();
            both.agree(&filter, (0, both.size));
            let size = usize::try_from(both.size).unwrap();
            let mut bounds = bounds.map(|at| at.index(size) as u64);
            bounds.sort_unstable();
            both.agree(&filter, (bounds[0], bounds[1]));
        }
        for query in ["new:4.7", "new:21.500", "new:0", "new:5*", "21.5", "new:-5", "5", "action:*", "new:*",
            "old:*", "timestamp:*", "actor:*", "target:*", "2026-01-02", "03:04:06", "timestamp:2026*", "~05z",
            "~k\u{dc}HLER", "\u{3bc}-lab", "-5", "\"value -5\"", "8", "-7", "12-5", "-4.7", "Hall_3", "x_05Z"] {
            both.agree(&Filter::parse(query, &[]).unwrap(), (0, both.size));
        }
    }

    #[test]
    fn both_indexes_know_columns_and_numbers(
        made in vec(made(), 1..200),
        seals in vec(any::<Pick>(), 0..3),
        picks in vec((any::<Pick>(), any::<Pick>()), 1..20),
    ) {
        let both = Both::of(&made, &seals);
        if both.entries.is_empty() {
            return Ok(());
        }
        for (reading, column) in &picks {
            let envelope = Envelope::parse(&both.entries[reading.index(both.entries.len())]).unwrap();
            let event = envelope.event();
            let column = column.index(FIELDS.len());
            let value = event.values()[column].to_owned();
            let restriction = [(FIELDS[column].name.to_owned(), vec![value, "SUCCESS".to_owned()])];
            both.agree(&Filter::parse("", &restriction).unwrap(), (0, both.size));
            if let Some((producer, sequence)) = envelope.origin() {
                let query = matching::numbered(&both.schema, producer, sequence);
                let first = TopDocs::with_limit(8)
                    .order_by_fast_field::<u64>(schema::INDEX, tantivy::Order::Asc);
                let found = both.searcher.search(&query, &first).unwrap();
                let found: Vec<u64> = found.into_iter().filter_map(|(index, _)| index).collect();
                prop_assert_eq!(both.readings.numbered(producer, sequence, 8).unwrap(), found);
            }
        }
        for column in 0..FIELDS.len() {
            for descending in [false, true] {
                let order = OrderCollector { column, descending, wanted: 20, most_texts: 1_000 };
                let filter = Filter::parse("SENSOR_READING", &[]).unwrap();
                let query = matching::query(&both.schema, &filter, 0, both.size).unwrap();
                let (ordered, count) = both.searcher.search(&query, &(order, Count)).unwrap();
                let found = both.readings.find_ordered(&filter, (0, both.size), order).unwrap();
                prop_assert_eq!(found, (count as u64, ordered));
            }
        }
    }

    #[test]
    fn both_indexes_have_the_same_series(
        made in vec(made(), 1..200),
        seals in vec(any::<Pick>(), 0..3),
        span in (0_u64..40_000_000, 1_u64..40_000_000),
    ) {
        let both = Both::of(&made, &seals);
        let (start, end) = (START + span.0, START + span.0 + span.1);
        for sensor in ["s-2", "x_05Z", "none"] {
            let query = matching::readings(&both.schema, sensor, start, end);
            let mut places = both.searcher.search(&query, &EntriesCollector { limit: 1_000 }).unwrap();
            let mut found = both.readings.places(sensor, (start, end), 1_000).unwrap();
            places.sort_unstable();
            found.sort_unstable();
            prop_assert_eq!(found, places);
            let spans = Spans::over(start, end, 10);
            let query = matching::readings(&both.schema, sensor, spans.start, spans.end);
            let sums = both.searcher.search(&query, &SumsCollector { spans }).unwrap().finish(spans);
            let found = both.readings.sums(sensor, spans).unwrap().finish(spans);
            let summary = |sums: &[Sum]| sums.iter().map(|sum| {
                let total = (sum.total * 1e3).round();
                (sum.start, sum.unit.clone(), (sum.good, sum.uncertain, sum.bad), total.to_string(), (sum.min, sum.max, sum.last))
            }).collect::<Vec<_>>();
            prop_assert_eq!(summary(&found), summary(&sums));
            let query = matching::readings(&both.schema, sensor, 0, u64::MAX);
            let newest = TopDocs::with_limit(5)
                .order_by_fast_field::<u64>(schema::INDEX, tantivy::Order::Desc);
            let newest = both.searcher.search(&query, &newest).unwrap();
            let newest: Vec<u64> = newest.into_iter().filter_map(|(index, _)| index).collect();
            prop_assert_eq!(both.readings.newest(sensor, 5).unwrap(), newest);
        }
    }

    #[test]
    fn what_is_removed_is_gone_and_what_is_saved_is_there(
        made in vec(made(), 1..300),
        seals in vec(any::<Pick>(), 0..3),
        gone in any::<[Pick; 2]>(),
    ) {
        let mut both = Both::of(&made, &seals);
        let all = Filter::parse("SENSOR_READING", &[]).unwrap();
        let find = |readings: &Readings| readings.find(&all, (0, both.size), Order::Ascending, 1_000).unwrap();
        let before = find(&both.readings);
        let size = usize::try_from(both.size).unwrap();
        let mut gone = gone.map(|at| at.index(size) as u64);
        gone.sort_unstable();
        both.shelf.remove(gone[0], gone[1]).unwrap();
        // Who asked before still sees all.
        prop_assert_eq!(find(&both.readings), before.clone());
        let left: Vec<u64> = before.1.into_iter().filter(|index| !(gone[0]..gone[1]).contains(index)).collect();
        let left = (left.len() as u64, left);
        prop_assert_eq!(find(&both.shelf.readings()), left.clone());
        both.shelf.save().unwrap();
        let folder = both._folder.path();
        prop_assert_eq!(verify(folder, both.size), Ok(()));
        let opened = Shelf::open(folder, both.size).unwrap();
        prop_assert_eq!(opened.end(), both.size);
        prop_assert_eq!(find(&opened.readings()), left);
    }

    #[test]
    fn a_damaged_file_is_noticed(
        made in vec(made(), 1..50),
        at in any::<Pick>(),
        flip in 1_u8..,
    ) {
        let both = Both::of(&made, &[]);
        both.shelf.save().unwrap();
        let folder = both._folder.path();
        let path = files(folder).unwrap().remove(0);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(&path, &bytes).unwrap();
        prop_assert!(verify(folder, both.size).is_err());
        let opened = Shelf::open(folder, both.size).unwrap();
        let all = Filter::parse("SENSOR_READING", &[]).unwrap();
        prop_assert!(opened.end() == 0);
        let found = opened.readings().find(&all, (0, both.size), Order::Ascending, 10).unwrap();
        prop_assert_eq!(found, (0, Vec::new()));
    }

    #[test]
    fn any_envelope_is_taken_or_not(bytes in vec(any::<u8>(), 0..400), at in any::<Pick>(), made in made()) {
        let mut scan = Scan::default();
        let mut tail = Tail::new(0);
        if scan.read(&bytes) {
            tail.push(0, &scan).unwrap();
        }
        let mut envelope = made.envelope();
        let at = at.index(envelope.len());
        let count = bytes.len().min(envelope.len() - at).min(4);
        envelope[at..at + count].copy_from_slice(&bytes[..count]);
        if scan.read(&envelope) && tail.push(1, &scan).unwrap() {
            // What is taken is a reading to all others as well.
            let parsed = Envelope::parse(&envelope);
            prop_assert!(parsed.is_ok_and(|parsed| crate::readings::reading_of(&parsed.event(), 1, 0).is_some()));
        }
    }
}
