//! What other programs call our platforms.

use super::Look;
use super::entry::{Part, text_of};
use crate::document::Scalar;
use crate::platform::Platforms;

/// Names that are no spelling of ours: RANCID's device types and Oxidized's models, where they say another thing.
const OTHER_NAMES: [(&str, &str); 22] = [
    ("cisco", "cisco_ios"),
    ("cat5", "cisco_ios"),
    ("css", "cisco_ios"),
    ("cisco-nx", "cisco_nxos"),
    ("cisco-xr", "cisco_xr"),
    ("juniper", "juniper_junos"),
    ("juniper-srx", "juniper_junos"),
    ("foundry", "ruckus_fastiron"),
    ("force10", "dell_force10"),
    ("dell", "dell_powerconnect"),
    ("extreme", "extreme_exos"),
    ("xos", "extreme_exos"),
    ("procurve", "hp_procurve"),
    ("hp", "hp_procurve"),
    ("bigip", "f5_tmsh"),
    ("f5", "f5_tmsh"),
    ("mikrotik", "mikrotik_routeros"),
    ("mrvd", "mrv_optiswitch"),
    ("paloalto", "paloalto_panos"),
    ("fortigate", "fortinet"),
    ("a10", "a10"),
    ("comware", "hp_comware"),
];

impl Look {
    /// The same with platforms called as they are called here, where that is known.
    pub(super) fn translated(mut self, platforms: &Platforms) -> Self {
        for entry in &mut self.entries {
            for field in &mut entry.fields {
                if field.part == Part::Key
                    && field.key == "platform"
                    && let Some(ours) = text_of(&field.value).and_then(|name| ours(platforms, &name))
                {
                    field.value = Scalar::Cell(ours);
                }
            }
        }
        self
    }
}

/// Our key for another program's name; nothing for one that is ours already, or that nobody knows.
fn ours(platforms: &Platforms, name: &str) -> Option<String> {
    if platforms.find(name).is_some() {
        return None;
    }
    let key = |name: &str| platforms.find(name).map(|profile| profile.key.as_str().to_owned());
    let spelled = |name: &str| key(&name.to_ascii_lowercase().replace(['-', ' ', '.'], "_"));
    // Ansible names a module of a collection: `cisco.ios.ios`.
    let module = name.rsplit_once('.').map(|(_, module)| module);
    spelled(name).or_else(|| module.and_then(|module| key(module).or_else(|| spelled(module)))).or_else(
        || {
            let other = OTHER_NAMES.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
            other.and_then(|(_, ours)| key(ours))
        },
    )
}
