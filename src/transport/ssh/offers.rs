//! What servers were seen to offer for a login, so that only the first visit has to ask.
//!
//! Asking costs a round trip (`none`, which the server refuses with the list of its methods). Sending the password unasked
//! would save it, but then a server that takes passwords only by keyboard-interactive would get it by both methods.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use russh::MethodSet;

use crate::device::CredentialId;

use super::peer::Peer;

/// The most servers remembered; beyond it all is forgotten, which costs each of them one round trip.
const SERVERS_MAX: usize = 100_000;

/// What is remembered of one server and one credential.
#[derive(Debug, Clone, Default)]
pub(super) struct Offer {
    /// The methods it named when it was asked.
    pub(super) methods: Option<MethodSet>,
    /// It was waited for, and did not say which RSA signatures it takes.
    pub(super) silent_on_rsa: bool,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub(super) struct Offers(Mutex<HashMap<(String, CredentialId), Offer>>);

impl Offers {
    /// What is remembered of that server.
    pub(super) fn of(&self, peer: &Peer<'_>) -> Offer {
        self.with(|offers| offers.get(&key(peer)).cloned()).unwrap_or_default()
    }

    /// Remembers what a login that went well began from.
    pub(super) fn remember(&self, peer: &Peer<'_>, offer: Offer) {
        self.with(|offers| {
            if offers.len() >= SERVERS_MAX {
                offers.clear();
            }
            offers.insert(key(peer), offer);
        });
    }

    /// Forgets a server: it may have been configured anew.
    pub(super) fn forget(&self, peer: &Peer<'_>) {
        self.with(|offers| offers.remove(&key(peer)));
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<(String, CredentialId), Offer>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn key(peer: &Peer<'_>) -> (String, CredentialId) {
    (peer.endpoint.to_string(), peer.credential.clone())
}
