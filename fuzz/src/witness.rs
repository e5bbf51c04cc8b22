//! What witnesses and logs send each other, and the policies that say which witnesses count.
//! `crates/log/verifier` reads policies with code of its own, so the two must agree on every one.

use std::sync::LazyLock;

use fieldledger_tlog::{Hash, LogKey};
use fieldledger_verifier::policy;
use fieldledger_witness::{
    AddCheckpoint, Answer, Cosigned, Policy, SignedCheckpoint, WatchedLogs, WitnessSigner, judge,
};

const ORIGIN: &str = "fuzz.example/log";

/// A log, a witness of it, and a checkpoint that both have signed.
struct Site {
    watched: WatchedLogs,
    signer: WitnessSigner,
    checkpoint: SignedCheckpoint,
    note: String,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let key = LogKey::from_seed(ORIGIN, &[7; 32]).expect("the key is good");
    let watched = format!("logs/v0\nvkey {}\n", key.verifier_key());
    let note = key.sign(3, Hash([3; 32])).expect("the name is good");
    Site {
        watched: WatchedLogs::parse(&watched).expect("the list is good"),
        signer: WitnessSigner::from_seed("fuzz.example/witness", &[8; 32])
            .expect("the name is good"),
        checkpoint: SignedCheckpoint::parse(note.as_bytes()).expect("the note is good"),
        note,
    }
});

/// The body of a `POST add-checkpoint`: as it is, and again as the lines before a good checkpoint.
pub(crate) fn request(data: &[u8]) {
    judged(data);
    let with_checkpoint = [data, b"\n\n", SITE.note.as_bytes()].concat();
    judged(&with_checkpoint);
}

fn judged(body: &[u8]) {
    let Ok(request) = AddCheckpoint::parse(body) else {
        return;
    };
    let note = request.checkpoint.to_note();
    let again = SignedCheckpoint::parse(note.as_bytes()).expect("what is written is read");
    assert_eq!(again.text(), request.checkpoint.text());
    if let Ok(tree) = judge(&request, &SITE.watched, Cosigned::NOTHING) {
        assert_eq!(tree.size, request.checkpoint.size());
        // Only a log with the key that is watched is cosigned.
        assert_eq!(request.checkpoint.origin(), ORIGIN);
        let verifiers = SITE.watched.find(ORIGIN).map(|log| log.verifiers());
        let signatures = request
            .checkpoint
            .signatures_by(&verifiers.unwrap_or_default());
        assert!(signatures.is_ok_and(|signatures| !signatures.is_empty()));
    }
}

/// What a witness answers: the first byte chooses the status, the rest is the body.
pub(crate) fn answer(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    let (status, content_type) = match choice % 8 {
        0 => (409, "text/x.tlog.size"),
        1 => (409, "text/plain"),
        2 => (404, "text/plain"),
        3 => (500, ""),
        4 => (422, "text/plain"),
        _ => (200, "text/plain"),
    };
    let key = SITE.signer.key();
    let read = |body: &[u8]| Answer::read(status, content_type, body, &SITE.checkpoint, key);
    let _ = read(body);
    // Foreign lines before a cosignature that holds do not hide it.
    let good = SITE.signer.cosign(&SITE.checkpoint, 7);
    let _ = read(&[body, b"\n", good.line.as_bytes()].concat());
    assert!(read(good.line.as_bytes()).is_ok() || status != 200);
}

/// A policy file, for the collector and for whoever checks: both read it, or neither does.
pub(crate) fn policy(data: &[u8]) {
    let ours = Policy::parse(data);
    // Names need not be UTF-8, but the text that the verifier is given is.
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match (ours, policy::Policy::parse(text)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours.logs().len(), theirs.logs().len());
            let nobody = vec![false; ours.witnesses().len()];
            let judged = theirs.judge(&SITE.note).expect("nobody has cosigned it");
            assert_eq!(ours.is_met_by(&nobody), judged.satisfied);
            assert_eq!(ours.witnesses().len(), judged.missing.len());
        }
        (Err(_), Err(_)) => {}
        // A bound of the collector's alone: it asks each witness.
        (Err(error), Ok(_)) if error.problem.contains("at most") => {}
        (ours, theirs) => panic!("one reads what the other refuses: {ours:?}, {theirs:?}"),
    }
}
