//! `/metrics` speaks the contract: every name, label and type, escaped, bounded, rendered once per snapshot.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Arc;

use versweep::device::PlatformChoice;
use versweep::known::{DeviceState, Known, Snapshot, SweepRecord};
use versweep::metrics::{Collect, Cut, Encoding, Exporter, Shard};

use crate::fleet;

const GOLDEN: &str = include_str!("../golden/metrics.txt");
const GUIDE: &str = include_str!("../../docs/metrics.md");

async fn page(exporter: &Exporter, snapshot: &Arc<Snapshot>, cut: &Cut) -> String {
    let live = fleet::live(fleet::noon());
    String::from_utf8(exporter.page(snapshot, &live, cut, Encoding::Identity).await.unwrap()).unwrap()
}

fn exporter() -> Exporter {
    Exporter::new(&["rack-unit".to_owned()], true)
}

fn fixture() -> Arc<Snapshot> {
    Arc::new(fleet::snapshot(fleet::noon()))
}

/// The page without `process_*`, whose values are the test process's own.
fn without_process(page: &str) -> String {
    let own = |line: &&str| {
        !line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").starts_with("process_")
    };
    page.lines().filter(own).flat_map(|line| [line, "\n"]).collect()
}

fn series_of<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    page.lines()
        .filter(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")))
        .collect()
}

#[tokio::test]
async fn the_whole_page_is_the_golden_one() {
    let page = page(&exporter(), &fixture(), &Cut::default()).await;
    assert!(page.contains("\nprocess_start_time_seconds "), "process_* is missing");
    let page = without_process(&page);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write("tests/golden/metrics.txt", &page).unwrap();
    }
    assert_eq!(page, GOLDEN, "if the contract changed, write it anew with UPDATE_GOLDEN=1");
}

#[tokio::test]
async fn gzip_holds_the_same_page() {
    let (exporter, snapshot, live) = (exporter(), fixture(), fleet::live(fleet::noon()));
    let body = exporter.page(&snapshot, &live, &Cut::default(), Encoding::Gzip).await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(without_process(&text), GOLDEN);
}

#[tokio::test]
async fn ten_scrapes_at_once_cost_one_rendering() {
    let (exporter, snapshot) = (Arc::new(exporter()), fixture());
    let mut scrapes = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (exporter, snapshot) = (Arc::clone(&exporter), Arc::clone(&snapshot));
        scrapes.spawn(async move { page(&exporter, &snapshot, &Cut::default()).await });
    }
    let pages: BTreeSet<String> = scrapes.join_all().await.iter().map(|page| without_process(page)).collect();
    assert_eq!(pages.len(), 1);
    assert_eq!(exporter.device_renderings(), 1);
    // Another snapshot with the same content is another picture of the fleet.
    page(&exporter, &fixture(), &Cut::default()).await;
    assert_eq!(exporter.device_renderings(), 2);
}

#[tokio::test]
async fn a_cut_takes_a_part_of_the_page() {
    let (exporter, snapshot) = (exporter(), fixture());
    let devices = page(&exporter, &snapshot, &Cut { collect: Collect::Devices, ..Cut::default() }).await;
    let own = page(&exporter, &snapshot, &Cut { collect: Collect::Own, ..Cut::default() }).await;
    assert!(devices.contains("versweep_device_up") && !devices.contains("versweep_visits_total"));
    assert!(!own.contains("versweep_device") && own.contains("versweep_visits_total"));
    assert_eq!(without_process(&(devices + &own)), GOLDEN);

    let fra = Cut { site: Some("fra".to_owned()), ..Cut::default() };
    let fra = page(&exporter, &snapshot, &fra).await;
    assert_eq!(series_of(&fra, "versweep_device_info").len(), 2);

    let mut seen = 0;
    for index in 0..3 {
        let cut = Cut { shard: Shard::new(index, 3), ..Cut::default() };
        seen += series_of(&page(&exporter, &snapshot, &cut).await, "versweep_device_info").len();
    }
    assert_eq!(seen, 5);
}

#[tokio::test]
async fn counts_stay_when_devices_are_left_out() {
    let page = page(&Exporter::new(&[], false), &fixture(), &Cut::default()).await;
    assert!(!page.contains("versweep_device_info") && !page.contains("versweep_device_up"));
    assert_eq!(series_of(&page, "versweep_device_versions").len(), 2);
    assert_eq!(series_of(&page, "versweep_devices").len(), 12);
}

/// What a broken or hostile device says must neither break the page nor make two series into one, which Prometheus
/// answers by refusing the whole scrape.
#[tokio::test]
async fn hostile_text_can_not_break_the_page() {
    let at = fleet::noon();
    let long = "9".repeat(10_000);
    let versions = [
        "1.0\n# TYPE versweep_fake gauge\nversweep_fake 1",
        "a\"} 1\\",
        "\u{1b}[2J",
        "\u{9b}[2J",
        &long,
        &format!("{long}8"),
    ];
    let devices = versions.iter().enumerate().map(|(n, version)| {
        let known = Known {
            facts: Some(fleet::facts("linux", "<m>", version, at)),
            visit: Some(fleet::answered(at)),
            ..Known::default()
        };
        Arc::new(DeviceState { device: fleet::device(&format!("r{n}"), PlatformChoice::Auto, &[]), known })
    });
    let snapshot = Arc::new(Snapshot { devices: devices.collect(), ..Snapshot::default() });
    let page = page(&exporter(), &snapshot, &Cut::default()).await;

    assert!(!page.lines().any(|line| line.starts_with("versweep_fake")));
    assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
    assert!(page.lines().all(|line| line.chars().count() < 400));
    let series: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
    let distinct: BTreeSet<&str> =
        series.iter().filter_map(|line| line.rsplit_once(' ')).map(|(key, _)| key).collect();
    assert_eq!(distinct.len(), series.len(), "two samples of one series");
    assert_eq!(series_of(&page, "versweep_device_version_info").len(), versions.len());
    assert!(page.contains(r#"version="a\"} 1\\""#), "escaped as the format wants it");
}

/// A large fleet is rendered piece by piece; of a family the first pieces may have no sample at all.
#[tokio::test]
async fn a_family_of_many_pieces_has_one_header_and_every_sample() {
    let at = fleet::noon();
    let devices = (0..1_000).map(|n| {
        let seen = (n >= 600).then(|| fleet::facts("linux", "pc", "1.0", at));
        let visit = seen.as_ref().map(|_| fleet::answered(at));
        let known = Known { facts: seen, visit, ..Known::default() };
        let device = fleet::device(&format!("r{n:04}"), PlatformChoice::Auto, &[]);
        Arc::new(DeviceState { device, known })
    });
    let snapshot = Arc::new(Snapshot { devices: devices.collect(), ..Snapshot::default() });
    let page = page(&exporter(), &snapshot, &Cut::default()).await;
    for (name, samples) in [
        ("versweep_device_info", 1_000),
        ("versweep_device_version_info", 400),
        ("versweep_device_up", 400),
        ("versweep_device_version_changes_total", 1_000),
    ] {
        let series = series_of(&page, name);
        assert_eq!(series.len(), samples, "{name}");
        assert!(series.is_sorted(), "{name} is in the order of the fleet");
        let headers = ["HELP", "TYPE"].map(|what| page.matches(&format!("# {what} {name} ")).count());
        assert_eq!(headers, [1, 1], "{name}");
        let first = page.find(series[0]).unwrap();
        let lines: Vec<_> = page[first..].lines().take(samples).collect();
        assert_eq!(lines, series, "{name} is in one piece");
    }
    assert!(!page.contains("versweep_device_failure_info"), "a family without samples leaves nothing");
}

#[tokio::test]
async fn an_empty_fleet_has_a_page() {
    let page = page(&exporter(), &Arc::new(Snapshot::default()), &Cut::default()).await;
    assert!(page.contains("versweep_visits_total 0\n"));
    assert!(page.contains("versweep_visit_failures_total{reason=\"host_key\"} 0\n"));
    assert!(page.contains("versweep_sweep_last_success_timestamp_seconds{sweep=\"all\"} 0\n"));
}

/// A clock that was set back after a run has the run that is on begin before it.
#[tokio::test]
async fn the_run_that_is_on_is_the_newest_whatever_the_clock_said() {
    let mut snapshot = fleet::snapshot(fleet::noon());
    let on = SweepRecord {
        started: fleet::noon() - chrono::TimeDelta::days(2),
        ended: None,
        ..snapshot.last_sweeps[0].clone()
    };
    let shown =
        format!("versweep_sweep_last_start_timestamp_seconds{{sweep=\"all\"}} {}\n", on.started.timestamp());
    snapshot.last_sweeps.push(on);
    let page = page(&exporter(), &Arc::new(snapshot), &Cut::default()).await;
    assert!(page.contains(&shown), "{shown}");
}

/// The guide names what the page has, and nothing else.
#[test]
fn the_guide_lists_every_metric() {
    let page: BTreeSet<&str> =
        GOLDEN.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `"));
    let guide: BTreeSet<&str> = rows.filter_map(|row| row.split(['`', '{']).next()).collect();
    assert_eq!(guide, page);
}
