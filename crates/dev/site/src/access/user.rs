//! The users of the field's server.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// First token of the subjects of devices that have a user of their own.
pub const DEVICE_PREFIX: &str = "field";

/// First tokens of the open field: those of the simulator and the Pico W of the proof of concept this grew out of.
pub const OPEN_PREFIXES: [&str; 2] = ["sim", "picow"];

/// Where programs publish events.
pub(crate) const EVENTS: &str = "events.audit";

/// Where the event logger is handed them.
const EVENTS_DELIVERED: &str = "fieldledger.events";

/// Where it says which are recorded, as servers name it now, and as they will with domains.
const EVENTS_RECORDED: [&str; 2] = [
    "$JS.ACK.FIELDLEDGER_EVENTS.event-logger.>",
    "$JS.ACK.*.*.FIELDLEDGER_EVENTS.event-logger.>",
];

/// Where an operator sends the polling provider, by the name of its instance, to other servers.
const BROKERS: &str = "fieldledger.brokers.*";

/// What a device says on a subject of its own, and what it hears there.
const SAID: [&str; 5] = ["heartbeat", "read", "history", "disconnect", "command_ack"];
const HEARD: [&str; 4] = ["poll", "history_ack", "command", "brokers"];

/// Somebody whom the field's server knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What it is.
    pub role: Role,
    /// Its public nkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nkey: Option<String>,
    /// The hash of its password; of the open field's, which nobody needs, itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What a user is, and so what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Role {
    /// A device: speaks for these ids, its own and its sensors', and hears what is said to them.
    Device {
        /// Each is a level of its subjects.
        ids: Vec<Uuid>,
    },
    /// A program that publishes events.
    Program,
    /// The polling provider.
    Polling,
    /// The event logger: is handed events, and says which are recorded.
    Events,
    /// The simulated field, where the field is not open.
    Simulator,
    /// The field's server at another site, which joins this one as a leaf node.
    Site {
        /// Its JetStream domain.
        domain: String,
    },
    /// Whoever names no user.
    Open,
    /// The people who run the field: they may do all that can be done there.
    Operator,
}

impl User {
    /// As nats-server's configuration has it. Who may use a key or a password is two users there.
    pub(crate) fn configuration(&self, name: &str) -> Vec<Value> {
        let permissions = self.role.permissions();
        let mut users = Vec::new();
        if let Some(nkey) = &self.nkey {
            users.push(json!({"nkey": nkey, "permissions": permissions}));
        }
        if let Some(password) = &self.password {
            users.push(json!({"user": name, "password": password, "permissions": permissions}));
        }
        users
    }
}

impl Role {
    fn permissions(&self) -> Value {
        let (publish, subscribe) = match self {
            Self::Device { ids } => (subjects(ids, &SAID), subjects(ids, &HEARD)),
            Self::Program => (vec![EVENTS.to_owned()], Vec::new()),
            Self::Events => (
                EVENTS_RECORDED.map(str::to_owned).to_vec(),
                vec![EVENTS_DELIVERED.to_owned()],
            ),
            Self::Polling => polling(),
            // What is stored there can be looked at from here, and events of programs there are heard
            // here. Devices and what they say stay where they are. nats-server knows no answers to
            // questions where leaf nodes ask, so they may go to any inbox; nobody there knows one that
            // was not told.
            Self::Site { domain } => (
                vec![EVENTS.to_owned(), "_INBOX.>".to_owned()],
                vec![format!("$JS.{domain}.API.>")],
            ),
            Self::Simulator | Self::Open => (below(&OPEN_PREFIXES), below(&OPEN_PREFIXES)),
            Self::Operator => return json!({"publish": ">", "subscribe": ">"}),
        };
        let mut permissions = json!({
            "publish": allowed(&publish),
            "subscribe": allowed(&subscribe),
        });
        if self.answers() {
            // A poll names an inbox of the polling provider's, and a list of brokers one of the
            // operator's. It may be answered once, there and nowhere else; a minute covers
            // POLL_TIMEOUT_MS with LATE_WINDOW_MS as they usually are.
            permissions["allow_responses"] = json!({"max": 1, "expires": "1m"});
        }
        permissions
    }

    /// Whether it is asked things, and may answer where the question says.
    fn answers(&self) -> bool {
        match self {
            Self::Device { .. } | Self::Simulator | Self::Open | Self::Polling => true,
            Self::Site { .. } | Self::Program | Self::Events | Self::Operator => false,
        }
    }
}

fn allowed(subjects: &[String]) -> Value {
    match subjects.is_empty() {
        true => json!({"deny": ">"}),
        false => json!({"allow": subjects}),
    }
}

fn subjects(ids: &[Uuid], names: &[&str]) -> Vec<String> {
    let of_id = |id: &Uuid| {
        let id = id.hyphenated().to_string();
        let subject = move |name: &&str| format!("{DEVICE_PREFIX}.{id}.{name}");
        names.iter().map(subject).collect::<Vec<_>>()
    };
    ids.iter().flat_map(of_id).collect()
}

fn below(prefixes: &[&str]) -> Vec<String> {
    prefixes
        .iter()
        .map(|prefix| format!("{prefix}.>"))
        .collect()
}

/// Devices' subjects, and what is stored: streams, buckets and the answers of JetStream. Lists of brokers
/// are heard, and that an operator sent one is an event.
fn polling() -> (Vec<String>, Vec<String>) {
    let mut field = below(&OPEN_PREFIXES);
    field.push(format!("{DEVICE_PREFIX}.>"));
    let stored = [
        "fieldledger.>",
        "$KV.>",
        "$JS.API.>",
        "$JS.ACK.>",
        "$JS.FC.>",
    ];
    let mut publish = field.clone();
    publish.extend(stored.map(str::to_owned));
    publish.push(EVENTS.to_owned());
    field.extend(["_INBOX.>", BROKERS].map(str::to_owned));
    (publish, field)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_device_speaks_for_its_own_ids_only_and_without_wildcards() {
        let ids = vec![Uuid::from_u128(1), Uuid::from_u128(2)];
        let device = User {
            role: Role::Device { ids },
            nkey: Some("UABC".to_owned()),
            password: Some("$2a$04$x".to_owned()),
        };
        let users = device.configuration("press");
        assert_eq!(users.len(), 2);
        assert_eq!(users[0]["permissions"], users[1]["permissions"]);
        assert_eq!(
            (&users[0]["nkey"], &users[1]["user"]),
            (&json!("UABC"), &json!("press"))
        );
        for side in ["publish", "subscribe"] {
            let allowed = users[0]["permissions"][side]["allow"].as_array().unwrap();
            assert!(!allowed.is_empty());
            for subject in allowed {
                let subject = subject.as_str().unwrap();
                assert!(subject.starts_with("field.00000000-0000-0000-0000-00000000000"));
                assert!(!subject.contains(['*', '>']), "{subject}");
            }
        }
    }

    #[test]
    fn who_may_say_nothing_is_denied_everything() {
        assert_eq!(
            Role::Program.permissions()["subscribe"],
            json!({"deny": ">"})
        );
    }

    #[test]
    fn who_is_asked_may_answer_and_nobody_else() {
        let site = || "north".to_owned();
        for (role, answers) in [
            (Role::Device { ids: Vec::new() }, true),
            (Role::Simulator, true),
            (Role::Open, true),
            (Role::Polling, true),
            (Role::Site { domain: site() }, false),
            (Role::Program, false),
            (Role::Events, false),
            (Role::Operator, false),
        ] {
            let permissions = role.permissions();
            let may = permissions.get("allow_responses").is_some();
            assert_eq!(may, answers, "{role:?}");
        }
    }

    #[test]
    fn the_polling_provider_stores_and_asks_and_hears_the_field() {
        let polling = Role::Polling.permissions();
        assert_eq!(
            polling["publish"]["allow"],
            json!([
                "sim.>",
                "picow.>",
                "field.>",
                "fieldledger.>",
                "$KV.>",
                "$JS.API.>",
                "$JS.ACK.>",
                "$JS.FC.>",
                "events.audit"
            ])
        );
        assert_eq!(
            polling["subscribe"]["allow"],
            json!([
                "sim.>",
                "picow.>",
                "field.>",
                "_INBOX.>",
                "fieldledger.brokers.*"
            ])
        );
        let open = Role::Open.permissions();
        for side in ["publish", "subscribe"] {
            assert_eq!(open[side], json!({"allow": ["sim.>", "picow.>"]}));
        }
    }

    #[test]
    fn the_event_logger_hears_nothing_but_events_and_says_only_that_they_are_recorded() {
        let events = Role::Events.permissions();
        assert_eq!(
            events["subscribe"],
            json!({"allow": ["fieldledger.events"]})
        );
        for subject in events["publish"]["allow"].as_array().unwrap() {
            let subject = subject.as_str().unwrap();
            assert!(subject.starts_with("$JS.ACK.") && subject.contains(".FIELDLEDGER_EVENTS."));
        }
    }
}
