//! Ledgers to be witnessed, and witnesses that behave or do not.
#![allow(clippy::unwrap_used, dead_code)]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::post;
use fieldledger_cosigning::{Authorities, Behaviour, CollectorConfig, Pace, Witness};
use fieldledger_ledger::{AnchorPlace, Config, EventColumns, Ledger};
use fieldledger_witness::{
    AddCheckpoint, Policy, SignedCheckpoint, WatchedLogs, WitnessKey, WitnessSigner,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A loaded machine gets this long for what takes milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn ledger(folder: &Path) -> Ledger {
    let mut config = Config::new(folder);
    config.index = false;
    config.anchor = AnchorPlace::Folder(folder.join("anchor"));
    Ledger::open(config).unwrap()
}

/// A ledger in another folder that signs with the same key, under the same name.
pub(crate) fn fork_of(folder: &Path, elsewhere: &Path) -> Ledger {
    fs::create_dir_all(elsewhere).unwrap();
    fs::copy(folder.join("key"), elsewhere.join("key")).unwrap();
    ledger(elsewhere)
}

pub(crate) fn append(ledger: &Ledger, messages: &[&str]) {
    let events = EventColumns {
        message: messages.iter().map(|&message| message.to_owned()).collect(),
        ..EventColumns::default()
    };
    futures::executor::block_on(ledger.append(events)).unwrap();
}

/// A request about the newest checkpoint of the ledger.
pub(crate) fn request(ledger: &Ledger, old_size: u64) -> String {
    let checkpoint = ledger.checkpoint();
    let proof = match old_size {
        0 => Vec::new(),
        old_size if old_size >= checkpoint.tree_size => Vec::new(),
        old_size => ledger.consistency(old_size, checkpoint.tree_size).unwrap(),
    };
    AddCheckpoint::body(old_size, &proof, &checkpoint.note)
}

pub(crate) fn watching(ledger: &Ledger) -> WatchedLogs {
    let list = format!("logs/v0\nvkey {}\n", ledger.checkpoint().verifier_key);
    WatchedLogs::parse(&list).unwrap()
}

/// How a witness answers.
#[derive(Clone)]
pub(crate) enum Manner {
    /// As it should.
    Honest,
    /// With this status and these bytes.
    Says(u16, &'static str, String),
    /// With the cosignature that it gave last, on another checkpoint.
    OtherCheckpoint,
    /// With a cosignature by another key.
    OtherKey,
    /// Never.
    Silent,
    /// Without end.
    Endless,
}

/// A witness behind a real socket.
pub(crate) struct Site {
    pub(crate) witness: Arc<Witness>,
    pub(crate) url: String,
    manner: watch::Sender<Manner>,
    /// Requests that have arrived.
    asked: watch::Receiver<u64>,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

#[derive(Clone)]
struct Counter {
    witness: Arc<Witness>,
    manner: watch::Receiver<Manner>,
    asked: Arc<watch::Sender<u64>>,
    /// The last honest answer.
    earlier: Arc<Mutex<String>>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    pub(crate) async fn new(name: &str, watched: WatchedLogs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let witness = Arc::new(Witness::open(folder.path(), name, watched).unwrap());
        let (manner, manners) = watch::channel(Manner::Honest);
        let (count, asked) = watch::channel(0);
        let state = Counter {
            witness: Arc::clone(&witness),
            manner: manners,
            asked: Arc::new(count),
            earlier: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/witness", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/witness/add-checkpoint", post(answer))
            .with_state(state);
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            witness,
            url,
            manner,
            asked,
            task,
            _folder: folder,
        }
    }

    pub(crate) fn key(&self) -> String {
        self.witness.status().key
    }

    pub(crate) fn behave(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// Waits for one more request than have arrived so far.
    pub(crate) async fn next_request(&self) {
        let mut asked = self.asked.clone();
        let before = *asked.borrow_and_update();
        let arrived = asked.wait_for(|&count| count > before);
        tokio::time::timeout(PATIENCE, arrived)
            .await
            .unwrap()
            .unwrap();
    }
}

async fn answer(State(counter): State<Counter>, body: Bytes) -> Response<Body> {
    counter.asked.send_modify(|count| *count += 1);
    let reply = |status: u16, kind: &str, body: Body| {
        let status = StatusCode::from_u16(status).unwrap();
        let response = Response::builder().status(status);
        response.header("content-type", kind).body(body).unwrap()
    };
    let signed = || AddCheckpoint::parse(&body).unwrap().checkpoint;
    let by = |signer: &WitnessSigner, checkpoint: &SignedCheckpoint| {
        reply(200, "text/plain", signer.cosign(checkpoint, 7).line.into())
    };
    let manner = counter.manner.borrow().clone();
    match manner {
        Manner::Honest => {
            let witness = Arc::clone(&counter.witness);
            let answered = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body));
            let answered = answered.await.unwrap();
            *counter.earlier.lock().unwrap() = answered.body.clone();
            reply(answered.status, answered.content_type, answered.body.into())
        }
        Manner::Says(status, kind, text) => reply(status, kind, text.into()),
        Manner::OtherCheckpoint => {
            let earlier = counter.earlier.lock().unwrap().clone();
            reply(200, "text/plain", earlier.into())
        }
        Manner::OtherKey => {
            let name = WitnessKey::parse(&counter.witness.status().key).unwrap();
            let thief = WitnessSigner::from_seed(name.name(), &[1; 32]).unwrap();
            by(&thief, &signed())
        }
        Manner::Silent => {
            let mut manner = counter.manner.clone();
            let _ = manner
                .wait_for(|manner| !matches!(manner, Manner::Silent))
                .await;
            reply(503, "text/plain", "too late".into())
        }
        Manner::Endless => {
            let chunk = Bytes::from(vec![b'x'; 16 * 1024]);
            let chunks = futures::stream::repeat_with(move || Ok::<_, axum::Error>(chunk.clone()));
            reply(200, "text/plain", Body::from_stream(chunks))
        }
    }
}

/// A policy of these sites, called `w0`, `w1` ..., of which `needed` must cosign.
pub(crate) fn policy(needed: &str, sites: &[&Site]) -> String {
    let mut policy = String::new();
    let mut names = String::new();
    for (number, site) in sites.iter().enumerate() {
        policy += &format!("witness w{number} {} {}\n", site.key(), site.url);
        names += &format!(" w{number}");
    }
    format!("{policy}group g {needed}{names}\nquorum g\n")
}

pub(crate) fn config(policy: &str, behaviour: Behaviour, folder: &Path) -> CollectorConfig {
    CollectorConfig {
        policy: Policy::parse(policy.as_bytes()).unwrap(),
        behaviour,
        folder: folder.join("witnessed"),
        authorities: Authorities::default(),
        pace: Pace {
            interval: Duration::from_millis(20),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_millis(200),
            ..Pace::default()
        },
    }
}

/// Waits until it is so.
pub(crate) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "not in {PATIENCE:?}: {what}");
}
