//! The HTTP interface of a site at work: what it gives, and what it refuses.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use fieldledger_e2e::{
    api::{Answer, Api},
    plant::{PATIENCE, Plant, until},
    tree::root_of,
};
use fieldledger_verifier::{
    entry::{EntryProof, hash_of},
    note::{self, TreeHead},
    tree,
};
use reqwest::Method;
use serde_json::{Value, json};

/// A well-formed id that no sensor has.
const NOBODY: &str = "123e4567-e89b-12d3-a456-426614174000";

/// More than the gateway takes of a body, 64 KiB.
const TOO_LARGE: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_interface_gives_what_is_there_and_refuses_what_makes_no_sense() -> Result<()> {
    let plant = Plant::start().await?;
    let api = &plant.api;
    let arguments = ["--sensors", "5", "--interval", "100", "--disconnect"];
    let simulator = plant.site.start_simulator("simulator", &arguments).await?;
    let (early, _) = until_size(api, 100).await?;

    let sensor = a_sensor(api).await?;
    pages_of_a_growing_log(api).await?;
    health_and_metrics(api).await?;
    simulator.stop().await;
    until("the sensors are gone", PATIENCE, async || {
        let sensors = api.get_json("/api/sensors").await?;
        Ok((sensors["sensors"] == json!([])).then_some(()))
    })
    .await?;
    plant.until_settled().await?;

    let (head, _) = api.checkpoint().await?;
    search_language(api, &sensor).await?;
    readings_of_a_sensor(api, &sensor).await?;
    proofs(api, &early, &head).await?;
    log_for_other_tools(api, &early, &head).await?;
    description(api).await?;
    page_and_its_files(api).await?;
    refusals(api, head.size).await?;
    let (after, _) = api.checkpoint().await?;
    ensure!(
        after == head,
        "questions have changed the log: {head:?} became {after:?}"
    );
    plant.finish().await;
    Ok(())
}

async fn until_size(api: &Api, size: u64) -> Result<(TreeHead, Value)> {
    until(
        &format!("the log has {size} entries"),
        PATIENCE,
        async || {
            let (head, _) = api.checkpoint().await?;
            let checkpoint = api.get_json("/api/checkpoint").await?;
            Ok((head.size >= size).then_some((head, checkpoint)))
        },
    )
    .await
}

/// The first sensor listed, once it has a reading in the log; each can be asked for alone, too.
async fn a_sensor(api: &Api) -> Result<Value> {
    let listed = until("a sensor has a reading", PATIENCE, async || {
        let listed = api.get_json("/api/sensors?limit=1&offset=0").await?;
        Ok((listed["sensors"][0]["latest"]["value"].is_number()).then_some(listed))
    })
    .await?;
    ensure!(
        listed["next_offset"] == 1,
        "five sensors end after one: {listed}"
    );
    let sensor = &listed["sensors"][0];
    ensure!(sensor["liveness"] == "ok", "{sensor}");
    ensure!(sensor["latest"]["quality"] == "Good", "{sensor}");
    let id = sensor["id"].as_str().context("no id")?;
    let upper = id.to_uppercase();
    for id in [id, &upper] {
        let alone = api.get_json(&format!("/api/sensors/{id}")).await?;
        ensure!(alone["alias"] == sensor["alias"], "{id} gave {alone}");
    }
    Ok(sensor.clone())
}

/// Pages of one result: every entry once, though the log grows all the while.
async fn pages_of_a_growing_log(api: &Api) -> Result<()> {
    const PAGE: usize = 30;
    api.until_indexed(PATIENCE).await?;
    let search = json!({"query": "action:SENSOR_READING", "order": "desc", "limit": PAGE});
    let first: Value = api.post_json("/api/logs", &search).await?;
    let result = &first["result"];
    let (count, id) = (result["count"].clone(), result["id"].clone());
    let size = result["root"]["size"].as_u64().context("no size")?;
    let mut seen = indices(&first)?;
    ensure!(
        seen.len() == PAGE,
        "the first page has {} entries",
        seen.len()
    );
    until_size(api, size + 50).await?;
    while seen.len() < usize::try_from(count.as_u64().context("no count")?)? {
        let next = json!({"id": id, "offset": seen.len(), "limit": PAGE});
        let page: Value = api.post_json("/api/results", &next).await?;
        ensure!(
            page["result"]["count"] == count,
            "the result has changed: {page}"
        );
        let more = indices(&page)?;
        ensure!(!more.is_empty(), "nothing after {} of {count}", seen.len());
        seen.extend(more);
    }
    ensure!(
        seen.len() > 2 * PAGE,
        "one or two pages prove little: {}",
        seen.len()
    );
    ensure!(
        seen.is_sorted_by(|a, b| a > b),
        "not newest first, or twice: {seen:?}"
    );
    ensure!(
        seen.iter().all(|index| *index < size),
        "an entry that came after the search"
    );
    Ok(())
}

fn indices(page: &Value) -> Result<Vec<u64>> {
    let events = page["result"]["events"].as_array().context("no events")?;
    let indices = events.iter().map(|event| event["leaf_index"].as_u64());
    indices
        .collect::<Option<_>>()
        .context("an event without leaf_index")
}

async fn health_and_metrics(api: &Api) -> Result<()> {
    let health = api.get_json("/healthz").await?;
    ensure!(
        health["status"] == "ok" && health["sensors_ok"] == 5,
        "{health}"
    );

    let metrics = api.get("/metrics").await?;
    let content_type = metrics.header("content-type");
    ensure!(
        content_type.starts_with("text/plain; version=0.0.4"),
        "{content_type}"
    );
    let mut types = BTreeMap::new();
    let mut samples = BTreeSet::new();
    for line in metrics.body.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').context("a type without kind")?;
            ensure!(
                types.insert(name, kind).is_none(),
                "{name} is described twice"
            );
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').context("a line without value")?;
            let name = series.split('{').next().unwrap_or_default();
            let labelled = series.len() == name.len() || series.ends_with("\"}");
            ensure!(
                labelled && types.contains_key(name),
                "a stray sample: {line}"
            );
            ensure!(value.parse::<f64>()?.is_finite(), "{line}");
            ensure!(samples.insert(series), "twice: {line}");
        }
    }
    for part in ["ledger", "polling"] {
        let line = format!("fieldledger_up{{part=\"{part}\"}} 1");
        ensure!(metrics.body.lines().any(|found| found == line), "no {line}");
    }
    ensure!(api.metric("fieldledger_ledger_tree_size").await? >= 100.0);
    ensure!(api.metric("fieldledger_polling_replies_total").await? >= 100.0);
    Ok(())
}

async fn found(api: &Api, search: Value) -> Result<u64> {
    let found: Value = api.post_json("/api/logs", &search).await?;
    found["result"]["count"].as_u64().context("no count")
}

async fn search_language(api: &Api, sensor: &Value) -> Result<()> {
    let text = |field: &str| sensor[field].as_str().context(field.to_owned());
    let (id, alias, location) = (text("id")?, text("alias")?, text("location")?);
    let all = found(api, json!({})).await?;
    let own = found(api, json!({"search_restriction": {"source": [id]}})).await?;
    ensure!(
        0 < own && own < all,
        "{own} entries of {all} are the sensor's"
    );

    let lower = alias.to_lowercase();
    let last_word = location.rsplit(' ').next().unwrap_or_default();
    for (query, expected) in [
        (String::new(), all),
        ("action:SENSOR_READING".to_owned(), all),
        (format!("actor:{alias}"), own),
        (alias.to_owned(), own),
        (format!("source:\"{id}\""), own),
        (format!("\"{id}\""), own),
        (format!("actor:{alias} action:SENSOR_READING"), own),
        (format!("actor:{alias} target:\"{location}\""), own),
        (format!("actor:{alias} target:{last_word}"), own),
        (format!("actor:{lower}"), 0),
        (format!("actor:{alias} action:LOGIN"), 0),
        (format!("target:{alias}"), 0),
        ("\"READING SENSOR\"".to_owned(), 0),
        ("NoSuchWord".to_owned(), 0),
    ] {
        let count = found(api, json!({"query": query})).await?;
        ensure!(count == expected, "{query:?} found {count}, not {expected}");
    }
    for (search, expected) in [
        (json!({"end": "1h"}), 0),
        (json!({"start": "1h"}), all),
        (
            json!({"start": "2000-01-01T00:00:00Z", "end": "2001-01-01T00:00:00Z"}),
            0,
        ),
        (json!({"start": 946_684_800_000_u64}), all),
        (json!({"max_results": 7}), 7),
        (json!({"search_restriction": {"source": [id, NOBODY]}}), own),
        (json!({"search_restriction": {"source": [NOBODY]}}), 0),
        (
            json!({"search_restriction": {"source": [id], "action": ["LOGIN"]}}),
            0,
        ),
    ] {
        let count = found(api, search.clone()).await?;
        ensure!(count == expected, "{search} found {count}, not {expected}");
    }

    let by_value = json!({"order_by": "new", "order": "asc", "limit": 1000, "query": format!("actor:{alias} status:SUCCESS")});
    let page: Value = api.post_json("/api/logs", &by_value).await?;
    let events = page["result"]["events"].as_array().context("no events")?;
    let texts = events
        .iter()
        .map(|event| event["envelope"]["event"]["new"].as_str());
    let texts: Option<Vec<&str>> = texts.collect();
    let texts = texts.context("a reading that succeeded has no value")?;
    ensure!(
        texts.is_sorted() && texts.len() > 10,
        "not in order of new: {texts:?}"
    );
    Ok(())
}

async fn readings_of_a_sensor(api: &Api, sensor: &Value) -> Result<()> {
    let id = sensor["id"].as_str().context("no id")?;
    let raw = api
        .get_json(&format!("/api/readings?sensor={id}&from=1h&limit=10000"))
        .await?;
    let readings = raw["readings"].as_array().context("no readings")?;
    let logged = found(api, json!({"search_restriction": {"source": [id]}})).await?;
    ensure!(
        readings.len() as u64 == logged,
        "{} readings of {logged}",
        readings.len()
    );
    let times: Vec<_> = readings
        .iter()
        .map(|reading| reading["polled_at"].as_str())
        .collect();
    ensure!(times.is_sorted(), "not oldest first: {times:?}");
    let values: Vec<f64> = readings
        .iter()
        .filter_map(|reading| reading["value"].as_f64())
        .collect();
    ensure!(
        values.len() > 10,
        "{} of {} have a value",
        values.len(),
        readings.len()
    );

    let limited = format!("/api/readings?sensor={id}&from=1h&limit=6");
    let summed = api.get_json(&limited).await?;
    ensure!(
        summed.get("readings").is_none(),
        "more readings than asked for"
    );
    let buckets = summed["buckets"].as_array().context("no buckets")?;
    ensure!(
        (1..=6).contains(&buckets.len()),
        "{} buckets of 6",
        buckets.len()
    );
    let total = |field: &str| {
        buckets
            .iter()
            .filter_map(|bucket| bucket[field].as_u64())
            .sum::<u64>()
    };
    ensure!(
        total("count") == logged,
        "buckets hold {} of {logged}",
        total("count")
    );
    ensure!(
        total("bad") == logged - values.len() as u64,
        "{} are bad",
        total("bad")
    );
    let of = |field: &str| {
        buckets
            .iter()
            .filter_map(|bucket| bucket[field].as_f64())
            .collect::<Vec<_>>()
    };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    ensure!(of("min").into_iter().fold(f64::INFINITY, f64::min) == least);
    ensure!(of("max").into_iter().fold(f64::NEG_INFINITY, f64::max) == most);
    let means = of("mean");
    ensure!(!means.is_empty() && means.iter().all(|mean| (least..=most).contains(mean)));

    let first = times.first().copied().flatten().context("no time")?;
    let none = api
        .get_json(&format!(
            "/api/readings?sensor={id}&to={first}&from=2000-01-01T00:00:00Z"
        ))
        .await?;
    ensure!(
        none["readings"] == json!([]),
        "the end is not included: {none}"
    );
    let strange = api
        .get_json(&format!("/api/readings?sensor={NOBODY}"))
        .await?;
    ensure!(strange["readings"] == json!([]), "{strange}");
    Ok(())
}

/// Every entry is in the signed tree, and the tree of long ago is its beginning.
async fn proofs(api: &Api, early: &TreeHead, head: &TreeHead) -> Result<()> {
    let (now, key) = api.checkpoint().await?;
    ensure!(now == *head);
    for index in [
        0,
        1,
        early.size - 1,
        early.size,
        head.size / 2,
        head.size - 1,
    ] {
        let answer = api.get(&format!("/api/proof/{index}")).await?;
        let proof: EntryProof = serde_json::from_str(&answer.body)?;
        ensure!(proof.index == index, "entry {} for {index}", proof.index);
        let verified = proof
            .verify(&key)
            .with_context(|| format!("entry {index}"))?;
        ensure!(
            verified.head == *head,
            "entry {index} is proved in {:?}",
            verified.head
        );
        let mut forged = proof;
        let envelope = forged.envelope.context("an entry without envelope")?;
        forged.envelope = Some(envelope.replacen("SENSOR", "SENSER", 1));
        ensure!(
            forged.verify(&key).is_err(),
            "a changed entry is proved, too"
        );
    }
    let entries = api.entries(json!({})).await?;
    let indices: Vec<u64> = entries.iter().map(|entry| entry.index).collect();
    ensure!(
        indices == (0..head.size).collect::<Vec<_>>(),
        "not every entry once: {indices:?}"
    );
    let beginning = &entries[..usize::try_from(early.size)?];
    ensure!(
        root_of(beginning) == early.root,
        "the log was changed behind entry {}",
        early.size
    );
    ensure!(
        root_of(&entries) == head.root,
        "the tree is not that of its entries"
    );

    let accept = [("accept", "text/plain")];
    let plain = api
        .send(Method::GET, "/api/checkpoint", &accept, "")
        .await?;
    ensure!(plain.header("content-type").starts_with("text/plain"));
    ensure!(note::open(&plain.body, &key)? == *head);
    Ok(())
}

/// What tools that others wrote read; `fieldledger-interop` runs such tools.
async fn log_for_other_tools(api: &Api, early: &TreeHead, head: &TreeHead) -> Result<()> {
    let (_, key) = api.checkpoint().await?;
    let checkpoint = api.get("/log/checkpoint").await?;
    ensure!(note::open(&checkpoint.body, &key)? == *head);
    ensure!(checkpoint.header("content-type") == "text/plain; charset=utf-8");

    let width = head.size.min(255);
    let tile = api.get(&format!("/log/tile/0/000.p/{width}")).await?;
    let bundle = api.get(&format!("/log/tile/entries/000.p/{width}")).await?;
    ensure!(tile.header("cache-control").contains("immutable"));
    let leaves: Vec<&[u8]> = bundle
        .bytes
        .chunks(2 + 49)
        .map(|entry| &entry[2..])
        .collect();
    let hashes: Vec<u8> = leaves
        .iter()
        .flat_map(|leaf| tree::leaf_hash(leaf))
        .collect();
    ensure!(hashes == tile.bytes, "the leaves are not those of the tile");
    let known = [("if-none-match", tile.header("etag"))];
    let path = format!("/log/tile/0/000.p/{width}");
    let again = api.send(Method::GET, &path, &known, "").await?;
    ensure!(again.status == 304);

    let proof = api.get("/api/proof/1/bundle").await?;
    let proof = EntryProof::from_tlog_proof(&proof.body)?;
    ensure!(proof.verify(&key)?.head == *head);
    let payload = api.get("/log/payload/1").await?;
    ensure!(proof.envelope == Some(payload.body));
    let receipt = api.get("/log/receipt/1").await?;
    ensure!(receipt.status == 200 && receipt.bytes.starts_with(&[0xd2, 0x84]));

    let (old, new) = (early.size, head.size);
    let grown = api
        .get_json(&format!("/api/consistency?old={old}&new={new}"))
        .await?;
    let grown = grown["consistency_proof"].as_array().context("no proof")?;
    let grown: Result<Vec<_>, _> = grown
        .iter()
        .map(|hash| hash_of("consistency_proof", hash.as_str().unwrap_or_default()))
        .collect();
    tree::verify_consistency(old, &early.root, new, &head.root, &grown?)?;
    Ok(())
}

async fn description(api: &Api) -> Result<()> {
    let description = api.get_json("/api/openapi.json").await?;
    let version = description["openapi"].as_str().unwrap_or_default();
    ensure!(version.starts_with("3."), "OpenAPI {version:?}");
    let paths = description["paths"].as_object().context("no paths")?;
    let mut routes = BTreeSet::new();
    for (path, methods) in paths {
        let methods = methods.as_object().context("no methods")?;
        routes.extend(methods.keys().map(|method| format!("{method} {path}")));
    }
    let expected = [
        "get /api/checkpoint",
        "get /api/consistency",
        "get /api/dead-letters",
        "get /api/dead-letters/{id}",
        "get /api/entries",
        "get /api/gaps",
        "get /api/log/retention",
        "get /api/log/witnesses",
        "get /api/openapi.json",
        "get /api/proof/{entry}",
        "get /api/proof/{entry}/bundle",
        "get /api/readings",
        "get /api/refusals",
        "get /api/sensors",
        "get /api/sensors/{id}",
        "get /api/status",
        "get /healthz",
        "get /log/checkpoint",
        "get /log/payload/{entry}",
        "get /log/proof/{entry}",
        "get /log/receipt/{entry}",
        "get /log/tile/{path}",
        "get /metrics",
        "get /witness/{origin}/checkpoint",
        "post /api/dead-letters/{id}/drop",
        "post /api/dead-letters/{id}/retry",
        "post /api/devices/approve",
        "post /api/devices/retire",
        "post /api/gaps/{id}/close",
        "post /api/log/erase",
        "post /api/log/freeze",
        "post /api/log/retain",
        "post /api/log/retire-key",
        "post /api/log/rotate-key",
        "post /api/logs",
        "post /api/results",
        "post /witness/add-checkpoint",
    ];
    ensure!(routes.iter().eq(expected), "the description has {routes:?}");
    Ok(())
}

/// The page, and every file that it names.
async fn page_and_its_files(api: &Api) -> Result<()> {
    let page = api.get("/").await?;
    ensure!(page.status == 200 && page.header("content-type") == "text/html; charset=utf-8");
    let references = ["src=\"", "href=\""].map(|start| page.body.split(start).skip(1));
    let files = references
        .into_iter()
        .flatten()
        .filter_map(|rest| rest.split('"').next())
        .filter(|file| !file.starts_with('#'));
    // A proxy may show the page below any path, so nothing is looked for at the root.
    let paths: Vec<String> = files.map(|file| format!("/{file}")).collect();
    ensure!(
        paths.iter().all(|path| !path.starts_with("//")),
        "not relative: {paths:?}"
    );
    ensure!(
        paths.len() >= 2,
        "a page without script and style: {paths:?}"
    );
    for path in paths.iter().map(String::as_str).chain(["/"]) {
        let file = api.get(path).await?;
        ensure!(
            file.status == 200 && !file.body.is_empty(),
            "{path}: {}",
            file.status
        );
        ensure!(file.header("x-content-type-options") == "nosniff", "{path}");
        ensure!(
            file.header("content-security-policy")
                .starts_with("default-src 'self'"),
            "{path}"
        );
        let known = [("if-none-match", file.header("etag"))];
        let again = api.send(Method::GET, path, &known, "").await?;
        ensure!(
            again.status == 304 && again.body.is_empty(),
            "{path}: {}",
            again.status
        );
        let other = [("if-none-match", "\"other\"")];
        let changed = api.send(Method::GET, path, &other, "").await?;
        ensure!(
            changed.status == 200 && changed.body == file.body,
            "{path}: {}",
            changed.status
        );
    }
    Ok(())
}

/// A problem body of the right status; anything else fails.
fn ensure_problem(answer: &Answer, status: u16, request: &str) -> Result<()> {
    let (found, body) = (answer.status, &answer.body);
    ensure!(
        found == status,
        "{request} was answered {found}, not {status}: {body}"
    );
    let content_type = answer.header("content-type");
    ensure!(
        content_type == "application/problem+json",
        "{request}: {content_type}: {body}"
    );
    let problem = answer.json().with_context(|| request.to_owned())?;
    let sentence = problem["detail"].as_str().unwrap_or_default();
    let complete = problem["type"] == "about:blank"
        && problem["status"] == status
        && problem["title"].is_string()
        && problem["errors"].is_array();
    ensure!(
        complete && !sentence.is_empty(),
        "{request}: not a whole problem: {problem}"
    );
    let path = request.split([' ', '?']).nth(1).unwrap_or_default();
    ensure!(problem["instance"] == path, "{request}: {problem}");
    Ok(())
}

async fn refusals(api: &Api, size: u64) -> Result<()> {
    refused_bodies(api).await?;
    refused_paths(api, size).await?;
    let json = ("content-type", "application/json");
    for (method, path, headers, status) in [
        ("GET", "/api/logs", vec![], 405),
        ("DELETE", "/api/logs", vec![json], 405),
        ("PUT", "/api/results", vec![json], 405),
        ("POST", "/api/sensors", vec![json], 405),
        ("DELETE", "/api/readings", vec![], 405),
        ("POST", "/api/proof/0", vec![json], 405),
        ("PATCH", "/api/checkpoint", vec![], 405),
        ("POST", "/api/openapi.json", vec![json], 405),
        ("POST", "/healthz", vec![json], 405),
        ("POST", "/metrics", vec![json], 405),
        ("DELETE", "/", vec![], 405),
        ("POST", "/api/nothing", vec![json], 404),
        ("POST", "/api/logs", vec![], 415),
        (
            "POST",
            "/api/logs",
            vec![("content-type", "text/plain")],
            415,
        ),
        (
            "POST",
            "/api/logs",
            vec![("content-type", "application/x-www-form-urlencoded")],
            415,
        ),
        (
            "POST",
            "/api/results",
            vec![("content-type", "application/jsonp")],
            415,
        ),
    ] {
        let answer = api.send(method.parse()?, path, &headers, "{}").await?;
        ensure_problem(&answer, status, &format!("{method} {path}"))?;
        let allow = answer.header("allow");
        ensure!(
            status != 405 || !allow.is_empty(),
            "{method} {path}: no Allow header"
        );
    }
    Ok(())
}

async fn refused_paths(api: &Api, size: u64) -> Result<()> {
    let beyond = format!("/api/proof/{size}");
    let unknown = format!("/api/sensors/{NOBODY}");
    let reversed = format!("/api/readings?sensor={NOBODY}&from=1h&to=2h");
    let readings = |rest: &str| format!("/api/readings?sensor={NOBODY}&{rest}");
    for (path, status) in [
        ("/api/sensors?limit=0", 400),
        ("/api/sensors?limit=10001", 400),
        ("/api/sensors?limit=x", 400),
        ("/api/sensors?limit=-1", 400),
        ("/api/sensors?limit=1.5", 400),
        ("/api/sensors?limit=1&limit=2", 400),
        ("/api/sensors?offset=99999999999999999999", 400),
        ("/api/sensors?page=2", 400),
        ("/api/sensors/nobody", 400),
        ("/api/sensors/%00", 400),
        (&format!("{unknown}?verbose=true"), 400),
        (&unknown, 404),
        ("/api/readings", 400),
        ("/api/readings?sensor=nobody", 400),
        (&readings("limit=0"), 400),
        (&readings("limit=10001"), 400),
        (&readings("limit=NaN"), 400),
        (&readings("from=yesterday"), 400),
        (&readings("to=99999999999999999999d"), 400),
        (&readings("from=9223372036854775807"), 400),
        (&readings("order=desc"), 400),
        (&reversed, 400),
        ("/api/proof/first", 400),
        ("/api/proof/-1", 400),
        ("/api/proof/1.5", 400),
        ("/api/proof/18446744073709551616", 400),
        ("/api/proof/0?verbose=true", 400),
        ("/api/proof/18446744073709551615", 400),
        ("/api/proof/9223372036854775807", 404),
        (&beyond, 404),
        ("/api/checkpoint?size=1", 400),
        ("/api", 404),
        ("/api/nothing", 404),
        ("/nothing.js", 404),
        ("/..%2f..%2fetc%2fpasswd", 404),
        ("/%ff", 404),
    ] {
        let answer = api.get(path).await?;
        ensure_problem(&answer, status, &format!("GET {path}"))?;
    }
    let far = api.get_json("/api/sensors?offset=2147483647").await?;
    ensure!(far["sensors"] == json!([]), "{far}");
    Ok(())
}

async fn refused_bodies(api: &Api) -> Result<()> {
    let first: Value = api.post_json("/api/logs", &json!({"limit": 1})).await?;
    let id = first["result"]["id"].as_str().context("no id")?;
    let result = |rest: Value| {
        let mut body = rest;
        body["id"] = json!(id);
        body.to_string().into_bytes()
    };
    let mut bodies: Vec<(&str, Vec<u8>, u16)> = vec![
        ("/api/logs", vec![b'['; 10_000], 422),
        ("/api/logs", b"{\"query\":\"\xff\"}".to_vec(), 400),
        ("/api/logs", vec![b' '; TOO_LARGE], 413),
        (
            "/api/logs",
            json!({"query": "x".repeat(5_000)}).to_string().into(),
            400,
        ),
        (
            "/api/logs",
            json!({"query": "a ".repeat(100)}).to_string().into(),
            400,
        ),
        ("/api/results", vec![b' '; TOO_LARGE], 413),
        ("/api/results", result(json!({"limit": 0})), 400),
        ("/api/results", result(json!({"limit": 1001})), 400),
        ("/api/results", result(json!({"offset": -1})), 422),
        (
            "/api/results",
            result(json!({"offset": 2_147_483_648_u64})),
            422,
        ),
        ("/api/results", result(json!({"verbose": true})), 422),
        (
            "/api/results",
            json!({"id": "x".repeat(60_000)}).to_string().into(),
            400,
        ),
    ];
    for at in [0, id.len() / 2, id.len() - 2] {
        let other = if &id[at..=at] == "A" { "B" } else { "A" };
        let tampered = format!("{}{other}{}", &id[..at], &id[at + 1..]);
        bodies.push((
            "/api/results",
            json!({"id": tampered}).to_string().into(),
            400,
        ));
    }
    for (path, body, status) in [
        ("/api/logs", "", 400),
        ("/api/logs", "{", 400),
        ("/api/logs", "{}{}", 400),
        ("/api/logs", "{'query':''}", 400),
        ("/api/logs", "null", 422),
        ("/api/logs", "\"query\"", 422),
        ("/api/logs", "[]", 422),
        ("/api/logs", r#"{"limt":1}"#, 422),
        ("/api/logs", r#"{"limit":1,"limit":2}"#, 422),
        ("/api/logs", r#"{"limit":"1"}"#, 422),
        ("/api/logs", r#"{"limit":1.5}"#, 422),
        ("/api/logs", r#"{"limit":-1}"#, 422),
        ("/api/logs", r#"{"limit":4294967296}"#, 422),
        ("/api/logs", r#"{"limit":1e999}"#, 400),
        ("/api/logs", r#"{"limit":0}"#, 400),
        ("/api/logs", r#"{"limit":1001}"#, 400),
        ("/api/logs", r#"{"max_results":10001}"#, 400),
        ("/api/logs", r#"{"order":"up"}"#, 422),
        ("/api/logs", r#"{"order_by":"colour"}"#, 400),
        ("/api/logs", r#"{"query":7}"#, 422),
        ("/api/logs", r#"{"query":"colour:red"}"#, 400),
        ("/api/logs", r#"{"query":"\"open"}"#, 400),
        ("/api/logs", r#"{"query":"!!!"}"#, 400),
        (
            "/api/logs",
            r#"{"search_restriction":{"colour":["red"]}}"#,
            400,
        ),
        ("/api/logs", r#"{"search_restriction":{"action":"x"}}"#, 422),
        ("/api/logs", r#"{"start":"yesterday"}"#, 400),
        ("/api/logs", r#"{"start":true}"#, 422),
        ("/api/logs", r#"{"end":18446744073709551615}"#, 400),
        ("/api/logs", r#"{"end":9223372036854775807}"#, 400),
        ("/api/results", "{}", 422),
        ("/api/results", r#"{"id":7}"#, 422),
        ("/api/results", r#"{"id":""}"#, 400),
        ("/api/results", r#"{"id":"pas_0123"}"#, 400),
        ("/api/results", r#"{"id":"../../etc/passwd"}"#, 400),
    ] {
        bodies.push((path, body.into(), status));
    }
    for (path, body, status) in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).replace(' ', "_");
        let answer = api.post(path, body).await?;
        ensure_problem(&answer, status, &format!("POST {path} {shown}"))?;
    }
    let far = json!({"id": id, "offset": i32::MAX});
    let page: Value = api.post_json("/api/results", &far).await?;
    ensure!(page["result"]["events"] == json!([]), "{page}");
    Ok(())
}
