//! How long one write takes while so many a second are offered.
//!
//! The load is open: each write is due at a time of its own, whether those before it are answered or
//! not, and its time counts from then. A server that stalls is charged for every write that was due
//! meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fieldledger_api::{Scope, Tokens};
use fieldledger_ledger::{Config, Ledger};
use fieldledger_standalone::{OverLedger, Standalone};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::measure::{Percentiles, Times, sync_ms};
use crate::workload::Workload;

/// How often writes that have become due are sent.
const TICK: Duration = Duration::from_millis(1);

/// What the requests show.
const TOKEN: &str = "pts_bench";

/// Writes under way at most: beyond them the load is too much, and the run says so.
const MOST_UNDER_WAY: u64 = 20_000;

/// How the writes come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Way {
    /// As calls in the same process.
    InProcess,
    /// As HTTP requests, one event each.
    Http,
}

/// What a load met.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    pub(crate) way: Way,
    pub(crate) index: bool,
    pub(crate) offered_per_second: u64,
    pub(crate) answered_per_second: f64,
    /// Writes that failed, or that there was no room for.
    pub(crate) failed: u64,
    /// From the time a write was due to its answer.
    pub(crate) write: Percentiles,
    pub(crate) sync_ms: f64,
}

/// Offers `rate` writes a second for a while; none where the server takes no writes.
pub(crate) async fn latency(
    way: Way,
    index: bool,
    rate: u64,
    folder: &Path,
    duration: Duration,
) -> anyhow::Result<Option<Latency>> {
    let sync_ms = sync_ms(folder)?;
    let folder = folder.join(format!("latency-{way:?}-{index}-{rate}"));
    let mut config = Config::new(&folder);
    config.index = index;
    let ledger = Ledger::open(config)?;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let tokens = Tokens::setting("bench", &[Scope::Write], TOKEN);
    let tokens = Tokens::parse(&tokens).map_err(|error| anyhow::anyhow!("{error}"))?;
    let served = OverLedger::new(ledger.clone()).with_tokens(tokens);
    let server = Standalone::start_with(served, listen).await?;
    let url: Arc<str> = format!("{}/audit/v1/log", server.url()).into();
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(1_024)
        .timeout(Duration::from_secs(60))
        .build()?;

    if way == Way::Http {
        let probe = client
            .post(&*url)
            .bearer_auth(TOKEN)
            .json(&json!({"event": {"message": "probe"}}));
        let status = probe.send().await?.status();
        if !status.is_success() {
            println!("HTTP: {url} answers {status}, so writes over HTTP are not measured");
            server.stop().await?;
            return Ok(None);
        }
    }
    let under_way = Arc::new(AtomicU64::new(0));
    let (done, mut answers) = mpsc::unbounded_channel();
    let counted = tokio::spawn(async move {
        let mut times = Times::new()?;
        let mut failed = 0;
        while let Some(answer) = answers.recv().await {
            match answer {
                Some(time) => times.add(time),
                None => failed += 1,
            }
        }
        anyhow::Ok((times, failed))
    });
    let mut workload = Workload::new(0, 1, 0);
    let started = Instant::now();
    let total = rate * duration.as_secs();
    let mut sent = 0;
    let mut tick = started;
    while sent < total {
        let due = u64::try_from(started.elapsed().as_micros())? * rate / 1_000_000;
        while sent < due.min(total) {
            let due_at = started + Duration::from_micros(sent * 1_000_000 / rate);
            sent += 1;
            let done = done.clone();
            if under_way.fetch_add(1, Ordering::Relaxed) >= MOST_UNDER_WAY {
                under_way.fetch_sub(1, Ordering::Relaxed);
                let _ = done.send(None);
                continue;
            }
            let events = workload.readings(1);
            let under_way = Arc::clone(&under_way);
            let (ledger, client, url) = (ledger.clone(), client.clone(), Arc::clone(&url));
            tokio::spawn(async move {
                let written = match way {
                    Way::InProcess => ledger.append(events).await.is_ok(),
                    Way::Http => {
                        let event = json!({"event": {
                            "message": events.message[0], "actor": events.actor[0],
                            "action": events.action[0], "source": events.source[0],
                            "target": events.target[0], "status": events.status[0],
                        }});
                        let request = client.post(&*url).bearer_auth(TOKEN);
                        let answer = request.json(&event).send().await;
                        match answer {
                            Ok(answer) => {
                                let good = answer.status().is_success();
                                answer.bytes().await.is_ok() && good
                            }
                            Err(_) => false,
                        }
                    }
                };
                under_way.fetch_sub(1, Ordering::Relaxed);
                // The receiver lives until all are done.
                let _ = done.send(written.then(|| due_at.elapsed()));
            });
        }
        tick += TICK;
        sleep_until(tick).await;
    }
    drop(done);
    let (times, failed) = counted.await??;
    let elapsed = started.elapsed();
    server.stop().await?;
    tokio::task::spawn_blocking(move || ledger.close()).await?;
    Ok(Some(Latency {
        way,
        index,
        offered_per_second: rate,
        answered_per_second: times.count() as f64 / elapsed.as_secs_f64(),
        failed,
        write: times.percentiles(),
        sync_ms,
    }))
}
