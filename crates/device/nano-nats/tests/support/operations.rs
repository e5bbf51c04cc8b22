//! What clients and servers say, written and read by code that shares nothing with the library.

/// What a server says, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FromServer {
    Info {
        max_payload: u32,
    },
    Message {
        sid: u32,
        subject: String,
        reply: Option<String>,
        headers: Vec<u8>,
        payload: Vec<u8>,
    },
    Skipped {
        sid: u32,
        length: usize,
    },
    Ping,
    Pong,
    Ok,
    Error(String),
}

impl FromServer {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Info { max_payload } => {
                let urls = "\"10.0.0.1:4222\",".repeat(50);
                let json =
                    format!("{{\"connect_urls\":[{urls}\"\"],\"max_payload\":{max_payload}}}");
                format!("INFO {json}\r\n").into_bytes()
            }
            Self::Message {
                sid,
                subject,
                reply,
                headers,
                payload,
            } => {
                let reply = reply
                    .as_ref()
                    .map_or(String::new(), |reply| format!("{reply} "));
                let total = headers.len() + payload.len();
                let line = match headers.is_empty() {
                    true => format!("MSG {subject} {sid} {reply}{total}\r\n"),
                    false => format!("HMSG {subject} {sid} {reply}{} {total}\r\n", headers.len()),
                };
                [line.as_bytes(), headers, payload, b"\r\n"].concat()
            }
            Self::Skipped { .. } => unreachable!("servers do not skip"),
            Self::Ping => b"PING\r\n".to_vec(),
            Self::Pong => b"PONG\r\n".to_vec(),
            Self::Ok => b"+OK\r\n".to_vec(),
            Self::Error(text) => format!("-ERR '{text}'\r\n").into_bytes(),
        }
    }
}

/// What a client says, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FromClient {
    Connect(serde_json::Value),
    Publish {
        subject: String,
        reply: Option<String>,
        headers: Vec<(String, String)>,
        payload: Vec<u8>,
    },
    Subscribe {
        filter: String,
        queue: Option<String>,
        sid: u32,
    },
    Unsubscribe {
        sid: u32,
        after: Option<u32>,
    },
    Ping,
    Pong,
}

/// Reads what a client wrote; fails on anything but whole operations.
pub(crate) fn read_client(mut bytes: &[u8]) -> Vec<FromClient> {
    let mut operations = Vec::new();
    while !bytes.is_empty() {
        let line_end = bytes
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .expect("a line ends");
        let line = std::str::from_utf8(&bytes[..line_end]).unwrap();
        bytes = &bytes[line_end + 2..];
        let (operation, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = arguments.split(' ').collect();
        let mut body = |length: &str| {
            let length: usize = length.parse().unwrap();
            let (body, rest) = bytes.split_at(length);
            bytes = rest
                .strip_prefix(b"\r\n")
                .expect("a message ends with a line end");
            body.to_vec()
        };
        operations.push(match (operation, words.as_slice()) {
            ("CONNECT", _) => FromClient::Connect(serde_json::from_str(arguments).unwrap()),
            ("PUB", [subject, reply @ .., length]) => FromClient::Publish {
                subject: (*subject).to_owned(),
                reply: reply.first().map(|reply| (*reply).to_owned()),
                headers: Vec::new(),
                payload: body(length),
            },
            ("HPUB", [subject, reply @ .., header_length, length]) => {
                let body = body(length);
                let (block, payload) = body.split_at(header_length.parse().unwrap());
                FromClient::Publish {
                    subject: (*subject).to_owned(),
                    reply: reply.first().map(|reply| (*reply).to_owned()),
                    headers: read_headers(block),
                    payload: payload.to_vec(),
                }
            }
            ("SUB", [filter, queue @ .., sid]) => FromClient::Subscribe {
                filter: (*filter).to_owned(),
                queue: queue.first().map(|queue| (*queue).to_owned()),
                sid: sid.parse().unwrap(),
            },
            ("UNSUB", [sid, after @ ..]) => FromClient::Unsubscribe {
                sid: sid.parse().unwrap(),
                after: after.first().map(|after| after.parse().unwrap()),
            },
            ("PING", [""]) => FromClient::Ping,
            ("PONG", [""]) => FromClient::Pong,
            _ => panic!("{line:?} is no operation of a client"),
        });
    }
    operations
}

fn read_headers(block: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(block).unwrap();
    let lines = text
        .strip_prefix("NATS/1.0\r\n")
        .unwrap()
        .strip_suffix("\r\n")
        .unwrap();
    let lines = lines.split_terminator("\r\n");
    lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}
