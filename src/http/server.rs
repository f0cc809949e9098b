//! Connections: a permit before each, a limit on each, and an orderly end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::streams::STREAMS_MAX;
use crate::http::{App, Desk, Peer, router};

/// Connections at once, over all listeners: as many event streams as are served, and as many again for everybody else.
pub const CONNECTIONS_MAX: usize = 2 * STREAMS_MAX;
/// A head that takes longer than this is a stalled or hostile client; an idle connection ends by it as well.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// A client that takes no bytes for so long loses its connection, so that it can't hold a permit for ever.
const STALLED_MILLIS: u32 = 30_000;
/// The largest request head; a query is the only long thing in one.
const HEAD_MAX: usize = 16 * 1024;
/// How long answers under way may take once a stop was asked for.
const DRAIN: Duration = Duration::from_secs(3);
/// A pause after an accept that failed for want of files or memory, which trying again at once would not give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then takes no new connection, lets answers under way finish for a moment, and returns with
/// every connection closed. Without a listener it waits for `stop`.
pub async fn serve(listeners: Vec<TcpListener>, app: App, stop: CancellationToken) {
    let outbox = app.outbox.clone();
    let desk = Arc::new(Desk::new(app, stop.clone()));
    let pump = tokio::spawn(Arc::clone(&desk.streams).pump(Arc::clone(&desk.readers), outbox));
    let router = router(desk);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, router.clone(), Arc::clone(&permits), stop.clone()));
    }
    stop.cancelled().await;
    accepting.join_all().await;
    if let Err(error) = pump.await {
        tracing::error!(%error, "the pump of the event streams broke off");
    }
}

/// One listener, until `stop`: a permit before each connection, so that none waits inside the process.
async fn accept(listener: TcpListener, router: Router, permits: Arc<Semaphore>, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = next => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, router.clone(), graceful.watcher());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept an http connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        // Dropping the set ends what is left.
        tracing::warn!(left = connections.len(), "http answers were still under way and are cut off");
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, watcher: Watcher) {
    // Both are refinements: a socket without them still serves.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, STALLED_MILLIS);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let answer = router.call(request);
        async move { answer.await as Result<Response, Infallible> }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, %peer, "an http connection broke off");
    }
}
