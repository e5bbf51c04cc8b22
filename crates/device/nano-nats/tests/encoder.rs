//! The encoder: what it writes is read again, by code that shares nothing with it.
#![allow(clippy::unwrap_used)]

mod support;

use fieldledger_chance::proptest_config;
use nano_nats::{ClientOperation, Connect, Credentials, EncodeError, Filter, Publish, Subject};
use proptest::prelude::*;
use support::operations::{FromClient, read_client};

/// Writes an operation, and checks that it takes what it says.
fn encode(operation: &ClientOperation<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = vec![0xaa; 4_096];
    let length = operation.encode(&mut buffer)?;
    assert!(
        buffer[length..].iter().all(|byte| *byte == 0xaa),
        "it keeps to its length"
    );
    buffer.truncate(length);
    let mut exact = vec![0; length];
    assert_eq!(operation.encode(&mut exact), Ok(length));
    assert_eq!(exact, buffer);
    let mut short = vec![0; length - 1];
    let no_room = EncodeError::NoRoom {
        needed: length,
        available: length - 1,
    };
    assert_eq!(operation.encode(&mut short), Err(no_room));
    Ok(buffer)
}

const NAME: &str = "[a-zä]{1,6}(\\.[a-z]{1,9}){0,3}";

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn messages(
        subject in NAME,
        reply in prop::option::of(NAME),
        headers in prop::collection::vec(("[!-9;-~]{1,9}", "[a-zä:]{0,9}"), 0..4),
        payload in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let pairs: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let publish = Publish {
            subject: Subject::new(&subject).unwrap(),
            reply_to: reply.as_deref().map(|reply| Subject::new(reply).unwrap()),
            headers: &pairs,
            payload: &payload,
        };
        let bytes = encode(&ClientOperation::Publish(publish)).unwrap();
        let meant = FromClient::Publish { subject, reply, headers: headers.clone(), payload };
        prop_assert_eq!(read_client(&bytes), [meant]);
    }

    #[test]
    fn headers_cannot_begin_a_line(name in "\\PC{0,3}[\r\n: ]?\\PC{0,3}", value in "\\PC{0,3}[\r\n]{0,2}\\PC{0,3}") {
        let pairs = [("Good", "1"), (name.as_str(), value.as_str())];
        let publish = Publish {
            headers: &pairs,
            ..Publish::new(Subject::new("a").unwrap(), b"payload")
        };
        match encode(&ClientOperation::Publish(publish)) {
            Ok(bytes) => {
                let [FromClient::Publish { headers, .. }] = &read_client(&bytes)[..] else { panic!() };
                prop_assert_eq!(headers, &[("Good".into(), "1".into()), (name, value)]);
            }
            Err(error) => prop_assert_eq!(error, EncodeError::InvalidHeader { index: 1 }),
        }
    }

    #[test]
    fn subscriptions(filter in "([a-z]{1,5}|\\*)(\\.([a-z]{1,5}|\\*)){0,3}(\\.>)?", queue in prop::option::of(NAME), sid: u32, after: Option<u32>) {
        let subscribe = ClientOperation::Subscribe {
            filter: Filter::new(&filter).unwrap(),
            queue: queue.as_deref().map(|queue| Subject::new(queue).unwrap()),
            sid,
        };
        let bytes = [
            encode(&subscribe).unwrap(),
            encode(&ClientOperation::Unsubscribe { sid, after }).unwrap(),
            encode(&ClientOperation::Ping).unwrap(),
            encode(&ClientOperation::Pong).unwrap(),
        ];
        let meant = [
            FromClient::Subscribe { filter, queue, sid },
            FromClient::Unsubscribe { sid, after },
            FromClient::Ping,
            FromClient::Pong,
        ];
        prop_assert_eq!(read_client(&bytes.concat()), meant);
    }

    #[test]
    fn introductions(name in any::<String>(), user in any::<String>(), password in any::<String>(), echo: bool) {
        let credentials = Credentials::Password { user: &user, password: &password };
        let connect = Connect { name: &name, echo, credentials };
        let bytes = encode(&ClientOperation::Connect(connect)).unwrap();
        let [FromClient::Connect(json)] = &read_client(&bytes)[..] else { panic!() };
        prop_assert_eq!(json["name"].as_str(), Some(name.as_str()));
        prop_assert_eq!(json["user"].as_str(), Some(user.as_str()));
        prop_assert_eq!(json["pass"].as_str(), Some(password.as_str()));
        prop_assert_eq!(json["echo"].as_bool(), Some(echo));
        prop_assert_eq!(json["headers"].as_bool(), Some(true));
        prop_assert_eq!(json.get("auth_token"), None);
    }
}

#[test]
fn secrets_are_not_shown() {
    let all = [
        Credentials::Token("s3cret"),
        Credentials::Password {
            user: "ann",
            password: "s3cret",
        },
        Credentials::Signature {
            nkey: None,
            jwt: Some("s3cret"),
            signature: "s3cret",
        },
    ];
    for credentials in all {
        let connect = Connect {
            name: "a",
            echo: false,
            credentials,
        };
        let shown = format!("{:?}", ClientOperation::Connect(connect));
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
