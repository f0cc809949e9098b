//! The daemon as its users see it: a simulated fleet, the real program, and `/metrics`, `versweep changes`, `versweep
//! devices` and the file of events beside each other.

use serde_json::Value;
use versweep::sim::{Fault, SimDevice};

use crate::daemon::{Daemon, eventually, request, sample};
use crate::site::Site;

fn version_series(device: &SimDevice, version: &str) -> (String, String) {
    let name = device.name();
    (format!("versweep_device_version_info{{device=\"{name}\","), format!("version=\"{version}\""))
}

/// Whether the page has exactly one version of the device, and this one.
pub(crate) fn shows(page: &str, device: &SimDevice, version: &str) -> bool {
    let (series, label) = version_series(device, version);
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with(&series)).collect();
    assert!(lines.len() <= 1, "two versions of one device: {lines:?}");
    lines.first().is_some_and(|line| line.contains(&label))
}

fn shows_all(page: &str, site: &Site) -> bool {
    site.devices().iter().all(|device| shows(page, device, &device.version()))
}

fn of_device(page: &str, metric: &str, device: &SimDevice) -> Option<f64> {
    sample(page, &format!("versweep_device_{metric}{{device=\"{}\"", device.name()))
}

pub(crate) fn sweeps_total(daemon: &Daemon) -> f64 {
    sample(&daemon.page("/metrics"), "versweep_sweeps_total{sweep=\"all\"}").unwrap()
}

/// Waits for two sweeps that began after this call.
pub(crate) fn two_more_sweeps(daemon: &Daemon) {
    // The one that is on may have visited a device before now.
    let enough = sweeps_total(daemon) + 3.0;
    eventually("more sweeps", || sweeps_total(daemon) >= enough);
}

pub(crate) fn until_all_are_known(daemon: &Daemon, site: &Site) {
    eventually("every device is known", || shows_all(&daemon.page("/metrics"), site));
}

fn about<'a>(events: &'a [Value], device: &SimDevice, kinds: &[&str]) -> Vec<&'a Value> {
    let kind = |event: &Value| event["type"].as_str().or(event["kind"].as_str()).unwrap().to_owned();
    events
        .iter()
        .filter(|event| event["device"] == device.name() && kinds.contains(&kind(event).as_str()))
        .collect()
}

const VERSIONS: [&str; 3] = ["upgrade", "downgrade", "other"];

/// That the change was told once: by the counter, by `versweep changes`, by the file of events; and `versweep devices`
/// has the version.
pub(crate) fn assert_told_once(daemon: &Daemon, site: &Site, device: &SimDevice, before: &str, after: &str) {
    eventually("the change is in the file of events", || {
        !about(&site.events(), device, &VERSIONS).is_empty()
    });
    assert_eq!(of_device(&daemon.page("/metrics"), "version_changes_total", device), Some(1.0));
    for told in [site.ask("changes"), site.events()] {
        let changes = about(&told, device, &VERSIONS);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(
            (changes[0]["before"].as_str(), changes[0]["after"].as_str()),
            (Some(before), Some(after))
        );
    }
    let devices = site.ask("devices");
    let listed = devices.iter().find(|listed| listed["device"] == device.name()).unwrap();
    assert_eq!((listed["version"].as_str(), listed["state"].as_str()), (Some(after), Some("up")));
}

#[test]
fn a_changed_version_is_told_everywhere_exactly_once() {
    let site = Site::new(8);
    let daemon = site.daemon();
    until_all_are_known(&daemon, &site);
    assert!(site.ask("changes").iter().all(|told| told["kind"] == "first_seen"), "first seen is no change");

    let changed = &site.devices()[3];
    let (before, after) = site.upgrade(changed, 1);
    eventually("the new version", || shows(&daemon.page("/metrics"), changed, &after));
    assert_told_once(&daemon, &site, changed, &before, &after);
    two_more_sweeps(&daemon);
    assert_told_once(&daemon, &site, changed, &before, &after);

    let page = daemon.page("/metrics");
    assert!(shows_all(&page, &site));
    assert_eq!(site.events().len(), 1, "nobody else changed: {:?}", site.events());
    assert_eq!(site.fleet().sessions().peak_on_one_device, 1, "never two sessions on one device");
    assert!(daemon.page("/").contains(&after), "the landing page shows it");
}

#[test]
fn a_silent_device_keeps_its_version_and_is_told_down_and_up() {
    let site = Site::new(3);
    let daemon = site.daemon();
    until_all_are_known(&daemon, &site);
    let silent = &site.devices()[1];
    site.set_fault(silent, Some(Fault::Silent));
    eventually("it is told unreachable", || {
        let page = daemon.page("/metrics");
        assert!(shows(&page, silent, &silent.version()), "no answer is never a change");
        !about(&site.events(), silent, &["unreachable"]).is_empty()
    });
    let page = daemon.page("/metrics");
    assert_eq!(of_device(&page, "up", silent), Some(0.0));
    assert!(of_device(&page, "consecutive_failures", silent) >= Some(2.0), "after down_after failures");
    assert!(page.contains(&format!("failure_info{{device=\"{}\",reason=\"timeout\"}} 1", silent.name())));
    assert!(
        of_device(&page, "last_success_timestamp_seconds", silent)
            < of_device(&page, "last_visit_timestamp_seconds", silent)
    );

    site.set_fault(silent, None);
    eventually("it is told recovered", || !about(&site.events(), silent, &["recovered"]).is_empty());
    two_more_sweeps(&daemon);
    let page = daemon.page("/metrics");
    assert_eq!(of_device(&page, "up", silent), Some(1.0));
    assert!(!page.contains("failure_info{"), "only while up is 0");
    let kinds: Vec<_> = site.events().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["unreachable", "recovered"], "each once, and nothing else");
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let site = Site::new(4);
    let mut daemon = site.daemon();
    until_all_are_known(&daemon, &site);
    let (first, second) = (&site.devices()[0], &site.devices()[1]);
    let (before, after) = site.upgrade(first, 1);
    eventually("the new version", || shows(&daemon.page("/metrics"), first, &after));
    assert_told_once(&daemon, &site, first, &before, &after);
    assert!(daemon.stop().success());
    let upgraded_meanwhile = site.upgrade(second, 1);
    let before_restart = site.events();

    // A sweep on demand only: what the page shows comes out of the store.
    site.write("versweep.toml", &site.config("schedule = 'never'", 8));
    let mut daemon = site.daemon();
    let page = daemon.page("/metrics");
    assert!(shows(&page, first, &after) && shows(&page, second, &upgraded_meanwhile.0), "{page}");
    assert!(sample(&page, "versweep_visits_total") > Some(4.0), "counters go on");
    assert!(sample(&page, "versweep_sweeps_total{sweep=\"all\"}") > Some(1.0));
    assert!(sample(&page, "versweep_sweep_last_duration_seconds{sweep=\"all\"}").is_some());
    assert_eq!(sample(&page, "versweep_changes_total{kind=\"upgrade\"}"), Some(1.0));
    assert_told_once(&daemon, &site, first, &before, &after);
    assert_eq!(site.events(), before_restart, "nothing is announced again");

    assert_eq!(request(site.web(), "POST", "/-/sweep").unwrap().status, 202);
    let (before, after) = upgraded_meanwhile;
    eventually("what changed meanwhile", || shows(&daemon.page("/metrics"), second, &after));
    assert_told_once(&daemon, &site, second, &before, &after);
    assert_eq!(site.events().len(), 2);
    assert!(daemon.stop().success());
}

#[test]
fn a_reload_takes_a_good_configuration_and_refuses_a_bad_one() {
    let site = Site::new(5);
    let inventory = site.fleet().inventory_toml();
    let without = |index: usize| {
        let blocks: Vec<&str> = inventory.split("\n[[device]]").collect();
        let kept = blocks.iter().enumerate().filter(|(place, _)| *place != index + 1);
        kept.map(|(_, block)| *block).collect::<Vec<_>>().join("\n[[device]]")
    };
    let devices = site.devices();
    site.write("devices.toml", &without(4));
    let mut daemon = site.daemon();
    eventually("a first sweep", || sweeps_total(&daemon) >= 1.0);
    assert_eq!(of_device(&daemon.page("/metrics"), "up", &devices[4]), None);

    site.write("devices.toml", &without(0));
    site.write("versweep.toml", &site.config("every = '1s'", 3));
    daemon.signal("HUP");
    eventually("the new device is swept, the old one gone, the cap lower", || {
        let page = daemon.page("/metrics");
        let gone = !page.contains(&format!("device=\"{}\"", devices[0].name()));
        let came = of_device(&page, "up", &devices[4]) == Some(1.0);
        gone && came && sample(&page, "versweep_workers_limit") == Some(3.0)
    });
    let success_at = "versweep_config_last_reload_success_timestamp_seconds";
    let good = daemon.page("/metrics");
    assert_eq!(sample(&good, "versweep_config_last_reload_successful"), Some(1.0));

    let bad = site.config("every = '1s'", 9).replace("timeout = '60s'", "timeout = 60\ntimeouts = '5s'");
    site.write("versweep.toml", &bad);
    daemon.signal("HUP");
    let successful = "versweep_config_last_reload_successful";
    eventually("the bad one is refused", || sample(&daemon.page("/metrics"), successful) == Some(0.0));
    let page = daemon.page("/metrics");
    assert_eq!(sample(&page, "versweep_workers_limit"), Some(3.0), "the old one stays in force");
    assert_eq!(sample(&page, success_at), sample(&good, success_at));
    let line = 1 + bad.lines().position(|line| line == "timeout = 60").unwrap();
    let place = format!("versweep.toml:{line}: defaults.timeout: 60 has no unit");
    eventually("the log names the places", || {
        let log = daemon.log().join("\n");
        log.contains(&place)
            && log.contains(&format!("versweep.toml:{}: defaults.timeouts: unknown key", line + 1))
    });
    two_more_sweeps(&daemon);

    let answer = request(site.web(), "POST", "/-/reload").unwrap();
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains(&place), "{}", answer.body);
    site.write("versweep.toml", &site.config("every = '1s'", 4));
    assert_eq!(request(site.web(), "POST", "/-/reload").unwrap().status, 200);
    let page = daemon.page("/metrics");
    assert_eq!((sample(&page, successful), sample(&page, "versweep_workers_limit")), (Some(1.0), Some(4.0)));
    assert!(daemon.stop().success());
}

/// Two sweeps over the same devices, each as often as it may: the devices see one visit at a time.
#[test]
fn sweeps_that_overlap_share_the_devices() {
    let site = Site::new(6);
    let second = "[[sweep]]\nname = 'again'\nevery = '1s'\n";
    site.write("versweep.toml", &(site.config("every = '1s'", 8) + second));
    let mut daemon = site.daemon();
    let ended =
        |name: &str| sample(&daemon.page("/metrics"), &format!("versweep_sweeps_total{{sweep=\"{name}\"}}"));
    eventually("both have run", || ended("all") >= Some(4.0) && ended("again") >= Some(4.0));
    let page = daemon.page("/metrics");
    assert!(shows_all(&page, &site));
    assert!(!page.contains("failure_info{"), "nobody was turned away: {page}");
    assert_eq!(site.fleet().sessions().peak_on_one_device, 1);
    assert!(daemon.stop().success());
}

/// No login to a device with another host key, until the operator does what the message says.
#[test]
fn a_changed_host_key_costs_no_login_until_it_is_accepted() {
    let site = Site::new(2);
    let mut daemon = site.daemon();
    until_all_are_known(&daemon, &site);
    let other = &site.devices()[1];
    site.set_fault(other, Some(Fault::HostKey));
    let reason = format!("failure_info{{device=\"{}\",reason=\"host_key\"}} 1", other.name());
    eventually("the key is refused", || daemon.page("/metrics").contains(&reason));
    let logins = other.password_attempts();
    two_more_sweeps(&daemon);
    assert_eq!(other.password_attempts(), logins, "no secret is sent");
    let devices = site.ask("devices");
    let listed = devices.iter().find(|listed| listed["device"] == other.name()).unwrap();
    let detail = listed["failure"]["detail"].as_str().expect("what to do");
    let place = detail.split_once("(").and_then(|(_, rest)| rest.split_once(')')).expect("FILE:LINE").0;
    let (file, line) = place.rsplit_once(':').unwrap();
    assert!(detail.ends_with("and reload"), "{detail}");

    let known = std::fs::read_to_string(file).unwrap();
    let line: usize = line.parse().unwrap();
    let kept = known.lines().enumerate().filter(|(index, _)| index + 1 != line).map(|(_, line)| line);
    std::fs::write(file, kept.flat_map(|line| [line, "\n"]).collect::<String>()).unwrap();
    daemon.signal("HUP");
    eventually("it logs in again", || of_device(&daemon.page("/metrics"), "up", other) == Some(1.0));
    assert!(daemon.stop().success());
}

/// A sink that can't take its events holds up nothing; what waits is delivered once it can.
#[test]
fn a_dead_sink_holds_up_nothing_and_gets_its_events_in_the_end() {
    let site = Site::new(2);
    std::fs::create_dir(site.path("events.jsonl")).unwrap();
    let mut daemon = site.daemon();
    until_all_are_known(&daemon, &site);
    for device in site.devices() {
        site.upgrade(device, 1);
    }
    until_all_are_known(&daemon, &site);
    two_more_sweeps(&daemon);
    eventually("the failure is counted", || {
        let page = daemon.page("/metrics");
        sample(&page, "versweep_sink_failures_total{sink=\"jsonl\"}") >= Some(1.0)
            && sample(&page, "versweep_sink_pending{sink=\"jsonl\"}") == Some(4.0)
    });
    std::fs::remove_dir(site.path("events.jsonl")).unwrap();
    eventually("the events arrive", || site.events().len() == 2);
    eventually("and count as delivered", || {
        sample(&daemon.page("/metrics"), "versweep_sink_pending{sink=\"jsonl\"}") == Some(0.0)
    });
    assert!(daemon.stop().success());
    assert_eq!(site.events().len(), 2, "each once");
}
