//! `fieldledger gaps`: which readings are missing.

use std::fmt;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{bad, good, plain, table};

/// Gaps that are asked for at a time, at most.
const PAGE: u32 = 1_000;

/// Options of `gaps`.
#[derive(Debug, Args)]
pub(crate) struct GapsArgs {
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
    #[arg(long, value_enum)]
    state: Option<State>,

    /// How many to show, the newest first.
    #[arg(long, value_name = "GAPS", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,

    /// Exit with 1 where one of them is open.
    #[arg(long)]
    check: bool,
}

/// Whether readings are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// They are.
    Open,
    /// They came later.
    Closed,
    /// Nobody can tell: the device began to count anew.
    Unknown,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// What `GET /api/gaps` answers, as far as it is used here; the rest passes into the JSON as it is.
#[derive(Debug, Deserialize)]
struct Page {
    gaps: Vec<Gap>,
    next: Option<u64>,
    totals: Totals,
}

#[derive(Debug, Serialize, Deserialize)]
struct Gap {
    sensor: String,
    boot: String,
    state: State,
    missing: Option<u64>,
    lost: u64,
    restarts: u64,
    ranges: Vec<Range>,
    start: String,
    end: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Range {
    first: u64,
    last: u64,
    missing: u64,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Totals {
    open: u64,
    missing: u64,
    closed: u64,
    unknown: u64,
    forgotten: u64,
}

/// The result.
#[derive(Debug, Serialize)]
struct Gaps {
    gaps: Vec<Gap>,
    /// There are more than were asked for.
    more: bool,
    totals: Totals,
}

/// Asks and shows.
pub(crate) fn run(args: &GapsArgs, context: &Context) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let mut found = Gaps {
        gaps: Vec::new(),
        more: false,
        totals: Totals::default(),
    };
    let mut cursor = None;
    loop {
        // At most `limit`, which fits.
        let wanted = args.limit - found.gaps.len() as u32;
        let path = path(args, wanted.min(PAGE), cursor)?;
        let page: Page = client.get(&path)?;
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
    let has_open = found.gaps.iter().any(|gap| gap.state == State::Open);
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
        ("state", args.state.map(State::name)),
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
                "state", "sensor", "missing", "from", "to", "boot", "numbers",
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
            "in all: {open}, {} readings missing; {} closed, {} restarts",
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

fn row(gap: &Gap) -> [String; 7] {
    let state = match gap.state {
        State::Open => bad("open"),
        State::Closed => good("closed"),
        State::Unknown => "unknown".to_owned(),
    };
    let missing = match (gap.missing, gap.lost) {
        (None, _) => "?".to_owned(),
        (Some(missing), lost) if missing == lost => missing.to_string(),
        (Some(missing), lost) => format!("{missing} of {lost}"),
    };
    [
        state,
        plain(&gap.sensor),
        missing,
        plain(&gap.start),
        plain(&gap.end),
        plain(&gap.boot),
        numbers(gap),
    ]
}

/// The first few ranges.
fn numbers(gap: &Gap) -> String {
    if gap.restarts > 1 {
        return format!("{} restarts", gap.restarts);
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

    use super::*;

    #[test]
    fn what_is_missing_can_be_read_at_a_glance() {
        let gap = serde_json::json!({
            "id": 7, "sensor": "s\u{1b}", "boot": "b", "state": "open", "missing": 4, "lost": 5,
            "restarts": 0, "start": "a", "end": "b",
            "ranges": [
                {"first": 3, "last": 3, "missing": 1, "start": "a"},
                {"first": 5, "last": 6, "missing": 2},
                {"first": 8, "last": 20, "missing": 1},
            ],
        });
        let gap: Gap = serde_json::from_value(gap).unwrap();
        let [_, sensor, missing, _, _, _, numbers] = row(&gap);
        assert_eq!(
            (sensor.as_str(), missing.as_str(), numbers.as_str()),
            ("s\\u{1b}", "4 of 5", "3, 5-6, 1 of 8-20")
        );
        assert_eq!(serde_json::to_value(&gap).unwrap()["id"], 7);
    }

    #[test]
    fn times_with_a_plus_reach_the_server_whole() {
        let args = GapsArgs {
            sensor: None,
            from: Some("2026-01-02T03:04:05+01:00".to_owned()),
            to: None,
            state: Some(State::Open),
            limit: 5,
            check: false,
        };
        assert_eq!(
            path(&args, 5, Some(9)).unwrap(),
            "/api/gaps?from=2026-01-02T03%3A04%3A05%2B01%3A00&state=open&limit=5&cursor=9"
        );
    }
}
