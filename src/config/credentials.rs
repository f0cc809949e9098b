//! Each `[credentials.NAME]`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::sweeps::non_empty;
use super::{Surroundings, secrets};
use crate::credential::{Agent, Credential, KeyMaterial};
use crate::device::CredentialId;
use crate::document::{Item, Section};

const KEYS: [&str; 9] = [
    "username",
    "password",
    "private_key",
    "passphrase",
    "certificate",
    "agent",
    "public_key",
    "enable",
    "logins_per_second",
];

/// The names of all of them, good or not, so that references to a broken one aren't called dangling too.
pub(super) fn names(root: &Section<'_>) -> BTreeSet<CredentialId> {
    let names = root.section("credentials").subsections();
    names.into_iter().filter_map(|(name, _)| CredentialId::new(name).ok()).collect()
}

/// All of them with their secrets read.
pub(super) fn credentials(
    root: &Section<'_>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> BTreeMap<CredentialId, Arc<Credential>> {
    let mut credentials = BTreeMap::new();
    for (name, table) in root.section("credentials").subsections() {
        match CredentialId::new(name) {
            Ok(id) => {
                if let Some(credential) = credential(&id, &table, around, warnings) {
                    credentials.insert(id, Arc::new(credential));
                }
            }
            Err(error) => table.refuse("has a bad name", &error.to_string()),
        }
    }
    credentials
}

fn credential(
    id: &CredentialId,
    table: &Section<'_>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Option<Credential> {
    table.only(&KEYS);
    let username = table.require("username", "the user to log in as").and_then(|item| username(&item));
    let mut secret = |key: &str| table.get(key).map(|item| secrets::read(&item, around, warnings));
    let (password, key, passphrase) = (secret("password"), secret("private_key"), secret("passphrase"));
    let enable = secret("enable");
    // Public, and yet read from the same places: it is renewed like a secret.
    let certificate = table.get("certificate").map(|item| secrets::read(&item, around, &mut Vec::new()));
    let agent = agent(table, around);
    let with_agent = agent.is_some();
    if certificate.is_some() && key.is_none() && !with_agent {
        table.refuse("has a certificate and no private_key for it", "give the key, or drop the certificate");
    }
    if password.is_none() && key.is_none() && !with_agent {
        table.refuse("has nothing to log in with", "give a password, a private_key or an agent");
    }
    if passphrase.is_some() && key.is_none() {
        table.refuse("has a passphrase and no private_key for it", "give the key, or drop the passphrase");
    }
    if key.is_some() && with_agent {
        table.refuse("has both a private_key and an agent", "one of the two");
    }
    Some(Credential {
        id: id.clone(),
        username: username?.to_owned(),
        password: password.flatten(),
        enable: enable.flatten(),
        private_key: key.flatten().map(|text| KeyMaterial { text, passphrase: passphrase.flatten() }),
        agent: agent.flatten(),
        logins_per_second: table
            .get("logins_per_second")
            .and_then(|item| item.number(1..=10_000))
            .and_then(|rate| u32::try_from(rate).ok()),
        certificate: certificate.flatten().map(|text| text.expose_secret().to_owned()),
    })
}

/// `agent` and `public_key`; the outer `None` where no agent is asked for, the inner one where something is wrong.
fn agent(table: &Section<'_>, around: &Surroundings<'_>) -> Option<Option<Agent>> {
    let item = table.get("agent").filter(|item| item.as_boolean() != Some(false));
    let public_key = table.get("public_key");
    let Some(item) = item else {
        if public_key.is_some() {
            table.refuse(
                "has a public_key and no agent that holds its other half",
                "agent = true, or drop it",
            );
        }
        return None;
    };
    let socket = match item.as_boolean() {
        Some(_) => (around.environment)("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).or_else(|| {
            item.refuse("needs SSH_AUTH_SOCK, which is not set", "set it, or agent = \"PATH\" of the socket");
            None
        }),
        None if item.as_text().is_none() => {
            item.refuse("is no agent", "true, or the path of its socket");
            None
        }
        None => non_empty(&item).map(str::to_owned),
    };
    let public_key = public_key.map(|item| match item.as_text() {
        Some(_) => non_empty(&item).map(str::to_owned),
        None => secrets::read(&item, around, &mut Vec::new()).map(|text| text.expose_secret().to_owned()),
    });
    let complete = || {
        let public_key = match public_key {
            Some(text) => Some(text?),
            None => None,
        };
        Some(Agent { socket: around.folder.join(socket?), public_key })
    };
    Some(complete())
}

fn username<'d>(item: &Item<'d>) -> Option<&'d str> {
    let text = item.text()?;
    if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        item.refuse("is not a user name", "1 to 255 bytes without control characters");
        return None;
    }
    Some(text)
}
