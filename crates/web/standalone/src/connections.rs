//! Connections: taken, answered on, and ended when it is time.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long a client may take to send the head of a request, and to begin with the next one. Who
/// sends a byte now and then holds a connection no longer than that.
pub(crate) const HEAD_WAIT: Duration = Duration::from_secs(30);

/// How long it waits where no connection can be taken, as without a free file descriptor.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Answers on every connection until `stopped` resolves; then takes no more of them, and returns once
/// the requests under way are answered.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    head_wait: Duration,
    mut stopped: oneshot::Receiver<()>,
) {
    let (stopping, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Dropping the sender means stop as well.
            _ = &mut stopped => break,
            Some(ended) = connections.join_next() => note(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let answering = answer(stream, routes.clone(), head_wait, stopping.subscribe());
                    connections.spawn(answering);
                }
                // The client had gone before it was taken.
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be taken; trying again");
                    sleep(ACCEPT_RETRY).await;
                }
            },
        }
    }
    drop(listener);
    stopping.send_replace(true);
    while let Some(ended) = connections.join_next().await {
        note(ended);
    }
}

async fn answer(
    stream: TcpStream,
    routes: Router,
    head_wait: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_wait)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopping.wait_for(|stopping| *stopping) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(panicked) = ended {
        tracing::error!(%panicked, "a connection was not served");
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinHandle;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);

    async fn server(head_wait: Duration) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/", get(|| async { "here" }));
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, routes, head_wait, stopped));
        (address, stop, serving)
    }

    async fn read_to_end(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        let read = stream.read_to_end(&mut text);
        // A connection that is reset has ended, too.
        let _ = tokio::time::timeout(PATIENCE, read).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_not_waited_for() {
        let (address, _stop, _serving) = server(Duration::from_millis(300)).await;
        let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
        writer
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n")
            .await
            .unwrap();
        // Slowly, but without a pause as long as the wait.
        let dripping = tokio::spawn(async move {
            while writer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        });
        let started = Instant::now();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut answer)).await;
        assert!(
            ended.is_ok(),
            "it still listens after {:?}",
            started.elapsed()
        );
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
        dripping.abort();

        // Others are answered meanwhile, and on a connection that is used one after the other.
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..2 {
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
            let mut answer = [0; 15];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
            let mut rest = Vec::new();
            while !rest.ends_with(b"here") {
                rest.push(stream.read_u8().await.unwrap());
            }
        }
        // Then nothing more comes, and it is closed.
        assert_eq!(read_to_end(&mut stream).await, "");
    }

    #[tokio::test]
    async fn a_server_that_stops_answers_what_is_under_way() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (entered, mut inside) = watch::channel(false);
        let (release, released) = watch::channel(false);
        let slow = move || async move {
            entered.send_replace(true);
            let mut released = released;
            released.wait_for(|released| *released).await.unwrap();
            "done"
        };
        let routes = Router::new().route("/", get(slow));
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, routes, HEAD_WAIT, stopped));
        let mut idle = TcpStream::connect(address).await.unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        inside.wait_for(|entered| *entered).await.unwrap();
        stop.send(()).unwrap();
        assert_eq!(read_to_end(&mut idle).await, "");
        assert!(
            TcpStream::connect(address).await.is_err(),
            "it still listens"
        );
        assert!(!serving.is_finished());
        release.send_replace(true);
        assert!(read_to_end(&mut stream).await.ends_with("done"));
        tokio::time::timeout(PATIENCE, serving)
            .await
            .unwrap()
            .unwrap();
    }
}
