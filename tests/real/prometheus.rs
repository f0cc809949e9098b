//! The shipped rules, samples and dashboards, tried by Prometheus's own tools and on a real Prometheus.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use versweep::activity::{OnDemand, SweepHandle, Trigger};
use versweep::clock::{Clock as _, SystemClock};
use versweep::config::Web;
use versweep::http::{App, Readiness, serve};
use versweep::known::Snapshot;
use versweep::metrics::{Cut, Encoding, Exporter, Live};
use versweep::sim::{Fault, Fleet, PASSWORD, SimConfig, USERNAME};
use versweep::status::SweepStatus;
use versweep::web_config::Keeper;

use crate::daemon::{Daemon, free_address};
use crate::fleet;
use crate::prometheus_server::{Prometheus, dashboard_queries};

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

fn path(relative: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative).to_string_lossy().into_owned()
}

#[test]
#[ignore = "needs promtool: run by make test"]
fn promtool_finds_no_fault_with_rules_and_sample() {
    promtool(&[
        "check",
        "rules",
        "--lint=all",
        "--lint-fatal",
        &path("etc/prometheus/rules/versweep.rules.yml"),
    ]);
    promtool(&["check", "config", &path("etc/prometheus/prometheus.yml")]);
}

#[test]
#[ignore = "needs promtool: run by make test"]
fn each_alert_fires_when_it_should_and_only_then() {
    let mut tests = 0;
    for entry in std::fs::read_dir(path("tests/prometheus")).unwrap() {
        promtool(&["test", "rules", &entry.unwrap().path().to_string_lossy()]);
        tests += 1;
    }
    let alerts = std::fs::read_to_string(path("etc/prometheus/rules/versweep.rules.yml")).unwrap();
    assert_eq!(tests, alerts.matches("- alert: ").count(), "one file of cases for each alert");
}

#[tokio::test]
#[ignore = "needs promtool: run by make test"]
async fn promtool_finds_no_fault_with_the_page() {
    let now = fleet::noon();
    let (snapshot, exporter) =
        (Arc::new(fleet::snapshot(now)), Exporter::new(&["rack-unit".to_owned()], true));
    let page =
        exporter.page(&snapshot, &fleet::live(now), &Cut::default(), Encoding::Identity).await.unwrap();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(&page).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// A server over a snapshot that the test exchanges; it ends with the guard.
pub(crate) async fn serve_fleet(
    snapshot: Snapshot,
    status: SweepStatus,
    web: Web,
) -> (SocketAddr, Arc<ArcSwap<Snapshot>>, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    // The senders may go: a watch keeps its last value.
    let (_, status) = watch::channel(status);
    let (trigger, _) = Trigger::new();
    let app = App {
        snapshot: Arc::clone(&snapshot),
        sweeps: Arc::new(ArcSwap::from_pointee(vec![SweepHandle { name: "all".into(), status, trigger }])),
        on_demand: OnDemand::new().0,
        exporter: Arc::new(ArcSwap::from_pointee(Exporter::new(&[], true))),
        live: Arc::new(|| Live { sweeps: Vec::new(), ..fleet::live(SystemClock.now()) }),
        forecasts: watch::channel(Vec::new()).1,
        reload: mpsc::channel(1).0,
        confirm: mpsc::channel(1).0,
        replay: mpsc::channel(1).0,
        readiness: watch::channel(Readiness::Ready).1,
        clock: Arc::new(SystemClock),
        // Nothing here asks for what only the store has.
        store: PathBuf::from("/nonexistent"),
        outbox: watch::channel(0).1,
        platforms: Arc::new(Arc::default),
        config: Arc::new(|| "".into()),
        keeper: Arc::new(Keeper::new(web.config_file.clone(), web.config.take()).unwrap()),
        web: Arc::new(ArcSwap::from_pointee(web)),
    };
    let stop = CancellationToken::new();
    tokio::spawn(serve(vec![listener], app, stop.clone()));
    (address, snapshot, stop.drop_guard())
}

/// What the test's fleet gives reason to, at once or after a while.
const FIRING: [&str; 6] = [
    "VersweepDown",
    "VersweepSweepMissed",
    "VersweepSweepSkipped",
    "VersweepDeviceUnreachable",
    "VersweepDeviceVersionChanged",
    "VersweepDeviceMembersDiffer",
];

/// Every recording rule finds the series that it names, and alerts fire on what the page really says. The fleet is one in
/// which things have happened: a device unreachable, one just changed, one whose members differ, a sweep overdue, a tick
/// skipped between two scrapes, and a second target that is down. (Each alert is fired by promtool.)
#[tokio::test]
#[ignore = "needs prometheus: run by make test"]
async fn every_recorded_series_is_there_and_alerts_fire() {
    let now = SystemClock.now();
    let overdue = SweepStatus { next: Some(now - Duration::from_secs(900)), ..SweepStatus::default() };
    let (address, published, _stop) = serve_fleet(fleet::snapshot(now), overdue, Web::default()).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let prometheus = Prometheus::start(&[address, closed]);

    prometheus.wait_for("versweep_visits_total").await;
    let mut later = fleet::snapshot(SystemClock.now());
    later.totals.visits += 4;
    *later.totals.skipped.get_mut("all").unwrap() += 1;
    later.totals.stages.values_mut().for_each(|stage| stage.observe(Duration::from_millis(20)));
    published.store(Arc::new(later));
    prometheus.wait_for("increase(versweep_sweeps_skipped_total[1m]) > 0").await;

    let rules = prometheus.rules().await;
    for (name, expr) in rules.iter().filter(|(name, _)| name.contains(':')) {
        assert!(!prometheus.wait_for(expr).await.is_empty(), "{name}");
    }
    for alert in FIRING {
        prometheus.wait_for(&format!("ALERTS{{alertname=\"{alert}\"}}")).await;
    }
}

/// Every panel, annotation and variable, with nothing made up: the real daemon on a simulated fleet, in which one device is
/// upgraded and one falls silent.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus: run by make test"]
async fn every_dashboard_query_finds_its_series_in_a_real_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let config = SimConfig {
        devices: 120,
        first_address: Ipv4Addr::new(127, 61, 0, 1),
        command_delay: Duration::from_millis(20),
        ..SimConfig::default()
    };
    let fleet = Fleet::start(config).await.unwrap();
    let web = free_address();
    std::fs::write(folder.path().join("devices.toml"), fleet.inventory_toml()).unwrap();
    std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
    let file = folder.path().join("versweep.toml");
    let text = format!(
        "[web]\nlisten = ['{web}']\n[store]\npath = 'versweep.db'\n[workers]\nmax = 32\n\
         [credentials.lab]\nusername = '{USERNAME}'\npassword = {{ file = 'password' }}\n\
         [defaults]\ncredential = 'lab'\ntimeout = '2s'\nconnect_timeout = '1s'\nlogin_timeout = '1s'\n\
         command_timeout = '1s'\n\
         [changes]\nconfirm_after = '0s'\n[holdoff]\nfirst = '0s'\n[[inventory]]\ntype = 'file'\npath = 'devices.toml'\n[[sweep]]\nname = 'all'\nevery = '1s'\n\
         [[sink]]\ntype = 'jsonl'\npath = 'events.jsonl'\n\
         [[policy]]\nname = 'none'\napproved = ['0.0.0']\n"
    );
    std::fs::write(&file, text).unwrap();
    let daemon = tokio::task::spawn_blocking(move || Daemon::start(&file, web)).await.unwrap();
    let prometheus = Prometheus::start(&[web]);
    prometheus.wait_for("count(versweep_device_version_info) == 120").await;

    let (upgraded, silent) = (fleet.devices()[1].name(), fleet.devices()[2].name());
    fleet.upgrade(upgraded, "99.9(9)").unwrap();
    fleet.set_fault(silent, Some(Fault::Silent)).await.unwrap();
    prometheus
        .wait_for(&format!("versweep_device_version_info{{device=\"{upgraded}\",version=\"99.9(9)\"}}"))
        .await;
    prometheus.wait_for(&format!("versweep_device_failure_info{{device=\"{silent}\"}}")).await;
    for (panel, expr) in dashboard_queries() {
        let series = prometheus.wait_for(&expr).await;
        // With more devices than that, a panel that has a series for each shows it. A device's own page may.
        let is_bounded = panel.starts_with("device.json") || series.len() <= 100;
        assert!(is_bounded, "{panel} asks for {} series", series.len());
    }
    drop(daemon);
    fleet.stop().await;
}
