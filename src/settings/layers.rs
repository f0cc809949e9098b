//! The layers below a device's own settings, and how they make a device.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DEFAULT_PORT, DeviceSettings, SshFile};
use crate::device::{Device, DeviceId, Endpoint, Labels, PlatformChoice, PlatformKey, Selector};

/// One `[[group]]`: settings for the devices that it selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which devices.
    pub select: Selector,
    /// What it sets for them.
    pub settings: DeviceSettings,
}

/// The layers below the device's own settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layers {
    /// `[defaults]`.
    pub defaults: DeviceSettings,
    /// Each `[platform.NAME]`.
    pub platforms: BTreeMap<PlatformKey, DeviceSettings>,
    /// The `[[group]]`s in the order of the file; a later one goes over an earlier one.
    pub groups: Vec<Group>,
    /// OpenSSH's configuration, below all of them, where `[ssh] config` names one.
    pub ssh: Option<Arc<SshFile>>,
    /// Whether some of them could not be read: then a device's lack of a credential may be no fault of its own.
    pub incomplete: bool,
}

/// Why a device can't be visited as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// No layer names a credential.
    #[error("has no credential")]
    NoCredential,
    /// The file of `[ssh] config` sends it over jump hosts that can't be used.
    #[error("can't be reached as [ssh] config says: {0}")]
    NoWay(String),
}

impl Unresolved {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoCredential => "name one here, in a [[group]] or in [defaults]",
            Self::NoWay(_) => "name its jump hosts by `jump`, or mend that file",
        }
    }
}

impl Layers {
    /// A device with everything decided: `own` over its groups, over its platform, over the defaults.
    ///
    /// Groups select by the platform that the device itself or `[defaults]` names; a platform that a group sets is
    /// not seen by other groups, so that their order doesn't decide who belongs to which.
    ///
    /// # Errors
    /// When no layer names a credential, or the jump hosts of `[ssh] config` can't be used.
    pub fn resolve(
        &self,
        id: DeviceId,
        host: String,
        labels: Labels,
        own: DeviceSettings,
    ) -> Result<Device, Unresolved> {
        let seen =
            own.platform.clone().or_else(|| self.defaults.platform.clone()).unwrap_or(PlatformChoice::Auto);
        let groups = self.groups.iter().rev().filter(|group| group.select.chooses(&id, &seen, &labels));
        let upper = groups.fold(own, |upper, group| upper.over(&group.settings));

        let platform = upper
            .platform
            .clone()
            .unwrap_or_else(|| self.defaults.platform.clone().unwrap_or(PlatformChoice::Auto));
        let of_platform = match &platform {
            PlatformChoice::Named(key) => self.platforms.get(key),
            PlatformChoice::Auto => None,
        };
        let settings = match of_platform {
            Some(layer) => upper.over(layer).over(&self.defaults),
            None => upper.over(&self.defaults),
        };

        let hints = self.ssh.as_ref().map(|file| file.hints(&host)).unwrap_or_default();
        if let (None, Some(problem)) = (&settings.route, hints.no_way) {
            return Err(Unresolved::NoWay(problem));
        }
        let settings = settings.over(&hints.settings);
        let host = hints.host_name.unwrap_or(host);
        Ok(Device {
            id,
            endpoint: Endpoint { host, port: settings.port.unwrap_or(DEFAULT_PORT) },
            route: settings.route.clone().unwrap_or_default(),
            platform,
            timeouts: settings.timeouts(),
            host_keys: settings.host_keys.unwrap_or_default(),
            algorithms: settings.algorithms.unwrap_or_default(),
            credential: settings.credential.ok_or(Unresolved::NoCredential)?,
            labels,
            identity: None,
        })
    }
}
