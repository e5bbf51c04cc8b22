//! The loop.

use embassy_time::Timer;
use embedded_nal_async::{Dns, TcpConnect};
use fieldledger_device::sensor::Sensor;
use fieldledger_device::{Action, Device, brokers};

use crate::board::Board;
use crate::client::Client;
use crate::session::{Host, obey, serve};
use crate::wire::Traffic;

/// Serves the device forever. `client` is who it is to brokers, `traffic` the memory of its connections.
pub async fn run<
    S,
    B,
    const SENSORS: usize,
    const RING: usize,
    const MESSAGE: usize,
    const OUT: usize,
    const SUBSCRIPTIONS: usize,
>(
    device: &mut Device<S, SENSORS, RING, MESSAGE>,
    board: &mut B,
    (network, names): (&impl TcpConnect, &impl Dns),
    traffic: &mut Traffic<OUT, SUBSCRIPTIONS>,
    client: &Client<'_>,
) -> !
where
    S: Sensor,
    B: Board,
{
    board.give_brokers(&mut |list| {
        device.remember_brokers(list);
    });
    let mut host = Host { device, board };
    let mut wanted: Option<brokers::Address> = None;
    loop {
        let address = match wanted.take() {
            Some(address) => address,
            None => until_due(&mut host).await,
        };
        log::info!("connecting to {address}");
        let served = serve(&mut host, traffic, (network, names), client, &address);
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
