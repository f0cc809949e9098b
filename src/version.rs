//! A software version as its vendor writes it, and how two of them compare.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

mod arista;
mod cisco;
mod dotted;
mod juniper;
mod key;
mod vendors;

/// A version exactly as the device printed it. Equality is textual; order is the platform's ([`Scheme`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// Takes the text as it is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a platform's versions are ordered. Closed: a profile names one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Cisco IOS and IOS XE: `15.2(7)E10` with trains and rebuilds, `17.09.04a`. Two trains have no order.
    CiscoIos,
    /// Cisco NX-OS: `9.3(10)`, `7.0(3)I7(8)`, `10.3(4a)(M)`.
    CiscoNxos,
    /// Cisco IOS XR: `7.5.2`, `24.2.11`; an interim build such as `6.1.4.10I` comes before its release.
    CiscoXr,
    /// Junos: `21.4R3-S3.4`, `12.1X46-D40`, `22.4R2-S1-EVO`. Junos and Junos Evolved have no order.
    Junos,
    /// Arista EOS: `4.28.9M`, `4.32.1F`.
    AristaEos,
    /// Cisco ASA, FTD and FXOS: `9.12(4)67`, `2.12(1.29)`.
    CiscoAsa,
    /// FortiOS: `7.4.8`, with or without `build2795`.
    Fortios,
    /// PAN-OS: `10.2.7-h8`.
    Panos,
    /// RouterOS: `7.16beta3` < `7.16rc1` < `7.16`.
    Routeros,
    /// SR OS: `B-22.10.R3`.
    Sros,
    /// Huawei VRP and SmartAX: `V200R019C10SPC500`. Two products have no order.
    HuaweiVrp,
    /// Comware: `7.1.070, Release 3507P18`. Releases and features have no order.
    Comware,
    /// Numbers and words between dots, dashes and the like, with semver's and Debian's meaning of `-rc1` and `~`.
    Dotted,
}

impl Scheme {
    /// All schemes, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::CiscoIos,
        Self::CiscoNxos,
        Self::CiscoXr,
        Self::Junos,
        Self::AristaEos,
        Self::CiscoAsa,
        Self::Fortios,
        Self::Panos,
        Self::Routeros,
        Self::Sros,
        Self::HuaweiVrp,
        Self::Comware,
        Self::Dotted,
    ];

    /// The name that a profile's `ordering` gives it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CiscoIos => "cisco_ios",
            Self::CiscoNxos => "cisco_nxos",
            Self::CiscoXr => "cisco_xr",
            Self::Junos => "junos",
            Self::AristaEos => "arista_eos",
            Self::CiscoAsa => "cisco_asa",
            Self::Fortios => "fortios",
            Self::Panos => "panos",
            Self::Routeros => "routeros",
            Self::Sros => "sros",
            Self::HuaweiVrp => "huawei_vrp",
            Self::Comware => "comware",
            Self::Dotted => "dotted",
        }
    }

    /// How `a` compares to `b`; nothing where they can't be ordered, such as releases of two trains.
    ///
    /// Two spellings of one release, such as `17.09.04a` and `17.9.4a`, are equal here. Within a scheme this is a
    /// partial order: reflexive, antisymmetric up to spelling, transitive.
    #[must_use]
    pub fn compare(self, a: &Version, b: &Version) -> Option<Ordering> {
        if a == b {
            return Some(Ordering::Equal);
        }
        self.key(a.as_str())?.compare(&self.key(b.as_str())?)
    }

    /// Whether it can order this version at all.
    #[must_use]
    pub fn reads(self, version: &Version) -> bool {
        self.key(version.as_str()).is_some()
    }

    fn key(self, text: &str) -> Option<key::Key> {
        match self {
            Self::CiscoIos => cisco::ios(text),
            Self::CiscoNxos => cisco::nxos(text),
            Self::CiscoXr => cisco::xr(text),
            Self::Junos => juniper::junos(text),
            Self::AristaEos => arista::eos(text),
            Self::CiscoAsa => vendors::asa(text),
            Self::Fortios => vendors::fortios(text),
            Self::Panos => vendors::panos(text),
            Self::Routeros => vendors::routeros(text),
            Self::Sros => vendors::sros(text),
            Self::HuaweiVrp => vendors::vrp(text),
            Self::Comware => vendors::comware(text),
            Self::Dotted => dotted::dotted(text),
        }
    }
}

#[cfg(test)]
mod tests;
