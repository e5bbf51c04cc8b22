//! Who listens on a TCP port, as Linux tells it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its process id.
    pub process: u32,
    /// Its program, as the system names it.
    pub program: String,
}

impl Listener {
    /// Who keeps others from listening on `address`. `None` where nobody does, and where the system does
    /// not say: Linux does, of the user's own processes.
    #[must_use]
    pub fn on(address: SocketAddr) -> Option<Self> {
        let sockets = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
        let mut sockets = sockets.iter().flatten().flat_map(|table| table.lines());
        let inode = sockets.find_map(|line| {
            let (listens, inode) = listening(line)?;
            collide(listens, address).then(|| inode.to_owned())
        })?;
        let socket = format!("socket:[{inode}]");
        let processes = std::fs::read_dir("/proc").ok()?;
        processes.flatten().find_map(|folder| {
            let process = folder.file_name().to_str()?.parse().ok()?;
            let name = || std::fs::read_to_string(folder.path().join("comm")).ok();
            has_open(&folder.path(), &socket).then(|| Self {
                process,
                program: name().unwrap_or_default().trim().to_owned(),
            })
        })
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.program, self.process)
    }
}

/// Whether a process, which has this folder in /proc, has `socket` open.
fn has_open(process: &Path, socket: &str) -> bool {
    let Ok(files) = std::fs::read_dir(process.join("fd")) else {
        return false;
    };
    files.flatten().any(|file| {
        std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket)
    })
}

/// Who listens on one of them keeps others from listening on the other.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let anywhere = |address: SocketAddr| address.ip().is_unspecified();
    one.port() == other.port() && (one.ip() == other.ip() || anywhere(one) || anywhere(other))
}

/// The address and the inode of a socket that listens, from a line of `/proc/net/tcp`.
fn listening(line: &str) -> Option<(SocketAddr, &str)> {
    const LISTENS: &str = "0A";
    let words: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
    if *state != LISTENS {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // The kernel prints what it has in memory, word by word, as numbers of this machine.
    let mut bytes = Vec::new();
    for word in ip.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some((SocketAddr::new(ip.to_canonical(), port), inode))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn tables_of_the_kernel_are_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0";
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080);
        assert_eq!(listening(line), Some((address, "4711")));
        assert_eq!(listening(&line.replace(" 0A ", " 01 ")), None);
        let line = line.replace("0100007F", "00000000000000000000000001000000");
        let address = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 8080);
        assert_eq!(listening(&line), Some((address, "4711")));
        assert_eq!(listening("  sl  local_address rem_address   st"), None);
    }
}
