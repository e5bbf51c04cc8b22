//! The client against a real nats-server, with async-nats as its peer.
#![allow(clippy::unwrap_used)]

mod support;

use std::future::Future;

use async_nats::{ConnectOptions, HeaderMap, RequestErrorKind};
use embedded_io_adapters::tokio_1::FromTokio;
use futures::StreamExt as _;
use nano_nats::{
    Client, ClientError, Credentials, Event, Filter, Identity, Introduction, Keepalive, NkeyPair,
    Publish, SendError, ServerErrorKind, Session, SkipReason, Subject,
};
use support::server::{PATIENCE, Server};
use tokio::net::TcpStream;
use tokio::time::timeout;

const IN: usize = 512;
type TestSession = Session<IN, 1024, 4, 48>;
type TestClient<'s> = Client<'s, FromTokio<TcpStream>, IN, 1024, 4, 48>;
type TestError = ClientError<std::io::Error>;

const NOBODY: Identity<'_> = Identity::Fixed(Credentials::None);

fn session() -> TestSession {
    let inbox = format!("_INBOX.{:016x}", rand::random::<u64>());
    Session::new(subject(&inbox), Keepalive::default()).unwrap()
}

fn subject(text: &str) -> Subject<'_> {
    Subject::new(text).unwrap()
}

fn filter(text: &str) -> Filter<'_> {
    Filter::new(text).unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("it does not take that long")
}

async fn connect<'s>(
    server: &Server,
    session: &'s mut TestSession,
    input: &'s mut [u8],
    identity: Identity<'_>,
) -> Result<TestClient<'s>, TestError> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let introduction = Introduction {
        name: "nano",
        echo: true,
        identity,
        transport_is_encrypted: false,
    };
    soon(Client::connect(
        FromTokio::new(stream),
        session,
        input,
        &introduction,
    ))
    .await
}

/// Returns once the server has read all that the client has said.
async fn settle(client: &mut TestClient<'_>) {
    let before = client.keep_alive(0).await.unwrap();
    soon(client.keep_alive(before)).await.unwrap();
    while soon(client.next()).await.unwrap() != Event::Pong {}
}

/// Returns once the server has read all that the peer has said. Its `flush` only means that it was
/// sent; the server's own answer to a request comes after all that was said before.
async fn peer_settles(peer: &async_nats::Client) {
    let nobody = soon(peer.request("nobody.answers", "".into())).await;
    assert_eq!(nobody.unwrap_err().kind(), RequestErrorKind::NoResponders);
}

/// The payload of the next event, which is a message.
async fn payload(client: &mut TestClient<'_>) -> Vec<u8> {
    loop {
        match soon(client.next()).await.unwrap() {
            Event::Message { message, .. } => return message.payload.to_vec(),
            // Servers may send news of themselves at any time.
            Event::Info(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn messages_both_ways() {
    let server = Server::start("").await;
    let peer = server.peer(ConnectOptions::new()).await;
    let mut heard = peer.subscribe("to.peer.>").await.unwrap();
    peer_settles(&peer).await;
    let (mut session, mut input) = (session(), [0; 64]);
    let polls = session.subscribe(filter("to.nano.*"), None).unwrap();
    let mut client = connect(&server, &mut session, &mut input, NOBODY)
        .await
        .unwrap();
    assert!(client.session().info().version.starts_with('2'));
    settle(&mut client).await;

    client
        .publish(&Publish::new(subject("to.peer.a"), b"21.37"))
        .await
        .unwrap();
    let message = soon(heard.next()).await.unwrap();
    assert_eq!(
        (message.subject.as_str(), &message.payload[..]),
        ("to.peer.a", &b"21.37"[..])
    );
    assert!(message.headers.is_none());

    let headers = [("Unit", "Cel"), ("Note", "a: b")];
    let publish = Publish {
        headers: &headers,
        reply_to: Some(subject("back")),
        ..Publish::new(subject("to.peer.b"), b"")
    };
    client.publish(&publish).await.unwrap();
    let message = soon(heard.next()).await.unwrap();
    assert_eq!(message.reply.as_deref(), Some("back"));
    let headers = message.headers.unwrap();
    assert_eq!(headers.get("Unit").unwrap().as_str(), "Cel");
    assert_eq!(headers.get("Note").unwrap().as_str(), "a: b");

    let mut headers = HeaderMap::new();
    headers.insert("Boot", "7f");
    peer.publish_with_reply_and_headers("to.nano.x", "from.nano", headers, "poll".into())
        .await
        .unwrap();
    let event = soon(client.next()).await.unwrap();
    let Event::Message {
        subscription,
        message,
    } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!(subscription, polls);
    assert_eq!(
        (message.subject, message.reply_to),
        ("to.nano.x", Some("from.nano"))
    );
    assert_eq!(message.headers.get("boot"), Some("7f"));
    assert_eq!(message.payload, b"poll");
}

#[tokio::test]
async fn many_messages_in_order() {
    let server = Server::start("").await;
    let peer = server.peer(ConnectOptions::new()).await;
    let mut heard = peer.subscribe("count").await.unwrap();
    peer_settles(&peer).await;
    let (mut session, mut input) = (session(), [0; 100]);
    let mut client = connect(&server, &mut session, &mut input, NOBODY)
        .await
        .unwrap();
    for number in 0..5_000_u32 {
        client
            .feed(&Publish::new(subject("count"), &number.to_be_bytes()))
            .await
            .unwrap();
    }
    client.flush().await.unwrap();
    for number in 0..5_000_u32 {
        assert_eq!(
            &soon(heard.next()).await.unwrap().payload[..],
            number.to_be_bytes()
        );
    }
    client.subscribe(filter("down"), None).unwrap();
    settle(&mut client).await;
    for number in 0..5_000_u32 {
        peer.publish("down", number.to_be_bytes().to_vec().into())
            .await
            .unwrap();
    }
    for number in 0..5_000_u32 {
        assert_eq!(payload(&mut client).await, number.to_be_bytes());
    }
}

#[tokio::test]
async fn a_queue_group_shares() {
    let server = Server::start("").await;
    let peer = server.peer(ConnectOptions::new()).await;
    let (mut one, mut other) = (session(), session());
    let (mut input, mut other_input) = ([0; 64], [0; 64]);
    let workers = Some(subject("workers"));
    one.subscribe(filter("work"), workers).unwrap();
    other.subscribe(filter("work"), workers).unwrap();
    let mut one = connect(&server, &mut one, &mut input, NOBODY)
        .await
        .unwrap();
    let mut other = connect(&server, &mut other, &mut other_input, NOBODY)
        .await
        .unwrap();
    settle(&mut one).await;
    settle(&mut other).await;
    for number in 0..100_u8 {
        peer.publish("work", vec![number].into()).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut shares = [0; 2];
    while seen.len() < 100 {
        let (event, share) = tokio::select! {
            event = one.next() => (event, 0),
            event = other.next() => (event, 1),
            () = tokio::time::sleep(PATIENCE) => panic!("{} of 100 came", seen.len()),
        };
        if let Event::Message { message, .. } = event.unwrap() {
            seen.push(message.payload[0]);
            shares[share] += 1;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<u8>>());
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

#[tokio::test]
async fn a_subscription_ends_by_itself() {
    let server = Server::start("").await;
    let peer = server.peer(ConnectOptions::new()).await;
    let (mut session, mut input) = (session(), [0; 64]);
    let mut client = connect(&server, &mut session, &mut input, NOBODY)
        .await
        .unwrap();
    let two = client.subscribe(filter("two"), None).unwrap();
    client.unsubscribe_after(two, 2).unwrap();
    let none = client.subscribe(filter("none"), None).unwrap();
    client.unsubscribe(none).await.unwrap();
    client.subscribe(filter("end"), None).unwrap();
    settle(&mut client).await;
    for (subject, payload) in [
        ("two", "1"),
        ("none", "x"),
        ("two", "2"),
        ("two", "3"),
        ("end", "4"),
    ] {
        peer.publish(subject, payload.into()).await.unwrap();
    }
    for expected in [b"1", b"2", b"4"] {
        assert_eq!(payload(&mut client).await, expected);
    }
}

#[tokio::test]
async fn requests_to_a_peer() {
    let server = Server::start("").await;
    let peer = server.peer(ConnectOptions::new()).await;
    let mut asked = peer.subscribe("ask").await.unwrap();
    peer_settles(&peer).await;
    let (mut session, mut input) = (session(), [0; 64]);
    let mut client = connect(&server, &mut session, &mut input, NOBODY)
        .await
        .unwrap();

    // The first answer comes after the second, and belongs to the first all the same.
    let first = client
        .start_request(subject("ask"), &[], b"first")
        .await
        .unwrap();
    let answer = async {
        let first = soon(asked.next()).await.unwrap();
        let second = soon(asked.next()).await.unwrap();
        for message in [second, first] {
            let answer = [b"re: ", &message.payload[..]].concat();
            peer.publish(message.reply.unwrap(), answer.into())
                .await
                .unwrap();
        }
    };
    let ask = async {
        let reply = client.request(subject("ask"), &[("a", "b")], b"second", |event| {
            assert!(matches!(event, Event::Info(_)), "{event:?}");
        });
        assert_eq!(soon(reply).await.unwrap().payload, b"re: second");
        let event = soon(client.next()).await.unwrap();
        let Event::Reply { request, message } = event else {
            panic!("{event:?}")
        };
        assert_eq!((request, message.payload), (first, b"re: first".as_slice()));
    };
    tokio::join!(answer, ask);

    let reply = soon(client.request(subject("nobody"), &[], b"", |_| {})).await;
    assert!(matches!(reply, Err(ClientError::NoResponders)), "{reply:?}");

    let long = async {
        let message = soon(asked.next()).await.unwrap();
        peer.publish(message.reply.unwrap(), vec![0; 9_000].into())
            .await
            .unwrap();
    };
    let ask = async {
        let reply = soon(client.request(subject("ask"), &[], b"", |_| {})).await;
        let Err(error @ ClientError::ReplyTooLong { length: 9_000 }) = reply else {
            panic!()
        };
        assert!(error.leaves_connection());
    };
    tokio::join!(long, ask);
}

#[tokio::test]
async fn requests_of_a_peer() {
    let server = Server::start("").await;
    let peer = server.peer(ConnectOptions::new()).await;
    let (mut session, mut input) = (session(), [0; 64]);
    session.subscribe(filter("poll"), None).unwrap();
    let mut client = connect(&server, &mut session, &mut input, NOBODY)
        .await
        .unwrap();
    settle(&mut client).await;
    let answer = async {
        soon(client.next()).await.unwrap();
        soon(client.respond(&[], b"21.37")).await.unwrap();
    };
    let (reply, ()) = tokio::join!(soon(peer.request("poll", "".into())), answer);
    assert_eq!(&reply.unwrap().payload[..], b"21.37");
}

#[tokio::test]
async fn a_message_that_is_too_long_is_passed_over() {
    let server = Server::start("").await;
    let peer = server.peer(ConnectOptions::new()).await;
    let (mut session, mut input) = (session(), [0; 64]);
    session.subscribe(filter("a"), None).unwrap();
    let mut client = connect(&server, &mut session, &mut input, NOBODY)
        .await
        .unwrap();
    settle(&mut client).await;
    peer.publish("a", vec![b'\n'; 100_000].into())
        .await
        .unwrap();
    peer.publish("a", vec![1; IN - 1].into()).await.unwrap();
    peer.publish("a", vec![2; IN].into()).await.unwrap();
    peer.publish("a", "3".into()).await.unwrap();
    for (length, is_kept) in [(100_000, false), (IN - 1, true), (IN, false), (1, true)] {
        match soon(client.next()).await.unwrap() {
            Event::Message { message, .. } => {
                assert_eq!((message.payload.len(), true), (length, is_kept));
            }
            Event::Skipped(skipped) => {
                assert_eq!(
                    (skipped.subject, skipped.length, false),
                    ("a", length, is_kept)
                );
                assert_eq!(skipped.reason, SkipReason::TooLong { capacity: IN });
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_server_s_bound_is_kept() {
    let server = Server::start("max_payload: 100").await;
    let (mut session, mut input) = (session(), [0; 64]);
    let mut client = connect(&server, &mut session, &mut input, NOBODY)
        .await
        .unwrap();
    let error = client
        .publish(&Publish::new(subject("a"), &[0; 101]))
        .await
        .unwrap_err();
    let exceeds = SendError::ExceedsMaxPayload {
        length: 101,
        max_payload: 100,
    };
    assert!(
        matches!(error, ClientError::Send(reason) if reason == exceeds),
        "{error:?}"
    );
    client
        .publish(&Publish::new(subject("a"), &[0; 100]))
        .await
        .unwrap();
    settle(&mut client).await;
}

/// What became of an attempt to connect.
async fn attempt(server: &Server, identity: Identity<'_>) -> Result<(), TestError> {
    let (mut session, mut input) = (session(), [0; 64]);
    let mut client = connect(server, &mut session, &mut input, identity).await?;
    settle(&mut client).await;
    Ok(())
}

fn is_refused(attempt: &Result<(), TestError>) -> bool {
    matches!(
        attempt,
        Err(ClientError::Refused(
            ServerErrorKind::AuthorizationViolation
        ))
    )
}

#[tokio::test]
async fn tokens() {
    let server = Server::start("authorization { token: \"s3cret \\\"x\\\"\" }").await;
    let identity = |token| Identity::Fixed(Credentials::Token(token));
    attempt(&server, identity("s3cret \"x\"")).await.unwrap();
    let wrong = attempt(&server, identity("wrong")).await;
    assert!(is_refused(&wrong), "{wrong:?}");
    let none = attempt(&server, NOBODY).await;
    assert!(is_refused(&none), "{none:?}");
}

#[tokio::test]
async fn passwords() {
    let server = Server::start("authorization { user: ann, password: s3cret }").await;
    let identity = |password| {
        Identity::Fixed(Credentials::Password {
            user: "ann",
            password,
        })
    };
    attempt(&server, identity("s3cret")).await.unwrap();
    let wrong = attempt(&server, identity("wrong")).await;
    assert!(is_refused(&wrong), "{wrong:?}");
}

#[tokio::test]
async fn nkeys() {
    let known = nkeys::KeyPair::new_user();
    let users = format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}",
        known.public_key()
    );
    let server = Server::start(&users).await;
    let pair = NkeyPair::from_seed(&known.seed().unwrap()).unwrap();
    attempt(&server, Identity::Nkey(&pair)).await.unwrap();
    let stranger = nkeys::KeyPair::new_user();
    let pair = NkeyPair::from_seed(&stranger.seed().unwrap()).unwrap();
    let wrong = attempt(&server, Identity::Nkey(&pair)).await;
    assert!(is_refused(&wrong), "{wrong:?}");
}

#[tokio::test]
async fn a_nonce_that_is_missing() {
    let server = Server::start("").await;
    let pair = NkeyPair::from_seed(&nkeys::KeyPair::new_user().seed().unwrap()).unwrap();
    let error = attempt(&server, Identity::Nkey(&pair)).await;
    assert!(matches!(error, Err(ClientError::NoNonce)), "{error:?}");
}

#[tokio::test]
async fn permissions() {
    let users = "authorization { users: [
        { user: ann, password: p, permissions: { publish: \"mine.>\", subscribe: [\"mine.>\", \"_INBOX.>\"] } }
    ] }";
    let server = Server::start(users).await;
    let ann = Identity::Fixed(Credentials::Password {
        user: "ann",
        password: "p",
    });
    let (mut session, mut input) = (session(), [0; 64]);
    session.subscribe(filter("mine.a"), None).unwrap();
    session.subscribe(filter("yours.>"), None).unwrap();
    let mut client = connect(&server, &mut session, &mut input, ann)
        .await
        .unwrap();
    client
        .publish(&Publish::new(subject("yours.b"), b""))
        .await
        .unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match soon(client.next()).await.unwrap() {
            Event::ServerError(error) => {
                assert!(!error.kind.closes_connection());
                seen.push((error.kind, error.subject().unwrap().to_owned()));
            }
            Event::Info(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let expected = [
        (ServerErrorKind::SubscribePermission, "yours.>".to_owned()),
        (ServerErrorKind::PublishPermission, "yours.b".to_owned()),
    ];
    assert_eq!(seen, expected);
    client
        .publish(&Publish::new(subject("mine.a"), b"1"))
        .await
        .unwrap();
    assert_eq!(payload(&mut client).await, b"1");
}

#[tokio::test]
async fn tls_is_the_transport_s() {
    let server = Server::start("").await;
    drop(server.peer(ConnectOptions::new()).await);
    // A server that wants TLS says so in the clear, and hears nothing secret.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let info = b"INFO {\"max_payload\":100,\"tls_required\":true}\r\n";
        stream.write_all(info).await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        heard
    };
    let ask = async {
        let (mut session, mut input) = (session(), [0; 64]);
        let stream = FromTokio::new(TcpStream::connect(address).await.unwrap());
        let introduction = Introduction {
            name: "nano",
            echo: false,
            identity: Identity::Fixed(Credentials::Token("s3cret")),
            transport_is_encrypted: false,
        };
        let error = Client::connect(stream, &mut session, &mut input, &introduction)
            .await
            .err();
        assert!(matches!(error, Some(ClientError::TlsRequired)), "{error:?}");
    };
    let (heard, ()) = soon(async { tokio::join!(serve, ask) }).await;
    assert_eq!(heard, b"");
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back() {
    let mut server = Server::start("").await;
    let (mut session, mut input) = (session(), [0; 64]);
    let polls = session
        .subscribe(filter("poll"), Some(subject("group")))
        .unwrap();
    {
        let mut client = connect(&server, &mut session, &mut input, NOBODY)
            .await
            .unwrap();
        let late = client.subscribe(filter("late"), None).unwrap();
        client.unsubscribe_after(late, 1).unwrap();
        settle(&mut client).await;
        server.kill();
        let error = soon(client.next()).await.unwrap_err();
        assert!(!error.leaves_connection(), "{error:?}");
    }
    server.launch().await;
    let peer = server.peer(ConnectOptions::new()).await;
    let mut client = connect(&server, &mut session, &mut input, NOBODY)
        .await
        .unwrap();
    settle(&mut client).await;
    for subject in ["late", "late", "poll"] {
        peer.publish(subject, subject.into()).await.unwrap();
    }
    assert_eq!(payload(&mut client).await, b"late");
    let event = soon(client.next()).await.unwrap();
    let Event::Message {
        subscription,
        message,
    } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!((subscription, message.payload), (polls, b"poll".as_slice()));
    let reply = async {
        let mut asked = peer.subscribe("ask").await.unwrap();
        peer_settles(&peer).await;
        peer.publish("poll", "now".into()).await.unwrap();
        let message = soon(asked.next()).await.unwrap();
        peer.publish(message.reply.unwrap(), "yes".into())
            .await
            .unwrap();
    };
    let ask = async {
        assert_eq!(payload(&mut client).await, b"now");
        let reply = soon(client.request(subject("ask"), &[], b"", |_| {}))
            .await
            .unwrap();
        assert_eq!(reply.payload, b"yes");
    };
    tokio::join!(reply, ask);
}

#[tokio::test]
async fn dropped_futures_lose_nothing() {
    let server = Server::start("").await;
    let peer = server.peer(ConnectOptions::new()).await;
    let (mut session, mut input) = (session(), [0; 7]);
    session.subscribe(filter("count"), None).unwrap();
    let mut client = connect(&server, &mut session, &mut input, NOBODY)
        .await
        .unwrap();
    settle(&mut client).await;
    let publish = async {
        for number in 0..500_u32 {
            peer.publish("count", number.to_be_bytes().to_vec().into())
                .await
                .unwrap();
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        let mut next = 0_u32;
        let mut dropped = 0;
        while next < 500 {
            // Polled once, then dropped if it is not ready.
            match futures::poll!(Box::pin(client.next())) {
                std::task::Poll::Ready(Ok(Event::Message { message, .. })) => {
                    assert_eq!(message.payload, next.to_be_bytes());
                    next += 1;
                }
                std::task::Poll::Ready(other) => panic!("{other:?}"),
                std::task::Poll::Pending => {
                    dropped += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
        assert!(dropped > 0);
    };
    soon(async { tokio::join!(publish, read) }).await;
}
