//! FakeNOS, an emulator of network devices by others: its shells on paramiko's SSH server, one of each platform that has
//! a version command.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::LazyLock;

use serde::Deserialize;
use versweep::dialogue::{Errand, Rules};
use versweep::parse;
use versweep::platform::Platforms;
use versweep::transport::{Trace, Transport};

use crate::devices::{PASSWORD, device_at, transport};
use crate::python::Script;

/// One emulated device: what it answers to which command, where that is a fixed text.
#[derive(Debug, Deserialize)]
struct Host {
    platform: String,
    port: u16,
    command: String,
    answer: String,
}

struct FakeNos {
    hosts: Vec<Host>,
    /// It ends with this process.
    _script: Script,
}

/// All rows share it: it takes some seconds to begin.
static FLEET: LazyLock<FakeNos> = LazyLock::new(|| {
    let mut script = Script::start("fakenos_fleet.py", &[]);
    let mut hosts = Vec::new();
    loop {
        match script.line() {
            line if line == "{}" => return FakeNos { hosts, _script: script },
            line if line.starts_with('{') => hosts.push(serde_json::from_str(&line).unwrap()),
            // The emulator has words of its own.
            _ => {}
        }
    }
});

static PLATFORMS: LazyLock<Platforms> = LazyLock::new(Platforms::builtin);

/// Reads that platform in its shell: nothing of its answer is missing, and where a profile reads it, the same is read as
/// from the text alone.
async fn row(platform: &str) {
    let host = FLEET.hosts.iter().find(|host| host.platform == platform).expect("FakeNOS emulates it");
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(PASSWORD, folder.path());
    let device = device_at((Ipv4Addr::LOCALHOST, host.port).into());
    let errand = Errand::by_shell([host.command.clone()], Rules::default());
    let mut trace = Trace::recording();
    let outputs = transport.visit(&device, &errand, &mut trace).await;
    let said = trace.session.map(|session| session.exchanges());
    let output = outputs.unwrap_or_else(|error| panic!("{error}: {said:?}")).concat();
    let missing = host.answer.lines().map(str::trim).find(|line| {
        let words = !line.is_empty() && !line.contains(['\r', '\u{8}', '\t', '{']);
        words && !output.contains(line)
    });
    assert_eq!(missing, None, "{output:?}");
    let Some(profile) = PLATFORMS.find(platform) else { return };
    let text = if host.answer.is_empty() { &output } else { &host.answer };
    // An answer that has come to its end ends with a line; a value at a bare end isn't believed.
    match (parse::parse(profile, &output), parse::parse(profile, &format!("{text}\n"))) {
        (Ok(shell), Ok(text)) if shell == text => {}
        (Err(_), Err(_)) => {}
        (shell, text) => panic!("{shell:?}, alone {text:?}"),
    }
}

macro_rules! rows {
    ($($platform:ident)+) => {
        $(
            #[tokio::test]
            #[ignore = "needs FakeNOS: run by make test"]
            async fn $platform() {
                row(stringify!($platform)).await;
            }
        )+

        #[tokio::test]
        #[ignore = "needs FakeNOS: run by make test"]
        async fn every_platform_with_a_version_command_has_a_row() {
            let rows = BTreeSet::from([$(stringify!($platform)),+]);
            let emulated: BTreeSet<_> = FLEET.hosts.iter().map(|host| host.platform.as_str()).collect();
            assert_eq!(rows, emulated);
        }
    };
}

rows! {
    allied_telesis_awplus arista_eos avaya_ers avaya_vsp broadcom_icos brocade_fastiron checkpoint_gaia ciena_saos cisco_asa cisco_ios cisco_nxos cisco_s300 cisco_xr dell_force10 eltex ericsson_ipos fortinet hp_procurve huawei_smartax huawei_vrp juniper_junos paloalto_panos ruckus_fastiron ubiquiti_edgerouter ubiquiti_edgeswitch
}
