//! A backend that answers from memory, remembers what it was asked, and fails when told to.

use std::sync::Mutex;

use fieldledger_api::backend::{
    ArchiveStatus, Asset, Checkpoint, Entry, Erasure, Freeze, Gap, GapKind, GapPage, GapQuery,
    GapState, GapTotals, KeyChange, LedgerStatus, Liveness, MissingRange, PangeaEvent,
    PangeaLogged, PangeaPage, PangeaRoot, PollingStatus, Reading, Removal, Restriction, Retained,
    Retention, RetentionScope, SearchPage, SearchQuery, SensorState, Series, Standing, Successor,
    WitnessReply, Witnessing,
};
use fieldledger_api::{Backend, BackendError, FieldProblem, LogTree, Moment, Tokens};
use fieldledger_audit::EventColumns;

/// 2026-01-02T03:04:05.000006Z.
pub(crate) const NOW: Moment = Moment(1_767_323_045_000_006);
pub(crate) const SENSOR: &str = "123e4567-e89b-12d3-a456-426614174000";
pub(crate) const SILENT_SENSOR: &str = "123e4567-e89b-12d3-a456-426614174001";
/// At the site `north`, as is the silent one since it was moved there.
pub(crate) const NORTH_SENSOR: &str = "123e4567-e89b-12d3-a456-426614174002";
/// The key that the sensor shows.
pub(crate) const KEY: &str = "ed25519:shown";
/// The key that the sensor at the other site shows.
pub(crate) const NORTH_KEY: &str = "ed25519:north";
/// SHA-256 of the one origin that was cosigned.
pub(crate) const COSIGNED: &str = "00ff";
/// Not what `serde_json` would print: spaces and order show whether the text passes unchanged.
pub(crate) const ENVELOPE: &str = r#"{"event":{"message":"a  b"},"a":1.0}"#;

#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) ledger_fails: Option<BackendError>,
    pub(crate) polling_fails: Option<BackendError>,
    /// Whether there is a site `north`, and what it fails with.
    pub(crate) north: Option<Option<BackendError>>,
    pub(crate) tokens: Tokens,
    pub(crate) ended: Option<String>,
    pub(crate) archive: Option<ArchiveStatus>,
    pub(crate) series: Option<Series>,
    pub(crate) removal: Option<Removal>,
    pub(crate) witnessing: Witnessing,
    pub(crate) searched: Mutex<Vec<SearchQuery>>,
    pub(crate) paged: Mutex<Vec<(String, u32, u32)>>,
    pub(crate) series_asked: Mutex<Vec<(String, Moment, Moment, u32)>>,
    pub(crate) gaps_asked: Mutex<Vec<GapQuery>>,
    pub(crate) latest_asked: Mutex<Vec<Vec<String>>>,
    /// What was kept last, as `aaa…`.
    pub(crate) kept: Mutex<String>,
    /// Changes of the log that were asked for, with their actor.
    pub(crate) changes: Mutex<Vec<String>>,
}

pub(crate) fn checkpoint() -> Checkpoint {
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

pub(crate) fn entry(index: u64, proof: &[&str]) -> Entry {
    Entry {
        index,
        envelope: ENVELOPE.to_owned(),
        envelope_hash: "aGFzaA==".to_owned(),
        leaf: "bGVhZg==".to_owned(),
        proof: proof.iter().map(|&hash| hash.to_owned()).collect(),
        removed: None,
    }
}

pub(crate) fn reading(sensor: &str) -> Reading {
    Reading {
        index: 2,
        sensor: sensor.to_owned(),
        status: "SUCCESS".to_owned(),
        quality: "Good".to_owned(),
        value: Some(21.5),
        unit: "Cel".to_owned(),
        polled_at: Moment(NOW.0 - 1_000_000),
        received_at: NOW,
    }
}

pub(crate) fn gap() -> Gap {
    let (start, end) = (Moment(NOW.0 - 4_000_000), Moment(NOW.0 - 1_000_000));
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
    }
}

impl Fake {
    fn polling_of(&self, site: &str) -> Option<&BackendError> {
        match site {
            "main" => self.polling_fails.as_ref(),
            _ => self.north.as_ref().and_then(Option::as_ref),
        }
    }
}

/// The silent sensor, heard again where it is now.
fn moved() -> SensorState {
    SensorState {
        last_heartbeat: Moment(NOW.0 + 1),
        ..sensor(SILENT_SENSOR)
    }
}

pub(crate) fn sensor(id: &str) -> SensorState {
    SensorState {
        id: id.to_owned(),
        alias: "<script>alert(1)</script>".to_owned(),
        location: "Hall 1".to_owned(),
        unit: "Cel".to_owned(),
        range: None,
        calibration: None,
        liveness: Liveness::Stale,
        standing: Standing::Discovered,
        key: String::new(),
        offered_key: "SHA256:shown".to_owned(),
        poll_interval_ms: 1_000,
        ip_address: "127.0.0.1".to_owned(),
        mac_address: "aa:bb:cc:dd:ee:ff".to_owned(),
        first_seen: Moment(0),
        last_heartbeat: NOW,
        last_poll: None,
        last_reply: None,
        consecutive_failures: 0,
        polls: 1,
        replies: 1,
        timeouts: 0,
        unparsable: 0,
        late: 0,
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
        expires_at: Moment(NOW.0 + 60_000_000),
        count: 3,
        events: (0..limit.min(3))
            .map(|index| pangea_event(index.into()))
            .collect(),
        root: Some(pangea_root()),
        unpublished_root: None,
    }
}

fn fail<T>(failure: Option<&BackendError>, answer: T) -> Result<T, BackendError> {
    match failure {
        Some(error) => Err(error.clone()),
        None => Ok(answer),
    }
}

impl Fake {
    fn result_page(&self, proof: &[&str]) -> Result<SearchPage, BackendError> {
        let page = SearchPage {
            id: "result-1".to_owned(),
            expires_at: Some(Moment(NOW.0 + 60_000_000)),
            count: 3,
            entries: vec![entry(2, proof)],
            checkpoint: checkpoint(),
            indexed_size: 3,
        };
        fail(self.ledger_fails.as_ref(), page)
    }
}

impl Fake {
    fn change<T>(&self, change: String, answer: T) -> Result<T, BackendError> {
        self.changes.lock().unwrap().push(change);
        fail(self.ledger_fails.as_ref(), answer)
    }
}

impl Backend for Fake {
    fn erase(&self, entry: u64, reason: &str, actor: &str) -> Result<Erasure, BackendError> {
        let erasure = Erasure {
            entry,
            marker: 9,
            already: false,
        };
        self.change(format!("erase {entry}: {reason}, {actor}"), erasure)
    }

    fn retain(
        &self,
        before: Moment,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, BackendError> {
        let retained = Retained {
            marker: Some(9),
            below: 4,
        };
        let before = before.to_rfc3339();
        let change = format!("retain {scope:?} before {before}: {reason}, {actor}");
        self.change(change, retained)
    }

    fn retention(&self) -> Result<Retention, BackendError> {
        let retention = Retention {
            readings_below: 4,
            all_below: 0,
            freed_bytes: 1_000,
            pending: false,
            problem: String::new(),
        };
        fail(self.ledger_fails.as_ref(), retention)
    }

    fn rotate_key(&self, reason: &str, actor: &str) -> Result<KeyChange, BackendError> {
        self.change(format!("rotate: {reason}, {actor}"), key_change())
    }

    fn retire_key(&self, reason: &str, actor: &str) -> Result<KeyChange, BackendError> {
        self.change(format!("retire: {reason}, {actor}"), key_change())
    }

    fn freeze(
        &self,
        successor: Option<&Successor>,
        reason: &str,
        actor: &str,
    ) -> Result<Freeze, BackendError> {
        let freeze = Freeze {
            entry: 2,
            checkpoint: checkpoint(),
        };
        let successor = successor.map_or("none", |successor| &successor.origin);
        self.change(format!("freeze for {successor}: {reason}, {actor}"), freeze)
    }

    fn now(&self) -> Moment {
        NOW
    }

    fn tokens(&self) -> Result<Tokens, String> {
        Ok(self.tokens.clone())
    }

    fn search(&self, query: &SearchQuery) -> Result<SearchPage, BackendError> {
        self.searched.lock().unwrap().push(query.clone());
        self.result_page(if query.verbose { &["cGF0aA=="] } else { &[] })
    }

    fn page(&self, id: &str, offset: u32, limit: u32) -> Result<SearchPage, BackendError> {
        self.paged
            .lock()
            .unwrap()
            .push((id.to_owned(), offset, limit));
        self.result_page(&[])
    }

    fn proof(&self, index: u64) -> Result<(Entry, Checkpoint), BackendError> {
        if index > 2 {
            return Err(BackendError::NotFound(format!("no entry {index}")));
        }
        let answer = (entry(index, &["cGF0aA=="]), checkpoint());
        fail(self.ledger_fails.as_ref(), answer)
    }

    fn entries(
        &self,
        first: u64,
        limit: u32,
        with_proofs: bool,
    ) -> Result<(Vec<Entry>, Checkpoint), BackendError> {
        let proof: &[&str] = if with_proofs { &["cGF0aA=="] } else { &[] };
        let end = first.saturating_add(limit.into()).min(3);
        let entries = (first..end).map(|index| entry(index, proof)).collect();
        fail(self.ledger_fails.as_ref(), (entries, checkpoint()))
    }

    fn checkpoint(&self) -> Result<Checkpoint, BackendError> {
        fail(self.ledger_fails.as_ref(), checkpoint())
    }

    fn write(&self, events: EventColumns) -> Result<Vec<Option<u64>>, BackendError> {
        fail(self.ledger_fails.as_ref(), vec![Some(2); events.len()])
    }

    fn pangea_search(&self, query: &SearchQuery) -> Result<PangeaPage, BackendError> {
        fail(self.ledger_fails.as_ref(), pangea_page(query.limit))
    }

    fn pangea_page(
        &self,
        _id: &str,
        offset: u32,
        limit: u32,
        _restriction: Option<&Restriction>,
    ) -> Result<PangeaPage, BackendError> {
        if offset > 3 {
            let problem = FieldProblem::new("offset", "is beyond the end");
            return Err(BackendError::Invalid(vec![problem]));
        }
        fail(self.ledger_fails.as_ref(), pangea_page(limit))
    }

    fn pangea_root(&self, size: Option<u64>) -> Result<PangeaRoot, BackendError> {
        match size {
            None | Some(1) => fail(self.ledger_fails.as_ref(), pangea_root()),
            Some(size) => Err(BackendError::NotFound(format!("no root of size {size}"))),
        }
    }

    fn pangea_logged(
        &self,
        indices: &[u64],
        _previous_root: Option<&str>,
    ) -> Result<Vec<PangeaLogged>, BackendError> {
        let logged = indices.iter().map(|&index| PangeaLogged {
            event: pangea_event(index),
            unpublished_root: HEX_HASH.to_owned(),
            consistency_proof: None,
        });
        fail(self.ledger_fails.as_ref(), logged.collect())
    }

    fn span(&self, _start: Option<&str>, _end: Option<&str>) -> Result<(u64, u64), BackendError> {
        fail(self.ledger_fails.as_ref(), (0, 3))
    }

    fn pangea_entries(
        &self,
        start: u64,
        end: u64,
        _published: Option<u64>,
        _verbose: bool,
    ) -> Result<PangeaPage, BackendError> {
        let count = u32::try_from(end.saturating_sub(start)).unwrap_or(u32::MAX);
        fail(self.ledger_fails.as_ref(), pangea_page(count))
    }

    fn keep(&self, content: &str, _expires_at: Moment) -> Result<String, BackendError> {
        content.clone_into(&mut self.kept.lock().unwrap());
        fail(self.ledger_fails.as_ref(), "a".repeat(32))
    }

    fn kept(&self, name: &str) -> Result<String, BackendError> {
        let kept = self.kept.lock().unwrap().clone();
        if kept.is_empty() || name != "a".repeat(32) {
            return Err(BackendError::NotFound(format!("nothing is kept as {name}")));
        }
        fail(self.ledger_fails.as_ref(), kept)
    }

    fn sites(&self) -> Result<Vec<String>, BackendError> {
        let north = self.north.as_ref().map(|_| "north".to_owned());
        Ok(["main".to_owned()].into_iter().chain(north).collect())
    }

    fn sensors(
        &self,
        site: &str,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<SensorState>, BackendError> {
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

    fn sensor(&self, site: &str, id: &str) -> Result<Option<SensorState>, BackendError> {
        let known = match (site, id) {
            ("main", SENSOR) => Some(sensor(id)),
            ("north", NORTH_SENSOR) => Some(sensor(id)),
            ("north", SILENT_SENSOR) => Some(moved()),
            _ => None,
        };
        fail(self.polling_of(site), known)
    }

    fn approve_key(
        &self,
        site: &str,
        sensor: &str,
        fingerprint: &str,
    ) -> Result<String, BackendError> {
        match (sensor, fingerprint) {
            (SENSOR, "SHA256:shown") if site == "main" => {
                fail(self.polling_fails.as_ref(), KEY.to_owned())
            }
            (NORTH_SENSOR, "SHA256:shown") if site == "north" => Ok(NORTH_KEY.to_owned()),
            (SENSOR, _) => Err(BackendError::Refused("it shows another key".to_owned())),
            _ => Err(BackendError::NotFound("no such sensor".to_owned())),
        }
    }

    fn retire_key_of(&self, site: &str, sensor: &str) -> Result<String, BackendError> {
        self.approve_key(site, sensor, "SHA256:shown")
    }

    fn latest(&self, sensors: &[String]) -> Result<Vec<Reading>, BackendError> {
        self.latest_asked.lock().unwrap().push(sensors.to_vec());
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
        start: Moment,
        end: Moment,
        limit: u32,
    ) -> Result<Series, BackendError> {
        self.series_asked
            .lock()
            .unwrap()
            .push((sensor.to_owned(), start, end, limit));
        let series = self
            .series
            .clone()
            .unwrap_or_else(|| Series::Raw(vec![reading(sensor)]));
        fail(self.ledger_fails.as_ref(), series)
    }

    fn gaps(&self, query: &GapQuery) -> Result<GapPage, BackendError> {
        self.gaps_asked.lock().unwrap().push(query.clone());
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

    fn ledger_status(&self) -> Result<LedgerStatus, BackendError> {
        let status = LedgerStatus {
            tree_size: 3,
            appended: 3,
            ended: self.ended.clone(),
            archive: self.archive.clone(),
            ..LedgerStatus::default()
        };
        fail(self.ledger_fails.as_ref(), status)
    }

    fn polling_status(&self, site: &str) -> Result<PollingStatus, BackendError> {
        let status = PollingStatus {
            sensors_stale: 2,
            polls: 10,
            latency_p99: if site == "main" { 1_000 } else { 2_000 },
            ..PollingStatus::default()
        };
        fail(self.polling_of(site), status)
    }

    fn published_checkpoint(&self) -> Result<Checkpoint, BackendError> {
        self.checkpoint()
    }

    fn add_checkpoint(&self, request: &[u8]) -> Result<WitnessReply, BackendError> {
        let reply = WitnessReply {
            status: 409,
            content_type: "text/x.tlog.size".to_owned(),
            body: format!("{}\n", request.len()),
        };
        fail(self.ledger_fails.as_ref(), reply)
    }

    fn cosigned_checkpoint(&self, origin_hash: &str) -> Result<Option<String>, BackendError> {
        let known = origin_hash == COSIGNED;
        fail(self.ledger_fails.as_ref(), known.then(|| checkpoint().note))
    }

    fn witnessing(&self) -> Result<Witnessing, BackendError> {
        fail(self.ledger_fails.as_ref(), self.witnessing.clone())
    }

    fn asset(&self, path: &str) -> Result<Option<Asset>, BackendError> {
        Ok((path == "/").then(|| Asset {
            content_type: "text/html; charset=utf-8".to_owned(),
            etag: "\"abc\"".to_owned(),
            body: "<!doctype html>".to_owned(),
        }))
    }
}

/// A tree of three entries, of which only level 0 has a tile.
impl LogTree for Fake {
    fn head(&self) -> Result<Checkpoint, BackendError> {
        self.checkpoint()
    }

    fn entry(&self, index: u64) -> Result<Entry, BackendError> {
        let (mut entry, _) = self.proof(index)?;
        entry.removed = self.removal.clone();
        Ok(entry)
    }

    fn inclusion(&self, index: u64) -> Result<(Entry, Checkpoint), BackendError> {
        let (_, checkpoint) = self.proof(index)?;
        let mut entry = entry(index, &["cGF0aA=="]);
        entry.removed = self.removal.clone();
        Ok((entry, checkpoint))
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<String>, BackendError> {
        if old_size > new_size {
            let problem = FieldProblem::new("old_size", "is too large");
            return Err(BackendError::Invalid(vec![problem]));
        }
        if new_size > 3 {
            return Err(BackendError::NotFound(format!("no tree of {new_size}")));
        }
        fail(self.ledger_fails.as_ref(), vec!["cGF0aA==".to_owned()])
    }

    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, BackendError> {
        if (level, number) != (0, 0) || width > 3 {
            return Err(BackendError::NotFound("no such tile".to_owned()));
        }
        let tile = vec![0xff; 32 * usize::from(width)];
        fail(self.ledger_fails.as_ref(), tile)
    }

    fn entry_bundle(&self, number: u64, width: u16) -> Result<Vec<u8>, BackendError> {
        if number != 0 || width > 3 {
            return Err(BackendError::NotFound("no such bundle".to_owned()));
        }
        let bundle = [0, 1, 0xfe].repeat(width.into());
        fail(self.ledger_fails.as_ref(), bundle)
    }

    fn receipt(&self, index: u64) -> Result<Vec<u8>, BackendError> {
        self.proof(index)?;
        fail(self.ledger_fails.as_ref(), vec![0xd2, 0x84])
    }
}
