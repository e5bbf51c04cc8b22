//! What a NATS server sends to a device.

use nano_nats::{
    Connect, Credentials, Event, Filter, Keepalive, Parser, Publish, ServerOperation, Session,
    Subject,
};

/// Bytes of a parser's buffer, few, so that much does not fit.
const CAPACITY: usize = 96;

/// What a server says: however the bytes are cut, it means the same.
pub(crate) fn operation(data: &[u8]) {
    let Some((piece, stream)) = data.split_first() else {
        return;
    };
    let whole = said(stream, stream.len());
    assert_eq!(said(stream, usize::from(*piece) + 1), whole);
    assert_eq!(said(stream, 1), whole);
}

/// All that a stream says, in pieces of so many bytes, and how it ends.
fn said(stream: &[u8], piece: usize) -> Vec<String> {
    let mut parser = Parser::<CAPACITY>::new();
    let mut found = Vec::new();
    for mut piece in stream.chunks(piece.max(1)) {
        while !piece.is_empty() {
            match parser.parse(piece) {
                Ok((taken, operation)) => {
                    if let Some(operation) = operation {
                        check(&operation);
                        found.push(format!("{operation:?}"));
                    }
                    piece = &piece[taken..];
                }
                Err(error) => {
                    found.push(format!("{error:?}"));
                    return found;
                }
            }
        }
    }
    found
}

fn check(operation: &ServerOperation<'_>) {
    if let ServerOperation::Message { message, .. } = operation {
        let reply = message.reply_to.map_or(0, str::len);
        let body = message.headers.as_bytes().len() + message.payload.len();
        assert!(message.subject.len() + reply + body <= CAPACITY);
        assert_eq!(message.headers.get("\n"), None);
        let block = message.headers.as_bytes();
        assert!(message.headers.status().is_none() || block.starts_with(b"NATS/1.0"));
        for (name, value) in message.headers.iter() {
            assert!(!name.contains('\n') && !value.contains('\n'));
        }
    }
}

/// A session that a server talks to, and that answers everything: what it says are whole lines.
pub(crate) fn session(data: &[u8]) {
    let inbox = Subject::new("_INBOX.x").expect("it is a subject");
    let mut session = Session::<CAPACITY, 256, 2, 8>::new(inbox, Keepalive::default())
        .expect("the inbox is short");
    let filter = Filter::new("a.>").expect("it is a filter");
    session.subscribe(filter, None).expect("the table has room");
    let connect = Connect {
        name: "",
        echo: false,
        credentials: Credentials::None,
    };
    let mut output = Vec::new();
    let mut rest = data;
    while let Ok((taken, event)) = session.receive(rest) {
        let is_question = matches!(event, Some(Event::Message { .. }));
        let is_news = matches!(event, Some(Event::Info(_)));
        if is_news {
            session.connect(&connect).ok();
        }
        if is_question {
            session.respond(&[("a", "b")], b"answer").ok();
            session.request(inbox, &[], b"").ok();
            session.publish(&Publish::new(inbox, b"payload")).ok();
        }
        output.extend_from_slice(session.output());
        session.sent(usize::MAX);
        rest = &rest[taken..];
        if rest.is_empty() {
            break;
        }
    }
    assert!(output.is_empty() || output.ends_with(b"\r\n"));
    assert!(output.is_empty() || output.starts_with(b"CONNECT {"));
    session.reset();
    assert!(session.output().is_empty());
}
