//! NATS. Topics have slashes between their levels; here those are dots, as in the MQTT gateway of
//! nats-server, so that a device may change between both.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Subscriber};
use futures::StreamExt as _;
use futures::stream::SelectAll;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::{Address, Event, Login, Order, Reporter};

/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the last messages may take.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// Connects once, and serves until the connection or the orders end.
pub(super) async fn serve(
    address: Address,
    login: Login,
    orders: mpsc::Receiver<Order>,
    reporter: Reporter,
) {
    let lost = Arc::new(Notify::new());
    let notify = lost.clone();
    let mut options = match (login.nkey, login.password) {
        (Some(seed), _) => ConnectOptions::with_nkey(seed),
        (None, Some((user, password))) => ConnectOptions::with_user_and_password(user, password),
        (None, None) => ConnectOptions::new(),
    };
    if address.is_encrypted {
        let Some(tls) = login.tls else {
            return reporter.lost("tls_ca is not set").await;
        };
        options = options
            .require_tls(true)
            .tls_client_config(tls.as_ref().clone());
    }
    let options = options
        .name(login.client_id)
        .connection_timeout(PATIENCE)
        // Which broker is next is for the device to say, not for the client.
        .event_callback(move |event| {
            if matches!(
                event,
                async_nats::Event::Disconnected | async_nats::Event::Closed
            ) {
                notify.notify_one();
            }
            async {}
        });
    let url = format!("nats://{}:{}", bracketed(&address.host), address.port);
    let client = match options.connect(url).await {
        Ok(client) => client,
        Err(error) => return reporter.lost(error).await,
    };
    if !reporter.report(Event::Connected).await {
        return;
    }
    tokio::select! {
        () = lost.notified() => reporter.lost("the server closed the connection").await,
        () = obey(client, orders, &reporter) => {}
    }
}

/// An IPv6 address as it stands in a URL.
fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

async fn obey(client: Client, mut orders: mpsc::Receiver<Order>, reporter: &Reporter) {
    let mut messages: SelectAll<Subscriber> = SelectAll::new();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let handed_over = match order {
                    None => break,
                    Some(Order::Subscribe { topic }) => {
                        let subscribed = client.subscribe(topic.replace('/', ".")).await;
                        subscribed.map(|messages_of_it| messages.push(messages_of_it)).is_ok()
                    }
                    Some(Order::Publish { topic, payload }) => {
                        let subject = topic.replace('/', ".");
                        client.publish(subject, payload.into()).await.is_ok()
                    }
                };
                if !handed_over {
                    return reporter.lost("the client stopped").await;
                }
            }
            Some(message) = messages.next() => {
                let event = Event::Message {
                    topic: message.subject.replace('.', "/"),
                    reply: message.reply.map(|reply| reply.to_string()),
                    payload: message.payload.to_vec(),
                };
                if !reporter.report(event).await {
                    return;
                }
            }
        }
    }
    let _ = timeout(LAST_FLUSH, client.flush()).await;
}
