//! A policy for reconnecting: servers in order of preference, and waits that grow and differ from
//! device to device.
//!
//! ```console
//! $ cargo run -p nano-nats --example ranked_brokers -- 127.0.0.1:4222 127.0.0.1:4223
//! ```
//!
//! It answers requests to `example.time` with the seconds that it has been running. Stop the first
//! server, and it goes to the second with its subscription; start the first again, and it goes back
//! there when the second is lost.

use std::env;
use std::time::{Duration, Instant};

use embedded_io_adapters::tokio_1::FromTokio;
use nano_nats::{
    Client, ClientError, Credentials, Event, Filter, Identity, Introduction, Keepalive, Session,
    Subject,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an attempt to reach a server may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Waits between two rounds through the list: twice as long each time, and each of them anything
/// between half and all of it, so that a thousand devices do not come back at the same moment.
struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(60);

    const fn new() -> Self {
        Self { next: Self::FIRST }
    }

    fn wait(&mut self) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(Self::LONGEST);
        longest.mul_f64(rand::random_range(0.5..1.0))
    }
}

type DeviceSession = Session<1024, 1024, 4, 48>;
type Failure = ClientError<std::io::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers: Vec<String> = env::args().skip(1).collect();
    let inbox = format!("_INBOX.{:016x}", rand::random::<u64>());
    let mut session = DeviceSession::new(Subject::new(&inbox)?, Keepalive::default())?;
    session.subscribe(Filter::new("example.time")?, None)?;
    let started = Instant::now();
    let mut backoff = Backoff::new();
    loop {
        for server in &servers {
            let stream = match timeout(ATTEMPT, TcpStream::connect(server)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    println!("{server}: {error}");
                    continue;
                }
                Err(_) => {
                    println!("{server}: no answer");
                    continue;
                }
            };
            let (was_accepted, error) = serve(stream, &mut session, started).await;
            println!("{server}: {error}");
            if was_accepted {
                // The best one again, and soon.
                backoff = Backoff::new();
                break;
            }
        }
        let wait = backoff.wait();
        println!("again in {wait:?}");
        tokio::time::sleep(wait).await;
    }
}

/// Serves until the connection is lost. Whether the server had accepted the client, and why it
/// ended.
async fn serve(
    stream: TcpStream,
    session: &mut DeviceSession,
    started: Instant,
) -> (bool, Failure) {
    let introduction = Introduction {
        name: "ranked_brokers",
        echo: false,
        identity: Identity::Fixed(Credentials::None),
        transport_is_encrypted: false,
    };
    let mut input = [0; 512];
    let transport = FromTokio::new(stream);
    let connected = Client::connect(transport, session, &mut input, &introduction);
    let mut client = match timeout(ATTEMPT, connected).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return (false, error),
        Err(_) => return (false, ClientError::Closed),
    };
    println!(
        "connected to nats-server {}",
        client.session().info().version
    );
    loop {
        let now_ms = started.elapsed().as_millis() as u64;
        let deadline_ms = match client.keep_alive(now_ms).await {
            Ok(deadline_ms) => deadline_ms,
            Err(error) => return (true, error),
        };
        let wait = Duration::from_millis(deadline_ms.saturating_sub(now_ms));
        let is_asked = match timeout(wait, client.next()).await {
            Err(_) => continue,
            Ok(Err(error)) => return (true, error),
            Ok(Ok(event)) => matches!(event, Event::Message { .. }),
        };
        if is_asked {
            let seconds = started.elapsed().as_secs().to_string();
            match client.respond(&[], seconds.as_bytes()).await {
                Ok(()) => {}
                Err(error) if error.leaves_connection() => println!("not answered: {error}"),
                Err(error) => return (true, error),
            }
        }
    }
}
