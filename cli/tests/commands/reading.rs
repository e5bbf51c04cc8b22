//! `search`, `tail`, `status`, `completions`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use fieldledger_ledger::EventColumns;
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::site::{Site, program, run};

fn indices(lines: &str) -> Vec<u64> {
    let values = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    values
        .map(|entry| entry["index"].as_u64().unwrap())
        .collect()
}

#[test]
fn all_results_are_ordered_and_not_the_newest_only() {
    let site = Site::with(1);
    for value in ["9", "10", "-4.5"].into_iter().chain(["5"; 40]) {
        let event = EventColumns {
            message: vec!["set".to_owned()],
            new: vec![value.to_owned()],
            ..EventColumns::default()
        };
        block_on(site.ledger.append(event)).unwrap();
    }
    site.index();
    for (order, entry) in [("desc", 2), ("asc", 3)] {
        let (_, found) = site.json(&["search", "--order-by", "new", "--order", order, "-n", "1"]);
        assert_eq!(found["entries"][0]["index"], entry, "{found}");
        assert_eq!(found["total"], 44);
    }
    for times in [["--start", "1767323045"], ["--end", "1767323045"]] {
        let refused = site.run(&[&["search"], &times[..]].concat());
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.contains("looks like seconds"), "{refused:?}");
    }
    let reversed = site.run(&["search", "--start", "1h", "--end", "2h"]);
    assert!(reversed.stderr.contains("is not before"), "{reversed:?}");
}

#[test]
fn a_search_shows_what_matches() {
    let site = Site::with(1_500);
    site.index();
    let (code, found) = site.json(&["search", "action:VALVE", "--limit", "3"]);
    assert_eq!(code, 0, "{found}");
    assert_eq!(found["count"], 3);
    assert_eq!(found["entries"][0]["index"], 1_493);
    assert_eq!(found["entries"][0]["envelope"]["event"]["action"], "VALVE");
    assert_eq!(
        (&found["tree_size"], &found["indexed_size"]),
        (&json!(1_500), &json!(1_500))
    );

    // More than a page of the server.
    let (_, all) = site.json(&["search", "--order", "asc", "-n", "1400"]);
    let entries = all["entries"].as_array().unwrap().iter();
    let found: Vec<u64> = entries
        .map(|entry| entry["index"].as_u64().unwrap())
        .collect();
    assert!(found == (0..1_400).collect::<Vec<u64>>());

    let table = site.run(&["search", "--where", "action=VALVE", "-n", "2"]);
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{table:?}");
    assert!(lines[0].starts_with("ENTRY"), "{table:?}");
    // Line ends within a message are shown, not obeyed.
    assert!(
        lines[1].contains("event 1493, \"quoted\"\\r\\nand"),
        "{table:?}"
    );

    assert!(table.stderr.contains("2 of 150 entries"), "{table:?}");
    let (_, found) = site.json(&["search", "valve*"]);
    assert_eq!(found["total"], 0);
    let (_, found) = site.json(&["search", "~valv*", "-n", "1"]);
    assert_eq!((&found["count"], &found["total"]), (&json!(1), &json!(150)));

    let nothing = site.run(&["search", "no_such_word"]);
    assert_eq!(
        (nothing.code, nothing.stdout.as_str()),
        (0, "nothing found\n")
    );
    let bad = site.run(&["search", "colour:\"unfinished"]);
    assert_eq!(bad.code, 2, "{bad:?}");
    assert!(bad.stderr.contains("query"), "{bad:?}");
}

#[test]
fn tail_begins_where_it_is_told_and_goes_on_where_it_ended() {
    let site = Site::with(2_345);
    let newest = site.run(&["tail", "--json", "-n", "3"]);
    assert_eq!(indices(&newest.stdout), [2_342, 2_343, 2_344]);
    let from = site.run(&["tail", "--json", "--from", "5"]);
    assert!(indices(&from.stdout) == (5..2_345).collect::<Vec<u64>>());
    assert_eq!(site.run(&["tail", "--from", "2345"]).stdout, "");

    let position = site.file("position");
    let resume = [
        "tail",
        "--json",
        "-n",
        "2",
        "--resume",
        position.to_str().unwrap(),
    ];
    assert_eq!(indices(&site.run(&resume).stdout), [2_343, 2_344]);
    assert_eq!(indices(&site.run(&resume).stdout), [0; 0]);
    site.append(2_345, 2_348);
    assert_eq!(indices(&site.run(&resume).stdout), [2_345, 2_346, 2_347]);

    fs::write(&position, "9999").unwrap();
    let rolled_back = site.run(&resume);
    assert_eq!(rolled_back.code, 1);
    assert!(
        rolled_back.stderr.contains("rolled back"),
        "{rolled_back:?}"
    );
    fs::write(&position, "x").unwrap();
    assert_eq!(site.run(&resume).code, 2);
}

#[test]
fn tail_follows_through_an_outage() {
    let mut site = Site::with(4);
    let mut tail = program(&site.url())
        .args([
            "tail",
            "--follow",
            "--json",
            "--from",
            "2",
            "--interval",
            "0.05",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut notes = BufReader::new(tail.stderr.take().unwrap()).lines();
    let mut next = || indices(&lines.next().unwrap().unwrap())[0];
    assert_eq!((next(), next()), (2, 3));
    site.append(4, 6);
    assert_eq!((next(), next()), (4, 5));

    let address = site.stop();
    let note = notes.next().unwrap().unwrap();
    assert!(note.contains("asking again"), "{note}");
    site.append(6, 7);
    site.serve(address);
    assert_eq!(next(), 6);
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let site = Site::with(3_000);
    let mut tail = program(&site.url())
        .args(["tail", "--from", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with('0'));
    drop(lines);
    let ended = crate::site::ended(tail.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn the_state_of_a_log_without_sensors_is_shown() {
    let site = Site::with(12);
    site.index();
    let (code, status) = site.json(&["status"]);
    // No polling provider is linked to this server, and the system says so.
    assert_eq!((code, &status["healthy"]), (1, &json!(false)), "{status}");
    assert!(
        status["problem"].as_str().unwrap().contains("polling"),
        "{status}"
    );
    assert_eq!(
        (&status["tree_size"], &status["indexed_size"]),
        (&json!(12), &json!(12))
    );
    assert_eq!(status["verifier_key"], site.key());
    let text = site.run(&["status", "--color", "always"]);
    assert!(
        text.stdout.contains("\u{1b}[1m\u{1b}[31mdegraded"),
        "{text:?}"
    );
}

#[test]
fn each_shell_gets_its_completions() {
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef fieldledger"),
        ("fish", "complete -c fieldledger"),
    ] {
        let script = run("http://127.0.0.1:9", &["completions", shell]);
        assert_eq!(script.code, 0, "{script:?}");
        assert!(script.stdout.contains(mark), "{shell}");
        assert!(script.stdout.contains("verify"), "{shell}");
    }
}
