//! A daemon whose store is taken: by another program for a while, by another daemon for good.

use versweep::sim::SimDevice;

use crate::daemon::{Daemon, eventually, free_address, request};
use crate::site::Site;

fn sweep(site: &Site) {
    eventually("a sweep begins", || {
        request(site.web(), "POST", "/-/sweep").is_ok_and(|answer| answer.status == 202)
    });
}

/// Whether `/metrics` shows that the device runs this version.
fn shows(daemon: &Daemon, device: &SimDevice, version: &str) -> bool {
    let (device, version) = (format!("device=\"{}\"", device.name()), format!("version=\"{version}\""));
    let page = daemon.page("/metrics");
    page.lines().any(|line| {
        line.starts_with("versweep_device_version_info{") && line.contains(&device) && line.contains(&version)
    })
}

#[test]
fn a_store_that_another_program_locks_makes_sweeps_wait_and_loses_nothing() {
    let site = Site::new(2);
    site.write("versweep.toml", &site.config("schedule = 'never'", 4));
    let mut daemon = site.daemon();
    let device = &site.devices()[0];
    sweep(&site);
    eventually("the first version is shown", || shows(&daemon, device, &device.version()));

    let other = rusqlite::Connection::open(site.path("versweep.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (before, after) = site.upgrade(device, 1);
    sweep(&site);
    eventually("the lock is told", || {
        daemon.log().iter().any(|line| line.contains("sweeps wait until it takes writes again"))
    });
    assert!(shows(&daemon, device, &before), "nothing is shown that is not committed");
    assert_eq!(site.events(), Vec::<serde_json::Value>::new(), "nothing is told that is not committed");

    other.execute_batch("ROLLBACK").unwrap();
    eventually("the new version is shown", || shows(&daemon, device, &after));
    eventually("the change is told", || !site.events().is_empty());
    assert!(daemon.stop().success());
    let told: Vec<_> = site.events().iter().map(|event| event["after"].clone()).collect();
    assert_eq!(told, [after], "once");
}

#[test]
fn a_second_daemon_on_a_store_refuses_and_the_first_goes_on() {
    let site = Site::new(1);
    let daemon = site.daemon();
    let elsewhere = free_address().to_string();
    let second = site.config("every = '1s'", 8).replace(&site.web().to_string(), &elsewhere);
    site.write("second.toml", &second);
    let output = site.versweep(&["run", "--config.file", "second.toml"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let holder = format!("is in use by another versweep (process {}): stop that one", daemon.pid());
    assert!(said.contains(&holder), "{said}");
    assert!(daemon.page("/-/ready").contains("ready"), "the first one goes on");
}
