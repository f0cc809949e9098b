//! One `[[inventory]]` as it was typed and checked: what the configuration reads and the inventory works with, so they meet
//! here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;

use crate::fetch::Peer;

/// One `[[inventory]]`: where devices come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in messages, as a metric label and in the name of its last good list: unique.
    pub name: String,
    /// Where it comes from.
    pub kind: SourceKind,
    /// How often it is looked at; a watched file is read when it changes as well.
    pub interval: Duration,
    /// The whole of one answer, or of reading the files.
    pub timeout: Duration,
    /// Whether a file is read when it changes.
    pub watch: bool,
    /// The most devices in percent that may be missing from a new list before it waits for a confirmation.
    pub max_shrink: u8,
    /// What is done with each entry before anybody else sees it, in order.
    pub relabel: Vec<Rule>,
    /// The configuration file that names it, for messages.
    pub file: String,
    /// The line that names it.
    pub line: usize,
    /// The key that names it.
    pub key: String,
}

/// The endings of versweep's own form.
pub const OWN_FORM: [&str; 5] = ["toml", "csv", "json", "yaml", "yml"];

/// The kinds of sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// A file in versweep's own form: TOML, CSV, JSON or YAML by its ending.
    File {
        /// The file, found from the configuration's folder.
        path: PathBuf,
    },
    /// All such files of a folder, in the order of their names.
    Folder {
        /// The folder, found from the configuration's folder.
        path: PathBuf,
    },
    /// Prometheus' service discovery: a file, or all of a folder whose names match.
    FileSd {
        /// The file; its last part may have a `*` in it.
        path: PathBuf,
    },
    /// Prometheus' service discovery, by HTTP.
    HttpSd {
        /// The server.
        peer: Box<Peer>,
    },
    /// NetBox or Nautobot.
    Registry {
        /// Which of the two.
        registry: Registry,
        /// The server.
        peer: Box<Peer>,
        /// What is asked for besides: a query such as `status=active&role=core`; empty for all.
        filter: String,
        /// Devices a page.
        page: usize,
    },
    /// Ansible's inventory, in YAML or INI by its ending, with the files of variables beside it.
    Ansible {
        /// The file.
        path: PathBuf,
        /// What is done with what ansible-vault has encrypted.
        vaulted: Vaulted,
    },
    /// The list of RANCID or Oxidized.
    RouterDb {
        /// The file.
        path: PathBuf,
        /// What stands in it.
        form: RouterDb,
    },
}

/// Programs that know devices and give them page by page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// NetBox.
    NetBox,
    /// Nautobot.
    Nautobot,
}

/// What is done with what ansible-vault has encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vaulted {
    /// The inventory is refused: an address may stand there.
    Refused,
    /// It is left out, as if it were not there.
    LeftOut,
}

/// What stands in a `router.db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterDb {
    /// Whose list it is.
    pub dialect: Dialect,
    /// What stands between columns; the usual where it is absent.
    pub delimiter: Option<char>,
    /// The fields that the columns are; an empty one is never looked at.
    pub columns: Vec<String>,
}

/// Whose list a `router.db` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// RANCID's: name, type, state.
    Rancid,
    /// Oxidized's: columns as its `csv` source maps them.
    Oxidized,
}

impl SourceKind {
    /// The file or folder, where it is one.
    #[must_use]
    pub fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::File { path }
            | Self::Folder { path }
            | Self::FileSd { path }
            | Self::Ansible { path, .. }
            | Self::RouterDb { path, .. } => Some(path),
            Self::HttpSd { .. } | Self::Registry { .. } => None,
        }
    }

    /// The server, where it is one.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        match self {
            Self::HttpSd { peer } | Self::Registry { peer, .. } => Some(peer),
            _ => None,
        }
    }

    /// Whether one wrong entry keeps the whole list back: so it is with what people write for versweep by hand. Of lists
    /// that other programs give, the entries that can't be used are dropped and named.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Folder { .. })
    }

    /// Whether a device without an address is dropped: its name there is no host name.
    #[must_use]
    pub fn needs_address(&self) -> bool {
        matches!(self, Self::Registry { .. })
    }

    /// The folder whose files count, where it is more than one file.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder { path } => Some(path),
            Self::FileSd { path } if is_pattern(path) => path.parent(),
            _ => None,
        }
    }
}

/// Whether the last part of a path stands for many files.
#[must_use]
pub fn is_pattern(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b'*'))
}

/// One step of relabelling. A field is `name`, `address`, `id`, a key of a device, or a label; one that an entry doesn't
/// have is an empty text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Only entries whose field is matched go on.
    Keep {
        /// The field.
        field: String,
        /// What its whole value must match.
        pattern: Pattern,
    },
    /// Entries whose field is matched are dropped.
    Drop {
        /// The field.
        field: String,
        /// What its whole value must match.
        pattern: Pattern,
    },
    /// A field gets another name; what had that name is gone.
    Rename {
        /// The field.
        field: String,
        /// Its new name.
        to: String,
    },
    /// A field is taken away.
    Remove {
        /// The field.
        field: String,
    },
    /// A field's value becomes another one; values that are not named stay as they are.
    Map {
        /// The field.
        field: String,
        /// From what to what.
        values: BTreeMap<String, String>,
    },
    /// A field is made from another one, where that is matched.
    Set {
        /// The field that is made.
        field: String,
        /// The one that it is made from.
        from: String,
        /// What the whole of that one must match.
        pattern: Pattern,
        /// The new value, with `$1` or `${name}` for what the pattern's groups matched. Nothing takes the field away.
        value: String,
    },
}

/// A regular expression that a whole text must match.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

/// A compiled expression is at most this large: text of sources is hostile, and so may a pattern be that was copied.
const PATTERN_MAX: usize = 1 << 20;

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn new(text: &str) -> Result<Self, String> {
        let whole = format!("^(?:{text})$");
        let regex = regex::RegexBuilder::new(&whole).size_limit(PATTERN_MAX).build();
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "too large".to_owned(),
            error => error.to_string().lines().last().unwrap_or_default().to_owned(),
        })?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The template with what the groups matched put in; nothing where the text doesn't match.
    #[must_use]
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let captures = self.regex.captures(text)?;
        let mut expanded = String::new();
        captures.expand(template, &mut expanded);
        Some(expanded)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}
