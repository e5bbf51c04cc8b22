//! The Ethernet controller LAN9118 (SMSC, data sheet revision 1.5), as far as QEMU has it: frames
//! through two FIFOs, one buffer each, no offloading. The link is always up.

use core::task::Context;
use core::{ptr, slice};

use cortex_m::peripheral::NVIC;
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

/// Where it is on an MPS2.
const BASE: usize = 0x4020_0000;

/// The number of its interrupt there.
pub(crate) const INTERRUPT: i16 = 13;

/// The largest frame, without its checksum.
const FRAME_BYTES: usize = 1_514;

/// The checksum, which it leaves at the end of a frame.
const CHECKSUM_BYTES: usize = 4;

/// Frames come and go by words.
const FRAME_WORDS: usize = (FRAME_BYTES + CHECKSUM_BYTES).div_ceil(4);

/// Looks at a bit that must change, before the controller is taken for broken.
const LOOKS: u32 = 100_000;

/// Registers, by their offsets (section 5.3).
#[derive(Debug, Clone, Copy)]
enum Register {
    RxData = 0x00,
    TxData = 0x20,
    RxStatus = 0x40,
    TxStatus = 0x48,
    InterruptConfig = 0x54,
    InterruptStatus = 0x58,
    InterruptEnable = 0x5c,
    ByteTest = 0x64,
    FifoInterrupt = 0x68,
    TxConfig = 0x70,
    HardwareConfig = 0x74,
    RxFifo = 0x7c,
    TxFifo = 0x80,
    MacCommand = 0xa4,
    MacData = 0xa8,
}

/// Registers of the MAC, which are reached through two others (section 5.4).
#[derive(Debug, Clone, Copy)]
enum MacRegister {
    Control = 1,
    AddressHigh = 2,
    AddressLow = 3,
}

/// What [`Register::ByteTest`] reads as.
const BYTE_TEST: u32 = 0x8765_4321;

/// An interrupt where a frame has arrived.
const FRAME_ARRIVED: u32 = 1 << 3;

/// Wakes the network when a frame has arrived.
static ARRIVED: AtomicWaker = AtomicWaker::new();

fn read(register: Register) -> u32 {
    let address = ptr::with_exposed_provenance::<u32>(BASE + register as usize);
    // SAFETY: the controller is there, aligned; only this module uses it, in one thread and in an
    // interrupt that touches one register which the thread writes with the interrupt disabled.
    unsafe { address.read_volatile() }
}

fn write(register: Register, value: u32) {
    let address = ptr::with_exposed_provenance_mut::<u32>(BASE + register as usize);
    // SAFETY: as for reading.
    unsafe { address.write_volatile(value) }
}

/// The interrupt: says so, and holds its peace until the frame has been taken.
pub(crate) fn interrupt() {
    write(Register::InterruptEnable, 0);
    ARRIVED.wake();
}

/// Its place in the interrupt controller.
#[derive(Debug, Clone, Copy)]
struct Line;

// SAFETY: the number is that of the board, and no other type claims it.
unsafe impl cortex_m::interrupt::InterruptNumber for Line {
    fn number(self) -> u16 {
        INTERRUPT.unsigned_abs()
    }
}

/// A frame, by the words in which it comes and goes.
struct Frame([u32; FRAME_WORDS]);

impl Frame {
    const EMPTY: Self = Self([0; FRAME_WORDS]);

    /// Its first `length` bytes, [`FRAME_BYTES`] at most.
    fn bytes(&mut self, length: usize) -> &mut [u8] {
        let bytes = self.0.as_mut_ptr().cast::<u8>();
        // SAFETY: as many bytes as the words have, and any bytes are words.
        let bytes = unsafe { slice::from_raw_parts_mut(bytes, FRAME_WORDS * 4) };
        &mut bytes[..length.min(FRAME_BYTES)]
    }
}

/// The controller, ready to send and receive.
pub(crate) struct Lan9118 {
    arrived: Frame,
}

impl Lan9118 {
    /// Resets it and sets it up; `None` where it is not there or not itself.
    pub(crate) fn start() -> Option<Self> {
        const SOFT_RESET: u32 = 1;
        const MUST_BE_ONE: u32 = 1 << 20;
        const TX_FIFO_5_KIB: u32 = 5 << 16;
        const TX_ON: u32 = 1 << 1;
        const ACTIVE_HIGH_PUSH_PULL: u32 = 1 << 4 | 1;
        const INTERRUPTS_ON: u32 = 1 << 8;
        const ANY_DATA_SPACE: u32 = 0x48 << 24;
        const MAC_TX_ON: u32 = 1 << 3;
        const MAC_RX_ON: u32 = 1 << 2;
        if read(Register::ByteTest) != BYTE_TEST {
            return None;
        }
        write(Register::HardwareConfig, SOFT_RESET);
        (0..LOOKS).find(|_| read(Register::HardwareConfig) & SOFT_RESET == 0)?;
        write(Register::HardwareConfig, MUST_BE_ONE | TX_FIFO_5_KIB);
        write(
            Register::InterruptConfig,
            INTERRUPTS_ON | ACTIVE_HIGH_PUSH_PULL,
        );
        // One frame is enough.
        write(Register::FifoInterrupt, ANY_DATA_SPACE);
        write(Register::TxConfig, TX_ON);
        set_mac(MacRegister::Control, MAC_TX_ON | MAC_RX_ON)?;
        // SAFETY: its handler is in place, and nothing relies on its being masked.
        unsafe { NVIC::unmask(Line) };
        let arrived = Frame::EMPTY;
        Some(Self { arrived })
    }

    /// Its address, which the emulator gave it.
    pub(crate) fn mac_addr(&self) -> [u8; 6] {
        let low = mac(MacRegister::AddressLow).unwrap_or_default();
        let high = mac(MacRegister::AddressHigh).unwrap_or_default();
        let [a, b, c, d] = low.to_le_bytes();
        let [e, f, ..] = high.to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// Takes the next frame that is whole, if there is one; its length.
    fn take(&mut self) -> Option<usize> {
        const STATUSES: u32 = 0xff << 16;
        const ERROR: u32 = 1 << 15;
        loop {
            if read(Register::RxFifo) & STATUSES == 0 {
                return None;
            }
            let status = read(Register::RxStatus);
            let length = (status >> 16 & 0x3fff) as usize;
            for place in 0..length.div_ceil(4) {
                let word = read(Register::RxData);
                if let Some(kept) = self.arrived.0.get_mut(place) {
                    *kept = word;
                }
            }
            let is_whole = (CHECKSUM_BYTES..=FRAME_BYTES + CHECKSUM_BYTES).contains(&length);
            if status & ERROR == 0 && is_whole {
                return Some(length - CHECKSUM_BYTES);
            }
        }
    }
}

/// Sends the first `length` bytes of a frame.
fn send(frame: &Frame, length: usize) {
    const FIRST: u32 = 1 << 13;
    const LAST: u32 = 1 << 12;
    const STATUSES: u32 = 0xff << 16;
    let size = length as u32;
    write(Register::TxData, FIRST | LAST | size);
    write(Register::TxData, size);
    for word in frame.0.iter().take(length.div_ceil(4)) {
        write(Register::TxData, *word);
    }
    // What became of earlier frames is nobody's concern, but must not fill the FIFO.
    while read(Register::TxFifo) & STATUSES != 0 {
        read(Register::TxStatus);
    }
}

/// Waits until the MAC has done what it was told.
fn mac_is_ready() -> Option<u32> {
    const BUSY: u32 = 1 << 31;
    (0..LOOKS).find(|_| read(Register::MacCommand) & BUSY == 0)
}

fn mac(register: MacRegister) -> Option<u32> {
    const READ: u32 = 1 << 31 | 1 << 30;
    mac_is_ready()?;
    write(Register::MacCommand, READ | register as u32);
    mac_is_ready()?;
    Some(read(Register::MacData))
}

fn set_mac(register: MacRegister, value: u32) -> Option<()> {
    const WRITE: u32 = 1 << 31;
    mac_is_ready()?;
    write(Register::MacData, value);
    write(Register::MacCommand, WRITE | register as u32);
    mac_is_ready().map(drop)
}

/// The controller as embassy-net has it.
pub(crate) struct Ethernet(pub(crate) Lan9118);

/// A frame that has arrived.
pub(crate) struct Arrived<'a> {
    bytes: &'a mut [u8],
}

/// Leave to send a frame.
pub(crate) struct Leave;

impl RxToken for Arrived<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, read: F) -> R {
        read(self.bytes)
    }
}

impl TxToken for Leave {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = Frame::EMPTY;
        let length = length.min(FRAME_BYTES);
        let filled = fill(frame.bytes(length));
        send(&frame, length);
        filled
    }
}

impl Driver for Ethernet {
    type RxToken<'a> = Arrived<'a>;
    type TxToken<'a> = Leave;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Arrived<'_>, Leave)> {
        let length = self.0.take().or_else(|| {
            ARRIVED.register(context.waker());
            write(Register::InterruptStatus, FRAME_ARRIVED);
            write(Register::InterruptEnable, FRAME_ARRIVED);
            // One that came in between would have had no interrupt.
            self.0.take()
        })?;
        let bytes = self.0.arrived.bytes(length);
        Some((Arrived { bytes }, Leave))
    }

    /// The emulator takes a frame at once, so there is always room.
    fn transmit(&mut self, _context: &mut Context<'_>) -> Option<Leave> {
        Some(Leave)
    }

    fn link_state(&mut self, _context: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.0.mac_addr())
    }
}
