//! The pages: what they show, that every state of them is an address, and that nothing a device says gets out of its place.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use versweep::change::{Change, ChangeKind};
use versweep::device::{DeviceId, PlatformChoice};
use versweep::failure::FailureKind;
use versweep::http::Readiness;
use versweep::known::{DeviceState, Known, PolicyInfo, PolicyResult, PolicyStanding, Snapshot, Verdict};
use versweep::observation::SshSession;
use versweep::store::{Batch, Reader, Store, Visit};

use crate::hostile_fleet::{self, HOSTILE};
use crate::http::{Answer, House};
use crate::{fleet, kept};

/// All pages of a small fleet.
const PAGES: [&str; 9] = [
    "/",
    "/devices",
    "/devices/core1.ams",
    "/devices/edge1.fra",
    "/changes",
    "/changes/1",
    "/sweeps",
    "/drift",
    "/events?sink=journal",
];

/// The most that a page may have: what a slow line takes in a second or two.
const PAGE_MAX: usize = 200 * 1024;

pub(crate) async fn page(house: &House, target: &str) -> String {
    let answer = house.get(target).await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.body);
    answer.body
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let line = answer.head.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.strip_prefix(": "))
}

/// The texts between these two, in their order.
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

/// The devices that a table of devices lists.
fn listed(page: &str) -> Vec<&str> {
    let table = page.split("id=\"devices\"").nth(1).unwrap_or("");
    between(table, "<tr data-key=\"", "\"")
}

#[tokio::test]
async fn every_page_may_run_its_own_script_and_nothing_else() {
    let house = House::small().await;
    for target in PAGES {
        let answer = house.get(target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        let policy = header(&answer, "content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(header(&answer, "cache-control"), Some("no-store"), "{target}");
        assert_eq!(between(&answer.body, "<script", ">"), [" src=\"/script.js\" defer"], "{target}");
        for inline in [" style=", "<style", " onclick=", " onload=", "javascript:", "http://", "https://"] {
            assert!(!answer.body.contains(inline), "{target} has {inline}");
        }
        assert!(answer.body.len() < PAGE_MAX, "{target}: {} bytes", answer.body.len());
    }
}

#[tokio::test]
async fn what_pages_are_drawn_with_is_sent_once() {
    let house = House::small().await;
    for (target, kind) in [
        ("/style.css", "text/css; charset=utf-8"),
        ("/script.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let first = house.get(target).await;
        assert_eq!((first.status, header(&first, "content-type")), (200, Some(kind)), "{target}");
        let tag = header(&first, "etag").unwrap();
        let again = house.ask("GET", target, &format!("If-None-Match: {tag}\r\n")).await;
        assert_eq!((again.status, again.body.as_str(), header(&again, "etag")), (304, "", Some(tag)));
    }
}

#[tokio::test]
async fn the_fleet_is_shown_with_what_runs_and_what_is_amiss() {
    let house = House::small().await;
    let all = page(&house, "/").await;
    for words in [
        "<span class=\"big\">5</span>devices",
        "href=\"/devices?state=unreachable\"",
        "href=\"/devices?platform=cisco_xr&amp;model=ASR9K&amp;version=7.9.2\">7.9.2</a>",
        "href=\"/devices?failure=auth\"",
        "failed: timeout",
        "inventory not refreshed: </span>netbox",
        "newest visit <time datetime=\"2026-11-23T11:59:03Z\" title=\"2026-11-23T11:59:03Z\">57 s ago</time>",
        "7.8.1 → 7.9.2",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
    let part = page(&house, "/?label=site%3Dfra&q=&state=").await;
    assert!(part.contains("<span class=\"big\">2</span>devices chosen"), "{part}");
    assert!(part.contains("href=\"/devices?label=site%3Dfra&amp;state=failing\""), "{part}");
    assert!(part.contains(">22.4R3.25</a>") && !part.contains(">7.9.2</a>"), "{part}");
}

#[tokio::test]
async fn a_page_says_when_the_daemon_stops() {
    let house = House::small().await;
    assert!(!page(&house, "/").await.contains("versweep is stopping"));
    house.readiness.send_replace(Readiness::Stopping);
    assert!(page(&house, "/").await.contains("versweep is stopping"));
}

#[tokio::test]
async fn devices_are_chosen_and_sorted_by_the_address() {
    let house = House::small().await;
    for (query, expected) in [
        ("", &["core1.ams", "core2.ams", "edge1.fra", "edge2.fra", "lab1"][..]),
        ("?q=JUNIPER&state=&platform=", &["edge1.fra"]),
        ("?state=up&sort=-device", &["core2.ams", "core1.ams"]),
        ("?sort=-failed_at", &[]),
        ("?label=site%3Dfra&failure=auth", &["edge2.fra"]),
        ("?platform=cisco_xr&model=ASR9K&version=7.9.2", &["core1.ams", "core2.ams"]),
        ("?result=approved", &["core1.ams"]),
        ("?sort=-consecutive_failures", &["edge1.fra", "edge2.fra", "lab1", "core2.ams", "core1.ams"]),
    ] {
        let answer = house.get(&format!("/devices{query}")).await;
        let wanted = if expected.is_empty() { 400 } else { 200 };
        assert_eq!((answer.status, listed(&answer.body)), (wanted, expected.to_vec()), "{query}");
    }
    let chosen = page(&house, "/devices?q=ams&state=up&sort=version").await;
    for words in [
        // The form holds what is chosen, and sends along what it has no field for.
        "name=\"q\" value=\"ams\"",
        "<option value=\"up\" selected>",
        "<input type=\"hidden\" name=\"sort\" value=\"version\">",
        // A click turns the order round; another column keeps the choice.
        "aria-sort=\"ascending\"><a href=\"/devices?q=ams&amp;state=up&amp;sort=-version\">",
        "href=\"/devices?q=ams&amp;state=up&amp;sort=-last_success\"",
        // Each choice can be taken back.
        "href=\"/devices?q=ams&amp;sort=version\"",
    ] {
        assert!(chosen.contains(words), "{words}: {chosen}");
    }
    let judged = page(&house, "/devices?policy=core-xr").await;
    assert!(judged.contains("core-xr: 7.9.2 is approved"), "{judged}");
}

pub(crate) fn numbered(count: usize) -> Snapshot {
    let at = fleet::noon();
    let state = |number: usize| {
        let known = Known {
            facts: Some(fleet::facts("linux", "a model of some length", &format!("1.{number}"), at)),
            visit: Some(if number.is_multiple_of(3) {
                fleet::failed(FailureKind::Timeout, at)
            } else {
                fleet::answered(at)
            }),
            ..Known::default()
        };
        let site = format!("site-{}", number % 100);
        let labels = [("site", site.as_str()), ("role", "access")];
        Arc::new(DeviceState {
            device: fleet::device(&format!("access-{number:05}.example.net"), PlatformChoice::Auto, &labels),
            known,
        })
    };
    Snapshot { devices: (0..count).map(state).collect(), ..Snapshot::default() }
}

/// The keys of all rows of a table, by the links from page to page.
pub(crate) async fn walked(house: &House, target: &str, table: &str) -> Vec<String> {
    let (mut found, mut target) = (Vec::new(), target.to_owned());
    loop {
        let page = page(house, &target).await;
        let rows = page.split(&format!("id=\"{table}\"")).nth(1).unwrap_or("");
        let rows = rows.split("</table>").next().unwrap_or("");
        found.extend(between(rows, "<tr data-key=\"", "\"").into_iter().map(str::to_owned));
        let next = between(&page, "<a href=\"", ">").into_iter().find(|link| link.contains("rel=\"next\""));
        let Some(next) = next else { return found };
        target = next.split('"').next().unwrap().replace("&amp;", "&");
    }
}

#[tokio::test]
async fn every_device_is_on_one_page() {
    let house = House::open(numbered(1234)).await;
    let found = walked(&house, "/devices?sort=-version", "devices").await;
    assert_eq!(found.len(), 1234);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 1234);
    assert_eq!(found[0], "access-01233.example.net");
    let third = page(&house, "/devices?page=3").await;
    assert!(third.contains("201–300 of 1,234 devices"), "{third}");
    // Rows go while people look.
    assert!(page(&house, "/devices?page=99").await.contains("1,201–1,234 of 1,234 devices"));
    assert_eq!(house.get("/devices?page=0").await.status, 400);
}

#[tokio::test]
async fn pages_stay_small_with_fifty_thousand_devices() {
    let house = House::open(numbered(50_000)).await;
    for target in ["/", "/devices", "/devices?q=access&page=300", "/drift", "/changes", "/events", "/sweeps"]
    {
        let page = page(&house, target).await;
        assert!(page.len() < PAGE_MAX, "{target}: {} bytes", page.len());
    }
    assert!(page(&house, "/").await.contains("1–50 of 50,000 versions"));
    let found = page(&house, "/devices?q=access-49999").await;
    assert_eq!(listed(&found), ["access-49999.example.net"]);
}

#[tokio::test]
async fn a_device_is_shown_with_what_to_do_about_it() {
    let house = House::small().await;
    let failing = page(&house, "/devices/edge2.fra").await;
    for words in [
        "Last visit failed: auth, in stage connect",
        "1 time in a row",
        "The device refused the login",
        "most devices lock the account",
        "docs/runbooks/device-login-refused.md",
        "What it had said",
        "never read",
    ] {
        assert!(failing.contains(words), "{words}: {failing}");
    }
    let member = page(&house, "/devices/core1.ams").await;
    for words in [
        "they run different versions",
        "0/RSP1",
        "7.9.2 is approved",
        "href=\"/drift?policy=core-xr\"",
        "runs now",
        "href=\"/devices?label=site%3Dams\">ams</a>",
        "core1.ams.example.net:22",
    ] {
        assert!(member.contains(words), "{words}: {member}");
    }
    let turned = page(&house, "/devices/core1.ams?members=-name").await;
    let members = turned.split("id=\"members\"").nth(1).unwrap();
    assert!(members.find("0/RSP1").unwrap() < members.find("0/RSP0").unwrap(), "{members}");
}

#[tokio::test]
async fn a_session_is_shown_with_what_is_old_about_it() {
    let mut old = fleet::snapshot(fleet::noon());
    let mut state = DeviceState::clone(&old.devices[0]);
    state.known.ssh = Some(Box::new(SshSession {
        server: "SSH-2.0-Cisco-1.25".to_owned(),
        algorithms: "diffie-hellman-group14-sha1, ssh-rsa, aes128-ctr, hmac-sha1".to_owned(),
    }));
    old.devices[0] = Arc::new(state);
    let page = page(&House::open(old).await, "/devices/core1.ams").await;
    assert_eq!(page.matches("</span>legacy</span>").count(), 3, "{page}");
    assert!(page.contains("<code>aes128-ctr</code></dd>") && page.contains("SSH-2.0-Cisco-1.25"), "{page}");
}

/// Writes one more visit of a device into the house's store: an upgrade, with this answer.
pub(crate) fn upgraded(house: &House, name: &str, before: &str, after: &str, answer: &str) -> i64 {
    let device = DeviceId::new(name).unwrap();
    let at = fleet::noon() + Duration::from_secs(1);
    let change = Change {
        of: device.clone().into(),
        sweep: None,
        at,
        kind: ChangeKind::Upgrade,
        subject: String::new(),
        before: before.to_owned(),
        after: after.to_owned(),
        why: "newer by the order of cisco_xr".to_owned(),
        confirmed: true,
    };
    let known = Known {
        facts: Some(fleet::facts("cisco_xr", "ASR9K", after, at)),
        visit: Some(fleet::answered(at)),
        ..Known::default()
    };
    let visit = Visit {
        device,
        before: house.snapshot.load().device(name).unwrap().known.clone(),
        after: known,
        changes: vec![change],
        labels: None,
        raw: Some(answer.into()),
    };
    let path = kept::path_in(&house.folder);
    let (mut store, _) = Store::open(&path).unwrap();
    store.commit(&Batch { visits: vec![visit], ..Batch::default() }).unwrap();
    Reader::open(&path).unwrap().changes(None, 1).unwrap()[0].number
}

#[tokio::test]
async fn a_change_is_shown_with_what_differs() {
    let house = House::small().await;
    let first = page(&house, "/changes/1").await;
    assert!(first.contains("this is all of it") && first.contains("a line\n"), "{first}");
    let number = upgraded(&house, "core2.ams", "7.9.2", "7.10.1", "a line\nand a <b>new</b> one\n");
    let page = page(&house, &format!("/changes/{number}")).await;
    assert!(page.contains("<ins>+and a &lt;b&gt;new&lt;/b&gt; one</ins>"), "{page}");
    assert!(page.contains("<del>-and \u{fffd}[31manother</del>"), "{page}");
    let listed = self::page(&house, "/changes?device=core2.ams&kind=upgrade&since=&until=").await;
    assert!(listed.contains(&format!("href=\"/changes/{number}\"")), "{listed}");
    let none = self::page(&house, "/changes?kind=downgrade").await;
    assert!(none.contains("No change was seen here"), "{none}");
}

fn drifting(result: PolicyResult) -> Snapshot {
    let info = |name: &str| {
        let asks = "approved 2.*".to_owned();
        Arc::new(PolicyInfo { name: name.to_owned(), since: fleet::noon(), asks, grace_until: None })
    };
    let policies = vec![info("a-policy"), info("b-policy")];
    let mut snapshot = numbered(20);
    for (place, state) in snapshot.devices.iter_mut().enumerate() {
        let mut own = DeviceState::clone(state);
        let version = if place == 7 { "1.0" } else { "2.0" };
        own.known.facts = Some(fleet::facts("linux", "box", version, fleet::noon()));
        let result = if place == 7 { result } else { PolicyResult::Approved };
        own.known.standings = vec![PolicyStanding {
            policy: Arc::clone(&policies[0]),
            verdict: Arc::new(Verdict::new(result, format!("{version} is what it is"))),
            complies: Some(place != 7),
            held: None,
        }];
        *state = Arc::new(own);
    }
    Snapshot { policies, ..snapshot }
}

#[tokio::test]
async fn drift_is_told_and_who_is_odd() {
    let house = House::open(drifting(PolicyResult::Banned)).await;
    let page = page(&house, "/drift").await;
    let amiss = page.split("id=\"amiss\"").nth(1).unwrap();
    assert_eq!(between(amiss, "<tr data-key=\"", "\"")[0], "access-00007.example.net a-policy");
    for words in [
        "1.0 is what it is",
        "href=\"/devices?policy=a-policy&amp;result=banned\">1</a>",
        "95 %",
        "1 of 20",
        "access-00007.example.net</a> 1.0",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    for (query, rows) in
        [("?result=banned", 1), ("?result=drifted", 0), ("?policy=b-policy", 0), ("?result=approved", 19)]
    {
        let page = self::page(&house, &format!("/drift{query}")).await;
        assert!(page.contains(&format!(">{rows} devices by policy<")), "{query}: {page}");
    }
    assert!(self::page(&house, "/").await.contains("odd ones out"));
    let calm = self::page(&House::open(numbered(2)).await, "/drift").await;
    assert!(calm.contains("No policy is configured") && calm.contains("None: all devices"), "{calm}");
}

#[tokio::test]
async fn sinks_are_shown_with_what_they_lack() {
    let house = House::small().await;
    let page = page(&house, "/events?sink=journal").await;
    assert!(page.contains("core2.ams was upgraded from 7.8.1 to 7.9.2"), "{page}");
    assert!(page.contains("</span>delivers</span>"), "{page}");
    assert!(page.contains("It has all of them"), "{page}");
    // A sink that has never been told anything has all before it.
    let (mut store, _) = Store::open(&kept::path_in(&house.folder)).unwrap();
    store.set_sinks(&["journal"]).unwrap();
    drop(store);
    upgraded(&house, "core2.ams", "7.9.2", "7.10.1", "new\n");
    let behind = self::page(&house, "/events?sink=journal").await;
    assert!(behind.contains("</span>pending</span>") && behind.contains("from 7.9.2 to 7.10.1"), "{behind}");
}

#[tokio::test]
async fn runs_and_what_sweeps_wait_for_are_shown() {
    let house = House::small().await;
    let page = page(&house, "/sweeps").await;
    for words in [
        "</span>waiting</span>",
        "2 answered, 2 failed",
        "a place within the limit by ",
        "a shorter list waits",
        "45 s",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!self::page(&house, "/sweeps?sweep=none").await.contains("45 s"));
}

#[tokio::test]
async fn what_is_refused_is_said_on_a_page() {
    let house = House::small().await;
    for (target, status, words) in [
        ("/devices?state=sad", 400, "unknown state; there are: up"),
        ("/devices?stat=up", 400, "unknown key"),
        ("/?sort=weight", 400, "sort is one of these"),
        ("/devices/none", 404, "no device of this name"),
        ("/changes/99", 404, "no change of this number"),
        ("/changes/first", 404, "no change of this number"),
        ("/changes?after=x", 400, "after is the number of a change"),
        ("/sweeps?after=x", 400, "after is the id of a run"),
    ] {
        let answer = house.get(target).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
        assert_eq!(header(&answer, "content-type"), Some("text/html; charset=utf-8"), "{target}");
        assert!(answer.body.contains(words) && answer.body.contains("href=\"/devices\""), "{}", answer.body);
    }
}

#[tokio::test]
async fn hostile_text_is_shown_as_text() {
    let house = House::open(hostile_fleet::snapshot()).await;
    let name = "%3Cb%3E%22r1%E2%80%AE%27%2F..%2Fx%3C%2Fb%3E";
    let line = format!("{}\u{1b}[2J\u{202e}<script>\n", "x<script>".repeat(1 << 17));
    let number = upgraded(&house, hostile_fleet::NAME, HOSTILE, HOSTILE, &line.repeat(3));
    let device = format!("/devices/{name}");
    let query = "%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%3E%E2%80%AE";
    for target in [
        "/".to_owned(),
        format!("/?q={query}"),
        "/devices".to_owned(),
        format!("/devices?q={query}&label=a%3D{query}&model={query}&policy={query}"),
        device,
        "/changes".to_owned(),
        format!("/changes/{number}"),
        "/changes/1".to_owned(),
        format!("/changes?device={query}"),
        "/sweeps".to_owned(),
        format!("/sweeps?sweep={query}"),
        "/drift".to_owned(),
        format!("/drift?policy={query}"),
        format!("/events?sink={query}"),
        format!("/devices/{query}"),
        format!("/devices?state={query}"),
        format!("/{query}"),
    ] {
        let answer = house.get(&target).await;
        let body = &answer.body;
        assert!(
            !body.contains("<script>") && !body.contains("<img src=x") && !body.contains("<b>"),
            "{target}: {body}"
        );
        // What a form sends back is not shown, and comes back as it was.
        let shown: String = body
            .split(" value=\"")
            .enumerate()
            .map(|(place, rest)| if place == 0 { rest } else { rest.split_once('"').unwrap().1 })
            .collect();
        let acting: Vec<char> = shown
            .chars()
            .filter(|c| {
                (c.is_control() && *c != '\n')
                    || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            })
            .collect();
        assert!(acting.is_empty(), "{target}: {acting:?}");
        assert!(body.len() < PAGE_MAX, "{target}: {} bytes", body.len());
    }
    let shown = page(&house, "/devices").await;
    assert!(shown.contains("&lt;script&gt;") && shown.contains("&lt;b&gt;&quot;r1\u{fffd}"), "{shown}");
    assert!(shown.contains(&format!("href=\"/devices/{name}\"")), "{shown}");
}

#[tokio::test]
async fn a_page_that_is_out_of_date_is_told_so() {
    let house = House::small().await;
    let mut stream = BufReader::new(TcpStream::connect(house.address).await.unwrap());
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: versweep\r\n\r\n").await.unwrap();
    let mut wait_for = async |words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(stream.read_line(&mut line).await.unwrap() > 0, "the stream ended before {words}");
        }
    };
    wait_for("text/event-stream").await;
    wait_for("event: alive").await;
    house.snapshot.store(Arc::new(numbered(3)));
    wait_for("event: news").await;
    house.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), house.server).await.unwrap().unwrap();
}
