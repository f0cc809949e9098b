//! Which algorithms are offered, in which order. Modern ones only; what old devices need is opt-in and not built yet.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{Config, GexParams};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, SshId, cipher, compression, kex, mac};

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

const HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// What a session is allowed to buffer ahead of its reader, in bytes: answers are short, and thousands of sessions may
/// be open.
const WINDOW: u32 = 256 * 1024;

/// The session's settings. `known` are the types of the host keys already known for the server: they are asked for
/// first, so that a server with several keys shows the one that can be compared. After `silence` without any traffic
/// russh ends the session on its own; that is the last net under the visit's own limits.
pub(super) fn config(known: &[Algorithm], silence: Duration) -> Arc<Config> {
    Arc::new(Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-versweep_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW,
        channel_buffer_size: 8,
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Owned(host_key_order(known)),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        inactivity_timeout: Some(silence),
        gex: group_exchange(),
        nodelay: true,
        ..Config::default()
    })
}

/// 2048 bits preferred: 14 ms of CPU, where russh's own default asks for 8192 bits and takes a second.
fn group_exchange() -> GexParams {
    GexParams::new(2048, 2048, 8192).unwrap_or_default()
}

fn host_key_order(known: &[Algorithm]) -> Vec<Algorithm> {
    let is_known = |algorithm: &Algorithm| known.iter().any(|k| same_key_type(k, algorithm));
    let (first, then): (Vec<_>, Vec<_>) = HOST_KEYS.into_iter().partition(is_known);
    first.into_iter().chain(then).collect()
}

fn same_key_type(a: &Algorithm, b: &Algorithm) -> bool {
    let rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rsa { .. });
    a == b || (rsa(a) && rsa(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_come_first_and_none_is_lost() {
        let order = host_key_order(&[Algorithm::Rsa { hash: None }]);
        assert_eq!(order[0], Algorithm::Rsa { hash: Some(HashAlg::Sha512) });
        assert_eq!(order[2], Algorithm::Ed25519);
        assert_eq!(order.len(), HOST_KEYS.len());
    }

    #[test]
    fn nothing_from_yesterday_is_offered() {
        let all = KEX.iter().map(AsRef::<str>::as_ref).chain(MACS.iter().map(AsRef::<str>::as_ref));
        assert!(all.into_iter().all(|name| !name.ends_with("sha1")));
        assert!(CIPHERS.iter().all(|name| !AsRef::<str>::as_ref(name).ends_with("cbc")));
    }
}
