//! The inventory while a daemon runs: files under change, servers that are ill in every way, a restart with all of them
//! dead. In each case what was known stays, and the metric, the event and the log say why.

use std::fs;
use std::os::unix::fs::symlink;

use crate::daemon::{Daemon, eventually, request, sample};
use crate::site::Site;
use crate::source_events::told as events_of;
use crate::source_server::{Gate, Reply, SourceServer};

/// A daemon that visits nobody, with these sources.
fn site(sources: &str) -> Site {
    let site = Site::new(1);
    let config = site.config("schedule = 'never'", 8);
    let (before, behind) =
        config.split_once("[[inventory]]\ntype = 'file'\npath = 'devices.toml'\n").unwrap();
    site.write("versweep.toml", &format!("{before}{sources}{behind}"));
    site
}

fn http_sd(server: &SourceServer) -> String {
    format!(
        "[[inventory]]\ntype = 'http_sd'\nname = 'sd'\nurl = 'http://{}/sd'\nallow_private = true\n\
         interval = '1s'\ntimeout = '2s'\n",
        server.address()
    )
}

/// How many devices the inventory of the daemon has.
fn devices(daemon: &Daemon) -> usize {
    daemon.page("/metrics").lines().filter(|line| line.starts_with("versweep_device_info{")).count()
}

fn of_source(daemon: &Daemon, metric: &str, source: &str) -> Option<f64> {
    sample(&daemon.page("/metrics"), &format!("versweep_inventory_{metric}{{source=\"{source}\""))
}

fn fails_by(daemon: &Daemon, source: &str, reason: &str) -> bool {
    let series = format!("versweep_inventory_failure_info{{source=\"{source}\",reason=\"{reason}\"}} 1");
    daemon.page("/metrics").contains(&series)
}

#[test]
fn a_server_that_is_ill_in_any_way_keeps_the_last_good_list() {
    let good = SourceServer::groups(1..=10);
    let server = SourceServer::start({
        let good = good.clone();
        move |_| Reply::Whole(200, good.clone())
    });
    let site = site(&http_sd(&server));
    let mut daemon = site.daemon();
    assert_eq!(devices(&daemon), 10, "known before the daemon is ready");
    assert_eq!(of_source(&daemon, "last_refresh_success", "sd"), Some(1.0));

    for (reply, reason) in [
        (Reply::Whole(500, "oops".into()), "status"),
        (Reply::Whole(302, String::new()), "status"),
        (Reply::Whole(401, String::new()), "denied"),
        (Reply::Whole(200, "<html>".into()), "garbage"),
        (Reply::Whole(200, good[..good.len() - 9].into()), "garbage"),
        (Reply::Whole(200, "[]".into()), "shrunk"),
        (Reply::Whole(200, SourceServer::groups(1..=7)), "shrunk"),
        (Reply::Never, "timeout"),
    ] {
        let told_before = daemon.log().len();
        server.answer(move |_| reply.clone());
        eventually(reason, || {
            let is_told = |line: &String| line.contains("inventory not refreshed") && line.contains(reason);
            daemon.log()[told_before..].iter().any(is_told)
        });
        eventually(reason, || fails_by(&daemon, "sd", reason));
        assert_eq!(devices(&daemon), 10, "{reason}");
        assert_eq!(of_source(&daemon, "last_refresh_success", "sd"), Some(0.0), "{reason}");
        assert_eq!(of_source(&daemon, "devices", "sd"), Some(10.0), "{reason}");
        assert!(of_source(&daemon, "last_success_timestamp_seconds", "sd") > Some(0.0));
    }
    // A tenth fewer is what happens every day.
    server.answer(|_| Reply::Whole(200, SourceServer::groups(1..=9)));
    eventually("the shorter list", || devices(&daemon) == 9);
    assert!(!daemon.page("/metrics").contains("versweep_inventory_failure_info{"));
    assert_eq!(of_source(&daemon, "last_refresh_success", "sd"), Some(1.0));

    // Each reason is told once, however often it was looked at, and once that it is over.
    let mut expected = ["status", "denied", "garbage", "shrunk", "timeout"]
        .map(|reason| format!("failed {reason}"))
        .to_vec();
    expected.push("recovered good".to_owned());
    eventually("all is told", || events_of(&site, "sd").len() == expected.len());
    assert_eq!(events_of(&site, "sd"), expected);
    // A restart while it fails is no news.
    server.answer(|_| Reply::Whole(500, String::new()));
    expected.push("failed status".to_owned());
    eventually("it fails again", || events_of(&site, "sd") == expected);
    assert!(daemon.stop().success());
    let mut daemon = site.daemon();
    eventually("it fails still", || fails_by(&daemon, "sd", "status"));
    server.answer(|_| Reply::Whole(200, SourceServer::groups(1..=9)));
    expected.push("recovered good".to_owned());
    eventually("it is good again", || events_of(&site, "sd").len() >= expected.len());
    assert!(daemon.stop().success());
    assert_eq!(events_of(&site, "sd"), expected);
}

/// A server that takes its time gives its list all the same, and nothing of it counts before the last byte is there.
#[test]
fn a_slow_server_is_waited_for_and_never_taken_by_halves() {
    let server = SourceServer::start(|_| Reply::Whole(200, SourceServer::groups(1..=10)));
    let site = site(&http_sd(&server).replace("timeout = '2s'", "timeout = '5m'"));
    let daemon = site.daemon();
    let (gate, (came, comes)) = (Gate::default(), std::sync::mpsc::sync_channel(16));
    let held = gate.clone();
    server.answer(move |_| {
        let _enough = came.send(());
        Reply::Slowly(SourceServer::groups(1..=12), held.clone())
    });
    comes.recv().unwrap();
    assert_eq!(devices(&daemon), 10);
    assert_eq!(of_source(&daemon, "last_refresh_success", "sd"), Some(1.0), "no trouble yet");
    gate.open();
    eventually("all of it is there", || devices(&daemon) == 12);
    assert_eq!(events_of(&site, "sd"), [] as [&str; 0]);
}

#[test]
fn a_shrunken_list_waits_for_a_confirmation() {
    let server = SourceServer::start(|_| Reply::Whole(200, SourceServer::groups(1..=10)));
    let site = site(&http_sd(&server));
    let mut daemon = site.daemon();
    let url = format!("http://{}", site.web());
    let confirm = |source: &str, list: &str| {
        site.versweep(&["inventory", "--confirm", source, "--list", list, "--url", &url])
    };
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said(&confirm("sd", "5-0000")).contains("no list of \"sd\" waits"));
    // The list that the log shows; behind its command nothing else stands.
    let mut shown = |gone: &str| {
        let mut list = String::new();
        eventually("it is told", || {
            let line =
                daemon.log().iter().find(|line| line.contains(&format!("--confirm sd --list {gone}-")));
            list = line.and_then(|line| line.split("--list ").nth(1)).unwrap_or_default().to_owned();
            !list.is_empty()
        });
        list.split('`').next().unwrap().to_owned()
    };

    server.answer(|_| Reply::Whole(200, SourceServer::groups(1..=5)));
    let first = shown("5");
    // By the time somebody has read it, another list waits: nobody has seen that one.
    server.answer(|_| Reply::Whole(200, SourceServer::groups(1..=3)));
    let second = shown("7");
    let output = confirm("sd", &first);
    assert!(
        said(&output).contains("another list of \"sd\" waits by now: 7 of 10 devices"),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains(&second));
    server.answer(|_| Reply::Whole(200, SourceServer::groups(1..=5)));
    eventually("it waits again", || said(&confirm("sd", "5-0000")).contains(&first));
    assert_eq!(devices(&daemon), 10);
    assert_eq!(of_source(&daemon, "unconfirmed", "sd"), Some(1.0));
    // What the server is ill with meanwhile is no matter of the list that waits.
    server.answer(|_| Reply::Whole(500, String::new()));
    eventually("it is ill", || fails_by(&daemon, "sd", "status"));
    let output = confirm("sd", &first);
    assert!(output.status.success(), "{}", said(&output));
    assert!(fails_by(&daemon, "sd", "status"), "a confirmation makes no server well");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "taken; the inventory has 5 devices\n");
    eventually("it is in force", || devices(&daemon) == 5);
    assert_eq!(of_source(&daemon, "unconfirmed", "sd"), Some(0.0));
    let output = confirm("nobody", "1-0000");
    assert!(said(&output).contains("no inventory source \"nobody\"; there are: sd"), "{}", said(&output));
}

/// The names of the devices that changes of this kind are told of.
fn told(site: &Site, kind: &str) -> Vec<String> {
    let events = crate::site::events(&site.path("events.jsonl"));
    let of_kind = events.iter().filter(|event| event["type"] == kind);
    of_kind.map(|event| event["device"].as_str().unwrap().to_owned()).collect()
}

/// A fleet that a server names, all of it visited once.
fn fleet_of_a_server(devices: usize) -> (Site, SourceServer, Daemon) {
    let site = Site::new(devices);
    let server = SourceServer::start({
        let groups = groups_of(&site);
        move |_| Reply::Whole(200, groups.clone())
    });
    let config = site.config("every = '1s'", 8);
    site.write(
        "versweep.toml",
        &config.replace("[[inventory]]\ntype = 'file'\npath = 'devices.toml'\n", &http_sd(&server)),
    );
    let daemon = site.daemon();
    crate::daemon_run::until_all_are_known(&daemon, &site);
    (site, server, daemon)
}

/// The site's devices as target groups.
fn groups_of(site: &Site) -> String {
    let inventory: toml::Table = fs::read_to_string(site.path("devices.toml")).unwrap().parse().unwrap();
    let group = |device: &toml::Value| {
        let text = |key: &str| device[key].to_string().trim_matches('"').to_owned();
        serde_json::json!({ "targets": [text("address")],
            "labels": { "name": text("name"), "port": text("port"), "platform": text("platform") } })
    };
    serde_json::Value::Array(inventory["device"].as_array().unwrap().iter().map(group).collect()).to_string()
}

/// A device that its source knows by an identity keeps its past when it is called otherwise, and so does one that is found at
/// another address; its host key, pinned by address, is not learned anew.
#[test]
fn a_device_that_is_called_otherwise_keeps_its_past() {
    let (site, server, mut daemon) = fleet_of_a_server(2);
    let mut groups: serde_json::Value = serde_json::from_str(&groups_of(&site)).unwrap();
    let name = |groups: &serde_json::Value, place: usize| {
        groups[place]["labels"]["name"].as_str().unwrap().to_owned()
    };
    let names = [name(&groups, 0), name(&groups, 1)];
    let answer = |groups: &serde_json::Value| {
        let groups = groups.to_string();
        server.answer(move |_| Reply::Whole(200, groups.clone()));
    };
    for place in [0, 1] {
        groups[place]["labels"]["id"] = format!("id{place}").into();
        groups[place]["labels"]["seen"] = "yes".into();
    }
    answer(&groups);
    eventually("identities are known", || {
        daemon.page(&format!("/api/v1/devices/{}", names[0])).contains("\"seen\"")
    });
    let version = |name: &str| {
        let answer = crate::daemon::get(site.web(), &format!("/api/v1/devices/{name}")).unwrap();
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        body["version"].as_str().map(str::to_owned)
    };
    let before = version(&names[0]).unwrap();
    let known_hosts = || fs::read_to_string(site.path("known_hosts")).unwrap_or_default();
    let pinned = known_hosts();
    assert_eq!(pinned.lines().count(), 2);

    groups[0]["labels"]["name"] = "renamed".into();
    answer(&groups);
    eventually("it has its new name", || version("renamed").as_deref() == Some(before.as_str()));
    assert_eq!(version(&names[0]), None);
    eventually("it is told", || told(&site, "renamed") == ["renamed"]);

    // Both exchange their names.
    groups[0]["labels"]["name"] = names[1].as_str().into();
    groups[1]["labels"]["name"] = "renamed".into();
    groups[0]["labels"]["other"] = "yes".into();
    answer(&groups);
    let waits = || of_source(&daemon, "unconfirmed", "sd") == Some(1.0);
    eventually("two of two wait", waits);
    assert_eq!(known_hosts(), pinned);
    assert!(daemon.stop().success());
    assert_eq!(told(&site, "removed"), [] as [String; 0]);
    let mut first_seen = told(&site, "first_seen");
    first_seen.sort();
    let mut expected = names.to_vec();
    expected.sort();
    assert_eq!(first_seen, expected, "nobody is seen for the first time under another name");
}

/// A source under another name is a new one of which nothing is known: the whole fleet was told to be removed, and a second
/// later to have returned.
#[test]
fn a_source_that_is_renamed_removes_nobody() {
    let (site, server, mut daemon) = fleet_of_a_server(3);
    let config = fs::read_to_string(site.path("versweep.toml")).unwrap();
    site.write("versweep.toml", &config.replace("name = 'sd'", "name = 'other'"));
    server.answer(|_| Reply::Whole(500, String::new()));
    let reload = || request(site.web(), "POST", "/-/reload").unwrap();
    let refused = reload();
    assert_eq!(refused.status, 500, "{}", refused.body);
    assert!(
        refused.body.contains("\"other\" can't be read: ") && refused.body.contains("answers 500"),
        "{}",
        refused.body
    );
    assert_eq!(devices(&daemon), 3, "the inventory before it stays in force");

    let groups = groups_of(&site);
    server.answer(move |_| Reply::Whole(200, groups.clone()));
    assert_eq!(reload().status, 200);
    assert_eq!(devices(&daemon), 3, "known as soon as the reload is done");
    assert_eq!(of_source(&daemon, "devices", "other"), Some(3.0));
    assert!(daemon.stop().success());
    assert_eq!((told(&site, "removed"), told(&site, "returned")), (vec![], vec![]));
}

/// What was known of a server's devices waits for it where its last good list is lost as well.
#[test]
fn a_start_without_the_last_good_list_removes_nobody() {
    let (site, server, mut daemon) = fleet_of_a_server(3);
    assert!(daemon.stop().success());
    fs::remove_dir_all(site.path("versweep.db-inventory")).unwrap();
    server.answer(|_| Reply::Whole(500, String::new()));
    let mut daemon = site.daemon();
    assert_eq!(devices(&daemon), 0);
    let unknown = |line: &String| line.contains("inventory not known") && line.contains("answers 500");
    assert!(daemon.log().iter().any(unknown));

    // Back with one device fewer: that one is gone, and the two others never were.
    let groups: serde_json::Value = serde_json::from_str(&groups_of(&site)).unwrap();
    let two = serde_json::Value::Array(groups.as_array().unwrap()[1..].to_vec()).to_string();
    server.answer(move |_| Reply::Whole(200, two.clone()));
    eventually("it is known", || devices(&daemon) == 2);
    assert!(daemon.stop().success());
    assert_eq!((told(&site, "removed").len(), told(&site, "returned")), (1, vec![]));
}

/// A file on a file server that is gone: the reading never comes back. A pipe that nobody writes into does the same.
#[test]
fn a_file_that_is_never_read_to_its_end_holds_up_neither_a_reload_nor_a_stop() {
    let site = site("[[inventory]]\ntype = 'file'\npath = 'list.csv'\ntimeout = '1s'\n");
    site.write("list.csv", "name,address\na,192.0.2.1\nb,192.0.2.2\n");
    let mut daemon = site.daemon();
    assert_eq!(devices(&daemon), 2);
    fs::remove_file(site.path("list.csv")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(site.path("list.csv")).status().unwrap().success());
    for _ in 0..2 {
        let reloaded = request(site.web(), "POST", "/-/reload").unwrap();
        assert_eq!(reloaded.status, 200, "{}", reloaded.body);
        assert_eq!(devices(&daemon), 2, "the last good list stays");
        assert!(fails_by(&daemon, "list.csv", "timeout"));
    }
    assert!(daemon.stop().success());
    let mut daemon = site.daemon();
    assert_eq!(devices(&daemon), 2, "and at a start as well");
    assert!(daemon.stop().success());
}

/// A server that never answers holds up a start, and a stop must not wait for it.
#[test]
fn a_stop_during_the_start_waits_for_no_server() {
    let server = SourceServer::start(|_| Reply::Never);
    let site = site(&http_sd(&server).replace("timeout = '2s'", "timeout = '5m'"));
    let mut daemon = Daemon::spawn(&site.path("versweep.toml"), site.web());
    eventually("it is asked", || server.asked() > 0);
    assert!(daemon.stop().success());
}

/// Limits by a label that only a server's devices have: nobody knows yet that they limit nothing.
#[test]
fn what_stands_in_an_inventory_is_told_at_a_start_and_at_a_reload() {
    let server = SourceServer::start(|_| Reply::Whole(500, String::new()));
    let site = site(&format!(
        "{}[[inventory]]\ntype = 'router.db'\ndialect = 'oxidized'\ncolumns = ['name', 'site']\npath = 'router.db'\n\
         relabel = [{{ drop = {{ site = 'lab' }} }}]\n\
         [[inventory]]\ntype = 'file'\npath = 'list.csv'\n[[workers.limit]]\nby = 'rack'\nmax = 2\n",
        http_sd(&server)
    ));
    site.write("router.db", "r1:ams\nbad name:ams\nr9:lab\n");
    site.write("list.csv", "name,site\nr1,nyc\n");
    let mut daemon = site.daemon();
    let count =
        |daemon: &mut Daemon, text: &str| daemon.log().iter().filter(|line| line.contains(text)).count();
    let conflict =
        "inventory conflict: r1: site is \"nyc\" by list.csv, which goes over \"ams\" by router.db";
    let dropped = "router.db:2) is dropped: ";
    let idle = "no device of the inventory has the label \"rack\"";
    eventually("told at the start", || count(&mut daemon, conflict) == 1);
    assert_eq!(
        (count(&mut daemon, dropped), count(&mut daemon, idle), count(&mut daemon, "is \"lab\"")),
        (1, 0, 0)
    );
    server.answer(|_| Reply::Whole(200, SourceServer::groups(5..=6)));
    eventually("now it is known", || count(&mut daemon, idle) == 1);
    assert_eq!(count(&mut daemon, conflict), 1, "told once");
    assert_eq!(request(site.web(), "POST", "/-/reload").unwrap().status, 200);
    eventually("told at the reload", || {
        count(&mut daemon, conflict) == 2 && count(&mut daemon, dropped) == 2
    });
}

/// The whole of a restart without any source: what is swept are the last good lists.
#[test]
fn a_restart_with_every_source_dead_sweeps_the_last_good_lists() {
    let site = Site::new(3);
    let inventory = fs::read_to_string(site.path("devices.toml")).unwrap();
    // One device by file, the others by a server.
    let tables: Vec<&str> = inventory.split("[[device]]").skip(1).collect();
    site.write("devices.toml", &format!("[[device]]{}", tables[0]));
    let field = |table: &str, key: &str| {
        let line = table.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        line.split_once(" = ").unwrap().1.trim_matches('"').to_owned()
    };
    let group = |table: &&str| {
        serde_json::json!({ "targets": [field(table, "address")],
            "labels": { "name": field(table, "name"), "port": field(table, "port"), "platform": field(table, "platform") } })
    };
    let groups = serde_json::Value::Array(tables[1..].iter().map(group).collect()).to_string();
    let server = SourceServer::start(move |_| Reply::Whole(200, groups.clone()));
    let config = site.config("every = '1s'", 8);
    site.write("versweep.toml", &config.replace("[[sweep]]", &format!("{}[[sweep]]", http_sd(&server))));
    let mut daemon = site.daemon();
    assert_eq!(devices(&daemon), 3);
    assert!(daemon.stop().success());

    drop(server);
    fs::remove_file(site.path("devices.toml")).unwrap();
    let daemon = site.daemon();
    assert_eq!(devices(&daemon), 3);
    eventually("a sweep visits all three", || {
        sample(&daemon.page("/metrics"), "versweep_visits_total") >= Some(3.0)
    });
    crate::daemon_run::until_all_are_known(&daemon, &site);
    eventually("each says why", || {
        fails_by(&daemon, "sd", "unreachable") && fails_by(&daemon, "devices.toml", "unreadable")
    });
    eventually("each is told", || {
        events_of(&site, "sd") == ["failed unreachable"]
            && events_of(&site, "devices.toml") == ["failed unreadable"]
    });
}

#[test]
fn a_file_is_taken_when_it_changes_and_never_by_halves() {
    let site = site(
        "[[inventory]]\ntype = 'file'\npath = 'list.toml'\n[[inventory]]\ntype = 'folder'\npath = 'more'\n",
    );
    let list = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("[[device]]\nname = '{name}'\naddress = '192.0.2.1'\n"))
            .collect::<String>()
    };
    site.write("list.toml", &list(&["a", "b"]));
    fs::create_dir(site.path("more")).unwrap();
    let daemon = site.daemon();
    assert_eq!(devices(&daemon), 2);

    site.write("list.toml", &list(&["a", "b", "c"]));
    eventually("written in place", || devices(&daemon) == 3);
    site.write("list.new", &list(&["a", "b", "c", "d"]));
    fs::rename(site.path("list.new"), site.path("list.toml")).unwrap();
    eventually("renamed over", || devices(&daemon) == 4);
    let whole = list(&["a", "b", "c", "d", "e"]);
    site.write("list.toml", &whole[..whole.len() - 5]);
    eventually("half of it is refused", || fails_by(&daemon, "list.toml", "invalid"));
    assert_eq!(devices(&daemon), 4);
    // Cut between two devices it is a good list, from which two are missing.
    site.write("list.toml", &list(&["a", "b"]));
    eventually("a shorter one waits", || fails_by(&daemon, "list.toml", "shrunk"));
    assert_eq!(devices(&daemon), 4);
    fs::remove_file(site.path("list.toml")).unwrap();
    eventually("none at all", || fails_by(&daemon, "list.toml", "unreadable"));
    assert_eq!(devices(&daemon), 4);

    for (version, names) in [("v1", &["a", "b", "c", "d"][..]), ("v2", &["a", "b", "c", "d", "e"])] {
        fs::create_dir(site.path(version)).unwrap();
        site.write(&format!("{version}/list.toml"), &list(names));
    }
    symlink("v1", site.path("..data")).unwrap();
    symlink("..data/list.toml", site.path("list.toml")).unwrap();
    eventually("behind a link", || of_source(&daemon, "last_refresh_success", "list.toml") == Some(1.0));
    symlink("v2", site.path("..new")).unwrap();
    fs::rename(site.path("..new"), site.path("..data")).unwrap();
    eventually("the link is exchanged", || devices(&daemon) == 5);

    site.write("more/1.csv", "name,address\nx,192.0.2.7\ny,192.0.2.8\n");
    eventually("a file comes into the folder", || devices(&daemon) == 7);
    fs::remove_file(site.path("more/1.csv")).unwrap();
    eventually("and is gone at once", || fails_by(&daemon, "more", "shrunk"));
    assert_eq!(devices(&daemon), 7);
    eventually("it is told", || events_of(&site, "more") == ["failed shrunk"]);
    let told = events_of(&site, "list.toml");
    assert_eq!(told.last().map(String::as_str), Some("recovered good"));
    for reason in ["invalid", "shrunk", "unreadable"] {
        assert!(told.contains(&format!("failed {reason}")), "{reason}: {told:?}");
    }
}

/// Looking costs no write, neither to the store nor to the last good list.
#[test]
fn a_refresh_that_changes_nothing_writes_nothing() {
    let server = SourceServer::start(|_| Reply::Whole(200, SourceServer::groups(1..=10)));
    let site = site(&http_sd(&server));
    let daemon = site.daemon();
    let files = || {
        let mut files: Vec<_> = [site.path(""), site.path("versweep.db-inventory")]
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap())
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file())
            .map(|entry| {
                let facts = entry.metadata().unwrap();
                (entry.path(), facts.len(), facts.modified().unwrap())
            })
            .collect();
        files.sort();
        files
    };
    let looked = || of_source(&daemon, "last_refresh_timestamp_seconds", "sd");
    let (before, first) = (files(), looked());
    assert!(before.iter().any(|(path, ..)| path.ends_with("versweep.db-inventory/sd.json")), "{before:?}");
    let enough = server.asked() + 3;
    eventually("three more looks", || server.asked() >= enough);
    eventually("the last of them is done", || looked() > first);
    assert_eq!(files(), before);
}

#[test]
fn the_command_shows_what_each_source_gives_and_the_difference() {
    let server = SourceServer::start(|_| Reply::Whole(200, SourceServer::groups(1..=3)));
    let site = site(&format!(
        "{}[[inventory]]\ntype = 'file'\npath = 'list.csv'\nrelabel = [{{ drop = {{ role = 'lab' }} }}]\n",
        http_sd(&server)
    ));
    site.write("list.csv", "name,site,role\nr1,nyc,\nlab1,nyc,lab\n");
    let daemon = site.daemon();
    let show = |arguments: &[&str]| {
        let url = format!("http://{}", site.web());
        let arguments = [&["inventory", "--config.file", "versweep.toml", "--url", &url], arguments].concat();
        let output = site.versweep(&arguments);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, told) = show(&[]);
    assert_eq!(code, Some(0), "{told}");
    for wanted in [
        "3 devices, 1 of them from several sources",
        "conflict: r1: site is \"nyc\" by list.csv, which goes over \"ams\" by sd",
        "dropped: list.csv: device \"lab1\"",
        "relabel: role is \"lab\", which is dropped",
    ] {
        assert!(told.contains(wanted), "{wanted} is not in\n{told}");
    }
    let (_, told) = show(&["r1"]);
    assert!(told.contains("sources: [\"sd\",\"list.csv\"]"), "{told}");
    let none = "0 added, 0 removed, 0 renamed, 0 changed; 3 run now\n";
    assert_eq!(show(&["--diff"]), (Some(0), none.to_owned()));

    drop(daemon);
    let _daemon = site.daemon();
    server.answer(|_| Reply::Whole(200, SourceServer::groups(1..=4)));
    site.write("list.csv", "name,address\nr1,192.0.2.9\n");
    let (_, told) = show(&["--diff", "--output", "json"]);
    assert!(told.contains("\"added\":\"r4\"") || told.contains("\"running\":4"), "{told}");
    server.answer(|_| Reply::Whole(500, String::new()));
    let (code, told) = show(&[]);
    assert_eq!(code, Some(1), "a source that gives nothing is no success");
    assert!(told.contains("status: http://127.0.0.1"), "{told}");
}

/// Renamed is neither gone nor new: `--diff` tells it by the id that the source knows the device by.
#[test]
fn the_difference_tells_a_rename_as_what_it_is() {
    let groups = |names: &[(&str, &str)]| {
        let group = |(name, id): &(&str, &str)| serde_json::json!({ "targets": [format!("192.0.2.{id}:9100")], "labels": { "name": name, "id": id } });
        serde_json::Value::Array(names.iter().map(group).collect()).to_string()
    };
    let before = groups(&[("r1", "1"), ("r2", "2"), ("r3", "3"), ("r4", "4"), ("r5", "5"), ("r6", "6")]);
    let server = SourceServer::start(move |_| Reply::Whole(200, before.clone()));
    // The daemon looks once only, at its start.
    let site = site(&http_sd(&server).replace("interval = '1s'", "interval = '1h'"));
    let _daemon = site.daemon();
    let after = groups(&[("z1", "1"), ("r2", "2"), ("r3", "3"), ("r4", "4"), ("r5", "5"), ("r7", "7")]);
    server.answer(move |_| Reply::Whole(200, after.clone()));
    // Two of six are more than may be missing, and this is about what would be.
    let config = fs::read_to_string(site.path("versweep.toml")).unwrap();
    site.write("versweep.toml", &config.replace("interval = '1h'", "interval = '1h'\nmax_shrink = 100"));
    let show = |output: &str| {
        let url = format!("http://{}", site.web());
        let arguments =
            ["inventory", "--config.file", "versweep.toml", "--url", &url, "--diff", "--output", output];
        let output = site.versweep(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        show("table"),
        "+ r7 192.0.2.7\n> r1 -> z1 (sd:1)\n- r6 192.0.2.6\n1 added, 1 removed, 1 renamed, 0 changed; 6 run now\n"
    );
    let json = crate::site::json_lines(show("json").as_bytes());
    assert_eq!(json[1], serde_json::json!({ "renamed": "z1", "from": "r1", "identity": "sd:1" }));
    assert_eq!(json[3]["summary"]["renamed"], 1);
}
