//! The session: whatever happens in whatever order, the server hears whole operations, in an order
//! that makes sense.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use fieldledger_chance::proptest_config;
use nano_nats::{
    Connect, Credentials, Event, Filter, Keepalive, Publish, SendError, ServerErrorKind, Session,
    SettingsError, Subject, SubscribeError, SubscriptionId,
};
use proptest::prelude::*;
use support::operations::{FromClient, read_client};

/// Enough for the longest operation of these tests, and not for two of them.
const OUT: usize = 256;
const ROWS: usize = 3;

type TestSession = Session<128, OUT, ROWS, 32>;

const INFO: &[u8] = b"INFO {\"max_payload\":100,\"headers\":true}\r\n";
const INTRODUCTION: Connect<'_> = Connect {
    name: "test",
    echo: true,
    credentials: Credentials::None,
};

fn session() -> TestSession {
    let inbox = Subject::new("_INBOX.x").unwrap();
    let keepalive = Keepalive {
        interval_ms: 100,
        max_unanswered: 2,
        handshake_ms: 1_000,
    };
    Session::new(inbox, keepalive).unwrap()
}

fn subject(text: &str) -> Subject<'_> {
    Subject::new(text).unwrap()
}

fn receive(session: &mut TestSession, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (taken, _) = session.receive(rest).unwrap();
        rest = &rest[taken..];
    }
}

/// Takes all of the output, in pieces of so many bytes.
fn drain(session: &mut TestSession, piece: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    loop {
        let output = session.output();
        if output.is_empty() {
            return sent;
        }
        let count = output.len().min(piece);
        sent.extend_from_slice(&output[..count]);
        session.sent(count);
    }
}

fn connected() -> TestSession {
    let mut session = session();
    connect(&mut session);
    session
}

fn connect(session: &mut TestSession) {
    receive(session, INFO);
    session.connect(&INTRODUCTION).unwrap();
    let said = read_client(&drain(session, 7));
    assert!(
        matches!(said[..], [FromClient::Connect(_), FromClient::Ping]),
        "{said:?}"
    );
    assert_eq!(
        session.receive(b"PONG\r\n"),
        Ok((6, Some(Event::Connected)))
    );
    assert!(session.is_connected());
}

#[test]
fn nothing_is_said_too_early() {
    let mut session = session();
    let polls = session
        .subscribe(Filter::new("a.>").unwrap(), None)
        .unwrap();
    let publish = Publish::new(subject("a"), b"1");
    assert_eq!(session.publish(&publish), Err(SendError::NotConnected));
    assert_eq!(session.connect(&INTRODUCTION), Err(SendError::NotAwaited));
    assert!(session.output().is_empty());
    connect(&mut session);
    assert_eq!(session.connect(&INTRODUCTION), Err(SendError::NotAwaited));
    let subscribed = FromClient::Subscribe {
        filter: "a.>".to_owned(),
        queue: None,
        sid: 2,
    };
    assert_eq!(read_client(&drain(&mut session, 1)), [subscribed]);
    session.unsubscribe(polls).unwrap();
    assert_eq!(session.unsubscribe(polls), Err(SendError::NoSubscription));
    let unsubscribed = FromClient::Unsubscribe {
        sid: 2,
        after: None,
    };
    assert_eq!(read_client(&drain(&mut session, 1)), [unsubscribed]);
    let (_, event) = session.receive(b"MSG a.b 2 1\r\nx\r\n").unwrap();
    assert_eq!(event, None, "it was on its way");
}

#[test]
fn bounds() {
    let long = "x".repeat(49);
    let error = TestSession::new(subject(&long), Keepalive::default()).unwrap_err();
    assert_eq!(error, SettingsError::InboxTooLong { length: 49 });

    let mut session = connected();
    let publish = Publish::new(subject("a"), &[0; 101]);
    let exceeds = SendError::ExceedsMaxPayload {
        length: 101,
        max_payload: 100,
    };
    assert_eq!(session.publish(&publish), Err(exceeds));
    let long = "x".repeat(250);
    let publish = Publish::new(subject(&long), b"1");
    let needed = "PUB  1\r\n1\r\n".len() + 250;
    assert_eq!(
        session.publish(&publish),
        Err(SendError::TooLong {
            needed,
            capacity: OUT
        })
    );
    let publish = Publish {
        headers: &[("a b", "1")],
        ..Publish::new(subject("a"), b"1")
    };
    assert_eq!(
        session.publish(&publish),
        Err(SendError::InvalidHeader { index: 0 })
    );

    let filter = Filter::new("a").unwrap();
    let long = "x".repeat(33);
    let too_long = Err(SubscribeError::TooLong {
        length: 33,
        capacity: 32,
    });
    assert_eq!(
        session.subscribe(Filter::new(&long).unwrap(), None),
        too_long
    );
    assert_eq!(session.subscribe(filter, Some(subject(&long))), too_long);
    for _ in 0..ROWS {
        session.subscribe(filter, None).unwrap();
    }
    let full = Err(SubscribeError::TableFull { capacity: ROWS });
    assert_eq!(session.subscribe(filter, None), full);
    assert_eq!(
        session.unsubscribe_after(any_id(), 1),
        Err(SendError::NoSubscription)
    );
    assert!(!drain(&mut session, 9).is_empty());
}

/// A subscription of another session, with a number that this one never reached.
fn any_id() -> SubscriptionId {
    let mut other = session();
    let filter = Filter::new("a").unwrap();
    let mut last = other.subscribe(filter, None).unwrap();
    for _ in 0..9 {
        other.unsubscribe(last).unwrap();
        last = other.subscribe(filter, None).unwrap();
    }
    last
}

#[test]
fn a_limit_outlives_the_connection() {
    let mut session = connected();
    let polls = session.subscribe(Filter::new("a").unwrap(), None).unwrap();
    session.unsubscribe_after(polls, 3).unwrap();
    let said = read_client(&drain(&mut session, 99));
    assert_eq!(
        said[1],
        FromClient::Unsubscribe {
            sid: 2,
            after: Some(3)
        }
    );
    receive(&mut session, b"MSG a 2 1\r\nx\r\n");
    session.reset();
    connect(&mut session);
    let said = read_client(&drain(&mut session, 99));
    assert_eq!(
        said[1],
        FromClient::Unsubscribe {
            sid: 2,
            after: Some(2)
        }
    );
    let two = b"MSG a 2 1\r\nx\r\nMSG a 2 1\r\ny\r\n";
    receive(&mut session, two);
    assert_eq!(session.receive(two), Ok((two.len(), None)), "it has ended");
    session.reset();
    connect(&mut session);
    assert!(session.output().is_empty());
}

#[test]
fn requests_and_answers() {
    let mut session = connected();
    let first = session.request(subject("a"), &[], b"1").unwrap();
    let second = session.request(subject("a"), &[], b"2").unwrap();
    assert_ne!(first, second);
    let said = read_client(&drain(&mut session, 5));
    let inbox = FromClient::Subscribe {
        filter: "_INBOX.x.*".to_owned(),
        queue: None,
        sid: 1,
    };
    assert_eq!(said[0], inbox);
    let FromClient::Publish {
        reply: Some(reply), ..
    } = &said[2]
    else {
        panic!("{said:?}")
    };
    let answer = format!("MSG {reply} 1 2\r\nok\r\n");
    let (_, event) = session.receive(answer.as_bytes()).unwrap();
    let Some(Event::Reply { request, message }) = event else {
        panic!("{event:?}")
    };
    assert_eq!((request, message.payload), (second, b"ok".as_slice()));
    for other in ["_INBOX.x.", "_INBOX.x.y", "_INBOX.x", "other.1"] {
        let stray = format!("MSG {other} 1 0\r\n\r\n");
        assert_eq!(session.receive(stray.as_bytes()), Ok((stray.len(), None)));
    }
}

#[test]
fn answering() {
    let mut session = connected();
    session
        .subscribe(Filter::new("poll").unwrap(), None)
        .unwrap();
    drain(&mut session, 99);
    assert_eq!(session.respond(&[], b"1"), Err(SendError::NothingToAnswer));
    let (_, event) = session.receive(b"MSG poll 2 back.7 0\r\n\r\n").unwrap();
    assert!(matches!(event, Some(Event::Message { .. })));
    session.respond(&[("Unit", "Cel")], b"21.37").unwrap();
    session.respond(&[], b"again").unwrap();
    let said = read_client(&drain(&mut session, 5));
    assert!(
        matches!(&said[0], FromClient::Publish { subject, headers, .. }
        if subject == "back.7" && headers.len() == 1)
    );
    assert_eq!(said.len(), 2);
    // The next message has begun where the last one was.
    session.receive(b"MSG other").unwrap();
    assert_eq!(session.respond(&[], b"1"), Err(SendError::NothingToAnswer));
    session.receive(b" 2 wild.* 0\r\n\r\n").unwrap();
    assert!(matches!(
        session.respond(&[], b"1"),
        Err(SendError::InvalidReplySubject(_))
    ));
    session.receive(b"MSG poll 2 0\r\n\r\n").unwrap();
    assert_eq!(session.respond(&[], b"1"), Err(SendError::NothingToAnswer));
}

#[test]
fn silence() {
    let mut session = session();
    assert_eq!(session.tick(5_000), Ok(6_000));
    assert!(session.tick(6_000).is_err(), "no INFO");
    session.reset();
    connect(&mut session);
    assert_eq!(session.tick(7_000), Ok(7_100));
    assert_eq!(session.tick(7_100), Ok(7_200));
    assert_eq!(read_client(&drain(&mut session, 9)), [FromClient::Ping]);
    assert_eq!(session.receive(b"PONG\r\n"), Ok((6, Some(Event::Pong))));
    assert_eq!(session.tick(7_200), Ok(7_300));
    assert_eq!(session.tick(7_300), Ok(7_400));
    assert_eq!(session.tick(7_400).unwrap_err().silent_ms, 200);
}

#[test]
fn errors_and_news() {
    let mut session = connected();
    let (_, event) = session
        .receive(b"-ERR 'Permissions Violation for Publish to \"a\"'\r\n")
        .unwrap();
    let Some(Event::ServerError(error)) = event else {
        panic!("{event:?}")
    };
    assert_eq!(
        (error.kind, error.subject()),
        (ServerErrorKind::PublishPermission, Some("a"))
    );
    let (_, event) = session
        .receive(b"INFO {\"max_payload\":5,\"ldm\":true}\r\n")
        .unwrap();
    assert!(matches!(event, Some(Event::Info(info)) if info.lame_duck));
    let publish = Publish {
        headers: &[("a", "1")],
        ..Publish::new(subject("a"), b"1")
    };
    assert_eq!(session.publish(&publish), Err(SendError::NoHeaders));
    assert!(session.receive(b"nonsense").is_err());
}

/// Something that happens to a session.
#[derive(Debug, Clone)]
enum Step {
    Subscribe {
        queue: bool,
        limit: Option<u32>,
    },
    Unsubscribe(prop::sample::Index),
    Publish(Vec<u8>),
    Request,
    Ping,
    /// The transport takes so many bytes.
    Send(usize),
    /// The server's `PING`.
    Pinged,
    /// A message for one of the subscriptions.
    Message(prop::sample::Index),
    Lost,
}

fn step() -> impl Strategy<Value = Step> {
    let index = || any::<prop::sample::Index>();
    prop_oneof![
        2 => (any::<bool>(), prop::option::of(1_u32..4))
            .prop_map(|(queue, limit)| Step::Subscribe { queue, limit }),
        1 => index().prop_map(Step::Unsubscribe),
        4 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Step::Publish),
        2 => Just(Step::Request),
        1 => Just(Step::Ping),
        4 => (0_usize..200).prop_map(Step::Send),
        2 => Just(Step::Pinged),
        3 => index().prop_map(Step::Message),
        1 => Just(Step::Lost),
    ]
}

/// What the server has been told over a connection.
#[derive(Debug, Default)]
struct Heard {
    bytes: Vec<u8>,
    pings_sent: usize,
}

impl Heard {
    /// Checks all that a connection said, from its beginning to its end.
    fn check(&self, live: &BTreeMap<u32, SubscriptionId>, published: &[Vec<u8>]) {
        let operations = read_client(&self.bytes);
        let mut subscribed = Vec::new();
        let mut payloads = Vec::new();
        let mut pongs = 0;
        for operation in operations {
            match operation {
                FromClient::Subscribe { sid, .. } => {
                    assert!(!subscribed.contains(&sid), "told once");
                    subscribed.push(sid);
                }
                FromClient::Unsubscribe { sid, .. } => assert!(subscribed.contains(&sid)),
                FromClient::Publish { reply, payload, .. } => {
                    assert!(
                        reply.is_none() || subscribed.contains(&1),
                        "the inbox is known first"
                    );
                    payloads.push(payload);
                }
                FromClient::Pong => pongs += 1,
                FromClient::Ping => {}
                FromClient::Connect(_) => panic!("that was before"),
            }
        }
        assert_eq!(pongs, self.pings_sent);
        assert!(
            live.keys().all(|sid| subscribed.contains(sid)),
            "{live:?} {subscribed:?}"
        );
        assert_eq!(payloads, published, "all of it, in order");
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn whatever_happens_the_server_hears_sense(steps in prop::collection::vec(step(), 0..80)) {
        let mut session = connected();
        let mut next_sid = 2;
        let mut live: BTreeMap<u32, SubscriptionId> = BTreeMap::new();
        let mut left: BTreeMap<u32, u32> = BTreeMap::new();
        let mut heard = Heard::default();
        let mut published = Vec::new();
        for step in steps {
            match step {
                Step::Subscribe { queue, limit } => {
                    let queue = queue.then(|| subject("workers"));
                    let Ok(id) = session.subscribe(Filter::new("a.*").unwrap(), queue) else {
                        assert_eq!(live.len(), ROWS);
                        continue;
                    };
                    live.insert(next_sid, id);
                    if let Some(limit) = limit {
                        session.unsubscribe_after(id, limit).unwrap();
                        left.insert(next_sid, limit);
                    }
                    next_sid += 1;
                }
                Step::Unsubscribe(index) if !live.is_empty() => {
                    let sids: Vec<u32> = live.keys().copied().collect();
                    let sid = *index.get(&sids);
                    match session.unsubscribe(live[&sid]) {
                        Ok(()) => {
                            live.remove(&sid);
                            left.remove(&sid);
                        }
                        Err(error) => assert_eq!(error, SendError::Full),
                    }
                }
                Step::Publish(payload) => match session.publish(&Publish::new(subject("a"), &payload)) {
                    Ok(()) => published.push(payload),
                    Err(error) => assert_eq!(error, SendError::Full),
                },
                Step::Request => match session.request(subject("a"), &[], b"?") {
                    Ok(_) => published.push(b"?".to_vec()),
                    Err(error) => assert_eq!(error, SendError::Full),
                },
                Step::Ping => session.ping(),
                Step::Send(count) => {
                    let output = session.output();
                    let count = count.min(output.len());
                    heard.bytes.extend_from_slice(&output[..count]);
                    session.sent(count);
                }
                Step::Pinged => {
                    receive(&mut session, b"PING\r\n");
                    heard.pings_sent += 1;
                }
                Step::Message(index) if !live.is_empty() => {
                    let sids: Vec<u32> = live.keys().copied().collect();
                    let sid = *index.get(&sids);
                    let bytes = format!("MSG a.b {sid} 1\r\nx\r\n");
                    let (_, event) = session.receive(bytes.as_bytes()).unwrap();
                    assert!(matches!(event, Some(Event::Message { subscription, .. })
                        if subscription == live[&sid]));
                    if let Some(left) = left.get_mut(&sid) {
                        *left -= 1;
                        if *left == 0 {
                            live.remove(&sid);
                        }
                    }
                }
                Step::Lost => {
                    session.reset();
                    heard = Heard::default();
                    published.clear();
                    connect(&mut session);
                }
                Step::Unsubscribe(_) | Step::Message(_) => {}
            }
            left.retain(|sid, _| live.contains_key(sid));
        }
        heard.bytes.extend(drain(&mut session, 50));
        heard.check(&live, &published);
    }
}
