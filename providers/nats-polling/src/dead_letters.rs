//! What could not be recorded in any form: kept with the reason in a stream of its own, shown, and retried or
//! dropped by an operator.
//!
//! A dead letter that is retried goes back to the lane that it came from, behind what waits there. Should a
//! crash come between that and its removal here, it is there twice, and the log appends nothing twice.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::context::Publish;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageErrorKind};
use bytes::Bytes;
use fieldledger_contract::{WallTime, field, limits};
use futures::{StreamExt, TryStreamExt};

use crate::backlog::decode;
use crate::storage::{DEAD_LETTERS, Storage, StorageError, TIMEOUT};

/// The headers that say why it is there, how often it was tried, and where it came from.
const REASON: &str = "Fieldledger-Reason";
const ATTEMPTS: &str = "Fieldledger-Attempts";
const SUBJECT: &str = "Fieldledger-Subject";

/// Most sensors that are named.
const NAMED_SENSORS: usize = 100;

/// What is to be given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeadLetter<'a> {
    pub(crate) id: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) attempts: u32,
    /// Where it was stored before, and its number there.
    pub(crate) subject: &'a str,
    pub(crate) sequence: u64,
    pub(crate) payload: &'a Bytes,
}

/// How many there are, and when the oldest was put aside, microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Letters {
    /// How many.
    pub count: u64,
    /// The oldest.
    pub oldest: Option<u64>,
}

/// One that is stored.
#[derive(Debug)]
pub(crate) struct StoredLetter {
    sequence: u64,
    stored_at: WallTime,
    headers: HeaderMap,
    payload: Bytes,
}

/// Why a dead letter cannot be retried or dropped.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// There is none of that id.
    #[error("there is no dead letter {0:?}")]
    Unknown(String),
    /// Its headers do not say where it came from.
    #[error("the dead letter does not say which lane it came from")]
    NoLane,
    /// JetStream cannot be asked now.
    #[error("the dead letters cannot be reached")]
    Storage(#[source] StorageError),
}

impl LetterError {
    /// Of any error that means: not now.
    pub(crate) fn of(error: impl Into<StorageError>) -> Self {
        Self::Storage(error.into())
    }
}

impl StoredLetter {
    fn of(message: StreamMessage) -> Self {
        Self {
            sequence: message.sequence,
            stored_at: micros(message.time.unix_timestamp_nanos()),
            headers: message.headers,
            payload: message.payload,
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.as_str())
    }

    /// As it is shown, with what it holds or without.
    fn shown(&self, instance: &str, with_content: bool) -> field::DeadLetter {
        let batch = decode(&self.payload).unwrap_or_default();
        let content = match with_content {
            true => limits::cut(
                &String::from_utf8_lossy(&self.payload),
                limits::TEXT_CHARACTERS,
            ),
            false => String::new(),
        };
        let is_named = |place: &usize| {
            let sensor = u32::try_from(*place).unwrap_or(u32::MAX);
            batch.sensor.contains(&sensor)
        };
        let sensors = (0..batch.sensors.len()).filter(is_named);
        field::DeadLetter {
            id: format!("{instance}.{}", self.sequence),
            stored_at: self.stored_at,
            reason: self.header(REASON).to_owned(),
            attempts: self.header(ATTEMPTS).parse().unwrap_or(0),
            results: u32::try_from(batch.sensor.len()).unwrap_or(u32::MAX),
            sensors: sensors
                .take(NAMED_SENSORS)
                .map(|place| limits::cut(&batch.sensors[place].id, limits::NAME_CHARACTERS))
                .collect(),
            bytes: self.payload.len() as u64,
            content,
        }
    }
}

impl Storage {
    /// The subject of this instance's dead letters.
    fn dead(&self) -> String {
        format!("fieldledger.dead.{}", self.instance)
    }

    /// Stores what could not be delivered, with the reason in its headers.
    pub(crate) async fn store_dead_letter(
        &self,
        letter: DeadLetter<'_>,
    ) -> Result<(), StorageError> {
        let mut headers = HeaderMap::new();
        // What is retried and fails again is another message of its lane, and another dead letter.
        let message_id = format!("dead-{}-{}", letter.sequence, letter.id);
        headers.insert(NATS_MESSAGE_ID, message_id.as_str());
        headers.insert(REASON, one_line(letter.reason).as_str());
        headers.insert(ATTEMPTS, letter.attempts.to_string().as_str());
        headers.insert(SUBJECT, letter.subject);
        self.context
            .publish_with_headers(self.dead(), headers, letter.payload.clone())
            .await?
            .await?;
        Ok(())
    }

    /// How many there are of this instance, and since when.
    pub(crate) async fn letters(&self) -> Result<Letters, StorageError> {
        let stream = self.context.get_stream_no_info(DEAD_LETTERS).await?;
        let mut subjects = stream.info_with_subjects(self.dead()).await?;
        let mut count = 0;
        while let Some((_, messages)) = subjects.try_next().await? {
            count += messages as u64;
        }
        if count == 0 {
            return Ok(Letters::default());
        }
        let oldest = match stream
            .get_first_raw_message_by_subject(self.dead(), 1)
            .await
        {
            Ok(message) => Some(micros(message.time.unix_timestamp_nanos()).micros),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Letters { count, oldest })
    }

    /// Dead letters of this instance, oldest first.
    pub(crate) async fn list_letters(
        &self,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<field::DeadLetter>, StorageError> {
        let config = pull::OrderedConfig {
            filter_subject: self.dead(),
            ..pull::OrderedConfig::default()
        };
        let stream = self.context.get_stream_no_info(DEAD_LETTERS).await?;
        let consumer = stream.create_consumer(config).await?;
        let there = usize::try_from(consumer.cached_info().num_pending).unwrap_or(usize::MAX);
        let wanted = there.min(offset.saturating_add(limit));
        let mut messages = consumer.messages().await?;
        let mut letters = Vec::new();
        for place in 0..wanted {
            let next = tokio::time::timeout(TIMEOUT, messages.next()).await?;
            let message = next.ok_or("the dead letters' consumer ended early")??;
            if place < offset {
                continue;
            }
            let info = message.info()?;
            let letter = StoredLetter {
                sequence: info.stream_sequence,
                stored_at: micros(info.published.unix_timestamp_nanos()),
                headers: message.headers.clone().unwrap_or_default(),
                payload: message.payload.clone(),
            };
            letters.push(letter.shown(&self.instance, false));
        }
        Ok(letters)
    }

    /// The dead letter of this id.
    pub(crate) async fn show_letter(&self, id: &str) -> Result<field::DeadLetter, LetterError> {
        let letter = self.letter(id).await?;
        Ok(letter.shown(&self.instance, true))
    }

    /// Puts a dead letter back to the lane that it came from.
    pub(crate) async fn retry_letter(&self, id: &str) -> Result<(), LetterError> {
        let letter = self.letter(id).await?;
        let lane = letter.header(SUBJECT).rsplit('.').next();
        let lane: u32 = lane
            .and_then(|lane| lane.parse().ok())
            .filter(|lane| letter.header(SUBJECT) == self.lane(*lane))
            .ok_or(LetterError::NoLane)?;
        // Asked for twice, it is there once.
        let publish = Publish::build()
            .message_id(format!("retry-{}-{}", self.instance, letter.sequence))
            .payload(letter.payload);
        let sent = self.context.send_publish(self.lane(lane), publish).await;
        sent.map_err(LetterError::of)?
            .await
            .map_err(LetterError::of)?;
        self.remove(letter.sequence).await
    }

    /// Removes a dead letter for good.
    pub(crate) async fn drop_letter(&self, id: &str) -> Result<(), LetterError> {
        let letter = self.letter(id).await?;
        self.remove(letter.sequence).await
    }

    async fn remove(&self, sequence: u64) -> Result<(), LetterError> {
        let stream = self.context.get_stream_no_info(DEAD_LETTERS).await;
        let stream = stream.map_err(LetterError::of)?;
        let removed = stream.delete_message(sequence).await;
        removed.map(drop).map_err(LetterError::of)
    }

    async fn letter(&self, id: &str) -> Result<StoredLetter, LetterError> {
        let unknown = || LetterError::Unknown(limits::cut(id, limits::NAME_CHARACTERS));
        let number = id.strip_prefix(&self.instance);
        let number = number.and_then(|rest| rest.strip_prefix('.'));
        let sequence: u64 = number
            .and_then(|number| number.parse().ok())
            .ok_or_else(unknown)?;
        let stream = self.context.get_stream_no_info(DEAD_LETTERS).await;
        let stream = stream.map_err(LetterError::of)?;
        match stream.get_raw_message(sequence).await {
            Ok(message) if message.subject.as_str() == self.dead() => Ok(StoredLetter::of(message)),
            Ok(_) => Err(unknown()),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Err(unknown()),
            Err(error) => Err(LetterError::of(error)),
        }
    }
}

fn micros(nanoseconds: i128) -> WallTime {
    WallTime::from_micros(u64::try_from(nanoseconds / 1_000).unwrap_or(0))
}

/// A header is one line, and not too long a one.
fn one_line(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(printable).take(1_000).collect()
}
