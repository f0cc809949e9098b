//! Platform profiles: data, not code. A profile says which commands to run on a platform and how to read the answer.
//!
//! The format is that of `src/platform/*.toml`; docs/platforms.md explains it and adds one step by step.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::device::PlatformKey;
use crate::dialogue::{Channel, Errand};
use crate::expression::Expression;
use crate::version::{Scheme, Version};

mod builtin;
mod compile;
mod file;
mod search;
mod shell;

pub(crate) use search::Hints;

/// One platform's profile, compiled.
#[derive(Debug)]
pub struct Profile {
    /// Its key, such as `cisco_xr`.
    pub key: PlatformKey,
    /// Grows whenever its patterns change what they read.
    pub revision: u32,
    /// For people: such as `Cisco IOS XR`.
    pub name: String,
    /// For people: such as `Cisco`.
    pub vendor: String,
    /// For people: such as `IOS XR`.
    pub os: String,
    /// Other names that [`Platforms::find`] knows it by.
    pub aliases: Vec<String>,
    /// The commands to run, in order. Never empty.
    pub commands: Vec<String>,
    /// What the version is called in CVE lists: `vendor:product` of a CPE, where the profile knows it.
    pub cpe: Option<String>,
    /// How its versions are ordered.
    pub scheme: Scheme,
    /// Where the commands are given.
    pub channel: Channel,
    /// What a visit to a device of this platform is for.
    pub errand: Arc<Errand>,
    /// The TOML that it was compiled from, to print, copy and adapt.
    pub source: Arc<str>,
    pub(crate) cpe_version: Option<Expression>,
    pub(crate) hints: Hints,
    pub(crate) recognise: Recognise,
    pub(crate) whole: Vec<Marker>,
    pub(crate) unknown_command: Vec<Expression>,
    pub(crate) denied: Vec<Expression>,
    pub(crate) patterns: Vec<Pattern>,
}

impl Profile {
    /// The version as a CPE 2.3 name, to look up CVEs by; nothing where the profile doesn't know its product.
    #[must_use]
    pub fn cpe_of(&self, version: &Version) -> Option<String> {
        let product = self.cpe.as_ref()?;
        let listed = self.listed_version(version.as_str())?;
        let escape = |c: char| match c {
            'a'..='z' | '0'..='9' | '.' | '-' | '_' => c.to_string(),
            // CPE names are in lower case; everything that isn't a word character is quoted.
            'A'..='Z' => c.to_ascii_lowercase().to_string(),
            ' ' => "_".to_owned(),
            c => format!("\\{c}"),
        };
        let quoted = |text: &str| text.chars().map(escape).collect::<String>();
        // Two vendors are listed with what comes behind the release as an update: `21.4:r3-s3`, `10.2.7:h8`.
        // Junos Evolved is listed as a product of its own, without the suffix.
        let evolved = listed.strip_suffix("-EVO").filter(|_| self.scheme == Scheme::Junos);
        let product = if evolved.is_some() { format!("{product}_os_evolved") } else { product.clone() };
        // No list has the letter that some devices print before the number.
        let number = evolved.unwrap_or(listed);
        let number = number
            .strip_prefix('v')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or(number);
        let (release, update) = match self.scheme {
            Scheme::Junos => split_before(number, char::is_alphabetic),
            Scheme::Panos => number.split_once('-').unwrap_or((number, "*")),
            _ => (number, "*"),
        };
        // Junos prints the build behind a dot, which no list names.
        let update =
            if self.scheme == Scheme::Junos { update.split('.').next().unwrap_or("*") } else { update };
        let update = if update == "*" { "*".to_owned() } else { quoted(update) };
        Some(format!("cpe:2.3:o:{product}:{}:{update}:*:*:*:*:*:*", quoted(release)))
    }

    /// What of the version is in the CPE dictionary; nothing where that has versions of another form only.
    fn listed_version<'a>(&self, version: &'a str) -> Option<&'a str> {
        let Some(pattern) = &self.cpe_version else { return Some(version) };
        let found = pattern.captures(version)?;
        // The whole match where the pattern has no group.
        found.group(1).or(found.group(0))
    }

    /// The version as a package URL, of the type for everything that has no registry.
    #[must_use]
    pub fn purl_of(&self, version: &Version) -> String {
        let escape = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        };
        let version: String = version.as_str().bytes().map(escape).collect();
        format!("pkg:generic/{}@{version}", self.key)
    }
}

fn split_before(text: &str, is: impl Fn(char) -> bool) -> (&str, &str) {
    text.find(is).and_then(|at| text.split_at_checked(at)).unwrap_or((text, "*"))
}

/// What tells this platform's answer from all others.
#[derive(Debug, Default)]
pub(crate) struct Recognise {
    pub(crate) any: Vec<Expression>,
    pub(crate) none: Vec<Expression>,
    pub(crate) never: Vec<Expression>,
}

impl Recognise {
    pub(crate) fn matches(&self, answer: &str) -> bool {
        self.any.iter().any(|regex| regex.is_match(answer))
            && !self.none.iter().any(|regex| regex.is_match(answer))
            && !self.refuses(answer)
    }

    /// Whether this is something else's answer, even where the device was said to be this platform's.
    pub(crate) fn refuses(&self, answer: &str) -> bool {
        self.never.iter().any(|regex| regex.is_match(answer))
    }
}

/// What a whole answer has: where `when` matches, or always without it, `has` must match too.
#[derive(Debug)]
pub(crate) struct Marker {
    pub(crate) when: Option<Expression>,
    pub(crate) has: Expression,
}

/// One pattern: the fields that its groups are named after, and values that don't count.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) name: String,
    pub(crate) regex: Expression,
    pub(crate) reject: Option<Expression>,
    /// Whether a value is whole even where the answer ends with it, without a line end.
    pub(crate) unterminated: bool,
    pub(crate) fields: Vec<Field>,
}

/// The facts that a pattern's group can be named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Version,
    Model,
    Serial,
    Hostname,
    Image,
    Uptime,
    NextBoot,
    Patch,
    Member,
    MemberVersion,
    MemberModel,
    MemberSerial,
}

impl Field {
    pub(crate) const ALL: [Self; 12] = [
        Self::Version,
        Self::Model,
        Self::Serial,
        Self::Hostname,
        Self::Image,
        Self::Uptime,
        Self::NextBoot,
        Self::Patch,
        Self::Member,
        Self::MemberVersion,
        Self::MemberModel,
        Self::MemberSerial,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Model => "model",
            Self::Serial => "serial",
            Self::Hostname => "hostname",
            Self::Image => "image",
            Self::Uptime => "uptime",
            Self::NextBoot => "next_boot",
            Self::Patch => "patch",
            Self::Member => "member",
            Self::MemberVersion => "member_version",
            Self::MemberModel => "member_model",
            Self::MemberSerial => "member_serial",
        }
    }
}

/// What is wrong with a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileError {
    /// The file's name.
    pub file: String,
    /// The line, counted from one, where it is known.
    pub line: Option<usize>,
    /// The key or table that is wrong, where it is known.
    pub key: Option<String>,
    /// What is wrong and what is allowed.
    pub problem: String,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ProfileError {}

/// A profile, or the text that it is compiled from once somebody asks for it.
#[derive(Debug)]
struct Slot {
    key: &'static str,
    text: &'static str,
    profile: OnceLock<Arc<Profile>>,
}

impl Slot {
    fn builtin(key: &'static str, text: &'static str) -> Self {
        Self { key, text, profile: OnceLock::new() }
    }

    fn of(profile: Profile) -> Self {
        Self { key: "", text: "", profile: OnceLock::from(Arc::new(profile)) }
    }

    fn profile(&self) -> &Arc<Profile> {
        self.profile.get_or_init(|| Arc::new(builtin::profile(self.key, self.text)))
    }
}

/// All profiles, by key. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Platforms {
    slots: BTreeMap<PlatformKey, Arc<Slot>>,
}

impl Platforms {
    /// The profiles that are compiled in. Each one's patterns are compiled when it is first asked for, once a process.
    #[must_use]
    pub fn builtin() -> Self {
        builtin::platforms()
    }

    /// The same, shared with nobody: each call's patterns are compiled anew, for measuring what that costs.
    #[doc(hidden)]
    #[must_use]
    pub fn builtin_anew() -> Self {
        builtin::anew()
    }

    /// Lays the user's profiles over these: a profile of a known key replaces it, another one is added. The examples
    /// within each profile are read with it, and must yield what they say.
    ///
    /// # Errors
    /// Everything that is wrong in any of the files, at once.
    pub fn with_user_profiles(
        mut self,
        files: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<ProfileError>> {
        let mut errors = Vec::new();
        let mut from: BTreeMap<PlatformKey, String> = BTreeMap::new();
        for (file, text) in files {
            match compile::checked(&file, &text) {
                Ok(profile) => {
                    if let Some(first) = from.insert(profile.key.clone(), file.clone()) {
                        let problem = format!("`{}` is in {first} already: one file for a key", profile.key);
                        errors.push(ProfileError { file, line: None, key: Some("key".to_owned()), problem });
                    }
                    self.slots.insert(profile.key.clone(), Arc::new(Slot::of(profile)));
                }
                Err(of_this_file) => errors.extend(of_this_file),
            }
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }

    /// The profile of that key.
    #[must_use]
    pub fn get(&self, key: &PlatformKey) -> Option<&Arc<Profile>> {
        self.slots.get(key).map(|slot| slot.profile())
    }

    /// The profile of that key or, where no key is like it, that alias; in any case of letters.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Profile>> {
        let key = self.keys().find(|key| key.as_str().eq_ignore_ascii_case(name));
        key.and_then(|key| self.get(key)).or_else(|| {
            self.iter().find(|profile| profile.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name)))
        })
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &PlatformKey> {
        self.slots.keys()
    }

    /// All profiles, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.slots.values().map(|slot| slot.profile())
    }
}

#[cfg(test)]
mod tests;
