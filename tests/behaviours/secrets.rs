//! Secrets show nowhere (behaviour 16): one planted secret of each use is searched for in everything that the daemon and
//! the commands leave behind, at the most talkative level of the log.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use versweep::config;
use versweep::device::DeviceId;
use versweep::sim::{Fault, SimConfig};
use versweep::store::Reader;
use versweep::transport::ssh::{SshSettings, SshTransport};

use crate::daemon::{Daemon, eventually, get, request, sample};
use crate::site::{PASSWORD, Site};
use crate::ssh_server::fresh_key;

const PASSPHRASE: &str = "planted-Pa55phrase-heron";
const ENABLE: &str = "planted-En4ble-stork";
const TOKEN: &str = "planted-T0ken-egret";
/// Chat services put the key into the path.
const CHAT_URL: &str = "https://127.0.0.1:9/services/planted-Path-crane";
/// The key that webhooks are signed with, and the form that it stands in its file in.
const SIGNING_KEY: &str = "planted webhook key of 32 bytes!";
const SIGNING_SECRET: &str = "whsec_cGxhbnRlZCB3ZWJob29rIGtleSBvZiAzMiBieXRlcyE=";

/// What is written into files, by the files' names.
const SECRETS: [(&str, &str); 6] = [
    ("password", PASSWORD),
    ("passphrase", PASSPHRASE),
    ("enable", ENABLE),
    ("token", TOKEN),
    ("chat", CHAT_URL),
    ("signing", SIGNING_SECRET),
];

/// Panics when one of the secrets stands in the bytes.
fn search(place: &str, bytes: &[u8]) {
    let path = CHAT_URL.rsplit('/').next().unwrap();
    let encoded = SIGNING_SECRET.trim_start_matches("whsec_");
    for secret in [PASSWORD, PASSPHRASE, ENABLE, TOKEN, path, SIGNING_KEY, encoded] {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} stands in {place}");
    }
}

fn search_output(place: &str, output: &Output) {
    search(place, &output.stdout);
    search(place, &output.stderr);
}

/// A fleet that takes the password and a key, with two credentials whose secrets are in files.
fn site() -> Site {
    use russh::keys::ssh_key::LineEnding;
    let key = fresh_key();
    let authorized_key = Some(key.public_key().to_openssh().unwrap());
    let site = Site::with(SimConfig { devices: 5, authorized_key, ..SimConfig::default() });
    let locked = key.encrypt(&mut russh::keys::key::safe_rng(), PASSPHRASE).unwrap();
    site.write("id", &locked.to_openssh(LineEnding::LF).unwrap());
    for (file, secret) in SECRETS {
        site.write(file, secret);
    }
    for secret in SECRETS.map(|(file, _)| file).iter().chain(&["id"]) {
        fs::set_permissions(site.path(secret), fs::Permissions::from_mode(0o600)).unwrap();
    }
    site.write("versweep.toml", &configuration(&site));
    site
}

fn configuration(site: &Site) -> String {
    let by_key = site.devices()[3].name().to_owned();
    // Nobody listens at the servers: what they are asked with shows in errors, if anywhere.
    let nobody = "allow_private = true\nbearer = { file = 'token' }\n";
    site.config("schedule = 'never'", 8)
        + "[credentials.by_key]\nusername = 'versweep'\nprivate_key = { file = 'id' }\npassphrase = { file = 'passphrase' }\n\
           enable = { file = 'enable' }\n"
        + &format!(
            "[[inventory]]\ntype = 'http_sd'\nurl = 'https://127.0.0.1:9/sd'\ninterval = '1s'\n{nobody}"
        )
        + &format!("[policies]\nurl = 'https://127.0.0.1:9/policies'\n{nobody}")
        + &format!(
            "[[sink]]\ntype = 'webhook'\nurl = 'https://127.0.0.1:9/hook'\nsecret = {{ file = 'signing' }}\n{nobody}"
        )
        + "[[sink]]\ntype = 'slack'\nurl = { file = 'chat' }\nallow_private = true\n"
        + &format!("[[group]]\nselect = {{ device = '{by_key}' }}\ncredential = 'by_key'\n")
}

fn sweep_once(daemon: &mut Daemon, site: &Site) {
    let ended = |page: &str| sample(page, "versweep_sweeps_total{sweep=\"all\"}").unwrap();
    let before = ended(&daemon.page("/metrics"));
    assert_eq!(request(site.web(), "POST", "/-/sweep").unwrap().status, 202);
    eventually("the sweep ends", || {
        daemon.log();
        ended(&daemon.page("/metrics")) > before
    });
}

/// A reload that is refused talks about the credentials.
fn refused_reload(site: &Site) {
    let broken = configuration(site).replace("{ file = 'passphrase' }", "{ file = 'password' }");
    site.write("versweep.toml", &broken);
    let answer = request(site.web(), "POST", "/-/reload").unwrap();
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert!(answer.body.contains("credentials.by_key"), "{}", answer.body);
    search("the answer to a reload", answer.body.as_bytes());
    search_output("check", &site.versweep(&["check", "versweep.toml"]));
    site.write("versweep.toml", &configuration(site));
}

fn search_process(daemon: &Daemon) {
    for file in ["cmdline", "environ"] {
        let place = format!("/proc/{}/{file}", daemon.pid());
        search(&place, &fs::read(&place).unwrap());
    }
}

fn search_pages(site: &Site) {
    let one = format!("/api/v1/devices?q={}", site.devices()[0].name());
    let pages = [
        "/",
        "/metrics",
        "/api/v1/devices",
        &one,
        "/api/v1/changes",
        "/api/v1/sweeps",
        "/-/ready",
        "/config",
    ];
    for page in pages {
        let answer = get(site.web(), page).unwrap();
        search(page, answer.body.as_bytes());
    }
}

/// Every file of the site but those that hold the secrets, and the packed texts inside the database.
fn search_files(site: &Site) {
    let mut names = Vec::new();
    for entry in fs::read_dir(site.path("")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            for inside in fs::read_dir(entry.path()).unwrap() {
                search(&name, &fs::read(inside.unwrap().path()).unwrap());
            }
            names.push(name);
        } else if name != "id" && SECRETS.iter().all(|(file, _)| *file != name) {
            search(&name, &fs::read(entry.path()).unwrap());
            names.push(name);
        }
    }
    for expected in ["versweep.db", "versweep.db-inventory", "events.jsonl", "known_hosts"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not among {names:?}");
    }
    let reader = Reader::open(&site.path("versweep.db")).unwrap();
    let mut texts = 0;
    for change in reader.changes(None, 100).unwrap() {
        let raw = reader.raw_of_change(change.number).unwrap();
        texts += usize::from(raw.is_some());
        search("the text kept of a change", raw.map(|raw| raw.text).unwrap_or_default().as_bytes());
    }
    for device in site.devices() {
        let raw = reader.raw_of_failure(&DeviceId::new(device.name()).unwrap()).unwrap();
        search("the text kept of a failure", raw.map(|raw| raw.text).unwrap_or_default().as_bytes());
    }
    assert!(texts > 0, "there was something to search");
}

fn search_commands(site: &Site) {
    for device in site.devices() {
        let output = site
            .command(&["probe", "--config.file", "versweep.toml", device.name()])
            .env("VERSWEEP_LOG", "trace")
            .output();
        search_output("probe", &output.unwrap());
    }
    let sweep = ["sweep", "--config.file", "versweep.toml", "--output", "json"];
    search_output("sweep", &site.command(&sweep).env("VERSWEEP_LOG", "trace").output().unwrap());
    let config = ["--config.file", "versweep.toml"];
    for command in [&["inventory"][..], &["events", "list"], &["report"], &["export", "changes"]] {
        let command = [command, &config].concat();
        search_output(command[0], &site.command(&command).env("VERSWEEP_LOG", "trace").output().unwrap());
    }
}

#[test]
fn planted_secrets_are_found_nowhere() {
    let site = site();
    let config = site.path("versweep.toml");
    let mut daemon = Daemon::spawn_with(&config, site.web(), &[("VERSWEEP_LOG", "trace")]);
    daemon.wait_ready();
    sweep_once(&mut daemon, &site);
    let page = daemon.page("/metrics");
    let up = page.lines().filter(|line| line.starts_with("versweep_device_up{") && line.ends_with(" 1"));
    assert_eq!(up.count(), 5, "both ways to log in work");
    assert!(site.devices()[3].password_attempts() == 0, "the key was used");

    site.upgrade(&site.devices()[1], 1);
    site.set_fault(&site.devices()[0], Some(Fault::Password));
    site.set_fault(&site.devices()[2], Some(Fault::Garbage));
    site.set_fault(&site.devices()[4], Some(Fault::HostKey));
    sweep_once(&mut daemon, &site);
    sweep_once(&mut daemon, &site);
    refused_reload(&site);
    search_process(&daemon);
    search_pages(&site);
    search_files(&site);
    assert!(daemon.stop().success());
    let log = daemon.log();
    assert!(log.iter().any(|line| line.contains("TRACE")), "the log was talkative");
    search("the log", log.join("\n").as_bytes());
    search_commands(&site);
    search_files(&site);
}

/// Whatever prints a part of the configuration while hunting a defect prints no secret.
#[test]
fn debug_output_has_no_secret() {
    let site = site();
    let config = config::load(&site.path("versweep.toml")).unwrap();
    search("Debug of Config", format!("{config:#?}").as_bytes());
    let settings = SshSettings::new(config.credentials.clone(), config.known_hosts.clone());
    search("Debug of SshSettings", format!("{settings:#?}").as_bytes());
    let transport = SshTransport::new(settings).unwrap();
    search("Debug of SshTransport", format!("{transport:#?}").as_bytes());
}
