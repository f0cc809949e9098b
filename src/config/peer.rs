//! The keys of a table that names a server to speak HTTP with: the same for all of them.

use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Surroundings, secrets};
use crate::document::{Item, Section};
use crate::fetch::{Login, Manners, Peer, Reach, Roots, Target};

/// The keys that [`read`] asks for; the table may have others beside them.
pub(super) const KEYS: [&str; 7] =
    ["url", "timeout", "ca_file", "allow_private", "bearer", "username", "password"];

/// A server that needs longer for an answer is as good as down, and one second is a slow link's handshake.
pub(super) const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);

/// What a kind of server needs where the table doesn't say.
pub(super) struct Defaults {
    /// The whole of a request.
    pub(super) timeout: Duration,
    /// The most bytes of an answer.
    pub(super) max_bytes: usize,
}

/// Reads the keys. A wrong one is noted, and then there is no peer.
pub(super) fn read(
    table: &Section<'_>,
    defaults: &Defaults,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Option<Peer> {
    let target = table
        .require("url", "url = \"https://HOST/PATH\", or a secret as a password is")
        .and_then(|item| target(&item, around, warnings));
    let timeout = table.get("timeout").map_or(Some(defaults.timeout), |item| item.duration(&TIMEOUT));
    let private = table.get("allow_private").map_or(Some(false), |item| item.boolean());
    let roots = table.get("ca_file").map_or(Some(Roots::System), |item| roots(&item, around));
    let login = login(table, around, warnings);
    let manners = Manners {
        timeout: timeout?,
        max_bytes: defaults.max_bytes,
        reach: if private? { Reach::Anywhere } else { Reach::Public },
        roots: roots?,
    };
    Some(Peer { target: target?, manners, login: login? })
}

/// Never shown: chat services put the key into the path.
fn target(item: &Item<'_>, around: &Surroundings<'_>, warnings: &mut Vec<String>) -> Option<Target> {
    let secret: SecretString = match item.as_text() {
        Some(text) => text.into(),
        None => secrets::read(item, around, warnings)?,
    };
    match Target::parse(secret.expose_secret().trim()) {
        Ok(target) => Some(target),
        Err(error) => {
            item.refuse_hidden(
                &error.to_string(),
                "an address such as \"https://hooks.example.net/versweep\"",
            );
            None
        }
    }
}

pub(super) fn roots(item: &Item<'_>, around: &Surroundings<'_>) -> Option<Roots> {
    let path = around.folder.join(item.text()?);
    match Roots::read(&path) {
        Ok(roots) => Some(roots),
        Err(error) => {
            item.refuse("can't be used", &format!("{}: {error}", path.display()));
            None
        }
    }
}

/// `None` when something is wrong, `Some(None)` when nobody logs in.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether the keys are right, like in all readers here"
)]
pub(super) fn login(
    table: &Section<'_>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Option<Option<Login>> {
    let mut secret = |item: Item<'_>| secrets::read(&item, around, warnings);
    match (table.get("bearer"), table.get("username"), table.get("password")) {
        (None, None, None) => Some(None),
        (Some(bearer), None, None) => Some(Some(Login::Bearer(secret(bearer)?))),
        (None, Some(username), Some(password)) => {
            let (name, password) = (username.text()?, secret(password));
            if name.contains(':') || name.chars().any(char::is_control) {
                username.refuse("is not a user name", "a name without colons and control characters");
                return None;
            }
            Some(Some(Login::Basic { username: name.to_owned(), password: password? }))
        }
        _ => {
            table
                .refuse("has half a login", "bearer = SECRET, or username = \"NAME\" with password = SECRET");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::document::Document;

    const DEFAULTS: Defaults = Defaults { timeout: Duration::from_secs(10), max_bytes: 64 << 10 };

    /// What the keys mean, and what is wrong with them.
    fn peer(text: &str) -> (Option<Peer>, String) {
        let document = Document::new("versweep.toml", text);
        let environment = |name: &str| match name {
            "PLANTED" => Some("planted".to_owned()),
            "PLANTED_URL" => Some("https://hooks.example.net/planted\n".to_owned()),
            _ => None,
        };
        let around = Surroundings {
            folder: Path::new("/nowhere"),
            environment: &environment,
            flags: &Default::default(),
        };
        let table = document.parse();
        let root = document.root(table.as_ref());
        root.only(&KEYS);
        let peer = read(&root, &DEFAULTS, &around, &mut Vec::new());
        (peer, document.into_problems().to_string())
    }

    #[test]
    fn a_peer_is_public_and_trusted_by_the_system_unless_said_otherwise() {
        let (plain, problems) = peer("url = 'https://hooks.example.net/x'");
        assert_eq!(problems, "");
        let plain = plain.unwrap();
        assert_eq!((plain.manners.reach, &plain.manners.roots), (Reach::Public, &Roots::System));
        assert_eq!((plain.manners.timeout, plain.login), (Duration::from_secs(10), None));

        let (peer, problems) = peer(
            "url = { env = 'PLANTED_URL' }\nallow_private = true\ntimeout = '3s'\nusername = 'me'\npassword = { env = 'PLANTED' }",
        );
        let peer = peer.unwrap_or_else(|| panic!("{problems}"));
        assert_eq!((peer.manners.reach, peer.manners.timeout), (Reach::Anywhere, Duration::from_secs(3)));
        assert_eq!(
            peer.login,
            Some(Login::Basic { username: "me".to_owned(), password: "planted".to_owned().into() })
        );
        let shown = format!("{peer:?}");
        assert!(!shown.contains("planted"), "{shown}");
    }

    #[test]
    fn what_is_wrong_with_a_peer_is_told_without_its_secrets() {
        for (text, problem) in [
            ("", "has no url"),
            ("url = 'planted'", "url: is not a url"),
            ("url = 'ftp://planted/'", "url: is neither http nor https"),
            ("url = 'https://a:planted@b/'", "url: has a user or a password in it"),
            ("url = 'https://b/planted'\nbearer = 'planted'", "bearer: a secret is not written here"),
            ("url = 'https://b/planted'\nusername = 'me'", "has half a login"),
            ("url = 'https://b/planted'\nca_file = 'no.pem'", "/nowhere/no.pem: No such file"),
            (
                "url = 'https://b/planted'\nusername = 'a:b'\npassword = { env = 'PLANTED' }",
                "is not a user name",
            ),
            ("url = 'https://b/planted'\ntimeout = '1h'", "timeout: \"1h\" is out of range"),
        ] {
            let (peer, problems) = peer(text);
            assert_eq!(peer, None, "{text}");
            assert!(problems.contains(problem) && !problems.contains("planted"), "{text}:\n{problems}");
        }
    }
}
