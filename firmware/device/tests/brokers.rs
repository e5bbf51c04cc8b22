//! Lists of brokers that are sent, and what becomes of them in a restart.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Board, board};
use fieldledger_device::brokers::MAX_KEPT_BYTES;
use fieldledger_device::{Action, Now};

const TOPIC: &str = "picow/02020202-0202-0202-0202-020202020202/brokers";

const NOW: Now = Now { up: 0, utc: None };

/// The broker that it tries next.
fn tried(board: &mut Board) -> Option<String> {
    match board.next(NOW) {
        Some(Action::Connect { address }) => Some(address.to_owned()),
        _ => None,
    }
}

/// Connects, and hears a list; what is to be kept.
fn kept(board: &mut Board, list: &str) -> Option<Vec<u8>> {
    board.connected(NOW);
    board.message(NOW, TOPIC, None, list.as_bytes()).unwrap();
    match board.next_alone(NOW) {
        Some(Action::KeepBrokers(kept)) => Some(kept.to_vec()),
        None => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_is_kept_once_and_counts_after_a_restart() {
    let mut first = board(&["a", "b"]);
    assert_eq!(tried(&mut first).as_deref(), Some("a"));
    let list = r#"{"version":3,"brokers":["x","a"]}"#;
    let text = kept(&mut first, list).unwrap();
    assert!(text.len() <= MAX_KEPT_BYTES);
    assert_eq!(first.next_alone(NOW), None);
    assert_eq!(kept(&mut first, list), None, "it knows that one");

    let mut restarted = board(&["a", "b"]);
    assert!(restarted.remember_brokers(&text));
    assert_eq!(restarted.next_alone(NOW), None, "it is kept already");
    for address in ["x", "a", "b"] {
        assert_eq!(tried(&mut restarted).as_deref(), Some(address));
        restarted.disconnected(NOW);
    }
    let mut restarted = board(&["a", "b"]);
    assert!(restarted.remember_brokers(&text));
    assert_eq!(tried(&mut restarted).as_deref(), Some("x"));
    let older = r#"{"version":2,"brokers":["y"]}"#;
    assert_eq!(kept(&mut restarted, older), None);
}

#[test]
fn a_list_does_not_count_where_others_were_configured_since() {
    let mut first = board(&["a", "b"]);
    assert!(tried(&mut first).is_some());
    let text = kept(&mut first, r#"{"version":3,"brokers":["x"]}"#).unwrap();
    for configured in [&["a"][..], &["b", "a"], &["a", "b", "c"], &["ab"]] {
        let mut other = board(configured);
        assert!(!other.remember_brokers(&text));
        assert_eq!(tried(&mut other).as_deref(), Some(configured[0]));
    }
}

#[test]
fn what_is_no_list_is_not_remembered() {
    let mut first = board(&["a"]);
    assert!(tried(&mut first).is_some());
    let text = kept(&mut first, r#"{"version":3,"brokers":["x"]}"#).unwrap();
    for length in 0..text.len() {
        assert!(!board(&["a"]).remember_brokers(&text[..length]), "{length}");
    }
    let sent = br#"{"version":3,"brokers":["x"]}"#;
    assert!(!board(&["a"]).remember_brokers(sent), "not as it is kept");
}
