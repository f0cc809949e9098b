//! The profiles that come with versweep, in one list.

use std::sync::LazyLock;

use super::{Platforms, Profile, Slot, compile};
use crate::device::PlatformKey;

/// The key and the text of each profile, which is the file of that name.
macro_rules! profiles {
    ($($key:literal,)+) => {
        &[$(($key, include_str!(concat!($key, ".toml")))),+]
    };
}

/// All of them, sorted.
pub(super) const FILES: &[(&str, &str)] = profiles![
    "a10",
    "adtran_os",
    "adva_fsp150",
    "alcatel_aos",
    "allied_telesis_awplus",
    "apc_aos",
    "arista_eos",
    "aruba_aoscx",
    "aruba_os",
    "avaya_ers",
    "broadcom_icos",
    "brocade_fos",
    "brocade_netiron",
    "brocade_nos",
    "checkpoint_gaia",
    "ciena_saos",
    "ciena_saos10",
    "cisco_ap",
    "cisco_apic",
    "cisco_asa",
    "cisco_ftd",
    "cisco_fxos",
    "cisco_ios",
    "cisco_nfvis",
    "cisco_nxos",
    "cisco_s300",
    "cisco_staros",
    "cisco_viptela",
    "cisco_wlc",
    "cisco_xe",
    "cisco_xr",
    "cumulus_linux",
    "dell_force10",
    "dell_os10",
    "dell_powerconnect",
    "dlink_ds",
    "edgecore",
    "eltex",
    "eltex_esr",
    "ericsson_ipos",
    "extreme_exos",
    "extreme_slx",
    "extreme_vsp",
    "f5_tmsh",
    "fiberstore_fsos",
    "fortinet",
    "fortinet_fortimanager",
    "fortinet_fortiswitch",
    "frr",
    "fsas_sir",
    "garderos_grs",
    "hirschmann_hios",
    "hp_comware",
    "hp_procurve",
    "huawei_smartax",
    "huawei_vrp",
    "ipinfusion_ocnos",
    "juniper_junos",
    "juniper_screenos",
    "linux",
    "mellanox_mlnxos",
    "mikrotik_routeros",
    "mrv_optiswitch",
    "netgate_tnsr",
    "netgear_prosafe",
    "netscaler",
    "nokia_srl",
    "nokia_sros",
    "oneaccess_oneos",
    "openwrt",
    "opnsense",
    "paloalto_panos",
    "perle_iolan",
    "pfsense",
    "raisecom_roap",
    "ruckus_fastiron",
    "ruijie_os",
    "smartbyte",
    "sonic",
    "sonicwall",
    "tplink_olt",
    "ubiquiti_airos",
    "ubiquiti_edgerouter",
    "ubiquiti_edgeswitch",
    "vsol_olt",
    "vyos",
    "watchguard_fireware",
    "yamaha",
    "zte_zxros",
    "zyxel_os",
];

/// One shelf for the whole process: a profile is compiled when it is first asked for, and then shared.
static SHELF: LazyLock<Platforms> = LazyLock::new(anew);

/// A shelf on which no profile is compiled yet.
pub(super) fn anew() -> Platforms {
    let slots = FILES.iter().map(|(key, text)| (PlatformKey::new(key), Slot::builtin(key, text).into()));
    Platforms { slots: slots.collect() }
}

/// The built-in profiles.
pub(super) fn platforms() -> Platforms {
    SHELF.clone()
}

/// One of them, compiled. Their examples are run by this module's tests, not at each start.
#[expect(clippy::expect_used, reason = "they are compiled in, and a test compiles every one of them")]
pub(super) fn profile(key: &str, text: &str) -> Profile {
    compile::compiled(&format!("{key}.toml"), text).expect("a built-in profile compiles")
}
