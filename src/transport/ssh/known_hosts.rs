//! Known host keys: OpenSSH's files read once, versweep's own file added to.
//!
//! Learned keys are *appended* to versweep's own file, all that are waiting in one write and one fsync, so that a first
//! sweep of 10,000 devices rewrites nothing and loses nothing. A crash can tear the last line only; no visit had gone on
//! with that key yet (a login waits for the fsync), loading skips the line with a warning, and the next write begins on a
//! line of its own. An operator's edit of the file is kept, and takes effect at the next load.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::ssh_key::Fingerprint;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use tracing::warn;

use crate::device::Endpoint;

use super::keys::SshSetupError;

#[cfg(any(test, fuzzing))]
mod fuzzing;
mod pattern;
mod pins;

#[cfg(any(test, fuzzing))]
pub use fuzzing::known_hosts as fuzz;

pub(super) use pins::PinError;

/// What a line says of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is the server's own.
    Trusted,
    /// `@cert-authority`: it signs the certificates of servers.
    Authority,
    /// `@revoked`: never to be trusted, as whatever.
    Revoked,
}

/// A key that stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    key: Arc<KeyData>,
    standing: Standing,
    file: Arc<Path>,
    /// Counted from 1.
    line: usize,
}

impl Known {
    pub(super) fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// Whether it signs certificates.
    pub(super) fn is_authority(&self) -> bool {
        self.standing == Standing::Authority
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint(HashAlg::Sha256)
    }

    /// The fingerprint and where the key stands.
    pub(super) fn place(&self) -> String {
        format!("{} ({}:{})", self.key.fingerprint(HashAlg::Sha256), self.file.display(), self.line)
    }
}

/// What the files say of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the known one.
    Known,
    /// Nothing is known of this server.
    Unknown,
    /// Other keys are known. A key of another *type* counts as well: the known types are asked for first, so that a
    /// server that still has its old key shows it, and an impostor can't slip in by showing another type.
    Changed(Known),
    /// It is listed as revoked.
    Revoked(Known),
}

/// Judges a key by those known for its server.
pub(super) fn judge(known: &[Known], key: &PublicKey) -> Verdict {
    let same = |entry: &&Known| *entry.key == *key.key_data();
    if let Some(entry) = revoked(known, key.key_data()) {
        return Verdict::Revoked(entry);
    }
    let mut trusted = known.iter().filter(|entry| entry.standing == Standing::Trusted);
    if trusted.clone().any(|entry| same(&entry)) {
        return Verdict::Known;
    }
    let same_type = trusted.clone().find(|entry| entry.key.algorithm() == key.key_data().algorithm());
    same_type.or_else(|| trusted.next()).map_or(Verdict::Unknown, |entry| Verdict::Changed(entry.clone()))
}

/// The line that revokes this key, whether it is a server's or an authority's.
pub(super) fn revoked(known: &[Known], key: &KeyData) -> Option<Known> {
    let mut revoked = known.iter().filter(|entry| entry.standing == Standing::Revoked);
    revoked.find(|entry| *entry.key == *key).cloned()
}

/// All known host keys.
#[derive(Debug)]
pub(super) struct KnownHosts {
    own: Arc<Path>,
    table: Mutex<Table>,
    pins: pins::Pins,
}

#[derive(Debug, Default)]
struct Table {
    /// Entries under plain names, in lower case.
    exact: HashMap<String, Vec<Known>>,
    /// Hashed names and names with wildcards: each lookup has to try them all.
    patterns: Vec<(HostPatterns, Known)>,
    /// What those tries found, since ten thousand hashes take milliseconds. Bounded by the inventory.
    tried: HashMap<String, Vec<Known>>,
    /// Lines in versweep's own file.
    own_lines: usize,
}

impl KnownHosts {
    /// Reads versweep's own file and the others. A line that can't be understood is warned about and left out: under
    /// `strict` its devices fail, under `learn` they are learned anew.
    ///
    /// # Errors
    /// One for each file that is there and can't be read.
    pub(super) fn load(own: PathBuf, others: &[PathBuf]) -> Result<Self, Vec<SshSetupError>> {
        let own: Arc<Path> = own.into();
        let table = Table::load(&own, others)?;
        Ok(Self { own, table: Mutex::new(table), pins: pins::Pins::default() })
    }

    /// Whether this is the file that learned keys go to.
    pub(super) fn writes_to(&self, path: &Path) -> bool {
        *self.own == *path
    }

    /// Reads all files anew. No key is being written meanwhile, so none is lost. Blocks.
    ///
    /// # Errors
    /// As [`KnownHosts::load`]; what was known stays known.
    pub(super) fn read_again(&self, others: &[PathBuf]) -> Result<(), Vec<SshSetupError>> {
        let _turn = self.pins.turn();
        let table = Table::load(&self.own, others)?;
        self.with_table(|present| *present = table);
        Ok(())
    }

    /// The keys known under a server's name.
    pub(super) fn lookup(&self, name: &str) -> Vec<Known> {
        self.with_table(|table| table.lookup(name))
    }

    fn with_table<T>(&self, act: impl FnOnce(&mut Table) -> T) -> T {
        act(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A server's name in known_hosts: `host`, or `[host]:port` for a port other than 22.
pub(super) fn name_of(endpoint: &Endpoint) -> String {
    let host = endpoint.host.to_lowercase();
    if endpoint.port == 22 { host } else { format!("[{host}]:{}", endpoint.port) }
}

impl Table {
    fn load(own: &Arc<Path>, others: &[PathBuf]) -> Result<Self, Vec<SshSetupError>> {
        let mut table = Self::default();
        let mut errors = Vec::new();
        for path in others {
            errors.extend(table.read(&Arc::from(path.as_path())).err());
        }
        match table.read(own) {
            Ok(lines) => table.own_lines = lines,
            Err(error) => errors.push(error),
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    /// Reads a file; the number of its lines. A file that isn't there is as good as an empty one.
    fn read(&mut self, file: &Arc<Path>) -> Result<usize, SshSetupError> {
        let text = match std::fs::read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => {
                return Err(SshSetupError::KnownHosts {
                    file: file.to_path_buf(),
                    problem: error.to_string(),
                });
            }
        };
        Ok(self.add_text(&text, file))
    }

    /// Takes in a file's text; the number of its lines.
    fn add_text(&mut self, text: &str, file: &Arc<Path>) -> usize {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                self.add_line(line, file, index + 1);
            }
        }
        text.lines().count()
    }

    fn add_line(&mut self, text: &str, file: &Arc<Path>, line: usize) {
        // Fields may stand apart by tabs or several spaces; the parser knows single spaces only.
        let fields = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let entry: Entry = match fields.parse() {
            Ok(entry) => entry,
            Err(error) => {
                return warn!("{}:{line}: not a known_hosts line ({error}), left out", file.display());
            }
        };
        let standing = match entry.marker() {
            None => Standing::Trusted,
            Some(Marker::CertAuthority) => Standing::Authority,
            Some(Marker::Revoked) => Standing::Revoked,
        };
        let key = Arc::new(entry.public_key().key_data().clone());
        let known = Known { key, standing, file: Arc::clone(file), line };
        match entry.host_patterns() {
            HostPatterns::Patterns(names) if names.iter().all(|name| pattern::is_plain(name)) => {
                for name in names {
                    self.exact.entry(name.to_lowercase()).or_default().push(known.clone());
                }
            }
            patterns => self.patterns.push((patterns.clone(), known)),
        }
    }

    fn lookup(&mut self, name: &str) -> Vec<Known> {
        let mut found = self.exact.get(name).cloned().unwrap_or_default();
        if !self.patterns.is_empty() {
            let patterns = &self.patterns;
            let tried = self.tried.entry(name.to_owned()).or_insert_with(|| {
                patterns
                    .iter()
                    .filter(|(p, _)| pattern::matches(p, name))
                    .map(|(_, known)| known.clone())
                    .collect()
            });
            found.extend_from_slice(tried);
        }
        found
    }
}

#[cfg(test)]
mod tests;
