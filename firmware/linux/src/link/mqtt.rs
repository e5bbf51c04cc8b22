//! MQTT 3.1.1.

use std::time::Duration;

use rumqttc::{
    AsyncClient, EventLoop, MqttOptions, Outgoing, Packet, QoS, TlsConfiguration, Transport,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Address, Event, Login, Order, Reporter};

/// How soon a broker that fell silent is given up: one and a half times this.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The largest packet, in bytes.
const LARGEST_PACKET: usize = 64 * 1024;

/// Requests that wait inside the client.
const QUEUED_REQUESTS: usize = 64;

/// How long the last messages may take.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// Connects once, and serves until the connection or the orders end.
pub(super) async fn serve(
    address: Address,
    login: Login,
    orders: mpsc::Receiver<Order>,
    reporter: Reporter,
) {
    let mut options = MqttOptions::new(login.client_id, address.host, address.port);
    if let Some((user, password)) = login.password {
        options.set_credentials(user, password);
    }
    if address.is_encrypted {
        let Some(tls) = login.tls else {
            return reporter.lost("tls_ca is not set").await;
        };
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    }
    options.set_keep_alive(KEEP_ALIVE);
    options.set_max_packet_size(LARGEST_PACKET, LARGEST_PACKET);
    let (client, event_loop) = AsyncClient::new(options, QUEUED_REQUESTS);
    tokio::select! {
        () = drive(event_loop, reporter) => {}
        () = obey(client, orders) => {}
    }
}

/// Moves bytes until the connection ends.
async fn drive(mut event_loop: EventLoop, reporter: Reporter) {
    loop {
        let event = match event_loop.poll().await {
            Ok(rumqttc::Event::Incoming(Packet::ConnAck(_))) => Event::Connected,
            Ok(rumqttc::Event::Incoming(Packet::Publish(message))) => Event::Message {
                topic: message.topic,
                reply: None,
                payload: message.payload.to_vec(),
            },
            Ok(rumqttc::Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => continue,
            Err(error) => return reporter.lost(error).await,
        };
        if !reporter.report(event).await {
            return;
        }
    }
}

/// Hands orders to the client; after the last one it says goodbye to the broker.
async fn obey(client: AsyncClient, mut orders: mpsc::Receiver<Order>) {
    while let Some(order) = orders.recv().await {
        let handed_over = match order {
            Order::Subscribe { topic } => client.subscribe(topic, QoS::AtMostOnce).await,
            Order::Publish { topic, payload } => {
                client.publish(topic, QoS::AtMostOnce, false, payload).await
            }
        };
        if handed_over.is_err() {
            return;
        }
    }
    // The other half ends when this has gone out.
    let farewell = async {
        let _ = client.disconnect().await;
        std::future::pending::<()>().await;
    };
    let _ = timeout(LAST_FLUSH, farewell).await;
}
