//! The TCP connection under a session, held so that it can be cut from outside.
//!
//! russh runs a session in a task of its own, which outlives the future that started it: a visit that is dropped during
//! key exchange would leave task and socket behind. So the visit keeps a [`Line`] on the same socket. Dropping it shuts
//! the socket down in both directions; russh's next read or write fails, its task ends, the descriptor is closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::facts::SharedFacts;

/// The visit's end of a connection: as long as it lives, the connection may.
#[derive(Debug)]
pub(super) struct Line {
    tcp: Arc<TcpStream>,
}

impl Line {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp: Arc::new(tcp) }
    }

    /// The stream for russh, which notes the server's first bytes in `facts`.
    pub(super) fn wire(&self, facts: SharedFacts) -> Wire {
        Wire { tcp: Arc::clone(&self.tcp), facts, listening: true }
    }

    /// Waits until the peer has closed its side; whatever still comes is thrown away.
    pub(super) async fn closed_by_peer(&self) {
        let mut rest = [0_u8; 4096];
        while self.tcp.readable().await.is_ok() {
            match self.tcp.try_read(&mut rest) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // It fails when the peer has gone already, which is just as well.
        let _ = rustix::net::shutdown(&*self.tcp, Shutdown::Both);
    }
}

/// russh's end of a connection.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: Arc<TcpStream>,
    facts: SharedFacts,
    /// Whether the identification line has yet to come.
    listening: bool,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            match self.tcp.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    let start = buf.filled().len();
                    buf.advance(count);
                    if self.listening {
                        let heard = buf.filled().get(start..).unwrap_or_default();
                        self.listening = self.facts.with(|facts| facts.hear(heard))?;
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            match self.tcp.try_write(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&*self.tcp, Shutdown::Write).map_err(io::Error::from))
    }
}
