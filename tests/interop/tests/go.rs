//! Go's own packages for signed notes and transparency logs read a whole log, as it is served.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use fieldledger_interop::log::Log;
use fieldledger_interop::programs::{compile_logcheck, output};
use fieldledger_interop::tamper::{Change, Tampering};
use serde_json::Value;
use tokio::process::Command;

/// Around the width of a tile, where shapes change.
const OLDER_SIZES: [u64; 6] = [1, 2, 255, 256, 257, 511];

const SIZE: u64 = 600;

/// A log, its older checkpoints, and the program that reads it.
async fn prepare() -> Result<(Log, Vec<PathBuf>, PathBuf)> {
    let log = Log::start().await?;
    let mut older = Vec::new();
    for size in OLDER_SIZES {
        let path = log.path(&format!("checkpoint-{size}"));
        fs::write(&path, log.grow_to(size).await?.note)?;
        older.push(path);
    }
    log.grow_to(SIZE).await?;
    let program = compile_logcheck(&log.path("")).await?;
    Ok((log, older, program))
}

async fn read(program: &Path, url: &str, key: &str, older: &[PathBuf]) -> Result<Value> {
    let mut command = Command::new(program);
    command.arg(format!("{url}/log")).arg(key).args(older);
    Ok(serde_json::from_str(&output(&mut command).await?)?)
}

#[tokio::test]
async fn go_verifies_every_entry_and_that_the_log_only_grew() -> Result<()> {
    let (log, older, program) = prepare().await?;
    let read = read(&program, &log.url(), &log.key(), &older).await?;
    ensure!(
        read["entries"] == SIZE && read["older"] == OLDER_SIZES.len(),
        "{read}"
    );
    log.stop().await
}

#[tokio::test]
async fn go_notices_every_changed_byte() -> Result<()> {
    let (log, older, program) = prepare().await?;
    let in_the_middle = |body: &mut Vec<u8>| {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    };
    let first = |body: &mut Vec<u8>| body[0] ^= 1;
    let last = |body: &mut Vec<u8>| {
        if let Some(last) = body.last_mut() {
            *last ^= 1;
        }
    };
    let in_the_first_hash = |body: &mut Vec<u8>| {
        let list = body.windows(2).position(|pair| pair == b"[\"");
        body[list.unwrap_or(0) + 3] ^= 1;
    };
    let changes: [(&str, Change); 11] = [
        ("/log/checkpoint", first),
        ("/log/checkpoint", in_the_middle),
        ("/log/tile/0/000", first),
        ("/log/tile/0/001", in_the_middle),
        ("/log/tile/0/002.p/88", last),
        ("/log/tile/1/000.p/2", in_the_middle),
        ("/log/tile/entries/001", in_the_middle),
        ("/log/tile/entries/002.p/88", last),
        ("/log/payload/299", in_the_middle),
        ("/log/payload/0", last),
        ("/api/consistency?old=255", in_the_first_hash),
    ];
    for (prefix, change) in changes {
        let proxy = Tampering::with(&log.url(), prefix, change).await?;
        let read = read(&program, &proxy.url, &log.key(), &older).await;
        ensure!(read.is_err(), "a change of {prefix} went unnoticed");
    }
    // The proxy itself is not what Go complains of.
    let proxy = Tampering::with(&log.url(), "/nothing", first).await?;
    read(&program, &proxy.url, &log.key(), &older).await?;

    let other = Log::start().await?;
    let read = read(&program, &log.url(), &other.key(), &[]).await;
    ensure!(read.is_err(), "another log's key was taken");
    other.stop().await?;
    log.stop().await
}
