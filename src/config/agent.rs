//! `agent` of a credential: an ssh-agent that signs, so that versweep never has the private key.

use std::path::PathBuf;

use super::{Surroundings, secrets};
use crate::credential::Agent;
use crate::document::{Item, Section};

/// Where OpenSSH's tools look for the agent.
const VARIABLE: &str = "SSH_AUTH_SOCK";

/// The agent of a credential; `has_key` is whether it has a private key as well.
pub(super) fn agent(table: &Section<'_>, around: &Surroundings<'_>, has_key: bool) -> Option<Agent> {
    // Public, and yet read from the same places: it is renewed like a secret.
    let public_key = table.get("public_key").map(|item| secrets::read(&item, around, &mut Vec::new()));
    let wanted = table.get("agent").filter(|item| item.as_text().is_some() || item.boolean() != Some(false));
    let Some(item) = wanted else {
        if public_key.is_some() {
            table.refuse("has a public_key and no agent that signs for it", "add agent = true");
        }
        return None;
    };
    if has_key {
        table.refuse("has an agent and a private_key", "one of them: a device is shown one key");
    }
    let socket = socket(&item, around)?;
    let public_key = match public_key {
        Some(text) => Some(secrecy::ExposeSecret::expose_secret(&text?).to_owned()),
        None => None,
    };
    Some(Agent { socket, public_key })
}

fn socket(item: &Item<'_>, around: &Surroundings<'_>) -> Option<PathBuf> {
    if let Some(path) = item.as_text() {
        if path.is_empty() {
            item.refuse("is no socket", "true, or the path of the agent's socket");
            return None;
        }
        return Some(around.folder.join(path));
    }
    let socket = (around.environment)(VARIABLE).filter(|path| !path.is_empty());
    if socket.is_none() {
        let allowed = format!("set {VARIABLE} for versweep's process, or give the path of the agent's socket");
        item.refuse("finds no agent", &allowed);
    }
    socket.map(PathBuf::from)
}
