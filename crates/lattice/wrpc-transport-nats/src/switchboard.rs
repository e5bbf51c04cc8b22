//! Where the messages of a connection go: one subscription for all its calls, and a map from subject to
//! whoever waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use anyhow::Context as _;
use async_nats::{HeaderMap, Message, StatusCode, Subject};
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tracing::debug;

use crate::incoming::Incoming;
use crate::outgoing::Outgoing;
use crate::pipe::{Receiver, Sender, pipe};

/// What a server said to a request: where it takes the parameters, or why it will not.
pub(crate) type Acceptance = Result<Subject, Refusal>;

/// Why a request was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody serves the function.
    NobodyServes,
    /// The answer was not one of this protocol.
    Odd(String),
}

/// A call that is handed over in the process.
pub(crate) struct Call {
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) parameters: Incoming,
    pub(crate) results: Outgoing,
}

enum Route {
    Acceptance(oneshot::Sender<Acceptance>),
    Bytes(Sender),
}

/// None once the connection has ended.
type Routes = Mutex<Option<HashMap<String, Route>>>;

/// Takes calls of one function in this process.
struct Service {
    number: u64,
    calls: mpsc::UnboundedSender<Call>,
}

/// The switchboard of one connection.
pub(crate) struct Switchboard {
    inbox: String,
    next: AtomicU64,
    routes: Arc<Routes>,
    services: Mutex<HashMap<String, Vec<Service>>>,
    reading: AbortHandle,
}

/// A subject that is waited for, until this is dropped.
pub(crate) struct Registration {
    routes: Arc<Routes>,
    subject: String,
}

/// A function that is served in this process, until this is dropped.
pub(crate) struct Served {
    switchboard: Arc<Switchboard>,
    subject: String,
    number: u64,
}

/// A connection and its switchboard, both alive as long as somebody else has them.
struct Known {
    nats: Weak<async_nats::Client>,
    switchboard: Weak<Switchboard>,
}

/// Hosts make a client for each call, so what clients of a connection share is found here.
static KNOWN: tokio::sync::Mutex<Vec<Known>> = tokio::sync::Mutex::const_new(Vec::new());

impl Switchboard {
    /// The switchboard of this connection.
    pub(crate) async fn of(nats: &Arc<async_nats::Client>) -> anyhow::Result<Arc<Self>> {
        let mut known = KNOWN.lock().await;
        let same = known
            .iter()
            // A weak reference keeps its place in memory taken, so no other connection can be there.
            .find(|known| known.nats.as_ptr() == Arc::as_ptr(nats))
            .and_then(|known| known.switchboard.upgrade());
        if let Some(switchboard) = same.filter(|switchboard| switchboard.is_open()) {
            return Ok(switchboard);
        }
        let switchboard = Arc::new(Self::open(nats).await?);
        known.retain(|known| {
            known.switchboard.strong_count() > 0 && known.nats.as_ptr() != Arc::as_ptr(nats)
        });
        known.push(Known {
            nats: Arc::downgrade(nats),
            switchboard: Arc::downgrade(&switchboard),
        });
        Ok(switchboard)
    }

    async fn open(nats: &async_nats::Client) -> anyhow::Result<Self> {
        let inbox = nats.new_inbox();
        let mut messages = nats
            .subscribe(format!("{inbox}.>"))
            .await
            .context("cannot subscribe to the answers to calls")?;
        let routes = Arc::new(Mutex::new(Some(HashMap::new())));
        let reading = tokio::spawn({
            let routes = Arc::clone(&routes);
            async move {
                while let Some(message) = messages.next().await {
                    deliver(&routes, message);
                }
                // Whoever still waits hears that nothing will come.
                *routes.lock() = None;
            }
        });
        Ok(Self {
            inbox,
            next: AtomicU64::new(0),
            routes,
            services: Mutex::default(),
            reading: reading.abort_handle(),
        })
    }

    fn is_open(&self) -> bool {
        self.routes.lock().is_some()
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A subject that nobody else has.
    pub(crate) fn new_inbox(&self) -> String {
        format!("{}.{}", self.inbox, self.number())
    }

    /// Waits for the answer to a request at `inbox`.
    pub(crate) fn expect_acceptance(
        &self,
        inbox: &str,
    ) -> anyhow::Result<(oneshot::Receiver<Acceptance>, Registration)> {
        let (sender, receiver) = oneshot::channel();
        let registration = self.register(inbox.to_owned(), Route::Acceptance(sender))?;
        Ok((receiver, registration))
    }

    /// Waits for bytes at `subject`, up to an empty message.
    pub(crate) fn expect_bytes(&self, subject: String) -> anyhow::Result<(Receiver, Registration)> {
        let (sender, receiver) = pipe();
        let registration = self.register(subject, Route::Bytes(sender))?;
        Ok((receiver, registration))
    }

    fn register(&self, subject: String, route: Route) -> anyhow::Result<Registration> {
        let mut routes = self.routes.lock();
        let routes = routes
            .as_mut()
            .context("the connection to nats-server has ended")?;
        routes.insert(subject.clone(), route);
        Ok(Registration {
            routes: Arc::clone(&self.routes),
            subject,
        })
    }

    /// Takes the calls to `subject` that come from this process.
    pub(crate) fn serve(
        self: &Arc<Self>,
        subject: String,
    ) -> (mpsc::UnboundedReceiver<Call>, Served) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let number = self.number();
        let mut services = self.services.lock();
        services.entry(subject.clone()).or_default().push(Service {
            number,
            calls: sender,
        });
        let served = Served {
            switchboard: Arc::clone(self),
            subject,
            number,
        };
        (receiver, served)
    }

    /// Who takes the calls to `subject` in this process; none where nobody does.
    pub(crate) fn service(&self, subject: &str) -> Option<mpsc::UnboundedSender<Call>> {
        let services = self.services.lock();
        let mut services = services.get(subject)?.iter();
        let open = services.find(|service| !service.calls.is_closed())?;
        Some(open.calls.clone())
    }
}

impl Drop for Switchboard {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(routes) = self.routes.lock().as_mut() {
            routes.remove(&self.subject);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let mut services = self.switchboard.services.lock();
        if let Some(of_subject) = services.get_mut(&self.subject) {
            of_subject.retain(|service| service.number != self.number);
            if of_subject.is_empty() {
                services.remove(&self.subject);
            }
        }
    }
}

/// Gives a message to whoever waits for it. Never waits.
fn deliver(routes: &Routes, message: Message) {
    let mut routes = routes.lock();
    let Some(routes) = routes.as_mut() else {
        return;
    };
    let subject = message.subject.as_str();
    let is_last = message.payload.is_empty();
    match routes.get(subject) {
        Some(Route::Bytes(sender)) if !is_last => sender.push(message.payload),
        Some(_) => {
            let Some((_, route)) = routes.remove_entry(subject) else {
                return;
            };
            match route {
                Route::Bytes(sender) => sender.end(),
                // Whoever called has given up if this fails.
                Route::Acceptance(sender) => drop(sender.send(acceptance(message))),
            }
        }
        None => debug!(subject, "a message for a call that has ended"),
    }
}

fn acceptance(message: Message) -> Acceptance {
    match (message.status, message.reply) {
        (Some(StatusCode::NO_RESPONDERS), _) => Err(Refusal::NobodyServes),
        (Some(status), _) if !status.is_success() => {
            let why = message.description.unwrap_or_default();
            Err(Refusal::Odd(format!("nats-server answered {status} {why}")))
        }
        (_, Some(inbox)) => Ok(inbox),
        (_, None) => Err(Refusal::Odd(
            "the server did not say where it takes parameters".to_owned(),
        )),
    }
}
