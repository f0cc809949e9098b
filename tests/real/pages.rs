//! The pages in a real Chromium: a simulated fleet of 5,000 with ill devices, the real daemon, one browser. Pictures of all
//! pages stay under `target/pages`, to be looked at.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use versweep::activity::OnDemand;
use versweep::clock::ManualClock;
use versweep::config::Web;
use versweep::http::{App, Readiness, serve};
use versweep::known::{DeviceState, Snapshot};
use versweep::metrics::Exporter;
use versweep::platform::Platforms;
use versweep::sim::{Faults, SimConfig, SimPlatform};
use versweep::web_config::{Keeper, WebConfig};

use crate::browser::{Browser, ENTER, TAB};
use crate::daemon::{eventually, request};
use crate::site::Site;
use crate::{fleet, hostile_fleet, kept};

const DEVICES: usize = 5000;

/// What most devices of two platforms are to run, so that somebody is odd.
const USUAL: [(&str, &str); 2] = [("frr", "9.1.2"), ("cisco_nxos", "10.2(5)")];

/// Policies of which each has devices that break it.
const POLICIES: &str = "
[[policy]]
name = 'campus'
select = { platform = 'cisco_xe' }
approved = '>=17.6, <17.13'
preferred = '17.12.4'
banned = [{ version = '16.12.*', reason = 'no longer supported' }]
[[policy]]
name = 'backbone'
select = { platform = 'juniper_junos', role = ['core', 'edge'] }
minimum = '21.4R3'
[[sink]]
name = 'tickets'
type = 'webhook'
url = 'http://127.0.0.1:9/'
allow_private = true
";

/// The fleet, and a daemon's configuration for it whose sweep nobody waits for.
fn site() -> Site {
    let faults: Faults = "refuse=1%,password=0.5%,garbage=0.5%,host_key=0.2%".parse().unwrap();
    // So slow that 256 workers take twenty seconds at least: there is a sweep to look at.
    let command_delay = Duration::from_secs(1);
    let site = Site::with(SimConfig { devices: DEVICES, faults, command_delay, ..SimConfig::default() });
    for (place, device) in site.devices().iter().enumerate() {
        let usual = USUAL.iter().find(|(platform, _)| *platform == device.platform().to_string());
        if let Some((_, version)) = usual.filter(|_| !place.is_multiple_of(97)) {
            site.fleet().upgrade(device.name(), version).unwrap();
        }
    }
    site.write("versweep.toml", &(site.config("every = '1h'", 256) + POLICIES));
    site
}

/// A POST as a program on the daemon's host makes it.
fn post(address: SocketAddr, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: versweep\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Asks for a visit of one device and waits until it is done.
fn visit(address: SocketAddr, device: &str) {
    let answer = post(address, "/api/v1/requests", &format!("{{\"device\":\"{device}\"}}"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let asked: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    let path = format!("/api/v1/requests/{}", asked["id"].as_str().unwrap_or_else(|| panic!("{answer}")));
    eventually("the visit is done", || {
        request(address, "GET", &path).is_ok_and(|answer| answer.body.contains("\"done\""))
    });
}

/// Looks at a page as everybody might have it: narrow and wide, light and dark. It has no serious fault of accessibility,
/// fits the window, and the console says nothing. What is wrong is given back, so that a test tells all of it at once.
pub(crate) fn look(browser: &Browser, base: &str, path: &str, name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let axe = fs::read_to_string("target/pages/node_modules/axe-core/axe.min.js")
        .expect("axe-core: make target/pages/node_modules/.package-lock.json");
    for (width, dark) in [(1600, false), (1600, true), (400, false), (400, true)] {
        browser.look(width, dark);
        browser.go(&format!("{base}{path}"));
        let wide = browser.script("return document.documentElement.scrollWidth - innerWidth");
        if wide.as_i64().unwrap() > 0 {
            wrong.push(format!("{path} is {wide} pixels too wide at {width}"));
        }
        browser.script(&axe);
        let found = browser.script_later(
            "const done = arguments[arguments.length - 1];
             axe.run().then((result) => done(result.violations.filter((one) => one.impact !== 'minor').map((one) =>
               `${one.impact} ${one.id}: ${one.nodes.map((node) => node.html + ' ' + node.failureSummary).join(' | ')}`)));",
        );
        wrong.extend(found.as_array().unwrap().iter().map(|one| format!("{path} at {width}: {one}")));
        browser.picture(&format!("{name}-{width}{}", if dark { "-dark" } else { "" }));
        wrong.extend(browser.console().into_iter().map(|line| format!("{path}: {line}")));
    }
    browser.look(1600, false);
    wrong
}

/// The number in the tile of that state.
fn tile(browser: &Browser, state: &str) -> String {
    let script =
        format!("return document.querySelector('#states a[href*=\"state={state}\"] .big').innerText");
    browser.script(&script).as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs Chromium; make test installs it"]
fn a_fleet_of_five_thousand_is_looked_at() {
    let site = site();
    let mut daemon = site.daemon();
    let base = format!("http://{}", site.web());
    let browser = Browser::open();
    browser.look(1600, false);

    // The sweep, live.
    browser.go(&format!("{base}/sweeps"));
    browser.script("window.never_loaded_again = true");
    browser.wait_for("#sweeps", "of 5,000");
    loop {
        let said = browser.text("#sweeps");
        if said.contains("waiting") {
            break;
        }
        eventually("the sweep goes on, and the page with it", || browser.text("#sweeps") != said);
    }
    browser.wait_for("#runs", "5,000");
    assert_eq!(browser.script("return window.never_loaded_again"), true);

    by_keyboard_alone(&browser, &site, &base);
    drift_is_chosen(&browser, &base);

    // Every page, however one looks.
    let mut wrong = Vec::new();
    let well = site.devices().iter().find(|device| device.fault().is_none()).unwrap();
    let ill = site.devices().iter().find(|device| device.fault().is_some()).unwrap();
    let (well, ill) = (format!("/devices/{}", well.name()), format!("/devices/{}", ill.name()));
    for (path, name) in [
        ("/", "fleet"),
        ("/devices", "devices"),
        ("/devices?q=ams&state=unreachable&sort=-version", "devices-chosen"),
        (&*well, "device"),
        (&*ill, "device-ill"),
        ("/changes", "changes"),
        ("/changes?kind=upgrade", "changes-chosen"),
        ("/sweeps", "sweeps"),
        ("/drift", "drift"),
        ("/events?sink=tickets", "events"),
    ] {
        wrong.extend(look(&browser, &base, path, name));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // Nobody is left in the belief that all is well.
    browser.go(&format!("{base}/"));
    assert!(daemon.stop().success());
    browser.wait_for("#gone", "doesn't answer since");
    browser.picture("gone");
    let _daemon = site.daemon();
    eventually("the page has found the daemon", || browser.text("#gone").is_empty());
    // What the browser says of a server that is gone is no fault of the page.
    let noise = |line: &String| line.contains("net::ERR_") || line.contains("Failed to load resource");
    let said: Vec<String> = browser.console().into_iter().filter(|line| !noise(line)).collect();
    assert_eq!(said, Vec::<String>::new());
    without_scripts(&browser, &base);
}

/// Finds a device, sees its change arrive, and opens what differs: no mouse.
fn by_keyboard_alone(browser: &Browser, site: &Site, base: &str) {
    let device = site
        .devices()
        .iter()
        .find(|device| device.fault().is_none() && device.platform() == SimPlatform::CiscoIos);
    let device = device.unwrap();
    browser.go(&format!("{base}/"));
    browser.keys(TAB);
    assert_eq!(browser.script("return document.activeElement.className"), "skip");
    browser.picture("focus");
    browser.keys(ENTER);
    assert_eq!(browser.script("return document.activeElement.id"), "main");
    browser.keys("/");
    browser.keys(device.name());
    browser.keys(ENTER);
    browser.wait_for("#pages", "1 device");
    assert_eq!(browser.place(), format!("/devices?q={}", device.name()));
    browser.tab_to("tbody a.device");
    browser.keys(ENTER);
    browser.wait_for("h1", device.name());
    browser.script("window.never_loaded_again = true");
    let (before, after) = site.upgrade(device, 1);
    visit(site.web(), device.name());
    browser.wait_for("#facts", &after);
    browser.wait_for("#device-changes", "upgrade");
    assert_eq!(browser.script("return window.never_loaded_again"), true);
    assert!(browser.script("return document.querySelectorAll('.fresh').length").as_i64().unwrap() > 0);
    browser.picture("device-changed");
    browser.tab_to("#device-changes a[href^='/changes/']");
    browser.keys(ENTER);
    browser.wait_for("#difference ins", &after);
    browser.wait_for("#difference del", &before);
    let wrong = look(browser, base, &browser.place(), "change");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn drift_is_chosen(browser: &Browser, base: &str) {
    browser.go(&format!("{base}/"));
    browser.click("#worries a[href*='result=banned']");
    browser.wait_for("h1", "Drift");
    browser.wait_for("#amiss", "no longer supported");
    let rows = browser.script(
        "return [...document.querySelectorAll('#amiss tbody tr')].every((row) => row.innerText.includes('banned'))",
    );
    assert_eq!(rows, true);
    browser.wait_for("#odd", "9.1.2");
    browser.click("#policies a[href*='result=drifted']");
    browser.wait_for("h1", "Devices");
    assert!(browser.place().contains("result=drifted"), "{}", browser.place());
    browser.wait_for("#devices", "drifted");
    for key in ["policy=", "result="] {
        browser.click(".chosen a");
        eventually("the choice is taken back", || !browser.place().contains(key));
    }
    browser.wait_for("#pages", "5,000 devices");
    browser.click("th a[href*='sort=version']");
    browser.wait_for("th[aria-sort='ascending']", "version");
    let first = browser.text("tbody tr td");
    browser.click("a[rel='next']");
    eventually("the next page is there", || browser.place().contains("page=2"));
    browser.wait_for("#pages", "101–200 of 5,000 devices");
    assert_ne!(browser.text("tbody tr td"), first);
}

/// All of it can be read, and says nothing to the console.
fn without_scripts(browser: &Browser, base: &str) {
    browser.scripts(false);
    browser.go(&format!("{base}/"));
    assert_eq!(tile(browser, "unvisited"), "0");
    assert_eq!(browser.script("return document.getElementById('pause').hidden"), true);
    browser.click("#versions tbody a");
    browser.wait_for("h1", "Devices");
    browser.click("tbody a.device");
    browser.wait_for("#facts", "version");
    browser.go(&format!("{base}/sweeps"));
    browser.wait_for("#sweeps", "last run");
    browser.picture("without-scripts");
    browser.scripts(true);
}

/// A server on a made-up fleet and its store.
fn house(runtime: &Runtime, folder: &TempDir, snapshot: Arc<ArcSwap<Snapshot>>, web: Web) -> String {
    let (address, platforms) = (crate::daemon::free_address(), Arc::new(Platforms::builtin()));
    let app = App {
        snapshot,
        sweeps: Arc::default(),
        on_demand: OnDemand::new().0,
        exporter: Arc::new(ArcSwap::from_pointee(Exporter::new(&[], true))),
        live: Arc::new(|| fleet::live(fleet::noon())),
        forecasts: watch::channel(Vec::new()).1,
        reload: mpsc::channel(1).0,
        confirm: mpsc::channel(1).0,
        replay: mpsc::channel(1).0,
        readiness: watch::channel(Readiness::Ready).1,
        clock: Arc::new(ManualClock::new(fleet::noon())),
        store: kept::path_in(folder),
        outbox: watch::channel(kept::last_sequence(folder)).1,
        platforms: Arc::new(move || Arc::clone(&platforms)),
        config: Arc::new(|| "".into()),
        web: Arc::new(ArcSwap::from_pointee(web)),
        keeper: Arc::new(Keeper::new(None, WebConfig::default()).unwrap()),
    };
    let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
    runtime.spawn(serve(vec![listener], app, CancellationToken::new()));
    format!("http://{address}")
}

#[test]
#[ignore = "needs Chromium; make test installs it"]
fn a_hostile_device_is_shown_and_does_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = kept::store(&hostile_fleet::snapshot());
    let snapshot = Arc::new(ArcSwap::from_pointee(hostile_fleet::snapshot()));
    let base = house(&runtime, &folder, snapshot, Web { actions: true, ..Web::default() });
    let browser = Browser::open();
    let mut wrong = Vec::new();
    let device = "/devices/%3Cb%3E%22r1%E2%80%AE%27%2F..%2Fx%3C%2Fb%3E";
    for (path, name) in [
        ("/", "hostile-fleet"),
        ("/devices?q=%3Cscript%3E", "hostile-devices"),
        (device, "hostile-device"),
        ("/changes", "hostile-changes"),
        ("/changes/1", "hostile-change"),
        ("/sweeps", "hostile-sweeps"),
        ("/drift", "hostile-drift"),
        ("/events?sink=journal", "hostile-events"),
    ] {
        wrong.extend(look(&browser, &base, path, name));
        let strange = "return document.querySelectorAll('script:not([src]), img[onerror], b').length";
        assert_eq!(browser.script(strange), 0, "{path}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    browser.go(&format!("{base}/devices"));
    browser.click("tbody a.device");
    browser.wait_for("h1", "<b>\"r1\u{fffd}'/../x</b>");
    assert_eq!(browser.place(), device);
}

#[test]
#[ignore = "needs Chromium; make test installs it"]
fn below_a_prefix_all_pages_stay_below_it() {
    /// Where all that a page names leads, as the browser understands it.
    const LEADS: &str = "return [...document.querySelectorAll('[href], [src], [action]')]
        .map((one) => one.href ?? one.src ?? one.action).map((url) => url.baseVal ?? url)
        .filter((url) => !url.startsWith(location.origin + '/vs/'))";
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut present = fleet::snapshot(fleet::noon());
    let folder = kept::store(&present);
    let snapshot = Arc::new(ArcSwap::from_pointee(present.clone()));
    let web = Web { route_prefix: "/vs".to_owned(), actions: true, ..Web::default() };
    let base = house(&runtime, &folder, Arc::clone(&snapshot), web);
    let browser = Browser::open();
    browser.look(1600, false);
    let mut wrong = Vec::new();
    for path in [
        "/",
        "/devices",
        "/devices?q=ams&sort=-version",
        "/devices/core1.ams",
        "/changes",
        "/changes/1",
        "/sweeps",
        "/drift",
        "/events?sink=journal",
    ] {
        browser.go(&format!("{base}/vs{path}"));
        let title = browser.script("return document.title");
        assert!(title.as_str().unwrap().ends_with("versweep"), "{path}: {title}");
        let outside = browser.script(LEADS);
        wrong.extend(outside.as_array().unwrap().iter().map(|url| format!("{path} leads to {url}")));
        let styled = browser.script("return getComputedStyle(document.querySelector('.top')).display");
        assert_eq!(styled, "flex", "{path} has its style sheet");
        wrong.extend(browser.console().into_iter().map(|line| format!("{path}: {line}")));
    }
    // The way in, by links, the search and the keyboard; and the page hears of news.
    browser.go(&base);
    assert_eq!(browser.place(), "/vs/");
    browser.script("window.never_loaded_again = true");
    browser.wait_for("#states .big", "5");
    present.devices.pop();
    snapshot.store(Arc::new(present));
    browser.wait_for("#states .big", "4");
    assert_eq!(browser.script("return window.never_loaded_again"), true);
    browser.click("#versions tbody a");
    browser.wait_for("h1", "Devices");
    assert!(browser.place().starts_with("/vs/devices?"), "{}", browser.place());
    browser.keys("/");
    browser.keys("core1");
    browser.keys(ENTER);
    browser.wait_for("#pages", "1 device");
    assert_eq!(browser.place(), "/vs/devices?q=core1");
    browser.click("th a[href*='sort=version']");
    browser.wait_for("th[aria-sort='ascending']", "version");
    assert!(browser.place().starts_with("/vs/devices?q=core1&sort=version"), "{}", browser.place());
    browser.click("tbody a.device");
    browser.wait_for("h1", "core1.ams");
    assert_eq!(browser.place(), "/vs/devices/core1.ams");
    wrong.extend(browser.console());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs Chromium; make test installs it"]
fn a_page_takes_in_what_comes_and_goes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let whole = fleet::snapshot(fleet::noon());
    let folder = kept::store(&whole);
    let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
    let base = house(&runtime, &folder, Arc::clone(&snapshot), Web::default());
    let browser = Browser::open();
    browser.look(1600, false);
    // A first start: nothing is known, and then something is.
    browser.go(&format!("{base}/"));
    browser.script("window.never_loaded_again = true");
    browser.wait_for("main", "No device here has told its version yet");
    browser.picture("first-start");
    snapshot.store(Arc::new(whole.clone()));
    browser.wait_for("#versions", "7.9.2");
    // A failure that is over is told no more.
    browser.go(&format!("{base}/devices/edge2.fra"));
    browser.script("window.never_loaded_again = true");
    browser.wait_for("#failure", "Last visit failed");
    let mut well = whole;
    let place = well.devices.iter().position(|state| state.device.id.as_str() == "edge2.fra").unwrap();
    let mut state = DeviceState::clone(&well.devices[place]);
    state.known.visit = Some(fleet::answered(fleet::noon()));
    well.devices[place] = Arc::new(state);
    snapshot.store(Arc::new(well));
    eventually("the failure goes", || browser.text("#failure").is_empty());
    assert!(!browser.text("main").contains("Last visit failed"));
    assert_eq!(browser.script("return window.never_loaded_again"), true);
    assert_eq!(browser.console(), Vec::<String>::new());
    // A device that leaves is not a daemon that is gone.
    snapshot.store(Arc::default());
    browser.wait_for("main", "no device of this name");
    assert_eq!(browser.text("#gone"), "");
}
