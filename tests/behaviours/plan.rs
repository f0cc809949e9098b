//! What is expected of a sweep: `versweep plan` before it, and the daemon's warning and metrics.

use serde_json::Value;

use crate::daemon::{eventually, request, sample};
use crate::site::{Site, json_lines};

fn plan(site: &Site, more: &[&str]) -> Value {
    let arguments = [&["plan", "--config.file", "versweep.toml", "--output", "json"], more].concat();
    let output = site.versweep(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json_lines(&output.stdout).swap_remove(0)
}

#[test]
fn a_plan_knows_what_visits_took_and_how_many_workers_it_takes() {
    let site = Site::new(8);
    site.write("versweep.toml", &site.config("every = '1s'", 2));
    let before = plan(&site, &["--assume", "3s", "--within", "6s"]);
    assert_eq!(before["known"], 0);
    assert_eq!((&before["takes_seconds"], &before["fits"]), (&12.0.into(), &false.into()), "{before}");
    assert_eq!(before["within"]["workers"], 4, "{before}");
    assert_eq!(before["waits_for"][0]["cap"], "workers", "{before}");

    let swept = site.versweep(&["sweep", "--config.file", "versweep.toml"]);
    assert!(swept.status.success(), "{}", String::from_utf8_lossy(&swept.stderr));
    let after = plan(&site, &[]);
    assert_eq!((&after["known"], &after["devices"]), (&8.into(), &8.into()), "{after}");
    assert!(after["takes_seconds"].as_f64().unwrap() < 12.0, "{after}");
}

#[test]
fn a_daemon_tells_what_it_expects_once_it_knows_its_devices() {
    let site = Site::new(4);
    site.write("versweep.toml", &site.config("schedule = 'never'", 4));
    let mut daemon = site.daemon();
    let expected = |page: &str| sample(page, "versweep_sweep_expected_duration_seconds{sweep=\"all\"}");
    assert_eq!(expected(&daemon.page("/metrics")), None, "nothing is known");
    assert_eq!(request(site.web(), "POST", "/-/sweep").unwrap().status, 202);
    eventually("the sweep ends", || {
        sample(&daemon.page("/metrics"), "versweep_sweeps_total{sweep=\"all\"}") == Some(1.0)
    });
    // No sweep of four takes a hundredth of its period more than that.
    site.write("versweep.toml", &site.config("every = '1h'", 4));
    assert_eq!(request(site.web(), "POST", "/-/reload").unwrap().status, 200);
    eventually("it is told", || expected(&daemon.page("/metrics")).is_some());
    let page = daemon.page("/metrics");
    assert_eq!(sample(&page, "versweep_sweep_period_seconds{sweep=\"all\"}"), Some(3600.0));
    assert!(daemon.stop().success());
}

#[test]
fn a_sweep_that_cannot_fit_its_period_is_told_at_the_start() {
    let site = Site::new(4);
    // One login in a second, and four devices due each second.
    let text = site
        .config("every = '1s'", 4)
        .replace("username = 'versweep'", "username = 'versweep'\nlogins_per_second = 1");
    site.write("versweep.toml", &text);
    let swept = site.versweep(&["sweep", "--config.file", "versweep.toml"]);
    assert!(swept.status.success(), "{}", String::from_utf8_lossy(&swept.stderr));
    let mut daemon = site.daemon();
    eventually("it warns", || {
        daemon.log().iter().any(|line| line.contains("expected to take longer than its period"))
    });
    assert!(daemon.stop().success());
}
