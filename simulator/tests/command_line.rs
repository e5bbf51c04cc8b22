//! The simulator as a program: its exit codes and messages where no broker is needed.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::process::{Command, Output};

fn simulator(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_fieldledger-simulator");
    Command::new(program).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn wrong_flags_exit_with_2_and_say_what_would_be_right() {
    for (arguments, expected) in [
        (&["--sensors", "0"][..], "it must be from 1 to 99999"),
        (&["--drop", "2"], "it must be from 0 to 1"),
        (&["--drop", "0.6", "--late", "0.6"], "must not exceed 1"),
        (&["--flap", "often"], "0.1/5000"),
        (&["--prefix", "a.*"], "letters, digits"),
        (&["--mqtt-url", "here"], "HOST:PORT"),
        (&["--polls", "0"], "0"),
        (
            &["--protocol", "mqtt", "--tls-ca", "ca.pem"],
            "--tls-ca is for NATS",
        ),
        (&["--mesh", "--mesh-nodes", "1"], "2 to 1000 nodes"),
        (
            &["--mesh", "--mesh-polled", "--protocol", "mqtt"],
            "speak NATS",
        ),
        (&["--mesh-polled"], "--mesh"),
        (&["--no-such-flag"], "--no-such-flag"),
    ] {
        let output = simulator(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = stderr(&output);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn an_unreachable_broker_exits_with_1_and_is_named() {
    // Bound and let go: nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let url = format!("nats://user:secret@{address}");
    for arguments in [
        ["--url", &url, "--protocol", "nats"],
        ["--mqtt-url", &address, "--protocol", "mqtt"],
    ] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--connect-timeout", "0"]);
        let output = simulator(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let message = stderr(&output);
        assert!(message.contains(&address), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn a_record_that_cannot_be_written_exits_with_1() {
    let output = simulator(&["--record", "/nonexistent/record.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/nonexistent/record.jsonl"));
}
