//! What there is on this machine.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _, UdpSocket};
use std::path::{Path, PathBuf};

use crate::settings::{SensorSettings, Source};

/// Load, memory, and each temperature, once every ten seconds.
pub(crate) fn sensors() -> Vec<SensorSettings> {
    let mut sources = vec![Source::Load, Source::Memory];
    sources.extend(
        temperatures(Path::new("/sys"))
            .into_iter()
            .map(Source::Temperature),
    );
    let settings = |source| SensorSettings {
        source,
        id: None,
        alias: None,
        location: None,
        poll_interval_ms: 10_000,
    };
    sources.into_iter().map(settings).collect()
}

/// The files of thermal zones and hwmon chips, in order.
fn temperatures(sys: &Path) -> Vec<PathBuf> {
    let zones = files(&sys.join("class/thermal"), |name| name == "temp");
    let is_input = |name: &str| name.starts_with("temp") && name.ends_with("_input");
    let chips = files(&sys.join("class/hwmon"), is_input);
    let mut found: Vec<PathBuf> = zones.into_iter().chain(chips).collect();
    found.sort();
    found
}

/// The files of such a name, one folder down, that hold a number now.
fn files(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let list = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let inner = list(folder).flat_map(|entry| list(&entry.path()));
    let wanted = inner.filter(|entry| is_wanted(&entry.file_name().to_string_lossy()));
    let holds_number = |path: &PathBuf| {
        let text = fs::read_to_string(path).ok();
        text.is_some_and(|text| text.trim().parse::<i64>().is_ok())
    };
    wanted
        .map(|entry| entry.path())
        .filter(holds_number)
        .collect()
}

/// The address from which this machine would speak to `host`.
pub(crate) fn own_address(host: &str, port: u16) -> IpAddr {
    let found = || {
        let target = (host, port).to_socket_addrs().ok()?.next()?;
        let any: IpAddr = match target {
            std::net::SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        // Sends nothing: connecting a datagram socket only asks the routing table.
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(target).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    found().unwrap_or(Ipv4Addr::LOCALHOST.into())
}

/// The address of the first network card that has one; zeros where there is none.
pub(crate) fn mac_address() -> [u8; 6] {
    let cards = files_of_cards(Path::new("/sys/class/net"));
    let addresses = cards.iter().filter_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        let bytes: Option<Vec<u8>> = text
            .trim()
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).ok())
            .collect();
        bytes?.try_into().ok()
    });
    let mut real = addresses.filter(|address| *address != [0; 6]);
    real.next().unwrap_or_default()
}

fn files_of_cards(folder: &Path) -> Vec<PathBuf> {
    let cards = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = cards.map(|card| card.path().join("address")).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn temperatures_are_found_and_others_are_not() {
        let sys = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = sys.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let chip = write("class/hwmon/hwmon0/temp1_input", "48000\n");
        let zone = write("class/thermal/thermal_zone0/temp", "51234\n");
        write("class/thermal/thermal_zone1/temp", "not now\n");
        write("class/thermal/thermal_zone0/type", "acpitz\n");
        write("class/hwmon/hwmon0/fan1_input", "900\n");
        assert_eq!(temperatures(sys.path()), [chip, zone]);
        assert!(temperatures(Path::new("/nowhere")).is_empty());
    }
}
