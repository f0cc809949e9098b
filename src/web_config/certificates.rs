//! What a client's certificate calls it: in the log, and in the tokens of its forms.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Reader as _, SliceReader, Tag, Tagged as _};
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use webpki::EndEntityCert;

use crate::text::acts;

/// `commonName` (X.520, 6.2.2).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The longest common name (RFC 5280, appendix A.1).
const NAME_MAX: usize = 64;

/// The common name of whom a certificate is of, behind `cert:`, so that it is no user's of a password. Where there is none, or
/// more than one, or one that could not be shown as it is: the SHA-256 of the certificate, behind `cert:sha256:`.
pub(super) fn name_of(certificate: &CertificateDer<'_>) -> String {
    let subject = EndEntityCert::try_from(certificate).ok();
    match subject.and_then(|parsed| common_name(parsed.subject()).ok().flatten()) {
        Some(name) if is_plain(&name) => format!("cert:{name}"),
        _ => {
            let hash = Sha256::digest(certificate);
            let digits = hash.iter().map(|byte| format!("{byte:02x}"));
            format!("cert:sha256:{}", digits.collect::<String>())
        }
    }
}

/// Whether it is shown as it is. That two names look alike by other letters is the authority's matter.
fn is_plain(name: &str) -> bool {
    let is_trimmed = !name.is_empty() && name.trim() == name;
    let is_seen = |c: char| !acts(c) && !is_unseen(c) && (c == ' ' || !c.is_whitespace());
    is_trimmed && name.chars().count() <= NAME_MAX && name.chars().all(|c| c != ':' && is_seen(c))
}

/// Characters that most fonts draw as nothing, beside those that act (Unicode's `Default_Ignorable_Code_Point`).
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// The one common name of a subject, given as what is in its SEQUENCE (RFC 5280, 4.1.2.4).
fn common_name(subject: &[u8]) -> der::Result<Option<String>> {
    let mut subject = SliceReader::new(subject)?;
    let mut names = Vec::new();
    while !subject.is_finished() {
        let parts: AnyRef<'_> = subject.decode()?;
        let mut parts = SliceReader::new(parts.value())?;
        while !parts.is_finished() {
            let read = |part: &mut SliceReader<'_>| -> der::Result<_> {
                let (kind, value): (ObjectIdentifier, AnyRef<'_>) = (part.decode()?, part.decode()?);
                Ok((kind == COMMON_NAME).then(|| text(value)))
            };
            names.extend(parts.sequence(read)?);
        }
    }
    Ok(if names.len() == 1 { names.remove(0) } else { None })
}

/// A text in one of the forms that are written today.
fn text(value: AnyRef<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
            String::from_utf8(value.value().to_vec()).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;

    fn named(parts: &[(DnType, DnValue)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        name_of(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der())
    }

    fn called(name: &str) -> String {
        named(&[(DnType::CommonName, name.into())])
    }

    #[test]
    fn a_certificate_is_called_by_its_common_name() {
        assert_eq!(called("Zoë Ops"), "cert:Zoë Ops");
        assert_eq!(called(&"ö".repeat(64)), format!("cert:{}", "ö".repeat(64)));
        let printable = DnValue::PrintableString("ops".try_into().unwrap());
        let parts = [(DnType::OrganizationName, "Nets".into()), (DnType::CommonName, printable)];
        assert_eq!(named(&parts), "cert:ops");
    }

    #[test]
    fn a_name_that_would_not_be_told_apart_is_a_fingerprint() {
        let long = "a".repeat(65);
        for name in [
            "",
            " ",
            "ops ",
            "sha256:00",
            "a\nb",
            "a\u{1b}[2Jb",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{ad}b",
            "a\u{a0}b",
            &long,
        ] {
            let name = called(name);
            let hex = name.strip_prefix("cert:sha256:").unwrap();
            assert!(hex.len() == 64 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()), "{name}");
        }
        let other = DnValue::BmpString("ops".try_into().unwrap());
        for parts in [&[][..], &[(DnType::OrganizationName, "ops".into())], &[(DnType::CommonName, other)]] {
            let name = named(parts);
            assert!(name.starts_with("cert:sha256:"), "{name}");
            assert_ne!(name, named(parts), "each certificate has its own");
        }
        assert!(name_of(&vec![0x30, 0x80].into()).starts_with("cert:sha256:"));
    }

    #[test]
    fn a_subject_that_is_broken_or_names_two_has_no_name() {
        // SET { SEQUENCE { 2.5.4.3, UTF8String "a" } }
        let one = [0x31, 0x0a, 0x30, 0x08, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x01, b'a'];
        assert_eq!(common_name(&one).unwrap().as_deref(), Some("a"));
        assert_eq!(common_name(&[one, one].concat()).unwrap(), None);
        assert_eq!(common_name(&[]).unwrap(), None);
        for cut in 1..one.len() {
            assert!(common_name(&one[..cut]).is_err(), "{cut}");
        }
    }
}
