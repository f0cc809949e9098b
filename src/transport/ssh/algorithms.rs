//! Which algorithms are offered, in which order: the modern ones, and after them, where a device's `legacy_ssh` says so,
//! those that old devices need (rule 17). A server that can do better is never talked down: the client's order decides.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{Config, GexParams};
use russh::keys::ssh_encoding::Decode;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, SshId, cipher, compression, kex, mac};

use crate::device::SshAlgorithms;

use super::peer::{Peer, Role};

/// curve25519 stands before ML-KEM: a sweep's secrets are short-lived and its visits many, and ML-KEM first makes each
/// login cost half as much CPU again. Group exchange comes last, since the server chooses how dear it is.
const KEX: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::MLKEM768X25519_SHA256,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G14_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_GEX_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// AES-GCM is the cheapest on anything with AES instructions.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

static HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

const LEGACY_KEX: &[kex::Name] = &[kex::DH_G14_SHA1, kex::DH_GEX_SHA1, kex::DH_G1_SHA1];

const LEGACY_CIPHERS: &[cipher::Name] =
    &[cipher::AES_128_CBC, cipher::AES_192_CBC, cipher::AES_256_CBC, cipher::TRIPLE_DES_CBC];

const LEGACY_MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

const LEGACY_HOST_KEYS: [Algorithm; 2] = [Algorithm::Rsa { hash: None }, Algorithm::Dsa];

/// What a session is allowed to buffer ahead of its reader, in bytes: answers are short, and thousands of sessions may
/// be open.
const WINDOW: u32 = 256 * 1024;

/// What russh's own silence limit is above the visit's deadline: it must never be the first to strike.
const SILENCE_MARGIN: Duration = Duration::from_secs(5);

/// How often a jump host that has nothing to say is asked whether it is still there; after the fourth time without an
/// answer it isn't. Its connection may well be silent for longer than any one visit.
const STILL_THERE: Duration = Duration::from_secs(15);

/// The session's settings. `known` are the types of the host keys already known for the server: they are asked for
/// first, so that a server with several keys shows the one that can be compared. After some time without any traffic
/// russh ends the session on its own; that is the last net under the visit's own limits.
///
/// Where an `authority` for host certificates is known, they are asked for; a server without one shows its key.
pub(super) fn config(peer: &Peer<'_>, known: &[Algorithm], authority: bool) -> Arc<Config> {
    let offered = peer.algorithms;
    let of_visit = peer.role == Role::Device;
    Arc::new(Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-versweep_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW,
        channel_buffer_size: 8,
        preferred: Preferred {
            kex: with_legacy(offered, KEX, LEGACY_KEX),
            key: Cow::Owned(host_key_order(offered, known)),
            host_key_certificates: Cow::Borrowed(if authority { &HOST_KEYS } else { &[] }),
            cipher: with_legacy(offered, CIPHERS, LEGACY_CIPHERS),
            mac: with_legacy(offered, MACS, LEGACY_MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        inactivity_timeout: of_visit.then_some(peer.timeouts.visit + SILENCE_MARGIN),
        keepalive_interval: (!of_visit).then_some(STILL_THERE),
        gex: group_exchange(offered),
        nodelay: true,
        ..Config::default()
    })
}

fn with_legacy<T: Clone>(
    offered: SshAlgorithms,
    modern: &'static [T],
    legacy: &'static [T],
) -> Cow<'static, [T]> {
    match offered {
        SshAlgorithms::Modern => Cow::Borrowed(modern),
        SshAlgorithms::Legacy => Cow::Owned([modern, legacy].concat()),
    }
}

/// 2048 bits preferred: 14 ms of CPU, where russh's own default asks for 8192 bits and takes a second. Old devices that
/// have 1024 bits only are met by a lower least size.
fn group_exchange(offered: SshAlgorithms) -> GexParams {
    match offered {
        SshAlgorithms::Modern => GexParams::new(2048, 2048, 8192).unwrap_or_default(),
        SshAlgorithms::Legacy => {
            // `new` refuses less than 2048 bits; the wire form of the same three numbers is read without that check.
            let sizes = [1024_u32, 2048, 8192].map(u32::to_be_bytes).concat();
            GexParams::decode(&mut sizes.as_slice()).unwrap_or_default()
        }
    }
}

fn host_key_order(offered: SshAlgorithms, known: &[Algorithm]) -> Vec<Algorithm> {
    let is_known = |algorithm: &Algorithm| known.iter().any(|k| same_key_type(k, algorithm));
    let (mut order, then): (Vec<_>, Vec<_>) = HOST_KEYS.iter().cloned().partition(is_known);
    order.extend(then);
    if offered == SshAlgorithms::Legacy {
        // A known DSA key comes first as well: a device that has a new key beside it would look changed otherwise.
        let (known_old, other_old): (Vec<_>, Vec<_>) = LEGACY_HOST_KEYS
            .into_iter()
            .partition(|algorithm| *algorithm == Algorithm::Dsa && is_known(algorithm));
        order = known_old.into_iter().chain(order).chain(other_old).collect();
    }
    order
}

/// Whether an algorithm of that name is offered only where `legacy_ssh` says so.
pub(super) fn is_legacy(name: &str) -> bool {
    LEGACY_KEX.iter().any(|old| old.as_ref() == name)
        || LEGACY_CIPHERS.iter().any(|old| old.as_ref() == name)
        || LEGACY_MACS.iter().any(|old| old.as_ref() == name)
        || LEGACY_HOST_KEYS.iter().any(|old| old.as_str() == name)
}

/// Those of the names that are legacy ones.
pub(super) fn legacy_among(names: &[&str]) -> Vec<String> {
    names.iter().filter(|name| is_legacy(name)).map(|name| (*name).to_owned()).collect()
}

fn same_key_type(a: &Algorithm, b: &Algorithm) -> bool {
    let rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rsa { .. });
    a == b || (rsa(a) && rsa(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::device::{CredentialId, Endpoint, HostKeyPolicy, Timeouts};

    fn preferred(algorithms: SshAlgorithms) -> Preferred {
        let endpoint = Endpoint { host: "192.0.2.1".to_owned(), port: 22 };
        let credential = CredentialId::new("lab").unwrap();
        let limit = Duration::from_secs(1);
        let timeouts = Timeouts { visit: limit, connect: limit, login: limit, command: limit };
        let (host_keys, role) = (HostKeyPolicy::Learn, Role::Device);
        let peer =
            Peer { endpoint: &endpoint, credential: &credential, host_keys, algorithms, timeouts, role };
        config(&peer, &[], false).preferred.clone()
    }

    #[test]
    fn known_types_come_first_and_none_is_lost() {
        let order = host_key_order(SshAlgorithms::Modern, &[Algorithm::Rsa { hash: None }]);
        assert_eq!(order[0], Algorithm::Rsa { hash: Some(HashAlg::Sha512) });
        assert_eq!(order[2], Algorithm::Ed25519);
        assert_eq!(order.len(), HOST_KEYS.len());
    }

    #[test]
    fn nothing_from_yesterday_is_offered_unasked() {
        let preferred = preferred(SshAlgorithms::Modern);
        let names = preferred.kex.iter().map(AsRef::<str>::as_ref);
        let names = names.chain(preferred.cipher.iter().map(AsRef::<str>::as_ref));
        let names = names.chain(preferred.mac.iter().map(AsRef::<str>::as_ref));
        let names = names.chain(preferred.key.iter().map(Algorithm::as_str));
        for name in names {
            assert!(!is_legacy(name) && !name.ends_with("sha1") && !name.ends_with("cbc"), "{name}");
        }
    }

    #[test]
    fn legacy_comes_after_all_that_is_modern() {
        let preferred = preferred(SshAlgorithms::Legacy);
        assert!(preferred.kex.starts_with(KEX) && preferred.kex.ends_with(LEGACY_KEX));
        assert!(preferred.cipher.starts_with(CIPHERS) && preferred.cipher.ends_with(LEGACY_CIPHERS));
        assert!(preferred.mac.starts_with(MACS) && preferred.mac.ends_with(LEGACY_MACS));
        assert!(preferred.key.starts_with(&HOST_KEYS) && preferred.key.ends_with(&LEGACY_HOST_KEYS));
    }

    /// What OpenSSH's configuration may name to ask for `legacy_ssh` is what that offers.
    #[test]
    fn the_legacy_names_are_the_same_everywhere() {
        let count = LEGACY_KEX.len() + LEGACY_CIPHERS.len() + LEGACY_MACS.len() + LEGACY_HOST_KEYS.len();
        assert_eq!(SshAlgorithms::LEGACY.len(), count);
        assert!(SshAlgorithms::LEGACY.into_iter().all(is_legacy));
    }

    #[test]
    fn groups_of_1024_bits_are_for_old_devices() {
        let sizes = |offered| {
            let gex = group_exchange(offered);
            (gex.min_group_size(), gex.preferred_group_size(), gex.max_group_size())
        };
        assert_eq!(sizes(SshAlgorithms::Modern), (2048, 2048, 8192));
        assert_eq!(sizes(SshAlgorithms::Legacy), (1024, 2048, 8192));
    }
}
