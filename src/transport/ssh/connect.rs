//! From a host name to a TCP connection, within one time limit.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use crate::failure::{FailureKind, Stage};
use crate::transport::TransportError;

use super::peer::Peer;
use super::text::{DETAIL_MAX, plain};

/// How many of a name's addresses are tried. A name with more is a load balancer, not a device.
const ADDRESSES_MAX: usize = 4;

/// Connects to a server within its connect timeout: its addresses in turn, each with its share of the time left, so
/// that a dead first address doesn't use up the others' time.
pub(super) async fn connect(peer: &Peer<'_>) -> Result<TcpStream, TransportError> {
    let deadline = Instant::now() + peer.timeouts.connect;
    let addresses = addresses(peer, deadline).await?;
    let mut last = fail(FailureKind::Dns, format!("{} has no address", peer.endpoint.host));
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Without it each step of a login waits for a delayed acknowledgement: 42 ms instead of 1.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Ok(Err(error)) => last = io_failure(Stage::Connect, &error, &format!("connecting to {address}")),
            Err(_) => last = silent(peer, *address),
        }
    }
    Err(last)
}

async fn addresses(peer: &Peer<'_>, deadline: Instant) -> Result<Vec<SocketAddr>, TransportError> {
    let host = peer.endpoint.host.as_str();
    // The lookup itself runs in a thread of its own and can't be cut short; its result is then thrown away.
    match timeout_at(deadline, lookup_host((host, peer.endpoint.port))).await {
        Ok(Ok(found)) => Ok(found.take(ADDRESSES_MAX).collect()),
        Ok(Err(error)) => Err(fail(
            FailureKind::Dns,
            format!("{host} doesn't resolve: {error}; check the name and the resolver"),
        )),
        Err(_) => Err(fail(
            FailureKind::Timeout,
            format!("no answer from the resolver for {host} within {:?}", peer.timeouts.connect),
        )),
    }
}

fn silent(peer: &Peer<'_>, address: SocketAddr) -> TransportError {
    let limit = peer.timeouts.connect;
    let detail = format!(
        "no answer from {address} within the connect timeout of {limit:?}; is it up, is a filter between?"
    );
    fail(FailureKind::Timeout, detail)
}

fn fail(kind: FailureKind, detail: String) -> TransportError {
    TransportError::new(kind, Stage::Connect, plain(&detail, DETAIL_MAX))
}

/// What an I/O error on the connection means, at whatever stage it comes.
pub(super) fn io_failure(stage: Stage, error: &io::Error, doing: &str) -> TransportError {
    let (kind, hint) = match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => {
            (FailureKind::Refused, "is the SSH server on, on this port, for this host?")
        }
        Some(Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN) => {
            (FailureKind::Unreachable, "check the route there")
        }
        Some(Errno::PERM | Errno::ACCESS) => (FailureKind::Unreachable, "a filter on this host forbids it"),
        Some(Errno::TIMEDOUT) => (FailureKind::Timeout, "the network gave up on it"),
        Some(Errno::MFILE | Errno::NFILE) => {
            (FailureKind::Internal, "out of file descriptors: raise LimitNOFILE or lower the cap on workers")
        }
        Some(Errno::ADDRNOTAVAIL) => (FailureKind::Internal, "no local address or port is free for it"),
        _ => (FailureKind::Disconnected, "the peer broke the connection"),
    };
    TransportError::new(kind, stage, plain(&format!("{doing}: {error}; {hint}"), DETAIL_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_the_network_has_its_kind() {
        for (errno, kind) in [
            (Errno::CONNREFUSED, FailureKind::Refused),
            (Errno::HOSTUNREACH, FailureKind::Unreachable),
            (Errno::NETUNREACH, FailureKind::Unreachable),
            (Errno::TIMEDOUT, FailureKind::Timeout),
            (Errno::CONNRESET, FailureKind::Disconnected),
            (Errno::PIPE, FailureKind::Disconnected),
            (Errno::MFILE, FailureKind::Internal),
        ] {
            let error = io_failure(Stage::Connect, &errno.into(), "connecting to 192.0.2.1:22");
            assert_eq!((error.kind, error.stage), (kind, Stage::Connect));
            assert!(error.detail.starts_with("connecting to 192.0.2.1:22: "), "{}", error.detail);
        }
    }
}
