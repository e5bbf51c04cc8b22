//! The commands that change a log, on a served one and on a closed folder.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use fieldledger_api::{Scope, Tokens};
use fieldledger_ledger::{AnchorPlace, Config, EventColumns, Ledger};
use fieldledger_standalone::{OverLedger, Standalone};
use serde_json::Value;
use tokio::runtime::Runtime;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fieldledger"))
        .args(arguments)
        .env_remove("FIELDLEDGER_URL")
        .env_remove("FIELDLEDGER_TOKEN")
        .output()
        .unwrap()
}

/// The result of a command that succeeds.
fn result(arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a command that fails says, and its exit code.
fn failure(arguments: &[&str]) -> (i32, String) {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

fn ledger_of(folder: &Path, entries: usize) -> Ledger {
    let ledger = Ledger::open(Config::new(folder)).unwrap();
    let events = EventColumns {
        message: (0..entries).map(|entry| format!("event {entry}")).collect(),
        ..EventColumns::default()
    };
    futures::executor::block_on(ledger.append(events)).unwrap();
    ledger
}

#[test]
fn a_served_log_is_changed_by_whoever_has_the_token() {
    // The anchor lies beside the log.
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ledger = ledger_of(&data, 3);
    let tokens = [
        Tokens::setting("officer", &[Scope::Admin], "secret"),
        Tokens::setting("reader", &[Scope::Read], "weak"),
    ];
    let tokens = Tokens::parse(&tokens.join(" ")).unwrap();
    let served = OverLedger::new(ledger.clone()).with_tokens(tokens);
    let runtime = Runtime::new().unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let server = runtime
        .block_on(Standalone::start_with(served, listen))
        .unwrap();
    let url = server.url();
    let admin = ["--url", &url, "--token", "secret"];
    let on_server = |arguments: &[&'static str]| [arguments, &admin[..]].concat();

    let erased = result(&on_server(&["erase", "1", "--reason", "asked to"]));
    assert_eq!(
        (&erased["marker"], &erased["already"]),
        (&3.into(), &false.into())
    );
    let entry = ledger.inclusion(1).unwrap().entry;
    assert_eq!(entry.removed.unwrap().reason, "asked to");
    let marker = ledger.inclusion(3).unwrap().entry.envelope;
    assert!(marker.contains("officer"), "{marker}");

    let (code, said) = failure(&on_server(&["gaps", "close", "99", "--reason", "r"]));
    assert!(code == 2 && said.contains("no gap 99"), "{code}: {said}");

    let added = result(&on_server(&["rotate-key", "--reason", "yearly"]));
    assert_eq!(added["verifier_keys"].as_array().unwrap().len(), 2);
    let retired = result(&on_server(&["retire-key", "--reason", "done"]));
    assert_eq!(retired["verifier_keys"], serde_json::json!([added["new"]]));

    let (code, said) = failure(&on_server(&["retire-key", "--reason", "again"]));
    assert!(
        code == 2 && said.contains("only") && said.contains("signs"),
        "{code}: {said}"
    );
    let (code, said) = failure(&on_server(&["erase", "99", "--reason", "r"]));
    assert!(code == 2 && said.contains("no entry 99"), "{code}: {said}");
    for token in ["weak", "guess"] {
        let erase = [
            "erase", "0", "--reason", "r", "--url", &url, "--token", token,
        ];
        assert_eq!(failure(&erase).0, 4);
    }
    assert_eq!(
        failure(&["erase", "0", "--reason", "r", "--url", &url]).0,
        4
    );

    let frozen = result(&on_server(&[
        "freeze",
        "--reason",
        "the end",
        "--successor",
        "next",
    ]));
    assert_eq!(
        frozen["checkpoint"]["tree_size"],
        ledger.checkpoint().tree_size
    );
    let (code, said) = failure(&on_server(&["rotate-key", "--reason", "r"]));
    assert!(code == 2 && said.contains("frozen"), "{code}: {said}");
    // The duty to erase does not end with the log.
    let size = ledger.checkpoint().tree_size;
    let erased = result(&on_server(&["erase", "0", "--reason", "asked to"]));
    assert_eq!(erased["marker"], size);
    runtime.block_on(server.stop()).unwrap();
    ledger.close();
}

#[test]
fn a_closed_log_is_changed_in_its_folder() {
    // The anchor lies beside the log.
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ledger = ledger_of(&data, 3);
    let path = data.to_str().unwrap();
    let erase = [
        "erase", "2", "--reason", "r", "--folder", path, "--actor", "me",
    ];
    ledger.close();

    assert_eq!(result(&erase)["already"], false);
    assert_eq!(result(&erase)["already"], true);
    let both = result(&["rotate-key", "--reason", "r", "--folder", path]);
    assert_eq!(both["verifier_keys"].as_array().unwrap().len(), 2);
    let ledger = Ledger::open(Config::new(&data)).unwrap();
    assert_eq!(
        ledger.checkpoint().verifier_key,
        both["new"].as_str().unwrap()
    );
    assert!(ledger.inclusion(2).unwrap().entry.removed.is_some());

    let none = tempfile::tempdir().unwrap();
    let (code, said) = failure(&[
        "rotate-key",
        "--reason",
        "r",
        "--folder",
        none.path().to_str().unwrap(),
    ]);
    assert!(
        code == 2 && said.contains("holds no ledger"),
        "{code}: {said}"
    );
}

#[test]
fn a_log_is_backed_up_and_restored_but_never_forked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, target) = (path("data"), path("backup"));
    let ledger = ledger_of(Path::new(&data), 3);
    let made = result(&["backup", &data, &target, "--with-keys"]);
    assert_eq!(
        (&made["tree_size"], &made["with_keys"]),
        (&3.into(), &true.into())
    );
    let more = EventColumns {
        message: vec!["one more".to_owned()],
        ..EventColumns::default()
    };
    futures::executor::block_on(ledger.append(more)).unwrap();
    ledger.close();

    // The anchor of `data` knows of four entries.
    let (copy, anchor) = (path("copy"), path("data-anchor"));
    let (code, said) = failure(&["restore", &target, &copy, "--anchor", &anchor]);
    assert!(code == 2 && said.contains("--read-only"), "{code}: {said}");
    let (next, next_anchor) = (path("next"), path("elsewhere"));
    let done = result(&[
        "restore",
        &target,
        &copy,
        "--anchor",
        &anchor,
        "--read-only",
        "--successor",
        "example.com/next",
        "--successor-folder",
        &next,
        "--successor-anchor",
        &next_anchor,
    ]);
    assert_eq!(
        (&done["tree_size"], &done["signed_size"]),
        (&3.into(), &4.into())
    );
    assert_eq!(done["successor"]["origin"], "example.com/next");
    // Its anchor is where it was asked for, and the successor is opened with it.
    assert!(Path::new(&next_anchor).join("checkpoint").is_file());
    assert!(!Path::new(&path("next-anchor")).exists());
    let mut config = Config::new(&next);
    config.origin = "example.com/next".to_owned();
    config.anchor = AnchorPlace::Folder(next_anchor.into());
    let successor = Ledger::open(config).unwrap();
    assert_eq!(successor.checkpoint().tree_size, 1);
    successor.close();

    let made = result(&["backup", &data, &target]);
    assert_eq!(
        (&made["tree_size"], &made["entries_before"]),
        (&4.into(), &3.into())
    );
    let again = path("again");
    let done = result(&["restore", &target, &again, "--anchor", &anchor]);
    assert_eq!(done["read_only"], false);
}

#[test]
fn what_is_given_up_is_freed_and_the_log_still_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut config = Config::new(&data);
    config.segment_bytes = 5_000;
    let ledger = Ledger::open(config).unwrap();
    for number in 0..100 {
        let event = EventColumns {
            message: vec![format!("event {number}")],
            ..EventColumns::default()
        };
        futures::executor::block_on(ledger.append(event)).unwrap();
    }
    let tokens = Tokens::setting("officer", &[Scope::Admin], "secret");
    let served = OverLedger::new(ledger.clone()).with_tokens(Tokens::parse(&tokens).unwrap());
    let runtime = Runtime::new().unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let server = runtime
        .block_on(Standalone::start_with(served, listen))
        .unwrap();
    let url = server.url();
    let retain = |before: &str, scope: &str| {
        let reason = ["--reason", "due", "--url", &url, "--token", "secret"];
        let what = ["retain", "--before", before, "--scope", scope];
        result(&[&what[..], &reason].concat())
    };
    // There are no readings, and nothing is a year old.
    let nothing = retain("365d", "all");
    assert_eq!(
        (&nothing["marker"], &nothing["below"]),
        (&Value::Null, &0.into())
    );
    let freed = retain("0s", "all");
    assert_eq!(freed["marker"], 100);
    assert!(freed["below"].as_u64().unwrap() > 80, "{freed}");
    // About 40 bytes of each: the texts are short, and what is left of an entry is longer.
    assert!(freed["freed_bytes"].as_u64().unwrap() > 3_000, "{freed}");
    let entry = ledger.entry(0).unwrap();
    assert_eq!(entry.removed.unwrap().reason, "due");
    let key = ledger.checkpoint().verifier_key;
    let live = run(&["verify", "--url", &url, "--key", &key]);
    let said = String::from_utf8_lossy(&live.stderr);
    assert!(live.status.success(), "{said}");

    let (code, said) = failure(&[
        "retain",
        "--before",
        "yesterday",
        "--reason",
        "due",
        "--url",
        &url,
        "--token",
        "secret",
    ]);
    assert!(code == 2 && said.contains("before"), "{code}: {said}");
    runtime.block_on(server.stop()).unwrap();
    ledger.close();
    let path = data.to_str().unwrap();
    let again = result(&[
        "retain", "--before", "365d", "--scope", "all", "--reason", "due", "--folder", path,
    ]);
    assert_eq!(again["below"], freed["below"]);
}
