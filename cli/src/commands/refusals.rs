//! `fieldledger refusals`: what devices sent and was not taken, and why.

use std::fmt;

use clap::Args;
use fieldledger_api::answers::RefusalList;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{good, plain, table};

/// Options of `refusals`.
#[derive(Debug, Args)]
pub(crate) struct RefusalsArgs {
    /// Of this sensor only (a UUID).
    #[arg(long, value_name = "ID")]
    sensor: Option<String>,

    /// How many to show, the newest first.
    #[arg(long, value_name = "REFUSALS", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Refusals(RefusalList);

/// Asks and shows.
pub(crate) fn run(args: &RefusalsArgs, context: &Context) -> anyhow::Result<Exit> {
    let refusals: RefusalList = context.client()?.get(&path(args)?)?;
    context.output.show(&Refusals(refusals))?;
    Ok(Exit::Ok)
}

fn path(args: &RefusalsArgs) -> anyhow::Result<String> {
    let limit = args.limit.to_string();
    let sensor = args.sensor.as_deref().map(|sensor| ("sensor", sensor));
    let given: Vec<(&str, &str)> = [("limit", limit.as_str())]
        .into_iter()
        .chain(sensor)
        .collect();
    let query = serde_urlencoded::to_string(given)?;
    Ok(format!("/api/refusals?{query}"))
}

impl fmt::Display for Refusals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RefusalList {
            refusals,
            sites_away,
        } = &self.0;
        for away in sites_away {
            let (site, problem) = (plain(&away.site), plain(&away.problem));
            writeln!(formatter, "site {site} does not answer: {problem}")?;
        }
        if refusals.is_empty() {
            return formatter.write_str(&good("nothing was refused"));
        }
        let names = [
            "last", "count", "what", "sensor", "subject", "reason", "sent",
        ];
        let rows = refusals.iter().map(|found| {
            let refusal = &found.refusal;
            [
                refusal.last_at.to_string(),
                refusal.count.to_string(),
                refusal.kind.name().to_owned(),
                plain(&refusal.sensor),
                plain(&refusal.subject),
                plain(&refusal.reason),
                plain(&refusal.excerpt),
            ]
        });
        formatter.write_str(&table(names, rows))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_refused_is_shown_with_its_reason_and_nothing_that_a_terminal_obeys() {
        let time = "2026-01-02T03:04:05.000006Z";
        let list = json!({"refusals": [{
            "site": "main", "sensor": "s", "kind": "heartbeat", "subject": "sim.heartbeat",
            "reason": "field x is \"\u{1b}[2J\"", "excerpt": "{\u{1b}", "count": 7,
            "first_at": time, "last_at": time,
        }]});
        let shown = Refusals(serde_json::from_value(list).unwrap()).to_string();
        assert!(
            shown.contains("sim.heartbeat") && shown.contains('7'),
            "{shown}"
        );
        assert!(
            shown.contains("\\u{1b}") && !shown.contains("\u{1b}[2J"),
            "{shown}"
        );
        let none = Refusals(serde_json::from_value(json!({"refusals": []})).unwrap());
        assert!(none.to_string().contains("nothing was refused"));
    }

    #[test]
    fn the_sensor_is_asked_for() {
        let args = RefusalsArgs {
            sensor: Some("a&b".to_owned()),
            limit: 5,
        };
        assert_eq!(path(&args).unwrap(), "/api/refusals?limit=5&sensor=a%26b");
    }
}
