//! Publishing to a real nats-server, in turns with async-nats.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use async_nats::RequestErrorKind;
use bytes::Bytes;
use embedded_io_adapters::tokio_1::FromTokio;
use nano_nats::{
    Client, ClientError, Credentials, Identity, Introduction, Keepalive, Publish, Session, Subject,
};
use tokio::net::TcpStream;

use crate::median;
use crate::server::Server;

/// Bytes of payload.
const PAYLOAD: usize = 128;

/// Nobody subscribes to it: what is measured are the clients, and the server's reading.
const SUBJECT: &str = "plant.boiler.temperature";

/// Nobody answers here. A request is answered by the server itself, when it has read all before it.
const END: &str = "end";

/// Prints a table.
pub(crate) async fn print(program: &Path, messages: u32, turns: u32) -> anyhow::Result<()> {
    let server = Server::start(program).await?;
    let mut rates: [Vec<f64>; 3] = Default::default();
    for _ in 0..turns {
        rates[0].push(peer(server.address, messages).await?);
        rates[1].push(nano::<1_024>(server.address, messages).await?);
        rates[2].push(nano::<65_536>(server.address, messages).await?);
    }
    let [peer, small, large] = rates.map(median);
    println!(
        "\nNATS, publishing {messages} messages of {PAYLOAD} bytes until nats-server has read them"
    );
    println!(
        "{:30} {:>12} {:>22}",
        "client", "messages/s", "ratio to async-nats"
    );
    println!("{:30} {peer:>12.0}", "async-nats");
    println!(
        "{:30} {small:>12.0} {:>22.2}",
        "nano-nats, 1 KiB of output",
        small / peer
    );
    println!(
        "{:30} {large:>12.0} {:>22.2}",
        "nano-nats, 64 KiB of output",
        large / peer
    );
    Ok(())
}

/// Messages that async-nats publishes a second.
async fn peer(address: SocketAddr, messages: u32) -> anyhow::Result<f64> {
    let client = async_nats::connect(format!("nats://{address}")).await;
    let client = client.context("async-nats cannot connect")?;
    let payload = Bytes::from(vec![b'x'; PAYLOAD]);
    let start = Instant::now();
    for _ in 0..messages {
        let published = client.publish(SUBJECT, payload.clone()).await;
        published.context("async-nats cannot publish")?;
    }
    match client.request(END, Bytes::new()).await {
        Err(error) if error.kind() == RequestErrorKind::NoResponders => {}
        other => bail!("async-nats: the server answered {other:?}"),
    }
    Ok(f64::from(messages) / start.elapsed().as_secs_f64())
}

/// Messages that our client publishes a second, with so many bytes for its output.
async fn nano<const OUT: usize>(address: SocketAddr, messages: u32) -> anyhow::Result<f64> {
    let inbox = Subject::new("_INBOX.bench")?;
    let mut session = Box::new(Session::<1_024, OUT, 1, 32>::new(
        inbox,
        Keepalive::default(),
    )?);
    let mut input = [0; 512];
    let introduction = Introduction {
        name: "bench",
        echo: false,
        identity: Identity::Fixed(Credentials::None),
        transport_is_encrypted: false,
    };
    let stream = TcpStream::connect(address).await.context("no connection")?;
    stream.set_nodelay(true).context("no such option")?;
    let transport = FromTokio::new(stream);
    let mut client = Client::connect(transport, &mut session, &mut input, &introduction).await?;
    let payload = [b'x'; PAYLOAD];
    let publish = Publish::new(Subject::new(SUBJECT)?, &payload);
    let start = Instant::now();
    for _ in 0..messages {
        client.feed(&publish).await?;
    }
    match client.request(Subject::new(END)?, &[], b"", |_| {}).await {
        Err(ClientError::NoResponders) => {}
        other => bail!("nano-nats: the server answered {other:?}"),
    }
    Ok(f64::from(messages) / start.elapsed().as_secs_f64())
}
