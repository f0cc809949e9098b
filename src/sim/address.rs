//! Loopback addresses for a fleet, the file limit that it needs, and listening on them.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::SimError;
use crate::limits::{FILES_BESIDE_VISITS, require_open_files};

/// How many ports are tried when any will do. One is nearly always free on all addresses.
const PORTS_TRIED: usize = 16;
/// How often an address is tried that was given up a moment ago.
const FREE_TRIED: usize = 200;
/// The pause between two tries: a program starts within a few of them.
const FREE_AFTER: Duration = Duration::from_millis(10);

/// `count` consecutive addresses from `first` on, without those that end in .0 or .255.
///
/// # Errors
/// When one of them would lie outside 127.0.0.0/8: the simulator never listens where others could reach it.
pub(super) fn addresses(first: Ipv4Addr, count: usize) -> Result<Vec<Ipv4Addr>, SimError> {
    let found: Vec<_> = (first.to_bits()..=u32::MAX)
        .map(Ipv4Addr::from_bits)
        .filter(|address| !matches!(address.octets()[3], 0 | 255))
        .take_while(Ipv4Addr::is_loopback)
        .take(count)
        .collect();
    if first.is_loopback() && found.len() == count {
        Ok(found)
    } else {
        Err(SimError::NotLoopback { first, devices: count })
    }
}

/// Raises this process's limit on open files as far as it may, and checks that it suffices.
///
/// # Errors
/// Names the figure needed when the hard limit is below it.
pub(super) fn allow_files(devices: usize, sessions: usize) -> Result<(), SimError> {
    let needed = devices.saturating_add(sessions).saturating_add(FILES_BESIDE_VISITS);
    require_open_files(needed).map_err(|limit| SimError::FileLimit { devices, sessions, limit })
}

/// Listens on all addresses at one port: the given one, or any that is free on all of them.
pub(super) async fn listen(addresses: &[Ipv4Addr], port: u16) -> Result<Vec<TcpListener>, SimError> {
    let mut tries = if port == 0 { PORTS_TRIED } else { 1 };
    loop {
        tries -= 1;
        match listen_at_one_port(addresses, port).await {
            Err(SimError::Bind { error, .. }) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            done => return done,
        }
    }
}

async fn listen_at_one_port(addresses: &[Ipv4Addr], mut port: u16) -> Result<Vec<TcpListener>, SimError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = bind(*address, port).await?;
        // Port 0 becomes the port that the first address got.
        port = listener.local_addr().map_or(port, |local| local.port());
        listeners.push(listener);
    }
    Ok(listeners)
}

pub(super) async fn bind(address: Ipv4Addr, port: u16) -> Result<TcpListener, SimError> {
    TcpListener::bind((address, port)).await.map_err(|error| SimError::Bind { address, port, error })
}

/// Does what binds an address that was given up a moment ago, until that is free: while another thread starts a program, the
/// process that is to be that program has copies of all sockets.
pub(super) async fn once_free<T>(bind: impl AsyncFn() -> Result<T, SimError>) -> Result<T, SimError> {
    for _ in 1..FREE_TRIED {
        match bind().await {
            Err(SimError::Bind { error, .. }) if error.kind() == io::ErrorKind::AddrInUse => {
                tokio::time::sleep(FREE_AFTER).await;
            }
            done => return done,
        }
    }
    bind().await
}

/// A listener whose queue is full, and the connection that fills it: as long as both live, Linux drops further requests
/// for a connection there without a word.
pub(super) async fn full(address: Ipv4Addr, port: u16) -> Result<(TcpListener, TcpStream), SimError> {
    let failed = |error| SimError::Bind { address, port, error };
    let socket = TcpSocket::new_v4().map_err(failed)?;
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind((address, port).into()).map_err(failed)?;
    // A queue of no length holds one connection.
    let listener = socket.listen(0).map_err(failed)?;
    let first = TcpStream::connect((address, port)).await.map_err(failed)?;
    Ok((listener, first))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn addresses_run_on_over_the_edge_of_a_24() {
        let found = addresses(Ipv4Addr::new(127, 1, 0, 253), 4).unwrap();
        let text: Vec<_> = found.iter().map(Ipv4Addr::to_string).collect();
        assert_eq!(text, ["127.1.0.253", "127.1.0.254", "127.1.1.1", "127.1.1.2"]);
        assert_eq!(addresses(Ipv4Addr::new(127, 1, 0, 0), 1).unwrap(), [Ipv4Addr::new(127, 1, 0, 1)]);
    }

    #[test]
    fn nothing_outside_loopback_is_taken() {
        assert!(addresses(Ipv4Addr::new(10, 0, 0, 1), 1).is_err());
        assert!(addresses(Ipv4Addr::new(127, 255, 255, 250), 10).is_err());
        assert!(addresses(Ipv4Addr::new(126, 255, 255, 255), 10).is_err());
    }

    #[test]
    fn a_fleet_beyond_the_file_limit_is_refused_with_the_figure() {
        let error = allow_files(1 << 40, 1000).unwrap_err().to_string();
        assert!(error.contains(&((1_usize << 40) + 1000 + FILES_BESIDE_VISITS).to_string()), "{error}");
    }

    /// Regression: a fault set while another thread started a program failed with "address already in use".
    #[tokio::test]
    async fn an_address_is_waited_for() {
        let address = Ipv4Addr::new(127, 1, 0, 1);
        let taken = bind(address, 0).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let (taken, tries) = (Cell::new(Some(taken)), Cell::new(0));
        let third_time_free = async || {
            tries.set(tries.get() + 1);
            if tries.get() == 3 {
                drop(taken.take());
            }
            bind(address, port).await
        };
        assert_eq!(once_free(third_time_free).await.unwrap().local_addr().unwrap().port(), port);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_not_waited_for_for_ever() {
        let address = Ipv4Addr::new(127, 1, 0, 1);
        let taken = bind(address, 0).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(once_free(async || bind(address, port).await).await.is_err());
    }
}
