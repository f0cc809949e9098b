//! From a device to the pager: the real daemon on a simulated fleet, a real Prometheus with the shipped rules, a real
//! Alertmanager with the shipped sample, and a webhook at the end.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use tempfile::TempDir;
use versweep::sim::{Fault, Fleet, PASSWORD, SimConfig, SimDevice, USERNAME};

use crate::alertmanager::{Alertmanager, Notification};
use crate::daemon::{Daemon, PATIENCE, free_address};
use crate::prometheus_server::Prometheus;

const POLL: Duration = Duration::from_millis(200);

/// Everything from the devices to the webhook.
struct Stage {
    fleet: Fleet,
    alertmanager: Alertmanager,
    prometheus: Prometheus,
    _daemon: Daemon,
    _folder: TempDir,
}

impl Stage {
    /// A fleet of which the first `ams` devices are the site `ams`, the others `fra`; swept each second.
    async fn set(network: u8, devices: usize, ams: usize) -> Self {
        Self::with(network, devices, ams, |_| String::new()).await
    }

    /// The same with more in the configuration, by what the devices are.
    async fn with(
        network: u8,
        devices: usize,
        ams: usize,
        more: impl Fn(&[std::sync::Arc<SimDevice>]) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config =
            SimConfig { devices, first_address: Ipv4Addr::new(127, network, 0, 1), ..SimConfig::default() };
        let fleet = Fleet::start(config).await.unwrap();
        let web = free_address();
        std::fs::write(folder.path().join("devices.toml"), inventory(fleet.devices(), ams)).unwrap();
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        let file = folder.path().join("versweep.toml");
        std::fs::write(&file, configuration(&web.to_string()) + &more(fleet.devices())).unwrap();
        let daemon = tokio::task::spawn_blocking(move || Daemon::start(&file, web)).await.unwrap();
        let alertmanager = Alertmanager::start().await;
        let prometheus = Prometheus::alerting(&[web], alertmanager.address);
        prometheus.wait_for(&format!("sum(versweep_devices{{state=\"up\"}}) == {devices}")).await;
        Self { fleet, alertmanager, prometheus, _daemon: daemon, _folder: folder }
    }

    /// Makes these devices ill, or well again.
    async fn fault(&self, devices: &[std::sync::Arc<SimDevice>], fault: Option<Fault>) {
        for device in devices {
            self.fleet.set_fault(device.name(), fault).await.unwrap();
        }
    }

    /// Waits for a notification of an alert in this state; returns everything that had arrived by then.
    async fn arrives(&self, alert: &str, status: &str) -> (Notification, Vec<Notification>) {
        let arrived = async {
            loop {
                let all = self.alertmanager.notifications();
                match all.iter().find(|one| one.alert() == alert && one.status() == status) {
                    Some(found) => return (found.clone(), all),
                    None => tokio::time::sleep(POLL).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.unwrap_or_else(|_| {
            panic!("no notification of {alert}, {status}: {:?}", self.alertmanager.notifications())
        })
    }
}

fn inventory(devices: &[std::sync::Arc<SimDevice>], ams: usize) -> String {
    let mut text = String::new();
    for (number, device) in devices.iter().enumerate() {
        let site = if number < ams { "ams" } else { "fra" };
        let (name, address, port) = (device.name(), device.address(), device.port());
        let platform = device.platform();
        write!(
            text,
            "[[device]]\nname = '{name}'\naddress = '{address}'\nport = {port}\nplatform = '{platform}'\n\
             labels = {{ site = '{site}' }}\n"
        )
        .unwrap();
    }
    text
}

fn configuration(web: &str) -> String {
    format!(
        "[web]\nlisten = ['{web}']\n[store]\npath = 'versweep.db'\n[workers]\nmax = 64\n\
         [credentials.netops]\nusername = '{USERNAME}'\npassword = {{ file = 'password' }}\n\
         [defaults]\ncredential = 'netops'\ntimeout = '5s'\nconnect_timeout = '2s'\nlogin_timeout = '2s'\n\
         command_timeout = '2s'\n\
         [changes]\nconfirm_after = '0s'\nflapping = 0\n[holdoff]\nfirst = '0s'\n[breaker]\npause = '1s'\n\
         [[inventory]]\ntype = 'file'\npath = 'devices.toml'\n[[sweep]]\nname = 'all'\nevery = '1s'\n"
    )
}

/// Fifty devices behind one broken link wake somebody once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus and alertmanager: run by make test"]
async fn a_dead_site_is_one_page_and_is_taken_back() {
    let stage = Stage::set(62, 53, 50).await;
    let (ams, fra) = stage.fleet.devices().split_at(50);
    stage.fault(ams, Some(Fault::Refuse)).await;
    let (page, _) = stage.arrives("VersweepSiteUnreachable", "firing").await;
    assert_eq!((page.receiver.as_str(), page.common("site"), page.alerts()), ("pager", "ams", 1));
    let firing =
        "count(ALERTS{alertname=\"VersweepDeviceUnreachable\",alertstate=\"firing\",site=\"ams\"}) == 50";
    stage.prometheus.wait_for(firing).await;

    // A device elsewhere is told, and by then nothing was told of the fifty.
    stage.fault(&fra[..1], Some(Fault::Refuse)).await;
    let (single, all) = stage.arrives("VersweepDeviceUnreachable", "firing").await;
    assert_eq!((single.receiver.as_str(), single.common("device")), ("team", fra[0].name()));
    let of_ams: Vec<&str> =
        all.iter().filter(|one| one.common("site") == "ams").map(Notification::alert).collect();
    assert_eq!(of_ams, ["VersweepSiteUnreachable"]);

    stage.fault(stage.fleet.devices(), None).await;
    let (page, _) = stage.arrives("VersweepSiteUnreachable", "resolved").await;
    assert_eq!(page.common("site"), "ams");
    stage.fleet.stop().await;
}

/// A password that is refused everywhere is one page, not one for each device; and it ends when the canary is let in.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus and alertmanager: run by make test"]
async fn a_refused_credential_is_one_page_and_is_taken_back() {
    let stage = Stage::set(63, 12, 6).await;
    stage.fault(stage.fleet.devices(), Some(Fault::Password)).await;
    let (page, _) = stage.arrives("VersweepCredentialRefused", "firing").await;
    assert_eq!((page.receiver.as_str(), page.common("credential"), page.alerts()), ("pager", "netops", 1));
    stage.fault(stage.fleet.devices(), None).await;
    let (_, all) = stage.arrives("VersweepCredentialRefused", "resolved").await;
    let told: Vec<&str> = all.iter().map(Notification::alert).collect();
    assert_eq!(told, ["VersweepCredentialRefused"; 2]);
    stage.fleet.stop().await;
}

/// A version that no policy approves is told with the device's labels, and taken back when the device runs an approved one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus and alertmanager: run by make test"]
async fn a_drift_is_told_and_is_taken_back_when_it_is_put_right() {
    let stage = Stage::with(64, 8, 4, |devices| {
        let approved: Vec<String> = devices.iter().map(|device| format!("'{}'", device.version())).collect();
        format!("[[policy]]\nname = 'lab'\napproved = [{}]\n", approved.join(", "))
    })
    .await;
    let drifter = &stage.fleet.devices()[1];
    let approved = drifter.version();
    stage.fleet.upgrade(drifter.name(), "99.9(9)").unwrap();
    let (told, _) = stage.arrives("VersweepDeviceDrifted", "firing").await;
    let labels = ["device", "policy", "site", "platform", "severity", "job"].map(|label| told.common(label));
    let platform = drifter.platform().to_string();
    assert_eq!(labels, [drifter.name(), "lab", "ams", &platform, "warning", "versweep"]);
    assert_eq!((told.receiver.as_str(), told.alerts()), ("team", 1));
    let annotations = &told.body["commonAnnotations"];
    assert!(annotations["description"].as_str().unwrap().contains("runs 99.9(9),"), "{annotations}");
    assert!(annotations["runbook_url"].as_str().unwrap().ends_with("/device-drifted.md"), "{annotations}");

    stage.fleet.upgrade(drifter.name(), &approved).unwrap();
    let (back, all) = stage.arrives("VersweepDeviceDrifted", "resolved").await;
    assert_eq!(back.common("device"), drifter.name());
    let drifts = all.iter().filter(|one| one.alert() == "VersweepDeviceDrifted").count();
    assert_eq!(drifts, 2, "told once, taken back once");
    stage.fleet.stop().await;
}

#[test]
#[ignore = "needs amtool: run by make test"]
fn amtool_finds_no_fault_with_the_sample() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/prometheus/alertmanager.yml");
    let output = std::process::Command::new("amtool").args(["check-config", file]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
