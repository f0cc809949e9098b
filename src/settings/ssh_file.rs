//! `[ssh] config`: what OpenSSH's configuration says of a device is the lowest layer, for what no other one says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DEFAULT_PORT, DEFAULT_TIMEOUTS, DeviceSettings, JumpHosts};
use crate::device::{CredentialId, Endpoint, HostKeyPolicy, JumpHost, Route, SshAlgorithms};
use crate::ssh_config::{Hop, HostEntry, SshConfig, expand};

/// What the names of credentials that come from the file begin with.
const IDENTITY: &str = "ssh_config:";

/// The file, and what it is read within.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshFile {
    /// What it says.
    pub config: SshConfig,
    /// Where it lies; relative names of files start from its folder.
    pub path: PathBuf,
    /// What `~` stands for, where that is known.
    pub home: Option<String>,
    /// The `[jump.NAME]` tables: where `ProxyJump` names one of them, that is meant.
    pub jumps: JumpHosts,
}

/// What the file says of one device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hints {
    /// Where to connect, in place of the address.
    pub host_name: Option<String>,
    /// The lowest layer of its settings.
    pub settings: DeviceSettings,
    /// Why its `ProxyJump` can't be followed, where it can't.
    pub no_way: Option<String>,
}

/// A user and a private key file that the file names together: a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user to log in as.
    pub user: String,
    /// The private key file.
    pub file: PathBuf,
}

impl Identity {
    /// The name of the credential.
    #[must_use]
    pub fn id(&self) -> Option<CredentialId> {
        CredentialId::new(&format!("{IDENTITY}{}:{}", self.user, self.file.display())).ok()
    }

    /// What a credential of such a name is made from.
    #[must_use]
    pub fn of(id: &CredentialId) -> Option<Self> {
        let (user, file) = id.as_str().strip_prefix(IDENTITY)?.split_once(':')?;
        Some(Self { user: user.to_owned(), file: PathBuf::from(file) })
    }
}

impl SshFile {
    /// What the file says of the device at this address, as it is written in the inventory.
    #[must_use]
    pub fn hints(&self, address: &str) -> Hints {
        let entry = self.config.host(address);
        let way = entry.proxy_jump.as_deref().map(|hops| self.way(hops, &mut vec![address.to_owned()]));
        let (route, no_way) = match way {
            None => (None, None),
            Some(Ok(hosts)) if hosts.is_empty() => (Some(Route::Direct), None),
            Some(Ok(hosts)) => (Some(Route::Via(hosts)), None),
            Some(Err(problem)) => (None, Some(problem)),
        };
        let settings = DeviceSettings {
            port: entry.port,
            credential: self.identity(&entry, entry.user.as_deref(), address),
            host_keys: policy(&entry),
            algorithms: entry.legacy.then_some(SshAlgorithms::Legacy),
            route,
            ..DeviceSettings::default()
        };
        Hints { host_name: entry.host_name, settings, no_way }
    }

    /// A file that is named in the file.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }

    fn identity(&self, entry: &HostEntry, user: Option<&str>, name: &str) -> Option<CredentialId> {
        let (user, file) = (user?, entry.identity_file.as_deref()?);
        let host = entry.host_name.as_deref().unwrap_or(name);
        let file = self.beside(&expand(file, self.home.as_deref(), host, user)?);
        Identity { user: user.to_owned(), file }.id()
    }

    /// The jump hosts of a `ProxyJump`. The first of them may have one of its own; `from` are those that lead here.
    fn way(&self, hops: &[Hop], from: &mut Vec<String>) -> Result<Vec<Arc<JumpHost>>, String> {
        let Some(first) = hops.first() else { return Ok(Vec::new()) };
        let mut hosts = Vec::new();
        if self.table(first).is_none() {
            let before = self.config.host(&first.host).proxy_jump.unwrap_or_default();
            if !before.is_empty() && from.contains(&first.host) {
                return Err(format!("its ProxyJump leads in a circle at {}", first.host));
            }
            from.push(first.host.clone());
            hosts = self.way(&before, from)?;
        }
        for hop in hops {
            let host = self.jump_host(hop)?;
            if hosts.contains(&host) {
                return Err(format!("its ProxyJump goes through {} twice", hop.host));
            }
            hosts.push(host);
        }
        Ok(hosts)
    }

    /// The `[jump.NAME]` table that is meant, where it is one; it is empty where that has problems of its own.
    fn table(&self, hop: &Hop) -> Option<&Option<Arc<JumpHost>>> {
        self.jumps.get(&hop.host).filter(|_| hop.user.is_none() && hop.port.is_none())
    }

    fn jump_host(&self, hop: &Hop) -> Result<Arc<JumpHost>, String> {
        let name = hop.host.as_str();
        if let Some(table) = self.table(hop) {
            return table.clone().ok_or_else(|| format!("its ProxyJump needs [jump.{name}]"));
        }
        let entry = self.config.host(name);
        let user = hop.user.as_deref().or(entry.user.as_deref());
        let credential = self.identity(&entry, user, name).ok_or_else(|| {
            format!("its ProxyJump {name} has no User and IdentityFile there, and there is no [jump.{name}]")
        })?;
        Ok(Arc::new(JumpHost {
            name: name.into(),
            host_keys: policy(&entry).unwrap_or_default(),
            algorithms: if entry.legacy { SshAlgorithms::Legacy } else { SshAlgorithms::Modern },
            endpoint: Endpoint {
                host: entry.host_name.unwrap_or_else(|| name.to_owned()),
                port: hop.port.or(entry.port).unwrap_or(DEFAULT_PORT),
            },
            credential,
            timeouts: DEFAULT_TIMEOUTS,
        }))
    }
}

fn policy(entry: &HostEntry) -> Option<HostKeyPolicy> {
    entry.strict.map(|strict| if strict { HostKeyPolicy::Strict } else { HostKeyPolicy::Learn })
}
