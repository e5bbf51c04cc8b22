//! A device on a microcontroller that QEMU emulates: Arm's MPS2 with a Cortex-M3 (`mps2-an385`), its
//! Ethernet controller, and nothing of an operating system. It is compiled for the Cortex-M0+, and has
//! the memory of an RP2040.
//!
//! | module | holds |
//! |---|---|
//! | [`clock`] | the time, from SysTick |
//! | [`ethernet`] | the LAN9118, as a driver of embassy-net |
//! | [`host`] | what the emulator's machine gives: a log, random bytes, an end |
//! | [`sensor`] | what it measures, which is nothing |
//!
//! Its settings are a record of `firmware/record` that QEMU loads at [`SETTINGS`]. Without one it ends
//! with [`host::Exit::Settings`].
#![no_std]
#![no_main]

mod clock;
mod ethernet;
mod host;
mod sensor;

use core::net::{IpAddr, Ipv4Addr};
use core::ptr;

use cortex_m::Peripherals;
use cortex_m_rt::{entry, exception};
use embassy_executor::raw::Executor;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_net::{Config, DhcpConfig, Runner, Stack, StackResources};
use fieldledger_device::Device;
use fieldledger_device::actuator::{Channel, Value};
use fieldledger_drive::setup::{self, Hardware};
use fieldledger_drive::wire::{outgoing_bytes, subscriptions};
use fieldledger_drive::{Board, Traffic};
use fieldledger_record::Settings;
use fieldledger_record::settings::SETTINGS_BYTES;
use heapless::String;
use portable_atomic::{AtomicBool, Ordering};
use static_cell::StaticCell;

use crate::ethernet::{Ethernet, Lan9118};
use crate::host::Exit;
use crate::sensor::Wave;

/// Where QEMU puts the settings: the beginning of the board's PSRAM.
const SETTINGS: *const [u8; SETTINGS_BYTES] = ptr::with_exposed_provenance(0x2100_0000);

/// Most sensors.
const SENSORS: usize = 2;

/// Readings that each of them keeps through an outage.
const RING: usize = 256;

/// The largest message: 64 readings of history fit.
const MESSAGE: usize = 8_192;

/// For DHCP, DNS and two connections: the last one may be closing still.
const SOCKETS: usize = 4;

/// What TCP keeps of a connection in each direction.
const TCP_BYTES: usize = 2_048;

type EmulatedDevice = Device<Wave, SENSORS, RING, MESSAGE>;

type BrokerTraffic = Traffic<{ outgoing_bytes(MESSAGE) }, { subscriptions(SENSORS) }>;

type Tcp = TcpClientState<2, TCP_BYTES, TCP_BYTES>;

/// Whether a task is to be polled.
static IS_PENDING: AtomicBool = AtomicBool::new(false);

#[unsafe(export_name = "__pender")]
fn pend(_context: *mut ()) {
    IS_PENDING.store(true, Ordering::Release);
}

#[entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    host::start_log();
    let Some(mut core) = Peripherals::take() else {
        host::exit(Exit::Hardware);
    };
    clock::start(&mut core.SYST);
    let executor = EXECUTOR.init(Executor::new(ptr::null_mut()));
    start(executor.spawner());
    loop {
        // SAFETY: it is polled here only, and not from within itself.
        unsafe { executor.poll() };
        // With interrupts held back none can come between the question and the sleep; one that is
        // pending ends the sleep all the same.
        cortex_m::interrupt::free(|_| {
            if !IS_PENDING.load(Ordering::Acquire) {
                cortex_m::asm::wfi();
            }
            IS_PENDING.store(false, Ordering::Release);
        });
    }
}

/// Starts network and device, as the settings say.
fn start(spawner: embassy_executor::Spawner) {
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let settings = settings();
    let (Some(boot), Some(seed)) = (host::random(), host::random()) else {
        log::error!("the host gives no random bytes");
        host::exit(Exit::Hardware);
    };
    let Some(ethernet) = Lan9118::start() else {
        log::error!("there is no LAN9118");
        host::exit(Exit::Hardware);
    };
    let device = match device(settings, u128::from_ne_bytes(boot), ethernet.mac_addr()) {
        Ok(device) => device,
        Err(error) => {
            log::error!("settings make no device: {error:?}");
            host::exit(Exit::Settings);
        }
    };
    let config = Config::dhcpv4(DhcpConfig::default());
    let resources = RESOURCES.init(StackResources::new());
    let seed = u128::from_ne_bytes(seed) as u64;
    let (stack, runner) = embassy_net::new(Ethernet(ethernet), config, resources, seed);
    // A task can be started once, which these are.
    match (serve_network(runner), serve_device(device, settings, stack)) {
        (Ok(network), Ok(device)) => {
            spawner.spawn(network);
            spawner.spawn(device);
        }
        _ => host::exit(Exit::Hardware),
    }
}

/// The settings that QEMU put into memory. Without any the emulator ends.
fn settings() -> &'static Settings<'static> {
    static READ: StaticCell<Settings<'static>> = StaticCell::new();
    // SAFETY: the board has memory there, which nobody writes to after the start.
    let place: &'static [u8; SETTINGS_BYTES] = unsafe { &*SETTINGS };
    match Settings::read(place) {
        Ok(settings) => READ.init(settings),
        Err(error) => {
            log::error!("no settings: {error}");
            host::exit(Exit::Settings);
        }
    }
}

fn device(
    settings: &Settings<'_>,
    boot: u128,
    mac_addr: [u8; 6],
) -> Result<&'static mut EmulatedDevice, setup::SetupError> {
    // It is large: on the stack there is one of it at the start, and none later.
    static DEVICE: StaticCell<EmulatedDevice> = StaticCell::new();
    let boot = setup::boot_id(boot);
    let hardware = Hardware {
        boot: &boot,
        mac_addr,
    };
    let device = DEVICE.init(setup::device(settings, &hardware)?);
    let key = device.key();
    for number in 0..SENSORS as u32 {
        if let Some(profile) = setup::profile(settings, &key, number, "Cel")? {
            device.add_sensor(profile, Wave::new(number))?;
        }
    }
    if let Ok(name) = String::try_from("lamp") {
        device.add_actuator(Channel {
            name,
            neutral: Value::Switch(false),
            levels: (0, 0),
        })?;
    }
    log::info!("device starts: {key}, boot {boot}");
    Ok(device)
}

#[embassy_executor::task]
async fn serve_network(mut runner: Runner<'static, Ethernet>) {
    runner.run().await;
}

#[embassy_executor::task]
async fn serve_device(
    device: &'static mut EmulatedDevice,
    settings: &'static Settings<'static>,
    stack: Stack<'static>,
) {
    static TCP: StaticCell<Tcp> = StaticCell::new();
    static TRAFFIC: StaticCell<BrokerTraffic> = StaticCell::new();
    let network = TcpClient::new(stack, TCP.init(Tcp::new()));
    let names = DnsSocket::new(stack);
    let id = setup::client_id(&device.key());
    let client = setup::client(settings, &id);
    let mut board = Mps2 { stack };
    let (network, traffic) = ((&network, &names), TRAFFIC.init_with(BrokerTraffic::new));
    fieldledger_drive::run(device, &mut board, network, traffic, &client).await
}

/// The board.
struct Mps2 {
    stack: Stack<'static>,
}

impl Board for Mps2 {
    fn ip_addr(&self) -> IpAddr {
        let config = self.stack.config_v4();
        config
            .map_or(Ipv4Addr::UNSPECIFIED, |config| config.address.address())
            .into()
    }

    fn set(&mut self, channel: &str, value: Value) {
        log::info!("output {channel} is {value:?}");
    }

    /// The emulator's host sees for itself whether it goes on.
    fn alive(&mut self) {}

    fn connected(&mut self, _is_connected: bool) {}
}

#[exception]
fn SysTick() {
    clock::tick();
}

/// Interrupts of the board.
#[exception]
unsafe fn DefaultHandler(number: i16) {
    match number {
        ethernet::INTERRUPT => ethernet::interrupt(),
        _ => host::exit(Exit::Hardware),
    }
}

#[exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    log::error!("fault at {:#010x}", frame.pc());
    host::exit(Exit::Panic);
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    log::error!("{info}");
    host::exit(Exit::Panic);
}
