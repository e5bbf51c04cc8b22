//! `fieldledger gaps`: which readings are missing; `gaps close`: that nobody waits for them.

use std::fmt;

use clap::{Args, Subcommand};
use fieldledger_api::answers::GapsResponse;
use fieldledger_contract::calls::LogControl;
use fieldledger_contract::ledger::{Gap, GapKind, GapState, GapTotals};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::ledger_target::{LedgerTarget, Target, changed};
use crate::output::{bad, good, pairs, plain, table};

/// Gaps that are asked for at a time, at most.
const PAGE: u32 = 1_000;

/// Options of `gaps`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct GapsArgs {
    #[command(subcommand)]
    action: Option<Action>,

    /// Of this sensor only (a UUID).
    #[arg(long, value_name = "ID")]
    sensor: Option<String>,

    /// That reach beyond this time: RFC 3339, or a span before now such as 1d.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// That begin before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,

    /// In this state only.
    #[arg(long, value_parser = ["open", "closed", "unknown"])]
    state: Option<String>,

    /// How many to show, the newest first.
    #[arg(long, value_name = "GAPS", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,

    /// Exit with 1 where one of them is open.
    #[arg(long)]
    check: bool,
}

/// What else than to list them.
#[derive(Debug, Subcommand)]
enum Action {
    /// Close a gap: nobody waits for what is missing any longer. The log tells who closed it, and why.
    Close(CloseArgs),
}

/// Options of `gaps close`.
#[derive(Debug, Args)]
struct CloseArgs {
    /// The gap, by the id that the list shows.
    gap: u64,

    /// Why. It stays in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,

    #[command(flatten)]
    target: LedgerTarget,
}

/// A gap that was closed.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ClosedGap(Gap);

impl fmt::Display for ClosedGap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gap {
            id,
            sensor,
            closed_entry,
            closed_by,
            ..
        } = &self.0;
        let entry = closed_entry.map_or_else(String::new, |entry| entry.to_string());
        formatter.write_str(&pairs([
            ("gap", format!("{id}, closed")),
            ("sensor", plain(sensor)),
            ("closed by", plain(closed_by)),
            ("recorded by entry", entry),
        ]))
    }
}

fn close(args: &CloseArgs, context: &Context) -> anyhow::Result<Exit> {
    let gap: Gap = match args.target.open(context)? {
        Target::Server(client) => {
            let path = format!("/api/gaps/{}/close", args.gap);
            client.post(&path, &json!({"reason": args.reason}))?
        }
        Target::Folder(ledger, actor) => {
            let gap = LogControl::close_gap(&ledger, args.gap, &args.reason, &actor);
            let gap = changed(gap)?;
            ledger.close();
            gap
        }
    };
    context.output.show(&ClosedGap(gap))?;
    Ok(Exit::Ok)
}

/// The result.
#[derive(Debug, Serialize)]
struct Gaps {
    gaps: Vec<Gap>,
    /// There are more than were asked for.
    more: bool,
    totals: GapTotals,
}

/// Asks and shows.
pub(crate) fn run(args: &GapsArgs, context: &Context) -> anyhow::Result<Exit> {
    if let Some(Action::Close(args)) = &args.action {
        return close(args, context);
    }
    let client = context.client()?;
    let mut found = Gaps {
        gaps: Vec::new(),
        more: false,
        totals: GapTotals::default(),
    };
    let mut cursor = None;
    loop {
        // At most `limit`, which fits.
        let wanted = args.limit - found.gaps.len() as u32;
        let path = path(args, wanted.min(PAGE), cursor)?;
        let page: GapsResponse = client.get(&path)?;
        let has_some = !page.gaps.is_empty();
        found.gaps.extend(page.gaps);
        found.gaps.truncate(args.limit as usize);
        found.totals = page.totals;
        cursor = page.next;
        found.more = cursor.is_some();
        if !found.more || !has_some || found.gaps.len() == args.limit as usize {
            break;
        }
    }
    context.output.show(&found)?;
    let has_open = found.gaps.iter().any(|gap| gap.state == GapState::Open);
    Ok(match args.check && has_open {
        true => Exit::Problems,
        false => Exit::Ok,
    })
}

fn path(args: &GapsArgs, limit: u32, cursor: Option<u64>) -> anyhow::Result<String> {
    let limit = limit.to_string();
    let cursor = cursor.map(|cursor| cursor.to_string());
    let parameters = [
        ("sensor", args.sensor.as_deref()),
        ("from", args.from.as_deref()),
        ("to", args.to.as_deref()),
        ("state", args.state.as_deref()),
        ("limit", Some(limit.as_str())),
        ("cursor", cursor.as_deref()),
    ];
    let given: Vec<(&str, &str)> = parameters
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    Ok(format!("/api/gaps?{}", serde_urlencoded::to_string(given)?))
}

impl fmt::Display for Gaps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.gaps.is_empty() {
            let heading = [
                "gap", "state", "sensor", "missing", "from", "to", "boot", "numbers",
            ];
            let rows = self.gaps.iter().map(row);
            writeln!(formatter, "{}\n", table(heading, rows))?;
        }
        if self.more {
            writeln!(formatter, "there are more: raise --limit")?;
        }
        let totals = &self.totals;
        let open = match totals.open {
            0 => good("no open gaps"),
            open => bad(&format!("{open} open gaps")),
        };
        write!(
            formatter,
            "in all: {open}, {} readings missing; {} closed, {} unknown",
            totals.missing, totals.closed, totals.unknown
        )?;
        match totals.forgotten {
            0 => Ok(()),
            forgotten => write!(
                formatter,
                "; {forgotten} older ones only in the log (search action:LOG_GAP)"
            ),
        }
    }
}

fn row(gap: &Gap) -> [String; 8] {
    let state = match gap.state {
        GapState::Open => bad("open"),
        GapState::Closed => good("closed"),
        GapState::Unknown => "unknown".to_owned(),
    };
    let missing = match (gap.missing, gap.lost) {
        (None, _) => "?".to_owned(),
        (Some(missing), lost) if missing == lost => missing.to_string(),
        (Some(missing), lost) => format!("{missing} of {lost}"),
    };
    [
        gap.id.to_string(),
        state,
        plain(&gap.sensor),
        missing,
        gap.start.to_string(),
        gap.end.to_string(),
        plain(&gap.boot),
        numbers(gap),
    ]
}

/// The first few ranges, or what happened instead.
fn numbers(gap: &Gap) -> String {
    match (gap.kind, gap.ranges.as_slice(), gap.restarts) {
        (GapKind::Jump, [leap], 1) => {
            let (before, after) = (leap.first.saturating_sub(1), leap.last.saturating_add(1));
            return format!("jump between {before} and {after}");
        }
        (GapKind::Jump, _, jumps) => return format!("{jumps} jumps"),
        (GapKind::Reused, _, readings) => return format!("{readings} under numbers used before"),
        (GapKind::Restart, _, restarts) if restarts > 1 => return format!("{restarts} restarts"),
        (GapKind::Restart, ..) => return "restart".to_owned(),
        (GapKind::Numbers, ..) => {}
    }
    let shown = gap.ranges.iter().take(4).map(|range| {
        let width = range.last.saturating_sub(range.first).saturating_add(1);
        match (range.missing == width, width) {
            (true, 1) => range.first.to_string(),
            (true, _) => format!("{}-{}", range.first, range.last),
            (false, _) => format!("{} of {}-{}", range.missing, range.first, range.last),
        }
    });
    let mut shown: Vec<String> = shown.collect();
    if gap.ranges.len() > shown.len() {
        shown.push(format!("and {} more", gap.ranges.len() - shown.len()));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_can_be_read_at_a_glance() {
        let time = "2026-01-02T03:04:05.000006Z";
        let range = |first: u64, last: u64, missing: u64| json!({"first": first, "last": last, "missing": missing, "start": time, "end": time});
        let gap = json!({
            "id": 7, "sensor": "s\u{1b}", "boot": "b", "previous_boot": "", "kind": "numbers",
            "state": "open", "missing": 4, "lost": 5, "restarts": 0, "start": time, "end": time,
            "device_start": null, "device_end": null, "before": 1, "after": 2, "opened_at": time,
            "closed_at": null, "opened_entry": null, "closed_entry": null,
            "ranges": [range(3, 3, 1), range(5, 6, 2), range(8, 20, 1)],
            "of a later version": true,
        });
        let gap: Gap = serde_json::from_value(gap).unwrap();
        let [id, _, sensor, missing, _, _, _, numbers] = row(&gap);
        assert_eq!(id, "7");
        assert_eq!(
            (sensor.as_str(), missing.as_str(), numbers.as_str()),
            ("s\\u{1b}", "4 of 5", "3, 5-6, 1 of 8-20")
        );
        assert_eq!(serde_json::to_value(&gap).unwrap()["id"], 7);
    }

    #[test]
    fn times_with_a_plus_reach_the_server_whole() {
        let args = GapsArgs {
            action: None,
            sensor: None,
            from: Some("2026-01-02T03:04:05+01:00".to_owned()),
            to: None,
            state: Some("open".to_owned()),
            limit: 5,
            check: false,
        };
        assert_eq!(
            path(&args, 5, Some(9)).unwrap(),
            "/api/gaps?from=2026-01-02T03%3A04%3A05%2B01%3A00&state=open&limit=5&cursor=9"
        );
    }
}
