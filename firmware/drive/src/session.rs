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
use crate::mqtt::{Client, Incoming, NoRoom, Outgoing, Packet, ProtocolError};

/// How long a name, a connection or the broker's welcome may take, each.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// How long a message may take to leave. A connection that is slower is as good as lost.
const SEND_PATIENCE: Duration = Duration::from_secs(10);

/// What the broker is told: after one and a half times this in silence it gives the device up.
const KEEP_ALIVE_SECONDS: u16 = 10;

/// After so long without a packet in one direction the broker is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(5);

/// After so long without a packet from it the broker is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);

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
    #[error("broker refused the device with code {0}")]
    Refused(u8),
    #[error("broker said something else before it took the device")]
    NoWelcome,
    #[error("broker took the device twice")]
    SecondWelcome,
    #[error("broker refused a subscription")]
    NotGranted,
    #[error("broker fell silent")]
    Silent,
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
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

/// What is on its way over a connection.
pub(crate) struct Traffic<'b> {
    pub(crate) outgoing: Outgoing<'b>,
    pub(crate) incoming: Incoming<'b>,
}

/// Connects to the broker at `address`, and serves it until it is lost or left.
pub(crate) async fn serve<
    S: Sensor,
    B: Board,
    const SENSORS: usize,
    const RING: usize,
    const MESSAGE: usize,
>(
    host: &mut Host<'_, S, B, SENSORS, RING, MESSAGE>,
    traffic: &mut Traffic<'_>,
    network: &impl TcpConnect,
    names: &impl Dns,
    client: Client<'_>,
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
    traffic.outgoing.clear();
    traffic.incoming.clear();
    let now = Instant::now();
    let mut session = Session {
        host,
        connection,
        traffic,
        subscriptions: 0,
        sent_at: now,
        heard_at: now,
    };
    session
        .traffic
        .outgoing
        .connect(client, KEEP_ALIVE_SECONDS)?;
    session.flush().await?;
    session.welcome().await?;
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
async fn read(connection: &mut impl Read, incoming: &mut Incoming<'_>) -> Result<(), SessionError> {
    let arrived = connection.read(incoming.room()).await;
    match arrived.map_err(|error| failed(SessionError::Broken, &error))? {
        0 => Err(SessionError::Closed),
        bytes => {
            incoming.arrived(bytes);
            Ok(())
        }
    }
}

struct Session<'s, 'h, 'b, C, S, B, const SENSORS: usize, const RING: usize, const MESSAGE: usize> {
    host: &'s mut Host<'h, S, B, SENSORS, RING, MESSAGE>,
    connection: C,
    traffic: &'s mut Traffic<'b>,
    /// How many there were; the number of the last one.
    subscriptions: u16,
    sent_at: Instant,
    heard_at: Instant,
}

impl<C, S, B, const SENSORS: usize, const RING: usize, const MESSAGE: usize>
    Session<'_, '_, '_, C, S, B, SENSORS, RING, MESSAGE>
where
    C: Read + Write,
    S: Sensor,
    B: Board,
{
    /// Waits until the broker has said whether it takes the device.
    async fn welcome(&mut self) -> Result<(), SessionError> {
        let (connection, incoming) = (&mut self.connection, &mut self.traffic.incoming);
        let welcome = async {
            loop {
                match incoming.packet()? {
                    Some(Packet::Connected { code: 0 }) => return Ok(()),
                    Some(Packet::Connected { code }) => return Err(SessionError::Refused(code)),
                    // That packet is a broker's first one (section 3.2).
                    Some(_) => return Err(SessionError::NoWelcome),
                    None => read(connection, incoming).await?,
                }
            }
        };
        let welcomed = self.host.meanwhile("a welcome", CONNECT_PATIENCE, welcome);
        welcomed.await??;
        let Host { device, board } = &mut *self.host;
        device.set_ip_addr(board.ip_addr());
        device.connected(now(*board));
        board.connected(true);
        self.heard_at = Instant::now();
        let (waiting, lost) = device.waiting_and_lost();
        log::info!("connected; {waiting} readings wait, {lost} are lost");
        Ok(())
    }

    /// Sends what waits.
    async fn flush(&mut self) -> Result<(), SessionError> {
        let connection = &mut self.connection;
        let bytes = self.traffic.outgoing.bytes();
        let sending = async {
            connection.write_all(bytes).await?;
            connection.flush().await
        };
        let sent = self
            .host
            .meanwhile("a message to leave", SEND_PATIENCE, sending)
            .await?;
        sent.map_err(|error| failed(SessionError::Broken, &error))?;
        self.traffic.outgoing.clear();
        self.sent_at = Instant::now();
        Ok(())
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
            self.ask_whether_it_lives().await?;
            let wake = self.host.wake_at();
            let arriving = read(&mut self.connection, &mut self.traffic.incoming);
            if let Either::First(arrived) = select(arriving, Timer::at(wake)).await {
                arrived?;
                self.heard_at = Instant::now();
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
                    let to = address.try_into().map_err(|_long| NoRoom)?;
                    self.traffic.outgoing.disconnect()?;
                    // It is left whether or not it hears of it.
                    let _ = self.flush().await;
                    return Ok(Some(Leave { to }));
                }
                Action::Subscribe { topic } => {
                    // Never zero (section 2.3.1).
                    self.subscriptions = self.subscriptions.checked_add(1).unwrap_or(1);
                    self.traffic.outgoing.subscribe(self.subscriptions, topic)?;
                }
                Action::Publish { topic, payload } => {
                    log::trace!("{} bytes to {topic}", payload.len());
                    self.traffic.outgoing.publish(topic, payload)?;
                }
            }
            self.flush().await?;
        }
        Ok(None)
    }

    /// Takes one packet; true where there was one.
    fn hear(&mut self) -> Result<bool, SessionError> {
        match self.traffic.incoming.packet()? {
            None => return Ok(false),
            Some(Packet::Message { topic, payload }) => {
                let now = self.host.now();
                if let Err(error) = self.host.device.message(now, topic, None, payload) {
                    log::warn!("message on {topic} is not obeyed: {error}");
                }
            }
            Some(Packet::Subscribed { is_granted: false }) => return Err(SessionError::NotGranted),
            Some(Packet::TooLong { bytes }) => log::warn!("message of {bytes} bytes is skipped"),
            Some(Packet::Connected { .. }) => return Err(SessionError::SecondWelcome),
            Some(Packet::Subscribed { is_granted: true } | Packet::Pong) => {}
        }
        Ok(true)
    }

    async fn ask_whether_it_lives(&mut self) -> Result<(), SessionError> {
        let now = Instant::now();
        if now.saturating_duration_since(self.heard_at) >= SILENCE_LIMIT {
            return Err(SessionError::Silent);
        }
        let quiet = self.heard_at.min(self.sent_at);
        if now.saturating_duration_since(quiet) >= PING_AFTER {
            self.traffic.outgoing.ping()?;
            self.flush().await?;
        }
        Ok(())
    }
}
