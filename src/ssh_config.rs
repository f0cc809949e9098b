//! OpenSSH's client configuration (ssh_config(5)), as far as it tells how to reach a server and how to log in to it.
//!
//! As there, the first value found for a host is the one that counts, so that the special stands before the general. What
//! would have to be run or decided at run time (`Match`, `ProxyCommand`, `Include`) is not followed, and said so.

use crate::wildcard;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod line;

pub use line::Hop;
use line::{Line, Setting};

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshConfig {
    blocks: Vec<Block>,
    /// What can't be understood, line by line.
    pub faults: Vec<Remark>,
    /// What is understood and not followed.
    pub warnings: Vec<Remark>,
}

/// A word about one line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Counted from 1.
    pub line: usize,
    /// The keyword, as it is written.
    pub keyword: String,
    /// What there is to say.
    pub text: String,
}

/// The settings between one `Host` line and the next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    hosts: Hosts,
    settings: Vec<Setting>,
}

/// Whom a block is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    Those(Vec<String>),
    /// Below a `Match`.
    Nobody,
}

impl Hosts {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Those(patterns) => wildcard::chosen(patterns.iter().map(String::as_str), name),
            Self::Nobody => false,
        }
    }
}

/// What the file says of one host; nothing where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostEntry {
    /// The name or address to connect to; `%h` is filled in.
    pub host_name: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The user to log in as.
    pub user: Option<String>,
    /// The first private key file, with `~` and tokens as they are written: see [`expand`].
    pub identity_file: Option<String>,
    /// The way there, the nearest first; empty where the file says `none`.
    pub proxy_jump: Option<Vec<Hop>>,
    /// Whether its host key must be known (`StrictHostKeyChecking yes`).
    pub strict: Option<bool>,
    /// Whether one of the lists of algorithms names an old one.
    pub legacy: bool,
}

impl SshConfig {
    /// Reads a file's text. It never fails: what can't be understood is among the faults.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut config = Self::default();
        let mut block = Block { hosts: Hosts::All, settings: Vec::new() };
        for (index, text) in text.lines().enumerate() {
            let remark = |keyword: &str, text: &str| Remark {
                line: index + 1,
                keyword: keyword.to_owned(),
                text: text.to_owned(),
            };
            let hosts = match Line::parse(text) {
                Line::Empty => continue,
                Line::Host(patterns) => Hosts::Those(patterns),
                Line::MatchAll => Hosts::All,
                Line::Match => {
                    config.warnings.push(remark("Match", "is not followed: its settings count for nobody"));
                    Hosts::Nobody
                }
                Line::Set(Setting::KnownHosts(_)) if !block.is_for_all() => {
                    let text = "counts for all hosts or none here: name the file in [ssh] extra_known_hosts";
                    config.warnings.push(remark("UserKnownHostsFile", text));
                    continue;
                }
                Line::Set(setting) => {
                    block.settings.push(setting);
                    continue;
                }
                Line::NotFollowed(keyword, why) => {
                    config.warnings.push(remark(keyword, why));
                    continue;
                }
                Line::Fault(keyword, text) => {
                    config.faults.push(remark(&keyword, &text));
                    continue;
                }
            };
            config.blocks.push(std::mem::replace(&mut block, Block { hosts, settings: Vec::new() }));
        }
        config.blocks.push(block);
        config
    }

    /// What the file says of a host, by the name that one would type after `ssh`.
    #[must_use]
    pub fn host(&self, name: &str) -> HostEntry {
        let mut entry = HostEntry::default();
        let mut lists_seen = Vec::new();
        for setting in self.blocks.iter().filter(|block| block.hosts.has(name)).flat_map(|b| &b.settings) {
            match setting {
                Setting::HostName(text) => {
                    let filled = || expand(text, None, name, "").unwrap_or_else(|| text.clone());
                    entry.host_name.get_or_insert_with(filled);
                }
                Setting::Port(port) => drop(entry.port.get_or_insert(*port)),
                Setting::User(user) => drop(entry.user.get_or_insert_with(|| user.clone())),
                Setting::IdentityFile(file) => {
                    entry.identity_file.get_or_insert_with(|| file.clone());
                }
                Setting::ProxyJump(hops) => drop(entry.proxy_jump.get_or_insert_with(|| hops.clone())),
                Setting::Strict(strict) => drop(entry.strict.get_or_insert(*strict)),
                Setting::Algorithms(list, legacy) => {
                    if !lists_seen.contains(list) {
                        lists_seen.push(*list);
                        entry.legacy |= legacy;
                    }
                }
                Setting::KnownHosts(_) => {}
            }
        }
        entry
    }

    /// The known_hosts files that are named for all hosts, as they are written.
    pub fn known_hosts(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().flat_map(|block| &block.settings).flat_map(|setting| match setting {
            Setting::KnownHosts(files) => files.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        })
    }
}

impl Block {
    fn is_for_all(&self) -> bool {
        match &self.hosts {
            Hosts::All => true,
            Hosts::Those(patterns) => patterns.iter().all(|pattern| pattern == "*"),
            Hosts::Nobody => false,
        }
    }
}

/// A file's name with `~` and the tokens `%d` (home), `%h` (host), `%r` (user) and `%%` filled in; nothing where another
/// token is in it, or where the home isn't known.
#[must_use]
pub fn expand(text: &str, home: Option<&str>, host: &str, user: &str) -> Option<String> {
    let (mut out, rest) = match text.strip_prefix("~/") {
        Some(rest) => (format!("{}/", home?), rest),
        None => (String::new(), text),
    };
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next()? {
                '%' => out.push('%'),
                'd' => out.push_str(home?),
                'h' => out.push_str(host),
                'r' => out.push_str(user),
                _ => return None,
            },
            c => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests;
