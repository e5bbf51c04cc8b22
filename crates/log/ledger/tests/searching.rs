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
        ("LOGIN", vec![]),
        ("action:USER_LOGIN actor:bob", vec![1]),
        ("timestamp:2026-01-02T03:00:00Z", vec![1]),
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
        (Some("1min"), Some("2min"), vec![]),
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
            [2, 3, 0, 4, 1]
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
        .map(|reading| (reading.sensor.as_str(), reading.index, reading.value))
        .collect();
    assert_eq!(summary, [("s0", 3, None), ("s1", 1, Some(21.5))]);
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
    assert_eq!((raw[0].value, raw[9].value), (Some(10.0), None));
    assert_eq!(
        (raw[9].quality.as_str(), raw[9].status.as_str()),
        ("BadNoCommunication", "COMM_ERROR")
    );

    let Series::Buckets(buckets) = ledger.series("s1", 0, 100_000_000, 10).unwrap() else {
        panic!("a hundred readings do not fit");
    };
    assert_eq!(buckets.len(), 10);
    let expected = Bucket {
        start: WallTime::from_seconds(20),
        count: 10,
        bad: 1,
        min: Some(20.0),
        max: Some(28.0),
        mean: Some(24.0),
        last: Some(28.0),
    };
    assert_eq!(buckets[2], expected);
    assert_eq!(
        ledger.series("none", 0, u64::MAX, 10).unwrap(),
        Series::Raw(Vec::new())
    );
    assert_eq!(
        ledger.series("s1", 5, 5, 10).unwrap(),
        Series::Raw(Vec::new())
    );
    assert!(matches!(
        ledger.series("s1", 0, 1, 0),
        Err(QueryError::Invalid(_))
    ));
    assert!(matches!(
        ledger.series("s1", 2, 1, 1),
        Err(QueryError::Invalid(_))
    ));
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
