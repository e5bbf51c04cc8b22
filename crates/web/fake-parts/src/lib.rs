//! The parts of the API, answered from memory: a log of three entries and two sites.
//!
//! A [`Fake`] remembers what it was asked, and fails when it is set to. For tests of the API, and for
//! fuzzing it.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use fieldledger_api::{Environment, Tokens};
use fieldledger_contract::audit::{
    Checkpoint, Entry, EntryRange, EventColumns, InclusionProof, Removal, Restriction, SearchPage,
    SearchQuery, Written,
};
use fieldledger_contract::calls::{
    Log, LogControl, LogTree, Pages, PangeaLog, Plant, Readings, Witnessing,
};
use fieldledger_contract::field::{
    DeadLetter, Liveness, PollingStatus, Refusal, RefusalKind, SensorProfile, SensorState, Standing,
};
use fieldledger_contract::ledger::{
    self, ArchiveStatus, ClockProblem, Erasure, Freeze, Gap, GapKind, GapPage, GapQuery, GapState,
    GapTotals, KeyChange, LedgerStatus, MissingRange, PangeaEvent, PangeaLogged, PangeaPage,
    PangeaRoot, Reading, Retained, Retention, RetentionScope, Series, Successor, WitnessReply,
};
use fieldledger_contract::ui::Asset;
use fieldledger_contract::{Error, WallTime};
use parking_lot::Mutex;

/// 2026-01-02T03:04:05.000006Z.
pub const NOW: WallTime = WallTime::from_micros(1_767_323_045_000_006);
/// A sensor at the site `main`, with a reading.
pub const SENSOR: &str = "123e4567-e89b-12d3-a456-426614174000";
/// One without a reading.
pub const SILENT_SENSOR: &str = "123e4567-e89b-12d3-a456-426614174001";
/// At the site `north`, as is the silent one since it was moved there.
pub const NORTH_SENSOR: &str = "123e4567-e89b-12d3-a456-426614174002";
/// The key that the sensor shows.
pub const KEY: &str = "ed25519:shown";
/// The key that the sensor at the other site shows.
pub const NORTH_KEY: &str = "ed25519:north";
/// SHA-256 of the one origin that was cosigned.
pub const COSIGNED: &str = "00ff";
/// Not what `serde_json` would print: spaces and order show whether the text passes unchanged.
pub const ENVELOPE: &str = r#"{"event":{"message":"a  b"},"a":1.0}"#;

/// All parts in one.
#[derive(Debug, Default)]
pub struct Fake {
    /// What each call to the ledger fails with.
    pub ledger_fails: Option<Error>,
    /// What each call to the polling of `main` fails with.
    pub polling_fails: Option<Error>,
    /// Whether there is a site `north`, and what it fails with.
    pub north: Option<Option<Error>>,
    /// The tokens that are configured.
    pub tokens: Tokens,
    /// What is wrong with the ledger's clock.
    pub clock: Option<ClockProblem>,
    /// What was put aside at the site `main`, oldest first.
    pub dead_letters: Mutex<Vec<DeadLetter>>,
    /// Since when the deliveries of the site `main` fail.
    pub failing_since: Option<WallTime>,
    /// The events that were written.
    pub written: Mutex<Vec<EventColumns>>,
    /// Why the log has ended.
    pub ended: Option<String>,
    /// The archive, if there is one.
    pub archive: Option<ArchiveStatus>,
    /// The series of every sensor; one reading unless given.
    pub series: Option<Series>,
    /// Where every envelope went.
    pub removal: Option<Removal>,
    /// How witnesses do.
    pub witnessing: ledger::Witnessing,
    /// The searches.
    pub searched: Mutex<Vec<SearchQuery>>,
    /// The pages, each with id, offset and limit.
    pub paged: Mutex<Vec<(String, u32, u32)>>,
    /// The series, each with sensor, start, end and limit.
    pub series_asked: Mutex<Vec<(String, WallTime, WallTime, u32)>>,
    /// The searches for gaps.
    pub gaps_asked: Mutex<Vec<GapQuery>>,
    /// The sensors whose newest readings were asked for.
    pub latest_asked: Mutex<Vec<Vec<String>>>,
    /// What was kept last, as `aaa…`.
    pub kept: Mutex<String>,
    /// What was kept under names of the caller's.
    pub kept_as: Mutex<BTreeMap<String, String>>,
    /// Changes of the log that were asked for, with their actor.
    pub changes: Mutex<Vec<String>>,
}

/// The signed tree head.
#[must_use]
pub fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: "test/log".to_owned(),
        tree_size: 3,
        root_hash: "cm9vdA==".to_owned(),
        note: "test/log\n3\ncm9vdA==\n\n— test/log c2ln\n".to_owned(),
        verifier_key: "test/log+00000000+a2V5".to_owned(),
        verifier_keys: vec!["test/log+00000000+a2V5".to_owned()],
    }
}

fn key_change() -> KeyChange {
    KeyChange {
        entry: 9,
        old: "test/log+00000000+a2V5".to_owned(),
        new: "test/log+11111111+a2V5".to_owned(),
        verifier_keys: vec!["test/log+11111111+a2V5".to_owned()],
    }
}

/// An entry, with an audit path.
#[must_use]
pub fn entry(index: u64, proof: &[&str]) -> Entry {
    Entry {
        index,
        envelope: ENVELOPE.to_owned(),
        envelope_hash: "aGFzaA==".to_owned(),
        leaf: "bGVhZg==".to_owned(),
        proof: proof.iter().map(|&hash| hash.to_owned()).collect(),
        removed: None,
    }
}

/// The newest reading of a sensor.
#[must_use]
pub fn reading(sensor: &str) -> Reading {
    Reading {
        index: 2,
        sensor: sensor.to_owned(),
        status: "SUCCESS".to_owned(),
        quality: "Good".to_owned(),
        value: Some("21.50".to_owned()),
        unit: "Cel".to_owned(),
        polled_at: WallTime::from_micros(NOW.micros - 1_000_000),
        device_at: None,
        received_at: NOW,
    }
}

/// The one gap.
#[must_use]
pub fn gap() -> Gap {
    let (start, end) = (
        WallTime::from_micros(NOW.micros - 4_000_000),
        WallTime::from_micros(NOW.micros - 1_000_000),
    );
    Gap {
        id: 7,
        sensor: SENSOR.to_owned(),
        boot: "b1".to_owned(),
        previous_boot: String::new(),
        kind: GapKind::Numbers,
        state: GapState::Open,
        missing: Some(3),
        lost: 3,
        restarts: 0,
        ranges: vec![MissingRange {
            first: 3,
            last: 5,
            missing: 3,
            start,
            end,
        }],
        start,
        end,
        device_start: None,
        device_end: None,
        before: 6,
        after: 7,
        opened_at: NOW,
        closed_at: None,
        opened_entry: Some(8),
        closed_entry: None,
        closed_by: String::new(),
        closed_reason: String::new(),
    }
}

impl Fake {
    fn polling_of(&self, site: &str) -> Option<&Error> {
        match site {
            "main" => self.polling_fails.as_ref(),
            _ => self.north.as_ref().and_then(Option::as_ref),
        }
    }
}

/// The silent sensor, heard again where it is now.
fn moved() -> SensorState {
    SensorState {
        last_heartbeat: WallTime::from_micros(NOW.micros + 1),
        ..sensor(SILENT_SENSOR)
    }
}

/// Something that was refused, of this sensor or of nobody.
#[must_use]
pub fn refusal(sensor: &str) -> Refusal {
    Refusal {
        sensor: sensor.to_owned(),
        kind: match sensor {
            "" => RefusalKind::Heartbeat,
            _ => RefusalKind::Answer,
        },
        subject: "sim.read".to_owned(),
        reason: "field value is \"6,3\"; expected a finite number".to_owned(),
        excerpt: "\"6,3\"".to_owned(),
        count: 3,
        first_at: WallTime::from_micros(NOW.micros - 1_000_000),
        last_at: NOW,
    }
}

/// A sensor with a hostile name.
#[must_use]
pub fn sensor(id: &str) -> SensorState {
    SensorState {
        profile: SensorProfile {
            id: id.to_owned(),
            alias: "<script>alert(1)</script>".to_owned(),
            location: "Hall 1".to_owned(),
            unit: "Cel".to_owned(),
            range: None,
            calibration: None,
            unit_sent: "°C".to_owned(),
        },
        liveness: Liveness::Stale,
        standing: Standing::Discovered,
        key: String::new(),
        offered_key: "SHA256:shown".to_owned(),
        poll_interval_ms: 1_000,
        ip_address: "127.0.0.1".to_owned(),
        mac_address: "aa:bb:cc:dd:ee:ff".to_owned(),
        first_seen: WallTime::from_micros(0),
        last_heartbeat: NOW,
        last_poll: None,
        last_reply: None,
        consecutive_failures: 0,
        polls: 1,
        replies: 1,
        timeouts: 0,
        unparsable: 0,
        late: 0,
        condition: String::new(),
        condition_since: None,
        answer_timeout_ms: 500,
        remarks: vec!["unit is shown as Cel".to_owned()],
    }
}

/// A hash as Pangea writes it.
const HEX_HASH: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

fn pangea_event(index: u64) -> PangeaEvent {
    PangeaEvent {
        index,
        envelope: ENVELOPE.to_owned(),
        hash: HEX_HASH.to_owned(),
        removed: None,
        leaf_index: Some(0),
        membership_proof: Some(format!("l:{HEX_HASH}")),
    }
}

fn pangea_root() -> PangeaRoot {
    PangeaRoot {
        tree_name: "test/log".to_owned(),
        size: 1,
        root_hash: HEX_HASH.to_owned(),
        published_at: Some(NOW),
        consistency_proof: Vec::new(),
    }
}

fn pangea_page(limit: u32) -> PangeaPage {
    PangeaPage {
        id: "a".repeat(32),
        expires_at: WallTime::from_micros(NOW.micros + 60_000_000),
        count: 3,
        total: 3,
        events: (0..limit.min(3))
            .map(|index| pangea_event(index.into()))
            .collect(),
        root: Some(pangea_root()),
        unpublished_root: None,
    }
}

fn fail<T>(failure: Option<&Error>, answer: T) -> Result<T, Error> {
    match failure {
        Some(error) => Err(error.clone()),
        None => Ok(answer),
    }
}

impl Fake {
    fn result_page(&self, proof: &[&str]) -> Result<SearchPage, Error> {
        let page = SearchPage {
            id: "result-1".to_owned(),
            expires_at: Some(WallTime::from_micros(NOW.micros + 60_000_000)),
            count: 3,
            total: 3,
            entries: vec![entry(2, proof)],
            checkpoint: checkpoint(),
            indexed_size: 3,
        };
        fail(self.ledger_fails.as_ref(), page)
    }
}

impl Fake {
    fn change<T>(&self, change: String, answer: T) -> Result<T, Error> {
        self.changes.lock().push(change);
        fail(self.ledger_fails.as_ref(), answer)
    }
}

impl Environment for Fake {
    fn now(&self) -> WallTime {
        NOW
    }

    fn tokens(&self) -> Result<Tokens, String> {
        Ok(self.tokens.clone())
    }
}

impl Log for Fake {
    fn write(&self, events: EventColumns) -> Result<Written, Error> {
        let count = events.len();
        self.written.lock().push(events);
        let written = Written {
            indices: vec![Some(2); count],
            appended: u32::try_from(count).unwrap_or(u32::MAX),
            duplicates: 0,
            tree_size: 3,
        };
        match &self.ended {
            Some(reason) => Err(Error::Ended(reason.clone())),
            None => fail(self.ledger_fails.as_ref(), written),
        }
    }

    fn search(&self, query: &SearchQuery) -> Result<SearchPage, Error> {
        self.searched.lock().push(query.clone());
        self.result_page(if query.verbose { &["cGF0aA=="] } else { &[] })
    }

    fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, Error> {
        self.paged.lock().push((id.to_owned(), offset, limit));
        self.result_page(&[])
    }

    fn proof(&self, index: u64) -> Result<InclusionProof, Error> {
        if index > 2 {
            return Err(Error::NotFound(format!("no entry {index}")));
        }
        let proof = InclusionProof {
            entry: entry(index, &["cGF0aA=="]),
            checkpoint: checkpoint(),
        };
        fail(self.ledger_fails.as_ref(), proof)
    }

    fn entries(&self, first: u64, limit: u32, with_proofs: bool) -> Result<EntryRange, Error> {
        let proof: &[&str] = if with_proofs { &["cGF0aA=="] } else { &[] };
        let end = first.saturating_add(limit.into()).min(3);
        let range = EntryRange {
            entries: (first..end).map(|index| entry(index, proof)).collect(),
            checkpoint: checkpoint(),
        };
        fail(self.ledger_fails.as_ref(), range)
    }

    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        fail(self.ledger_fails.as_ref(), checkpoint())
    }
}

/// A tree of three entries, of which only level 0 has a tile.
impl LogTree for Fake {
    fn ledger_status(&self) -> Result<LedgerStatus, Error> {
        let status = LedgerStatus {
            tree_size: 3,
            appended: 3,
            ended: self.ended.clone(),
            archive: self.archive.clone(),
            clock: self.clock,
            ..LedgerStatus::default()
        };
        fail(self.ledger_fails.as_ref(), status)
    }

    fn head(&self) -> Result<Checkpoint, Error> {
        self.checkpoint()
    }

    fn entry(&self, index: u64) -> Result<Entry, Error> {
        let mut entry = self.proof(index)?.entry;
        entry.removed = self.removal.clone();
        Ok(entry)
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<String>, Error> {
        if old_size > new_size {
            return Err(Error::invalid("old_size", "is too large"));
        }
        if new_size > 3 {
            return Err(Error::NotFound(format!("no tree of {new_size}")));
        }
        fail(self.ledger_fails.as_ref(), vec!["cGF0aA==".to_owned()])
    }

    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, Error> {
        if (level, number) != (0, 0) || width > 3 {
            return Err(Error::NotFound("no such tile".to_owned()));
        }
        let tile = vec![0xff; 32 * usize::from(width)];
        fail(self.ledger_fails.as_ref(), tile)
    }

    fn entry_bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, Error> {
        if number != 0 || width > 3 {
            return Err(Error::NotFound("no such bundle".to_owned()));
        }
        let bundle = [0, 1, 0xfe].repeat(width.into());
        fail(self.ledger_fails.as_ref(), bundle)
    }

    fn receipt(&self, index: u64) -> Result<Vec<u8>, Error> {
        self.proof(index)?;
        fail(self.ledger_fails.as_ref(), vec![0xd2, 0x84])
    }
}

impl LogControl for Fake {
    fn erase(&self, entry: u64, reason: &str, actor: &str) -> Result<Erasure, Error> {
        let erasure = Erasure {
            entry,
            marker: 9,
            already: false,
        };
        self.change(format!("erase {entry}: {reason}, {actor}"), erasure)
    }

    fn retain(
        &self,
        before: WallTime,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, Error> {
        let retained = Retained {
            marker: Some(9),
            below: 4,
        };
        let before = before.to_rfc3339();
        let change = format!("retain {scope:?} before {before}: {reason}, {actor}");
        self.change(change, retained)
    }

    fn retention(&self) -> Result<Retention, Error> {
        let retention = Retention {
            readings_below: 4,
            all_below: 0,
            freed_bytes: 1_000,
            pending: false,
            problem: String::new(),
        };
        fail(self.ledger_fails.as_ref(), retention)
    }

    fn close_gap(&self, id: u64, reason: &str, actor: &str) -> Result<Gap, Error> {
        if id != gap().id {
            return Err(Error::NotFound(format!("no gap {id} is known")));
        }
        let closed = Gap {
            state: GapState::Closed,
            closed_at: Some(NOW),
            closed_entry: Some(9),
            closed_by: actor.to_owned(),
            closed_reason: reason.to_owned(),
            ..gap()
        };
        self.change(format!("close gap {id}: {reason}, {actor}"), closed)
    }

    fn rotate_key(&self, reason: &str, actor: &str) -> Result<KeyChange, Error> {
        self.change(format!("rotate: {reason}, {actor}"), key_change())
    }

    fn retire_key(&self, reason: &str, actor: &str) -> Result<KeyChange, Error> {
        self.change(format!("retire: {reason}, {actor}"), key_change())
    }

    fn freeze(
        &self,
        successor: Option<&Successor>,
        reason: &str,
        actor: &str,
    ) -> Result<Freeze, Error> {
        let freeze = Freeze {
            entry: 2,
            checkpoint: checkpoint(),
        };
        let successor = successor.map_or("none", |successor| &successor.origin);
        self.change(format!("freeze for {successor}: {reason}, {actor}"), freeze)
    }
}

impl PangeaLog for Fake {
    fn pangea_search(&self, query: &SearchQuery) -> Result<PangeaPage, Error> {
        fail(self.ledger_fails.as_ref(), pangea_page(query.limit))
    }

    fn pangea_page(
        &self,
        _id: &str,
        offset: u32,
        limit: u32,
        _restriction: Option<&Restriction>,
    ) -> Result<PangeaPage, Error> {
        if offset > 3 {
            return Err(Error::invalid("offset", "is beyond the end"));
        }
        fail(self.ledger_fails.as_ref(), pangea_page(limit))
    }

    fn pangea_root(&self, size: Option<u64>) -> Result<PangeaRoot, Error> {
        match size {
            None | Some(1) => fail(self.ledger_fails.as_ref(), pangea_root()),
            Some(size) => Err(Error::NotFound(format!("no root of size {size}"))),
        }
    }

    fn pangea_logged(
        &self,
        indices: &[u64],
        _previous_root: Option<&str>,
    ) -> Result<Vec<PangeaLogged>, Error> {
        let logged = indices.iter().map(|&index| PangeaLogged {
            event: pangea_event(index),
            unpublished_root: HEX_HASH.to_owned(),
            consistency_proof: None,
        });
        fail(self.ledger_fails.as_ref(), logged.collect())
    }

    fn span(&self, _start: Option<&str>, _end: Option<&str>) -> Result<(u64, u64), Error> {
        fail(self.ledger_fails.as_ref(), (0, 3))
    }

    fn pangea_entries(
        &self,
        start: u64,
        end: u64,
        _published: Option<u64>,
        _verbose: bool,
    ) -> Result<PangeaPage, Error> {
        let count = u32::try_from(end.saturating_sub(start)).unwrap_or(u32::MAX);
        fail(self.ledger_fails.as_ref(), pangea_page(count))
    }

    fn keep(&self, content: &str, _expires_at: WallTime) -> Result<String, Error> {
        content.clone_into(&mut self.kept.lock());
        fail(self.ledger_fails.as_ref(), "a".repeat(32))
    }

    fn keep_as(&self, name: &str, content: &str, _expires_at: WallTime) -> Result<String, Error> {
        let mut kept = self.kept_as.lock();
        let there = kept.entry(name.to_owned());
        let there = there.or_insert_with(|| content.to_owned()).clone();
        fail(self.ledger_fails.as_ref(), there)
    }

    fn kept(&self, name: &str) -> Result<String, Error> {
        if let Some(kept) = self.kept_as.lock().get(name) {
            return Ok(kept.clone());
        }
        let kept = self.kept.lock().clone();
        if kept.is_empty() || name != "a".repeat(32) {
            return Err(Error::NotFound(format!("nothing is kept as {name}")));
        }
        fail(self.ledger_fails.as_ref(), kept)
    }
}

impl Readings for Fake {
    fn latest(&self, sensors: &[String]) -> Result<Vec<Reading>, Error> {
        self.latest_asked.lock().push(sensors.to_vec());
        let known = sensors
            .iter()
            .filter(|id| *id == SENSOR)
            .map(|id| reading(id))
            .collect();
        fail(self.ledger_fails.as_ref(), known)
    }

    fn series(
        &self,
        sensor: &str,
        start: WallTime,
        end: WallTime,
        limit: u32,
    ) -> Result<Series, Error> {
        self.series_asked
            .lock()
            .push((sensor.to_owned(), start, end, limit));
        let series = self
            .series
            .clone()
            .unwrap_or_else(|| Series::Raw(vec![reading(sensor)]));
        fail(self.ledger_fails.as_ref(), series)
    }

    fn gaps(&self, query: &GapQuery) -> Result<GapPage, Error> {
        self.gaps_asked.lock().push(query.clone());
        let page = GapPage {
            gaps: vec![gap()],
            next: Some(7),
            totals: GapTotals {
                open: 1,
                missing: 3,
                ..GapTotals::default()
            },
        };
        fail(self.ledger_fails.as_ref(), page)
    }
}

impl Witnessing for Fake {
    fn published_checkpoint(&self) -> Result<Checkpoint, Error> {
        self.checkpoint()
    }

    fn inclusion(&self, index: u64) -> Result<InclusionProof, Error> {
        let mut proof = self.proof(index)?;
        proof.entry.removed = self.removal.clone();
        Ok(proof)
    }

    fn add_checkpoint(&self, request: &[u8]) -> Result<WitnessReply, Error> {
        let reply = WitnessReply {
            status: 409,
            content_type: "text/x.tlog.size".to_owned(),
            body: format!("{}\n", request.len()),
        };
        fail(self.ledger_fails.as_ref(), reply)
    }

    fn cosigned_checkpoint(&self, origin_hash: &str) -> Result<Option<String>, Error> {
        let known = origin_hash == COSIGNED;
        fail(self.ledger_fails.as_ref(), known.then(|| checkpoint().note))
    }

    fn witnessing(&self) -> Result<ledger::Witnessing, Error> {
        fail(self.ledger_fails.as_ref(), self.witnessing.clone())
    }
}

impl Plant for Fake {
    fn sites(&self) -> Result<Vec<String>, Error> {
        let north = self.north.as_ref().map(|_| "north".to_owned());
        Ok(["main".to_owned()].into_iter().chain(north).collect())
    }

    fn sensors(&self, site: &str, offset: u32, limit: u32) -> Result<Vec<SensorState>, Error> {
        let all = match site {
            "main" => [sensor(SENSOR), sensor(SILENT_SENSOR)],
            _ => [sensor(NORTH_SENSOR), moved()],
        };
        let page = all
            .into_iter()
            .skip(offset as usize)
            .take(limit as usize)
            .collect();
        fail(self.polling_of(site), page)
    }

    fn sensor(&self, site: &str, id: &str) -> Result<Option<SensorState>, Error> {
        let known = match (site, id) {
            ("main", SENSOR) => Some(sensor(id)),
            ("north", NORTH_SENSOR) => Some(sensor(id)),
            ("north", SILENT_SENSOR) => Some(moved()),
            _ => None,
        };
        fail(self.polling_of(site), known)
    }

    fn approve_key(&self, site: &str, sensor: &str, fingerprint: &str) -> Result<String, Error> {
        match (sensor, fingerprint) {
            (SENSOR, "SHA256:shown") if site == "main" => {
                fail(self.polling_fails.as_ref(), KEY.to_owned())
            }
            (NORTH_SENSOR, "SHA256:shown") if site == "north" => Ok(NORTH_KEY.to_owned()),
            (SENSOR, _) => Err(Error::Refused("it shows another key".to_owned())),
            _ => Err(Error::NotFound("no such sensor".to_owned())),
        }
    }

    fn retire_key_of(&self, site: &str, sensor: &str) -> Result<String, Error> {
        self.approve_key(site, sensor, "SHA256:shown")
    }

    fn refusals(
        &self,
        site: &str,
        sensor: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Refusal>, Error> {
        let all = [refusal(SENSOR), refusal("")].into_iter();
        let wanted = all.filter(|refusal| sensor.is_none_or(|id| refusal.sensor == id));
        let refusals = match site {
            "main" => wanted.take(limit as usize).collect(),
            _ => Vec::new(),
        };
        fail(self.polling_of(site), refusals)
    }

    fn polling_status(&self, site: &str) -> Result<PollingStatus, Error> {
        let status = PollingStatus {
            sensors_stale: 2,
            polls: 10,
            delivery_ended: self.ended.clone().unwrap_or_default(),
            latency_p99: if site == "main" { 1_000 } else { 2_000 },
            ..PollingStatus::default()
        };
        let status = match site {
            "main" => {
                let letters = self.dead_letters.lock();
                PollingStatus {
                    dead_letters: letters.len() as u64,
                    oldest_dead_letter: letters.first().map(|letter| letter.stored_at),
                    delivery_failing_since: self.failing_since,
                    ..status
                }
            }
            _ => status,
        };
        fail(self.polling_of(site), status)
    }

    fn dead_letters(&self, site: &str, offset: u32, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        let letters = self.dead_letters.lock();
        let listed = letters.iter().filter(|_| site == "main").cloned();
        let listed = listed.map(|letter| DeadLetter {
            content: String::new(),
            ..letter
        });
        let page = listed.skip(offset as usize).take(limit as usize);
        fail(self.polling_of(site), page.collect())
    }

    fn dead_letter(&self, site: &str, id: &str) -> Result<DeadLetter, Error> {
        let letters = self.dead_letters.lock();
        let found = letters
            .iter()
            .find(|letter| site == "main" && letter.id == id);
        let found = found.cloned();
        found.ok_or_else(|| Error::NotFound(format!("there is no dead letter {id}")))
    }

    fn retry_dead_letter(&self, site: &str, id: &str) -> Result<(), Error> {
        self.drop_dead_letter(site, id)
    }

    fn drop_dead_letter(&self, site: &str, id: &str) -> Result<(), Error> {
        self.dead_letter(site, id)?;
        self.dead_letters.lock().retain(|letter| letter.id != id);
        Ok(())
    }
}

impl Pages for Fake {
    fn asset(&self, path: &str) -> Result<Option<Asset>, Error> {
        Ok((path == "/").then(|| Asset {
            content_type: "text/html; charset=utf-8".to_owned(),
            etag: "\"abc\"".to_owned(),
            body: "<!doctype html>".to_owned(),
        }))
    }
}
