//! The way from a site to the centre, which can be cut.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A TCP relay on loopback. Cut, it passes nothing on and says nothing, as a cable does that was pulled.
#[derive(Debug)]
pub struct Uplink {
    address: SocketAddr,
    /// How often it was cut and mended; odd while it is cut.
    cuts: watch::Sender<u32>,
}

impl Uplink {
    /// A way to `to`, where nobody need listen yet.
    ///
    /// # Errors
    /// Where there is no port for it.
    pub async fn to(to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("cannot listen")?;
        let address = listener.local_addr()?;
        let (cuts, state) = watch::channel(0);
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(relay(near, to, state.clone()));
            }
        });
        Ok(Self { address, cuts })
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts it.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts |= 1);
    }

    /// Mends it. Connections from before end now.
    pub fn mend(&self) {
        self.cuts.send_modify(|cuts| *cuts += *cuts & 1);
    }
}

/// Relays a connection until an end closes it, or the way was cut and mended.
async fn relay(near: TcpStream, to: SocketAddr, cuts: watch::Receiver<u32>) {
    let mut mended = cuts.clone();
    let at_first = *mended.borrow_and_update();
    let passing = async {
        // What begins while the way is cut gets nowhere.
        passable(cuts.clone(), at_first).await;
        let Ok(far) = TcpStream::connect(to).await else {
            return;
        };
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        tokio::select! {
            () = pass(near_in, far_out, cuts.clone(), at_first) => {}
            () = pass(far_in, near_out, cuts, at_first) => {}
        }
    };
    let is_over = |now: &u32| *now & 1 == 0 && *now != at_first;
    tokio::select! {
        () = passing => {}
        _ = mended.wait_for(is_over) => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    cuts: watch::Receiver<u32>,
    at_first: u32,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        passable(cuts.clone(), at_first).await;
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    passable(cuts, at_first).await;
}

/// Returns while the way is as it was when the connection began, and not cut.
async fn passable(mut cuts: watch::Receiver<u32>, at_first: u32) {
    let _ = cuts.wait_for(|now| *now & 1 == 0 && *now == at_first).await;
}
