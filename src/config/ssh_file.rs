//! `[ssh] config`: OpenSSH's client configuration, and the private keys that it names.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

use super::sweeps::non_empty;
use super::{Config, FILE_MAX, Surroundings, secrets};
use crate::credential::{Credential, KeyMaterial};
use crate::device::{CredentialId, Device, Route};
use crate::document::{Problem, Problems, Section};
use crate::settings::{Identity, JumpHosts, SshFile};
use crate::ssh_config::{Remark, SshConfig, expand};

/// Reads the file. What is wrong in it is told with its own lines; the known_hosts files that it names for all hosts are
/// added to `known_hosts`.
pub(super) fn read(
    ssh: &Section<'_>,
    around: &Surroundings<'_>,
    jumps: &JumpHosts,
    known_hosts: &mut Vec<PathBuf>,
    warnings: &mut Vec<String>,
) -> Option<Arc<SshFile>> {
    let item = ssh.get("config")?;
    let path = around.folder.join(non_empty(&item)?);
    let text = match super::read_text(&path, FILE_MAX) {
        Ok(text) => text,
        Err(problem) => {
            item.refuse("can't be read", &format!("{}: {problem}", path.display()));
            return None;
        }
    };
    let config = SshConfig::parse(&text);
    let place =
        |remark: &Remark| format!("{}:{}: {} {}", path.display(), remark.line, remark.keyword, remark.text);
    warnings.extend(config.warnings.iter().map(place));
    for fault in &config.faults {
        ssh.document().note(Problem {
            file: path.display().to_string(),
            line: Some(fault.line),
            key: fault.keyword.clone(),
            problem: fault.text.clone(),
            ..Problem::default()
        });
    }
    let home = (around.environment)("HOME").filter(|home| !home.is_empty());
    let file = SshFile { config, path, home, jumps: jumps.clone() };
    for name in file.config.known_hosts() {
        match expand(name, file.home.as_deref(), "", "") {
            Some(name) => known_hosts.push(file.beside(&name)),
            None => warnings.push(format!(
                "{}: the known_hosts file {name} is left out: `~` and the token can't be filled in",
                file.path.display()
            )),
        }
    }
    Some(Arc::new(file))
}

impl Config {
    /// Reads the private keys that `[ssh] config` names for these devices and their jump hosts: each becomes a credential.
    ///
    /// # Errors
    /// One for each key that can't be read.
    pub fn take_identities(&mut self, devices: &[Arc<Device>]) -> Result<(), Problems> {
        let Some(file) = self.layers.ssh.clone() else { return Ok(()) };
        let mut problems = Problems::default();
        for id in used_by(devices) {
            let Some(identity) = Identity::of(&id).filter(|_| !self.credentials.contains_key(&id)) else {
                continue;
            };
            match secrets::from_key_file(&identity.file, &mut self.warnings) {
                Ok(text) => {
                    let credential = credential(&id, identity.user, text);
                    self.credentials.insert(id, Arc::new(credential));
                }
                Err(problem) => problems.0.push(Problem {
                    file: file.path.display().to_string(),
                    key: "IdentityFile".to_owned(),
                    problem: format!("can't be read: {}: {problem}", identity.file.display()),
                    ..Problem::default()
                }),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn used_by(devices: &[Arc<Device>]) -> BTreeSet<CredentialId> {
    let hosts = |device: &Device| match &device.route {
        Route::Direct => Vec::new(),
        Route::Via(hosts) => hosts.iter().map(|host| host.credential.clone()).collect(),
    };
    devices.iter().flat_map(|device| hosts(device).into_iter().chain([device.credential.clone()])).collect()
}

fn credential(id: &CredentialId, username: String, text: SecretString) -> Credential {
    Credential {
        id: id.clone(),
        username,
        password: None,
        enable: None,
        private_key: Some(KeyMaterial { text, passphrase: None }),
        agent: None,
        logins_per_second: None,
        certificate: None,
    }
}
