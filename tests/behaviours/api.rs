//! `/api/v1`: what it gives, in which order, page by page, and what it refuses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use versweep::activity::{self, Ask, Busy, Wanted};
use versweep::change::{Change, ChangeKind};
use versweep::device::{DeviceId, PlatformChoice};
use versweep::failure::FailureKind;
use versweep::http::Readiness;
use versweep::known::{DeviceState, Known, Snapshot, SweepRecord};
use versweep::observation::{SshSession, SweepId};

use crate::http::{House, send};
use crate::{fleet, kept};

fn names(answer: &Value) -> Vec<&str> {
    answer["devices"].as_array().unwrap().iter().map(|device| device["device"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn devices_are_listed_with_what_is_known() {
    let house = House::small().await;
    let all = house.json("/api/v1/devices").await;
    assert_eq!((names(&all).len(), &all["total"], all.get("next")), (5, &json!(5), None));
    let core2 = &all["devices"][1];
    assert_eq!(
        (&core2["device"], &core2["version"], &core2["state"]),
        (&"core2.ams".into(), &"7.9.2".into(), &"up".into())
    );
    assert_eq!(core2["last_version_change"], "2026-11-23T11:59:00Z");
    let edge1 = &all["devices"][2];
    assert_eq!((&edge1["failure"]["reason"], &edge1["version"]), (&"timeout".into(), &"22.4R3.25".into()));
}

#[tokio::test]
async fn devices_are_filtered() {
    let house = House::small().await;
    for (query, expected) in [
        ("q=JUNIPER&state=unreachable", &["edge1.fra"][..]),
        ("q=ams&q=core1", &["core1.ams"]),
        ("q=foc0000test&q=mx", &["edge1.fra"]),
        ("state=up&state=unvisited", &["core1.ams", "core2.ams", "lab1"]),
        ("platform=cisco_xr&version=7.9.2&model=ASR9K", &["core1.ams", "core2.ams"]),
        ("failure=auth", &["edge2.fra"]),
        ("label=site=fra&label=role=edge", &["edge1.fra", "edge2.fra"]),
        ("label=site=fra&label=site=ams&q=1", &["core1.ams", "edge1.fra"]),
        ("policy=core-xr", &["core1.ams"]),
        ("result=approved&result=banned", &["core1.ams"]),
        ("policy=core-xr&result=drifted", &[]),
        ("policy=none", &[]),
        ("label=site=nowhere", &[]),
        ("version=7.9", &[]),
        ("q=7.9.2%0Acisco", &[]),
    ] {
        let answer = house.json(&format!("/api/v1/devices?{query}")).await;
        assert_eq!(names(&answer), expected, "{query}");
        assert_eq!(answer["total"], expected.len(), "{query}");
    }
}

#[tokio::test]
async fn policies_are_told_with_how_the_fleet_stands_by_them() {
    let house = House::small().await;
    let answer = house.json("/api/v1/policies").await;
    let policies = answer["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 1);
    assert_eq!(
        (&policies[0]["policy"], &policies[0]["asks"], &policies[0]["grace_until"]),
        (&json!("core-xr"), &json!("approved 7.9.*"), &Value::Null)
    );
    assert_eq!(
        policies[0]["devices"],
        json!({"preferred": 0, "approved": 1, "drifted": 0, "banned": 0, "unknown": 0, "stale": 0})
    );
    let device = house.json("/api/v1/devices/core1.ams").await;
    assert_eq!(
        device["policies"],
        json!([{"policy": "core-xr", "result": "approved", "why": "7.9.2 is approved", "complies": true}])
    );
    assert_eq!(house.json("/api/v1/devices/core2.ams").await["policies"], json!([]));
}

#[tokio::test]
async fn a_device_is_told_with_what_it_needed_of_legacy_ssh() {
    let mut old = fleet::snapshot(fleet::noon());
    let mut state = DeviceState::clone(&old.devices[0]);
    state.known.ssh = Some(Box::new(SshSession {
        server: "SSH-2.0-Cisco-1.25".to_owned(),
        algorithms: "diffie-hellman-group14-sha1, ssh-rsa, aes128-ctr, hmac-sha1".to_owned(),
    }));
    old.devices[0] = Arc::new(state);
    let house = House::open(old).await;
    let ssh = house.json("/api/v1/devices/core1.ams").await["ssh"].clone();
    assert_eq!(ssh["server"], "SSH-2.0-Cisco-1.25");
    assert_eq!(ssh["legacy"], json!(["diffie-hellman-group14-sha1", "ssh-rsa", "hmac-sha1"]));
    assert_eq!(house.json("/api/v1/devices/core2.ams").await["ssh"], Value::Null);
}

#[tokio::test]
async fn devices_are_sorted_either_way() {
    let house = House::small().await;
    for (sort, expected) in [
        ("device", ["core1.ams", "core2.ams", "edge1.fra", "edge2.fra", "lab1"]),
        ("-device", ["lab1", "edge2.fra", "edge1.fra", "core2.ams", "core1.ams"]),
        ("version", ["edge2.fra", "lab1", "core1.ams", "core2.ams", "edge1.fra"]),
        ("-last_visit", ["edge2.fra", "edge1.fra", "core2.ams", "core1.ams", "lab1"]),
        ("-consecutive_failures", ["edge1.fra", "edge2.fra", "lab1", "core2.ams", "core1.ams"]),
        ("last_version_change", ["core1.ams", "edge1.fra", "edge2.fra", "lab1", "core2.ams"]),
    ] {
        let answer = house.json(&format!("/api/v1/devices?sort={sort}")).await;
        assert_eq!(names(&answer), expected, "{sort}");
        // Page by page it is the same.
        assert_eq!(walk(&house, &format!("sort={sort}&limit=2"), |_| {}).await, expected, "{sort}");
    }
}

/// All names that a walk over the pages of a query gives; `between` is called before each page.
async fn walk(house: &House, query: &str, mut between: impl FnMut(usize)) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for page in 0.. {
        between(page);
        let answer = house.json(&format!("/api/v1/devices?{query}{cursor}")).await;
        found.extend(names(&answer).into_iter().map(str::to_owned));
        let Some(next) = answer["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    found
}

fn numbered(count: usize, round: usize) -> Vec<Arc<DeviceState>> {
    let at = fleet::noon() + Duration::from_secs(round as u64);
    let state = |number: usize| {
        // Every third device changes its version and its visit each round; the others stay.
        let round = if number.is_multiple_of(3) { round } else { 0 };
        let known = Known {
            facts: Some(fleet::facts("linux", "m", &format!("{}.{round}", number % 7), at)),
            visit: Some(fleet::answered(fleet::noon() + Duration::from_secs(round as u64))),
            ..Known::default()
        };
        Arc::new(DeviceState {
            device: fleet::device(&format!("r{number:04}"), PlatformChoice::Auto, &[]),
            known,
        })
    };
    (0..count).map(state).collect()
}

/// While a sweep writes, each page comes from another snapshot; what does not move is seen once, wherever its
/// neighbours went, and by name everything is.
#[tokio::test]
async fn cursors_stay_where_they_are_while_a_sweep_writes() {
    let house = House::open(Snapshot { devices: numbered(500, 0), ..Snapshot::default() }).await;
    let write = |round| {
        house.snapshot.store(Arc::new(Snapshot { devices: numbered(500, round), ..Snapshot::default() }));
    };
    let all: Vec<String> = (0..500).map(|number| format!("r{number:04}")).collect();
    assert_eq!(walk(&house, "limit=30", write).await, all);
    for sort in ["version", "-version", "last_visit", "-last_visit"] {
        // Devices that are visited again and again before a walk by the last visit reaches them are always ahead of it.
        let found = walk(&house, &format!("limit=30&sort={sort}"), |round| write(round.min(10))).await;
        for (number, name) in all.iter().enumerate().filter(|(number, _)| !number.is_multiple_of(3)) {
            let times = found.iter().filter(|found| *found == name).count();
            assert_eq!(times, 1, "{sort}: {name} ({number})");
        }
    }
    // A device that leaves while it is the cursor's takes nobody along.
    let first = house.json("/api/v1/devices?limit=10").await;
    let without: Vec<_> = numbered(500, 1).into_iter().filter(|s| s.device.id.as_str() != "r0009").collect();
    house.snapshot.store(Arc::new(Snapshot { devices: without, ..Snapshot::default() }));
    let next = first["next"].as_str().unwrap();
    let second = house.json(&format!("/api/v1/devices?limit=2&cursor={next}")).await;
    assert_eq!(names(&second), ["r0010", "r0011"]);
}

#[tokio::test]
async fn a_cursor_belongs_to_its_query() {
    let house = House::small().await;
    let next = house.json("/api/v1/devices?limit=1&state=up").await["next"].as_str().unwrap().to_owned();
    for (query, status) in [
        ("state=up&limit=4", 200),
        ("state=failing", 404),
        ("", 404),
        ("state=up&sort=-device", 404),
        ("state=up&sort=version", 404),
    ] {
        assert_eq!(
            house.get(&format!("/api/v1/devices?cursor={next}&{query}")).await.status,
            status,
            "{query}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_the_client_has_is_not_sent_again() {
    let house = House::small().await;
    for path in ["/api/v1/devices?state=up", "/api/v1/versions"] {
        let first = house.get(path).await;
        let tag = first.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        assert!(first.head.contains("cache-control: private, no-cache"), "{}", first.head);
        let having = format!("If-None-Match: {tag}\r\n");
        let again = house.ask("GET", path, &having).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
        let now = Snapshot::clone(&house.snapshot.load());
        house.snapshot.store(Arc::new(now));
        assert_eq!(house.ask("GET", path, &having).await.status, 200, "another snapshot");
    }
}

#[tokio::test]
async fn one_device_is_told_with_all_that_is_known() {
    let house = House::small().await;
    let core1 = house.json("/api/v1/devices/core1.ams").await;
    assert_eq!((&core1["version"], &core1["state"]), (&"7.9.2".into(), &"up".into()));
    assert_eq!(
        core1["members"][1],
        json!({"name": "0/RSP1", "version": "7.8.1", "model": null, "serial": null})
    );
    assert_eq!(core1["members_consistent"], false);
    assert_eq!(core1["login"]["credential"], "netops");
    assert_eq!(core1["reading"]["cpe"], "cpe:2.3:o:cisco:ios_xr:7.9.2:*:*:*:*:*:*:*");
    assert_eq!(core1["reading"]["purl"], "pkg:generic/cisco_xr@7.9.2");
    assert_eq!(
        (&core1["history"][0]["version"], &core1["history"][0]["current"]),
        (&"7.9.2".into(), &true.into())
    );
    assert_eq!(core1["failure_output"], json!([]));

    let core2 = house.json("/api/v1/devices/core2.ams").await;
    assert_eq!(
        (&core2["changes"][0]["kind"], &core2["changes"][0]["before"]),
        (&"upgrade".into(), &"7.8.1".into())
    );

    let edge1 = house.json("/api/v1/devices/edge1.fra").await;
    assert_eq!(edge1["failure"]["detail"], "it went wrong: timeout");
    assert_eq!(edge1["failure_output"], json!(["a line", "and \u{fffd}[31manother"]));
    assert_eq!(edge1["last_visit_seconds"], 2.5);

    let lab1 = house.json("/api/v1/devices/lab1").await;
    assert_eq!(
        (&lab1["reading"], &lab1["version"], &lab1["history"]),
        (&Value::Null, &Value::Null, &json!([]))
    );
    assert_eq!(house.get("/api/v1/devices/lab2").await.status, 404);
}

#[tokio::test]
async fn versions_are_counted() {
    let house = House::small().await;
    let all = house.json("/api/v1/versions").await;
    assert_eq!(
        all,
        json!({"versions": [
            {"platform": "cisco_xr", "model": "ASR9K", "version": "7.9.2", "devices": 2},
            {"platform": "juniper_junos", "model": "mx204", "version": "22.4R3.25", "devices": 1},
        ], "total": 2})
    );
    let first = house.json("/api/v1/versions?limit=1").await;
    let next = first["next"].as_str().unwrap();
    let second = house.json(&format!("/api/v1/versions?limit=1&cursor={next}")).await;
    assert_eq!((&second["versions"][0], second.get("next")), (&all["versions"][1], None));
    assert_eq!(house.json("/api/v1/versions?platform=linux").await["total"], 0);
}

/// A snapshot with that many changes and runs, a minute apart, kinds in turn.
fn eventful(count: u64) -> Snapshot {
    let at = |number| fleet::noon() + Duration::from_secs(60 * number);
    let kinds = [ChangeKind::Upgrade, ChangeKind::Rebooted];
    let run = |number| SweepRecord {
        id: SweepId::starting(at(number)),
        name: if number % 2 == 0 { "all" } else { "core" }.to_owned(),
        reason: "schedule".to_owned(),
        started: at(number),
        ended: Some(at(number)),
        devices: number,
        answered: number,
        failed: 0,
        complete: true,
    };
    let mut snapshot = fleet::snapshot(fleet::noon());
    snapshot.last_sweeps = (0..count).map(run).collect();
    let change = |number: u64| Change {
        of: DeviceId::new("core2.ams").unwrap().into(),
        sweep: Some(snapshot.last_sweeps[usize::try_from(number).unwrap()].id),
        at: at(number),
        kind: kinds[usize::try_from(number % 2).unwrap()],
        subject: String::new(),
        before: number.to_string(),
        after: (number + 1).to_string(),
        why: String::new(),
        confirmed: true,
    };
    snapshot.recent_changes = (0..count).map(|number| Arc::new(change(number))).collect();
    snapshot
}

#[tokio::test]
async fn changes_are_paged_and_chosen() {
    let house = House::open(eventful(10)).await;
    let befores = |answer: &Value| -> Vec<String> {
        let changes = answer["changes"].as_array().unwrap();
        changes.iter().map(|change| change["before"].as_str().unwrap().to_owned()).collect()
    };
    let first = house.json("/api/v1/changes?limit=4").await;
    assert_eq!(befores(&first), ["9", "8", "7", "6"]);
    let next = first["next"].as_str().unwrap();
    let second = house.json(&format!("/api/v1/changes?limit=6&cursor={next}")).await;
    assert_eq!((befores(&second).len(), second.get("next")), (6, None));
    for (query, expected) in [
        ("kind=rebooted&limit=2", &["9", "7"][..]),
        ("kind=rebooted&kind=upgrade&limit=2", &["9", "8"]),
        ("since=2026-11-23T12:08:00Z", &["9", "8"]),
        ("until=2026-11-23T12:02:00Z&since=2026-11-23T12:01:00%2B00:00", &["1"]),
        ("device=core2.ams&limit=1", &["9"]),
        ("device=core1.ams", &[]),
    ] {
        assert_eq!(befores(&house.json(&format!("/api/v1/changes?{query}")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn the_daemon_tells_what_it_is_doing_in_one_document() {
    let house = House::small().await;
    let mut status = house.json("/api/v1/status").await;
    let fields = status.as_object_mut().unwrap();
    assert!(fields.remove("up_seconds").unwrap().is_u64());
    assert_eq!(fields.remove("sweeps").unwrap(), house.json("/api/v1/sweeps").await["sweeps"]);
    let expected = json!({
        "version": "1.2.3",
        "revision": "abcdef0",
        "now": "2026-11-23T12:00:00Z",
        "stopping": false,
        "last_reload_successful": true,
        "devices": {"total": 5, "up": 2, "failing": 1, "unreachable": 1, "unvisited": 1},
        "failing": {"auth": 1, "timeout": 1},
        "policies": {"drifted": 0, "banned": 0},
        "workers": {"busy": 0, "limit": 256},
        "waiting": {"worker": 2, "limit": {"site": 4}, "login_budget": 0, "spread": 7, "visited": 0, "blackout": 0,
                    "hold_off": 1, "breaker": 0},
        "credentials": [{"credential": "netops", "breaker_open": false, "breaker_since": null, "breaker_until": null,
                         "logins_per_second": 20.0}],
        "limits": [{"by": "site", "value": "ams", "busy": 3, "max": 16}],
        "visits": 44,
        "visit_failures": {"timeout": 5, "auth": 1},
        "sinks": [{"sink": "journal", "pending": 0, "oldest_pending": null, "held_devices": 0, "dead_letters": 0,
                   "delivered": 4, "failed_tries": 0}],
        "sources": [
            {"source": "devices.toml", "devices": 5, "failure": null, "unconfirmed": false,
             "last_success": "2026-11-23T12:00:00Z"},
            {"source": "netbox", "devices": 2, "failure": "shrunk", "unconfirmed": true, "last_success": null},
        ],
        "store_bytes": 126_976,
    });
    assert_eq!(status, expected);
    house.readiness.send_replace(Readiness::Stopping);
    assert_eq!(house.json("/api/v1/status").await["stopping"], true);
    let wrong = house.get("/api/v1/status?device=core1.ams").await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
}

#[tokio::test]
async fn sweeps_and_their_runs_are_told() {
    let house = House::open(eventful(10)).await;
    let sweeps = house.json("/api/v1/sweeps").await;
    assert_eq!(
        (&sweeps["sweeps"][0]["sweep"], &sweeps["sweeps"][0]["last"]["answered"]),
        (&"all".into(), &8.into())
    );
    assert_eq!(sweeps["sweeps"][0]["expected_seconds"], 312.0);
    assert_eq!(house.json("/api/v1/sweeps/all").await, sweeps["sweeps"][0]);
    let unknown = house.get("/api/v1/sweeps/none").await;
    assert!(unknown.status == 404 && unknown.body.contains("there are: all"), "{}", unknown.body);

    let runs = house.json("/api/v1/runs?sweep=core&limit=3").await;
    let devices: Vec<_> = runs["runs"].as_array().unwrap().iter().map(|run| run["devices"].clone()).collect();
    assert_eq!(devices, [9, 7, 5]);
    let next = runs["next"].as_str().unwrap();
    let rest = house.json(&format!("/api/v1/runs?sweep=core&limit=3&cursor={next}")).await;
    assert_eq!((&rest["runs"][1]["devices"], rest.get("next")), (&1.into(), None));
    let id = rest["runs"][1]["id"].as_str().unwrap();
    assert_eq!(house.json(&format!("/api/v1/runs/{id}")).await, rest["runs"][1]);
    for id in ["01900000-0000-7000-8000-000000000001", "none"] {
        assert_eq!(house.get(&format!("/api/v1/runs/{id}")).await.status, 404);
    }
}

#[tokio::test]
async fn what_the_api_refuses_it_explains() {
    let house = House::small().await;
    let mut types = BTreeSet::new();
    for (method, target, status, kind) in [
        ("GET", "/api/v1/devices?limit=0", 400, "bad-query"),
        ("GET", "/api/v1/devices?limit=5001", 400, "bad-query"),
        ("GET", "/api/v1/devices?limit=many", 400, "bad-query"),
        ("GET", "/api/v1/devices?stat=up", 400, "bad-query"),
        ("GET", "/api/v1/devices?state=sad", 400, "bad-query"),
        ("GET", "/api/v1/devices?sort=size", 400, "bad-query"),
        ("GET", "/api/v1/devices?label=site", 400, "bad-query"),
        ("GET", "/api/v1/devices?cursor=nonsense", 404, "unknown-cursor"),
        ("GET", "/api/v1/changes?kind=nonsense", 400, "bad-query"),
        ("GET", "/api/v1/sweeps?x=1", 400, "bad-query"),
        ("GET", "/api/v1/devices/none", 404, "unknown-device"),
        ("GET", "/api/v1/devices/%FF", 404, "unknown-path"),
        ("GET", "/api/v1/sweeps/none", 404, "unknown-sweep"),
        ("GET", "/api/v1/runs/none", 404, "unknown-run"),
        ("GET", "/api/v1/nothing", 404, "unknown-path"),
        ("GET", "/api", 404, "unknown-path"),
        ("DELETE", "/api/v1/devices", 405, "wrong-method"),
    ] {
        let answer = house.ask(method, target, "").await;
        problem(&answer.head, &answer.body, status, kind);
        if status == 405 {
            assert!(answer.head.contains("\r\nallow: get"), "{}", answer.head);
        }
        types.insert(kind);
    }
    let many = house.get(&format!("/api/v1/devices?{}", "model=x&".repeat(21).trim_end_matches('&'))).await;
    problem(&many.head, &many.body, 400, "bad-query");
    let large = house.ask("GET", "/api/v1/devices", "Content-Length: 70000\r\n").await;
    problem(&large.head, &large.body, 413, "body-too-large");
    house.readiness.send_replace(Readiness::Loading);
    let loading = house.get("/api/v1/devices").await;
    problem(&loading.head, &loading.body, 503, "loading");
    assert!(loading.head.contains("retry-after: 5"), "{}", loading.head);
}

/// Checks that an answer is that problem.
pub(crate) fn problem(head: &str, body: &str, status: u16, kind: &str) {
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&problem["status"], &problem["type"]),
        (&status.into(), &format!("urn:versweep:problem:{kind}").into())
    );
    for text in ["title", "detail"] {
        assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
}

/// What only the store has is refused while it can't be read; what the snapshot has is not.
#[tokio::test]
async fn a_store_that_can_not_be_read_is_told() {
    let house = House::small().await;
    std::fs::remove_file(kept::path_in(&house.folder)).unwrap();
    let answer = house.get("/api/v1/changes").await;
    problem(&answer.head, &answer.body, 503, "store");
    assert!(!answer.body.contains("versweep.db"), "{}", answer.body);
    assert_eq!(house.get("/api/v1/devices").await.status, 200);
}

/// Whatever a device said, the API gives as data.
#[tokio::test]
async fn hostile_text_is_data() {
    let hostile = "<script>\u{1b}[31m\u{202e}\"'&\r\n";
    let mut visit = fleet::failed(FailureKind::Parse, fleet::noon());
    visit.failure.as_mut().unwrap().detail = hostile.repeat(1000);
    let known = Known {
        facts: Some(fleet::facts("linux", hostile, &hostile.repeat(100), fleet::noon())),
        visit: Some(visit),
        ..Known::default()
    };
    let device = fleet::device("a/b?c#d%e", PlatformChoice::Auto, &[("site", hostile)]);
    let devices = vec![Arc::new(DeviceState { device, known })];
    let house = House::open(Snapshot { devices, ..Snapshot::default() }).await;
    for target in ["/api/v1/devices", "/api/v1/devices/a%2Fb%3Fc%23d%25e", "/api/v1/versions"] {
        let answer = house.get(target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        assert!(!answer.body.contains(['\u{1b}', '\u{202e}']), "{target}");
        assert!(answer.body.len() < 10_000, "{target}: {} bytes", answer.body.len());
    }
}

/// What the daemon's counter does with requests: enters each, or refuses by its name.
fn serve_requests(house: &mut House) {
    let (mut asks, book) = (house.asks.take().unwrap(), house.book.clone());
    tokio::spawn(async move {
        let mut slips = Vec::new();
        while let Some(Ask { wanted, answer }) = asks.recv().await {
            let result = match &wanted {
                Wanted::Device(device) if device.as_str() == "none" => {
                    Err(activity::Refusal::UnknownDevice(device.clone()))
                }
                Wanted::Sweep(name) if name == "none" => Err(activity::Refusal::UnknownSweep(name.clone())),
                Wanted::Sweep(name) if name == "busy" => Err(Busy.into()),
                Wanted::Selection(select) if select.0.contains_key("none") => {
                    Err(activity::Refusal::NothingSelected)
                }
                _ => book.enter(SweepId::starting(fleet::noon()), wanted, fleet::noon()),
            };
            let id = result.map(|slip| {
                let id = slip.id();
                slips.push(slip);
                id
            });
            let _ = answer.send(id);
        }
    });
}

#[tokio::test]
async fn visits_are_asked_for_and_followed() {
    let mut house = House::small().await;
    serve_requests(&mut house);
    for wanted in [
        json!({"device": "core1.ams"}),
        json!({"select": {"site": ["ams", "fra"], "role": ["core"]}}),
        json!({"sweep": "all"}),
    ] {
        let taken = house.post("/api/v1/requests", &wanted.to_string()).await;
        assert_eq!(taken.status, 202, "{}", taken.body);
        let request: Value = serde_json::from_str(&taken.body).unwrap();
        assert_eq!((&request["wanted"], &request["progress"]), (&wanted, &"queued".into()));
        let path = format!("/api/v1/requests/{}", request["id"].as_str().unwrap());
        assert!(taken.head.contains(&format!("location: {path}")), "{}", taken.head);
        assert_eq!(house.json(&path).await, request);
    }
    assert_eq!(house.json("/api/v1/requests").await["requests"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_request_for_visits_is_refused_with_its_reason() {
    let mut house = House::small().await;
    serve_requests(&mut house);
    for (body, status, kind) in [
        ("", 400, "bad-body"),
        ("{}", 400, "bad-body"),
        ("[]", 400, "bad-body"),
        (r#"{"device": "a", "sweep": "b"}"#, 400, "bad-body"),
        (r#"{"devise": "a"}"#, 400, "bad-body"),
        (r#"{"device": "no name"}"#, 404, "unknown-device"),
        (r#"{"device": "none"}"#, 404, "unknown-device"),
        (r#"{"sweep": "none"}"#, 404, "unknown-sweep"),
        (r#"{"sweep": "busy"}"#, 409, "busy"),
        (r#"{"select": {"none": []}}"#, 404, "nothing-selected"),
    ] {
        let answer = house.post("/api/v1/requests", body).await;
        problem(&answer.head, &answer.body, status, kind);
    }
    for number in 0..activity::OPEN_MAX {
        assert_eq!(
            house.post("/api/v1/requests", &format!(r#"{{"device": "d{number}"}}"#)).await.status,
            202
        );
    }
    let many = house.post("/api/v1/requests", r#"{"device": "one-more"}"#).await;
    problem(&many.head, &many.body, 429, "too-many-requests");

    let plain = house.ask("POST", "/api/v1/requests", "Content-Length: 0\r\n").await;
    problem(&plain.head, &plain.body, 415, "not-json");
    let elsewhere = house.ask("POST", "/api/v1/requests", "Origin: http://evil.example\r\n").await;
    problem(&elsewhere.head, &elsewhere.body, 403, "not-from-here");
    assert_eq!(house.get("/api/v1/requests/none").await.status, 404);
}

/// The limit holds for a body that doesn't tell its length as well.
#[tokio::test]
async fn a_body_in_chunks_is_as_limited_as_another() {
    let house = House::small().await;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let body = chunk.repeat(17) + "0\r\n\r\n";
    let headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    let answer = send(house.address, "POST", "/api/v1/requests", headers, body.as_bytes()).await;
    problem(&answer.head, &answer.body, 413, "body-too-large");
    let small = send(house.address, "POST", "/api/v1/requests", headers, b"2\r\n{}\r\n0\r\n\r\n").await;
    problem(&small.head, &small.body, 400, "bad-body");
}

#[tokio::test]
async fn devices_are_found_by_prometheus() {
    let house = House::small().await;
    let all = house.json("/sd").await;
    assert_eq!(all.as_array().unwrap().len(), 5);
    assert_eq!(
        all[0],
        json!({"targets": ["core1.ams.example.net"], "labels": {
            "__meta_versweep_device": "core1.ams", "__meta_versweep_port": "22",
            "__meta_versweep_platform": "cisco_xr", "__meta_versweep_model": "ASR9K",
            "__meta_versweep_version": "7.9.2", "__meta_versweep_state": "up",
            "__meta_versweep_label_site": "ams", "__meta_versweep_label_role": "core",
            "__meta_versweep_label_rack_unit": "a\"1\\",
        }})
    );
    assert_eq!(house.json("/sd?label=site=fra&state=failing").await.as_array().unwrap().len(), 1);
    assert_eq!(house.get("/sd?site=fra").await.status, 400);
}

#[tokio::test]
async fn one_device_is_scraped_by_its_name() {
    let house = House::small().await;
    let page = house.get("/probe?target=edge1.fra").await;
    assert!(page.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", page.head);
    assert!(page.body.contains("versweep_device_up{device=\"edge1.fra\"} 0"), "{}", page.body);
    let samples = page.body.lines().filter(|line| !line.starts_with('#'));
    for sample in samples {
        assert!(sample.contains("device=\"edge1.fra\""), "{sample}");
    }
    for (target, status) in [("/probe?target=none", 404), ("/probe", 400), ("/probe?module=x", 400)] {
        assert_eq!(house.get(target).await.status, status, "{target}");
    }
}
