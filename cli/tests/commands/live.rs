//! `verify` of a log that is served.

use std::fs;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_ledger::Checkpoint;
use fieldledger_tlog::{Hash, LogKey};
use serde_json::{Value, json};

use crate::proxy::Proxy;
use crate::site::{Site, json, problem_indices, problem_texts, run};

/// A checkpoint of this size and root by the log's own key.
fn forge(site: &Site, size: u64, root: [u8; 32]) -> String {
    let Checkpoint { origin, .. } = site.ledger.checkpoint();
    let seed = fs::read_to_string(site.file("ledger").join("key")).unwrap();
    let seed = BASE64_STANDARD.decode(seed.trim()).unwrap();
    let key = LogKey::from_seed(&origin, &seed.try_into().unwrap()).unwrap();
    key.sign(size, Hash(root)).unwrap()
}

/// A proxy in front of the site that serves this checkpoint.
fn with_checkpoint(site: &Site, note: &str) -> Proxy {
    let note = note.to_owned();
    Proxy::to(&site.url(), move |path, status, body| {
        match (path, status) {
            ("/log/checkpoint", 200) => (200, note.clone().into_bytes()),
            ("/api/checkpoint", 200) => {
                let mut checkpoint: Value = serde_json::from_slice(&body).unwrap();
                checkpoint["note"] = json!(note);
                (200, checkpoint.to_string().into_bytes())
            }
            _ => (status, body),
        }
    })
}

fn verify(site: &Site, url: &str, state: &str) -> (i32, Value) {
    json(
        url,
        &[
            "verify",
            "--key",
            &site.key(),
            "--state",
            site.file(state).to_str().unwrap(),
        ],
    )
}

#[test]
fn a_live_log_is_checked_and_then_what_is_new() {
    let site = Site::with(1_300);
    let (code, report) = verify(&site, &site.url(), "state");
    assert_eq!(code, 0, "{report}");
    assert_eq!(
        (&report["first"], &report["entries"]),
        (&json!(0), &json!(1_300))
    );

    let (code, report) = verify(&site, &site.url(), "state");
    assert_eq!((code, &report["entries"]), (0, &json!(0)), "{report}");

    site.append(1_300, 2_700);
    site.ledger
        .erase(2_000, "a visitor asked", "the data officer")
        .unwrap();
    let (code, report) = verify(&site, &site.url(), "state");
    assert_eq!(code, 0, "{report}");
    assert_eq!(
        (&report["first"], &report["entries"]),
        (&json!(1_300), &json!(1_401))
    );
    assert_eq!(report["without_envelope"], 1);
    let state = site.file("state");
    let state = state.to_str().unwrap();
    let all = site.run(&["verify", "--all", "--state", state, "--key", &site.key()]);
    assert!(
        all.stdout.contains("entries 0 to 2700 are what was signed"),
        "{all:?}"
    );
}

#[test]
fn the_key_is_asked_for_with_what_the_server_claims() {
    let site = Site::with(1);
    let refused = site.run(&["verify"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains(&site.key()), "{refused:?}");
    let another = Site::with(1);
    let text = site.run(&["verify", "--key", &another.key()]).stdout;
    assert!(
        text.contains("not signed by the key that was given"),
        "{text}"
    );
    assert!(text.contains(&site.key()), "what the server says: {text}");
    assert!(!text.contains("has no /log"), "{text}");
    let (code, report) = site.json(&["verify", "--key", &another.key()]);
    assert_eq!(code, 1, "{report}");
}

#[test]
fn a_log_that_was_rolled_back_or_forked_is_caught() {
    let site = Site::with(300);
    let old = site.ledger.checkpoint().note;
    site.append(300, 600);
    assert_eq!(verify(&site, &site.url(), "state").0, 0);
    let before = fs::read(site.file("state")).unwrap();

    // An old checkpoint, honestly signed.
    let replayed = with_checkpoint(&site, &old);
    let (code, report) = verify(&site, &replayed.url, "state");
    assert_eq!(code, 1, "{report}");
    assert!(problem_texts(&report).contains("rolled back"), "{report}");
    assert_eq!(report["evidence"][1], old);

    // Another tree of the same size, signed with the log's key.
    let forked = with_checkpoint(&site, &forge(&site, 600, [7; 32]));
    let (code, report) = verify(&site, &forked.url, "state");
    assert_eq!(code, 1, "{report}");
    assert!(problem_texts(&report).contains("forked"), "{report}");
    let text = run(
        &forked.url,
        &[
            "verify",
            "-k",
            &site.key(),
            "--state",
            site.file("state").to_str().unwrap(),
        ],
    );
    assert!(text.stdout.contains("keep this as evidence"), "{text:?}");

    // A larger tree, signed with the log's key, that does not contain what was checked.
    site.append(600, 700);
    let forged = with_checkpoint(&site, &forge(&site, 700, [7; 32]));
    let (code, report) = verify(&site, &forged.url, "state");
    assert_eq!(code, 1, "{report}");
    assert!(problem_texts(&report).contains("was signed"), "{report}");

    // None of them is remembered.
    assert_eq!(fs::read(site.file("state")).unwrap(), before);
    assert_eq!(verify(&site, &site.url(), "state").0, 0);
}

#[test]
fn another_history_under_the_same_key_is_caught() {
    let site = Site::with(400);
    assert_eq!(verify(&site, &site.url(), "state").0, 0);
    // A second log, signed with the first one's key, honest in itself.
    let twin = Site::with(0);
    twin.append(5_000, 5_600);
    let root = BASE64_STANDARD
        .decode(twin.ledger.checkpoint().root_hash)
        .unwrap();
    let fork = with_checkpoint(&twin, &forge(&site, 600, root.try_into().unwrap()));
    assert_eq!(
        verify(&site, &fork.url, "fresh").0,
        0,
        "it is consistent in itself"
    );
    let (code, report) = verify(&site, &fork.url, "state");
    assert_eq!(code, 1, "{report}");
    assert!(
        problem_texts(&report).contains("forked: it does not begin with the 400"),
        "{report}"
    );
    assert_eq!(report["evidence"].as_array().unwrap().len(), 2);
}

#[test]
fn whatever_is_served_falsely_is_named() {
    let site = Site::with(700);
    let url = site.url();
    type Change = fn(&str, Vec<u8>) -> (u16, Vec<u8>);
    let changes: [(&str, Option<u64>, Change); 3] = [
        ("envelope was changed", Some(5), |path, body| {
            let text = String::from_utf8_lossy(&body).into_owned();
            match path.starts_with("/api/entries") {
                true => (200, text.replace("\"event 5,", "\"event 6,").into_bytes()),
                false => (200, body),
            }
        }),
        ("no entry of the log says", Some(0), |path, body| {
            if !path.starts_with("/api/entries") {
                return (200, body);
            }
            let mut range: Value = serde_json::from_slice(&body).unwrap();
            range["entries"][0]["envelope"] = Value::Null;
            (200, range.to_string().into_bytes())
        }),
        (
            "there are 650 entries, but 700 were signed",
            None,
            |path, body| {
                if !path.starts_with("/api/entries") {
                    return (200, body);
                }
                let mut range: Value = serde_json::from_slice(&body).unwrap();
                let entries = range["entries"].as_array_mut().unwrap();
                entries.retain(|entry| entry["leaf_index"].as_u64() < Some(650));
                (200, range.to_string().into_bytes())
            },
        ),
    ];
    for (problem, index, change) in changes {
        let proxy = Proxy::to(&url, move |path, status, body| match status {
            200 => change(path, body),
            _ => (status, body),
        });
        let (code, report) = json(&proxy.url, &["verify", "--key", &site.key()]);
        assert_eq!(code, 1, "{problem}: {report}");
        assert!(
            problem_texts(&report).contains(problem),
            "{problem}: {report}"
        );
        if index.is_some() {
            assert!(
                problem_indices(&report).contains(&index),
                "{problem}: {report}"
            );
        }
    }
}

#[test]
fn a_state_that_is_damaged_or_of_another_log_is_refused() {
    let site = Site::with(5);
    assert_eq!(verify(&site, &site.url(), "state").0, 0);
    let path = site.file("state");
    let honest = fs::read_to_string(&path).unwrap();
    let arguments = [
        "verify",
        "--key",
        &site.key(),
        "--state",
        path.to_str().unwrap(),
    ];
    for (from, to) in [
        ("edge", "egde"),
        ("\\n5\\n", "\\n4\\n"),
        ("\"edge\": [\n    \"", "\"edge\": [\n    \"AAAA"),
    ] {
        let damaged = honest.replacen(from, to, 1);
        assert_ne!(damaged, honest, "{from}");
        fs::write(&path, damaged).unwrap();
        let refused = site.run(&arguments);
        assert_eq!(refused.code, 2, "{from}: {refused:?}");
        assert!(refused.stderr.contains("cannot go on from"), "{refused:?}");
    }
    fs::write(&path, honest).unwrap();
    let another = Site::with(9);
    let mixed = [
        "verify",
        "-k",
        &another.key(),
        "--state",
        path.to_str().unwrap(),
    ];
    assert_eq!(another.run(&mixed).code, 2);
}

#[test]
fn an_outage_during_a_check_is_waited_out() {
    let site = Site::with(2_500);
    let failures = Arc::new(Mutex::new(2));
    let left = Arc::clone(&failures);
    let proxy = Proxy::to(&site.url(), move |path, status, body| {
        let mut left = left.lock().unwrap();
        match path.starts_with("/api/entries?from=1000") && *left > 0 {
            true => {
                *left -= 1;
                (503, Vec::new())
            }
            false => (status, body),
        }
    });
    let run = run(&proxy.url, &["verify", "--key", &site.key()]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("asking again"), "{run:?}");
    assert_eq!(*failures.lock().unwrap(), 0);
}
