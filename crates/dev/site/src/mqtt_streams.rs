//! Bounds on what MQTT devices can have stored.
//!
//! nats-server keeps sessions, retained messages and messages with an acknowledgement in streams of its own
//! and without a bound, so a device that retains a message on ever new topics, or begins ever new sessions,
//! would fill the disk that results are stored on. The server uses these streams as it finds them, so they
//! are made before it needs them, as it makes them, with a bound: beyond that the oldest goes. What
//! Fieldledger needs of MQTT is not in them.

use async_nats::Client;
use async_nats::jetstream::{self, stream};

/// Of each stream, in bytes: sessions take about 300 each.
const STORED_MAX: i64 = 16 << 20;

/// Bounds the streams of the client's account.
pub(crate) async fn bound(client: Client) -> Result<(), async_nats::Error> {
    let context = jetstream::new(client);
    for wanted in streams() {
        let stream = context.get_or_create_stream(wanted.clone()).await?;
        let mut config = stream.cached_info().config.clone();
        // Made by an earlier start without a bound, or by the server because a device was faster.
        if config.max_bytes != wanted.max_bytes {
            config.max_bytes = wanted.max_bytes;
            context.update_stream(config).await?;
        }
    }
    Ok(())
}

fn streams() -> [stream::Config; 5] {
    let one = |name: &str, subjects: &str| stream::Config {
        name: format!("$MQTT_{name}"),
        subjects: vec![format!("$MQTT.{subjects}.>")],
        storage: stream::StorageType::File,
        max_bytes: STORED_MAX,
        ..stream::Config::default()
    };
    let interest = |config| stream::Config {
        retention: stream::RetentionPolicy::Interest,
        ..config
    };
    let newest = |config| stream::Config {
        max_messages_per_subject: 1,
        ..config
    };
    [
        newest(one("sess", "sess")),
        newest(one("rmsgs", "rmsgs")),
        interest(one("msgs", "msgs")),
        interest(one("out", "out")),
        stream::Config {
            discard: stream::DiscardPolicy::New,
            discard_new_per_subject: true,
            ..newest(one("qos2in", "qos2.in"))
        },
    ]
}
