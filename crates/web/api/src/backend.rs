//! What the API needs from the rest of the system: the calls behind it, and the clock.
//!
//! The types are the Rust twins of those in `wit/`, where their meaning and limits stand in full;
//! those that an answer shows as they are also carry their JSON form.

use fieldledger_audit::EventColumns;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::log::LogTree;
use crate::moment::Moment;
use crate::problem::FieldProblem;
use crate::tokens::Tokens;
pub use crate::witness::{
    AsWitness, OwnWitnesses, WatchedLog, WitnessReply, WitnessState, Witnessing,
};

pub use crate::status::{ArchiveStatus, LedgerStatus};

mod gap;

pub use gap::{Gap, GapKind, GapPage, GapQuery, GapState, GapTotals, MissingRange};

/// Why a call behind the API failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendError {
    /// The request is wrong.
    Invalid(Vec<FieldProblem>),
    /// No such entry, result or tree size.
    NotFound(String),
    /// The result of an earlier search is gone.
    Expired(String),
    /// The log is not in a state, or the entry not of a kind, that allows this.
    Refused(String),
    /// This application's sink cannot do that.
    Unsupported(String),
    /// A part does not answer now, or says that it cannot.
    Unavailable(String),
}

/// The calls behind the API. All of them may block, for as long as the lattice lets a call take.
pub trait Backend: LogTree + Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Moment;

    /// The tokens that this site knows.
    ///
    /// # Errors
    ///
    /// A sentence, where they are configured in a way that cannot be used.
    fn tokens(&self) -> Result<Tokens, String>;

    /// Entries of the log that match, from the first.
    ///
    /// # Errors
    ///
    /// As the audit interface gives them.
    fn search(&self, query: &SearchQuery) -> Result<SearchPage, BackendError>;

    /// More entries of an earlier search.
    ///
    /// # Errors
    ///
    /// As the audit interface gives them; `Expired` where the result is gone.
    fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, BackendError>;

    /// An entry and its audit path in the newest signed tree.
    ///
    /// # Errors
    ///
    /// `NotFound` where the log has no such entry yet.
    fn proof(&self, index: u64) -> Result<(Entry, Checkpoint), BackendError>;

    /// Entries from `first` on, with audit paths if asked for, and the newest signed tree head.
    /// Fewer than `limit` come where they are large or the log ends, none beyond its end.
    ///
    /// # Errors
    ///
    /// As the audit interface gives them.
    fn entries(
        &self,
        first: u64,
        limit: u32,
        with_proofs: bool,
    ) -> Result<(Vec<Entry>, Checkpoint), BackendError>;

    /// The newest signed tree head.
    ///
    /// # Errors
    ///
    /// As the audit interface gives them.
    fn checkpoint(&self) -> Result<Checkpoint, BackendError>;

    /// Erases the payload of an entry for good.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such entry, `Refused` for one of the log's own.
    fn erase(&self, entry: u64, reason: &str, actor: &str) -> Result<Erasure, BackendError>;

    /// Gives up the payloads that were received before a moment, as far as full segments hold nothing
    /// newer. What it frees is freed behind it.
    ///
    /// # Errors
    ///
    /// `Refused` where the log is frozen.
    fn retain(
        &self,
        before: Moment,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, BackendError>;

    /// What is given up, and how far that is.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    fn retention(&self) -> Result<Retention, BackendError>;

    /// Adds a key, which signs beside the one there is.
    ///
    /// # Errors
    ///
    /// `Refused` while two keys sign already.
    fn rotate_key(&self, reason: &str, actor: &str) -> Result<KeyChange, BackendError>;

    /// Retires the older of two keys.
    ///
    /// # Errors
    ///
    /// `Refused` where only one key signs.
    fn retire_key(&self, reason: &str, actor: &str) -> Result<KeyChange, BackendError>;

    /// Ends the log.
    ///
    /// # Errors
    ///
    /// `Refused` where it has ended already.
    fn freeze(
        &self,
        successor: Option<&Successor>,
        reason: &str,
        actor: &str,
    ) -> Result<Freeze, BackendError>;

    /// Appends events, all or none, and returns once they are durable: where each of them is, as
    /// far as this is known.
    ///
    /// # Errors
    ///
    /// As the audit interface gives them.
    fn write(&self, events: EventColumns) -> Result<Vec<Option<u64>>, BackendError>;

    /// As [`Backend::search`], with the places of the entries in Pangea's trees.
    ///
    /// # Errors
    ///
    /// As [`Backend::search`].
    fn pangea_search(&self, query: &SearchQuery) -> Result<PangeaPage, BackendError>;

    /// More of an earlier search. A restriction must be that of the search.
    ///
    /// # Errors
    ///
    /// As [`Backend::page`]; `Invalid` for an offset beyond the end, and for another restriction.
    fn pangea_page(
        &self,
        id: &str,
        offset: u32,
        limit: u32,
        restriction: Option<&Restriction>,
    ) -> Result<PangeaPage, BackendError>;

    /// The published root of this size; the newest for none.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is none.
    fn pangea_root(&self, size: Option<u64>) -> Result<PangeaRoot, BackendError>;

    /// Proofs of at most 1,000 entries that were just written, and that their tree continues the
    /// one with the root `previous_root`.
    ///
    /// # Errors
    ///
    /// `NotFound` where the log has no such entries.
    fn pangea_logged(
        &self,
        indices: &[u64],
        previous_root: Option<&str>,
    ) -> Result<Vec<PangeaLogged>, BackendError>;

    /// The entries received from `start` and before `end`: the first, and the first after them.
    ///
    /// # Errors
    ///
    /// `Invalid` where these are no times.
    fn span(&self, start: Option<&str>, end: Option<&str>) -> Result<(u64, u64), BackendError>;

    /// The entries `start..end`, at most 1,000, proven against the published root of size
    /// `published` as far as it covers them.
    ///
    /// # Errors
    ///
    /// `NotFound` where the log has no such entries.
    fn pangea_entries(
        &self,
        start: u64,
        end: u64,
        published: Option<u64>,
        verbose: bool,
    ) -> Result<PangeaPage, BackendError>;

    /// Keeps a text, durably, until somebody comes back for it with the name that is the answer: 32
    /// letters and digits that nobody can guess.
    ///
    /// # Errors
    ///
    /// `Unavailable` where too many are kept.
    fn keep(&self, content: &str, expires_at: Moment) -> Result<String, BackendError>;

    /// What was kept under this name.
    ///
    /// # Errors
    ///
    /// `NotFound` where nothing was, `Expired` where it no longer is.
    fn kept(&self, name: &str) -> Result<String, BackendError>;

    /// The sites, each of which has a polling provider. At least one.
    ///
    /// # Errors
    ///
    /// `Unavailable` where that is not known.
    fn sites(&self) -> Result<Vec<String>, BackendError>;

    /// Sensors of a site in order of alias, then id; at most 10,000.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the site's polling provider does not answer.
    fn sensors(
        &self,
        site: &str,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<SensorState>, BackendError>;

    /// One sensor of a site, or none of that id.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the site's polling provider does not answer.
    fn sensor(&self, site: &str, id: &str) -> Result<Option<SensorState>, BackendError>;

    /// Makes the key of this fingerprint, which the sensor shows, its own; the key.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such sensor, `Refused` where it does not show that key.
    fn approve_key(
        &self,
        site: &str,
        sensor: &str,
        fingerprint: &str,
    ) -> Result<String, BackendError>;

    /// Retires the sensor's key; the key.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such sensor, `Refused` where it has no key.
    fn retire_key_of(&self, site: &str, sensor: &str) -> Result<String, BackendError>;

    /// The newest reading of each of these sensors that has one; of all for an empty list.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the ledger does not answer.
    fn latest(&self, sensors: &[String]) -> Result<Vec<Reading>, BackendError>;

    /// Readings of one sensor polled in `start <= t < end`, summed up where there are more than
    /// `limit`.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the ledger does not answer.
    fn series(
        &self,
        sensor: &str,
        start: Moment,
        end: Moment,
        limit: u32,
    ) -> Result<Series, BackendError>;

    /// Readings that are missing, or may be, the newest gap first.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the ledger does not answer.
    fn gaps(&self, query: &GapQuery) -> Result<GapPage, BackendError>;

    /// The ledger's counters.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the ledger does not answer.
    fn ledger_status(&self) -> Result<LedgerStatus, BackendError>;

    /// The polling provider's counters.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the polling provider does not answer.
    fn polling_status(&self, site: &str) -> Result<PollingStatus, BackendError>;

    /// The checkpoint to show to the world: with the cosignatures of its witnesses, and where the
    /// witness policy says so, an older one than the newest.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the ledger does not answer, or none may be shown yet.
    fn published_checkpoint(&self) -> Result<Checkpoint, BackendError>;

    /// What this site's witness answers to the body of a `POST add-checkpoint`.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the ledger does not answer.
    fn add_checkpoint(&self, request: &[u8]) -> Result<WitnessReply, BackendError>;

    /// What this site's witness cosigned last of the log whose origin has this SHA-256, in
    /// lower-case hexadecimal.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the ledger does not answer.
    fn cosigned_checkpoint(&self, origin_hash: &str) -> Result<Option<String>, BackendError>;

    /// How witnesses do, those of this log and this site as one.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the ledger does not answer.
    fn witnessing(&self) -> Result<Witnessing, BackendError>;

    /// The page's file at an absolute path, or none.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the page's component does not answer.
    fn asset(&self, path: &str) -> Result<Option<Asset>, BackendError>;
}

/// A search of the log, checked: limits are in range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// Terms, phrases and `field:value`; empty matches all.
    pub query: String,
    /// Earliest `received_at`.
    pub start: Option<String>,
    /// Latest `received_at`.
    pub end: Option<String>,
    /// Newest or largest first.
    pub descending: bool,
    /// Field to order by, `received_at` unless given.
    pub order_by: Option<String>,
    /// Entries on the first page.
    pub limit: u32,
    /// Entries in the whole result.
    pub max_results: u32,
    /// Exact values that a field may have.
    pub restriction: Vec<(String, Vec<String>)>,
    /// With an audit path for each entry.
    pub verbose: bool,
}

/// One page of a search's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// Names the result for [`Backend::page`].
    pub id: String,
    /// When the result goes; none where the sink does not say.
    pub expires_at: Option<Moment>,
    /// Entries in the whole result.
    pub count: u64,
    /// Entries of this page.
    pub entries: Vec<Entry>,
    /// The tree that covers them.
    pub checkpoint: Checkpoint,
    /// Entries the search index has seen.
    pub indexed_size: u64,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Position in the log.
    pub index: u64,
    /// Canonical JSON; empty where it was removed.
    pub envelope: String,
    /// SHA-256 of the envelope, base64.
    pub envelope_hash: String,
    /// What the tree's leaf hashes, base64.
    pub leaf: String,
    /// Audit path, base64; empty unless asked for.
    pub proof: Vec<String>,
    /// Where the envelope went, if it is gone.
    pub removed: Option<Removal>,
}

/// How an entry lost its envelope. Its leaf stays, and so does every proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RemovalKind {
    /// Somebody had it erased.
    Erased,
    /// It was older than what the log keeps.
    GivenUp,
}

/// Where an envelope went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Removal {
    /// How it was lost.
    pub kind: RemovalKind,
    /// The entry of the log that says so.
    pub entry: u64,
    /// Why, in words.
    pub reason: String,
}

/// A signed tree head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Checkpoint {
    /// Name of the log.
    #[schema(example = "fieldledger/site-a")]
    pub origin: String,
    /// Entries in the tree.
    pub tree_size: u64,
    /// RFC 6962 root hash, base64.
    pub root_hash: String,
    /// The whole signed note, C2SP tlog-checkpoint.
    pub note: String,
    /// The key that verifies it, C2SP signed-note `name+hash+key`; the newest where two sign.
    pub verifier_key: String,
    /// Every key that signed it, oldest first: two while one takes over from the other.
    pub verifier_keys: Vec<String>,
}

/// What became of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Erasure {
    /// The entry whose payload is gone.
    pub entry: u64,
    /// The entry of the log that says so.
    pub marker: u64,
    /// Whether it was gone before.
    pub already: bool,
}

/// Which old payloads are given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RetentionScope {
    /// Those of readings; what people and programs did is kept.
    #[default]
    Readings,
    /// All but the log's own.
    All,
}

/// What payloads were given up just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Retained {
    /// The entry of the log that tells of it; null where nothing was old enough.
    pub marker: Option<u64>,
    /// The payloads of entries below this are given up, as far as the scope goes.
    pub below: u64,
}

/// What payloads are given up, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Retention {
    /// The payloads of readings below this entry are given up.
    pub readings_below: u64,
    /// All payloads below this entry are given up, but the log's own.
    pub all_below: u64,
    /// Bytes that this has freed so far.
    pub freed_bytes: u64,
    /// Whether there are segments that must yet be written anew.
    pub pending: bool,
    /// Why that cannot be done at present; empty if nothing is wrong.
    pub problem: String,
}

/// A change of the keys that sign the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyChange {
    /// The entry of the log that tells of it.
    pub entry: u64,
    /// The key that signed before, C2SP signed-note `name+hash+key`.
    pub old: String,
    /// The key that signs from now on: beside the old one, or alone.
    pub new: String,
    /// Keys that sign from now on, oldest first.
    pub verifier_keys: Vec<String>,
}

/// Where a log goes on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Successor {
    /// Name of the log that goes on.
    #[schema(example = "fieldledger/site-a/2")]
    pub origin: String,
    /// The key that verifies it; empty where it is not known yet.
    #[serde(default)]
    pub verifier_key: String,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Freeze {
    /// The last entry, which says so.
    pub entry: u64,
    /// The last tree head.
    pub checkpoint: Checkpoint,
}

/// Field and the exact values that it may have.
pub type Restriction = Vec<(String, Vec<String>)>;

/// A root of one of Pangea's trees. Hashes are in hexadecimal, proofs in Pangea's notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PangeaRoot {
    /// Name of the tree.
    pub tree_name: String,
    /// Leaves: published roots in the cold tree, entries in the hot one.
    pub size: u64,
    /// The root.
    pub root_hash: String,
    /// When it was published; none for the hot tree's.
    pub published_at: Option<Moment>,
    /// Proof that it continues the tree of one leaf less.
    pub consistency_proof: Vec<String>,
}

/// An entry of the log as an event of Pangea's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PangeaEvent {
    /// Position in the log.
    pub index: u64,
    /// Canonical JSON; empty where it was removed.
    pub envelope: String,
    /// SHA-256 of the envelope.
    pub hash: String,
    /// Where the envelope went, if it is gone.
    pub removed: Option<Removal>,
    /// The leaf of the cold tree that covers it; none where it is not published.
    pub leaf_index: Option<u64>,
    /// Its path to the page's root, or to that of the hot tree where it is not published.
    pub membership_proof: Option<String>,
}

/// A page of a search's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PangeaPage {
    /// Names the result for [`Backend::pangea_page`].
    pub id: String,
    /// When the result goes.
    pub expires_at: Moment,
    /// Events in the whole result.
    pub count: u64,
    /// Events of this page.
    pub events: Vec<PangeaEvent>,
    /// The published root that they are proven against.
    pub root: Option<PangeaRoot>,
    /// The root of what is not published.
    pub unpublished_root: Option<PangeaRoot>,
}

/// An event that was just logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PangeaLogged {
    /// The event, with its path to `unpublished_root`.
    pub event: PangeaEvent,
    /// The root of its hot tree.
    pub unpublished_root: String,
    /// Proof that this tree continues the one whose root the client knows.
    pub consistency_proof: Option<Vec<String>>,
}

/// The span of plausible engineering values, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Range {
    /// Smallest.
    pub low: f64,
    /// Largest.
    pub high: f64,
}

/// `(raw - base) * scale + offset` is the engineering value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Calibration {
    /// Subtracted from the raw value.
    pub base: f64,
    /// Multiplies the difference.
    pub scale: f64,
    /// Added last.
    pub offset: f64,
}

/// Whether a sensor lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// Heartbeats arrive and polls are answered.
    Ok,
    /// Heartbeats were missed.
    Stale,
    /// Several polls in a row went unanswered.
    Down,
}

/// Whose word a sensor's key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It shows no key.
    Unsigned,
    /// It shows a key that nobody has approved.
    Discovered,
    /// Its key was approved.
    Approved,
    /// Its key was approved, and somebody who claims to be it shows another one.
    KeyOffered,
    /// Its key was retired, and none approved since.
    Retired,
}

/// A sensor as the polling provider knows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SensorState {
    /// UUID.
    pub id: String,
    /// Name that a person gave it.
    pub alias: String,
    /// Where it is.
    pub location: String,
    /// UCUM code, or empty.
    pub unit: String,
    /// Plausible values, where declared.
    pub range: Option<Range>,
    /// How raw values become engineering values, where declared.
    pub calibration: Option<Calibration>,
    /// Whether it lives.
    pub liveness: Liveness,
    /// Whose word its key is.
    pub standing: Standing,
    /// Fingerprint of the approved key, `SHA256:<base64>`, or empty.
    pub key: String,
    /// Fingerprint of the key that it shows and that waits for approval, or empty.
    pub offered_key: String,
    /// Milliseconds from poll to poll.
    pub poll_interval_ms: u64,
    /// IP address as its heartbeat gave it.
    pub ip_address: String,
    /// MAC address as its heartbeat gave it.
    pub mac_address: String,
    /// First heartbeat.
    pub first_seen: Moment,
    /// Newest heartbeat.
    pub last_heartbeat: Moment,
    /// Newest poll.
    pub last_poll: Option<Moment>,
    /// Newest answer.
    pub last_reply: Option<Moment>,
    /// Failed polls since the last answer.
    pub consecutive_failures: u32,
    /// Polls sent.
    pub polls: u64,
    /// Polls answered in time with a number.
    pub replies: u64,
    /// Polls not answered in time.
    pub timeouts: u64,
    /// Answers that were no number.
    pub unparsable: u64,
    /// Answers that came too late.
    pub late: u64,
}

/// A reading as the log holds it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Reading {
    /// Entry of the log.
    pub index: u64,
    /// UUID of the sensor.
    pub sensor: String,
    /// `SUCCESS`, `VALUE_ERROR` or `COMM_ERROR`.
    pub status: String,
    /// OPC UA status code name.
    #[schema(example = "Good")]
    pub quality: String,
    /// Engineering value; none where the quality is Bad.
    pub value: Option<f64>,
    /// UCUM code, or empty.
    pub unit: String,
    /// When the device was polled.
    pub polled_at: Moment,
    /// When its answer arrived.
    pub received_at: Moment,
}

/// Readings of a span of time, summed up.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Bucket {
    /// Start of the span.
    pub start: Moment,
    /// Readings in it.
    pub count: u32,
    /// Those without a value.
    pub bad: u32,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// Mean of the values.
    pub mean: Option<f64>,
    /// Last value.
    pub last: Option<f64>,
}

/// Readings of one sensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Series {
    /// Each of them, oldest first.
    Raw(Vec<Reading>),
    /// Summed up in equally long spans, oldest first.
    Buckets(Vec<Bucket>),
}

/// Counters of the polling provider since it started; sensors and waiting work are as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PollingStatus {
    /// Id of the polling run.
    pub epoch: String,
    /// Start of the run, microseconds since the Unix epoch.
    pub started_at: u64,
    /// Sensors that live.
    pub sensors_ok: u32,
    /// Sensors that missed heartbeats.
    pub sensors_stale: u32,
    /// Sensors that do not answer.
    pub sensors_down: u32,
    /// Heartbeats accepted.
    pub heartbeats: u64,
    /// Heartbeats refused.
    pub heartbeats_rejected: u64,
    /// Why the last one was refused, or empty.
    pub last_rejection: String,
    /// Polls sent.
    pub polls: u64,
    /// Polls answered in time with a number.
    pub replies: u64,
    /// Polls not answered in time.
    pub timeouts: u64,
    /// Answers that were no number.
    pub unparsable: u64,
    /// Answers that came too late.
    pub late: u64,
    /// Answers that belong to no poll.
    pub unsolicited: u64,
    /// Readings that devices had kept and sent later.
    pub history_readings: u64,
    /// Messages of such readings that were refused.
    pub history_refused: u64,
    /// Such messages that came too fast, or while polling paused.
    pub history_deferred: u64,
    /// Why the last one was refused, or empty.
    pub last_history_refusal: String,
    /// Batches put into the stream.
    pub batches_stored: u64,
    /// Batches that the ledger holds.
    pub batches_delivered: u64,
    /// Deliveries that failed and were tried again.
    pub batches_retried: u64,
    /// Batches given up.
    pub batches_dead_lettered: u64,
    /// Why the last delivery failed, or empty.
    pub last_delivery_error: String,
    /// Results not yet in the stream.
    pub results_buffered: u64,
    /// Batches in the stream not yet delivered.
    pub batches_pending: u64,
    /// Median time from poll to durable, microseconds.
    pub latency_p50: u64,
    /// 99th percentile of the same.
    pub latency_p99: u64,
}

/// A file of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Media type, with charset.
    pub content_type: String,
    /// Strong entity tag, quoted.
    pub etag: String,
    /// The text.
    pub body: String,
}
