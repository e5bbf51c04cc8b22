//! Prints how many readings per second become durable, signed and answered, at several batch sizes,
//! with and without the search index: `cargo run --release -p fieldledger-ledger --example append_rate`.
//!
//! The first argument is the folder to write to (a temporary one), the second the seconds per line
//! (5). With the index, the time until everything is searchable is printed as well.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use fieldledger_ledger::{AnchorPlace, Config, EventColumns, Ledger};
use futures::executor::block_on;

/// Sensors in all.
const SENSORS: u64 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let temporary = tempfile::tempdir()?;
    let folder = arguments
        .first()
        .map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let seconds: u64 = arguments.get(1).map_or(Ok(5), |text| text.parse())?;
    if let [_, _, index, batch, callers] = arguments.as_slice() {
        let mut config = Config::new(&folder);
        config.anchor = AnchorPlace::Folder(folder.with_added_extension("anchor"));
        config.index = index.parse()?;
        return run(
            config,
            batch.parse()?,
            callers.parse()?,
            Duration::from_secs(seconds),
        );
    }
    println!(
        "index  batch  callers  entries/s  commits/s  p50 ms  p99 ms  indexed after s  MB heap  bytes/entry"
    );
    for index in [false, true] {
        for (batch, callers) in [(1, 1), (1, 64), (64, 4), (1_000, 1), (1_000, 4)] {
            // A process for each line, so that each shows its own memory.
            let folder = folder.join(format!("{index}-{batch}-{callers}"));
            Command::new(env::current_exe()?)
                .arg(&folder)
                .args([
                    seconds.to_string(),
                    index.to_string(),
                    batch.to_string(),
                    callers.to_string(),
                ])
                .status()?;
            fs::remove_dir_all(&folder)?;
            fs::remove_dir_all(folder.with_added_extension("anchor"))?;
        }
    }
    Ok(())
}

fn run(config: Config, batch: u64, callers: u64, duration: Duration) -> Result<(), Box<dyn Error>> {
    let index = config.index;
    let ledger = Ledger::open(config)?;
    let started = Instant::now();
    let appended: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|caller| {
                let ledger = &ledger;
                scope.spawn(move || {
                    append_until(ledger, caller, SENSORS / callers, batch, started + duration)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0))
            .sum()
    });
    let elapsed = started.elapsed();
    let resident = heap_megabytes();
    while index && ledger.status().indexed_size < appended {
        thread::sleep(Duration::from_millis(10));
    }
    let behind = started.elapsed() - elapsed;
    let status = ledger.status();
    println!(
        "{index:5}  {batch:5}  {callers:7}  {:9.0}  {:9.0}  {:6.1}  {:6.1}  {:15.1}  {resident:7}  {:11}",
        appended as f64 / elapsed.as_secs_f64(),
        status.commits as f64 / elapsed.as_secs_f64(),
        status.commit_p50 as f64 / 1_000.0,
        status.commit_p99 as f64 / 1_000.0,
        behind.as_secs_f64(),
        status.bytes_on_disk / appended.max(1),
    );
    Ok(())
}

/// Returns how many entries were appended.
fn append_until(ledger: &Ledger, caller: u64, sensors: u64, batch: u64, end: Instant) -> u64 {
    let mut number = 0;
    while Instant::now() < end {
        let readings = readings(caller, sensors, number, batch);
        if let Err(error) = block_on(ledger.append(readings)) {
            eprintln!("{error}");
            break;
        }
        number += batch;
    }
    number
}

/// Readings as the sensor reader logs them, each sensor in turn.
fn readings(caller: u64, sensors: u64, first: u64, count: u64) -> EventColumns {
    let mut events = EventColumns::default();
    for number in first..first + count {
        let sensor = format!("6ba7b810-9dad-11d1-80b4-{caller:04}{:08}", number % sensors);
        let polled_at = 1_767_323_045_000_000 + number * 100;
        let received_at = polled_at + 950;
        let poll = number / sensors;
        let value = format!("{}.{:03}", 15 + number % 17, number % 997);
        events.message.push(format!(
            r#"{{"poll":"7c0d8f2e5b1a4c39/{poll}","polled_at":{polled_at},"quality":"Good","raw":"{value}","received_at":{received_at},"unit":"Cel","value":"{value}"}}"#
        ));
        events
            .producer
            .push(format!("poll/{sensor}/7c0d8f2e5b1a4c39"));
        events.sequence.push(poll);
        events
            .actor
            .push(format!("TempSensor{:05}", number % sensors));
        events.action.push("SENSOR_READING".to_owned());
        events.new.push(value);
        events.source.push(sensor);
        events.status.push("SUCCESS".to_owned());
        events.target.push(format!("Hall {}", number % 7));
        events.timestamp.push(format!(
            "2026-01-02T03:04:{:02}.{:06}Z",
            number / 10_000 % 60,
            number % 10_000 * 100
        ));
    }
    events
}

/// Memory of this process that is no mapped file: the index maps files, which the system can drop.
fn heap_megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_024
}
