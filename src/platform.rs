//! Platform profiles: data, not code. A profile says which commands to run on a platform and how to read the answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::device::PlatformKey;

/// One platform's profile, compiled.
#[derive(Debug)]
pub struct Profile {
    /// Its key, such as `cisco_xr`.
    pub key: PlatformKey,
    /// Grows whenever its patterns change what they read.
    pub revision: u32,
    /// The commands to run, in order.
    pub commands: Vec<String>,
}

/// All profiles, by key.
#[derive(Debug, Clone, Default)]
pub struct Platforms {
    profiles: BTreeMap<PlatformKey, Arc<Profile>>,
}

impl Platforms {
    /// The profile of that key.
    #[must_use]
    pub fn get(&self, key: &PlatformKey) -> Option<&Arc<Profile>> {
        self.profiles.get(key)
    }
}
