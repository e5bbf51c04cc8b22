//! From bytes to what the server says.

use crate::info::InfoScanner;
use crate::message::{Message, SkipReason, Skipped};
use crate::{Headers, ServerInfo};

/// Why the bytes are not those of a NATS server. The connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A line begins with no operation that a server sends.
    #[error("the server sent an operation that is not known, beginning with {beginning:02x?}")]
    UnknownOperation {
        /// Its first bytes, in upper case, zeros after it.
        beginning: [u8; 4],
    },
    /// `MSG` or `HMSG` with too few, too many or senseless arguments.
    #[error("the server sent a message with arguments that make no sense")]
    InvalidArguments,
    /// No JSON object with `max_payload` after `INFO`, or a field of another type.
    #[error("the server sent an INFO that makes no sense")]
    InvalidInfo,
    /// A message is not followed by a line end, so its length was wrong.
    #[error("the server sent a message that does not end where it says")]
    MissingLineEnd,
}

/// One thing that the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerOperation<'a> {
    /// `INFO`.
    Info(&'a ServerInfo),
    /// `MSG` or `HMSG`.
    Message {
        /// The number of the subscription.
        sid: u32,
        /// The message.
        message: Message<'a>,
    },
    /// `MSG` or `HMSG` whose message is not kept.
    Skipped {
        /// The number of the subscription.
        sid: u32,
        /// As much of it as is known.
        skipped: Skipped<'a>,
    },
    /// `PING`, to be answered.
    Ping,
    /// `PONG`.
    Pong,
    /// `+OK`.
    Ok,
    /// `-ERR`, with the text as it is, in quotes; as much of it as the buffer holds and is UTF-8.
    Error(&'a str),
}

/// The arguments of `HMSG`: subject, number of the subscription, reply subject, two lengths.
const MAX_ARGUMENTS: usize = 5;

/// Reads what the server sends, however it is cut into pieces, with `N` bytes of memory.
///
/// The subject and reply subject of a message, its headers and its payload must fit in `N` bytes
/// together; a message that does not is reported and passed over. Nothing else has a limit:
/// `INFO` is read as it streams by.
///
/// ```
/// use nano_nats::{Parser, ServerOperation};
///
/// let mut parser = Parser::<256>::new();
/// let bytes = b"PING\r\nMSG plant.boiler 7 5\r\n21.37\r\n";
/// let (ping_end, operation) = parser.parse(bytes)?;
/// assert_eq!(operation, Some(ServerOperation::Ping));
/// let (_, operation) = parser.parse(&bytes[ping_end..])?;
/// let Some(ServerOperation::Message { sid: 7, message }) = operation else { panic!() };
/// assert_eq!(message.payload, b"21.37");
/// # Ok::<(), nano_nats::ProtocolError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Parser<const N: usize> {
    state: State,
    buffer: [u8; N],
    /// Bytes of the buffer in use.
    length: usize,
    info: ServerInfo,
    /// The message in the buffer, from its first line on to the next.
    frame: Frame,
}

#[derive(Debug, Clone)]
enum State {
    /// In the first word of a line.
    Operation { word: [u8; 4], length: usize },
    /// In the line of `INFO`.
    Info(InfoScanner),
    /// In the line of `MSG` or `HMSG`.
    Arguments(Arguments),
    /// In the line of `-ERR`.
    ErrorText,
    /// Behind `PING`, `PONG` or `+OK`.
    LineEnd(Bare),
    /// In a message that is kept.
    Payload { end: usize },
    /// In a message that is not.
    Discarding { left: usize },
    /// Behind a message.
    AfterPayload { line_feed_only: bool, is_kept: bool },
    /// Nothing can be read any more.
    Failed(ProtocolError),
}

/// Operations without arguments.
#[derive(Debug, Clone, Copy)]
enum Bare {
    Ping,
    Pong,
    Ok,
}

/// The arguments of a message as far as they were read.
#[derive(Debug, Clone)]
struct Arguments {
    has_headers: bool,
    found: [Argument; MAX_ARGUMENTS],
    count: usize,
    in_argument: bool,
    /// Bytes of the line, also those that the buffer has no room for.
    position: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Argument {
    start: usize,
    end: usize,
    number: Option<u32>,
}

/// Where in the buffer the parts of a message are.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    sid: u32,
    subject: (usize, usize),
    reply: Option<(usize, usize)>,
    body: usize,
    header_length: usize,
    total_length: usize,
    skipped: Option<SkipReason>,
}

/// What was read; its parts are still in the parser.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ready {
    Info,
    Message,
    Skipped,
    Ping,
    Pong,
    Ok,
    Error,
}

impl<const N: usize> Default for Parser<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Parser<N> {
    /// Before the first byte of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::start(),
            buffer: [0; N],
            length: 0,
            info: ServerInfo::default(),
            frame: Frame::default(),
        }
    }

    /// Forgets everything, for the first byte of the next connection.
    pub fn reset(&mut self) {
        self.state = State::start();
        self.length = 0;
        self.info = ServerInfo::default();
        self.frame = Frame::default();
    }

    /// Takes bytes up to the end of the next operation, and returns how many, and the operation.
    ///
    /// Without an operation all bytes are taken. The caller passes the others again.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`], and the same one at every later call until [`Parser::reset`].
    pub fn parse(
        &mut self,
        input: &[u8],
    ) -> Result<(usize, Option<ServerOperation<'_>>), ProtocolError> {
        let (taken, ready) = self.advance(input)?;
        Ok((taken, ready.map(|ready| self.view(ready))))
    }

    /// What the server last said of itself.
    #[must_use]
    pub const fn info(&self) -> &ServerInfo {
        &self.info
    }

    pub(crate) fn advance(
        &mut self,
        input: &[u8],
    ) -> Result<(usize, Option<Ready>), ProtocolError> {
        let mut taken = 0;
        while let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) {
            match self.step(rest) {
                Ok((count, ready)) => {
                    taken += count;
                    if ready.is_some() {
                        return Ok((taken, ready));
                    }
                }
                Err(error) => {
                    self.state = State::Failed(error);
                    return Err(error);
                }
            }
        }
        Ok((taken, None))
    }

    /// Takes at least one byte of some.
    fn step(&mut self, input: &[u8]) -> Result<(usize, Option<Ready>), ProtocolError> {
        let first = input[0];
        match &mut self.state {
            State::Operation { word, length } => {
                if !matches!(first, b' ' | b'\t' | b'\r' | b'\n') {
                    let Some(place) = word.get_mut(*length) else {
                        return Err(ProtocolError::UnknownOperation { beginning: *word });
                    };
                    *place = first.to_ascii_uppercase();
                    *length += 1;
                    return Ok((1, None));
                }
                let word = *word;
                self.begin(word)?;
                // The byte behind the word may be the line's end, which its state must see.
                Ok((usize::from(matches!(first, b' ' | b'\t')), None))
            }
            State::Info(scanner) => {
                for (index, byte) in input.iter().enumerate() {
                    if *byte == b'\n' {
                        self.info = scanner.finish()?;
                        self.state = State::start();
                        return Ok((index + 1, Some(Ready::Info)));
                    }
                    scanner.push(*byte)?;
                }
                Ok((input.len(), None))
            }
            State::Arguments(arguments) => {
                for (index, byte) in input.iter().enumerate() {
                    if *byte == b'\n' {
                        let frame = arguments.finish(N)?;
                        return Ok((index + 1, self.begin_message(frame)));
                    }
                    if let Some(place) = self.buffer.get_mut(arguments.position) {
                        *place = *byte;
                    }
                    arguments.push(*byte)?;
                }
                Ok((input.len(), None))
            }
            State::ErrorText => {
                let end = input.iter().position(|byte| *byte == b'\n');
                self.append(&input[..end.unwrap_or(input.len())]);
                match end {
                    Some(end) => {
                        self.state = State::start();
                        Ok((end + 1, Some(Ready::Error)))
                    }
                    None => Ok((input.len(), None)),
                }
            }
            State::LineEnd(bare) => {
                let ready = match bare {
                    Bare::Ping => Ready::Ping,
                    Bare::Pong => Ready::Pong,
                    Bare::Ok => Ready::Ok,
                };
                match first {
                    b'\n' => {
                        self.state = State::start();
                        Ok((1, Some(ready)))
                    }
                    b' ' | b'\t' | b'\r' => Ok((1, None)),
                    _ => Err(ProtocolError::InvalidArguments),
                }
            }
            State::Payload { end } => {
                let end = *end;
                let count = input.len().min(end - self.length);
                self.append(&input[..count]);
                if self.length == end {
                    self.state = State::AfterPayload {
                        line_feed_only: false,
                        is_kept: true,
                    };
                }
                Ok((count, None))
            }
            State::Discarding { left } => {
                let count = input.len().min(*left);
                *left -= count;
                if *left == 0 {
                    self.state = State::AfterPayload {
                        line_feed_only: false,
                        is_kept: false,
                    };
                }
                Ok((count, None))
            }
            State::AfterPayload {
                line_feed_only,
                is_kept,
            } => match (first, *line_feed_only) {
                (b'\r', false) => {
                    *line_feed_only = true;
                    Ok((1, None))
                }
                (b'\n', true) => {
                    let ready = is_kept.then_some(Ready::Message);
                    self.state = State::start();
                    Ok((1, ready))
                }
                _ => Err(ProtocolError::MissingLineEnd),
            },
            State::Failed(error) => Err(*error),
        }
    }

    /// Begins with an operation whose word was read.
    fn begin(&mut self, word: [u8; 4]) -> Result<(), ProtocolError> {
        self.length = 0;
        self.state = match &word {
            b"MSG\0" => State::Arguments(Arguments::new(false)),
            b"HMSG" => State::Arguments(Arguments::new(true)),
            b"INFO" => State::Info(InfoScanner::new()),
            b"PING" => State::LineEnd(Bare::Ping),
            b"PONG" => State::LineEnd(Bare::Pong),
            b"+OK\0" => State::LineEnd(Bare::Ok),
            b"-ERR" => State::ErrorText,
            _ => return Err(ProtocolError::UnknownOperation { beginning: word }),
        };
        Ok(())
    }

    /// Begins with the body of a message whose line was read.
    fn begin_message(&mut self, mut frame: Frame) -> Option<Ready> {
        let subjects = [Some(frame.subject), frame.reply];
        let is_text = |(start, end)| {
            let bytes = self.buffer.get(start..end);
            bytes.is_some_and(|bytes| core::str::from_utf8(bytes).is_ok())
        };
        if frame.skipped.is_none() && !subjects.into_iter().flatten().all(is_text) {
            frame.skipped = Some(SkipReason::NotUtf8);
        }
        self.frame = frame;
        if frame.skipped.is_some() {
            self.state = match frame.total_length {
                0 => State::AfterPayload {
                    line_feed_only: false,
                    is_kept: false,
                },
                left => State::Discarding { left },
            };
            return Some(Ready::Skipped);
        }
        self.length = frame.body;
        self.state = match frame.total_length {
            0 => State::AfterPayload {
                line_feed_only: false,
                is_kept: true,
            },
            length => State::Payload {
                end: frame.body + length,
            },
        };
        None
    }

    /// Adds bytes to the buffer, as many as fit.
    fn append(&mut self, bytes: &[u8]) {
        let room = &mut self.buffer[self.length..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.length += count;
    }

    /// What was read last.
    pub(crate) fn view(&self, ready: Ready) -> ServerOperation<'_> {
        match ready {
            Ready::Info => ServerOperation::Info(&self.info),
            Ready::Message => ServerOperation::Message {
                sid: self.frame.sid,
                message: self.message(),
            },
            Ready::Skipped => ServerOperation::Skipped {
                sid: self.frame.sid,
                skipped: self.skipped(),
            },
            Ready::Ping => ServerOperation::Ping,
            Ready::Pong => ServerOperation::Pong,
            Ready::Ok => ServerOperation::Ok,
            Ready::Error => ServerOperation::Error(self.text(0, self.length).trim()),
        }
    }

    /// The reply subject of the message that was read last.
    pub(crate) fn reply_subject(&self) -> Option<&str> {
        let (start, end) = self.frame.reply?;
        Some(self.text(start, end))
    }

    /// The number of the subscription that the last message was for.
    pub(crate) const fn last_sid(&self) -> u32 {
        self.frame.sid
    }

    pub(crate) fn message(&self) -> Message<'_> {
        let frame = &self.frame;
        let payload = frame.body + frame.header_length;
        let end = frame.body + frame.total_length;
        Message {
            subject: self.text(frame.subject.0, frame.subject.1),
            reply_to: self.reply_subject(),
            headers: Headers::new(self.buffer.get(frame.body..payload).unwrap_or_default()),
            payload: self.buffer.get(payload..end).unwrap_or_default(),
        }
    }

    pub(crate) fn skipped(&self) -> Skipped<'_> {
        let (start, end) = self.frame.subject;
        Skipped {
            subject: self.text(start, end.min(N)),
            length: self.frame.total_length,
            reason: self.frame.skipped.unwrap_or(SkipReason::NotUtf8),
        }
    }

    /// Bytes of the buffer, as far as they are UTF-8.
    fn text(&self, start: usize, end: usize) -> &str {
        let bytes = self.buffer.get(start..end).unwrap_or_default();
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                core::str::from_utf8(valid).unwrap_or_default()
            }
        }
    }
}

impl State {
    const fn start() -> Self {
        Self::Operation {
            word: [0; 4],
            length: 0,
        }
    }
}

impl Arguments {
    fn new(has_headers: bool) -> Self {
        Self {
            has_headers,
            found: [Argument::default(); MAX_ARGUMENTS],
            count: 0,
            in_argument: false,
            position: 0,
        }
    }

    /// Takes the next byte of the line.
    fn push(&mut self, byte: u8) -> Result<(), ProtocolError> {
        let is_space = matches!(byte, b' ' | b'\t' | b'\r');
        if !is_space {
            if !self.in_argument {
                let next = self.found.get_mut(self.count);
                let next = next.ok_or(ProtocolError::InvalidArguments)?;
                next.start = self.position;
                next.number = Some(0);
                self.count += 1;
            }
            let current = &mut self.found[self.count - 1];
            let digit = char::from(byte).to_digit(10);
            current.number = current
                .number
                .zip(digit)
                .and_then(|(number, digit)| number.checked_mul(10)?.checked_add(digit));
            current.end = self.position.saturating_add(1);
        }
        self.in_argument = !is_space;
        self.position = self.position.saturating_add(1);
        Ok(())
    }

    /// What the line says, for a buffer of so many bytes.
    fn finish(&self, capacity: usize) -> Result<Frame, ProtocolError> {
        let lengths = 1 + usize::from(self.has_headers);
        let found = self.found.get(..self.count).unwrap_or_default();
        let (subject, sid, reply, lengths) = match found {
            [subject, sid, rest @ ..] if rest.len() == lengths => (subject, sid, None, rest),
            [subject, sid, reply, rest @ ..] if rest.len() == lengths => {
                (subject, sid, Some((reply.start, reply.end)), rest)
            }
            _ => return Err(ProtocolError::InvalidArguments),
        };
        let number = |argument: &Argument| argument.number.ok_or(ProtocolError::InvalidArguments);
        let sid = number(sid)?;
        let (header_length, total_length) = match lengths {
            [total] => (0, number(total)?),
            [headers, total] => (number(headers)?, number(total)?),
            _ => return Err(ProtocolError::InvalidArguments),
        };
        if header_length > total_length {
            return Err(ProtocolError::InvalidArguments);
        }
        let length = |length| usize::try_from(length).map_err(|_| ProtocolError::InvalidArguments);
        let (header_length, total_length) = (length(header_length)?, length(total_length)?);
        // Behind the subjects, where the rest of the line was.
        let body = reply.map_or(subject.end, |(_, end)| end);
        let fits = body
            .checked_add(total_length)
            .is_some_and(|end| end <= capacity);
        Ok(Frame {
            sid,
            subject: (subject.start, subject.end),
            reply,
            body,
            header_length,
            total_length,
            skipped: (!fits).then_some(SkipReason::TooLong { capacity }),
        })
    }
}
