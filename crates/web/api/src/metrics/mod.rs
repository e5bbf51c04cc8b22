//! `GET /metrics`: Prometheus text exposition, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

mod families;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use fieldledger_contract::WallTime;
use fieldledger_contract::field::PollingStatus;
use fieldledger_contract::ledger::{
    ArchiveStatus, AsWitness, GapQuery, GapTotals, LedgerStatus, OwnWitnesses, WitnessState,
    Witnessing,
};

use self::families::{Families, Value};
use crate::parts::Shared;
use crate::problem::Problem;
use crate::sites::{self, Answers};

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
pub(crate) async fn show_metrics(State(parts): State<Shared>) -> impl IntoResponse {
    let ledger = parts.tree.ledger_status().ok();
    let polling = sites::polling(parts.plant.as_ref()).ok();
    let one = GapQuery {
        limit: 1,
        ..GapQuery::default()
    };
    // Where the ledger did not answer the first question, a second would only wait as long again.
    let gaps = ledger.as_ref().and_then(|_| parts.readings.gaps(&one).ok());
    let gaps = gaps.map(|page| page.totals);
    let witnessing = parts.witnesses.witnessing().unwrap_or_default();
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
    let mut families = Families::default();
    families.gauges(
        "fieldledger_up",
        "Whether a part of the system answers.",
        "part",
        [("ledger", ledger.is_some()), ("polling", polling.is_some())],
    );
    if let Some(status) = ledger {
        ledger_metrics(&mut families, status);
    }
    if let Some(totals) = gaps {
        gap_metrics(&mut families, totals);
    }
    if let Some(answers) = polling {
        let there = answers.of.iter().map(|(site, _)| (site.as_str(), true));
        let away = answers.away.iter().map(|away| (away.site.as_str(), false));
        families.gauges(
            "fieldledger_site_up",
            "Whether a site's polling answers.",
            "site",
            there.chain(away),
        );
        families.gauges(
            "fieldledger_site_delivery_paused",
            "Whether a site delivers no batches, because the log takes no more events.",
            "site",
            answers
                .of
                .iter()
                .map(|(site, status)| (site.as_str(), !status.delivery_ended.is_empty())),
        );
        polling_metrics(&mut families, &answers.sum());
    }
    if let Some(own) = &witnessing.own {
        witness_metrics(&mut families, own);
    }
    if let Some(as_witness) = &witnessing.as_witness {
        watching_metrics(&mut families, as_witness);
    }
    families.text()
}

fn ledger_metrics(families: &mut Families, status: &LedgerStatus) {
    families.gauges(
        "fieldledger_ledger_info",
        "Always 1; the label names the log.",
        "origin",
        [(status.origin.as_str(), true)],
    );
    families.gauge(
        "fieldledger_ledger_tree_size",
        "Entries in the log.",
        status.tree_size,
    );
    families.gauge(
        "fieldledger_ledger_indexed_size",
        "Entries the search index has seen.",
        status.indexed_size,
    );
    families.gauge(
        "fieldledger_ledger_disk_bytes",
        "Bytes of the ledger's folder.",
        status.bytes_on_disk,
    );
    families.gauge(
        "fieldledger_ledger_ended",
        "Whether the log has ended: it was frozen, or is read-only, and never takes an event again.",
        status.ended.is_some(),
    );
    families.gauge(
        "fieldledger_ledger_index_failing",
        "Whether entries cannot be indexed at present.",
        !status.index_problem.is_empty(),
    );
    let clock = status.clock.unwrap_or_default();
    families.gauge(
        "fieldledger_ledger_clock_stepped",
        "Whether the server's clock stepped, or is behind the last entry.",
        status.clock.is_some(),
    );
    let offset = seconds(clock.offset_micros.unsigned_abs());
    families.gauge(
        "fieldledger_ledger_clock_offset_seconds",
        "How far the clock is from where it would be without its steps.",
        if clock.offset_micros < 0 {
            -offset
        } else {
            offset
        },
    );
    families.gauge(
        "fieldledger_ledger_clock_behind_seconds",
        "How far the clock is behind the last entry, where that is a problem.",
        seconds(clock.behind_micros),
    );
    families.counter(
        "fieldledger_ledger_appended_total",
        "Events appended since the ledger started.",
        status.appended,
    );
    families.counter(
        "fieldledger_ledger_duplicates_total",
        "Events that were already there.",
        status.duplicates,
    );
    families.counter(
        "fieldledger_ledger_rejected_total",
        "Events refused.",
        status.rejected,
    );
    families.counter(
        "fieldledger_ledger_commits_total",
        "Commits to disk.",
        status.commits,
    );
    quantiles(
        families,
        "fieldledger_ledger_append_seconds",
        "Quantiles of the time from request to durable, over the last 1,024 commits.",
        status.commit_p50,
        status.commit_p99,
    );
    if let Some(archive) = &status.archive {
        archive_metrics(families, archive);
    }
}

fn archive_metrics(families: &mut Families, archive: &ArchiveStatus) {
    families.gauge(
        "fieldledger_archive_segments",
        "Segments of the log that are in the archive whole.",
        archive.segments,
    );
    families.gauge(
        "fieldledger_archive_entries",
        "Entries in them: all below this.",
        archive.entries,
    );
    families.gauge("fieldledger_archive_bytes", "Bytes of them.", archive.bytes);
    families.gauge(
        "fieldledger_archive_only_segments",
        "Segments that are in the archive only, and no longer on the ledger's disk.",
        archive.removed,
    );
    families.gauge(
        "fieldledger_archive_failing",
        "Whether nothing more can be archived at present.",
        !archive.problem.is_empty(),
    );
}

fn gap_metrics(families: &mut Families, totals: GapTotals) {
    families.gauge(
        "fieldledger_ledger_gaps_open",
        "Gaps in devices' numbers that are not filled.",
        totals.open,
    );
    families.gauge(
        "fieldledger_ledger_readings_missing",
        "Readings missing in open gaps.",
        totals.missing,
    );
    families.gauge(
        "fieldledger_ledger_device_restarts",
        "Listed restarts of devices, around which nobody can count what is missing.",
        totals.unknown,
    );
}

fn witness_metrics(families: &mut Families, own: &OwnWitnesses) {
    families.gauge(
        "fieldledger_checkpoint_witnessed",
        "Whether the published checkpoint satisfies the witness policy.",
        own.witnessed,
    );
    families.gauge(
        "fieldledger_checkpoint_published_size",
        "Entries in the published tree.",
        own.published_size.unwrap_or(0),
    );
    families.gauge(
        "fieldledger_checkpoint_witnessed_size",
        "Entries in the newest tree that satisfied the witness policy.",
        own.witnessed_size.unwrap_or(0),
    );
    let mut per_witness = |name: &str, help: &str, value: fn(&WitnessState) -> Value| {
        let values = own.witnesses.iter();
        let values = values.map(|witness| (witness.name.as_str(), value(witness)));
        families.gauges(name, help, "witness", values);
    };
    per_witness(
        "fieldledger_witness_cosigned_size",
        "Entries in the tree that the witness cosigned last.",
        |witness| witness.cosigned_size.into(),
    );
    per_witness(
        "fieldledger_witness_cosigned_time_seconds",
        "When it did so, seconds since the Unix epoch.",
        |witness| witness.cosigned_at.map_or(0, WallTime::seconds).into(),
    );
    per_witness(
        "fieldledger_witness_lag_entries",
        "Entries that the witness has not cosigned.",
        |witness| witness.lag.into(),
    );
    per_witness(
        "fieldledger_witness_failures",
        "Failed attempts since the witness cosigned last.",
        |witness| witness.failures.into(),
    );
    per_witness(
        "fieldledger_witness_refuses",
        "Whether the witness says that this is not the log it has cosigned.",
        |witness| witness.refuses.into(),
    );
}

fn watching_metrics(families: &mut Families, as_witness: &AsWitness) {
    let logs = as_witness.logs.iter();
    families.gauges(
        "fieldledger_watched_size",
        "Entries in the tree of another log that this site cosigned last.",
        "origin",
        logs.clone().map(|log| (log.origin.as_str(), log.size)),
    );
    families.counters(
        "fieldledger_watched_refused_total",
        "Checkpoints of another log that do not continue the tree cosigned.",
        "origin",
        logs.map(|log| (log.origin.as_str(), log.refused)),
    );
}

fn polling_metrics(families: &mut Families, status: &PollingStatus) {
    families.gauge(
        "fieldledger_polling_start_time_seconds",
        "Start of the polling run, seconds since the Unix epoch.",
        seconds(status.started_at.micros),
    );
    families.gauges(
        "fieldledger_sensors",
        "Sensors by liveness.",
        "liveness",
        [
            ("ok", status.sensors_ok),
            ("stale", status.sensors_stale),
            ("down", status.sensors_down),
        ],
    );
    families.counter(
        "fieldledger_polling_heartbeats_total",
        "Heartbeats accepted.",
        status.heartbeats,
    );
    families.counter(
        "fieldledger_polling_heartbeats_rejected_total",
        "Heartbeats refused.",
        status.heartbeats_rejected,
    );
    families.counter(
        "fieldledger_polling_polls_total",
        "Polls sent.",
        status.polls,
    );
    families.counter(
        "fieldledger_polling_replies_total",
        "Polls answered in time with a number.",
        status.replies,
    );
    families.counter(
        "fieldledger_polling_timeouts_total",
        "Polls not answered in time.",
        status.timeouts,
    );
    families.counter(
        "fieldledger_polling_unparsable_total",
        "Answers that were not a number.",
        status.unparsable,
    );
    families.counter(
        "fieldledger_polling_late_total",
        "Answers that came too late.",
        status.late,
    );
    families.counter(
        "fieldledger_polling_unsolicited_total",
        "Answers that belong to no poll.",
        status.unsolicited,
    );
    families.counter(
        "fieldledger_polling_history_readings_total",
        "Readings that devices had held and sent later.",
        status.history_readings,
    );
    families.counter(
        "fieldledger_polling_history_refused_total",
        "Messages of such readings that were refused.",
        status.history_refused,
    );
    families.counter(
        "fieldledger_polling_history_deferred_total",
        "Such messages that came too fast, or while polling paused.",
        status.history_deferred,
    );
    families.counter(
        "fieldledger_polling_batches_stored_total",
        "Batches put into the stream.",
        status.batches_stored,
    );
    families.counter(
        "fieldledger_polling_batches_delivered_total",
        "Batches that the ledger holds.",
        status.batches_delivered,
    );
    families.counter(
        "fieldledger_polling_batches_retried_total",
        "Deliveries that failed and were tried again.",
        status.batches_retried,
    );
    families.counter(
        "fieldledger_polling_batches_dead_lettered_total",
        "Batches given up.",
        status.batches_dead_lettered,
    );
    families.counter(
        "fieldledger_polling_results_cut_total",
        "Results of which the log has only what could be kept.",
        status.results_cut,
    );
    families.gauge(
        "fieldledger_dead_letters",
        "What could not be recorded and waits for a person.",
        status.dead_letters,
    );
    families.gauge(
        "fieldledger_dead_letters_oldest_time_seconds",
        "When the oldest of it was put aside, seconds since the Unix epoch; 0 if there is none.",
        status.oldest_dead_letter.map_or(0, WallTime::seconds),
    );
    families.gauge(
        "fieldledger_polling_delivery_failing_time_seconds",
        "Since when a lane has delivered nothing, seconds since the Unix epoch; 0 while all deliver.",
        status.delivery_failing_since.map_or(0, WallTime::seconds),
    );
    families.gauge(
        "fieldledger_polling_stored_bytes",
        "Bytes of the batches in the stream.",
        status.stored_bytes,
    );
    families.gauge(
        "fieldledger_polling_stored_bytes_max",
        "Bytes in the stream at which polling stops.",
        status.stored_bytes_max,
    );
    families.gauge(
        "fieldledger_polling_results_buffered",
        "Results not yet in the stream.",
        status.results_buffered,
    );
    families.gauge(
        "fieldledger_polling_batches_pending",
        "Batches in the stream not yet delivered.",
        status.batches_pending,
    );
    quantiles(
        families,
        "fieldledger_poll_to_durable_seconds",
        "Quantiles of the time from poll to durable in the log, over the last minute.",
        status.latency_p50,
        status.latency_p99,
    );
}

/// The median and the 99th percentile of a time, from microseconds.
fn quantiles(families: &mut Families, name: &str, help: &str, p50: u64, p99: u64) {
    let values = [("0.5", seconds(p50)), ("0.99", seconds(p99))];
    families.gauges(name, help, "quantile", values);
}

/// Exact to a microsecond until the year 2255.
#[allow(clippy::cast_precision_loss)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use fieldledger_contract::ledger::WatchedLog;

    use super::*;

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
