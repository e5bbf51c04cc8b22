//! Searches, pages, readings and series.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    all, append, config, config_without_index, indices, message, numbered, query, reading, verify,
    wait_for_index,
};
use fieldledger_contract::WallTime;
use fieldledger_ledger::{
    Bucket, Clock, Config, EventColumns, Ledger, Order, QueryError, SearchQuery, Series,
};

/// 2026-01-02T03:04:05Z.
const EPOCH: u64 = 1_767_323_045_000_000;

/// A clock that stands still until it is moved.
fn clock() -> (Clock, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(EPOCH));
    let shared = Arc::clone(&now);
    (Clock::new(move || shared.load(Ordering::SeqCst)), now)
}

fn event(actor: &str, target: &str, message: &str, timestamp: &str) -> EventColumns {
    EventColumns {
        message: vec![message.to_owned()],
        actor: vec![actor.to_owned()],
        target: vec![target.to_owned()],
        timestamp: vec![timestamp.to_owned()],
        action: vec!["USER_LOGIN".to_owned()],
        ..EventColumns::default()
    }
}

/// Five events, one a minute.
fn filled(config: Config) -> Ledger {
    let (clock, now) = clock();
    let ledger = Ledger::open(Config { clock, ..config }).unwrap();
    for (actor, target, message, timestamp) in [
        (
            "alice",
            "Hall 3",
            "door a-b opened",
            "2026-01-02T05:00:00+03:00",
        ),
        (
            "bob",
            "Hall 3",
            "door closed by alice",
            "2026-01-02T03:00:00Z",
        ),
        (
            "alice",
            "Hall 30",
            "id 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "",
        ),
        ("Alice", "Hall", "21.5 degrees", "2026-01-02T01:00:00Z"),
        (
            "TempSensor01",
            "3 Hall",
            "opened door",
            "2026-01-02T02:30:00Z",
        ),
    ] {
        append(&ledger, event(actor, target, message, timestamp)).unwrap();
        now.fetch_add(60_000_000, Ordering::SeqCst);
    }
    if ledger.search(&query("x")).is_ok() {
        wait_for_index(&ledger);
    }
    ledger
}

fn found(ledger: &Ledger, query: &SearchQuery) -> Vec<u64> {
    let page = ledger.search(query).unwrap();
    assert_eq!(page.count, page.entries.len() as u64);
    indices(&page.entries)
}

#[test]
fn terms_phrases_and_fields_find_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = filled(config(folder.path()));
    for (text, expected) in [
        ("", vec![0, 1, 2, 3, 4]),
        ("alice", vec![0, 1, 2]),
        ("actor:alice", vec![0, 2]),
        ("door opened", vec![0, 4]),
        ("\"door closed\"", vec![1]),
        ("a-b", vec![0]),
        ("b-a", vec![]),
        ("target:\"Hall 3\"", vec![0, 1]),
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", vec![2]),
        ("9dad 21.5", vec![]),
        ("21.5", vec![3]),
        ("TempSensor01", vec![4]),
        ("USER_LOGIN", vec![0, 1, 2, 3, 4]),
        // A part of what underscores join.
        ("LOGIN", vec![0, 1, 2, 3, 4]),
        ("*", vec![0, 1, 2, 3, 4]),
        ("OGIN", vec![]),
        ("action:USER_LOGIN actor:bob", vec![1]),
        ("timestamp:2026-01-02T03:00:00Z", vec![1]),
        ("timestamp:2026-01-02", vec![0, 1, 3, 4]),
        ("2026-01-02T02", vec![4]),
        ("timestamp:03:00:00", vec![1]),
    ] {
        assert_eq!(found(&ledger, &query(text)), expected, "{text}");
    }
}

#[test]
fn restrictions_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = filled(config(folder.path()));
    for (field, values, expected) in [
        ("target", vec!["Hall 3"], vec![0, 1]),
        ("target", vec!["Hall", "3 Hall"], vec![3, 4]),
        ("target", vec!["hall"], vec![]),
        ("message", vec!["door closed by alice"], vec![1]),
        ("message", vec!["door closed"], vec![]),
        ("actor", vec![], vec![]),
    ] {
        let restriction = vec![(
            field.to_owned(),
            values
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<String>>(),
        )];
        let query = SearchQuery {
            restriction,
            ..all()
        };
        assert_eq!(found(&ledger, &query), expected, "{query:?}");
    }
}

#[test]
fn times_bound_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = filled(config(folder.path()));
    for (start, end, expected) in [
        (Some("2026-01-02T03:05:05Z"), None, vec![1, 2, 3, 4]),
        (None, Some("2026-01-02T03:05:05Z"), vec![0]),
        (Some("3min"), Some("60s"), vec![2, 3]),
        (Some("1d"), None, vec![0, 1, 2, 3, 4]),
        (Some("2027-01-01T00:00:00Z"), None, vec![]),
        (Some("2026-01-02T03:05:05"), None, vec![1, 2, 3, 4]),
        (Some("2026-01-02"), Some("now"), vec![0, 1, 2, 3, 4]),
        (Some("2025-01-02"), Some("2026-01-02"), vec![]),
        (Some("1767323105000"), None, vec![1, 2, 3, 4]),
    ] {
        for text in ["", "USER_LOGIN"] {
            let query = SearchQuery {
                start: start.map(str::to_owned),
                end: end.map(str::to_owned),
                ..query(text)
            };
            assert_eq!(found(&ledger, &query), expected, "{query:?}");
        }
    }
}

#[test]
fn order_and_limits_hold() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = filled(config(folder.path()));
    for text in ["", "USER_LOGIN"] {
        let newest = SearchQuery {
            order: Order::Descending,
            max_results: 3,
            limit: 2,
            ..query(text)
        };
        let page = ledger.search(&newest).unwrap();
        assert_eq!((indices(&page.entries), page.count), (vec![4, 3], 3));
        // How many match does not depend on how many are wanted.
        assert_eq!(page.total, 5);
        let next = ledger.page(&page.id, 2, 10).unwrap();
        assert_eq!((indices(&next.entries), next.count), (vec![2], 3));
        assert_eq!(ledger.page(&page.id, 3, 10).unwrap().entries, []);
        let by = |field: &str, order| SearchQuery {
            order,
            order_by: Some(field.to_owned()),
            ..query(text)
        };
        assert_eq!(
            found(&ledger, &by("actor", Order::Ascending)),
            [3, 4, 0, 2, 1]
        );
        assert_eq!(
            found(&ledger, &by("actor", Order::Descending)),
            [1, 2, 0, 4, 3]
        );
        assert_eq!(
            found(&ledger, &by("timestamp", Order::Ascending)),
            [3, 0, 4, 1, 2]
        );
        assert_eq!(
            found(&ledger, &by("timestamp", Order::Descending)),
            [1, 4, 0, 3, 2]
        );
        assert_eq!(
            found(&ledger, &by("message", Order::Ascending)),
            [3, 0, 1, 2, 4]
        );
        assert_eq!(
            found(&ledger, &by("received_at", Order::Descending)),
            [4, 3, 2, 1, 0]
        );
    }
}

#[test]
fn a_result_is_frozen_until_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, now) = clock();
    let ledger = Ledger::open(Config {
        clock,
        ..config(folder.path())
    })
    .unwrap();
    append(&ledger, numbered("p", 0, 30)).unwrap();
    wait_for_index(&ledger);
    for text in ["", "event"] {
        let size = ledger.checkpoint().tree_size;
        let newest = SearchQuery {
            order: Order::Descending,
            limit: 10,
            ..query(text)
        };
        let first = ledger.search(&newest).unwrap();
        let an_hour_later = now.load(Ordering::SeqCst) + 3_600_000_000;
        assert_eq!(first.expires_at.map(|at| at.micros), Some(an_hour_later));
        append(&ledger, numbered("p", size, size + 5)).unwrap();
        wait_for_index(&ledger);
        let again = ledger.page(&first.id, 0, 10).unwrap();
        assert_eq!((again.count, &again.entries), (size, &first.entries));
        let last = ledger
            .page(&first.id, u32::try_from(size).unwrap() - 1, 10)
            .unwrap();
        assert_eq!(indices(&last.entries), [0]);
        now.fetch_add(3_600_000_000, Ordering::SeqCst);
        assert!(matches!(
            ledger.page(&first.id, 0, 10),
            Err(QueryError::Expired(_))
        ));
    }
}

#[test]
fn the_newest_entries_are_found_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut slow = config(folder.path());
    slow.index_interval_ms = 3_600_000;
    let ledger = Ledger::open(slow).unwrap();
    append(&ledger, numbered("p", 0, 3)).unwrap();
    let page = ledger
        .search(&SearchQuery {
            order: Order::Descending,
            ..all()
        })
        .unwrap();
    assert_eq!(indices(&page.entries), [2, 1, 0]);
    assert_eq!((page.indexed_size, page.checkpoint.tree_size), (0, 3));
}

#[test]
fn verbose_results_prove_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    append(&ledger, numbered("p", 0, 700)).unwrap();
    wait_for_index(&ledger);
    for text in ["", "event"] {
        let page = ledger
            .search(&SearchQuery {
                verbose: true,
                ..query(text)
            })
            .unwrap();
        assert_eq!(page.entries.len(), 700);
        for entry in &page.entries {
            verify(entry, &page.checkpoint);
        }
    }
}

#[test]
fn an_index_whose_files_are_taken_away_is_told_of_and_built_again() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = filled(config(folder.path()));
    wait_for_index(&ledger);
    assert_eq!(ledger.status().index_problem, "");
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    append(&ledger, numbered("later", 0, 10)).unwrap();
    let started = Instant::now();
    while ledger.status().index_problem.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(120));
        thread::sleep(Duration::from_millis(5));
    }
    // The log is none the worse.
    append(&ledger, numbered("later", 10, 20)).unwrap();
    ledger.close();
    drop(ledger);
    let ledger = Ledger::open(config(folder.path())).unwrap();
    wait_for_index(&ledger);
    assert_eq!(ledger.status().index_problem, "");
    assert_eq!(ledger.search(&query("later")).unwrap().count, 20);
}

#[test]
fn bad_searches_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = filled(config(folder.path()));
    let bad = [
        ("limit", SearchQuery { limit: 0, ..all() }),
        (
            "limit",
            SearchQuery {
                limit: 1_001,
                ..all()
            },
        ),
        (
            "max_results",
            SearchQuery {
                max_results: 10_001,
                ..all()
            },
        ),
        ("query", query("\"open")),
        ("query", query("colour:red")),
        (
            "start",
            SearchQuery {
                start: Some("yesterday".to_owned()),
                ..all()
            },
        ),
        (
            "end",
            SearchQuery {
                end: Some("7".to_owned()),
                ..all()
            },
        ),
        (
            "start",
            SearchQuery {
                start: Some("1767323045".to_owned()),
                ..all()
            },
        ),
        (
            "start",
            SearchQuery {
                start: Some("1min".to_owned()),
                end: Some("2min".to_owned()),
                ..all()
            },
        ),
        ("query", query(&format!("~{}", "\u{e4}".repeat(1_000)))),
        (
            "order_by",
            SearchQuery {
                order_by: Some("salt".to_owned()),
                ..all()
            },
        ),
        (
            "restriction",
            SearchQuery {
                restriction: vec![("salt".to_owned(), vec![])],
                ..all()
            },
        ),
    ];
    for (field, query) in bad {
        let Err(QueryError::Invalid(problems)) = ledger.search(&query) else {
            panic!("{query:?} must be refused");
        };
        assert_eq!(problems[0].field, field, "{query:?}");
    }
    assert!(matches!(
        ledger.page("nonsense", 0, 10),
        Err(QueryError::Invalid(_))
    ));
    let id = ledger.search(&all()).unwrap().id;
    assert!(matches!(
        ledger.page(&id, 0, 0),
        Err(QueryError::Invalid(_))
    ));
}

#[test]
fn without_an_index_the_log_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = filled(config_without_index(folder.path()));
    let page = ledger.search(&all()).unwrap();
    assert_eq!(page.count, 5);
    assert!(matches!(
        ledger.search(&query("door")),
        Err(QueryError::Invalid(_))
    ));
    assert!(!folder.path().join("index").exists());
}

#[test]
fn an_index_that_is_deleted_or_damaged_is_built_again() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(config(folder.path())));
    let index = folder.path().join("index");
    for harm in ["delete", "damage", "none"] {
        match harm {
            "delete" => fs::remove_dir_all(&index).unwrap(),
            "damage" => fs::write(index.join("meta.json"), "{").unwrap(),
            _ => {}
        }
        let ledger = Ledger::open(config(folder.path())).unwrap();
        wait_for_index(&ledger);
        assert_eq!(found(&ledger, &query("door opened")), [0, 4], "{harm}");
        append(&ledger, numbered(harm, 0, 1)).unwrap();
        wait_for_index(&ledger);
        assert_eq!(found(&ledger, &query(&format!("event {harm}"))).len(), 1);
    }
}

#[test]
fn the_newest_reading_of_each_sensor_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    append(&ledger, reading("s1", 1_000, Some(20.0))).unwrap();
    append(&ledger, reading("s1", 3_000, Some(21.5))).unwrap();
    append(&ledger, reading("s1", 2_000, Some(99.0))).unwrap();
    append(&ledger, reading("s0", 2_500, None)).unwrap();
    let latest = ledger.latest(&[]).unwrap();
    let summary: Vec<_> = latest
        .iter()
        .map(|reading| {
            let value = reading.value.as_deref();
            (reading.sensor.as_str(), reading.index, value)
        })
        .collect();
    // The one that came last, whatever its time.
    assert_eq!(summary, [("s0", 3, None), ("s1", 2, Some("99"))]);
    assert!(latest[1].received_at.micros > EPOCH);
    let asked = ["s1".to_owned(), "none".to_owned(), "s0".to_owned()];
    assert_eq!(
        ledger.latest(&asked).unwrap(),
        [latest[1].clone(), latest[0].clone()]
    );
    let too_many = vec![String::new(); 10_001];
    assert!(matches!(
        ledger.latest(&too_many),
        Err(QueryError::Invalid(_))
    ));
}

#[test]
fn a_series_comes_raw_or_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    for second in 0_u32..100 {
        let value = (second % 10 != 9).then_some(f64::from(second));
        append(&ledger, reading("s1", u64::from(second) * 1_000_000, value)).unwrap();
    }
    append(&ledger, reading("s2", 5_000_000, Some(0.0))).unwrap();
    append(&ledger, event("s1", "", "no reading", "")).unwrap();
    wait_for_index(&ledger);
    let Series::Raw(raw) = ledger.series("s1", 10_000_000, 20_000_000, 10).unwrap() else {
        panic!("ten readings fit");
    };
    let polled: Vec<u64> = raw
        .iter()
        .map(|reading| reading.polled_at.seconds())
        .collect();
    assert_eq!(polled, (10..20).collect::<Vec<u64>>());
    assert_eq!(
        (raw[0].value.as_deref(), raw[9].value.as_deref()),
        (Some("10"), None)
    );
    assert_eq!(
        (raw[9].quality.as_str(), raw[9].status.as_str()),
        ("BadNoCommunication", "COMM_ERROR")
    );

    let Series::Buckets(buckets) = ledger.series("s1", 0, 100_000_000, 21).unwrap() else {
        panic!("a hundred readings do not fit");
    };
    assert_eq!(buckets.len(), 20);
    let expected = Bucket {
        start: WallTime::from_seconds(25),
        end: WallTime::from_seconds(30),
        unit: "Cel".to_owned(),
        count: 5,
        good: 4,
        uncertain: 0,
        bad: 1,
        min: Some("25".to_owned()),
        max: Some("28".to_owned()),
        mean: Some(26.5),
        last: Some("28".to_owned()),
    };
    assert_eq!(buckets[5], expected);
    // The spans are the same ones, and whole, wherever the question begins.
    for start in [1_000_000, 24_999_999, 25_000_001, 29_999_999] {
        let found = ledger.series("s1", start, start + 60_000_000, 13).unwrap();
        let Series::Buckets(later) = found else {
            panic!("sixty readings do not fit");
        };
        assert!(later.contains(&expected) && later.len() <= 13, "{start}");
    }
    assert_eq!(
        ledger.series("none", 0, u64::MAX, 10).unwrap(),
        Series::Raw(Vec::new())
    );
    assert!(matches!(
        ledger.series("s1", 0, 1, 0),
        Err(QueryError::Invalid(_))
    ));
    for start in [1, 2] {
        assert!(matches!(
            ledger.series("s1", start, 1, 1),
            Err(QueryError::Invalid(_))
        ));
    }
}

/// A reading with the digits of its value, in a unit.
fn measured(second: u64, quality: &str, value: &str, unit: &str) -> EventColumns {
    let polled_at = second * 1_000_000;
    let digits = match value {
        "" => String::new(),
        value => format!(r#","value":"{value}""#),
    };
    EventColumns {
        message: vec![format!(
            r#"{{"poll":"e/{second}","polled_at":{polled_at},"quality":"{quality}","received_at":1,"unit":"{unit}"{digits}}}"#
        )],
        action: vec!["SENSOR_READING".to_owned()],
        source: vec!["s".to_owned()],
        new: vec![value.to_owned()],
        ..EventColumns::default()
    }
}

#[test]
fn sums_tell_units_apart_and_what_they_count() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    for (second, quality, value, unit) in [
        (0, "Good", "9007199254740993", "Cel"),
        (1, "Good", "21.50", "Cel"),
        (2, "UncertainEngineeringUnitsExceeded", "-3.50", "Cel"),
        (3, "BadDecodingError", "", "Cel"),
        (4, "Good", "70.0", "[degF]"),
        (70, "BadNoCommunication", "", ""),
        (190, "Good", "1", ""),
    ] {
        append(&ledger, measured(second, quality, value, unit)).unwrap();
    }
    wait_for_index(&ledger);
    let Series::Buckets(buckets) = ledger.series("s", 0, 240_000_000, 5).unwrap() else {
        panic!("seven readings do not fit");
    };
    let summary: Vec<_> = buckets
        .iter()
        .map(|bucket| {
            let counts = (bucket.count, bucket.good, bucket.uncertain, bucket.bad);
            let values = [&bucket.min, &bucket.max, &bucket.last];
            let values = values.map(|value| value.as_deref().unwrap_or("-"));
            (bucket.start.seconds(), bucket.unit.as_str(), counts, values)
        })
        .collect();
    assert_eq!(
        summary,
        [
            (
                0,
                "Cel",
                (4, 2, 1, 1),
                ["-3.50", "9007199254740993", "-3.50"]
            ),
            (0, "[degF]", (1, 1, 0, 0), ["70.0", "70.0", "70.0"]),
            (60, "", (1, 0, 0, 1), ["-", "-", "-"]),
            (180, "", (1, 1, 0, 0), ["1", "1", "1"]),
        ]
    );
}

#[test]
fn numbers_are_found_and_ordered_as_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    let values = [
        "9",
        "10",
        "-4.7",
        "4.70",
        "4.7",
        "9007199254740993",
        "9007199254740992",
        "",
        "hot",
        "cold",
        r#"{"t":-4.7}"#,
        "4.7.1",
        "1e1",
    ];
    for (second, value) in (0..).zip(values) {
        let mut event = measured(second, "Good", "1", "Cel");
        if value.parse::<f64>().is_ok() {
            event = measured(second, "Good", value, "Cel");
        }
        event.new = vec![value.to_owned()];
        event.old = vec![value.to_owned()];
        event.action = vec![
            if second % 2 == 0 {
                "SENSOR_READING"
            } else {
                "SET"
            }
            .to_owned(),
        ];
        append(&ledger, event).unwrap();
    }
    wait_for_index(&ledger);
    for column in ["new", "old"] {
        for (term, expected) in [
            ("-4.7", vec![2, 10]),
            ("4.7", vec![3, 4, 11]),
            ("4.700", vec![3, 4]),
            ("+4.7", vec![3, 4, 11]),
            ("10", vec![1, 12]),
            ("9007199254740993", vec![5]),
            ("9007199254740992.0", vec![6]),
            ("4", vec![11]),
            ("4*", vec![3, 4, 11]),
            ("hot", vec![8]),
        ] {
            let text = format!("{column}:{term}");
            assert_eq!(found(&ledger, &query(&text)), expected, "{text}");
        }
        let ordered = |order, max_results| SearchQuery {
            order,
            order_by: Some(column.to_owned()),
            max_results,
            limit: max_results.min(1_000),
            ..all()
        };
        let mut ascending = vec![2, 3, 4, 0, 1, 12, 6, 5, 11, 9, 8, 10, 7];
        if column == "new" {
            // Where a reading lacks `new`, its value counts.
            assert_eq!(values[7], "");
        }
        assert_eq!(
            found(&ledger, &ordered(Order::Ascending, 1_000)),
            ascending,
            "{column}"
        );
        // Numbers first, the largest of all, however few are wanted.
        let largest = ledger.search(&ordered(Order::Descending, 1)).unwrap();
        assert_eq!(
            (indices(&largest.entries), largest.count, largest.total),
            (vec![5], 1, 13)
        );
        let descending = found(&ledger, &ordered(Order::Descending, 1_000));
        assert_eq!(
            descending,
            [5, 6, 12, 1, 0, 4, 3, 2, 10, 8, 9, 11, 7],
            "{column}"
        );
        let page = ledger.search(&ordered(Order::Ascending, 5)).unwrap();
        ascending.truncate(5);
        assert_eq!(indices(&page.entries), ascending);
        let rest = ledger.page(&page.id, 3, 10).unwrap();
        assert_eq!(indices(&rest.entries), ascending[3..]);
    }
    drop(ledger);
    // Without an index the log itself is ordered, to the same end.
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    let by_old = SearchQuery {
        order_by: Some("old".to_owned()),
        ..all()
    };
    assert_eq!(
        found(&ledger, &by_old),
        [2, 3, 4, 0, 1, 12, 6, 5, 11, 9, 8, 10, 7]
    );
}

#[test]
fn names_are_found_as_people_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    for (actor, target, text) in [
        ("boiler_1", "Hall 3", "aa:bb:cc:dd:ee:ff joined"),
        ("boiler-2", "hall_3_boiler_2", "00:1B:cc:dd:ee:ff joined"),
        ("Boiler 3", "", "http://plc-7.example:502/status is down"),
        ("K\u{fc}hler", "", "opc.tcp://10.0.0.5:4840"),
        ("Ku\u{308}hler", "", "20 \u{b5}g/m\u{b3}"),
    ] {
        append(&ledger, event(actor, target, text, "")).unwrap();
    }
    wait_for_index(&ledger);
    for (text, expected) in [
        ("boiler", vec![0, 1]),
        ("boiler*", vec![0, 1]),
        ("boil*", vec![0, 1]),
        ("~boil*", vec![0, 1, 2]),
        ("~BOILER", vec![0, 1, 2]),
        ("actor:~boiler", vec![0, 1, 2]),
        ("actor:boil*", vec![0, 1]),
        ("target:boil*", vec![1]),
        ("boiler_*", vec![0, 1]),
        ("boiler_1", vec![0]),
        ("boiler_2", vec![1]),
        ("boiler-2", vec![1]),
        ("boiler-*", vec![1, 0].into_iter().rev().collect()),
        ("3_boiler", vec![1]),
        ("hall_3*", vec![1]),
        ("\"Boiler 3\"", vec![2]),
        ("~\"boiler 3\"", vec![2]),
        ("~\"boiler 3\"*", vec![2]),
        ("target:*", vec![0, 1]),
        ("aa:bb:cc:dd:ee:ff", vec![0]),
        ("aa:bb*", vec![0]),
        ("cc:dd:ee:ff", vec![0, 1]),
        ("~00:1b:CC:dd:ee:ff", vec![1]),
        ("http://plc-7.example:502/status", vec![2]),
        ("plc-7.example:502", vec![2]),
        ("example:502", vec![2]),
        ("10.0.0.5:4840", vec![3]),
        ("10.0*", vec![3]),
        ("K\u{fc}hler", vec![3, 4]),
        ("Ku\u{308}hler", vec![3, 4]),
        ("K\u{fc}*", vec![3, 4]),
        ("~k\u{dc}HLER", vec![3, 4]),
        ("\u{3bc}g/m3", vec![4]),
        ("Boiler*", vec![2]),
        ("oiler*", vec![]),
    ] {
        assert_eq!(found(&ledger, &query(text)), expected, "{text}");
    }
}

#[test]
fn messages_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    let hostile = [
        "\u{0}\u{1f}\"\\",
        "é\u{2028}\u{1f600}",
        &"x".repeat(32_766),
        &"\u{1}".repeat(32_766),
    ];
    for text in hostile {
        append(&ledger, event("a", "", text, "")).unwrap();
    }
    let page = ledger.search(&all()).unwrap();
    let messages: Vec<String> = page.entries.iter().map(message).collect();
    assert_eq!(messages, hostile);
    wait_for_index(&ledger);
    assert_eq!(
        found(&ledger, &query(&"x".repeat(4_096))),
        Vec::<u64>::new()
    );
}
