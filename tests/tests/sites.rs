//! Several sites: leaf nodes with fields of their own, which may be cut off or lost, and hosts that
//! take over from each other. Every reading is accounted for.
#![forbid(unsafe_code)]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream;
use fieldledger_e2e::{
    account::{self, Answer},
    plant::{PATIENCE, Plant, until},
    uplink::Uplink,
};
use fieldledger_site::{LeafSiteOptions, Simulator};
use futures::StreamExt as _;
use serde_json::{Value, json};

/// wadm takes a host to be alive for 70 s after its last word; then parts are placed anew.
const TAKE_OVER: Duration = Duration::from_secs(240);

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The sites of a plant, each with a simulated field.
struct Sites {
    plant: Plant,
    fields: Vec<Simulator>,
}

impl Sites {
    /// `leaves` beside the centre, with `load` in each field.
    async fn start(leaves: Vec<LeafSiteOptions>, load: &[&str]) -> Result<Self> {
        let plant = Plant::start_with(|options| options.leaves = leaves).await?;
        Self::start_fields(plant, load).await
    }

    async fn start_fields(plant: Plant, load: &[&str]) -> Result<Self> {
        let mut sites = Self {
            plant,
            fields: Vec::new(),
        };
        for number in 0..=sites.plant.site.leaves.len() {
            let (record, seed) = (sites.record(number), number.to_string());
            let arguments = ["--seed", &seed, "--record", &record];
            let arguments = [load, &arguments].concat();
            let site = &sites.plant.site;
            let field = site.start_simulator_at(number, "simulator", &arguments);
            let field = field.await?;
            sites.fields.push(field);
        }
        for number in 0..sites.fields.len() {
            sites.until_answered(number, 100).await?;
        }
        sites.plant.until_grown_by(300).await?;
        Ok(sites)
    }

    fn record(&self, number: usize) -> String {
        let path = self.plant.path(&format!("record-{number}.jsonl"));
        path.display().to_string()
    }

    fn answers(&self, number: usize) -> Result<Vec<Answer>> {
        account::answers(self.record(number).as_ref())
    }

    /// Waits until a field has answered so many polls more than now.
    async fn until_answered(&self, number: usize, answers: usize) -> Result<()> {
        let count = || -> Result<usize> {
            let record = fs::read(self.record(number)).unwrap_or_default();
            Ok(record.iter().filter(|byte| **byte == b'\n').count())
        };
        let goal = count()? + answers;
        until("the field answers", Duration::from_secs(300), async || {
            let now = count()?;
            ensure!(now >= goal, "{now} answers of {goal}");
            Ok(Some(()))
        })
        .await
    }

    async fn until_away(&self, away: &[&str], patience: Duration) -> Result<()> {
        until(
            &format!("the sites away are {away:?}"),
            patience,
            async || {
                let health = self.plant.api.get_json("/healthz").await?;
                let said = health["sites_away"].as_array().into_iter().flatten();
                let said: Vec<&str> = said.filter_map(|site| site["site"].as_str()).collect();
                ensure!(said == away, "{health}");
                Ok(Some(()))
            },
        )
        .await
    }

    /// Stops the fields and settles the account of each: the log must come to hold every answer that
    /// was not under way at one of these moments, and none twice. Returns how many are missing.
    async fn settle(&mut self, kills: &[u64]) -> Result<usize> {
        for field in self.fields.drain(..) {
            field.stop().await;
        }
        let mut missing = 0;
        for number in 0..=self.plant.site.leaves.len() {
            let answers = self.answers(number)?;
            let lost = until("every stored answer is in the log", PATIENCE, async || {
                let readings = account::readings(&self.plant.api, &answers).await?;
                let lost = account::settle(&answers, &readings)?;
                account::only_unacknowledged(&lost, kills)?;
                Ok(Some(lost.len()))
            })
            .await?;
            eprintln!(
                "field {number}: {} answers, {lost} not in the log",
                answers.len()
            );
            missing += lost;
        }
        Ok(missing)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_site_comes_back_and_a_lost_host_is_replaced() -> Result<()> {
    let leaves = ["north", "south"].map(|name| LeafSiteOptions::new(name, LOOPBACK));
    let leaves = leaves.into_iter().collect::<Result<Vec<_>, _>>()?;
    let load = ["--sensors", "10", "--interval", "200"];
    let mut sites = Sites::start(leaves, &load).await?;
    sites.until_away(&[], PATIENCE).await?;
    let api = sites.plant.api.clone();
    until("every site lists its sensors", PATIENCE, async || {
        let listed = api.get_json("/api/sensors").await?;
        let sensors = listed["sensors"].as_array().context("no sensors")?;
        let mut at_each = ["main", "north", "south"]
            .map(|site| {
                sensors
                    .iter()
                    .filter(|sensor| sensor["site"] == site)
                    .count()
            })
            .into_iter();
        ensure!(at_each.all(|sensors| sensors == 10), "{listed}");
        Ok(Some(()))
    })
    .await?;
    let mut kills = Vec::new();
    looks_into_a_site(&sites).await?;
    is_heard_from_a_site(&sites).await?;

    // A site loses its power: servers and host. The others are read on.
    kills.push(account::now()?);
    sites.plant.site.leaves[0].kill9().await;
    sites.until_away(&["north"], PATIENCE).await?;
    sites.plant.until_grown_by(200).await?;
    sites.plant.site.leaves[0].restart().await?;
    sites.until_away(&[], TAKE_OVER).await?;
    sites.until_answered(1, 100).await?;

    // The centre's host dies. What it ran, log and page among it, is taken over by one that joins; the
    // other sites poll and store meanwhile.
    kills.push(account::now()?);
    sites.plant.site.host.kill9().await;
    let mut third = sites.plant.site.join_host("third").await?;
    let taken_over = Instant::now();
    sites.plant.api.until_healthy(TAKE_OVER).await?;
    sites.until_away(&[], TAKE_OVER).await?;
    eprintln!("taken over after {:?}", taken_over.elapsed());
    sites.plant.until_grown_by(600).await?;

    let missing = sites.settle(&kills).await?;
    // Two readings of each sensor of the fields whose polling died at most.
    ensure!(missing <= 40, "{missing} answers are missing");
    third.stop().await;
    sites.plant.finish().await;
    Ok(())
}

/// An operator at the centre sees what is stored at a site, and nobody there reaches the centre's.
async fn looks_into_a_site(sites: &Sites) -> Result<()> {
    let north = jetstream::with_domain(sites.plant.nats().await?, "north");
    let stream = north
        .get_stream("FIELDLEDGER_POLLS")
        .await
        .context("north's stream, from the centre")?;
    ensure!(
        stream.cached_info().state.last_sequence > 0,
        "nothing was stored"
    );
    let at_north = sites.plant.site.leaves[0].nats.connect().await?;
    let centre = jetstream::new(at_north);
    let seen = centre
        .get_stream("FIELDLEDGER_POLLS")
        .await
        .context("north's stream, at north")?;
    let (seen, stored) = (seen.cached_info().created, stream.cached_info().created);
    ensure!(
        seen == stored,
        "a client at north sees a stream of {seen}, not north's of {stored}"
    );
    Ok(())
}

/// What a program says at a site is in the log; what it says of the centre's sensors is not heard there.
async fn is_heard_from_a_site(sites: &Sites) -> Result<()> {
    let at_north = sites.plant.site.leaves[0].nats.connect().await?;
    let mut heard = sites.plant.nats().await?.subscribe("sim.>").await?;
    let event = json!({"message": "north speaks", "actor": "ann", "action": "LOGIN"});
    at_north.publish("sim.intruder", "66.6".into()).await?;
    at_north
        .publish("events.audit", event.to_string().into())
        .await?;
    at_north.flush().await?;
    until("the event is in the log", PATIENCE, async || {
        let entries = sites
            .plant
            .api
            .entries(json!({"action": ["LOGIN"]}))
            .await?;
        Ok((entries.len() == 1).then_some(()))
    })
    .await?;
    // The centre's own sensors are heard all the while; the intruder spoke before the event.
    let mut messages = 0;
    while messages < 20 {
        let message = heard.next().await.context("the subscription ended")?;
        ensure!(
            *message.subject != *"sim.intruder",
            "a site speaks in the centre's field"
        );
        messages += 1;
    }
    Ok(())
}

/// Ten minutes of twenty sensors that are polled once a second, in a tenth of the time.
const CUT: (&[&str], usize) = (
    &["--sensors", "20", "--interval", "100", "--no-faulty"],
    12_000,
);

/// How long the backlog may take, on a machine that does much else.
const DRAINED: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_cut_off_polls_on_and_nothing_of_it_is_lost() -> Result<()> {
    let mut north = LeafSiteOptions::new("north", LOOPBACK)?;
    let port = fieldledger_site::free_port(LOOPBACK)?;
    let uplink = Uplink::to(SocketAddr::new(LOOPBACK, port)).await?;
    north.lattice_hub = Some(uplink.address());
    let plant = Plant::start_with(|options| {
        options.leafnode_ports[0] = port;
        options.leaves = vec![north];
    });
    let plant = plant.await?;
    let mut sites = Sites::start_fields(plant, CUT.0).await?;

    uplink.cut();
    sites.until_away(&["north"], PATIENCE).await?;
    sites.until_answered(1, CUT.1).await?;
    uplink.mend();
    let mended = Instant::now();
    sites.until_away(&[], PATIENCE).await?;
    let api = sites.plant.api.clone();
    until("no batch waits", DRAINED, async || {
        let pending = api.metric("fieldledger_polling_batches_pending").await?;
        Ok((pending == 0.0).then_some(()))
    })
    .await?;
    eprintln!("drained {:?} after the uplink was back", mended.elapsed());

    let missing = sites.settle(&[]).await?;
    ensure!(missing == 0, "{missing} answers are missing");
    let gaps: Value = sites.plant.api.get_json("/api/gaps").await?;
    ensure!(gaps["gaps"] == json!([]), "{gaps}");
    sites.plant.finish().await;
    Ok(())
}
