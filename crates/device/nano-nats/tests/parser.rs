//! The parser: any cut of a stream means the same, and nothing breaks it.
#![allow(clippy::unwrap_used)]

mod support;

use fieldledger_chance::proptest_config;
use nano_nats::{Parser, ProtocolError, ServerOperation, SkipReason, Skipped};
use proptest::prelude::*;
use support::operations::FromServer;

/// Bytes of the buffer of the parser under test.
const CAPACITY: usize = 64;

/// What a parser makes of a stream that comes in pieces of these sizes, over and over.
fn parse<const N: usize>(
    stream: &[u8],
    pieces: &[usize],
) -> (Vec<FromServer>, Option<ProtocolError>) {
    let mut parser = Parser::<N>::new();
    let mut found = Vec::new();
    let mut sizes = pieces.iter().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let size = sizes
            .next()
            .map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
        let (mut piece, after) = rest.split_at(size);
        rest = after;
        while !piece.is_empty() {
            match parser.parse(piece) {
                Ok((taken, operation)) => {
                    assert!(taken > 0 || operation.is_some(), "it must get on");
                    assert!(operation.is_some() || taken == piece.len());
                    found.extend(operation.map(owned));
                    piece = &piece[taken..];
                }
                Err(error) => {
                    assert_eq!(parser.parse(b"PING\r\n"), Err(error), "it stays so");
                    parser.reset();
                    assert_eq!(
                        parser.parse(b"PING\r\n"),
                        Ok((6, Some(ServerOperation::Ping)))
                    );
                    return (found, Some(error));
                }
            }
        }
    }
    (found, None)
}

fn owned(operation: ServerOperation<'_>) -> FromServer {
    match operation {
        ServerOperation::Info(info) => FromServer::Info {
            max_payload: info.max_payload,
        },
        ServerOperation::Message { sid, message } => FromServer::Message {
            sid,
            subject: message.subject.to_owned(),
            reply: message.reply_to.map(str::to_owned),
            headers: message.headers.as_bytes().to_vec(),
            payload: message.payload.to_vec(),
        },
        ServerOperation::Skipped { sid, skipped } => FromServer::Skipped {
            sid,
            length: skipped.length,
        },
        ServerOperation::Ping => FromServer::Ping,
        ServerOperation::Pong => FromServer::Pong,
        ServerOperation::Ok => FromServer::Ok,
        ServerOperation::Error(text) => FromServer::Error(text.trim_matches('\'').to_owned()),
    }
}

/// What is expected of a parser with [`CAPACITY`].
fn expected(said: &FromServer) -> FromServer {
    match said {
        FromServer::Message {
            sid,
            subject,
            reply,
            headers,
            payload,
        } => {
            let length = headers.len() + payload.len();
            // The line as it is up to the end of the last subject, and the body behind that.
            let reply = reply
                .as_ref()
                .map_or(0, |reply| 1 + sid.to_string().len() + 1 + reply.len());
            match subject.len() + reply + length <= CAPACITY {
                true => said.clone(),
                false => FromServer::Skipped { sid: *sid, length },
            }
        }
        other => other.clone(),
    }
}

fn said() -> impl Strategy<Value = FromServer> {
    let headers = prop_oneof![
        Just(Vec::new()),
        "[a-z]{1,6}".prop_map(|name| format!("NATS/1.0\r\n{name}: 1\r\n\r\n").into_bytes()),
    ];
    let subject = "[a-zä]{1,6}(\\.[a-z]{1,30}){0,3}";
    let message = (
        any::<u32>(),
        subject,
        proptest::option::of("[a-z]{1,9}\\.[0-9]{1,5}"),
        headers,
        proptest::collection::vec(any::<u8>(), 0..120),
    );
    prop_oneof![
        any::<u32>().prop_map(|max_payload| FromServer::Info { max_payload }),
        message.prop_map(
            |(sid, subject, reply, headers, payload)| FromServer::Message {
                sid,
                subject,
                reply,
                headers,
                payload,
            }
        ),
        Just(FromServer::Ping),
        Just(FromServer::Pong),
        Just(FromServer::Ok),
        "[A-Za-z \"]{0,40}[a-z]".prop_map(FromServer::Error),
    ]
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn any_cut_means_the_same(
        all in prop::collection::vec(said(), 0..12),
        pieces in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let stream: Vec<u8> = all.iter().flat_map(FromServer::bytes).collect();
        let meant: Vec<FromServer> = all.iter().map(expected).collect();
        for pieces in [&pieces[..], &[1], &[usize::MAX]] {
            let (found, error) = parse::<CAPACITY>(&stream, pieces);
            prop_assert_eq!(&found, &meant);
            prop_assert_eq!(error, None);
        }
    }

    #[test]
    fn any_cut_of_garbage_means_the_same(
        stream in garbage(),
        pieces in prop::collection::vec(1_usize..20, 1..20),
    ) {
        let whole = parse::<CAPACITY>(&stream, &[usize::MAX]);
        prop_assert_eq!(&parse::<CAPACITY>(&stream, &pieces), &whole);
        prop_assert_eq!(&parse::<CAPACITY>(&stream, &[1]), &whole);
        // No buffer at all is a buffer too.
        parse::<0>(&stream, &pieces);
    }
}

/// Bytes that begin like those of a server, so that they get somewhere.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"MSG ".to_vec()),
        Just(b"HMSG ".to_vec()),
        Just(b"INFO {\"".to_vec()),
        Just(b"\"max_payload\":1}\r\n".to_vec()),
        Just(b"-ERR ".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"a 1 2\r\nxy\r\n".to_vec()),
        Just(b"a 1 4294967295\r\n".to_vec()),
        Just(b"a 1 4294967296\r\n".to_vec()),
        "[ a-z0-9{}\"]{0,90}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn a_message_that_is_too_long_is_passed_over() {
    let mut parser = Parser::<32>::new();
    let stream = [
        b"MSG plant.boiler 7 100\r\n".as_slice(),
        &[b'x'; 100],
        b"\r\nPING\r\n",
    ]
    .concat();
    let (taken, operation) = parser.parse(&stream).unwrap();
    let skipped = Skipped {
        subject: "plant.boiler",
        length: 100,
        reason: SkipReason::TooLong { capacity: 32 },
    };
    assert_eq!(
        operation,
        Some(ServerOperation::Skipped { sid: 7, skipped })
    );
    let (_, operation) = parser.parse(&stream[taken..]).unwrap();
    assert_eq!(operation, Some(ServerOperation::Ping));
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let mut parser = Parser::<8>::new();
    let subject = "ä".repeat(3_000);
    let stream = format!("MSG {subject} 7 reply 3\r\nabc\r\nPONG\r\n");
    let (taken, operation) = parser.parse(stream.as_bytes()).unwrap();
    let Some(ServerOperation::Skipped { sid: 7, skipped }) = operation else {
        panic!("{operation:?}");
    };
    assert_eq!((skipped.subject, skipped.length), ("ää\u{e4}ä", 3));
    let (_, operation) = parser.parse(&stream.as_bytes()[taken..]).unwrap();
    assert_eq!(operation, Some(ServerOperation::Pong));
}

#[test]
fn a_subject_that_is_no_text_is_passed_over() {
    let mut parser = Parser::<32>::new();
    let (_, operation) = parser.parse(b"MSG a.\xff 7 2\r\nab\r\n").unwrap();
    let Some(ServerOperation::Skipped { sid: 7, skipped }) = operation else {
        panic!("{operation:?}");
    };
    assert_eq!(
        (skipped.subject, skipped.reason),
        ("a.", SkipReason::NotUtf8)
    );
}

#[test]
fn what_no_server_sends() {
    let cases: [(&[u8], ProtocolError); 10] = [
        (
            b"HELLO\r\n",
            ProtocolError::UnknownOperation {
                beginning: *b"HELL",
            },
        ),
        (
            b"GET / HTTP/1.1\r\n",
            ProtocolError::UnknownOperation {
                beginning: *b"GET\0",
            },
        ),
        (
            b"\r\n",
            ProtocolError::UnknownOperation { beginning: [0; 4] },
        ),
        (b"PING x\r\n", ProtocolError::InvalidArguments),
        (b"MSG a 1\r\n", ProtocolError::InvalidArguments),
        (b"MSG a 1 b 2 3\r\n", ProtocolError::InvalidArguments),
        (b"MSG a 1 -2\r\n", ProtocolError::InvalidArguments),
        (b"HMSG a 1 3 2\r\n", ProtocolError::InvalidArguments),
        (b"MSG a 1 2\r\nabc\r\n", ProtocolError::MissingLineEnd),
        (b"INFO []\r\n", ProtocolError::InvalidInfo),
    ];
    for (bytes, expected) in cases {
        let (_, error) = parse::<64>(bytes, &[1]);
        assert_eq!(error, Some(expected), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn lower_case_and_spaces_are_fine() {
    let (found, error) = parse::<64>(b"msg \t a   1  2  \r\nxy\r\nping \r\n+ok\r\n", &[3]);
    assert_eq!(error, None);
    let [
        FromServer::Message {
            sid: 1,
            subject,
            payload,
            ..
        },
        FromServer::Ping,
        FromServer::Ok,
    ] = found.as_slice()
    else {
        panic!("{found:?}");
    };
    assert_eq!(
        (subject.as_str(), payload.as_slice()),
        ("a", b"xy".as_slice())
    );
}
