//! The site's state, as its own API tells it.

use std::time::{Duration, Instant};

use ureq::Agent;

/// A status line may wait this long for the site.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pause between two questions whether the site is healthy.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The HTTP API of a site.
#[derive(Debug, Clone)]
pub(super) struct Api {
    agent: Agent,
    url: String,
}

/// What the status line shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) taken: Instant,
    pub(super) entries: f64,
    pub(super) ok: f64,
    pub(super) stale: f64,
    pub(super) down: f64,
    pub(super) replies: f64,
    /// Poll to durable, seconds.
    pub(super) p99: f64,
    /// Sites that do not answer.
    pub(super) away: Vec<String>,
}

impl Api {
    pub(super) fn new(url: &str) -> Self {
        let config = Agent::config_builder().timeout_global(Some(PATIENCE));
        Self {
            agent: config.build().into(),
            url: url.to_owned(),
        }
    }

    /// Waits until every part of the application answers.
    pub(super) async fn healthy(&self) {
        while self.get("/healthz").await.is_none() {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// The present state, or `None` where the API does not answer with all of it.
    pub(super) async fn sample(&self) -> Option<Sample> {
        Sample::read(&self.get("/metrics").await?, Instant::now())
    }

    async fn get(&self, path: &str) -> Option<String> {
        let (agent, url) = (self.agent.clone(), format!("{}{path}", self.url));
        let request = move || agent.get(url).call().ok()?.body_mut().read_to_string().ok();
        tokio::task::spawn_blocking(request).await.ok().flatten()
    }
}

impl Sample {
    /// Reads Prometheus text.
    fn read(text: &str, taken: Instant) -> Option<Self> {
        let value = |series: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(series))?;
            line.strip_prefix(' ')?.trim().parse().ok()
        };
        Some(Self {
            taken,
            entries: value("fieldledger_ledger_tree_size")?,
            ok: value(r#"fieldledger_sensors{liveness="ok"}"#)?,
            stale: value(r#"fieldledger_sensors{liveness="stale"}"#)?,
            down: value(r#"fieldledger_sensors{liveness="down"}"#)?,
            replies: value("fieldledger_polling_replies_total")?,
            p99: value(r#"fieldledger_poll_to_durable_seconds{quantile="0.99"}"#)?,
            away: text.lines().filter_map(away).collect(),
        })
    }

    /// The status line, with the rate since `former`.
    pub(super) fn line(&self, former: Option<&Self>) -> String {
        let Self {
            entries,
            ok,
            stale,
            down,
            ..
        } = self;
        // A counter that went back has started anew.
        let rate = former.map_or(0.0, |former| {
            let seconds = self.taken.duration_since(former.taken).as_secs_f64();
            ((self.replies - former.replies) / seconds.max(0.001)).max(0.0)
        });
        let p99 = self.p99 * 1000.0;
        // What is wrong comes first, because a narrow terminal ends early.
        let away = match self.away.is_empty() {
            true => String::new(),
            false => format!("away: {} | ", self.away.join(", ")),
        };
        format!(
            "{away}sensors: {ok} ok, {stale} stale, {down} down | {entries} entries | \
             {rate:.0} readings/s | p99 {p99:.0} ms"
        )
    }
}

/// The site that a line of the metrics says is away.
fn away(line: &str) -> Option<String> {
    let line = line.strip_prefix("fieldledger_site_up{site=\"")?;
    line.strip_suffix("\"} 0").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TEXT: &str = "\
fieldledger_site_up{site=\"main\"} 1
fieldledger_site_up{site=\"site-2\"} 0
# HELP fieldledger_ledger_tree_size Entries in the log.
fieldledger_ledger_tree_size 1200
fieldledger_sensors{liveness=\"ok\"} 39
fieldledger_sensors{liveness=\"stale\"} 1
fieldledger_sensors{liveness=\"down\"} 0
fieldledger_polling_replies_total 400
fieldledger_poll_to_durable_seconds{quantile=\"0.5\"} 0.004
fieldledger_poll_to_durable_seconds{quantile=\"0.99\"} 0.012
";

    #[test]
    fn the_line_shows_state_and_rate() {
        let start = Instant::now();
        let first = Sample::read(TEXT, start).unwrap();
        let later = TEXT.replace("total 400", "total 480");
        let second = Sample::read(&later, start + Duration::from_secs(2)).unwrap();
        assert_eq!(
            second.line(Some(&first)),
            "away: site-2 | sensors: 39 ok, 1 stale, 0 down | 1200 entries | \
             40 readings/s | p99 12 ms"
        );
    }

    #[test]
    fn half_an_answer_is_none() {
        assert_eq!(
            Sample::read("fieldledger_ledger_tree_size 1\n", Instant::now()),
            None
        );
    }
}
