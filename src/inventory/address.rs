//! What may stand as a device's address.

use std::net::{IpAddr, Ipv6Addr};

/// The host in an address as written: a host name, an IPv4 address, or an IPv6 address with or without brackets, which
/// are taken off. A zone such as `%eth0` is kept.
///
/// # Errors
/// Says what is wrong with it.
pub fn host_from(text: &str) -> Result<String, &'static str> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return if is_v6(inner) { Ok(inner.to_owned()) } else { Err("is not an ipv6 address") };
    }
    if text.parse::<IpAddr>().is_ok() || is_v6(text) || is_host_name(text) {
        return Ok(text.to_owned());
    }
    let before_port =
        text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map(|(host, _)| host);
    match before_port {
        Some(host) if host_from(host).is_ok() => Err("has a port in it, which has a key of its own"),
        _ => Err("is not an address"),
    }
}

fn is_v6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "lo"));
    let zone_good =
        !zone.is_empty() && zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    zone_good && zone.len() <= 15 && address.parse::<Ipv6Addr>().is_ok()
}

/// A host name as DNS and the hosts file take it; underscores are seen in the field. One whose last label is all digits
/// is a mistyped IPv4 address (RFC 1123, section 2.1).
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let labels_good = name.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    });
    let last_is_number =
        name.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    labels_good && !last_is_number && name.len() <= 253
}

#[cfg(test)]
mod tests {
    use super::host_from;

    #[test]
    fn takes_names_and_addresses() {
        for text in ["192.0.2.1", "core1.ams", "core-1", "sw_3.example.net.", "2001:db8::1", "fe80::1%eth0"] {
            assert_eq!(host_from(text), Ok(text.to_owned()));
        }
        assert_eq!(host_from("[2001:db8::1]"), Ok("2001:db8::1".to_owned()));
    }

    #[test]
    fn refuses_what_cannot_be_one() {
        let long = "a".repeat(64);
        for text in [
            "",
            " ",
            "192.0.2.300",
            "192.0.2",
            "a b",
            "-a",
            "a..b",
            "[192.0.2.1]",
            "[]",
            "fe80::1%",
            "ssh://a",
            &long,
        ] {
            assert!(host_from(text).is_err(), "{text:?}");
        }
        assert_eq!(host_from("192.0.2.1:22"), Err("has a port in it, which has a key of its own"));
        assert_eq!(host_from("[2001:db8::1]:22"), Err("has a port in it, which has a key of its own"));
    }
}
