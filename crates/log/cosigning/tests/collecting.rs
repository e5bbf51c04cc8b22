//! A ledger and its witnesses, over HTTP.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Manner, Site, append, config, eventually, fork_of, ledger, policy, watching};
use fieldledger_contract::ledger::OwnWitnesses;
use fieldledger_cosigning::{Behaviour, Collector, CollectorError};
use fieldledger_ledger::Ledger;
use fieldledger_verifier as verifier;

/// What a stranger makes of the published note, with code that shares nothing with the collector's.
fn judged(collector: &Collector, policy: &str) -> verifier::policy::Judgement {
    let published = collector.published().unwrap();
    let key = verifier::note::LogKey::parse(&published.verifier_key).unwrap();
    let head = verifier::note::open(&published.note, &key).unwrap();
    assert_eq!(head.size, published.tree_size);
    let policy = verifier::policy::Policy::parse(policy).unwrap();
    policy.judge(&published.note).unwrap()
}

fn is_witnessed(collector: &Collector, ledger: &Ledger) -> bool {
    let status = collector.status();
    status.witnessed && status.published_size == Some(ledger.checkpoint().tree_size)
}

fn errors(status: &OwnWitnesses) -> Vec<&str> {
    let witnesses = status.witnesses.iter();
    witnesses
        .map(|witness| witness.last_error.as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_witnesses_cosign_is_published_and_verified_by_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(folder.path());
    append(&ledger, &["a", "b", "c"]);
    let one = Site::new("one.example/w", watching(&ledger)).await;
    let two = Site::new("two.example/w", watching(&ledger)).await;
    let policy = policy("all", &[&one, &two]);
    let config = config(&policy, Behaviour::Hold, folder.path());
    let collector = Collector::start(ledger.clone(), config).unwrap();
    for round in 0..5 {
        eventually("all cosigned", || is_witnessed(&collector, &ledger)).await;
        let judgement = judged(&collector, &policy);
        assert!(judgement.satisfied, "round {round}: {judgement:?}");
        let status = collector.status();
        assert!(status.witnesses.iter().all(|witness| witness.lag == 0));
        append(&ledger, &["d", "e"]);
    }
    eventually("the last one", || is_witnessed(&collector, &ledger)).await;
    assert_eq!(
        one.witness.status().logs[0].size,
        ledger.checkpoint().tree_size
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_waits_for_the_quorum_and_serve_does_not() {
    for behaviour in [Behaviour::Hold, Behaviour::Serve] {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        append(&ledger, &["a"]);
        let up = Site::new("up.example/w", watching(&ledger)).await;
        let down = Site::new("down.example/w", watching(&ledger)).await;
        down.behave(Manner::Says(
            503,
            "text/plain",
            "closed for lunch".to_owned(),
        ));
        let policy = policy("all", &[&up, &down]);
        let config = config(&policy, behaviour, folder.path());
        let collector = Collector::start(ledger.clone(), config).unwrap();
        eventually("one cosigned, one failed", || {
            let status = collector.status();
            status.witnesses[0].cosigned_size == 1 && status.witnesses[1].failures > 1
        })
        .await;
        let status = collector.status();
        assert!(!status.witnessed);
        assert_eq!(status.witnessed_size, None);
        assert!(errors(&status)[1].contains("503: closed for lunch"));
        match behaviour {
            Behaviour::Hold => {
                assert_eq!(status.published_size, None);
                let why = collector.published().unwrap_err();
                assert!(why.contains("from w1"), "{why}");
            }
            Behaviour::Serve => {
                let judgement = judged(&collector, &policy);
                assert!(!judgement.satisfied);
                assert_eq!(judgement.missing, ["w1"]);
            }
        }
        down.behave(Manner::Honest);
        eventually("both cosigned", || is_witnessed(&collector, &ledger)).await;
        assert!(judged(&collector, &policy).satisfied);
        assert_eq!(collector.status().witnesses[1].failures, 0);

        // The quorum is lost again: `hold` stays where it is.
        down.behave(Manner::Says(500, "text/plain", String::new()));
        append(&ledger, &["b"]);
        eventually("one cosigned, one failed again", || {
            let status = collector.status();
            status.witnesses[0].cosigned_size == 2 && status.witnesses[1].failures > 0
        })
        .await;
        let status = collector.status();
        let expected = match behaviour {
            Behaviour::Hold => (Some(1), true),
            Behaviour::Serve => (Some(2), false),
        };
        assert_eq!((status.published_size, status.witnessed), expected);
        assert_eq!(status.witnesses[1].lag, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_answers_are_named_and_never_published() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(folder.path());
    append(&ledger, &["a"]);
    let site = Site::new("bad.example/w", watching(&ledger)).await;
    let policy = policy("all", &[&site]);
    let mut config = config(&policy, Behaviour::Hold, folder.path());
    config.pace.timeout = std::time::Duration::from_millis(500);
    let collector = Collector::start(ledger.clone(), config).unwrap();
    eventually("cosigned", || is_witnessed(&collector, &ledger)).await;
    for (manner, named) in [
        (
            Manner::Says(200, "text/plain", "<html>hello</html>".to_owned()),
            "other than signature lines",
        ),
        (
            Manner::Says(200, "text/plain", String::new()),
            "signature lines",
        ),
        (Manner::OtherCheckpoint, "does not fit the checkpoint"),
        (Manner::OtherKey, "no cosignature by its configured key"),
        (Manner::Endless, "more than"),
        (Manner::Silent, "no answer in time"),
        (
            Manner::Says(409, "text/plain", "7\n".to_owned()),
            "409 without the size",
        ),
        (
            Manner::Says(302, "text/plain", "elsewhere".to_owned()),
            "302: elsewhere",
        ),
        (
            Manner::Says(422, "text/plain", "no\u{1b}[0m".to_owned()),
            "does not continue",
        ),
        (
            Manner::Says(409, "text/x.tlog.size", "999999\n".to_owned()),
            "entries were lost",
        ),
    ] {
        site.behave(manner);
        append(&ledger, &["more"]);
        let size = ledger.checkpoint().tree_size;
        eventually(named, || errors(&collector.status())[0].contains(named)).await;
        let status = collector.status();
        assert!(status.published_size < Some(size), "{named}: {status:?}");
        assert_eq!(
            status.witnesses[0].refuses,
            named.contains("continue") || named.contains("lost")
        );
        site.behave(Manner::Honest);
        eventually("cosigned again", || is_witnessed(&collector, &ledger)).await;
        assert!(!collector.status().witnesses[0].refuses);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_do_not_wait_for_witnesses() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(folder.path());
    append(&ledger, &["a"]);
    let site = Site::new("silent.example/w", watching(&ledger)).await;
    site.behave(Manner::Silent);
    let policy = policy("all", &[&site]);
    let mut config = config(&policy, Behaviour::Hold, folder.path());
    config.pace.timeout = common::PATIENCE;
    let collector = Collector::start(ledger.clone(), config).unwrap();
    site.next_request().await;
    // The witness has the request and does not answer: nothing of this waits for it.
    for _ in 0..50 {
        append(&ledger, &["b"]);
    }
    assert_eq!(ledger.checkpoint().tree_size, 51);
    assert!(collector.published().is_err());
    assert_eq!(collector.status().witnesses[0].lag, 51);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_shows_what_was_shown_and_learns_what_it_forgot() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(folder.path());
    append(&ledger, &["a", "b"]);
    let site = Site::new("one.example/w", watching(&ledger)).await;
    let policy = policy("all", &[&site]);
    let start = || {
        let config = config(&policy, Behaviour::Hold, folder.path());
        Collector::start(ledger.clone(), config).unwrap()
    };
    let collector = start();
    eventually("cosigned", || is_witnessed(&collector, &ledger)).await;
    let before = collector.published().unwrap();
    drop(collector);

    site.behave(Manner::Says(503, "text/plain", String::new()));
    append(&ledger, &["c"]);
    let collector = start();
    let status = collector.status();
    assert_eq!(collector.published().unwrap().tree_size, before.tree_size);
    assert_eq!(
        (status.witnessed_size, status.witnesses[0].cosigned_size),
        (Some(2), 2)
    );
    drop(collector);

    // Without its memory of the witness, and with a damaged checkpoint, it begins anew: the
    // witness's 409 says where.
    for entry in fs::read_dir(folder.path().join("witnessed")).unwrap() {
        let path = entry.unwrap().path();
        match path.ends_with("checkpoint") {
            true => fs::write(path, "nonsense").unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
    site.behave(Manner::Honest);
    let collector = start();
    eventually("cosigned again", || is_witnessed(&collector, &ledger)).await;
    assert_eq!(collector.published().unwrap().tree_size, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_is_refused_and_said_so() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let honest = ledger(folder.path());
    append(&honest, &["a", "b", "c"]);
    let site = Site::new("one.example/w", watching(&honest)).await;
    let policy = policy("all", &[&site]);
    let collect = |ledger: &Ledger, folder: &std::path::Path| {
        let config = config(&policy, Behaviour::Hold, folder);
        Collector::start(ledger.clone(), config).unwrap()
    };
    let collector = collect(&honest, folder.path());
    eventually("cosigned", || is_witnessed(&collector, &honest)).await;
    drop(collector);

    for (messages, named) in [
        (&["x"][..], "entries were lost, or another log"),
        (&["x", "y"], "does not continue"),
        (&["x", "y"], "does not continue"),
    ] {
        let fork_folder = elsewhere.path().join("fork");
        let fork = fork_of(folder.path(), &fork_folder);
        append(&fork, messages);
        let collector = collect(&fork, &fork_folder);
        let refused = || collector.status().witnesses[0].refuses;
        eventually("refused", refused).await;
        let status = collector.status();
        assert!(errors(&status)[0].contains(named), "{status:?}");
        assert!(collector.published().is_err());
        drop(collector);
        fork.close();
    }
    assert_eq!(site.witness.status().logs[0].size, 3);
    assert!(site.witness.status().logs[0].refused > 0);
}

#[tokio::test]
async fn policies_that_cannot_work_are_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(folder.path());
    let site = Site::new("one.example/w", watching(&ledger)).await;
    let start = |policy: &str| {
        let config = config(policy, Behaviour::Serve, folder.path());
        Collector::start(ledger.clone(), config).map(drop)
    };
    let key = site.key();
    let other = fieldledger_tlog::LogKey::from_seed("other.example", &[1; 32]).unwrap();
    let with_log = format!("log {}\nquorum none\n", other.verifier_key());
    assert!(matches!(
        start(&with_log),
        Err(CollectorError::OtherLog { .. })
    ));
    let no_url = format!("witness w {key}\nquorum w\n");
    assert!(matches!(start(&no_url), Err(CollectorError::Unreachable)));
    let ftp = format!("witness w {key} ftp://x/\nquorum w\n");
    assert!(matches!(start(&ftp), Err(CollectorError::Url { .. })));
    let own = format!("log {}\nquorum none\n", ledger.checkpoint().verifier_key);
    assert!(start(&own).is_ok());
}
