//! The profiles that come with versweep, in one list.

use super::{Profile, compile};

/// File name and text of each.
pub(super) const FILES: [(&str, &str); 8] = [
    ("arista_eos.toml", include_str!("arista_eos.toml")),
    ("cisco_ios.toml", include_str!("cisco_ios.toml")),
    ("cisco_nxos.toml", include_str!("cisco_nxos.toml")),
    ("cisco_xe.toml", include_str!("cisco_xe.toml")),
    ("cisco_xr.toml", include_str!("cisco_xr.toml")),
    ("frr.toml", include_str!("frr.toml")),
    ("juniper_junos.toml", include_str!("juniper_junos.toml")),
    ("linux.toml", include_str!("linux.toml")),
];

/// All of them, compiled. Their examples are run by this module's tests, not at each start.
#[expect(clippy::expect_used, reason = "they are compiled in, and a test compiles every one of them")]
pub(super) fn profiles() -> impl Iterator<Item = Profile> {
    FILES.into_iter().map(|(file, text)| compile::compiled(file, text).expect("a built-in profile compiles"))
}
