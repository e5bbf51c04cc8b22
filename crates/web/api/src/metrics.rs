//! `GET /metrics`: Prometheus text exposition, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::Shared;
use crate::backend::{
    ArchiveStatus, AsWitness, GapQuery, GapTotals, LedgerStatus, OwnWitnesses, PollingStatus,
    WitnessState, Witnessing,
};
use crate::problem::Problem;
use crate::sites::{self, Answers};

const MICROS_PER_SECOND: f64 = 1e6;

/// Counters for Prometheus. A part that does not answer has `fieldledger_up` 0 and no other
/// metric, so that the rest stays visible.
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, description = "Prometheus text exposition", body = String, content_type = "text/plain; version=0.0.4; charset=utf-8"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_metrics(State(backend): State<Shared>) -> impl IntoResponse {
    let ledger = backend.ledger_status().ok();
    let polling = sites::polling(backend.as_ref()).ok();
    let one = GapQuery {
        limit: 1,
        ..GapQuery::default()
    };
    // Where the ledger did not answer the first question, a second would only wait as long again.
    let gaps = ledger.as_ref().and_then(|_| backend.gaps(&one).ok());
    let gaps = gaps.map(|page| page.totals);
    let witnessing = backend.witnessing().unwrap_or_default();
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        exposition(ledger.as_ref(), gaps, polling.as_ref(), &witnessing),
    )
}

fn exposition(
    ledger: Option<&LedgerStatus>,
    gaps: Option<GapTotals>,
    polling: Option<&Answers<PollingStatus>>,
    witnessing: &Witnessing,
) -> String {
    let mut text = Exposition::default();
    text.metric(
        "fieldledger_up",
        Kind::Gauge,
        "Whether a part of the system answers.",
    );
    text.labelled("part", "ledger", truth(ledger.is_some()));
    text.labelled("part", "polling", truth(polling.is_some()));
    if let Some(status) = ledger {
        ledger_metrics(&mut text, status);
    }
    if let Some(totals) = gaps {
        gap_metrics(&mut text, totals);
    }
    if let Some(answers) = polling {
        text.metric(
            "fieldledger_site_up",
            Kind::Gauge,
            "Whether a site's polling answers.",
        );
        for (site, _) in &answers.of {
            text.labelled("site", site, 1.0);
        }
        for away in &answers.away {
            text.labelled("site", &away.site, 0.0);
        }
        polling_metrics(&mut text, &answers.sum());
    }
    if let Some(own) = &witnessing.own {
        witness_metrics(&mut text, own);
    }
    if let Some(as_witness) = &witnessing.as_witness {
        watching_metrics(&mut text, as_witness);
    }
    text.out
}

fn ledger_metrics(text: &mut Exposition, status: &LedgerStatus) {
    text.metric(
        "fieldledger_ledger_info",
        Kind::Gauge,
        "Always 1; the label names the log.",
    );
    text.labelled("origin", &status.origin, 1.0);
    for (name, help, value) in [
        ("tree_size", "Entries in the log.", status.tree_size),
        (
            "indexed_size",
            "Entries the search index has seen.",
            status.indexed_size,
        ),
        (
            "disk_bytes",
            "Bytes of the ledger's folder.",
            status.bytes_on_disk,
        ),
        (
            "ended",
            "Whether the log takes no more events for ever: it was frozen, or is read-only.",
            status.ended.is_some().into(),
        ),
        (
            "index_failing",
            "Whether entries cannot be indexed at present.",
            (!status.index_problem.is_empty()).into(),
        ),
    ] {
        text.single(
            &format!("fieldledger_ledger_{name}"),
            Kind::Gauge,
            help,
            value,
        );
    }
    for (name, help, value) in [
        (
            "appended_total",
            "Events appended since the ledger started.",
            status.appended,
        ),
        (
            "duplicates_total",
            "Events that were already there.",
            status.duplicates,
        ),
        ("rejected_total", "Events refused.", status.rejected),
        ("commits_total", "Commits to disk.", status.commits),
    ] {
        text.single(
            &format!("fieldledger_ledger_{name}"),
            Kind::Counter,
            help,
            value,
        );
    }
    text.metric(
        "fieldledger_ledger_append_seconds",
        Kind::Gauge,
        "Quantiles of the time from request to durable, over the newest 512 to 1,024 commits.",
    );
    text.quantiles(status.commit_p50, status.commit_p99);
    if let Some(archive) = &status.archive {
        archive_metrics(text, archive);
    }
}

fn archive_metrics(text: &mut Exposition, archive: &ArchiveStatus) {
    for (name, help, value) in [
        (
            "segments",
            "Segments of the log that are in the archive whole.",
            archive.segments,
        ),
        (
            "entries",
            "Entries in them: all below this.",
            archive.entries,
        ),
        ("bytes", "Bytes of them.", archive.bytes),
        (
            "only_segments",
            "Segments that are in the archive only, and no longer on the ledger's disk.",
            archive.removed,
        ),
        (
            "failing",
            "Whether nothing more can be archived at present.",
            (!archive.problem.is_empty()).into(),
        ),
    ] {
        text.single(
            &format!("fieldledger_archive_{name}"),
            Kind::Gauge,
            help,
            value,
        );
    }
}

fn gap_metrics(text: &mut Exposition, totals: GapTotals) {
    for (name, help, value) in [
        (
            "gaps_open",
            "Gaps in devices' numbers that are not filled.",
            totals.open,
        ),
        (
            "readings_missing",
            "Readings missing in open gaps.",
            totals.missing,
        ),
        (
            "device_restarts",
            "Listed restarts of devices, around which nobody can count what is missing.",
            totals.unknown,
        ),
    ] {
        text.single(
            &format!("fieldledger_ledger_{name}"),
            Kind::Gauge,
            help,
            value,
        );
    }
}

/// What a metric says of a witness.
type Measure = fn(&WitnessState) -> f64;

fn witness_metrics(text: &mut Exposition, own: &OwnWitnesses) {
    text.metric(
        "fieldledger_checkpoint_witnessed",
        Kind::Gauge,
        "Whether the published checkpoint satisfies the witness policy.",
    );
    text.sample(truth(own.witnessed));
    for (name, help, value) in [
        (
            "fieldledger_checkpoint_published_size",
            "Entries in the published tree.",
            own.published_size.unwrap_or(0),
        ),
        (
            "fieldledger_checkpoint_witnessed_size",
            "Entries in the newest tree that satisfied the witness policy.",
            own.witnessed_size.unwrap_or(0),
        ),
    ] {
        text.single(name, Kind::Gauge, help, value);
    }
    let per_witness: [(&str, &str, Measure); 5] = [
        (
            "cosigned_size",
            "Entries in the tree that the witness cosigned last.",
            |witness| whole(witness.cosigned_size),
        ),
        (
            "cosigned_time_seconds",
            "When it did so, seconds since the Unix epoch.",
            |witness| whole(witness.cosigned_at),
        ),
        (
            "lag_entries",
            "Entries that the witness has not cosigned.",
            |witness| whole(witness.lag),
        ),
        (
            "failures",
            "Failed attempts since the witness cosigned last.",
            |witness| f64::from(witness.failures),
        ),
        (
            "refuses",
            "Whether the witness says that this is not the log it has cosigned.",
            |witness| truth(witness.refuses),
        ),
    ];
    for (name, help, value) in per_witness {
        text.metric(&format!("fieldledger_witness_{name}"), Kind::Gauge, help);
        for witness in &own.witnesses {
            text.labelled("witness", &witness.name, value(witness));
        }
    }
}

fn watching_metrics(text: &mut Exposition, as_witness: &AsWitness) {
    text.metric(
        "fieldledger_watched_size",
        Kind::Gauge,
        "Entries in the tree of another log that this site cosigned last.",
    );
    for log in &as_witness.logs {
        text.labelled("origin", &log.origin, whole(log.size));
    }
    text.metric(
        "fieldledger_watched_refused_total",
        Kind::Counter,
        "Checkpoints of another log that do not continue the tree cosigned.",
    );
    for log in &as_witness.logs {
        text.labelled("origin", &log.origin, whole(log.refused));
    }
}

fn polling_metrics(text: &mut Exposition, status: &PollingStatus) {
    text.metric(
        "fieldledger_polling_start_time_seconds",
        Kind::Gauge,
        "Start of the polling run, seconds since the Unix epoch.",
    );
    text.sample(seconds(status.started_at));
    text.metric("fieldledger_sensors", Kind::Gauge, "Sensors by liveness.");
    text.labelled("liveness", "ok", f64::from(status.sensors_ok));
    text.labelled("liveness", "stale", f64::from(status.sensors_stale));
    text.labelled("liveness", "down", f64::from(status.sensors_down));
    for (name, help, value) in [
        (
            "heartbeats_total",
            "Heartbeats accepted.",
            status.heartbeats,
        ),
        (
            "heartbeats_rejected_total",
            "Heartbeats refused.",
            status.heartbeats_rejected,
        ),
        ("polls_total", "Polls sent.", status.polls),
        (
            "replies_total",
            "Polls answered in time with a number.",
            status.replies,
        ),
        (
            "timeouts_total",
            "Polls not answered in time.",
            status.timeouts,
        ),
        (
            "unparsable_total",
            "Answers that were no number.",
            status.unparsable,
        ),
        ("late_total", "Answers that came too late.", status.late),
        (
            "unsolicited_total",
            "Answers that belong to no poll.",
            status.unsolicited,
        ),
        (
            "history_readings_total",
            "Readings that devices had kept and sent later.",
            status.history_readings,
        ),
        (
            "history_refused_total",
            "Messages of such readings that were refused.",
            status.history_refused,
        ),
        (
            "history_deferred_total",
            "Such messages that came too fast, or while polling paused.",
            status.history_deferred,
        ),
        (
            "batches_stored_total",
            "Batches put into the stream.",
            status.batches_stored,
        ),
        (
            "batches_delivered_total",
            "Batches that the ledger holds.",
            status.batches_delivered,
        ),
        (
            "batches_retried_total",
            "Deliveries that failed and were tried again.",
            status.batches_retried,
        ),
        (
            "batches_dead_lettered_total",
            "Batches given up.",
            status.batches_dead_lettered,
        ),
    ] {
        text.single(
            &format!("fieldledger_polling_{name}"),
            Kind::Counter,
            help,
            value,
        );
    }
    for (name, help, value) in [
        (
            "results_buffered",
            "Results not yet in the stream.",
            status.results_buffered,
        ),
        (
            "batches_pending",
            "Batches in the stream not yet delivered.",
            status.batches_pending,
        ),
    ] {
        text.single(
            &format!("fieldledger_polling_{name}"),
            Kind::Gauge,
            help,
            value,
        );
    }
    text.metric(
        "fieldledger_poll_to_durable_seconds",
        Kind::Gauge,
        "Quantiles of the time from poll to durable in the log, over the last minute.",
    );
    text.quantiles(status.latency_p50, status.latency_p99);
}

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

/// The text, and the metric that the next samples belong to.
#[derive(Default)]
struct Exposition {
    out: String,
    name: String,
}

impl Exposition {
    fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        name.clone_into(&mut self.name);
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn single(&mut self, name: &str, kind: Kind, help: &str, value: u64) {
        self.metric(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }

    fn sample(&mut self, value: f64) {
        let name = std::mem::take(&mut self.name);
        self.line(format_args!("{name} {value}"));
    }

    fn labelled(&mut self, label: &str, label_value: &str, value: f64) {
        let escaped = label_value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let name = self.name.clone();
        self.line(format_args!("{name}{{{label}=\"{escaped}\"}} {value}"));
    }

    fn quantiles(&mut self, p50: u64, p99: u64) {
        self.labelled("quantile", "0.5", seconds(p50));
        self.labelled("quantile", "0.99", seconds(p99));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{line}");
    }
}

fn truth(answers: bool) -> f64 {
    if answers { 1.0 } else { 0.0 }
}

/// Exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn whole(count: u64) -> f64 {
    count as f64
}

/// Exact to a microsecond until the year 2255.
#[allow(clippy::cast_precision_loss)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / MICROS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::WatchedLog;

    #[test]
    fn label_values_are_escaped() {
        let status = LedgerStatus {
            origin: "a\"b\\c\nd".to_owned(),
            ..LedgerStatus::default()
        };
        let text = exposition(Some(&status), None, None, &Witnessing::default());
        assert!(
            text.contains(r#"fieldledger_ledger_info{origin="a\"b\\c\nd"} 1"#),
            "{text}"
        );
    }

    #[test]
    fn every_sample_follows_its_help_and_type() {
        let ledger = LedgerStatus {
            commit_p50: 1_500,
            ended: Some("frozen".to_owned()),
            archive: Some(ArchiveStatus {
                segments: 3,
                problem: "out of reach".to_owned(),
                ..ArchiveStatus::default()
            }),
            ..LedgerStatus::default()
        };
        let witnessing = Witnessing {
            own: Some(OwnWitnesses {
                witnesses: vec![WitnessState::default(); 2],
                ..OwnWitnesses::default()
            }),
            as_witness: Some(AsWitness {
                logs: vec![WatchedLog::default()],
                ..AsWitness::default()
            }),
        };
        let text = exposition(
            Some(&ledger),
            Some(GapTotals::default()),
            Some(&Answers {
                of: vec![("main".to_owned(), PollingStatus::default())],
                away: Vec::new(),
            }),
            &witnessing,
        );
        for sample in [
            "fieldledger_ledger_append_seconds{quantile=\"0.5\"} 0.0015",
            "fieldledger_ledger_ended 1",
            "fieldledger_ledger_index_failing 0",
            "fieldledger_archive_segments 3",
            "fieldledger_archive_failing 1",
        ] {
            assert!(text.contains(&format!("{sample}\n")), "{sample} in {text}");
        }
        let mut described: Option<(String, String)> = None;
        let mut names = std::collections::HashSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_default();
                assert!(names.insert(name.to_owned()), "{name} is described twice");
                described = Some((name.to_owned(), kind.to_owned()));
            } else if !line.starts_with('#') {
                let end = line.find(['{', ' ']).unwrap_or(0);
                let (name, kind) = described.clone().unwrap_or_default();
                assert_eq!(&line[..end], name);
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
                let value = line.rsplit(' ').next().unwrap_or_default();
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(text.ends_with('\n'));
    }
}
