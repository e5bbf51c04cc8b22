//! The loop.

use embassy_time::Timer;
use embedded_nal_async::{Dns, TcpConnect};
use fieldledger_device::incoming::MAX_INCOMING_BYTES;
use fieldledger_device::sensor::Sensor;
use fieldledger_device::topics::MAX_TOPIC_BYTES;
use fieldledger_device::{Action, Device, brokers};

use crate::board::Board;
use crate::mqtt::{Client, Incoming, MESSAGE_OVERHEAD_BYTES, Outgoing};
use crate::session::{Host, Traffic, obey, serve};

/// What a message takes beside its payload.
const AROUND_BYTES: usize = MESSAGE_OVERHEAD_BYTES + MAX_TOPIC_BYTES;

/// The room that a device with messages of `message` bytes needs for one that leaves.
#[must_use]
pub const fn outgoing_bytes(message: usize) -> usize {
    message + AROUND_BYTES
}

/// The room for whatever a device looks at; what is longer is skipped.
pub const INCOMING_BYTES: usize = MAX_INCOMING_BYTES + AROUND_BYTES;

/// The memory that the loop works in.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// For what leaves: [`outgoing_bytes`], or messages that are longer are not sent.
    pub outgoing: &'b mut [u8],
    /// For what arrives: [`INCOMING_BYTES`].
    pub incoming: &'b mut [u8],
}

/// Serves the device for ever. `client` is what brokers know it by.
pub async fn run<S, B, const SENSORS: usize, const RING: usize, const MESSAGE: usize>(
    device: &mut Device<S, SENSORS, RING, MESSAGE>,
    board: &mut B,
    (network, names): (&impl TcpConnect, &impl Dns),
    buffers: Buffers<'_>,
    client: Client<'_>,
) -> !
where
    S: Sensor,
    B: Board,
{
    board.give_brokers(&mut |list| {
        device.remember_brokers(list);
    });
    let mut host = Host { device, board };
    let mut traffic = Traffic {
        outgoing: Outgoing::new(buffers.outgoing),
        incoming: Incoming::new(buffers.incoming),
    };
    let mut wanted: Option<brokers::Address> = None;
    loop {
        let address = match wanted.take() {
            Some(address) => address,
            None => until_due(&mut host).await,
        };
        log::info!("connecting to {address}");
        let served = serve(&mut host, &mut traffic, network, names, client, &address);
        match served.await {
            Ok(leave) => wanted = Some(leave.to),
            Err(error) => {
                log::warn!("no connection to {address}: {error}");
                host.device.disconnected(host.now());
            }
        }
        host.board.connected(false);
    }
}

/// Serves sensors and outputs until the device wants a broker.
async fn until_due<
    S: Sensor,
    B: Board,
    const SENSORS: usize,
    const RING: usize,
    const MESSAGE: usize,
>(
    host: &mut Host<'_, S, B, SENSORS, RING, MESSAGE>,
) -> brokers::Address {
    loop {
        host.board.alive();
        let now = host.now();
        match host.device.next(now) {
            Some(Action::Connect { address }) => {
                if let Ok(address) = address.try_into() {
                    return address;
                }
            }
            // Of the others nothing is said without a connection.
            Some(action) => obey(host.board, &action),
            None => Timer::at(host.wake_at()).await,
        }
    }
}
