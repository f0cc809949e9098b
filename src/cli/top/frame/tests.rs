use chrono::TimeZone as _;
use serde_json::{Value, json};

use super::super::reading::Lists;
use super::*;

const LARGE: Size = Size { columns: 100, rows: 40 };

fn noon() -> Timestamp {
    chrono::Utc.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap()
}

/// A reading as the API gives it, so many milliseconds after the first.
fn reading(millis: u64, status: Value) -> Reading {
    Reading {
        taken: std::time::Duration::from_millis(millis),
        status: serde_json::from_value(status).unwrap(),
        lists: lists(),
    }
}

fn lists() -> Lists {
    let list = |value: Value| serde_json::from_value(value).unwrap();
    Lists {
        requests: serde_json::from_value(json!([
            {"wanted": {"device": "core1.ams"}, "progress": "running", "asked": "2026-11-23T11:59:50Z",
             "started": "2026-11-23T11:59:55Z", "devices": 1, "busy": 1},
            {"wanted": {"select": {"site": ["ams", "fra"]}}, "progress": "queued", "asked": "2026-11-23T11:59:57Z"},
            {"wanted": {"device": "lab1"}, "progress": "done", "asked": "2026-11-23T11:00:00Z"},
        ]))
        .unwrap(),
        failures: list(json!([
            {"device": "edge2.fra", "last_visit": "2026-11-23T11:59:03Z", "consecutive_failures": 1,
             "failure": {"reason": "auth", "stage": "auth", "detail": "refused: Permission denied"}},
            {"device": "edge1.fra", "last_visit": "2026-11-23T11:50:00Z", "consecutive_failures": 4,
             "failure": {"reason": "timeout", "stage": "connect", "detail": "no answer within 5s"}},
        ])),
        changes: serde_json::from_value(json!([
            {"at": "2026-11-23T11:59:00Z", "device": "core2.ams", "kind": "upgrade", "before": "7.8.1", "after": "7.9.2"},
            {"at": "2026-11-23T10:00:00Z", "device": "core1.ams", "kind": "member_changed", "subject": "0/RSP1",
             "before": "7.8.1", "after": "7.9.2"},
            {"at": "2026-11-20T10:00:00Z", "source": "netbox", "kind": "inventory_shrunk", "before": "5", "after": "1"},
        ]))
        .unwrap(),
        trouble: None,
    }
}

fn busy() -> Value {
    json!({
        "version": "1.2.3", "now": "2026-11-23T12:00:00Z", "up_seconds": 7500, "stopping": false,
        "last_reload_successful": false,
        "devices": {"total": 10050, "up": 10000, "failing": 20, "unreachable": 30, "unvisited": 0},
        "failing": {"auth": 8, "timeout": 42},
        "policies": {"drifted": 12, "banned": 0},
        "workers": {"busy": 128, "limit": 128},
        "waiting": {"worker": 4000, "limit": {"site": 17}, "login_budget": 0, "spread": 9, "visited": 0,
                    "blackout": 0, "hold_off": 5, "breaker": 40},
        "credentials": [
            {"credential": "netops", "breaker_open": true, "breaker_since": "2026-11-23T11:58:00Z",
             "breaker_until": "2026-11-23T12:08:00Z", "logins_per_second": 20.0},
            {"credential": "lab", "breaker_open": false},
        ],
        "limits": [{"by": "site", "value": "ams", "busy": 16, "max": 16}, {"by": "site", "value": "fra", "busy": 3, "max": 16},
                   {"by": "jump", "value": "bastion", "busy": 3, "max": null}],
        "sweeps": [
            {"sweep": "nightly", "running": null, "next": "2026-11-24T02:00:00Z",
             "last": {"id": "a", "started": "2026-11-23T02:00:00Z", "ended": "2026-11-23T03:01:05Z", "devices": 50,
                      "answered": 40, "failed": 2, "complete": false}},
            {"sweep": "all", "running": "b", "devices": 10000, "busy": 127, "answered": 4990, "failed": 10,
             "expected_seconds": 150.0, "last": {"id": "b", "started": "2026-11-23T11:58:58Z", "ended": null}},
        ],
        "visits": 1000, "visit_failures": {"timeout": 5, "auth": 1},
        "sinks": [
            {"sink": "journal", "pending": 0, "dead_letters": 0},
            {"sink": "webhook", "pending": 12, "oldest_pending": "2026-11-23T11:55:00Z", "held_devices": 1, "dead_letters": 2},
        ],
        "sources": [{"source": "devices.toml", "failure": null, "unconfirmed": false},
                    {"source": "netbox", "failure": "timeout", "unconfirmed": false}],
    })
}

fn view() -> View {
    View::of("http://127.0.0.1:9948/".to_owned())
}

fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| line.plain().trim_end().to_owned() + "\n").collect()
}

#[test]
fn a_busy_daemon_in_trouble() {
    let mut view = view();
    view.take(noon(), reading(0, busy()));
    let mut later = busy();
    later["visits"] = json!(1250);
    later["visit_failures"]["timeout"] = json!(8);
    view.take(noon(), reading(2000, later));
    let expected = "\
versweep 1.2.3, up 2 h, http://127.0.0.1:9948/                                  2026-11-23T12:00:00Z
devices     10050 in all: 10000 up, 20 failing, 30 unreachable; 12 drifted
workers     [##############################] 128 of 128 busy, and devices wait for one
waiting     a worker 4000, limit by site 17, spread 9, hold-off 5, breaker 40
visits      125.0 a second; failed: timeout 1.5; 1250 in all
failing     timeout 42, auth 8
credential  netops is held back since 2 min, tried again in 8 min
limits full site ams 16
sink        webhook: 12 events wait, the oldest for 5 min, 1 device held, 2 dead letters
inventory   netbox: not refreshed: timeout
config      the last reload was not taken; `versweep check` says why

SWEEP               PROGRESS                              DONE ANSWERED FAILED  BUSY ELAPSED    LEFT
all                 [##########..........]  50 %    5000/10000     4990     10   127   1m02s   1m02s
asked: core1.ams    [....................]   0 %           0/1        0      0     1      5s
asked: site=ams|fra queued for 3 s
nightly             next in 14 h; last 8 h ago took 1h01m: 40 of 50 answered, 2 failed, cut short

LATEST FAILURES
57 s ago    edge2.fra auth at auth: refused: Permission denied
10 min ago  edge1.fra timeout at connect, 4 in a row: no answer within 5s

LATEST CHANGES
60 s ago    core2.ams upgrade: 7.8.1 -> 7.9.2
2 h ago     core1.ams member_changed of 0/RSP1: 7.8.1 -> 7.9.2
3 d ago     netbox    inventory_shrunk: 5 -> 1
";
    let drawn = text(&view.frame(noon(), LARGE));
    assert_eq!(drawn, expected);
}

#[test]
fn the_height_is_shared_and_nothing_is_wider_than_the_terminal() {
    let mut view = view();
    view.take(noon(), reading(0, busy()));
    view.miss(noon(), &anyhow::anyhow!("can't ask http://127.0.0.1:9948: {}", "long ".repeat(100)));
    for columns in [1, 9, 20, 40, 79, 80, 81, 100, 132, 300] {
        for rows in [1, 2, 5, 10, 24, 50, 500] {
            let lines = view.frame(noon(), Size { columns, rows });
            assert!(lines.len() <= rows, "{} lines in {rows}", lines.len());
            let widest = lines.iter().map(Line::width).max();
            assert!(widest <= Some(columns), "{widest:?} in {columns}");
        }
    }
}

#[test]
fn many_sweeps_leave_room_for_the_rest() {
    let mut status = busy();
    let idle = |number: u64| json!({"sweep": format!("sweep-{number}"), "running": null});
    status["sweeps"].as_array_mut().unwrap().extend((0..50).map(idle));
    let mut view = view();
    view.take(noon(), reading(0, status));
    let drawn = text(&view.frame(noon(), LARGE));
    assert!(drawn.contains("\nall ") && drawn.contains("\nand 42 more\n"), "{drawn}");
    assert!(drawn.contains("LATEST FAILURES") && drawn.contains("LATEST CHANGES"), "{drawn}");
}

#[test]
fn a_daemon_that_does_not_answer_is_told_with_the_last_that_it_said() {
    let mut view = view();
    assert_eq!(
        text(&view.frame(noon(), LARGE)),
        "versweep, http://127.0.0.1:9948/\nwaiting for its first answer\n"
    );
    let later = |seconds| noon() + std::time::Duration::from_secs(seconds);
    let gone = anyhow::anyhow!("can't ask it: Connection refused\u{1b}[2J");
    view.miss(later(1), &gone);
    assert_eq!(
        text(&view.frame(later(5), LARGE)),
        "versweep, http://127.0.0.1:9948/\n\
         no answer since 2026-11-23T12:00:01Z (4 s)\ncan't ask it: Connection refused\u{fffd}[2J\n"
    );
    view.take(later(10), reading(0, busy()));
    assert!(!text(&view.frame(later(10), LARGE)).contains("no answer since"));
    view.miss(later(12), &gone);
    view.miss(later(13), &gone);
    let drawn = text(&view.frame(later(14), LARGE));
    assert!(
        drawn.contains("\nno answer since 2026-11-23T12:00:10Z (4 s)\ncan't ask it")
            && drawn.contains("10000 up"),
        "{drawn}"
    );
}

#[test]
fn a_daemon_at_rest_has_no_worries() {
    let status = json!({
        "version": "1.2.3", "now": "2026-11-23T12:00:00Z", "up_seconds": 5,
        "devices": {"total": 2, "up": 2}, "workers": {"busy": 0, "limit": 8},
        "sinks": [{"sink": "journal"}], "sources": [{"source": "devices.toml"}], "last_reload_successful": true,
    });
    let reading = Reading { status: serde_json::from_value(status).unwrap(), ..Reading::default() };
    let mut view = view();
    view.take(noon(), reading);
    let expected = "\
versweep 1.2.3, up 5 s, http://127.0.0.1:9948/                                  2026-11-23T12:00:00Z
devices     2 in all: 2 up
workers     [..............................] 0 of 8 busy
waiting     none
visits      0 in all

SWEEP    PROGRESS                                        DONE ANSWERED FAILED  BUSY ELAPSED    LEFT
none is configured
";
    assert_eq!(text(&view.frame(noon(), LARGE)), expected);
}

#[test]
fn nothing_that_a_device_says_acts_on_the_terminal() {
    let mut hostile = reading(0, busy());
    let bomb = "\u{1b}]0;owned\u{7}\r\n\u{202e}\u{9b}2J";
    hostile.status.version = bomb.to_owned();
    hostile.status.sweeps[1].sweep = bomb.to_owned();
    hostile.status.credentials[0].credential = bomb.to_owned();
    hostile.status.limits[0].value = bomb.to_owned();
    hostile.status.sinks[1].sink = bomb.to_owned();
    hostile.status.sources[1].source = bomb.to_owned();
    hostile.status.waiting.limit.insert(bomb.to_owned(), 1);
    hostile.status.failing.insert(bomb.to_owned(), 1);
    hostile.lists.requests[0].wanted.device = Some(bomb.to_owned());
    hostile.lists.failures[0].device = bomb.to_owned();
    if let Some(failure) = &mut hostile.lists.failures[0].failure {
        failure.detail = bomb.to_owned();
    }
    hostile.lists.changes[0].before = bomb.to_owned();
    let mut view = view();
    view.take(noon(), hostile);
    let lines = view.frame(noon(), LARGE);
    let drawn: String = lines.iter().map(Line::plain).collect();
    assert!(drawn.matches("\u{fffd}]0;owned").count() >= 12, "{drawn}");
    assert!(!drawn.contains(crate::text::acts), "{drawn:?}");
}

#[test]
fn a_bar_is_full_only_at_the_end_and_empty_only_at_the_start() {
    let bars = [(0, 100), (1, 100), (50, 100), (99, 100), (100, 100), (7, 0), (200, 100)];
    let drawn = bars.map(|(part, whole)| bar(part, whole, 10));
    let expected = [
        "[..........]",
        "[#.........]",
        "[#####.....]",
        "[#########.]",
        "[##########]",
        "[#.........]",
        "[##########]",
    ];
    assert_eq!(drawn, expected);
}

/// The line of visits after readings of (seconds, visits, timeouts, seconds since the start).
fn paced(readings: &[(u64, u64, u64, u64)]) -> String {
    let mut view = view();
    for (seconds, visits, timeouts, up) in readings {
        let status = json!({"visits": visits, "visit_failures": {"timeout": timeouts}, "up_seconds": up});
        view.take(noon(), reading(seconds * 1000, status));
    }
    let drawn = text(&view.frame(noon(), LARGE));
    drawn.lines().find_map(|line| line.strip_prefix("visits      ")).unwrap().to_owned()
}

#[test]
fn a_pace_needs_time_and_counters_that_grow() {
    assert_eq!(paced(&[(0, 10, 0, 0), (2, 15, 0, 2)]), "2.5 a second; 15 in all");
    assert_eq!(paced(&[(0, 10, 0, 0), (2, 5, 0, 2)]), "5 in all");
    assert_eq!(paced(&[(0, 10, 3, 0), (2, 15, 2, 2)]), "15 in all");
    assert_eq!(paced(&[(0, 10, 0, 60), (2, 15, 0, 1)]), "15 in all", "it was started anew");
    assert_eq!(paced(&[(0, 10, 0, 60), (1, 15, 0, 1), (2, 17, 0, 2)]), "2.0 a second; 17 in all");
    assert_eq!(paced(&[(5, 10, 0, 0), (5, 15, 0, 0)]), "15 in all");
}

#[test]
fn a_pace_goes_by_the_last_seconds_and_tells_what_is_rare() {
    // The counters are told anew every two seconds.
    let mut readings: Vec<_> = (0..=30).map(|second| (second, second / 2 * 100, 0, second)).collect();
    assert_eq!(paced(&readings), "50.0 a second; 1500 in all");
    readings.extend((31..=60).map(|second| (second, 1500, 0, second)));
    assert_eq!(paced(&readings), "0.0 a second; 1500 in all", "it is over");
    let hour = [(0, 0, 0, 0), (3600, 36_000, 1, 3600)];
    assert_eq!(paced(&hour), "10.0 a second; failed: timeout <0.1; 36000 in all");
}

#[test]
fn a_list_that_does_not_come_is_told() {
    let mut without = reading(0, busy());
    without.lists.trouble = Some("can't ask it: timeout".to_owned());
    let mut view = view();
    view.take(noon(), without);
    let drawn = text(&view.frame(noon(), LARGE));
    assert!(drawn.contains("\nlists: can't ask it: timeout\n") && drawn.contains("edge2.fra"), "{drawn}");
    assert!(!drawn.contains("no answer since"), "{drawn}");
}

#[test]
fn many_worries_leave_room_for_the_rest() {
    let mut status = busy();
    let waits = |number: u64| json!({"sink": format!("sink-{number}"), "pending": 1});
    status["sinks"].as_array_mut().unwrap().extend((0..50).map(waits));
    let mut view = view();
    view.take(noon(), reading(0, status));
    let drawn = text(&view.frame(noon(), LARGE));
    assert!(drawn.contains("\n            and 47 more\n\nSWEEP"), "{drawn}");
    assert!(drawn.contains("LATEST FAILURES") && drawn.contains("LATEST CHANGES"), "{drawn}");
}
