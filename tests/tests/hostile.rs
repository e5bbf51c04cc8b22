//! Devices that send nonsense, on purpose or not: nothing breaks, every refusal is counted, every
//! answer is in the log as what it was, and honest sensors are read on.
#![forbid(unsafe_code)]

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::Client;
use fieldledger_e2e::{
    api::{Api, Entry},
    device::{Device, Message, Poll, heartbeat, sensor_id},
    plant::{PATIENCE, Plant, until},
};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};

/// Longer than a poll's timeout (500 ms), shorter than the late window after it (2 s).
const TOO_LATE: Duration = Duration::from_millis(900);

/// The largest message that nats-server takes, less what the protocol adds.
const ONE_MEGABYTE: usize = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn hostile_devices_break_nothing_and_leave_their_trace() -> Result<()> {
    let plant = Plant::start().await?;
    let provider = plant.site.host.provider_process("nats-polling");
    ensure!(provider.is_some(), "the polling provider does not run");
    let simulator = plant
        .site
        .start_simulator("honest", &["--sensors", "4", "--interval", "300"])
        .await?;
    until_more_replies(&plant.api, 8.0).await?;
    let client = plant.nats().await?;

    refused_heartbeats(&plant.api, &client).await?;
    a_flood_of_heartbeats(&plant.api, &client).await?;
    script_in_every_name(&plant.api, &client).await?;
    wrong_answers(&plant.api, &client).await?;
    answers_to_no_poll(&plant.api, &client).await?;
    a_poisonous_batch(&plant.api, &client).await?;

    until_more_replies(&plant.api, 8.0).await?;
    let same = plant.site.host.provider_process("nats-polling");
    ensure!(same == provider, "the polling provider has crashed");
    plant.api.until_healthy(PATIENCE).await?;
    simulator.stop().await;
    plant.finish().await;
    Ok(())
}

async fn until_more_replies(api: &Api, more: f64) -> Result<()> {
    until_metric_grows(api, "fieldledger_polling_replies_total", more, async || {
        Ok(())
    })
    .await
}

/// Does something and waits until the counter has grown by at least `more`.
async fn until_metric_grows(
    api: &Api,
    metric: &str,
    more: f64,
    action: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let before = api.metric(metric).await?;
    action().await?;
    until(&format!("{metric} grows by {more}"), PATIENCE, async || {
        let now = api.metric(metric).await?;
        ensure!(now >= before + more, "it went from {before} to {now}");
        Ok(Some(()))
    })
    .await
}

/// A good heartbeat with one field that is not.
fn with(id: &str, field: &str, value: Value) -> Vec<u8> {
    let mut heartbeat = heartbeat(id);
    heartbeat[field] = value;
    heartbeat.to_string().into()
}

async fn refused_heartbeats(api: &Api, client: &Client) -> Result<()> {
    let id = sensor_id(1);
    let other = sensor_id(2);
    let lattice = format!("wasmbus.ctl.v1.default.{id}");
    let jetstream = format!("$JS.API.STREAM.DELETE.{id}");
    let outside = format!("plc.poll.{id}");
    let mut heartbeats = vec![
        b"hello".to_vec(),
        Vec::new(),
        b"\xff\xfe".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        vec![b'['; 4_000],
        vec![b' '; ONE_MEGABYTE],
        with(&id, "alias", json!("a".repeat(100 * 1024))),
        with(&id, "id", json!("not-a-uuid")),
        with(&id, "id", json!("00000000-0000-0000-0000-000000000000")),
        with(&id, "id", json!(7)),
        with(&id, "range", json!({"low": 2, "high": 1})),
        with(
            &id,
            "calibration",
            json!({"base": 0, "scale": 0, "offset": 0}),
        ),
        with(&id, "poll_topic", json!(outside)),
        with(&id, "poll_topic", json!(lattice)),
        with(&id, "poll_topic", json!(jetstream)),
        with(&id, "poll_topic", json!(format!("_INBOX.{id}"))),
        with(&id, "poll_topic", json!(format!("fieldledger.polls.{id}"))),
        with(&id, "poll_topic", json!(format!("sim.poll.{other}"))),
        with(&id, "poll_topic", json!("sim.poll.*")),
        with(&id, "read_topic", json!("sim.read.*")),
        with(&id, "read_topic", json!("sim.>")),
        with(&id, "read_topic", json!(format!("sim.read.{other}"))),
        with(&id, "read_topic", json!(format!("sim.*.{id}"))),
        with(&id, "read_topic", json!(format!("sim..{id}"))),
        with(&id, "read_topic", json!(format!("sim.read {id}"))),
        with(&id, "read_topic", json!(format!("sim.poll.{id}"))),
        with(
            &id,
            "disconnect_topic",
            json!(format!("sim.{}.{id}", "x".repeat(300))),
        ),
    ];
    let intervals = [
        json!(0),
        json!(1),
        json!(-5),
        json!(1.5),
        json!("1000 ms"),
        json!(u64::MAX),
        json!(1e300),
        json!(86_400_001_u64),
    ];
    heartbeats.extend(intervals.map(|interval| with(&id, "poll_interval", interval)));

    // Nothing may ever be sent where these heartbeats wanted polls to go.
    let mut stray = Vec::new();
    for subject in [lattice, jetstream, outside, format!("sim.poll.{other}")] {
        stray.push(client.subscribe(subject).await?);
    }
    let refused = heartbeats.len();
    let metric = "fieldledger_polling_heartbeats_rejected_total";
    let before = api.metric(metric).await?;
    for heartbeat in heartbeats {
        client.publish("sim.heartbeat", heartbeat.into()).await?;
    }
    client.flush().await?;
    let expected = before + f64::from(u32::try_from(refused)?);
    until(
        &format!("{refused} heartbeats are refused"),
        PATIENCE,
        async || {
            let now = api.metric(metric).await?;
            ensure!(now == expected, "the counter is at {now}, not {expected}");
            Ok(Some(()))
        },
    )
    .await?;
    for id in [&id, &other] {
        let status = api.get(&format!("/api/sensors/{id}")).await?.status;
        ensure!(status == 404, "a refused heartbeat has registered {id}");
    }
    until_more_replies(api, 8.0).await?;
    for subscriber in &mut stray {
        let sent = subscriber.next().now_or_never().flatten();
        ensure!(sent.is_none(), "a device could choose this: {sent:?}");
    }
    Ok(())
}

/// A sensor may say that it is there once a second, and ten times in a row.
async fn a_flood_of_heartbeats(api: &Api, client: &Client) -> Result<()> {
    const SENT: u32 = 300;
    let id = sensor_id(3);
    let heartbeat = heartbeat(&id);
    let metric = "fieldledger_polling_heartbeats_rejected_total";
    let most_refused = f64::from(SENT - 100);
    until_metric_grows(api, metric, most_refused, async || {
        let _device = Device::start(client, "sim.heartbeat", &heartbeat, |_| Vec::new()).await?;
        for _ in 1..SENT {
            let payload = heartbeat.to_string().into();
            client.publish("sim.heartbeat", payload).await?;
        }
        Ok(client.flush().await?)
    })
    .await?;
    let known = api.get(&format!("/api/sensors/{id}")).await?.status;
    ensure!(known == 200, "the flood kept its sender out: {known}");
    leave(client, &id).await
}

async fn leave(client: &Client, id: &str) -> Result<()> {
    let subject = format!("sim.disconnect.{id}");
    client.publish(subject, "bye".into()).await?;
    Ok(client.flush().await?)
}

/// What a browser could take for a script is data, here and in the log.
async fn script_in_every_name(api: &Api, client: &Client) -> Result<()> {
    const SCRIPT: &str = "<script>alert('x')</script>\"&<img src=x onerror=alert(1)>";
    let id = sensor_id(4);
    let mut heartbeat = heartbeat(&id);
    heartbeat["alias"] = json!(SCRIPT);
    heartbeat["location"] = json!(SCRIPT);
    heartbeat["unit"] = json!("<b>");
    let device = Device::start(client, "sim.heartbeat", &heartbeat, |poll| {
        vec![poll.direct("20.5")]
    })
    .await?;

    let entry = until_logged(api, &id, "its reading", |entry| {
        Ok(entry.field("status") == "SUCCESS")
    })
    .await?;
    ensure!(entry.field("actor") == SCRIPT && entry.field("target") == SCRIPT);
    for path in ["/api/sensors".to_owned(), format!("/api/sensors/{id}")] {
        let answer = api.get(&path).await?;
        ensure!(
            answer
                .header("content-type")
                .starts_with("application/json")
        );
        ensure!(answer.header("x-content-type-options") == "nosniff");
        ensure!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'self'")
        );
        let body = answer.json()?;
        let mut listed = body["sensors"].as_array().into_iter().flatten();
        let sensor = listed.find(|sensor| sensor["id"] == id.as_str());
        let sensor = sensor.unwrap_or(&body);
        ensure!(sensor["alias"] == SCRIPT, "{path} gave {sensor}");
    }
    let page = api.get("/").await?.body;
    ensure!(!page.contains("alert("), "the page holds a sensor's name");
    drop(device);
    leave(client, &id).await
}

/// What a device does, and the entry that must come of it.
struct Misbehaviour {
    name: &'static str,
    answer: fn(&Poll) -> Vec<Message>,
    status: &'static str,
    quality: &'static str,
    /// Text recorded of the answer; none where any will do.
    raw: Option<String>,
}

fn misbehaviour(
    name: &'static str,
    answer: fn(&Poll) -> Vec<Message>,
    (status, quality): (&'static str, &'static str),
    raw: impl Into<Option<&'static str>>,
) -> Misbehaviour {
    let raw = raw.into().map(str::to_owned);
    Misbehaviour {
        name,
        answer,
        status,
        quality,
        raw,
    }
}

const GOOD: (&str, &str) = ("SUCCESS", "Good");
const DOUBTFUL: (&str, &str) = ("SUCCESS", "UncertainSubNormal");
const UNREADABLE: (&str, &str) = ("VALUE_ERROR", "BadDecodingError");
const SILENT: (&str, &str) = ("COMM_ERROR", "BadNoCommunication");
const LATE: (&str, &str) = ("SUCCESS", "UncertainLastUsableValue");

fn misbehaviours() -> Vec<Misbehaviour> {
    vec![
        misbehaviour(
            "markup",
            |poll| vec![poll.direct("<script>1</script>")],
            UNREADABLE,
            "<script>1</script>",
        ),
        misbehaviour("nothing", |poll| vec![poll.direct("")], UNREADABLE, ""),
        misbehaviour(
            "NaN",
            |poll| vec![poll.direct("\"NaN\"")],
            UNREADABLE,
            "\"NaN\"",
        ),
        misbehaviour(
            "infinity",
            |poll| vec![poll.direct("1e999")],
            UNREADABLE,
            "1e999",
        ),
        misbehaviour(
            "no UTF-8",
            |poll| vec![poll.direct(b"\xff\xfe21.5")],
            UNREADABLE,
            "\u{fffd}\u{fffd}21.5",
        ),
        Misbehaviour {
            raw: Some("7".repeat(256)),
            ..misbehaviour(
                "300 KB",
                |poll| vec![poll.direct(vec![b'7'; 300 * 1024])],
                UNREADABLE,
                None,
            )
        },
        misbehaviour(
            "negative sequence",
            |poll| vec![poll.direct(r#"{"value":1,"seq":-1}"#)],
            DOUBTFUL,
            "1",
        ),
        misbehaviour(
            "huge sequence",
            |poll| vec![poll.direct(r#"{"value":1,"boot":"b","seq":18446744073709551615}"#)],
            DOUBTFUL,
            "1",
        ),
        misbehaviour(
            "two values",
            |poll| vec![poll.direct(r#"{"value":1,"value":2}"#)],
            UNREADABLE,
            r#"{"value":1,"value":2}"#,
        ),
        misbehaviour(
            "the same sequence again and again",
            |poll| vec![poll.direct(r#"{"value":20.25,"seq":7,"boot":"b"}"#)],
            DOUBTFUL,
            "20.25",
        ),
        misbehaviour(
            "a unit not declared",
            |poll| vec![poll.direct(r#"{"value":20.25,"unit":"K"}"#)],
            ("VALUE_ERROR", "BadConfigurationError"),
            "20.25",
        ),
        misbehaviour(
            "out of the declared range",
            |poll| vec![poll.direct("1e30")],
            ("SUCCESS", "UncertainEngineeringUnitsExceeded"),
            "1e30",
        ),
        misbehaviour("silence", |_| Vec::new(), SILENT, None),
        misbehaviour(
            "another poll's number",
            |poll| {
                vec![poll.published(format!(
                    r#"{{"value":1,"poll":{}}}"#,
                    poll.number + 1_000_000
                ))]
            },
            SILENT,
            None,
        ),
        misbehaviour(
            "two direct answers",
            |poll| {
                vec![
                    poll.direct(poll.number.to_string()),
                    poll.direct("0.5").after(TOO_LATE / 9),
                ]
            },
            GOOD,
            None,
        ),
        misbehaviour(
            "two published answers",
            |poll| {
                vec![
                    poll.published(poll.number.to_string()),
                    poll.published("0.5").after(TOO_LATE / 9),
                ]
            },
            GOOD,
            None,
        ),
        misbehaviour(
            "late direct answers",
            |poll| vec![poll.direct(poll.number.to_string()).after(TOO_LATE)],
            LATE,
            None,
        ),
        misbehaviour(
            "late published answers",
            |poll| vec![poll.published(poll.number.to_string()).after(TOO_LATE)],
            LATE,
            None,
        ),
    ]
}

async fn wrong_answers(api: &Api, client: &Client) -> Result<()> {
    let mut devices = Vec::new();
    for (number, misbehaviour) in (100..).zip(misbehaviours()) {
        let id = sensor_id(number);
        let mut heartbeat = heartbeat(&id);
        heartbeat["unit"] = json!("Cel");
        heartbeat["range"] = json!({"low": 0, "high": 1e12});
        let device =
            Device::start(client, "sim.heartbeat", &heartbeat, misbehaviour.answer).await?;
        devices.push((id, misbehaviour, device));
    }
    // This one has died: nobody listens where it is polled, which nats-server tells the poller.
    let dead = sensor_id(99);
    let payload = heartbeat(&dead).to_string().into();
    client.publish("sim.heartbeat", payload).await?;

    for (id, expected, _device) in &devices {
        let name = expected.name;
        until_logged(api, id, name, |entry| {
            let reading = entry.reading()?;
            let is_it =
                entry.field("status") == expected.status && reading["quality"] == expected.quality;
            if let Some(raw) = &expected.raw
                && is_it
            {
                ensure!(reading["raw"] == raw.as_str(), "{name} became {reading}");
            }
            Ok(is_it)
        })
        .await?;
        check_all(api, id, name).await?;
    }
    until_logged(api, &dead, "an unanswered poll", |entry| {
        let status = entry.field("status");
        ensure!(
            status == "COMM_ERROR",
            "a dead device gave {:?}",
            entry.envelope
        );
        Ok(true)
    })
    .await?;
    for (id, ..) in &devices {
        leave(client, id).await?;
    }
    leave(client, &dead).await
}

/// What holds for every entry of a sensor, whatever it does.
async fn check_all(api: &Api, id: &str, name: &str) -> Result<()> {
    let mut in_time = Vec::new();
    for entry in readings_of(api, id).await? {
        let reading = entry.reading()?;
        let poll = reading["poll"].as_str().context("no poll")?.to_owned();
        let raw = reading["raw"].as_str().unwrap_or_default();
        let has_value = !entry.field("new").is_empty();
        let is_bad = reading["quality"]
            .as_str()
            .is_none_or(|q| q.starts_with("Bad"));
        ensure!(
            has_value != is_bad,
            "{name}: value and quality do not fit: {reading}"
        );
        if raw == "0.5" {
            // A second answer to a poll is recorded as one, under a number of its own.
            let reason = reading["reason"].as_str().unwrap_or_default();
            ensure!(
                reading["quality"] == DOUBTFUL.1 && reason.contains("two answers"),
                "{name}: the second answer has counted: {reading}"
            );
            continue;
        }
        let is_late = reading["late"] == true;
        if name.contains("answers") && entry.field("status") == "SUCCESS" {
            let (_, number) = poll
                .split_once('/')
                .context("no number in the poll's name")?;
            ensure!(
                raw == number,
                "{name}: an answer to poll {raw} was taken for {number}'s"
            );
            ensure!(is_late || !name.contains("late"), "{name}: {reading}");
        }
        if !is_late {
            ensure!(
                !in_time.contains(&poll),
                "{name}: poll {poll} is in the log twice"
            );
            in_time.push(poll);
        } else {
            ensure!(
                in_time.contains(&poll),
                "{name}: late for poll {poll}, which never failed"
            );
        }
    }
    Ok(())
}

async fn readings_of(api: &Api, id: &str) -> Result<Vec<Entry>> {
    api.entries(json!({"source": [id], "action": ["SENSOR_READING"]}))
        .await
}

/// Waits for a reading of the sensor that is what is looked for.
async fn until_logged(
    api: &Api,
    id: &str,
    what: &str,
    is_it: impl Fn(&Entry) -> Result<bool>,
) -> Result<Entry> {
    until(
        &format!("sensor {id}, {what}, is in the log"),
        PATIENCE,
        async || {
            let entries = readings_of(api, id).await?;
            for entry in &entries {
                if is_it(entry)? {
                    return Ok(Some(entry.clone()));
                }
            }
            let last = entries.last().map(|entry| &entry.envelope);
            anyhow::bail!("{} others are, the last: {last:?}", entries.len())
        },
    )
    .await
}

/// Answers that nobody asked for belong to no poll and are in no log.
async fn answers_to_no_poll(api: &Api, client: &Client) -> Result<()> {
    const SENT: u32 = 500;
    let id = sensor_id(5);
    let device = Device::start(client, "sim.heartbeat", &heartbeat(&id), |poll| {
        vec![poll.direct("20.5")]
    })
    .await?;
    // It answers directly, so what it publishes beside that answers nothing.
    until_logged(api, &id, "its reading", |entry| {
        Ok(entry.field("status") == "SUCCESS")
    })
    .await?;
    let metric = "fieldledger_polling_unsolicited_total";
    until_metric_grows(api, metric, f64::from(SENT), async || {
        for _ in 0..SENT {
            client
                .publish(format!("sim.read.{id}"), "666".into())
                .await?;
        }
        Ok(client.flush().await?)
    })
    .await?;
    for entry in readings_of(api, &id).await? {
        let reading = entry.reading()?;
        ensure!(
            reading["raw"] != "666",
            "an answer to nothing is in the log: {reading}"
        );
    }
    drop(device);
    leave(client, &id).await
}

/// Who can write to the stream of batches can put anything there: it must not stop the others.
async fn a_poisonous_batch(api: &Api, client: &Client) -> Result<()> {
    let metric = "fieldledger_polling_batches_dead_lettered_total";
    until_metric_grows(api, metric, 1.0, async || {
        let subject = polls_subject(client).await?;
        client
            .publish(subject, "{\"id\":\"poison\"}".into())
            .await?;
        Ok(client.flush().await?)
    })
    .await?;
    until_metric_grows(api, "fieldledger_ledger_appended_total", 4.0, async || {
        Ok(())
    })
    .await
}

/// A subject of a stored batch: the poller's own.
async fn polls_subject(client: &Client) -> Result<String> {
    let mut stored = client.subscribe("fieldledger.polls.>").await?;
    let next = tokio::time::timeout(PATIENCE, stored.next()).await?;
    Ok(next.context("no batch is stored")?.subject.to_string())
}
