//! How a real Prometheus with its default timeout of 10 s scrapes a large fleet. It prints what it measures; only the timeout
//! is held against it, because the rest depends on the machine.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use versweep::clock::{Clock as _, SystemClock};
use versweep::config::Web;
use versweep::device::PlatformChoice;
use versweep::known::{DeviceState, Known, Snapshot};
use versweep::status::SweepStatus;

use crate::fleet;
use crate::prometheus::serve_fleet;
use crate::prometheus_server::Prometheus;

const DEVICES: usize = 20_000;

fn snapshot() -> Snapshot {
    let at = SystemClock.now();
    let state = |n: usize| {
        let known = Known {
            facts: Some(fleet::facts("cisco_xr", "NCS-5501", &format!("7.{}.2", n % 9), at)),
            visit: Some(fleet::answered(at)),
            ..Known::default()
        };
        let site = format!("site{:03}", n % 200);
        let labels = [("site", site.as_str()), ("role", "core")];
        let name = format!("core{n:05}.example.net");
        Arc::new(DeviceState { device: fleet::device(&name, PlatformChoice::Auto, &labels), known })
    };
    Snapshot { devices: (0..DEVICES).map(state).collect(), ..Snapshot::default() }
}

async fn value(prometheus: &Prometheus, expr: &str) -> f64 {
    let series = prometheus.wait_for(expr).await;
    series[0]["value"][1].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, with prometheus: run by make test"]
async fn twenty_thousand_devices_fit_into_the_default_timeout() {
    let (address, published, _stop) = serve_fleet(snapshot(), SweepStatus::default(), Web::default()).await;
    let config = format!(
        "global: {{scrape_interval: 10s}}\nscrape_configs:\n  - job_name: versweep\n    \
         static_configs: [{{targets: ['{address}']}}]\n"
    );
    let prometheus = Prometheus::with(&config);
    // The first of all, from which Prometheus makes its series; then one of the same snapshot; then one of a new one.
    let up = value(&prometheus, "up").await;
    assert!(up > 0.5, "the first scrape did not end within 10 s");
    let (samples, first) = (
        value(&prometheus, "scrape_samples_scraped").await,
        value(&prometheus, "scrape_duration_seconds").await,
    );
    let next = async |count: u32| {
        // Nothing is measured by this wait: the query says when the scrape is there.
        while value(&prometheus, "count_over_time(up[5m])").await < f64::from(count) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        value(&prometheus, "scrape_duration_seconds").await
    };
    let same = next(2).await;
    published.store(Arc::new(snapshot()));
    let changed = next(3).await;
    let said = format!(
        "{DEVICES} devices, {samples} samples: first {first:.2} s, again {same:.2} s, new snapshot {changed:.2} s"
    );
    writeln!(std::io::stderr(), "{said}").unwrap();
    assert!(samples >= 10.0 * DEVICES as f64, "{samples} samples");
}
