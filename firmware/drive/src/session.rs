//! One connection to one broker.

use core::fmt::Debug;
use core::net::{IpAddr, SocketAddr};
use core::pin::pin;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use fieldledger_device::brokers;
use fieldledger_device::sensor::Sensor;
use fieldledger_device::{Action, Device, Now};
use thiserror::Error;

use crate::address::{Address, AddressError};
use crate::board::Board;
use crate::client::Client;
use crate::wire::{Heard, Traffic, Wire, WireError};

/// How long a name, a connection or the broker's welcome may take, each.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// How long a message may take to leave. A connection that is slower is as good as lost.
const SEND_PATIENCE: Duration = Duration::from_secs(10);

/// The longest wait for anything before the loop comes round.
pub(crate) const BREATH: Duration = Duration::from_secs(1);

/// How late an output may be set while something else is waited for.
const OUTPUT_DELAY: Duration = Duration::from_millis(100);

/// Why there is no connection any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("name of the broker cannot be resolved")]
    Name,
    #[error("broker cannot be connected to")]
    Connect,
    #[error("waited in vain for {0}")]
    Timeout(&'static str),
    #[error("broker closed the connection")]
    Closed,
    #[error("connection broke")]
    Broken,
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("address of the next broker is longer than any")]
    Leave,
}

/// How a connection ends that is not lost: the device wants another broker.
pub(crate) struct Leave {
    pub(crate) to: brokers::Address,
}

fn now(board: &impl Board) -> Now {
    Now {
        up: Instant::now().as_micros(),
        utc: board.utc(),
    }
}

/// Does what needs no connection.
pub(crate) fn obey(board: &mut impl Board, action: &Action<'_>) {
    match *action {
        Action::Set { channel, value } => board.set(channel, value),
        Action::Keep(ref reading) => board.keep(reading),
        Action::Forget {
            sensor,
            boot,
            through,
        } => board.forget(sensor, boot, through),
        Action::KeepBrokers(list) => board.keep_brokers(list),
        Action::Connect { .. } | Action::Subscribe { .. } | Action::Publish { .. } => {}
    }
}

/// The device on its board.
pub(crate) struct Host<'a, S, B, const SENSORS: usize, const RING: usize, const MESSAGE: usize> {
    pub(crate) device: &'a mut Device<S, SENSORS, RING, MESSAGE>,
    pub(crate) board: &'a mut B,
}

impl<S: Sensor, B: Board, const SENSORS: usize, const RING: usize, const MESSAGE: usize>
    Host<'_, S, B, SENSORS, RING, MESSAGE>
{
    pub(crate) fn now(&self) -> Now {
        now(self.board)
    }

    /// When the loop must come round again.
    pub(crate) fn wake_at(&self) -> Instant {
        let wake = Instant::from_micros(self.device.wake_at());
        wake.min(Instant::now() + BREATH)
    }

    /// Lets the device have what earlier boots left, as far as it has room.
    fn give_earlier(&mut self) {
        let Host { device, board } = self;
        if device.wants_earlier() {
            board.give_earlier(&mut |kept| device.take_earlier(kept));
        }
    }

    /// Waits for `future`, and serves sensors and outputs meanwhile.
    async fn meanwhile<T>(
        &mut self,
        what: &'static str,
        patience: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, SessionError> {
        let mut future = pin!(future);
        let deadline = Instant::now() + patience;
        loop {
            self.board.alive();
            while let Some(action) = self.device.next_alone(self.now()) {
                obey(self.board, &action);
            }
            let wake = deadline.min(Instant::now() + OUTPUT_DELAY);
            match select(&mut future, Timer::at(wake)).await {
                Either::First(done) => return Ok(done),
                Either::Second(()) if Instant::now() >= deadline => {
                    return Err(SessionError::Timeout(what));
                }
                Either::Second(()) => {}
            }
        }
    }
}

/// Connects to the broker at `address`, and serves it until it is lost or left.
pub(crate) async fn serve<
    S: Sensor,
    B: Board,
    const SENSORS: usize,
    const RING: usize,
    const MESSAGE: usize,
    const OUT: usize,
    const SUBSCRIPTIONS: usize,
>(
    host: &mut Host<'_, S, B, SENSORS, RING, MESSAGE>,
    traffic: &mut Traffic<OUT, SUBSCRIPTIONS>,
    (network, names): (&impl TcpConnect, &impl Dns),
    client: &Client<'_>,
    address: &str,
) -> Result<Leave, SessionError> {
    let address = Address::parse(address)?;
    let ip = match address.host.parse() {
        Ok(ip) => ip,
        Err(_name) => {
            let asked = names.get_host_by_name(address.host, AddrType::IPv4);
            let answered = host.meanwhile("a name", CONNECT_PATIENCE, asked).await?;
            answered.map_err(|error| failed(SessionError::Name, &error))?
        }
    };
    let remote = SocketAddr::new(IpAddr::V4(ip_v4(ip)?), address.port);
    let connecting = network.connect(remote);
    let connection = host
        .meanwhile("a connection", CONNECT_PATIENCE, connecting)
        .await?;
    let connection = connection.map_err(|error| failed(SessionError::Connect, &error))?;
    let mut session = Session {
        host,
        connection,
        wire: traffic.begin(address.protocol),
    };
    session.welcome(client).await?;
    session.converse().await
}

fn ip_v4(ip: IpAddr) -> Result<core::net::Ipv4Addr, SessionError> {
    match ip {
        IpAddr::V4(ip) => Ok(ip),
        IpAddr::V6(_) => Err(SessionError::Name),
    }
}

/// What the network says goes to the log, since only people can read it.
fn failed(error: SessionError, reason: &impl Debug) -> SessionError {
    log::debug!("{error}: {reason:?}");
    error
}

/// Waits for bytes; nothing is lost where it is given up.
async fn read(connection: &mut impl Read, wire: &mut dyn Wire) -> Result<(), SessionError> {
    let arrived = connection.read(wire.room()).await;
    match arrived.map_err(|error| failed(SessionError::Broken, &error))? {
        0 => Err(SessionError::Closed),
        bytes => {
            wire.arrived(bytes, Instant::now());
            Ok(())
        }
    }
}

/// Sends all that is to leave. Where it is given up, the connection has to be.
async fn write(connection: &mut impl Write, wire: &mut dyn Wire) -> Result<(), SessionError> {
    loop {
        let bytes = wire.output();
        if bytes.is_empty() {
            break;
        }
        let sent = bytes.len();
        let written = connection.write_all(bytes).await;
        written.map_err(|error| failed(SessionError::Broken, &error))?;
        wire.sent(sent, Instant::now());
    }
    let flushed = connection.flush().await;
    flushed.map_err(|error| failed(SessionError::Broken, &error))
}

struct Session<'s, 'h, C, S, B, const SENSORS: usize, const RING: usize, const MESSAGE: usize> {
    host: &'s mut Host<'h, S, B, SENSORS, RING, MESSAGE>,
    connection: C,
    wire: &'s mut dyn Wire,
}

impl<C, S, B, const SENSORS: usize, const RING: usize, const MESSAGE: usize>
    Session<'_, '_, C, S, B, SENSORS, RING, MESSAGE>
where
    C: Read + Write,
    S: Sensor,
    B: Board,
{
    /// Introduces the device, and waits until the broker has said whether it takes it.
    async fn welcome(&mut self, client: &Client<'_>) -> Result<(), SessionError> {
        let (connection, wire) = (&mut self.connection, &mut *self.wire);
        let welcome = async {
            loop {
                wire.introduce(client)?;
                write(connection, wire).await?;
                match wire.hear()? {
                    Some(Heard::Welcome) => return Ok(()),
                    Some(_) => {}
                    None => read(connection, wire).await?,
                }
            }
        };
        let welcomed: Result<(), SessionError> = self
            .host
            .meanwhile("a welcome", CONNECT_PATIENCE, welcome)
            .await?;
        welcomed?;
        let Host { device, board } = &mut *self.host;
        device.set_ip_addr(board.ip_addr());
        device.connected(now(*board));
        board.connected(true);
        let (held, lost) = device.waiting_and_lost();
        log::info!("connected; {held} readings are held, {lost} are lost");
        Ok(())
    }

    /// Sends what is to leave.
    async fn flush(&mut self) -> Result<(), SessionError> {
        let sending = write(&mut self.connection, self.wire);
        self.host
            .meanwhile("a message to leave", SEND_PATIENCE, sending)
            .await?
    }

    async fn converse(&mut self) -> Result<Leave, SessionError> {
        loop {
            self.host.board.alive();
            if let Some(leave) = self.speak().await? {
                return Ok(leave);
            }
            self.host.give_earlier();
            if self.hear()? {
                continue;
            }
            self.wire.keep_alive(Instant::now())?;
            if !self.wire.output().is_empty() {
                self.flush().await?;
            }
            let wake = self.host.wake_at();
            let arriving = read(&mut self.connection, self.wire);
            if let Either::First(arrived) = select(arriving, Timer::at(wake)).await {
                arrived?;
            }
        }
    }

    /// Does what the device says, until it says nothing or leaves.
    async fn speak(&mut self) -> Result<Option<Leave>, SessionError> {
        while let Some(action) = self.host.device.next(now(self.host.board)) {
            match action {
                Action::Set { .. }
                | Action::Keep(_)
                | Action::Forget { .. }
                | Action::KeepBrokers(_) => {
                    obey(self.host.board, &action);
                    continue;
                }
                Action::Connect { address } => {
                    let to = address.try_into().map_err(|_long| SessionError::Leave)?;
                    self.wire.leave()?;
                    // It is left whether or not it hears of it.
                    let _ = self.flush().await;
                    return Ok(Some(Leave { to }));
                }
                Action::Subscribe { topic } => self.wire.subscribe(topic)?,
                Action::Publish { topic, payload } => {
                    log::trace!("{} bytes to {topic}", payload.len());
                    self.wire.publish(topic, payload)?;
                }
            }
            self.flush().await?;
        }
        Ok(None)
    }

    /// Hears one thing; true where there was one.
    fn hear(&mut self) -> Result<bool, SessionError> {
        match self.wire.hear()? {
            None => return Ok(false),
            Some(Heard::Message {
                topic,
                reply,
                payload,
            }) => {
                let now = self.host.now();
                if let Err(error) = self.host.device.message(now, topic, reply, payload) {
                    log::warn!("message on {topic} is not obeyed: {error}");
                }
            }
            Some(Heard::TooLong { bytes }) => log::warn!("message of {bytes} bytes is skipped"),
            Some(Heard::Welcome | Heard::Other) => {}
        }
        Ok(true)
    }
}
