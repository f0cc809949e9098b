//! The daemon in the middle of a sweep: stops in order or at once, single flight over requests and reloads.

use versweep::sim::Fault;
use versweep::store::Reader;

use crate::daemon::{Daemon, eventually, get, request, sample};
use crate::daemon_run::{assert_told_once, shows, sweeps_total, until_all_are_known};
use crate::site::{SLOW, Site};

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
    let reader = Reader::open(&site.path("versweep.db")).unwrap();
    let sweeps = reader.runs(None, None, 9).unwrap();
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
    // The signal is logged a moment before it is passed on.
    eventually("not ready, and still there to be scraped", || {
        get(site.web(), "/-/ready").unwrap().status == 503
    });
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
    let reader = Reader::open(&site.path("versweep.db")).unwrap();
    let sweep = &reader.runs(None, None, 9).unwrap()[0];
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
    let sweeps = Reader::open(&site.path("versweep.db")).unwrap().runs(None, None, 9).unwrap();
    let [second, first] = &sweeps[..] else { panic!("two runs: {sweeps:?}") };
    assert!(Some(second.started) >= first.ended, "{sweeps:?}");
    assert!(first.complete && second.complete, "{sweeps:?}");
    assert_eq!(site.fleet().sessions().peak_on_one_device, 1);
}

/// A stop while the sweep waits for the second reading of a change: it comes at once, and the change is told after the
/// next start, once.
#[test]
fn a_stop_before_a_change_is_confirmed_neither_tells_nor_loses_it() {
    let site = Site::new(2);
    let quick = site.config("schedule = 'never'", 8);
    site.write("versweep.toml", &quick.replace("confirm_after = '0s'", "confirm_after = '10m'"));
    let sweep = || assert_eq!(request(site.web(), "POST", "/-/sweep").unwrap().status, 202);
    let mut daemon = site.daemon();
    sweep();
    until_all_are_known(&daemon, &site);
    eventually("the first sweep ends", || sweeps_total(&daemon) >= 1.0);
    let changed = &site.devices()[1];
    let (before, after) = site.upgrade(changed, 1);
    sweep();
    eventually("the other device is done, the changed one waits", || {
        site.devices().iter().all(|device| device.logins() >= 2)
            && sample(&daemon.page("/metrics"), "versweep_workers_busy") == Some(0.0)
    });
    let began = tokio::time::Instant::now();
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(began.elapsed().as_secs() < 30, "it does not wait for the second reading");
    assert!(daemon.log().iter().any(|line| line.contains("graceful=true")), "{:?}", daemon.log());
    assert!(site.events().is_empty(), "read once is not told: {:?}", site.events());

    site.write("versweep.toml", &quick);
    let mut daemon = site.daemon();
    assert!(shows(&daemon.page("/metrics"), changed, &before));
    sweep();
    eventually("it is confirmed", || shows(&daemon.page("/metrics"), changed, &after));
    assert_told_once(&daemon, &site, changed, &before, &after);
    assert!(daemon.stop().success());
}
