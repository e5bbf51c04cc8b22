//! What an instance keeps in JetStream: batches on their way, batches given up, known sensors, their
//! keys, and the list of servers that counts.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull, push};
use async_nats::jetstream::context::Publish;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    self as stored_stream, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType,
    Stream,
};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use fieldledger_polling::brokers::Ordered;
use fieldledger_polling::{Keys, Memory};
use futures::{StreamExt, TryStreamExt, stream};
use tracing::info;
use uuid::Uuid;

use crate::room::Level;

/// Work queue of batches, subjects `fieldledger.polls.<instance>.<lane>`.
const POLLS: &str = "FIELDLEDGER_POLLS";
/// Batches given up, subjects `fieldledger.dead.<instance>`.
pub(crate) const DEAD_LETTERS: &str = "FIELDLEDGER_DEAD_LETTERS";
/// Events on their way to the log, on the subject that the settings name.
const EVENTS: &str = "FIELDLEDGER_EVENTS";
/// Where the event logger is handed them, and what it is to the server.
const EVENTS_DELIVERED: &str = "fieldledger.events";
const EVENT_LOGGER: &str = "event-logger";
/// Most bytes of events that wait. A full stream takes no more, and programs are not told.
const EVENTS_BYTES: i64 = 64 << 20;
/// The host ends a call of the event logger after 30 s; what it has not acknowledged then comes again.
const EVENTS_ACK_WAIT: Duration = Duration::from_secs(40);
/// Events handed to the event logger at a time. It has 8 instances, and takes a few milliseconds each.
const EVENTS_UNDER_WAY: i64 = 64;

/// Known sensors, keys `<instance>.<sensor id>`.
const SENSORS: &str = "FIELDLEDGER_SENSORS";

/// Keys of sensors, as operators decided; keys `<instance>.<sensor id>`.
const KEYS: &str = "FIELDLEDGER_KEYS";

/// Lists of servers that operators have sent, keys `<instance>`.
const BROKERS: &str = "FIELDLEDGER_BROKERS";

/// Records written at a time when all of them are.
const CONCURRENCY: usize = 16;

/// How long JetStream may take to acknowledge a write, or to answer a question.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// A cluster that has just lost a node answers no question for some seconds. Rather than wait for an
/// answer that will not come, what failed is tried again after this time.
const MEND_WITHIN: Duration = Duration::from_secs(1);

/// Its consumer takes a cluster an election, between servers that are there.
const CONSUMER_WITHIN: Duration = Duration::from_secs(2);

/// After this time without a sign of life from us, the server delivers a batch again. Signs are sent
/// every 3 s; a lane whose batch was lost with a connection stands still for as long as this.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// How long the server remembers message ids, so that a batch published twice is stored once. A
/// longer interruption is the ledger's to sort out: it appends nothing twice.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Errors of many kinds that all mean: not now.
pub(crate) type StorageError = Box<dyn std::error::Error + Send + Sync>;

/// The streams and the bucket, and this instance's part of them.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) context: Context,
    pub(crate) instance: String,
    replicas: usize,
}

impl Storage {
    /// Creates what is missing.
    pub(crate) async fn open(
        client: &Client,
        instance: &str,
        replicas: usize,
    ) -> Result<Self, StorageError> {
        let mut context = jetstream::new(client.clone());
        context.set_timeout(TIMEOUT);
        let storage = Self {
            context,
            instance: instance.to_owned(),
            replicas,
        };
        storage.create_missing().await?;
        Ok(storage)
    }

    /// The same on another server.
    pub(crate) async fn at(&self, client: &Client) -> Result<Self, StorageError> {
        Self::open(client, &self.instance, self.replicas).await
    }

    /// When the stream of batches was created: two servers with the same answer have the same stream.
    pub(crate) async fn created(&self) -> Result<i128, StorageError> {
        let stream = self.context.get_stream(POLLS).await?;
        Ok(stream.cached_info().created.unix_timestamp_nanos())
    }

    async fn create_missing(&self) -> Result<(), StorageError> {
        let polls = stored_stream::Config {
            name: POLLS.to_owned(),
            description: Some("poll results on their way to the log".to_owned()),
            subjects: vec!["fieldledger.polls.>".to_owned()],
            retention: RetentionPolicy::WorkQueue,
            duplicate_window: DUPLICATE_WINDOW,
            storage: StorageType::File,
            ..stored_stream::Config::default()
        };
        let dead_letters = stored_stream::Config {
            name: DEAD_LETTERS.to_owned(),
            description: Some("poll results that could not be delivered, and why".to_owned()),
            subjects: vec!["fieldledger.dead.>".to_owned()],
            duplicate_window: DUPLICATE_WINDOW,
            storage: StorageType::File,
            ..stored_stream::Config::default()
        };
        let sensors = bucket(SENSORS, "sensors that were heard of");
        let keys = bucket(KEYS, "keys of sensors, approved and retired");
        let brokers = bucket(BROKERS, "lists of servers that operators have sent");
        for mut config in [polls, dead_letters, sensors, keys, brokers] {
            config.num_replicas = self.replicas;
            self.context.get_or_create_stream(config).await?;
        }
        Ok(())
    }

    /// Keeps what programs publish on `subject` until the event logger acknowledges it. Delivered are
    /// plain messages, since wasmCloud's messaging knows no others that a component acknowledges.
    pub(crate) async fn keep_events(&self, subject: &str) -> Result<(), StorageError> {
        let events = stored_stream::Config {
            name: EVENTS.to_owned(),
            description: Some("events of programs on their way to the log".to_owned()),
            subjects: vec![subject.to_owned()],
            retention: RetentionPolicy::WorkQueue,
            max_bytes: EVENTS_BYTES,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            num_replicas: self.replicas,
            ..stored_stream::Config::default()
        };
        let stream = self.context.get_or_create_stream(events).await?;
        let consumer = push::Config {
            durable_name: Some(EVENT_LOGGER.to_owned()),
            deliver_subject: EVENTS_DELIVERED.to_owned(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: EVENTS_ACK_WAIT,
            max_ack_pending: EVENTS_UNDER_WAY,
            ..push::Config::default()
        };
        stream
            .get_or_create_consumer(EVENT_LOGGER, consumer)
            .await?;
        Ok(())
    }

    /// Stores a batch in its lane; on return it is on disk.
    pub(crate) async fn store_batch(
        &self,
        lane: u32,
        id: &str,
        payload: Bytes,
    ) -> Result<(), StorageError> {
        let subject = self.lane(lane);
        let publish = Publish::build().message_id(id).payload(payload);
        let acknowledged = self.context.send_publish(subject, publish).await?.await;
        if let Err(error) = acknowledged {
            // Should someone have deleted the stream, it is there for the next attempt.
            tokio::time::timeout(MEND_WITHIN, self.create_missing()).await??;
            return Err(error.into());
        }
        Ok(())
    }

    /// Lanes that hold batches or once did, beside the `lanes` configured now.
    pub(crate) async fn all_lanes(&self, lanes: u32) -> Result<u32, StorageError> {
        let stream = self.context.get_stream(POLLS).await?;
        let prefix = format!("{}-", self.instance);
        let mut names = stream.consumer_names();
        let mut all = lanes;
        while let Some(name) = names.try_next().await? {
            let lane = name
                .strip_prefix(&prefix)
                .and_then(|lane| lane.parse::<u32>().ok());
            all = all.max(lane.map_or(0, |lane| lane.saturating_add(1)));
        }
        Ok(all)
    }

    /// The consumer of a lane. `afresh` forgets what an earlier owner had been handed: without that
    /// a batch it took with it into its end would be delivered only after [`ACK_WAIT`].
    pub(crate) async fn consumer(
        &self,
        lane: u32,
        afresh: bool,
    ) -> Result<PullConsumer, StorageError> {
        let stream = self.context.get_stream_no_info(POLLS).await?;
        let name = format!("{}-{lane}", self.instance);
        if afresh {
            // It need not exist; if it does and stays, its batch comes a little later.
            let _ = tokio::time::timeout(MEND_WITHIN, stream.delete_consumer(&name)).await?;
        }
        let config = pull::Config {
            durable_name: Some(name),
            filter_subject: self.lane(lane),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            // One at a time keeps each sensor's readings in order.
            max_ack_pending: 1,
            ..pull::Config::default()
        };
        Ok(tokio::time::timeout(CONSUMER_WITHIN, stream.create_consumer(config)).await??)
    }

    /// The message of a lane that is stored behind this one, whether it was delivered or not.
    pub(crate) async fn next_batch(
        &self,
        lane: u32,
        sequence: u64,
    ) -> Result<Option<StreamMessage>, StorageError> {
        let stream = self.context.get_stream_no_info(POLLS).await?;
        let next = stream.get_first_raw_message_by_subject(self.lane(lane), sequence + 1);
        match next.await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The subject of a lane's batches.
    pub(crate) fn lane(&self, lane: u32) -> String {
        format!("fieldledger.polls.{}.{lane}", self.instance)
    }

    /// Batches in the stream that no one has acknowledged.
    pub(crate) async fn pending(&self) -> Result<u64, StorageError> {
        let stream = self.context.get_stream_no_info(POLLS).await?;
        let filter = format!("fieldledger.polls.{}.*", self.instance);
        let mut subjects = stream.info_with_subjects(filter).await?;
        let mut pending = 0;
        while let Some((_, messages)) = subjects.try_next().await? {
            pending += messages as u64;
        }
        Ok(pending)
    }

    /// How full the stream of batches is: with those of all instances that store there.
    pub(crate) async fn level(&self) -> Result<Level, StorageError> {
        let stream = self.context.get_stream_no_info(POLLS).await?;
        let info = stream.get_info().await?;
        Ok(Level {
            bytes: info.state.bytes,
            // Zero and below mean that there is none.
            bound: u64::try_from(info.config.max_bytes)
                .ok()
                .filter(|bound| *bound > 0),
        })
    }

    /// Stores a sensor's record.
    pub(crate) async fn save_sensor(&self, id: Uuid, record: Vec<u8>) -> Result<(), StorageError> {
        let subject = self.sensor_subject(&id.to_string());
        self.context.publish(subject, record.into()).await?.await?;
        Ok(())
    }

    /// Deletes a sensor's record, without the marker a key-value client would leave forever.
    pub(crate) async fn delete_sensor(&self, id: Uuid) -> Result<(), StorageError> {
        let stream = self.sensors().await?;
        stream
            .purge()
            .filter(self.sensor_subject(&id.to_string()))
            .await?;
        Ok(())
    }

    /// Stores what was decided about a sensor's keys.
    pub(crate) async fn save_keys(&self, id: Uuid, keys: &Keys) -> Result<(), StorageError> {
        let subject = self.subject(KEYS, &id.to_string());
        let record = serde_json::to_vec(keys)?;
        self.context.publish(subject, record.into()).await?.await?;
        Ok(())
    }

    /// What was decided about keys of this instance's sensors. A record that cannot be read ends the
    /// attempt: without it a sensor would be taken for one that nobody has approved.
    pub(crate) async fn load_keys(&self) -> Result<Vec<(Uuid, Keys)>, StorageError> {
        let mut all = Vec::new();
        for (key, record) in self.load(KEYS).await? {
            let damaged = |problem: &dyn std::fmt::Display| {
                format!("record {key} of bucket {KEYS} cannot be read: {problem}")
            };
            let sensor = key.parse().map_err(|error: uuid::Error| damaged(&error))?;
            let keys = serde_json::from_slice(&record).map_err(|error| damaged(&error))?;
            all.push((sensor, keys));
        }
        Ok(all)
    }

    /// Stores a list of servers for the next start.
    pub(crate) async fn save_order(&self, ordered: &Ordered) -> Result<(), StorageError> {
        let subject = self.order_subject();
        let record = serde_json::to_vec(ordered)?;
        self.context.publish(subject, record.into()).await?.await?;
        Ok(())
    }

    /// The list of servers that was taken last. One that cannot be read ends the attempt: it may say that
    /// this is not where to be.
    pub(crate) async fn load_order(&self) -> Result<Option<Ordered>, StorageError> {
        let stream = self.context.get_stream_no_info(format!("KV_{BROKERS}"));
        let subject = self.order_subject();
        let record = match stream
            .await?
            .get_last_raw_message_by_subject(&subject)
            .await
        {
            Ok(record) => record,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let ordered = serde_json::from_slice(&record.payload);
        Ok(Some(ordered.map_err(|error| {
            format!("record {subject} cannot be read: {error}")
        })?))
    }

    /// Stores what an engine knows where that is not what is stored already.
    pub(crate) async fn remember(&self, memory: &Memory) -> Result<(), StorageError> {
        let mut records = Vec::new();
        for (id, keys) in &memory.keys {
            records.push((
                self.subject(KEYS, &id.to_string()),
                serde_json::to_vec(keys)?,
            ));
        }
        for (id, record) in &memory.sensors {
            records.push((self.sensor_subject(&id.to_string()), record.clone()));
        }
        let mut stored = HashMap::new();
        for bucket in [KEYS, SENSORS] {
            for (key, record) in self.load(bucket).await? {
                stored.insert(self.subject(bucket, &key), record);
            }
        }
        records.retain(|(subject, record)| stored.get(subject).is_none_or(|old| old != record));
        let writes = records.into_iter().map(|(subject, record)| async move {
            self.context.publish(subject, record.into()).await?.await?;
            Ok::<(), StorageError>(())
        });
        stream::iter(writes)
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await
    }

    /// The records of this instance's sensors.
    pub(crate) async fn load_sensors(&self) -> Result<Vec<(String, Bytes)>, StorageError> {
        let records = self.load(SENSORS).await?;
        info!(sensors = records.len(), "sensors of earlier runs read back");
        Ok(records)
    }

    /// All records of this instance in a bucket.
    async fn load(&self, bucket: &str) -> Result<Vec<(String, Bytes)>, StorageError> {
        let config = pull::OrderedConfig {
            filter_subject: self.subject(bucket, "*"),
            deliver_policy: DeliverPolicy::LastPerSubject,
            ..pull::OrderedConfig::default()
        };
        let stream = self.context.get_stream_no_info(format!("KV_{bucket}"));
        let consumer = stream.await?.create_consumer(config).await?;
        let expected = consumer.cached_info().num_pending;
        let mut messages = consumer.messages().await?;
        let mut records = Vec::new();
        while (records.len() as u64) < expected {
            let next = tokio::time::timeout(TIMEOUT, messages.next()).await?;
            let message = next.ok_or("the bucket's consumer ended early")??;
            let key = message
                .subject
                .rsplit('.')
                .next()
                .unwrap_or_default()
                .to_owned();
            records.push((key, message.payload.clone()));
        }
        Ok(records)
    }

    async fn sensors(&self) -> Result<Stream<()>, StorageError> {
        Ok(self
            .context
            .get_stream_no_info(format!("KV_{SENSORS}"))
            .await?)
    }

    fn order_subject(&self) -> String {
        format!("$KV.{BROKERS}.{}", self.instance)
    }

    fn sensor_subject(&self, id: &str) -> String {
        self.subject(SENSORS, id)
    }

    fn subject(&self, bucket: &str, id: &str) -> String {
        format!("$KV.{bucket}.{}.{id}", self.instance)
    }
}

/// A key-value bucket, spelt as the stream it is: its records are read back in one sweep.
fn bucket(name: &str, description: &str) -> stored_stream::Config {
    stored_stream::Config {
        name: format!("KV_{name}"),
        description: Some(description.to_owned()),
        subjects: vec![format!("$KV.{name}.>")],
        max_messages_per_subject: 1,
        allow_rollup: true,
        allow_direct: true,
        deny_delete: true,
        discard: DiscardPolicy::New,
        duplicate_window: DUPLICATE_WINDOW,
        storage: StorageType::File,
        ..stored_stream::Config::default()
    }
}
