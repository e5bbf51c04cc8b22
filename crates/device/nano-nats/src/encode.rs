//! What a client says, written into a buffer that is given.

use core::fmt::{self, Write as _};

use crate::headers::{VERSION_LINE, can_be_sent};
use crate::{Filter, Subject};

/// Why an operation was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// It is longer than the buffer.
    #[error("the operation takes {needed} bytes, and the buffer has {available}")]
    NoRoom {
        /// Bytes of the operation.
        needed: usize,
        /// Bytes of the buffer.
        available: usize,
    },
    /// A header's name is not visible ASCII without a colon, or its value has a line end.
    #[error("header {index} has a name or value that cannot be sent")]
    InvalidHeader {
        /// Its place among the headers, from 0.
        index: usize,
    },
}

/// One thing that a client says.
#[derive(Debug, Clone, Copy)]
pub enum ClientOperation<'a> {
    /// `CONNECT`.
    Connect(Connect<'a>),
    /// `PUB`, or `HPUB` where there are headers.
    Publish(Publish<'a>),
    /// `SUB`.
    Subscribe {
        /// What to subscribe to.
        filter: Filter<'a>,
        /// The group whose members share the messages.
        queue: Option<Subject<'a>>,
        /// The number of the subscription, chosen by the client.
        sid: u32,
    },
    /// `UNSUB`.
    Unsubscribe {
        /// The number of the subscription.
        sid: u32,
        /// End it after so many messages, counted from its beginning, instead of now.
        after: Option<u32>,
    },
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
}

/// A message to publish.
#[derive(Debug, Clone, Copy)]
pub struct Publish<'a> {
    /// Where to.
    pub subject: Subject<'a>,
    /// Where an answer is awaited.
    pub reply_to: Option<Subject<'a>>,
    /// Names and values of its headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// What it carries.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// A message without headers that awaits no answer.
    #[must_use]
    pub const fn new(subject: Subject<'a>, payload: &'a [u8]) -> Self {
        Self {
            subject,
            reply_to: None,
            headers: &[],
            payload,
        }
    }
}

/// What a client says of itself when it connects.
///
/// `verbose` and `pedantic` are off; headers and notices of missing responders are on.
#[derive(Debug, Clone, Copy)]
pub struct Connect<'a> {
    /// A name that shows in the server's monitoring.
    pub name: &'a str,
    /// Whether messages that this client publishes come to its own subscriptions.
    pub echo: bool,
    /// Who the client is.
    pub credentials: Credentials<'a>,
}

/// Who a client is. [`fmt::Debug`] shows no secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// The server asks nobody.
    None,
    /// A token.
    Token(&'a str),
    /// A user and a password.
    Password {
        /// The user's name.
        user: &'a str,
        /// The password.
        password: &'a str,
    },
    /// The server's nonce, signed.
    Signature {
        /// The user's public nkey (`U…`), where the server's configuration lists it.
        nkey: Option<&'a str>,
        /// The user's JWT, where an account's key has issued one.
        jwt: Option<&'a str>,
        /// The signature of the nonce, in base64 for URLs, without padding.
        signature: &'a str,
    },
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("None"),
            Self::Token(_) => formatter.write_str("Token(…)"),
            Self::Password { user, .. } => write!(formatter, "Password({user:?}, …)"),
            Self::Signature { nkey, .. } => write!(formatter, "Signature({nkey:?}, …)"),
        }
    }
}

impl ClientOperation<'_> {
    /// Writes the whole operation to the beginning of a buffer, and returns how many bytes it has.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]. What the buffer then holds means nothing.
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        let mut output = Output { buffer, length: 0 };
        match self {
            Self::Connect(connect) => connect.write(&mut output),
            Self::Publish(publish) => publish.write(&mut output)?,
            Self::Subscribe { filter, queue, sid } => {
                output.text("SUB ");
                output.text(filter.as_str());
                if let Some(queue) = queue {
                    output.text(" ");
                    output.text(queue.as_str());
                }
                output.text(" ");
                output.number(*sid as usize);
                output.text("\r\n");
            }
            Self::Unsubscribe { sid, after } => {
                output.text("UNSUB ");
                output.number(*sid as usize);
                if let Some(after) = after {
                    output.text(" ");
                    output.number(*after as usize);
                }
                output.text("\r\n");
            }
            Self::Ping => output.text("PING\r\n"),
            Self::Pong => output.text("PONG\r\n"),
        }
        output.finish()
    }
}

impl Publish<'_> {
    /// Bytes of headers and payload, which the server's `max_payload` bounds.
    #[must_use]
    pub fn body_length(&self) -> usize {
        self.header_length() + self.payload.len()
    }

    fn header_length(&self) -> usize {
        if self.headers.is_empty() {
            return 0;
        }
        let lines = self.headers.iter();
        let lines: usize = lines
            .map(|(name, value)| name.len() + value.len() + 4)
            .sum();
        VERSION_LINE.len() + 2 + lines + 2
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), EncodeError> {
        let headers = self.headers.iter();
        for (index, (name, value)) in headers.enumerate() {
            if !can_be_sent(name, value) {
                return Err(EncodeError::InvalidHeader { index });
            }
        }
        let header_length = self.header_length();
        output.text(if header_length > 0 { "HPUB " } else { "PUB " });
        output.text(self.subject.as_str());
        output.text(" ");
        if let Some(reply_to) = self.reply_to {
            output.text(reply_to.as_str());
            output.text(" ");
        }
        if header_length > 0 {
            output.number(header_length);
            output.text(" ");
        }
        output.number(header_length + self.payload.len());
        output.text("\r\n");
        if header_length > 0 {
            output.bytes(VERSION_LINE);
            output.text("\r\n");
            for (name, value) in self.headers {
                output.text(name);
                output.text(": ");
                output.text(value);
                output.text("\r\n");
            }
            output.text("\r\n");
        }
        output.bytes(self.payload);
        output.text("\r\n");
        Ok(())
    }
}

impl Connect<'_> {
    fn write(&self, output: &mut Output<'_>) {
        output.text("CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"rust\"");
        output.text(",\"version\":\"");
        output.text(env!("CARGO_PKG_VERSION"));
        output.text("\",\"protocol\":1,\"headers\":true,\"no_responders\":true,\"echo\":");
        output.text(if self.echo { "true" } else { "false" });
        output.field("name", self.name);
        match self.credentials {
            Credentials::None => {}
            Credentials::Token(token) => output.field("auth_token", token),
            Credentials::Password { user, password } => {
                output.field("user", user);
                output.field("pass", password);
            }
            Credentials::Signature {
                nkey,
                jwt,
                signature,
            } => {
                if let Some(nkey) = nkey {
                    output.field("nkey", nkey);
                }
                if let Some(jwt) = jwt {
                    output.field("jwt", jwt);
                }
                output.field("sig", signature);
            }
        }
        output.text("}\r\n");
    }
}

/// A buffer that counts on where it ends, so that an error can tell how much was missing.
struct Output<'b> {
    buffer: &'b mut [u8],
    length: usize,
}

impl Output<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(room) = self.buffer.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
        }
        self.length = end;
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: usize) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        let mut rest = number;
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.bytes(&digits[start..]);
    }

    /// A field of a JSON object that is not its first, with a text.
    fn field(&mut self, name: &str, value: &str) {
        self.text(",\"");
        self.text(name);
        self.text("\":\"");
        for character in value.chars() {
            match character {
                '"' | '\\' => {
                    self.text("\\");
                    self.character(character);
                }
                '\0'..' ' => {
                    // Never fails: `Output` takes everything.
                    write!(self, "\\u{:04x}", u32::from(character)).ok();
                }
                _ => self.character(character),
            }
        }
        self.text("\"");
    }

    fn character(&mut self, character: char) {
        self.text(character.encode_utf8(&mut [0; 4]));
    }

    fn finish(&self) -> Result<usize, EncodeError> {
        let (needed, available) = (self.length, self.buffer.len());
        match needed <= available {
            true => Ok(needed),
            false => Err(EncodeError::NoRoom { needed, available }),
        }
    }
}

impl fmt::Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }
}
