//! Two sites that are each other's witness, and nobody else's.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fieldledger_chance::Numbers;
use fieldledger_cosigning::{Cosigning, CosigningSettings};
use fieldledger_ledger::{Config, EventColumns, Ledger};
use fieldledger_standalone::{OverLedger, Standalone};
use fieldledger_verifier::{note, policy::Policy};
use rand::Rng as _;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);

/// A free port below those that the system hands out, so that nothing takes it meanwhile.
fn free_address(ports: &mut Numbers) -> SocketAddr {
    (0..1_000)
        .map(|_| SocketAddr::from(([127, 0, 0, 1], ports.random_range(15_000..32_000))))
        .find(|address| TcpListener::bind(address).is_ok())
        .unwrap()
}

/// What an operator knows of a site before it runs.
struct Plan {
    name: &'static str,
    folder: PathBuf,
    address: SocketAddr,
}

impl Plan {
    fn new(name: &'static str, folder: &Path, ports: &mut Numbers) -> Self {
        Self {
            name,
            folder: folder.join(name),
            address: free_address(ports),
        }
    }

    fn ledger(&self, folder: &Path) -> Ledger {
        let mut config = Config::new(folder);
        config.origin = format!("{}.example/ledger", self.name);
        config.index = false;
        Ledger::open(config).unwrap()
    }

    fn settings(&self, pairs: &[(&str, &str)]) -> CosigningSettings {
        let mut settings: HashMap<String, String> = HashMap::from([
            (
                "witness_name".to_owned(),
                format!("{}.example/witness", self.name),
            ),
            (
                "witness_dir".to_owned(),
                self.folder.join("witness").display().to_string(),
            ),
        ]);
        for (name, value) in pairs {
            settings.insert((*name).to_owned(), (*value).to_owned());
        }
        let mut settings = CosigningSettings::read(&settings).unwrap();
        settings.pace.interval = Duration::from_millis(20);
        settings.pace.first_pause = Duration::from_millis(50);
        settings.pace.longest_pause = Duration::from_millis(200);
        settings
    }

    /// Its witness's key and its log's, made by a first start without anything to watch.
    fn keys(&self) -> (String, String) {
        let folder = self.folder.join("ledger");
        let ledger = self.ledger(&folder);
        let cosigning = Cosigning::start(&ledger, &folder, self.settings(&[])).unwrap();
        let witness = cosigning.witness_status().unwrap().key;
        let log = ledger.checkpoint().verifier_key;
        ledger.close();
        (witness, log)
    }
}

struct Site {
    ledger: Ledger,
    server: Standalone,
    policy: String,
    cosigning: Arc<Cosigning>,
}

impl Site {
    /// Starts a site from its ledger in `folder`, with the other one as its witness and watched.
    async fn start(plan: &Plan, folder: &Path, other: &Plan, keys: &(String, String)) -> Self {
        let (witness_key, log_key) = keys;
        let policy = format!(
            "witness other {witness_key} http://{}/witness\nquorum other\n",
            other.address
        );
        let settings = plan.settings(&[
            ("witness_policy", &policy),
            ("witness_behaviour", "hold"),
            ("witness_logs", &format!("logs/v0\nvkey {log_key}\n")),
        ]);
        let ledger = plan.ledger(folder);
        let cosigning = Arc::new(Cosigning::start(&ledger, folder, settings).unwrap());
        let served = OverLedger::new(ledger.clone()).with_cosigning(Arc::clone(&cosigning));
        let server = Standalone::start_with(served, plan.address).await.unwrap();
        Self {
            ledger,
            server,
            policy,
            cosigning,
        }
    }

    fn append(&self, messages: &[&str]) {
        let events = EventColumns {
            message: messages.iter().map(|&message| message.to_owned()).collect(),
            ..EventColumns::default()
        };
        futures::executor::block_on(self.ledger.append(events)).unwrap();
    }

    async fn status(&self) -> Value {
        let url = format!("{}/api/log/witnesses", self.server.url());
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }

    /// Waits until the status is so.
    async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                let status = self.status().await;
                if is_so(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("not in {PATIENCE:?}: {what}"))
    }

    async fn stop(self) {
        self.cosigning.stop();
        self.server.stop().await.unwrap();
        self.ledger.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sites_watch_each_other_and_a_fork_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut ports = fieldledger_chance::numbers();
    let (north, south) = (
        Plan::new("north", folder.path(), &mut ports),
        Plan::new("south", folder.path(), &mut ports),
    );
    let (north_keys, south_keys) = (north.keys(), south.keys());
    let (north_log, south_log) = (north.folder.join("ledger"), south.folder.join("ledger"));
    let north_site = Site::start(&north, &north_log, &south, &south_keys).await;
    let south_site = Site::start(&south, &south_log, &north, &north_keys).await;
    for round in 1..4 {
        north_site.append(&["one", "two"]);
        south_site.append(&["three"]);
        for (site, size) in [(&north_site, 2 * round), (&south_site, round)] {
            let is_witnessed =
                |status: &Value| status["own"]["witnessed_size"].as_u64() >= Some(size);
            let status = site.until("witnessed", is_witnessed).await;
            assert_eq!(status["own"]["witnessed"], true);
            assert_eq!(status["own"]["published_size"], size);
            assert_eq!(status["own"]["witnesses"][0]["lag"], 0);
        }
    }
    let watched = north_site.status().await["as_witness"]["logs"][0].clone();
    assert_eq!(
        (&watched["origin"], &watched["size"]),
        (&"south.example/ledger".into(), &3.into())
    );

    // A stranger believes what south publishes because of north, and each entry in it.
    let get = async |path: &str| {
        let url = format!("{}{path}", south_site.server.url());
        reqwest::get(url).await.unwrap().text().await.unwrap()
    };
    let published = get("/log/checkpoint").await;
    let key = south_site.ledger.checkpoint().verifier_key;
    let key = note::LogKey::parse(&key).unwrap();
    assert_eq!(note::open(&published, &key).unwrap().size, 3);
    let policy = Policy::parse(&south_site.policy).unwrap();
    assert!(policy.judge(&published).unwrap().satisfied);
    let bundle = get("/log/proof/0").await;
    let (_, proven_in) = bundle.split_once("\n\n").unwrap();
    assert_eq!(proven_in, published);

    // South begins its log anew, with its old key: another story, longer than the first.
    let policy_of_south = south_site.policy.clone();
    south_site.stop().await;
    let fork = south.folder.join("fork");
    fs::create_dir_all(&fork).unwrap();
    fs::copy(south_log.join("key"), fork.join("key")).unwrap();
    let forked = Site::start(&south, &fork, &north, &north_keys).await;
    forked.append(&["a", "b", "c", "d", "e"]);
    let refuses = |status: &Value| status["own"]["witnesses"][0]["refuses"] == true;
    let status = forked.until("refused", refuses).await;
    assert_eq!(status["own"]["witnessed"], false, "{status}");
    assert!(status["own"].get("published_size").is_none(), "{status}");
    let said = status["own"]["witnesses"][0]["last_error"]
        .as_str()
        .unwrap();
    assert!(
        said.contains("does not continue") || said.contains("lost"),
        "{said}"
    );
    assert!(
        !Policy::parse(&policy_of_south)
            .unwrap()
            .judge(&forked.ledger.checkpoint().note)
            .unwrap()
            .satisfied
    );

    // North says so too, stays with what it has cosigned, and its own log goes on.
    let noticed = |status: &Value| {
        let log = &status["as_witness"]["logs"][0];
        log["refused"].as_u64() > Some(0) && log["size"] == 3
    };
    north_site.until("noticed", noticed).await;
    north_site.append(&["more"]);
    let goes_on = |status: &Value| status["own"]["witnessed_size"] == 7;
    north_site
        .until("cosigned by the forked site", goes_on)
        .await;
    forked.stop().await;
    north_site.stop().await;
}
