//! Where heartbeats arrive.

use fieldledger_wire::topic::subject_of;

/// One heartbeat subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// May hold wildcards.
    pub subject: String,
    /// Queue group, where several providers share the sensors.
    pub queue: Option<String>,
}

pub(super) fn subscription(entry: &str) -> Option<Subscription> {
    let (subject, queue) = match entry.split_once('|') {
        Some((subject, queue)) => (subject, Some(queue)),
        None => (entry, None),
    };
    let subject = subject_of(subject);
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    let good_token = |token: &str| !token.is_empty() && token.chars().all(plain);
    let good_subject = subject.split('.').all(good_token);
    let good_queue = queue.is_none_or(good_token);
    (good_subject && good_queue).then(|| Subscription {
        subject,
        queue: queue.map(str::to_owned),
    })
}

/// All tokens but the last, up to the first wildcard.
pub(super) fn prefix_of(heartbeat_subject: &str) -> Option<String> {
    let (all_but_last, _) = heartbeat_subject.rsplit_once('.')?;
    let plain: Vec<&str> = all_but_last
        .split('.')
        .take_while(|token| !matches!(*token, "*" | ">"))
        .collect();
    (!plain.is_empty()).then(|| plain.join("."))
}
