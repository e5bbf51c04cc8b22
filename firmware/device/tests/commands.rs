//! Commands from their message to the output and the answer.
#![allow(clippy::unwrap_used)]

mod common;

use common::Board;
use fieldledger_device::actuator::{Channel, Value};
use fieldledger_device::{Action, Now};
use serde_json::{Value as Json, json};

const COMMANDS: &str = "picow/02020202-0202-0202-0202-020202020202/command";

fn board() -> Board {
    let mut board = common::board(&["first"]);
    let name = "valve".try_into().unwrap();
    let (neutral, levels) = (Value::Switch(false), (0, 0));
    board
        .add_actuator(Channel {
            name,
            neutral,
            levels,
        })
        .unwrap();
    board
}

/// What is set, and what is answered, until the board rests.
fn done(board: &mut Board, up: u64) -> (Vec<Value>, Vec<Json>) {
    let (mut set, mut answers) = (Vec::new(), Vec::new());
    loop {
        match board.next(Now { up, utc: None }) {
            None => return (set, answers),
            Some(Action::Set { channel, value }) => {
                assert_eq!(channel, "valve");
                set.push(value);
            }
            Some(Action::Publish { topic, payload }) => {
                assert_eq!(topic, format!("{COMMANDS}_ack"));
                answers.push(serde_json::from_slice(payload).unwrap());
            }
            Some(Action::Connect { .. } | Action::Subscribe { .. }) => {}
            Some(Action::Keep(_) | Action::Forget { .. }) => panic!("there are no sensors"),
            Some(Action::KeepBrokers(_)) => panic!("nobody sent any"),
        }
    }
}

#[test]
fn a_valve_opens_for_as_long_as_it_was_told_and_no_longer() {
    let mut board = board();
    assert_eq!(
        done(&mut board, 0).0,
        [Value::Switch(false)],
        "neutral at boot"
    );
    let now = Now { up: 0, utc: None };
    board.connected(now);
    done(&mut board, 0);
    let mut command = json!({
        "boot": "b1", "channel": "valve", "epoch": 3, "seq": 7, "on": true, "for": 5_000,
    });
    let say = |board: &mut Board, command: &Json, up| {
        let bytes = command.to_string();
        let now = Now { up, utc: None };
        board
            .message(now, COMMANDS, None, bytes.as_bytes())
            .unwrap();
        let (set, answers) = done(board, up);
        let [answer] = answers.as_slice() else {
            panic!("{answers:?}")
        };
        (set, answer["verdict"].as_str().unwrap().to_owned())
    };
    let on = vec![Value::Switch(true)];
    assert_eq!(say(&mut board, &command, 10), (on, "done".to_owned()));
    assert_eq!(board.wake_at(), 5_000_010);
    assert_eq!(
        say(&mut board, &command, 20),
        (vec![], "repeated".to_owned())
    );
    command["boot"] = json!("b0");
    assert_eq!(
        say(&mut board, &command, 20),
        (vec![], "other-boot".to_owned())
    );
    command["boot"] = json!("b1");
    command["channel"] = json!("pump");
    assert_eq!(
        say(&mut board, &command, 20),
        (vec![], "no-channel".to_owned())
    );
    // The broker is gone, the end comes all the same.
    board.disconnected(Now { up: 30, utc: None });
    assert_eq!(done(&mut board, 5_000_009).0, []);
    assert_eq!(done(&mut board, 5_000_010).0, [Value::Switch(false)]);
}
