//! The platforms a simulated device can be: their models, versions and manners.

use std::fmt;
use std::str::FromStr;

use super::SimError;

/// One platform. The names are those of the profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SimPlatform {
    /// Cisco IOS on a branch router.
    CiscoIos,
    /// Cisco IOS XE on a campus switch.
    CiscoXe,
    /// Cisco NX-OS on a data centre switch.
    CiscoNxos,
    /// Cisco IOS XR on a provider router.
    CiscoXr,
    /// Juniper Junos.
    JuniperJunos,
    /// Arista EOS.
    AristaEos,
    /// FRRouting behind vtysh.
    Frr,
    /// A Linux host.
    Linux,
}

/// What a device does with the connection once a command is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterExec {
    /// Closes the whole connection, without an exit status: one command a login.
    ClosesConnection,
    /// Closes the channel, without an exit status.
    ClosesChannel,
    /// Sends an exit status and closes the channel.
    SendsStatus,
}

impl SimPlatform {
    /// All platforms.
    pub const ALL: [Self; 8] = [
        Self::CiscoIos,
        Self::CiscoXe,
        Self::CiscoNxos,
        Self::CiscoXr,
        Self::JuniperJunos,
        Self::AristaEos,
        Self::Frr,
        Self::Linux,
    ];

    /// The key of the profile that reads it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::CiscoIos => "cisco_ios",
            Self::CiscoXe => "cisco_xe",
            Self::CiscoNxos => "cisco_nxos",
            Self::CiscoXr => "cisco_xr",
            Self::JuniperJunos => "juniper_junos",
            Self::AristaEos => "arista_eos",
            Self::Frr => "frr",
            Self::Linux => "linux",
        }
    }

    /// The way of upgrades, oldest first. After the last one a device goes back to the first: operators roll back too,
    /// and a demonstration can go on for ever.
    #[must_use]
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Self::CiscoIos => {
                &["15.6(3)M9", "15.7(3)M7", "15.7(3)M9", "15.8(3)M9", "15.9(3)M7", "15.9(3)M10"]
            }
            Self::CiscoXe => &["16.12.10a", "17.3.6", "17.6.5", "17.9.4a", "17.12.3", "17.12.4", "17.15.2"],
            Self::CiscoNxos => &["9.3(10)", "9.3(13)", "10.2(5)", "10.2(7)", "10.3(5)", "10.4(3)"],
            Self::CiscoXr => &["7.3.2", "7.5.2", "7.7.21", "7.9.2", "7.10.2", "7.11.2", "24.2.2"],
            Self::JuniperJunos => {
                &["20.4R3-S8.4", "21.2R3-S7.7", "21.4R3-S5.4", "22.2R3-S3.18", "22.4R3-S2.11", "23.4R2-S3.9"]
            }
            Self::AristaEos => &["4.27.9M", "4.28.10M", "4.29.7M", "4.30.6M", "4.31.4M", "4.32.2F"],
            Self::Frr => &["8.4.4", "8.5.5", "9.0.3", "9.1.2", "10.0.2", "10.2.1"],
            Self::Linux => &["8.8", "8.9", "8.10", "9.3", "9.4", "9.5"],
        }
    }

    /// The hardware that runs it; empty where the platform doesn't tell.
    pub(super) fn models(self) -> &'static [&'static str] {
        match self {
            Self::CiscoIos => &["CISCO2901/K9", "CISCO2911/K9", "CISCO2951/K9"],
            Self::CiscoXe => &["C9300-48P", "C9300-24UX", "C9500-40X"],
            Self::CiscoNxos => &["C93180YC-FX", "C9336C-FX2", "C93240YC-FX2"],
            Self::CiscoXr => &["NCS-5501-SE", "NCS-57B1-6D24-SYS", "NCS-540-24Z8Q2C-SYS"],
            Self::JuniperJunos => &["mx204", "mx480", "qfx5120-48y"],
            Self::AristaEos => &["DCS-7050SX3-48YC8-F", "DCS-7280SR3-48YC8-F", "DCS-7060CX2-32S-F"],
            Self::Frr | Self::Linux => &[],
        }
    }

    /// What becomes of the connection after a command.
    pub(super) fn after_exec(self) -> AfterExec {
        match self {
            Self::CiscoIos | Self::CiscoXe | Self::CiscoXr => AfterExec::ClosesConnection,
            Self::CiscoNxos | Self::JuniperJunos => AfterExec::ClosesChannel,
            Self::AristaEos | Self::Frr | Self::Linux => AfterExec::SendsStatus,
        }
    }

    /// The SSH identification of such a device.
    pub(super) fn ssh_id(self) -> &'static str {
        match self {
            Self::CiscoIos | Self::CiscoXe => "SSH-2.0-Cisco-1.25",
            Self::CiscoXr => "SSH-2.0-Cisco-2.0",
            Self::CiscoNxos => "SSH-2.0-OpenSSH_7.6 FIPS",
            Self::JuniperJunos => "SSH-2.0-OpenSSH_7.5",
            Self::AristaEos => "SSH-2.0-OpenSSH_8.0",
            Self::Frr => "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3",
            Self::Linux => "SSH-2.0-OpenSSH_8.7",
        }
    }
}

impl fmt::Display for SimPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl FromStr for SimPlatform {
    type Err = SimError;

    fn from_str(key: &str) -> Result<Self, SimError> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.key() == key)
            .ok_or_else(|| SimError::UnknownPlatform { name: key.to_owned() })
    }
}
