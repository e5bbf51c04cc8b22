//! Appends, duplicates and proofs.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{
    append, config_without_index, entries, indices, message, numbered, verify, verify_growth,
};
use fieldledger_ledger::{
    AppendError, Details, EventColumns, Ledger, OpenError, OwnKind, QueryError,
};
use futures::executor::block_on;
use futures::future::join_all;

#[test]
fn entries_are_read_range_by_range() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    append(&ledger, numbered("a", 0, 10)).unwrap();

    let range = ledger.entries(3, 4, true).unwrap();
    assert_eq!(indices(&range.entries), [3, 4, 5, 6]);
    for entry in &range.entries {
        verify(entry, &range.checkpoint);
    }
    let end = ledger.entries(8, 1_000, false).unwrap();
    assert_eq!(indices(&end.entries), [8, 9]);
    assert!(end.entries[0].proof.is_empty());
    for beyond in [10, u64::MAX] {
        assert_eq!(ledger.entries(beyond, 5, true).unwrap().entries, []);
    }
    for limit in [0, 1_001] {
        let refused = ledger.entries(0, limit, false);
        assert!(matches!(refused, Err(QueryError::Invalid(_))), "{limit}");
    }

    // Large entries end a range early, and the next one goes on where it ended.
    let large = EventColumns {
        message: vec!["x".repeat(32_000); 300],
        ..EventColumns::default()
    };
    append(&ledger, large).unwrap();
    let mut next = 10;
    let mut ranges = 0;
    while next < 310 {
        let read = indices(&ledger.entries(next, 1_000, false).unwrap().entries);
        assert_eq!(read.first(), Some(&next));
        next += read.len() as u64;
        ranges += 1;
    }
    assert_eq!((next, ranges), (310, 3));
}

#[test]
fn entries_are_there_in_order_and_provable() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    assert_eq!(ledger.checkpoint().tree_size, 0);
    assert_eq!(ledger.status().recovery, "created an empty log");
    // Enough for tiles on two levels.
    let mut grown = Vec::new();
    for batch in 0..7 {
        let written = append(&ledger, numbered("p", batch * 10_000, (batch + 1) * 10_000)).unwrap();
        assert_eq!(written.indices[0], Some(batch * 10_000));
        assert_eq!((written.appended, written.duplicates), (10_000, 0));
        assert_eq!(written.tree_size, (batch + 1) * 10_000);
        grown.push(ledger.checkpoint());
    }
    for index in [0, 1, 255, 256, 65_535, 65_536, 69_999] {
        let proof = ledger.inclusion(index).unwrap();
        assert_eq!(message(&proof.entry), format!("event {index} of p"));
        verify(&proof.entry, &proof.checkpoint);
    }
    assert!(matches!(
        ledger.inclusion(70_000),
        Err(QueryError::NotFound(_))
    ));
    // 273 tiles of hashes are full, and one of tiles, with 8 KiB each.
    for (level, tiles) in [(0, 273), (1, 1)] {
        let file = folder.path().join(format!("tile/level-{level}"));
        assert_eq!(fs::metadata(file).unwrap().len(), tiles * 8_192);
    }
    for (position, old) in grown.iter().enumerate() {
        for new in &grown[position..] {
            verify_growth(&ledger, old, new);
        }
    }
    assert_eq!(
        ledger.consistency(70_000, 70_000).unwrap(),
        Vec::<String>::new()
    );
    assert!(matches!(
        ledger.consistency(0, 1),
        Err(QueryError::Invalid(_))
    ));
    assert!(matches!(
        ledger.consistency(2, 1),
        Err(QueryError::Invalid(_))
    ));
    assert!(matches!(
        ledger.consistency(1, 70_001),
        Err(QueryError::NotFound(_))
    ));
}

#[test]
fn an_event_is_appended_once_across_calls_and_starts() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    append(&ledger, numbered("p", 0, 10)).unwrap();
    let mut twice_in_one = numbered("p", 8, 12);
    twice_in_one.sequence[3] = 10;
    let written = append(&ledger, twice_in_one).unwrap();
    assert_eq!(written.indices, [None, None, Some(10), None]);
    assert_eq!(
        (written.appended, written.duplicates, written.tree_size),
        (1, 3, 11)
    );
    ledger.close();

    for read_all_again in [false, true] {
        if read_all_again {
            fs::remove_file(folder.path().join("snapshot")).unwrap();
        }
        let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
        let written = append(&ledger, numbered("p", 0, 11)).unwrap();
        assert_eq!((written.appended, written.duplicates), (0, 11));
        assert_eq!(append(&ledger, numbered("q", 0, 0)).unwrap().tree_size, 11);
        assert_eq!(entries(&ledger).len(), 11);
        ledger.close();
    }
}

#[test]
fn events_without_producer_are_always_new() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    let event = EventColumns {
        message: vec!["same".to_owned()],
        ..EventColumns::default()
    };
    for index in 0..3 {
        assert_eq!(
            append(&ledger, event.clone()).unwrap().indices,
            [Some(index)]
        );
    }
    let salts: std::collections::HashSet<String> = entries(&ledger)
        .into_iter()
        .map(|entry| entry.envelope_hash)
        .collect();
    assert_eq!(salts.len(), 3, "equal events must not have equal hashes");
}

#[test]
fn concurrent_calls_share_commits_and_all_get_their_own_answer() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    let calls = (0..500).map(|caller| ledger.append(numbered(&format!("p{caller}"), 0, 3)));
    let answers = block_on(join_all(calls));
    let mut seen = std::collections::HashSet::new();
    for (caller, answer) in answers.into_iter().enumerate() {
        for (number, index) in answer.unwrap().indices.into_iter().enumerate() {
            let index = index.unwrap();
            assert!(seen.insert(index));
            let entry = ledger.inclusion(index).unwrap().entry;
            assert_eq!(message(&entry), format!("event {number} of p{caller}"));
        }
    }
    let status = ledger.status();
    assert_eq!((status.appended, status.tree_size), (1_500, 1_500));
    assert!(status.commits < 500, "{} commits", status.commits);
    assert!(status.commit_p50 > 0 && status.commit_p99 >= status.commit_p50);
}

#[test]
fn invalid_events_are_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    let mut events = numbered("p", 0, 3);
    events.message[1] = String::new();
    events.actor = vec!["x".repeat(129), String::new(), String::new()];
    let Err(AppendError::Invalid(problems)) = append(&ledger, events) else {
        panic!("must be refused");
    };
    let named: Vec<_> = problems
        .iter()
        .map(|problem| (problem.item, problem.field.as_str()))
        .collect();
    assert_eq!(named, [(0, "actor"), (1, "message")]);
    assert_eq!(ledger.checkpoint().tree_size, 0);
    assert_eq!(ledger.status().rejected, 3);
}

#[test]
fn what_is_too_much_is_refused_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config_without_index(folder.path());
    config.queue_bytes = 1;
    let ledger = Ledger::open(config).unwrap();
    let calls: Vec<_> = (0..200)
        .map(|caller| ledger.append(numbered(&format!("p{caller}"), 0, 1)))
        .collect();
    let answers = block_on(join_all(calls));
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Err(AppendError::Unavailable(_))))
        .count();
    assert_eq!(
        answers.len() - refused,
        usize::try_from(ledger.checkpoint().tree_size).unwrap()
    );
    assert!(append(&ledger, numbered("later", 0, 1)).is_ok());
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    let mut impatient = config_without_index(folder.path());
    impatient.lock_wait_ms = 0;
    let error = Ledger::open(impatient).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");

    // A second start waits for the first to finish.
    let second = std::thread::spawn({
        let config = config_without_index(folder.path());
        move || Ledger::open(config)
    });
    append(&ledger, numbered("p", 0, 5)).unwrap();
    ledger.close();
    let refused = append(&ledger, numbered("p", 5, 6)).unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable(_)));
    let second = second.join().unwrap().unwrap();
    assert_eq!(second.checkpoint().tree_size, 5);
}

#[test]
fn the_key_is_the_owners_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    let key = folder.path().join("key");
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let verifier_key = ledger.checkpoint().verifier_key;
    drop(ledger);
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    assert_eq!(ledger.checkpoint().verifier_key, verifier_key);
    drop(ledger);

    let mut renamed = config_without_index(folder.path());
    renamed.origin = "another/name".to_owned();
    let error = Ledger::open(renamed).unwrap_err();
    assert!(matches!(error, OpenError::Forked { .. }), "{error}");
    let mut unusable = config_without_index(folder.path());
    unusable.origin = "two words".to_owned();
    let error = Ledger::open(unusable).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Setting {
                setting: "origin",
                ..
            }
        ),
        "{error}"
    );
    fs::remove_file(&key).unwrap();
    let error = Ledger::open(config_without_index(folder.path())).unwrap_err();
    assert!(matches!(error, OpenError::Forked { .. }), "{error}");
}

#[test]
fn only_the_ledger_writes_about_itself() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    let refused = append(&ledger, numbered("ledger/erasure", 0, 1)).unwrap_err();
    let AppendError::Invalid(problems) = refused else {
        panic!("{refused}");
    };
    assert_eq!(problems[0].field, "producer");
    assert_eq!(ledger.status().rejected, 1);

    let details = Details::from([("entry", 7.into()), ("because", "asked".into())]);
    for indices in [Some(0), None] {
        let written = block_on(ledger.append_own(OwnKind::Erasure, 7, &details)).unwrap();
        assert_eq!(written.indices, [indices]);
    }
    let entry = ledger.inclusion(0).unwrap().entry;
    assert_eq!(message(&entry), r#"{"because":"asked","entry":7}"#);
    assert!(entry.envelope.contains(r#""producer":"ledger/erasure""#));
}
