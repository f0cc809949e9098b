//! Names in known_hosts that have to be tried: hashed ones, wildcards, negations.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use sha1::Sha1;

use crate::wildcard;

/// Whether a name stands for itself only.
pub(super) fn is_plain(name: &str) -> bool {
    !name.starts_with('!') && !name.contains(['*', '?'])
}

/// Whether the entry is for the server `name` (in lower case).
pub(super) fn matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        // SHA-1 is the file format's; it only hides names here.
        HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
            .is_ok_and(|mac| mac.chain_update(name.as_bytes()).verify_slice(hash).is_ok()),
        HostPatterns::Patterns(patterns) => wildcard::chosen(patterns.iter().map(String::as_str), name),
    }
}
