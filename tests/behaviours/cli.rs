//! The command line: what each subcommand prints, for people and for programs, and the exit code it ends with.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use versweep::sim::{Fault, SimDevice};

use crate::daemon::{eventually, get, sample};
use crate::site::{Site, json_lines, versweep};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = versweep(arguments).output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// `versweep sweep` with these arguments; the exit code must be that.
fn sweep(site: &Site, arguments: &[&str], code: i32) -> Output {
    let whole = [&["sweep", "--config.file", "versweep.toml"], arguments].concat();
    let output = site.versweep(&whole);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    output
}

/// The rows of `sweep --output json` and its summary.
fn sweep_json(site: &Site, arguments: &[&str], code: i32) -> (Vec<Value>, Value) {
    let mut lines = json_lines(&sweep(site, &[&["--output", "json"], arguments].concat(), code).stdout);
    let last = lines.pop().expect("a summary");
    (lines, last["summary"].clone())
}

fn row<'a>(rows: &'a [Value], device: &SimDevice) -> &'a Value {
    rows.iter().find(|row| row["device"] == device.name()).expect("a row of it")
}

#[test]
fn a_sweep_prints_a_line_a_device_and_a_summary_for_people() {
    let site = Site::new(4);
    let first = text(&sweep(&site, &[], 0).stdout);
    for device in site.devices() {
        let line = first.lines().find(|line| line.starts_with(device.name())).expect("a line of it");
        assert!(line.contains(&device.version()) && line.contains(device.platform().key()), "{line}");
    }
    assert!(first.ends_with("4 devices: 4 answered, 0 failed, 0 changed\n"), "{first}");

    let (before, after) = site.upgrade(&site.devices()[2], 1);
    site.set_fault(&site.devices()[0], Some(Fault::Refuse));
    let second = text(&sweep(&site, &[], 0).stdout);
    assert!(second.contains(&format!("changed from {before}")) && second.contains(&after), "{second}");
    assert!(second.contains("failed: refused at connect: "), "{second}");
    assert!(second.ends_with("4 devices: 3 answered, 1 failed, 1 changed\n"), "{second}");
}

#[test]
fn a_sweep_tells_programs_every_field_and_what_changed() {
    let site = Site::new(8);
    let (rows, summary) = sweep_json(&site, &[], 0);
    assert_eq!((rows.len(), &summary["answered"], &summary["changed"]), (8, &8.into(), &0.into()));
    for device in site.devices() {
        let row = row(&rows, device);
        let fields: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
        for field in [
            "device",
            "platform",
            "outcome",
            "version",
            "model",
            "serial",
            "hostname",
            "changed",
            "previous_version",
            "failure",
            "stage",
            "detail",
            "took_ms",
            "attempts",
        ] {
            assert!(fields.contains(&field), "{field} is missing in {row}");
        }
        assert_eq!((row["outcome"].as_str(), row["changed"].as_bool()), (Some("answered"), Some(false)));
        assert_eq!(row["version"].as_str(), Some(device.version().as_str()));
        assert_eq!(row["platform"].as_str(), Some(device.platform().key()));
    }

    let (changed, failing) = (&site.devices()[4], &site.devices()[5]);
    let (before, after) = site.upgrade(changed, 1);
    site.set_fault(failing, Some(Fault::Password));
    let (rows, summary) = sweep_json(&site, &[], 0);
    let told = row(&rows, changed);
    assert_eq!((told["changed"].as_bool(), told["version"].as_str()), (Some(true), Some(after.as_str())));
    assert_eq!(told["previous_version"].as_str(), Some(before.as_str()));
    let told = row(&rows, failing);
    assert_eq!((told["outcome"].as_str(), told["failure"].as_str()), (Some("failed"), Some("auth")));
    assert_eq!((told["stage"].as_str(), told["version"].as_str()), (Some("auth"), None));
    assert!(!told["detail"].as_str().unwrap().is_empty());
    assert_eq!(failing.password_attempts(), 2, "one attempt a visit: a good one, a refused one");
    assert_eq!((&summary["changed"], &summary["failed"]), (&1.into(), &1.into()));
    assert_eq!((&summary["failures"]["auth"], &summary["complete"]), (&1.into(), &true.into()));
    let (rows, _) = sweep_json(&site, &[], 0);
    assert_eq!(row(&rows, changed)["changed"].as_bool(), Some(false), "told once");
    let kinds: Vec<_> = site.events().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["upgrade", "unreachable"], "and the sinks have it, once");
}

/// Drift is from a policy: a change is none by itself, and what drifts does so at each sweep.
#[test]
fn drift_from_a_policy_has_an_exit_code() {
    let site = Site::new(2);
    let silent = sweep(&site, &["--fail-on", "drift"], 64);
    assert!(text(&silent.stderr).contains("policy: there is none, so nothing is drift"), "{silent:?}");

    let device = &site.devices()[0];
    let runs = device.version();
    let policy = format!(
        "[[policy]]\nname = 'lab'\nselect = {{ device = '{}' }}\napproved = '{runs}'\n",
        device.name()
    );
    site.write("versweep.toml", &(site.config("schedule = 'never'", 8) + &policy));
    sweep(&site, &["--fail-on", "drift"], 0);
    let (_, after) = site.upgrade(device, 1);
    let (_, summary) = sweep_json(&site, &["--fail-on", "drift"], 2);
    let drifted = &summary["drifted"][0];
    assert_eq!((&drifted["device"], &drifted["policy"]), (&device.name().into(), &"lab".into()));
    assert_eq!((&drifted["result"], &drifted["version"]), (&"drifted".into(), &after.as_str().into()));
    let again = sweep(&site, &["--fail-on", "drift"], 2);
    let line = format!("drifted by policy lab: {after} is not among the approved versions");
    assert!(text(&again.stdout).contains(&line), "{again:?}");
    let kinds: Vec<_> = site.events().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["upgrade", "policy_lost"], "told once");
}

#[test]
fn a_sweep_says_by_its_exit_code_what_was_found() {
    let site = Site::new(3);
    sweep(&site, &["--fail-on", "change", "--fail-on", "failure"], 0);
    site.upgrade(&site.devices()[0], 1);
    sweep(&site, &["--fail-on", "change"], 2);
    sweep(&site, &["--fail-on", "change"], 0);
    site.set_fault(&site.devices()[1], Some(Fault::NotSsh));
    sweep(&site, &["--fail-on", "failure"], 2);
    sweep(&site, &["--fail-on", "change"], 0);
    let elsewhere = run(&["sweep", "--config.file", "/nowhere/versweep.toml"]);
    assert_eq!(elsewhere.0, Some(64), "{}", elsewhere.2);
    assert!(elsewhere.2.contains("/nowhere/versweep.toml: can't be read"), "{}", elsewhere.2);
    let unknown = sweep(&site, &["--sweep", "nightly"], 1);
    assert!(text(&unknown.stderr).contains("no [[sweep]] named \"nightly\""));
}

#[test]
fn a_sweep_visits_only_what_is_selected() {
    let site = Site::new(12);
    let chosen = &site.devices()[7];
    let by_site = format!("site={}", chosen.site());
    let by_platform = format!("platform={}", chosen.platform().key());
    let (rows, _) = sweep_json(&site, &["--select", &by_site, "--select", &by_platform], 0);
    let matching = |device: &&std::sync::Arc<SimDevice>| {
        device.site() == chosen.site() && device.platform() == chosen.platform()
    };
    assert_eq!(rows.len(), site.devices().iter().filter(matching).count(), "different labels narrow");
    let both = ["--select", "role=core", "--select", "role=edge"];
    let (rows, _) = sweep_json(&site, &both, 0);
    let wide = site.devices().iter().filter(|device| device.role() != "access").count();
    assert_eq!(rows.len(), wide, "values of one label widen");
    sweep(&site, &["--select", "role"], 64);
}

#[test]
fn a_sweep_prints_csv_with_one_header() {
    let site = Site::new(3);
    let printed = text(&sweep(&site, &["--output", "csv"], 0).stdout);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(
        lines[0]
            .starts_with("device,platform,outcome,version,model,serial,hostname,changed,previous_version,")
    );
    assert!(lines[1..].iter().all(|line| line.matches(',').count() == lines[0].matches(',').count()));
}

/// Ctrl-C ends what was begun, begins nothing new, and the summary says so.
#[test]
fn an_interrupted_sweep_says_that_it_is_not_complete() {
    let config =
        versweep::sim::SimConfig { devices: 6, command_delay: crate::site::SLOW, ..Default::default() };
    let site = Site::with(config);
    site.write("versweep.toml", &site.config("schedule = 'never'", 2));
    let arguments = ["sweep", "--config.file", "versweep.toml", "--output", "json"];
    let mut child = Child(site.command(&arguments).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().expect("a row as soon as a device is done");
    assert!(first.contains("\"outcome\":\"answered\""), "{first}");
    assert!(Command::new("kill").args(["-INT", &child.0.id().to_string()]).status().unwrap().success());
    let rest: Vec<Value> = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert_eq!(child.0.wait().unwrap().code(), Some(1));
    let summary = &rest.last().expect("a summary")["summary"];
    assert_eq!((summary["complete"].as_bool(), summary["failed"].as_u64()), (Some(false), Some(0)));
    assert_eq!(summary["devices"].as_u64(), Some(rest.len() as u64));
    assert!(summary["devices"].as_u64() < Some(6), "{summary}");
}

#[test]
fn a_probe_explains_a_visit_and_records_nothing() {
    let site = Site::new(2);
    let (well, ill) = (&site.devices()[1], &site.devices()[0]);
    site.set_fault(ill, Some(Fault::Password));
    let probe = |device: &str| site.versweep(&["probe", "--config.file", "versweep.toml", device]);
    let output = probe(well.name());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let version = format!("version  {}", well.version());
    for word in [
        "connect ",
        "kex ",
        "auth ",
        "command ",
        "total ",
        "server: SSH-2.0-",
        "algorithms: ",
        "host key: ssh-ed25519 SHA256:",
        "read by profile cisco_xe",
        &version,
        well.serial(),
        "the device said:",
    ] {
        assert!(said.contains(word), "{word:?} is missing: {said}");
    }
    let output = probe(ill.name());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("failed: auth at auth: ") && said.contains("kex "), "{said}");
    assert!(said.contains("login: offered ") && said.contains("login: tried password: "), "{said}");
    let failed = |line: &str| line.starts_with("  auth ") && line.ends_with(" ms  failed");
    assert!(said.lines().any(failed), "how long the stage took that failed: {said}");
    let output = probe("nobody");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no device \"nobody\" in the inventory of versweep.toml"));
    assert!(!site.path("versweep.db").exists(), "nothing is recorded");
}

#[test]
fn platforms_are_listed_and_printed() {
    let (code, list, _) = run(&["platforms"]);
    assert_eq!(code, Some(0));
    for key in
        ["cisco_ios", "cisco_xe", "cisco_nxos", "cisco_xr", "juniper_junos", "arista_eos", "frr", "linux"]
    {
        assert!(list.lines().any(|line| line.trim_start().starts_with(key)), "{key}: {list}");
    }
    let (code, profile, _) = run(&["platforms", "frr"]);
    assert_eq!((code, profile.contains("key = \"frr\"")), (Some(0), true));
    let (code, _, said) = run(&["platforms", "frrr"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no platform \"frrr\": known are a10"), "{said}");
}

/// Runs `versweep parse` with text on its standard input.
fn parse(arguments: &[&str], input: &str) -> Output {
    let mut child = versweep(&[&["parse"], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn parse_reads_standard_input_and_files() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/platforms/frr/debian.txt");
    let answer = std::fs::read_to_string(&path).unwrap();
    let output = parse(&["--platform", "auto", "--output", "json"], &answer);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let read = &json_lines(&output.stdout)[0];
    assert_eq!((read["platform"].as_str(), read["version"].as_str()), (Some("frr"), Some("8.4.4")));
    for field in
        ["file", "platform", "version", "model", "serial", "hostname", "image", "uptime_seconds", "pattern"]
    {
        assert!(read.get(field).is_some(), "{field} is missing in {read}");
    }
    let file = path.to_str().unwrap();
    let output = parse(&["--platform", "frr", "--output", "json", file, "-"], "% Invalid input\n");
    assert_eq!(output.status.code(), Some(1), "one of them could not be read");
    let lines = json_lines(&output.stdout);
    assert_eq!((lines.len(), lines[0]["file"].as_str()), (2, Some(file)));
    assert!(
        lines[1]["error"].is_string() && lines[1].get("version").is_none_or(Value::is_null),
        "{}",
        lines[1]
    );
    let output = parse(&["--platform", "no_such"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no_such"));
}

/// The subcommands, as `versweep --help` lists them.
fn subcommands() -> Vec<String> {
    let help = run(&["--help"]).1;
    let list = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).filter_map(first).collect()
}

#[test]
fn every_subcommand_has_help_with_an_example_and_refuses_unknown_flags() {
    let all = subcommands();
    assert!(all.len() >= 11, "{all:?}");
    for subcommand in all.iter().filter(|name| *name != "help") {
        for flag in ["--help", "-h"] {
            let (code, help, _) = run(&[subcommand, flag]);
            assert_eq!(code, Some(0), "{subcommand}");
            let example =
                help.split_once("Example").unwrap_or_else(|| panic!("{subcommand} {flag}: {help}")).1;
            assert!(example.contains(&format!("versweep {subcommand}")), "{subcommand}: {example}");
        }
        let (code, _, said) = run(&[subcommand, "--no-such-flag"]);
        assert_eq!(code, Some(64), "{subcommand}: {said}");
        assert!(said.contains("--no-such-flag"), "{said}");
    }
    assert_eq!(run(&["no-such-command"]).0, Some(64));
    assert_eq!(run(&[]).0, Some(64), "without a command there is nothing to do");
    let (code, version, _) = run(&["--version"]);
    assert_eq!((code, version.starts_with("versweep ")), (Some(0), true));
}

#[test]
fn clients_say_that_no_daemon_is_there() {
    for subcommand in ["devices", "changes"] {
        let url = format!("http://{}", crate::daemon::free_address());
        let (code, printed, said) = run(&[subcommand, "--url", &url]);
        assert_eq!((code, printed.as_str()), (Some(1), ""));
        assert!(said.contains("is `versweep run` up there?"), "{said}");
    }
}

/// Ends a child by force when the test fails.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A demo that serves, with its address and its folder.
fn demo() -> (Child, std::net::SocketAddr, std::path::PathBuf) {
    let mut command = versweep(&["demo", "--devices", "20", "--listen", "127.0.0.1:0", "--every", "1"]);
    let mut demo = Child(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut after = |word: &str| {
        let line = lines.find(|line| line.contains(word)).expect("a line with it");
        let rest = line.split_once(word).unwrap().1;
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let folder = after("gone when this ends: ").into();
    let address = after("open http://").trim_end_matches('/').parse().unwrap();
    (demo, address, folder)
}

/// Sends the demo that signal: it ends well and leaves neither folder nor listener.
fn assert_ends_by(
    signal: &str,
    (mut demo, address, folder): (Child, std::net::SocketAddr, std::path::PathBuf),
) {
    assert!(folder.join("versweep.db").exists());
    let pid = demo.0.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    let mut ended = None;
    eventually("the demo ends", || {
        ended = demo.0.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(0));
    assert!(!folder.exists(), "its folder is gone");
    assert!(std::net::TcpStream::connect(address).is_err(), "and nobody listens");
}

#[test]
fn the_demo_is_the_whole_product_and_leaves_nothing_behind() {
    let (demo, address, folder) = demo();
    let page = || get(address, "/metrics").map(|answer| answer.body).unwrap_or_default();
    eventually("devices are known", || {
        page().lines().filter(|line| line.starts_with("versweep_device_version_info{")).count() >= 15
    });
    eventually("a new version is found", || {
        let found = |kind: &str| sample(&page(), &format!("versweep_changes_total{{kind=\"{kind}\"}}"));
        found("upgrade") > Some(0.0) || found("downgrade") > Some(0.0)
    });
    let results = page();
    for result in ["preferred", "drifted", "banned"] {
        let name = format!("versweep_policy_devices{{policy=\"campus\",result=\"{result}\"}}");
        assert!(sample(&results, &name).is_some(), "{name}");
    }
    assert_ends_by("-INT", (demo, address, folder));
}

/// Otherwise it would go on without anybody, and keep the port.
#[test]
fn a_demo_ends_with_its_terminal() {
    assert_ends_by("-HUP", demo());
}
