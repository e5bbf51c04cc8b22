//! Collects cosignatures on a ledger's checkpoints.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fieldledger_contract::WallTime;
use fieldledger_contract::ledger::{OwnWitnesses, WitnessState};
use fieldledger_ledger::{Checkpoint, Ledger};
use fieldledger_witness::{
    AddCheckpoint, Answer, Cosignature, LogKey, Policy, PolicyWitness, SignedCheckpoint, Verifier,
};
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{error, info, warn};
use url::Url;

use crate::authorities::Authorities;
use crate::backoff;
use crate::board::{Behaviour, Board, Candidate};
use crate::files::{self, FileError};
use crate::post::Client;

/// How often a witness may correct the old size within one attempt.
const CORRECTIONS: usize = 2;

/// How witnesses are to be asked.
#[derive(Debug, Clone)]
pub struct CollectorConfig {
    /// Which witnesses, and how many of them are enough.
    pub policy: Policy,
    /// What is published while they are not.
    pub behaviour: Behaviour,
    /// Where cosignatures are kept: a folder of its own, created where it is missing.
    pub folder: PathBuf,
    /// How fast.
    pub pace: Pace,
    /// Who may vouch for witnesses beside the public authorities.
    pub authorities: Authorities,
}

/// How fast witnesses are asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From one checkpoint to the next, at least.
    pub interval: Duration,
    /// For one answer.
    pub timeout: Duration,
    /// After a first failure, roughly.
    pub first_pause: Duration,
    /// After many, at most.
    pub longest_pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
        }
    }
}

/// Why no cosignatures can be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// The policy is not about this log.
    #[error(
        "the witness policy lists logs, and {origin} is not among them; add a line `log {key}`"
    )]
    OtherLog {
        /// The log's name.
        origin: String,
        /// Its key.
        key: String,
    },
    /// A witness cannot be asked.
    #[error("the URL {url:?} of the witness {name} must be http:// or https://")]
    Url {
        /// What the policy calls the witness.
        name: String,
        /// What the policy has.
        url: String,
    },
    /// The quorum is out of reach for good.
    #[error("the witness policy cannot be met: too few of its witnesses have a URL to be asked at")]
    Unreachable,
    /// The folder for cosignatures cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// HTTP is not to be had.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// Collects cosignatures until it is stopped or dropped.
#[derive(Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    ledger: Ledger,
    board: Mutex<Board>,
    witnesses: Vec<PolicyWitness>,
    folder: PathBuf,
    pace: Pace,
    client: Client,
    /// Held from the decision what to publish until it is published, over writing it down.
    publishing: tokio::sync::Mutex<()>,
}

impl Collector {
    /// Takes up what was collected before, and begins to ask. Must be called in a tokio runtime.
    /// Blocks on files.
    ///
    /// # Errors
    ///
    /// When the policy cannot be used for this ledger, or the folder cannot be used.
    pub fn start(ledger: Ledger, config: CollectorConfig) -> Result<Self, CollectorError> {
        let newest = ledger.checkpoint();
        check(&config.policy, &newest)?;
        files::create_folder(&config.folder)?;
        let witnesses = config.policy.witnesses().to_vec();
        let mut progress = Vec::with_capacity(witnesses.len());
        for witness in &witnesses {
            progress.push(remembered(&config, witness, &newest)?);
        }
        let witnessed = last_witnessed(&config, &newest)?;
        info!(
            witnesses = witnesses.len(),
            behaviour = %config.behaviour,
            witnessed_size = witnessed.as_ref().map(|checkpoint| checkpoint.tree_size),
            "collecting cosignatures"
        );
        let board = Board::new(config.policy, config.behaviour, witnessed, progress);
        let shared = Arc::new(Shared {
            ledger,
            board: Mutex::new(board),
            witnesses,
            folder: config.folder,
            pace: config.pace,
            client: Client::new(config.pace.timeout, &config.authorities)
                .map_err(CollectorError::Client)?,
            publishing: tokio::sync::Mutex::new(()),
        });
        let (proposed, _) = watch::channel(0);
        let mut tasks = Vec::new();
        for witness in 0..shared.witnesses.len() {
            if shared.witnesses[witness].url.is_some() {
                let asking = ask_witness(Arc::clone(&shared), witness, proposed.subscribe());
                tasks.push(tokio::spawn(asking));
            }
        }
        tasks.push(tokio::spawn(propose_heads(Arc::clone(&shared), proposed)));
        Ok(Self { shared, tasks })
    }

    /// The checkpoint to show to the world, with its cosignatures.
    ///
    /// # Errors
    ///
    /// A sentence that says why none may be shown.
    pub fn published(&self) -> Result<Checkpoint, String> {
        let board = self.shared.board();
        if let Some(published) = board.published() {
            return Ok(published.checkpoint);
        }
        match board.behaviour() {
            Behaviour::Serve => Ok(self.shared.ledger.checkpoint()),
            Behaviour::Hold => Err(format!(
                "no checkpoint of this log has satisfied its witness policy yet; \
                 no cosignature from {}",
                board.missing().join(", ")
            )),
        }
    }

    /// How things stand.
    #[must_use]
    pub fn status(&self) -> OwnWitnesses {
        let tree_size = self.shared.ledger.checkpoint().tree_size;
        self.shared.board().status(tree_size)
    }

    /// Asks no more. What was published stays.
    pub fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock()
    }
}

/// Whether the policy can work for the log at all.
fn check(policy: &Policy, newest: &Checkpoint) -> Result<(), CollectorError> {
    let logs = policy.logs();
    if !logs.is_empty() && !logs.iter().any(|log| log.key.name() == newest.origin) {
        return Err(CollectorError::OtherLog {
            origin: newest.origin.clone(),
            key: newest.verifier_key.clone(),
        });
    }
    for witness in policy.witnesses() {
        let Some(url) = &witness.url else { continue };
        let usable = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !usable {
            return Err(CollectorError::Url {
                name: witness.name.clone(),
                url: url.clone(),
            });
        }
    }
    let reachable = policy.witnesses().iter();
    let reachable: Vec<bool> = reachable.map(|witness| witness.url.is_some()).collect();
    match policy.is_met_by(&reachable) {
        true => Ok(()),
        false => Err(CollectorError::Unreachable),
    }
}

/// Where the newest checkpoint that satisfied the policy is kept.
fn witnessed_path(config: &CollectorConfig) -> PathBuf {
    config.folder.join("checkpoint")
}

/// Where the newest checkpoint that this witness cosigned is kept.
fn witness_path(folder: &std::path::Path, witness: &PolicyWitness) -> PathBuf {
    let digest = Sha256::digest(witness.key.to_string());
    folder.join(format!("by-{}", hex::encode(&digest[..8])))
}

/// What the witness has cosigned last, as far as is written down. What is missing or damaged is
/// learnt from the witness again.
fn remembered(
    config: &CollectorConfig,
    witness: &PolicyWitness,
    newest: &Checkpoint,
) -> Result<WitnessState, FileError> {
    let mut progress = WitnessState {
        name: witness.name.clone(),
        key: witness.key.to_string(),
        url: witness.url.clone().unwrap_or_default(),
        ..WitnessState::default()
    };
    if witness.url.is_none() {
        progress.last_error = "the policy gives no URL, so it is never asked".to_owned();
    }
    let path = witness_path(&config.folder, witness);
    let Some(note) = files::read(&path)? else {
        return Ok(progress);
    };
    let signed = SignedCheckpoint::parse(&note).ok();
    let signed = signed.filter(|signed| signed.origin() == newest.origin);
    let cosigned = signed.and_then(|signed| {
        let cosignature = witness.key.cosignature_on(&signed).ok()?;
        Some((signed.size(), cosignature.time))
    });
    match cosigned {
        Some((size, time)) => {
            progress.cosigned_size = size;
            progress.cosigned_at = Some(WallTime::from_seconds(time));
        }
        None => warn!(path = %path.display(), "this is no cosigned checkpoint; passed over"),
    }
    Ok(progress)
}

/// The newest checkpoint that satisfied the policy, if it still does.
fn last_witnessed(
    config: &CollectorConfig,
    newest: &Checkpoint,
) -> Result<Option<Checkpoint>, FileError> {
    let path = witnessed_path(config);
    let Some(note) = files::read(&path)? else {
        return Ok(None);
    };
    let usable = SignedCheckpoint::parse(&note).ok().filter(|signed| {
        let keys = newest.verifier_keys.iter();
        let keys: Vec<LogKey> = keys.filter_map(|key| LogKey::parse(key).ok()).collect();
        let keys: Vec<&dyn Verifier> = keys.iter().map(|key| key as &dyn Verifier).collect();
        let by_log = signed.signatures_by(&keys).is_ok();
        let verdict = config.policy.evaluate(signed);
        by_log
            && signed.origin() == newest.origin
            && signed.size() <= newest.tree_size
            && verdict.is_ok_and(|verdict| verdict.satisfied)
    });
    let Some(signed) = usable else {
        warn!(
            path = %path.display(),
            "this checkpoint does not satisfy the policy for this log as it is; passed over"
        );
        return Ok(None);
    };
    Ok(Some(Checkpoint {
        tree_size: signed.size(),
        root_hash: signed.root().to_string(),
        note: signed.to_note(),
        ..newest.clone()
    }))
}

/// Makes the newest head the candidate, as often as the pace and the witnesses allow.
async fn propose_heads(shared: Arc<Shared>, proposed: watch::Sender<u64>) {
    let mut ticks = interval(shared.pace.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let newest = shared.ledger.checkpoint();
        let mut board = shared.board();
        if !board.wants(&newest) {
            continue;
        }
        match SignedCheckpoint::parse(newest.note.as_bytes()) {
            Ok(signed) => board.propose(newest, signed),
            Err(problem) => {
                error!(%problem, "the ledger's own checkpoint cannot be read");
                continue;
            }
        }
        let number = board.candidate().map_or(0, |candidate| candidate.number);
        drop(board);
        proposed.send_replace(number);
    }
}

/// Asks one witness about one candidate after the other.
async fn ask_witness(shared: Arc<Shared>, witness: usize, mut proposed: watch::Receiver<u64>) {
    let mut done = 0;
    loop {
        if proposed.wait_for(|&number| number > done).await.is_err() {
            return;
        }
        let candidate = shared.board().candidate();
        let Some(candidate) = candidate else { continue };
        match attempt(&shared, witness, &candidate).await {
            Ok(cosignature) => {
                done = candidate.number;
                keep(&shared, witness, &candidate, cosignature).await;
            }
            Err(failure) => {
                let failures = {
                    let mut board = shared.board();
                    board.failed(witness, failure.reason.clone(), failure.refuses)
                };
                report(&shared, witness, &failure, failures);
                let Pace {
                    first_pause,
                    longest_pause,
                    ..
                } = shared.pace;
                let part = rand::random();
                sleep(backoff::pause(failures, first_pause, longest_pause, part)).await;
            }
        }
    }
}

/// Why a witness has not cosigned.
struct Failure {
    reason: String,
    refuses: bool,
}

impl Failure {
    fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            refuses: false,
        }
    }

    fn refusal(reason: String) -> Self {
        Self {
            reason,
            refuses: true,
        }
    }
}

fn report(shared: &Shared, witness: usize, failure: &Failure, failures: u32) {
    let name = &shared.witnesses[witness].name;
    let reason = &failure.reason;
    if failure.refuses {
        error!(
            witness = name,
            reason, "a witness says that this log is not the one it has cosigned"
        );
    } else if failures == 1 {
        warn!(witness = name, reason, "no cosignature; trying again");
    }
}

async fn attempt(
    shared: &Shared,
    witness: usize,
    candidate: &Candidate,
) -> Result<Cosignature, Failure> {
    let asked = &shared.witnesses[witness];
    let url = asked.url.as_deref().unwrap_or_default();
    let size = candidate.checkpoint.tree_size;
    let mut old_size = shared.board().old_size(witness);
    if old_size > size {
        // Nothing can be proven from there, and it may have been an error: let it say so again.
        old_size = 0;
    }
    for _ in 0..=CORRECTIONS {
        let proof = proof(&shared.ledger, old_size, size).await?;
        let request = AddCheckpoint::body(old_size, &proof, &candidate.checkpoint.note);
        let answer = shared
            .client
            .add_checkpoint(url, request, &candidate.signed, &asked.key)
            .await
            .map_err(|failed| Failure::because(failed.to_string()))?;
        match answer {
            Answer::Cosigned(cosignature) => return Ok(cosignature),
            Answer::OldSize(said) if said == old_size => {
                return Err(Failure::refusal(format!(
                    "the witness has cosigned another tree of {said} entries"
                )));
            }
            Answer::OldSize(said) => {
                shared.board().corrected(witness, said);
                if said > size {
                    return Err(beyond(shared, said, size));
                }
                old_size = said;
            }
            Answer::Inconsistent(said) => {
                return Err(Failure::refusal(format!(
                    "the tree of {size} entries does not continue the one of {old_size} that the \
                     witness has cosigned; it says {said:?}"
                )));
            }
            Answer::Refused { status, reason } => {
                return Err(Failure::because(format!(
                    "the witness answered {status}: {reason}"
                )));
            }
        }
    }
    Err(Failure::because(
        "the witness named a different size each time it was asked",
    ))
}

/// The witness has seen more of the log than the candidate has.
fn beyond(shared: &Shared, cosigned: u64, size: u64) -> Failure {
    let newest = shared.ledger.checkpoint().tree_size;
    match cosigned > newest {
        true => Failure::refusal(format!(
            "the witness has cosigned {cosigned} entries of this log, and it has {newest}: \
             entries were lost, or another log signs with its key"
        )),
        // An answer that came too late for its own attempt; the next candidate is larger.
        false => Failure::because(format!(
            "the witness has cosigned {cosigned} entries already, more than the {size} asked about"
        )),
    }
}

async fn proof(ledger: &Ledger, old_size: u64, size: u64) -> Result<Vec<String>, Failure> {
    if old_size == 0 || old_size == size {
        return Ok(Vec::new());
    }
    let ledger = ledger.clone();
    spawn_blocking(move || ledger.consistency(old_size, size))
        .await
        .map_err(|failed| Failure::because(failed.to_string()))?
        .map_err(|failed| Failure::because(failed.to_string()))
}

/// Writes a cosignature down, and publishes the checkpoint where it is enough.
async fn keep(
    shared: &Arc<Shared>,
    witness: usize,
    candidate: &Candidate,
    cosignature: Cosignature,
) {
    let by_witness = format!("{}{}", candidate.checkpoint.note, cosignature.line);
    let path = witness_path(&shared.folder, &shared.witnesses[witness]);
    write(path, by_witness).await;
    let _publishing = shared.publishing.lock().await;
    let witnessed = shared.board().cosigned(witness, candidate, cosignature);
    let Some(witnessed) = witnessed else { return };
    // Published only once written down: what `hold` has shown, it shows again after a crash.
    if write(shared.folder.join("checkpoint"), witnessed.note.clone()).await {
        shared.board().publish(witnessed);
    }
}

/// False where it failed: the log is not at risk, only the memory of its witnesses.
async fn write(path: PathBuf, note: String) -> bool {
    let shown = path.display().to_string();
    let written = spawn_blocking(move || files::replace(&path, note.as_bytes(), 0o644)).await;
    let problem = match written {
        Ok(Ok(())) => return true,
        Ok(Err(problem)) => format!("{problem}: {}", problem.source),
        Err(panicked) => panicked.to_string(),
    };
    warn!(path = shown, problem, "a cosignature was not written down");
    false
}
