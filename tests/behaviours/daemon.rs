//! The daemon as its users see it: a simulated fleet, the real program, and `/metrics`, `versweep changes`, `versweep
//! devices` and the file of events beside each other.

use serde_json::Value;
use versweep::sim::{Fault, SimDevice};

use crate::daemon::{Daemon, eventually, get, request, sample};
use crate::site::{SLOW, Site};

fn version_series(device: &SimDevice, version: &str) -> (String, String) {
    let name = device.name();
    (format!("versweep_device_version_info{{device=\"{name}\","), format!("version=\"{version}\""))
}

/// Whether the page has exactly one version of the device, and this one.
fn shows(page: &str, device: &SimDevice, version: &str) -> bool {
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

fn sweeps_total(daemon: &Daemon) -> f64 {
    sample(&daemon.page("/metrics"), "versweep_sweeps_total{sweep=\"all\"}").unwrap()
}

/// Waits for two sweeps that began after this call.
fn two_more_sweeps(daemon: &Daemon) {
    // The one that is on may have visited a device before now.
    let enough = sweeps_total(daemon) + 3.0;
    eventually("more sweeps", || sweeps_total(daemon) >= enough);
}

fn until_all_are_known(daemon: &Daemon, site: &Site) {
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
fn assert_told_once(daemon: &Daemon, site: &Site, device: &SimDevice, before: &str, after: &str) {
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
    assert!(site.ask("changes").is_empty(), "first seen is no change");

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

/// A site whose devices take their time, with a daemon that sweeps on demand and has begun to.
fn in_the_middle_of_a_sweep(devices: usize, workers: usize) -> (Site, Daemon) {
    let config = versweep::sim::SimConfig { devices, command_delay: SLOW, ..Default::default() };
    let site = Site::with(config);
    site.write("versweep.toml", &site.config("schedule = 'never'", workers));
    let daemon = site.daemon();
    assert_eq!(get(site.web(), "/-/healthy").unwrap().status, 200);
    assert_eq!(request(site.web(), "POST", "/-/sweep").unwrap().status, 202);
    let busy = f64::from(u32::try_from(workers).unwrap());
    eventually("the workers are busy", || {
        sample(&daemon.page("/metrics"), "versweep_workers_busy") == Some(busy)
    });
    (site, daemon)
}

#[test]
fn a_sweep_on_request_is_refused_while_it_runs() {
    let (site, mut daemon) = in_the_middle_of_a_sweep(2, 2);
    let refused = request(site.web(), "POST", "/-/sweep").unwrap();
    assert_eq!((refused.status, refused.body.as_str()), (409, "all: the sweep is running already\n"));
    assert_eq!(request(site.web(), "POST", "/-/sweep?sweep=none").unwrap().status, 404);
    let page = daemon.page("/metrics");
    assert_eq!(sample(&page, "versweep_sweep_running{sweep=\"all\"}"), Some(1.0));
    assert_eq!(sample(&page, "versweep_sweep_devices{sweep=\"all\",state=\"busy\"}"), Some(2.0));
    eventually("the sweep ends", || sweeps_total(&daemon) >= 1.0);
    assert_eq!(request(site.web(), "POST", "/-/sweep").unwrap().status, 202, "and then it may run again");
    assert!(daemon.stop().success());
}

#[test]
fn a_stop_in_the_middle_of_a_sweep_drains_it() {
    let (site, mut daemon) = in_the_middle_of_a_sweep(12, 3);
    let status = daemon.stop();
    let log = daemon.log().join("\n");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("graceful=true"), "{log}");
    let sessions = site.fleet().sessions();
    let reader = versweep::store::Reader::open(&site.path("versweep.db")).unwrap();
    let sweeps = reader.sweeps(9).unwrap();
    assert_eq!((sweeps.len(), sweeps[0].complete, sweeps[0].failed), (1, false, 0), "{sweeps:?}");
    assert_eq!(sweeps[0].answered, sessions.logins, "every visit that was begun was ended and recorded");
    assert!((3..12).contains(&sessions.logins), "{sessions:?}");
    eventually("no session is left", || site.fleet().sessions().open == 0);
}

#[test]
fn a_second_signal_leaves_at_once() {
    let site = Site::new(2);
    for device in site.devices() {
        site.set_fault(device, Some(Fault::Hang));
    }
    let mut daemon = site.daemon();
    eventually("both hang", || sample(&daemon.page("/metrics"), "versweep_workers_busy") == Some(2.0));
    daemon.signal("TERM");
    eventually("it drains", || {
        daemon.log().iter().any(|line| line.contains("a second signal leaves at once"))
    });
    assert_eq!(get(site.web(), "/-/ready").unwrap().status, 503, "not ready, and still there to be scraped");
    let began = tokio::time::Instant::now();
    daemon.signal("INT");
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(began.elapsed().as_secs() < 20, "the grace is 40 s");
    eventually("the log says so", || daemon.log().iter().any(|line| line.contains("not gracefully")));
}

#[test]
fn the_end_of_the_grace_breaks_visits_off() {
    let site = Site::new(2);
    for device in site.devices() {
        site.set_fault(device, Some(Fault::Hang));
    }
    site.write("versweep.toml", &site.config("every = '1s'", 8).replace("grace = '40s'", "grace = '1s'"));
    let mut daemon = site.daemon();
    eventually("both hang", || sample(&daemon.page("/metrics"), "versweep_workers_busy") == Some(2.0));
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(daemon.log().iter().any(|line| line.contains("graceful=false")), "{:?}", daemon.log());
    let reader = versweep::store::Reader::open(&site.path("versweep.db")).unwrap();
    let sweep = &reader.sweeps(9).unwrap()[0];
    assert_eq!(
        (sweep.complete, sweep.answered, sweep.failed),
        (false, 0, 0),
        "what was broken off leaves no trace"
    );
}

/// A reload removes a sweep in the middle of its run, another one brings it back: single flight holds all the same.
#[test]
fn a_sweep_that_leaves_and_comes_back_never_runs_twice_at_once() {
    let (site, mut daemon) = in_the_middle_of_a_sweep(6, 2);
    let with = site.config("schedule = 'never'", 2);
    for config in [with.replace("name = 'all'", "name = 'other'"), with] {
        site.write("versweep.toml", &config);
        assert_eq!(request(site.web(), "POST", "/-/reload").unwrap().status, 200);
    }
    assert_eq!(request(site.web(), "POST", "/-/sweep").unwrap().status, 202, "it is asked for");
    assert_eq!(request(site.web(), "POST", "/-/sweep").unwrap().status, 409, "and that once");
    eventually("both runs have ended", || sweeps_total(&daemon) >= 2.0);
    assert!(daemon.stop().success());
    let sweeps = versweep::store::Reader::open(&site.path("versweep.db")).unwrap().sweeps(9).unwrap();
    let [second, first] = &sweeps[..] else { panic!("two runs: {sweeps:?}") };
    assert!(Some(second.started) >= first.ended, "{sweeps:?}");
    assert!(first.complete && second.complete, "{sweeps:?}");
    assert_eq!(site.fleet().sessions().peak_on_one_device, 1);
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
            && sample(&page, "versweep_sink_pending{sink=\"jsonl\"}") == Some(2.0)
    });
    std::fs::remove_dir(site.path("events.jsonl")).unwrap();
    eventually("the events arrive", || site.events().len() == 2);
    eventually("and count as delivered", || {
        sample(&daemon.page("/metrics"), "versweep_sink_pending{sink=\"jsonl\"}") == Some(0.0)
    });
    assert!(daemon.stop().success());
    assert_eq!(site.events().len(), 2, "each once");
}
