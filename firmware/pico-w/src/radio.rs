//! The CYW43439: the network, and the LED, which hangs on one of its pins.

use aligned::{A4, Aligned};
use cyw43::{Control, JoinOptions, NetDriver, PowerManagementMode, SpiBus, State};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Runner, Stack, StackResources};
use embassy_rp::gpio::{Level, Output};
use embassy_rp::peripherals::{DMA_CH0, PIN_23, PIN_24, PIN_25, PIN_29, PIO0};
use embassy_rp::pio::{self, Pio};
use embassy_rp::{Peri, bind_interrupts, dma};
use embassy_time::{Duration, Timer, with_timeout};
use fieldledger_record::Radio;
use fieldledger_record::settings::Wifi;
use portable_atomic::{AtomicU8, Ordering};
use static_cell::StaticCell;

use crate::random;

/// For DHCP, DNS and two connections: the last one may be closing still.
const SOCKETS: usize = 4;

/// The radio's pin with the LED.
const LED: u8 = 0;

/// How long joining a network may take, or anything else that the radio is told.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(5);

bind_interrupts!(struct Interrupts {
    PIO0_IRQ_0 => pio::InterruptHandler<PIO0>;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>;
});

/// What the LED says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Light {
    /// A short flash every second.
    Searching,
    /// On, with a short gap every second.
    Connected,
    /// Three flashes, and a pause.
    NoSettings,
}

static LIGHT: AtomicU8 = AtomicU8::new(Light::Searching as u8);

/// Has the LED say something from the next second on.
pub(crate) fn show(light: Light) {
    LIGHT.store(light as u8, Ordering::Relaxed);
}

impl Light {
    /// On and off in turn, in milliseconds, beginning with on.
    fn pattern(self) -> &'static [u64] {
        match self {
            Self::Searching => &[100, 900],
            Self::Connected => &[950, 50],
            Self::NoSettings => &[150, 150, 150, 150, 150, 1_250],
        }
    }

    fn shown() -> Self {
        let lights = [Self::Searching, Self::Connected, Self::NoSettings];
        let shown = LIGHT.load(Ordering::Relaxed);
        let found = lights.into_iter().find(|light| *light as u8 == shown);
        found.unwrap_or(Self::Searching)
    }
}

/// How the radio is wired to the processor.
pub(crate) struct Pins {
    pub(crate) power: Peri<'static, PIN_23>,
    pub(crate) select: Peri<'static, PIN_25>,
    pub(crate) data: Peri<'static, PIN_24>,
    pub(crate) clock: Peri<'static, PIN_29>,
    pub(crate) pio: Peri<'static, PIO0>,
    pub(crate) dma: Peri<'static, DMA_CH0>,
}

type Bus = SpiBus<Output<'static>, PioSpi<'static, PIO0, 0>>;

type Driver = NetDriver<'static>;

/// Starts the radio with its files, and joins the network whenever it is not joined; the network, and the
/// radio's MAC address. `None` where this was done before. A radio that does not answer makes it wait
/// for the watchdog.
pub(crate) async fn start(
    spawner: Spawner,
    files: Radio<'static>,
    pins: Pins,
    wifi: Option<Wifi<'static>>,
) -> Option<(Stack<'static>, [u8; 6])> {
    static STATE: StaticCell<State> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let power = Output::new(pins.power, Level::Low);
    let select = Output::new(pins.select, Level::High);
    let mut pio = Pio::new(pins.pio, Interrupts);
    let bus = PioSpi::new(
        &mut pio.common,
        pio.sm0,
        DEFAULT_CLOCK_DIVIDER,
        pio.irq0,
        select,
        pins.data,
        pins.clock,
        dma::Channel::new(pins.dma, Interrupts),
    );
    let state = STATE.try_init(State::new())?;
    let (firmware, nvram) = (words(files.firmware)?, words(files.nvram)?);
    let (driver, mut control, radio) = cyw43::new(state, power, bus, firmware, nvram).await;
    spawner.spawn(serve_radio(radio).ok()?);
    control.init(files.clm).await;
    let quiet = PowerManagementMode::PowerSave;
    control.set_power_management(quiet).await;
    let mac_addr = control.address().await;
    let config = Config::dhcpv4(DhcpConfig::default());
    let resources = RESOURCES.init(StackResources::new());
    let seed = random::draw() as u64;
    let (stack, network) = embassy_net::new(driver, config, resources, seed);
    spawner.spawn(serve_network(network).ok()?);
    spawner.spawn(serve_people(control, stack, wifi).ok()?);
    Some((stack, mac_addr))
}

/// A file that begins at a word, as all do in a record that does.
fn words(file: &[u8]) -> Option<&Aligned<A4, [u8]>> {
    if !file.as_ptr().addr().is_multiple_of(align_of::<A4>()) {
        return None;
    }
    let file: *const [u8] = file;
    // SAFETY: `Aligned` is its second field behind one of no size, with the alignment that was checked,
    // and the length is the same.
    Some(unsafe { &*(file as *const Aligned<A4, [u8]>) })
}

#[embassy_executor::task]
async fn serve_radio(radio: cyw43::Runner<'static, Bus>) -> ! {
    radio.run().await
}

#[embassy_executor::task]
async fn serve_network(mut network: Runner<'static, Driver>) -> ! {
    network.run().await
}

/// Joins the network again and again, and blinks.
#[embassy_executor::task]
async fn serve_people(
    mut control: Control<'static>,
    stack: Stack<'static>,
    wifi: Option<Wifi<'static>>,
) -> ! {
    if wifi.is_none() {
        log::error!("settings name no Wi-Fi");
    }
    loop {
        if let Some(wifi) = wifi.filter(|_| !stack.is_link_up()) {
            blink(&mut control, Light::Searching).await;
            join(&mut control, &wifi).await;
        }
        blink(&mut control, Light::shown()).await;
    }
}

async fn join(control: &mut Control<'static>, wifi: &Wifi<'static>) {
    let options = match wifi.passphrase {
        "" => JoinOptions::new_open(),
        passphrase => JoinOptions::new(passphrase.as_bytes()),
    };
    log::info!("joining {}", wifi.ssid);
    match with_timeout(PATIENCE, control.join(wifi.ssid, options)).await {
        Ok(Ok(())) => log::info!("joined {}", wifi.ssid),
        Ok(Err(error)) => {
            log::warn!("cannot join {}: {error:?}", wifi.ssid);
            Timer::after(PAUSE).await;
        }
        Err(_timeout) => log::warn!("waited in vain for {}", wifi.ssid),
    }
}

async fn blink(control: &mut Control<'static>, light: Light) {
    for (place, milliseconds) in light.pattern().iter().enumerate() {
        let is_on = place % 2 == 0;
        // The radio may be busy; the next flash is as good.
        let _ = with_timeout(PATIENCE, control.gpio_set(LED, is_on)).await;
        Timer::after_millis(*milliseconds).await;
    }
}
