//! A Raspberry Pi Pico W as a device: it measures its own temperature, over Wi-Fi.
//!
//! | module | holds |
//! |---|---|
//! | [`flash`] | where settings and the radio's files are |
//! | [`held`] | what survives a restart |
//! | [`radio`] | the network, and the LED, which hangs on the radio |
//! | [`random`] | random bytes |
//! | [`serial`] | the log, on the pin of UART 0 |
//! | [`temperature`] | the sensor |
//!
//! Without settings it blinks three times, again and again, and connects to nobody. Without the radio's
//! files there is no LED either, and only the log says what is missing.
#![no_std]
#![no_main]

mod flash;
mod held;
mod radio;
mod random;
mod serial;
mod temperature;

use core::net::{IpAddr, Ipv4Addr};

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_rp::watchdog::Watchdog;
use embassy_time::{Duration, Timer};
use fieldledger_attest::SensorId;
use fieldledger_device::actuator::Value;
use fieldledger_device::{Device, Kept, Offer};
use fieldledger_drive::setup::{self, Hardware, SetupError};
use fieldledger_drive::wire::{outgoing_bytes, subscriptions};
use fieldledger_drive::{Board, Traffic};
use fieldledger_record::{Radio, RecordError, Settings};
use static_cell::StaticCell;

use crate::held::HeldFlash;
use crate::radio::{Light, Pins};
use crate::temperature::Temperature;

/// It has one.
const SENSORS: usize = 1;

/// Readings that it keeps through an outage: at one in ten seconds, 85 minutes.
const RING: usize = 512;

/// The largest message: 64 readings of history fit.
const MESSAGE: usize = 8_192;

/// What TCP keeps of a connection in each direction.
const TCP_BYTES: usize = 2_048;

/// The watchdog bites after so long: the longest time that an RP2040 can count is 8.3 s.
const WATCHDOG: Duration = Duration::from_secs(8);

/// How often a board that can do nothing says why.
const COMPLAIN_EVERY: Duration = Duration::from_secs(5);

type PicoDevice = Device<Temperature, SENSORS, RING, MESSAGE>;

type BrokerTraffic = Traffic<{ outgoing_bytes(MESSAGE) }, { subscriptions(SENSORS) }>;

type Tcp = TcpClientState<2, TCP_BYTES, TCP_BYTES>;

#[embassy_executor::main]
async fn main(spawner: Spawner) -> ! {
    let board = embassy_rp::init(embassy_rp::config::Config::default());
    serial::start(board.UART0, board.PIN_0);
    let mut watchdog = Watchdog::new(board.WATCHDOG);
    watchdog.start(WATCHDOG);
    let files = match Radio::read(flash::radio()) {
        Ok(files) => files,
        Err(error) => give_up(watchdog, "radio's files", error).await,
    };
    watchdog.feed(WATCHDOG);
    let pins = Pins {
        power: board.PIN_23,
        select: board.PIN_25,
        data: board.PIN_24,
        clock: board.PIN_29,
        pio: board.PIO0,
        dma: board.DMA_CH0,
    };
    let settings = Settings::read(flash::settings());
    let wifi = settings.as_ref().ok().and_then(|settings| settings.wifi);
    let Some((stack, mac_addr)) = radio::start(spawner, files, pins, wifi).await else {
        give_up(watchdog, "tasks", RecordError::NoRoom).await
    };
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => give_up(watchdog, "settings", error).await,
    };
    let sensor = Temperature::new(board.ADC, board.ADC_TEMP_SENSOR);
    match device(&settings, mac_addr, sensor) {
        Ok(device) => {
            let held = held::open(board.FLASH);
            let board = PicoW {
                stack,
                watchdog,
                held,
            };
            serve(device, &settings, board).await
        }
        Err(error) => {
            log::error!("settings make no device: {error:?}");
            give_up(watchdog, "settings", RecordError::Content).await
        }
    }
}

/// Says again and again what is missing, until somebody writes it into the flash. Starting again would
/// help nobody, so the watchdog is fed.
async fn give_up(mut watchdog: Watchdog, what: &str, error: RecordError) -> ! {
    radio::show(Light::NoSettings);
    loop {
        log::error!("no {what}: {error}");
        watchdog.feed(WATCHDOG);
        Timer::after(COMPLAIN_EVERY).await;
    }
}

fn device(
    settings: &Settings<'_>,
    mac_addr: [u8; 6],
    sensor: Temperature,
) -> Result<&'static mut PicoDevice, SetupError> {
    // It is large: on the stack there is one of it at the start, and none later.
    static DEVICE: StaticCell<PicoDevice> = StaticCell::new();
    let boot = setup::boot_id(random::draw());
    let hardware = Hardware {
        boot: &boot,
        mac_addr,
    };
    let device = DEVICE.init(setup::device(settings, &hardware)?);
    let key = device.key();
    if let Some(profile) = setup::profile(settings, &key, 0, "Cel")? {
        device.add_sensor(profile, sensor)?;
    }
    log::info!("device starts: {key}, boot {boot}");
    Ok(device)
}

async fn serve(
    device: &'static mut PicoDevice,
    settings: &Settings<'static>,
    mut board: PicoW,
) -> ! {
    static TCP: StaticCell<Tcp> = StaticCell::new();
    static TRAFFIC: StaticCell<BrokerTraffic> = StaticCell::new();
    let stack = board.stack;
    let network = TcpClient::new(stack, TCP.init(Tcp::new()));
    let names = DnsSocket::new(stack);
    let id = setup::client_id(&device.key());
    let client = setup::client(settings, &id);
    let (network, traffic) = ((&network, &names), TRAFFIC.init_with(BrokerTraffic::new));
    fieldledger_drive::run(device, &mut board, network, traffic, &client).await
}

/// The board.
struct PicoW {
    stack: Stack<'static>,
    watchdog: Watchdog,
    held: HeldFlash,
}

impl Board for PicoW {
    fn ip_addr(&self) -> IpAddr {
        let config = self.stack.config_v4();
        let address = config.map_or(Ipv4Addr::UNSPECIFIED, |config| config.address.address());
        address.into()
    }

    /// It has no outputs.
    fn set(&mut self, _channel: &str, _value: Value) {}

    fn keep(&mut self, reading: &Kept<'_>) {
        held::report(self.held.keep(reading));
    }

    fn forget(&mut self, sensor: SensorId, boot: &str, through: u64) {
        held::report(self.held.forget(sensor, boot, through));
    }

    fn give_earlier(&mut self, take: &mut dyn FnMut(&Kept<'_>) -> Offer) {
        held::report(self.held.give_earlier(take));
    }

    fn keep_brokers(&mut self, list: &[u8]) {
        held::keep_brokers(&mut self.held, list);
    }

    fn give_brokers(&mut self, remember: &mut dyn FnMut(&[u8])) {
        held::give_brokers(&mut self.held, remember);
    }

    fn alive(&mut self) {
        self.watchdog.feed(WATCHDOG);
    }

    fn connected(&mut self, is_connected: bool) {
        radio::show(match is_connected {
            true => Light::Connected,
            false => Light::Searching,
        });
    }
}

/// Starts again: whatever was wrong, a device that is silent helps nobody.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    log::error!("{info}");
    cortex_m::peripheral::SCB::sys_reset();
}
