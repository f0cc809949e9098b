//! Platform profiles: data, not code. A profile says which commands to run on a platform and how to read the answer.
//!
//! The format is that of `src/platform/*.toml`; docs/platforms.md explains it and adds one step by step.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use regex::Regex;

use crate::device::PlatformKey;
use crate::dialogue::{Channel, Errand, Rules};
use crate::version::Scheme;

mod builtin;
mod compile;
mod file;
mod shell;

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
    /// How its versions are ordered.
    pub scheme: Scheme,
    /// Where the commands are given.
    pub channel: Channel,
    /// What a visit to a device of this platform is for.
    pub errand: Arc<Errand>,
    /// The TOML that it was compiled from, to print, copy and adapt.
    pub source: Arc<str>,
    pub(crate) recognise: Recognise,
    pub(crate) whole: Vec<Marker>,
    pub(crate) unknown_command: Vec<Regex>,
    pub(crate) denied: Vec<Regex>,
    pub(crate) patterns: Vec<Pattern>,
}

/// What tells this platform's answer from all others.
#[derive(Debug, Default)]
pub(crate) struct Recognise {
    pub(crate) any: Vec<Regex>,
    pub(crate) none: Vec<Regex>,
}

impl Recognise {
    pub(crate) fn matches(&self, answer: &str) -> bool {
        self.any.iter().any(|regex| regex.is_match(answer))
            && !self.none.iter().any(|regex| regex.is_match(answer))
    }
}

/// What a whole answer has: where `when` matches, or always without it, `has` must match too.
#[derive(Debug)]
pub(crate) struct Marker {
    pub(crate) when: Option<Regex>,
    pub(crate) has: Regex,
}

/// One pattern: the fields that its groups are named after, and values that don't count.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) name: String,
    pub(crate) regex: Regex,
    pub(crate) reject: Option<Regex>,
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
}

impl Field {
    pub(crate) const ALL: [Self; 6] =
        [Self::Version, Self::Model, Self::Serial, Self::Hostname, Self::Image, Self::Uptime];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Model => "model",
            Self::Serial => "serial",
            Self::Hostname => "hostname",
            Self::Image => "image",
            Self::Uptime => "uptime",
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

/// All profiles, by key.
#[derive(Debug, Clone, Default)]
pub struct Platforms {
    profiles: BTreeMap<PlatformKey, Arc<Profile>>,
}

impl Platforms {
    /// The profiles that are compiled in. Their patterns are compiled at each call, which takes milliseconds: call it
    /// once and share the result.
    #[must_use]
    pub fn builtin() -> Self {
        let profiles = builtin::profiles().map(|profile| (profile.key.clone(), Arc::new(profile))).collect();
        Self { profiles }
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
                    self.profiles.insert(profile.key.clone(), Arc::new(profile));
                }
                Err(of_this_file) => errors.extend(of_this_file),
            }
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }

    /// The profile of that key.
    #[must_use]
    pub fn get(&self, key: &PlatformKey) -> Option<&Arc<Profile>> {
        self.profiles.get(key)
    }

    /// The profile of that key or, where no key is like it, that alias; in any case of letters.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Profile>> {
        self.iter().find(|profile| profile.key.as_str().eq_ignore_ascii_case(name)).or_else(|| {
            self.iter().find(|profile| profile.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name)))
        })
    }

    /// What a visit to a device of an unknown platform is for: `command`, by exec where its answer is one that some
    /// profile recognises, else in a shell of the usual manners.
    #[must_use]
    pub fn common_errand(&self, command: &str) -> Errand {
        let marker = self.iter().flat_map(|profile| profile.recognise.any.iter().cloned()).collect();
        let commands = Arc::from([command.to_owned()]);
        Errand { commands, channel: Channel::Auto, marker, rules: Arc::new(Rules::default()) }
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &PlatformKey> {
        self.profiles.keys()
    }

    /// All profiles, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.profiles.values()
    }
}

#[cfg(test)]
mod tests;
