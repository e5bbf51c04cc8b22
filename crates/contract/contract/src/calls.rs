//! What can be asked of the log, of the plant and of the page.
//!
//! | trait | asks |
//! |---|---|
//! | [`Log`] | whatever sink the application writes to: append, search, prove |
//! | [`LogTree`] | the ledger itself: its status, tree heads, tiles, receipts |
//! | [`LogControl`] | what changes a log otherwise than an append |
//! | [`PangeaLog`] | the log as clients of Pangea's Secure Audit Log know it |
//! | [`Readings`] | readings and gaps, found in the log again |
//! | [`Witnessing`] | cosignatures, those of this log and those that this site gives |
//! | [`Plant`] | sites, their sensors, and how they are polled |
//! | [`Pages`] | the files of the page |
//!
//! The ledger implements all that concern the log, the gateway's adapter to the lattice all of them.
//! Each call may block, for as long as the lattice lets a call take; each returns
//! [`Error::Unavailable`] where the part that it goes to does not answer.

use crate::audit::{
    Checkpoint, Entry, EntryRange, EventColumns, InclusionProof, Restriction, SearchPage,
    SearchQuery, Written,
};
use crate::base::{Error, WallTime};
use crate::field::{DeadLetter, PollingStatus, Refusal, SensorState};
use crate::ledger::{
    self, Erasure, Freeze, Gap, GapPage, GapQuery, KeyChange, LedgerStatus, PangeaLogged,
    PangeaPage, PangeaRoot, Reading, Retained, Retention, RetentionScope, Series, Successor,
    WitnessReply,
};
use crate::ui::Asset;

/// The audit log as an application sees it: `fieldledger:audit/log`.
pub trait Log {
    /// Appends events, all or none, and returns once they are durable and a signed tree covers them.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where an event is beyond the limits, [`Error::Ended`] where the log takes
    /// nothing more.
    fn write(&self, events: EventColumns) -> Result<Written, Error>;

    /// Entries that match, from the first.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the query cannot be understood.
    fn search(&self, query: &SearchQuery) -> Result<SearchPage, Error>;

    /// More entries of an earlier search; `limit` 1 to 1,000.
    ///
    /// # Errors
    ///
    /// [`Error::Expired`] where the result set is gone.
    fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, Error>;

    /// An entry and its audit path in the newest signed tree.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the log has no such entry yet.
    fn proof(&self, index: u64) -> Result<InclusionProof, Error>;

    /// Entries from `first` on, with audit paths if asked for; `limit` 1 to 1,000. Fewer come where
    /// they are large or the log ends, none beyond its end.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the limit is out of bounds.
    fn entries(&self, first: u64, limit: u32, with_proofs: bool) -> Result<EntryRange, Error>;

    /// The newest signed tree head.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn checkpoint(&self) -> Result<Checkpoint, Error>;
}

/// The ledger itself, whatever sink the application writes to.
pub trait LogTree {
    /// How the log is.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn ledger_status(&self) -> Result<LedgerStatus, Error>;

    /// The newest signed tree head.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn head(&self) -> Result<Checkpoint, Error>;

    /// An entry without a proof.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the log has no such entry yet.
    fn entry(&self, index: u64) -> Result<Entry, Error>;

    /// RFC 6962 consistency proof between two sizes, hashes in base64; `0 < old <= new`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for sizes out of order, [`Error::NotFound`] for a size that the log has
    /// not reached.
    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<String>, Error>;

    /// The first `width` (1 to 256) hashes of tile `number` at `level`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the newest signed tree has no such tile, or not that wide.
    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, Error>;

    /// The first `width` (1 to 256) leaves of bundle `number`, each after its length.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the newest signed tree has no such bundle, or not that wide.
    fn entry_bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, Error>;

    /// The COSE receipt of an entry in the newest signed tree, RFC 9942.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the log has no such entry yet.
    fn receipt(&self, index: u64) -> Result<Vec<u8>, Error>;
}

/// What changes a log otherwise than an append. An entry of the log records each change, with
/// `reason`, at most 1,000 characters, and `actor`, who asked for it, at most 128 characters; neither may be
/// blank. Whoever exposes these calls sees to it that they are allowed.
pub trait LogControl {
    /// Erases payload and salt of an entry for good; leaf and proofs stay.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no such entry, [`Error::Refused`] for one of the log's own,
    /// [`Error::Ended`] where the log is read-only; one that is frozen still erases.
    fn erase(&self, entry: u64, reason: &str, actor: &str) -> Result<Erasure, Error>;

    /// Gives up the payloads that were received before a time, as far as full segments hold nothing
    /// newer. Returns once it is certain; the disk is freed afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] where the log has ended.
    fn retain(
        &self,
        before: WallTime,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, Error>;

    /// What is given up, and how far that is.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn retention(&self) -> Result<Retention, Error>;

    /// Closes a gap, by its id: nobody waits for what is missing any longer.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where no such gap is known, [`Error::Refused`] where it is closed,
    /// [`Error::Ended`] where the log has ended.
    fn close_gap(&self, id: u64, reason: &str, actor: &str) -> Result<Gap, Error>;

    /// Adds a key, which signs beside the one there is until that is retired.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] while two keys sign already, [`Error::Ended`] where the log has ended.
    fn rotate_key(&self, reason: &str, actor: &str) -> Result<KeyChange, Error>;

    /// Retires the older of two keys; the newer one signs alone.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where only one key signs, [`Error::Ended`] where the log has ended.
    fn retire_key(&self, reason: &str, actor: &str) -> Result<KeyChange, Error>;

    /// Ends the log: nothing is ever appended to it again.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] where it has ended already.
    fn freeze(
        &self,
        successor: Option<&Successor>,
        reason: &str,
        actor: &str,
    ) -> Result<Freeze, Error>;
}

/// The log as clients of Pangea's Secure Audit Log know it.
pub trait PangeaLog {
    /// As [`Log::search`], with the places of the entries in Pangea's trees.
    ///
    /// # Errors
    ///
    /// As [`Log::search`].
    fn pangea_search(&self, query: &SearchQuery) -> Result<PangeaPage, Error>;

    /// More of an earlier search. A restriction must be that of the search.
    ///
    /// # Errors
    ///
    /// As [`Log::page`]; [`Error::Invalid`] for an offset beyond the end, and for another
    /// restriction.
    fn pangea_page(
        &self,
        id: &str,
        offset: u32,
        limit: u32,
        restriction: Option<&Restriction>,
    ) -> Result<PangeaPage, Error>;

    /// The published root of this size; the newest for none.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none.
    fn pangea_root(&self, size: Option<u64>) -> Result<PangeaRoot, Error>;

    /// Proofs of at most 1,000 entries that were just written, and that their tree continues the
    /// one with the root `previous_root`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the log has no such entries.
    fn pangea_logged(
        &self,
        indices: &[u64],
        previous_root: Option<&str>,
    ) -> Result<Vec<PangeaLogged>, Error>;

    /// The entries received from `start` and before `end`: the first, and the first after them.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where these are not times.
    fn span(&self, start: Option<&str>, end: Option<&str>) -> Result<(u64, u64), Error>;

    /// The entries `start..end`, at most 1,000, proven against the published root of size
    /// `published` as far as it covers them.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the log has no such entries.
    fn pangea_entries(
        &self,
        start: u64,
        end: u64,
        published: Option<u64>,
        verbose: bool,
    ) -> Result<PangeaPage, Error>;

    /// Keeps a text of at most 128 KiB, durably, until it expires; the answer is its name, 32
    /// letters and digits that nobody can guess.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] where too many are kept.
    fn keep(&self, content: &str, expires_at: WallTime) -> Result<String, Error>;

    /// Keeps a text under a name of the caller's, 32 letters and digits, unless one is kept there that
    /// has not expired. The answer is the text that is kept there then.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for another name, [`Error::Unavailable`] where too many are kept.
    fn keep_as(&self, name: &str, content: &str, expires_at: WallTime) -> Result<String, Error>;

    /// What was kept under this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where nothing was, [`Error::Expired`] where it no longer is.
    fn kept(&self, name: &str) -> Result<String, Error>;
}

/// Readings, found in the log again.
pub trait Readings {
    /// The newest reading of each of these sensors that has one, in the order asked; of all for an
    /// empty list. At most 10,000.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn latest(&self, sensors: &[String]) -> Result<Vec<Reading>, Error>;

    /// Readings of one sensor polled in `start <= t < end`, summed up where there are more than
    /// `limit` (1 to 10,000).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the limit is out of bounds.
    fn series(
        &self,
        sensor: &str,
        start: WallTime,
        end: WallTime,
        limit: u32,
    ) -> Result<Series, Error>;

    /// Readings that are missing, or may be, the newest gap first.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the limit is out of bounds.
    fn gaps(&self, query: &GapQuery) -> Result<GapPage, Error>;
}

/// Cosignatures: those of its witnesses on this log's checkpoints, and those that this site gives to
/// the logs of other sites.
pub trait Witnessing {
    /// The checkpoint to show to the world: with the cosignatures of its witnesses, and where the
    /// witness policy says so, an older one than the newest.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] where none may be shown yet.
    fn published_checkpoint(&self) -> Result<Checkpoint, Error>;

    /// An entry and its audit path in the published tree; in the newest signed one where that does
    /// not have it yet.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the log has no such entry yet.
    fn inclusion(&self, index: u64) -> Result<InclusionProof, Error>;

    /// What this site's witness answers to the body of a `POST add-checkpoint`.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn add_checkpoint(&self, request: &[u8]) -> Result<WitnessReply, Error>;

    /// What this site's witness cosigned last of the log whose origin has this SHA-256, in
    /// lower-case hexadecimal.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn cosigned_checkpoint(&self, origin_hash: &str) -> Result<Option<String>, Error>;

    /// How witnesses do, those of this log and this site as one.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn witnessing(&self) -> Result<ledger::Witnessing, Error>;
}

/// Sites, their sensors, and how they are polled.
pub trait Plant {
    /// The sites, each of which has a polling provider. At least one.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] where that is not known.
    fn sites(&self) -> Result<Vec<String>, Error>;

    /// Sensors of a site in order of alias, then id; at most 10,000.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn sensors(&self, site: &str, offset: u32, limit: u32) -> Result<Vec<SensorState>, Error>;

    /// One sensor of a site, or none of that id.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn sensor(&self, site: &str, id: &str) -> Result<Option<SensorState>, Error>;

    /// Makes the key of this fingerprint, which the sensor shows, its own; the key.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no such sensor, [`Error::Refused`] where it does not show
    /// that key.
    fn approve_key(&self, site: &str, sensor: &str, fingerprint: &str) -> Result<String, Error>;

    /// Retires the sensor's key; the key.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no such sensor, [`Error::Refused`] where it has no key.
    fn retire_key_of(&self, site: &str, sensor: &str) -> Result<String, Error>;

    /// What was refused lately at a site, the newest first: of one sensor, or of all for none.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn refusals(&self, site: &str, sensor: Option<&str>, limit: u32)
    -> Result<Vec<Refusal>, Error>;

    /// How polling does at a site.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn polling_status(&self, site: &str) -> Result<PollingStatus, Error>;

    /// What could not be recorded in any form at a site, oldest first; at most 100.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn dead_letters(&self, site: &str, offset: u32, limit: u32) -> Result<Vec<DeadLetter>, Error>;

    /// One of them, with what it holds.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none of that id.
    fn dead_letter(&self, site: &str, id: &str) -> Result<DeadLetter, Error>;

    /// Has one delivered once more.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none of that id, [`Error::Refused`] where it is not known where
    /// it came from.
    fn retry_dead_letter(&self, site: &str, id: &str) -> Result<(), Error>;

    /// Removes one for good.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none of that id.
    fn drop_dead_letter(&self, site: &str, id: &str) -> Result<(), Error>;
}

/// The files of the page.
pub trait Pages {
    /// The file at an absolute path such as `/app.js`, or none; `/` is the page itself.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    fn asset(&self, path: &str) -> Result<Option<Asset>, Error>;
}
