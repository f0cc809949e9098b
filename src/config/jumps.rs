//! Each `[jump.NAME]`: a server on the way to devices that can't be reached from here.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::device::{CredentialId, Endpoint, JumpHost, NAME_MAX, Timeouts};
use crate::document::{Item, Section};
use crate::platform::Platforms;
use crate::settings::{DEFAULT_PORT, DEFAULT_TIMEOUTS, DeviceSettings, JumpHosts, References};

const KEYS: [&str; 7] =
    ["address", "port", "credential", "host_keys", "legacy_ssh", "connect_timeout", "login_timeout"];

/// Reads all of them. One with problems is kept by its name, so that devices that name it aren't called wrong too.
pub(super) fn jumps(
    root: &Section<'_>,
    platforms: &Platforms,
    credentials: &BTreeSet<CredentialId>,
) -> JumpHosts {
    let none = JumpHosts::new();
    let references = References { platforms, platforms_complete: true, credentials, jumps: &none };
    let tables = root.section("jump").subsections();
    tables.into_iter().map(|(name, table)| (name.to_owned(), jump(name, &table, &references))).collect()
}

fn jump(name: &str, table: &Section<'_>, references: &References<'_>) -> Option<Arc<JumpHost>> {
    table.only(&KEYS);
    let own = DeviceSettings::read(|key| table.get(key), references, Some(DEFAULT_TIMEOUTS.visit));
    let host = table.require("address", "a host name or an IP address").and_then(|item| address(&item));
    let _ = table.require("credential", "the NAME of a [credentials.NAME]: a jump host has one of its own");
    Some(Arc::new(JumpHost {
        name: name.into(),
        endpoint: Endpoint { host: host?, port: own.port.unwrap_or(DEFAULT_PORT) },
        credential: own.credential?,
        host_keys: own.host_keys.unwrap_or_default(),
        algorithms: own.algorithms.unwrap_or_default(),
        timeouts: Timeouts {
            connect: own.connect_timeout.unwrap_or(DEFAULT_TIMEOUTS.connect),
            login: own.login_timeout.unwrap_or(DEFAULT_TIMEOUTS.login),
            ..DEFAULT_TIMEOUTS
        },
    }))
}

fn address(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let bad = |c: char| c.is_whitespace() || c.is_control() || "[]/@".contains(c);
    if text.is_empty() || text.len() > NAME_MAX || text.contains(bad) {
        item.refuse("is not an address", "a host name or an IP address; a port is given as port");
        return None;
    }
    Some(text.to_owned())
}
