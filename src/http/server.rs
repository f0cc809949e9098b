//! Connections: a seat for each, a limit on each, and an orderly end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::entrance::{Caller, Entrance};
use crate::http::lobby::{Busy, Limits, Lobby, Seat};
use crate::http::{App, Desk, router};
use crate::web_config::Greeted;

/// From the connection to its first whole request, the TLS handshake with it.
const FIRST_HEAD: Duration = Duration::from_secs(10);
/// From the end of an answer to the next whole request. Prometheus's default is to come every minute, and it keeps its
/// connections.
const NEXT_HEAD: Duration = Duration::from_secs(75);
/// A client that takes no bytes for so long loses its connection, so that it can't hold a seat for ever.
const STALLED_MILLIS: u32 = 30_000;
/// The largest request head; a query is the only long thing in one.
const HEAD_MAX: usize = 16 * 1024;
/// The most lines of a head: a browser sends some twenty.
const HEAD_LINES_MAX: usize = 100;
/// How long answers under way may take once a stop was asked for.
const DRAIN: Duration = Duration::from_secs(3);
/// A pause after an accept that failed for want of files or memory, which trying again at once would not give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a client is told that has as many connections as it may, each with a request under way.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";

/// Serves until `stop`, then takes no new connection, lets answers under way finish for a moment, and returns with
/// every connection closed. Without a listener it waits for `stop`.
pub async fn serve(listeners: Vec<TcpListener>, app: App, stop: CancellationToken) {
    let outbox = app.outbox.clone();
    let desk = Arc::new(Desk::new(app.clone(), stop.clone()));
    let pump = tokio::spawn(Arc::clone(&desk.streams).pump(Arc::clone(&desk.readers), outbox));
    let keeper = {
        let (desk, stop) = (Arc::clone(&desk), stop.clone());
        tokio::spawn(async move { desk.indexes.keep_up(stop).await })
    };
    let entrance = Arc::new(Entrance::new(app, router(desk)));
    let lobby = Arc::new(Lobby::default());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&entrance), Arc::clone(&lobby), stop.clone()));
    }
    stop.cancelled().await;
    accepting.join_all().await;
    if let Err(error) = pump.await {
        tracing::error!(%error, "the pump of the event streams broke off");
    }
    if let Err(error) = keeper.await {
        tracing::error!(%error, "the keeper of the index broke off");
    }
}

/// One listener, until `stop`: a seat for each connection before it is served, so that one at most waits inside the
/// process.
async fn accept(listener: TcpListener, entrance: Arc<Entrance>, lobby: Arc<Lobby>, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "can't accept an http connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let web = entrance.app.web.load();
        let limits = Limits { all: web.connections, of_one_client: web.connections_per_client };
        drop(web);
        match stop.run_until_cancelled(lobby.enter(peer, limits)).await {
            Some(Some(seat)) => {
                let (entrance, watcher) = (Arc::clone(&entrance), graceful.watcher());
                connections.spawn(connection(stream, peer, entrance, Arc::new(seat), watcher));
            }
            Some(None) => refuse(stream, peer, entrance.app.keeper.speaks_tls()),
            None => break,
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        // Dropping the set ends what is left.
        tracing::warn!(left = connections.len(), "http answers were still under way and are cut off");
    }
}

/// A word that fits into an empty send buffer, or nothing: nobody waits for such a client. One that speaks TLS would not
/// understand it.
fn refuse(mut stream: TcpStream, peer: SocketAddr, speaks_tls: bool) {
    use futures_util::FutureExt as _;
    tracing::debug!(%peer, "a client has as many http connections as it may");
    if speaks_tls {
        return;
    }
    let _ = stream.write_all(TOO_MANY).now_or_never();
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    entrance: Arc<Entrance>,
    seat: Arc<Seat>,
    watcher: Watcher,
) {
    // Both are refinements: a socket without them still serves.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, STALLED_MILLIS);
    let spoken = CancellationToken::new();
    let silence = async {
        if tokio::time::timeout(FIRST_HEAD, spoken.cancelled()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = talk(stream, peer, &entrance, &seat, (watcher, &spoken)) => {}
        () = silence => tracing::debug!(%peer, "an http client said nothing whole in time"),
        () = seat.out.cancelled() => tracing::debug!(%peer, "an idle http connection gave way to a new one"),
    }
}

/// The handshake, and one request after the other.
async fn talk(
    stream: TcpStream,
    peer: SocketAddr,
    entrance: &Arc<Entrance>,
    seat: &Arc<Seat>,
    (watcher, spoken): (Watcher, &CancellationToken),
) {
    let config = entrance.app.keeper.now().await;
    let Greeted { stream, certificate } = match config.greet(stream).await {
        Ok(greeted) => greeted,
        Err(error) => {
            tracing::debug!(%error, %peer, "an http connection was not taken up");
            return;
        }
    };
    let caller = Arc::new(Caller { peer, certificate, greeted: config });
    let service = service_fn(move |request: Request<Incoming>| {
        spoken.cancel();
        let (entrance, caller, seat) = (Arc::clone(entrance), Arc::clone(&caller), Arc::clone(seat));
        async move {
            let (answer, busy) = entrance.answer(request, &caller, &seat).await;
            Ok::<_, Infallible>(answer.map(|body| Held { body, _busy: busy }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_HEAD)
        .max_buf_size(HEAD_MAX)
        .max_headers(HEAD_LINES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, %peer, "an http connection broke off");
    }
}

/// The body of an answer; the request counts as under way until the last of it was handed to the connection.
struct Held {
    body: axum::body::Body,
    _busy: Busy,
}

impl Body for Held {
    type Data = hyper::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
