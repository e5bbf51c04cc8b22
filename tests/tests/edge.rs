//! The HTTP edge of a site at work: clients that are slow, many, old or rude.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fieldledger_e2e::plant::{PATIENCE, Plant, until};
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Held open by clients that never end their requests.
const HALF_OPEN: usize = 1_000;

/// What is answered beside them takes no longer. A machine that does other things as well is slow, but a
/// place that is taken until a client gives up is not free for tens of seconds.
const NOT_FELT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn no_client_takes_what_others_need() -> Result<()> {
    let plant = Plant::start().await?;
    let arguments = ["--sensors", "5", "--interval", "100"];
    let simulator = plant.site.start_simulator("simulator", &arguments).await?;
    plant.until_grown_by(50).await?;
    let address = plant.site.http_url();
    let address = address.trim_start_matches("http://");

    head_is_get_without_the_body(&plant, address).await?;
    old_clients_are_answered(address).await?;
    a_prefix_is_taken_off(&plant).await?;
    half_open_requests_are_not_felt(&plant, address).await?;
    searches_slow_each_other_only(&plant).await?;
    clients_that_hang_up_are_no_errors(&plant, address).await?;

    simulator.stop().await;
    plant.finish().await;
    Ok(())
}

async fn raw(address: &str, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .with_context(|| format!("no end of the answer to {request:?}"))??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn head_is_get_without_the_body(plant: &Plant, address: &str) -> Result<()> {
    let whole = plant.api.get("/").await?;
    for path in [
        "/",
        "/healthz",
        "/metrics",
        "/api/checkpoint",
        "/log/checkpoint",
        "/nothing",
    ] {
        let get = plant.api.get(path).await?;
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let head = raw(address, &request).await?;
        let (lines, body) = head.split_once("\r\n\r\n").context("no whole head")?;
        let status = format!("HTTP/1.1 {}", get.status);
        ensure!(
            lines.starts_with(&status) && body.is_empty(),
            "HEAD {path}: {head}"
        );
        let length = lines
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length
            .with_context(|| format!("HEAD {path}: no length"))?
            .parse()?;
        ensure!(length > 0, "HEAD {path}: {lines}");
        ensure!(
            path != "/" || length == whole.bytes.len(),
            "HEAD /: {lines}"
        );
    }
    Ok(())
}

async fn old_clients_are_answered(address: &str) -> Result<()> {
    let answer = raw(address, "GET /healthz HTTP/1.0\r\n\r\n").await?;
    ensure!(
        answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"),
        "{answer}"
    );
    let answer = raw(address, "GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await?;
    ensure!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    Ok(())
}

async fn a_prefix_is_taken_off(plant: &Plant) -> Result<()> {
    let told = [("x-forwarded-prefix", "/plant/north")];
    for path in [
        "/plant/north/",
        "/plant/north/app.js",
        "/plant/north/api/checkpoint",
    ] {
        let answer = plant.api.send(Method::GET, path, &told, "").await?;
        ensure!(answer.status == 200, "{path}: {}", answer.status);
    }
    Ok(())
}

/// Everybody is answered as if there was nobody else.
async fn others_are_answered(plant: &Plant, beside: &str) -> Result<()> {
    for path in [
        "/healthz",
        "/metrics",
        "/",
        "/api/sensors",
        "/api/checkpoint",
    ] {
        let begun = Instant::now();
        let answer = timeout(PATIENCE, plant.api.get(path)).await??;
        let took = begun.elapsed();
        ensure!(
            answer.status == 200,
            "{path} beside {beside}: {}",
            answer.status
        );
        ensure!(took < NOT_FELT, "{path} beside {beside}: {took:?}");
    }
    Ok(())
}

async fn half_open_requests_are_not_felt(plant: &Plant, address: &str) -> Result<()> {
    let begun = b"POST /api/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    let mut held = Vec::new();
    for _ in 0..HALF_OPEN {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(begun).await?;
        held.push(stream);
    }
    for _ in 0..5 {
        others_are_answered(plant, "half-open requests").await?;
    }
    let mut answer = [0; 12];
    let mut first = held.swap_remove(0);
    timeout(PATIENCE, first.read_exact(&mut answer)).await??;
    ensure!(
        &answer == b"HTTP/1.1 408",
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}

async fn searches_slow_each_other_only(plant: &Plant) -> Result<()> {
    let search = json!({"query": "action:SENSOR_READING", "limit": 1000, "verbose": true});
    let searching = (0..50).map(|_| async {
        let answer = plant
            .api
            .send(
                Method::POST,
                "/api/logs",
                &[("content-type", "application/json")],
                search.to_string(),
            )
            .await?;
        // One that waited too long is told so, and is not cut off.
        ensure!(
            matches!(answer.status, 200 | 503),
            "{}: {}",
            answer.status,
            answer.body
        );
        Ok(answer.status)
    });
    let beside = async {
        for _ in 0..5 {
            others_are_answered(plant, "searches").await?;
        }
        Ok(())
    };
    let (statuses, ()) = futures::try_join!(try_join_all(searching), beside)?;
    let found = statuses.iter().filter(|status| **status == 200).count();
    ensure!(found > 0, "no search of 50 found anything");
    Ok(())
}

async fn clients_that_hang_up_are_no_errors(plant: &Plant, address: &str) -> Result<()> {
    let errors = || -> Result<usize> {
        let mut found = 0;
        for file in std::fs::read_dir(plant.path("logs"))? {
            let text = std::fs::read(file?.path())?;
            let text = String::from_utf8_lossy(&text);
            found += text.lines().filter(|line| line.contains("ERROR")).count();
        }
        Ok(found)
    };
    let before = errors()?;
    let search = json!({"query": "action:SENSOR_READING", "limit": 1000}).to_string();
    for number in 0..40 {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "POST /api/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{search}",
            search.len()
        );
        let sent = if number % 2 == 0 {
            request.len()
        } else {
            request.len() / 2
        };
        stream.write_all(&request.as_bytes()[..sent]).await?;
        tokio::time::sleep(Duration::from_millis(number)).await;
    }
    until("the site is well", PATIENCE, async || {
        let health: Value = plant.api.get("/healthz").await?.json()?;
        Ok((health["status"] == "ok").then_some(()))
    })
    .await?;
    ensure!(
        errors()? == before,
        "clients that hang up were noted as errors"
    );
    Ok(())
}
