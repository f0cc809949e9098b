//! Who is connected: a limit on all, a limit on each client, and who gives way when one is reached. Whoever has said
//! nothing whole for the longest time does, so that no number of connections that dribble a request keeps out one that
//! brings it at once.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// All connections.
#[derive(Default)]
pub(super) struct Lobby {
    guests: Mutex<Guests>,
    /// Told when somebody left, or waits from now on and so can give way.
    changed: Notify,
}

#[derive(Default)]
struct Guests {
    /// The number of the next event: an arrival, or a request that is done with.
    next: u64,
    /// By number of arrival.
    all: BTreeMap<u64, Guest>,
}

struct Guest {
    client: IpAddr,
    /// Since when it brings no whole request that may come in, as a number of `next`; absent while one is being answered.
    waiting: Option<u64>,
    out: CancellationToken,
}

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) all: usize,
    pub(super) of_one_client: usize,
}

/// What becomes of a new connection.
enum Entry {
    Seated(Seat),
    Refused,
    Full,
}

impl Lobby {
    /// A seat for a new connection, once there is one. Nothing when its client has as many as it may, and all are being
    /// answered.
    pub(super) async fn enter(self: &Arc<Self>, peer: SocketAddr, limits: Limits) -> Option<Seat> {
        let client = client(peer);
        loop {
            let changed = self.changed.notified();
            match self.try_enter(client, limits) {
                Entry::Seated(seat) => return Some(seat),
                Entry::Refused => return None,
                Entry::Full => changed.await,
            }
        }
    }

    fn try_enter(self: &Arc<Self>, client: IpAddr, limits: Limits) -> Entry {
        let mut guests = self.guests();
        let of_client = guests.all.values().filter(|guest| guest.client == client).count();
        if of_client >= limits.of_one_client && !guests.show_out(|guest| guest.client == client) {
            return Entry::Refused;
        }
        // A reload may have made the limit smaller than what there is.
        while guests.all.len() >= limits.all {
            if !guests.show_out(|_| true) {
                return Entry::Full;
            }
        }
        let (number, out) = (guests.tick(), CancellationToken::new());
        guests.all.insert(number, Guest { client, waiting: Some(number), out: out.clone() });
        Entry::Seated(Seat { lobby: Arc::clone(self), number, out })
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guests {
    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Shows out the one of these that has waited longest; `false` when none waits.
    fn show_out(&mut self, among: impl Fn(&Guest) -> bool) -> bool {
        let waiting = self.all.iter().filter(|(_, guest)| among(guest));
        let longest = waiting.filter_map(|(number, guest)| Some((guest.waiting?, *number))).min();
        let guest = longest.and_then(|(_, number)| self.all.remove(&number));
        guest.map(|guest| guest.out.cancel()).is_some()
    }
}

/// Whose connection it is: in IPv6 a client has a whole network of 64 bits.
fn client(peer: SocketAddr) -> IpAddr {
    match peer.ip().to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

/// A connection's place; given back when it is dropped.
pub(super) struct Seat {
    lobby: Arc<Lobby>,
    number: u64,
    /// Cancelled when the connection is to give way.
    pub(super) out: CancellationToken,
}

impl Seat {
    /// A whole request has been let in; what is given back is kept until its answer has been made.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.set(|_| None);
        Busy(Arc::clone(self))
    }

    fn set(&self, waiting: impl Fn(&mut Guests) -> Option<u64>) {
        let mut guests = self.lobby.guests();
        let waiting = waiting(&mut guests);
        if let Some(guest) = guests.all.get_mut(&self.number) {
            guest.waiting = waiting;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lobby.guests().all.remove(&self.number);
        self.lobby.changed.notify_waiters();
    }
}

/// A request under way.
pub(super) struct Busy(Arc<Seat>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(|guests| Some(guests.tick()));
        self.0.lobby.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { all: 3, of_one_client: 2 };

    fn peer(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 1)
    }

    #[tokio::test]
    async fn whoever_has_waited_longest_gives_way() {
        let lobby = Arc::new(Lobby::default());
        let enter = async |address: &str| lobby.enter(peer(address), LIMITS).await.map(Arc::new);
        let first = enter("192.0.2.1").await.unwrap();
        let second = enter("192.0.2.1").await.unwrap();
        let other = enter("192.0.2.2").await.unwrap();
        drop(first.busy());
        // The second has waited longer now than the first, which was answered in between.
        let third = enter("192.0.2.1").await.unwrap();
        assert!(second.out.is_cancelled() && !first.out.is_cancelled() && !other.out.is_cancelled());
        // A client at its limit, of which all are being answered, gets no more.
        let busy = (first.busy(), third.busy());
        assert!(enter("192.0.2.1").await.is_none());
        // Others do, at the expense of who waits.
        let newcomer = enter("192.0.2.3").await.unwrap();
        assert!(other.out.is_cancelled());
        // Nobody waits: the next one is let in when somebody leaves.
        let _answered = newcomer.busy();
        let mut next = Box::pin(enter("192.0.2.4"));
        assert!(futures_util::poll!(&mut next).is_pending());
        drop(busy);
        assert!(next.await.is_some() && first.out.is_cancelled() && !third.out.is_cancelled());
    }

    #[test]
    fn a_client_of_ipv6_is_a_network() {
        assert_eq!(client(peer("2001:db8:1:2:3::4")), client(peer("2001:db8:1:2:ffff::1")));
        assert_ne!(client(peer("2001:db8:1:2::4")), client(peer("2001:db8:1:3::4")));
        assert_eq!(client(peer("::ffff:192.0.2.1")), client(peer("192.0.2.1")));
    }
}
