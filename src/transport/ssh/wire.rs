//! The connection under a session, held so that it can be cut from outside.
//!
//! russh runs a session in a task of its own, which outlives the future that started it: a visit that is dropped during
//! key exchange would leave task and socket behind. So the visit keeps a [`Line`] on the same connection. Dropping it
//! shuts the socket down in both directions, or ends the tunnel through a jump host; russh's next read or write fails,
//! its task ends, the descriptor is closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, Shutdown, recv};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::facts::SharedFacts;
use super::peer::Role;

/// SSH_MSG_NEWKEYS of RFC 4253, section 12.
const NEWKEYS: u8 = 21;

/// How much may be unsent at once.
const UNSENT_MAX: usize = 16 * 1024;

/// The visit's end of a connection: as long as it lives, the connection may.
#[derive(Debug)]
pub(super) enum Line {
    /// A socket of its own.
    Tcp(Arc<TcpStream>),
    /// A channel of a jump host's connection, carried by a task that ends with this.
    Tunnel(AbortOnDropHandle<()>),
}

impl Line {
    /// A line on a socket, and the stream for russh, which notes the server's first bytes in `facts`.
    pub(super) fn over(tcp: TcpStream, role: Role, facts: SharedFacts) -> (Self, Wire) {
        let tcp = Arc::new(tcp);
        let wire = Wire::of(Carrier::Tcp(Arc::clone(&tcp)), facts, role == Role::Device);
        (Self::Tcp(tcp), wire)
    }

    /// The same through a jump host: `carrying` is the task at the other end of the stream.
    pub(super) fn through(
        stream: DuplexStream,
        carrying: AbortOnDropHandle<()>,
        facts: SharedFacts,
    ) -> (Self, Wire) {
        (Self::Tunnel(carrying), Wire::of(Carrier::Tunnel(stream), facts, false))
    }

    /// Waits until the peer has closed its side; whatever still comes is thrown away.
    pub(super) async fn closed_by_peer(&mut self) {
        let tcp = match self {
            Self::Tcp(tcp) => tcp,
            Self::Tunnel(carrying) => {
                let _ = carrying.await;
                return;
            }
        };
        let mut rest = [0_u8; 4096];
        while tcp.readable().await.is_ok() {
            match tcp.try_read(&mut rest) {
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
        if let Self::Tcp(tcp) = self {
            // It fails when the peer has gone already, which is just as well.
            let _ = rustix::net::shutdown(&**tcp, Shutdown::Both);
        }
    }
}

/// russh's end of a connection.
#[derive(Debug)]
pub(super) struct Wire {
    carrier: Carrier,
    facts: SharedFacts,
    /// Whether the identification line has yet to come.
    listening: bool,
    /// What russh has written and the socket has not been given yet.
    unsent: Vec<u8>,
    /// Whether what is written waits for what follows it. Not where a session carries others: while russh is busy with one
    /// of them, another one's words would wait.
    gathers: bool,
    /// How often russh may still be called before that leaves.
    held: u8,
    /// Whether the keys are exchanged, so that nothing can be told from a packet any more.
    secret: bool,
}

#[derive(Debug)]
enum Carrier {
    Tcp(Arc<TcpStream>),
    Tunnel(DuplexStream),
}

impl Wire {
    fn of(carrier: Carrier, facts: SharedFacts, gathers: bool) -> Self {
        Self { carrier, facts, listening: true, unsent: Vec::new(), gathers, held: 0, secret: false }
    }

    /// Gives the socket what is unsent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Carrier::Tcp(tcp) = &self.carrier else { return Poll::Ready(Ok(())) };
        while !self.unsent.is_empty() {
            ready!(tcp.poll_write_ready(cx))?;
            match tcp.try_write(&self.unsent) {
                // An open session is mostly silent, and there may be thousands: nothing is kept for its next word.
                Ok(sent) if sent == self.unsent.len() => self.unsent = Vec::new(),
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.unsent.clear();
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        let read = match &mut self.carrier {
            Carrier::Tcp(tcp) => poll_tcp(tcp, cx, buf),
            Carrier::Tunnel(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if read.is_pending() && !self.unsent.is_empty() {
            if self.held > 0 {
                self.held -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // Nothing more to answer: what was written since the last time leaves in one packet.
            if let Poll::Ready(sent) = self.poll_send(cx) {
                sent?;
            }
        }
        ready!(read)?;
        if self.listening {
            let heard = buf.filled().get(start..).unwrap_or_default();
            self.listening = self.facts.with(|facts| facts.hear(heard))?;
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads what is there. A read that fills less than the buffer has emptied the socket, and the next bytes bring an event
/// of their own, so the socket counts as drained at once: asking again only to hear that nothing is there would be a
/// system call for each packet. tokio's own stream does the same, but can't be shared with a [`Line`].
fn poll_tcp(tcp: &TcpStream, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    loop {
        ready!(tcp.poll_read_ready(cx))?;
        let mut read = None;
        let tried = tcp.try_io(Interest::READABLE, || {
            let free = buf.initialize_unfilled();
            let (count, _) = recv(tcp, &mut *free, RecvFlags::empty())?;
            read = Some(count);
            // Nothing read is the end, which stays readable. The error is what tells tokio to wait for the next event.
            if count > 0 && count < free.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if let Some(count) = read {
            buf.advance(count);
            return Poll::Ready(Ok(()));
        }
        match tried {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
            Ok(()) => return Poll::Ready(Ok(())),
        }
    }
}

/// The number of the message in a packet that isn't encrypted: behind the lengths of the packet and its padding.
fn message(packet: &[u8]) -> Option<u8> {
    packet.get(5).copied()
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Carrier::Tunnel(stream) = &mut self.carrier {
            return Pin::new(stream).poll_write(cx, buf);
        }
        if self.unsent.len() + buf.len() > UNSENT_MAX {
            ready!(self.poll_send(cx))?;
        }
        self.unsent.extend_from_slice(buf);
        if !self.gathers || self.listening {
            // Should the socket be full, it leaves as soon as it isn't: russh is called then.
            if let Poll::Ready(sent) = self.poll_send(cx) {
                sent?;
            }
            return Poll::Ready(Ok(buf.len()));
        }
        if !self.secret && message(buf) == Some(NEWKEYS) {
            // With it ends the key exchange, and the visit asks for a login next, by another task: that has its turn before
            // russh is called again, and russh may look for packets before it looks for what it is asked.
            (self.secret, self.held) = (true, 2);
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is unsent leaves when russh waits for the peer, which it does next; what is in a tunnel is on its way.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        match &mut self.carrier {
            Carrier::Tcp(tcp) => {
                Poll::Ready(rustix::net::shutdown(&**tcp, Shutdown::Write).map_err(io::Error::from))
            }
            Carrier::Tunnel(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A wire over loopback, with the identification lines exchanged, and the peer's socket, which doesn't block.
    async fn wire(role: Role) -> (Line, Wire, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let (line, mut wire) = Line::over(tcp, role, SharedFacts::default());
        wire.write_all(b"SSH-2.0-us\r\n").await.unwrap();
        assert_eq!(heard(&mut peer), "SSH-2.0-us\r\n", "a server may wait for it");
        peer.write_all(b"SSH-2.0-them\r\n").unwrap();
        let mut line_of_peer = [0; 14];
        wire.read_exact(&mut line_of_peer).await.unwrap();
        peer.set_nonblocking(true).unwrap();
        (line, wire, peer)
    }

    /// What has come to the peer: on loopback it is there as soon as it is sent.
    fn heard(peer: &mut std::net::TcpStream) -> String {
        let mut bytes = [0; 64];
        let count = peer.read(&mut bytes).unwrap_or_default();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    /// As russh does when it has nothing more to say.
    fn look_for_more(wire: &mut Wire) {
        let mut bytes = [0; 8];
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(wire).poll_read(&mut context, &mut ReadBuf::new(&mut bytes)).is_pending());
    }

    #[tokio::test]
    async fn what_is_said_before_the_peer_is_waited_for_leaves_in_one_packet() {
        let (_line, mut wire, mut peer) = wire(Role::Device).await;
        wire.write_all(b"one ").await.unwrap();
        wire.write_all(b"two").await.unwrap();
        assert_eq!(heard(&mut peer), "");
        look_for_more(&mut wire);
        assert_eq!(heard(&mut peer), "one two");

        wire.write_all(b"three").await.unwrap();
        wire.shutdown().await.unwrap();
        assert_eq!(heard(&mut peer), "three", "nothing is left behind at the end");
    }

    #[tokio::test]
    async fn the_end_of_the_key_exchange_waits_for_the_first_request_and_not_for_ever() {
        let new_keys = [0, 0, 0, 12, 10, NEWKEYS, 0, 0];
        let (_line, mut wire, mut peer) = wire(Role::Device).await;
        wire.write_all(&new_keys).await.unwrap();
        look_for_more(&mut wire);
        assert_eq!(heard(&mut peer), "");
        wire.write_all(b"request").await.unwrap();
        look_for_more(&mut wire);
        look_for_more(&mut wire);
        assert!(heard(&mut peer).ends_with("request"));
        wire.write_all(&new_keys).await.unwrap();
        look_for_more(&mut wire);
        assert_eq!(heard(&mut peer).len(), new_keys.len(), "what is encrypted tells nothing");
    }

    #[tokio::test]
    async fn a_jump_hosts_packets_leave_at_once() {
        let (_line, mut wire, mut peer) = wire(Role::JumpHost).await;
        wire.write_all(b"one").await.unwrap();
        assert_eq!(heard(&mut peer), "one");
    }
}
