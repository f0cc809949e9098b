//! Names in known_hosts that have to be tried: hashed ones, wildcards, negations.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use sha1::Sha1;

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
        HostPatterns::Patterns(patterns) => {
            let any = |negated: bool| {
                patterns.iter().any(|pattern| {
                    let bare = pattern.strip_prefix('!');
                    bare.is_some() == negated
                        && wildcard(bare.unwrap_or(pattern).to_lowercase().as_bytes(), name.as_bytes())
                })
            };
            any(false) && !any(true)
        }
    }
}

/// `*` stands for any run of characters, `?` for one. Goes back to the last star only, so it takes linear space and at
/// most quadratic time.
fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || Some(c) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    n = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*.lab", "r1.lab", true),
            ("r?.lab", "r1.lab", true),
            ("r?.lab", "r11.lab", false),
            ("*a*b", "xxaxxbxb", true),
            ("*", "", true),
            ("10.0.*", "10.1.0.1", false),
            ("[10.0.*]:2222", "[10.0.0.1]:2222", true),
        ] {
            assert_eq!(wildcard(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
