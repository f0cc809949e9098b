//! Configuration: what is wrong is told with its place, all at once, and never with a secret; the samples we ship hold.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use secrecy::ExposeSecret;
use versweep::change::ChangeKind;
use versweep::config::{self, Config, Draft, SinkKind};
use versweep::device::{CredentialId, DeviceId, Labels};
use versweep::event::{Route, Severity};
use versweep::settings::DeviceSettings;
use versweep::timetable::{CronTimes, Timetable};

const NO_ENVIRONMENT: &dyn Fn(&str) -> Option<String> = &|_| None;

/// A configuration that is good.
fn good(text: &str) -> Config {
    config::draft_str(Path::new("versweep.toml"), text, NO_ENVIRONMENT).finish().unwrap()
}

/// The messages about one that is not, one a line.
fn errors(text: &str) -> String {
    config::draft_str(Path::new("versweep.toml"), text, NO_ENVIRONMENT).finish().unwrap_err().to_string()
}

/// Runs `versweep check`: its exit code, output and errors.
pub(crate) fn check(file: &Path) -> (i32, String, String) {
    let mut versweep = Command::new(env!("CARGO_BIN_EXE_versweep"));
    // The messages must not depend on who runs the tests.
    let output = versweep.arg("check").arg(file).env_remove("SSH_AUTH_SOCK").output().unwrap();
    let code = output.status.code().unwrap();
    (code, String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    files.sort();
    files
}

/// `VERSWEEP_BLESS=1` writes the messages anew; read the diff before committing it.
#[test]
fn every_bad_file_has_its_exact_message() {
    let mut wrong = Vec::new();
    let files = toml_files("tests/config/bad");
    assert!(files.len() >= 30, "only {} files", files.len());
    for file in files {
        let (code, out, err) = check(&file);
        assert_eq!((code, out.as_str()), (64, ""), "{}", file.display());
        let golden = file.with_extension("stderr");
        if std::env::var_os("VERSWEEP_BLESS").is_some() {
            fs::write(&golden, &err).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != err {
            wrong.push(format!("--- {}\n{err}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_message_of_a_bad_file_has_a_planted_secret() {
    for file in toml_files("tests/config/bad") {
        let (_, _, err) = check(&file);
        assert!(
            !err.contains("planted-secret") && !err.contains("not-really-secret"),
            "{}:\n{err}",
            file.display()
        );
    }
}

#[test]
fn every_good_file_is_taken() {
    for file in toml_files("tests/config/good") {
        let (code, out, err) = check(&file);
        assert_eq!(code, 0, "{err}");
        assert!(out.starts_with(&format!("{}: ok: ", file.display())), "{out}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let (code, _, err) = check(Path::new("tests/config/no_such_file.toml"));
    assert_eq!((code, err.as_str()), (64, "tests/config/no_such_file.toml: can't be read: no such file\n"));
}

/// The sample as it is shipped, with the systemd credential that it names.
fn sample() -> Config {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("netops"), "s\n").unwrap();
    fs::set_permissions(folder.path().join("netops"), fs::Permissions::from_mode(0o600)).unwrap();
    let credentials = folder.path().to_str().unwrap().to_owned();
    let environment = move |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| credentials.clone());
    let text = fs::read_to_string("etc/versweep.toml").unwrap();
    let draft: Draft = config::draft_str(Path::new("etc/versweep.toml"), &text, &environment);
    draft.finish().unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_shipped_sample_shows_the_defaults() {
    let (sample, plain) = (sample(), good(""));
    assert_eq!(sample.warnings, Vec::<String>::new());
    assert_eq!(sample.web.listen, plain.web.listen);
    let limits = |config: &Config| (config.web.connections, config.web.connections_per_client);
    assert_eq!(limits(&sample), limits(&plain));
    assert_eq!(sample.web.lifecycle, plain.web.lifecycle);
    assert_eq!(sample.web.actions, plain.web.actions);
    assert_eq!(sample.web.route_prefix, plain.web.route_prefix);
    assert_eq!(sample.store, plain.store);
    assert_eq!(sample.keep_history, plain.keep_history);
    assert_eq!(sample.workers, plain.workers);
    assert_eq!(sample.known_hosts, plain.known_hosts);
    assert_eq!(sample.extra_known_hosts, plain.extra_known_hosts);
    assert_eq!(sample.per_device_metrics, plain.per_device_metrics);
    assert_eq!(sample.info_labels, plain.info_labels);
    assert_eq!(sample.down_after, plain.down_after);
    assert_eq!(sample.grace, plain.grace);

    let sweep = &good("[[sweep]]\nname = 'all'\nschedule = '0 */15 * * * *'").sweeps[0];
    assert_eq!(&sample.sweeps[0], sweep);

    let netops =
        || DeviceSettings { credential: CredentialId::new("netops").ok(), ..DeviceSettings::default() };
    let device = |config: &Config| {
        let id = DeviceId::new("core1").unwrap();
        config.layers.resolve(id, "core1".into(), Labels::default(), netops()).unwrap()
    };
    assert_eq!(device(&sample), device(&plain));
}

#[test]
fn the_shipped_sample_names_every_key() {
    let text = fs::read_to_string("etc/versweep.toml").unwrap();
    let keys = versweep::settings::DEVICE_KEYS.into_iter().chain([
        "listen",
        "systemd_socket",
        "web_config",
        "external_url",
        "route_prefix",
        "enable_lifecycle",
        "actions",
        "max_connections",
        "max_connections_per_client",
        "path",
        "keep_history",
        "max",
        "known_hosts",
        "extra_known_hosts",
        "config",
        "per_device",
        "info_labels",
        "down_after",
        "grace",
        "username",
        "password",
        "private_key",
        "passphrase",
        "certificate",
        "agent",
        "public_key",
        "select",
        "type",
        "name",
        "interval",
        "max_shrink",
        "watch",
        "relabel",
        "url",
        "bearer",
        "allow_private",
        "ca_file",
        "token",
        "filter",
        "page",
        "dialect",
        "delimiter",
        "columns",
        "schedule",
        "timezone",
        "spread",
    ]);
    for key in keys {
        let written =
            text.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
        assert!(written, "{key}");
    }
}

#[test]
fn the_shipped_inventories_are_taken() {
    let sample = sample();
    let inventory = crate::inventory::load_all(&sample.inventory, &sample.layers, &sample.references())
        .map_err(|e| e.to_string());
    assert_eq!(inventory.map(|inventory| inventory.devices.len()), Ok(6));
}

#[test]
fn paths_start_from_the_files_folder() {
    let text = "[store]\npath = 'state/v.db'\n[ssh]\nextra_known_hosts = ['kh', '/etc/ssh/kh']";
    let config =
        config::draft_str(Path::new("/srv/vs/versweep.toml"), text, NO_ENVIRONMENT).finish().unwrap();
    assert_eq!(config.store, Path::new("/srv/vs/state/v.db"));
    assert_eq!(config.known_hosts, Path::new("/srv/vs/state/known_hosts"));
    assert_eq!(config.extra_known_hosts, [Path::new("/srv/vs/kh"), Path::new("/etc/ssh/kh")]);
}

#[test]
fn an_agent_is_named_or_found_in_the_environment() {
    let agent = |text: &str| {
        let environment = |name: &str| (name == "SSH_AUTH_SOCK").then(|| "/run/user/7/agent".to_owned());
        let text = format!("[credentials.lab]\nusername = 'lab'\n{text}");
        let draft = config::draft_str(Path::new("/srv/vs/versweep.toml"), &text, &environment);
        let config = draft.finish().unwrap_or_else(|errors| panic!("{errors}"));
        config.credentials[&CredentialId::new("lab").unwrap()].agent.clone()
    };
    let found = agent("agent = true").unwrap();
    assert_eq!((found.socket.as_path(), found.public_key), (Path::new("/run/user/7/agent"), None));
    let named = agent("agent = 'agent.sock'\npublic_key = 'ssh-ed25519 AAAA'").unwrap();
    assert_eq!(named.socket, Path::new("/srv/vs/agent.sock"));
    assert_eq!(named.public_key.as_deref(), Some("ssh-ed25519 AAAA"));
    // An agent in the environment is never asked unless a credential says so.
    assert_eq!(agent("password = { env = 'SSH_AUTH_SOCK' }\nagent = false"), None);
}

#[test]
fn workers_are_a_number_or_so_many_per_cpu() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert_eq!(good("workers.max = 1").workers, 1);
    assert_eq!(good("workers.max = 100_000").workers, 100_000);
    assert_eq!(good("workers.max = '16 per cpu'").workers, 16 * cpus);
    assert_eq!(
        errors("\n\nworkers.max = '0'"),
        "versweep.toml:3: workers.max: \"0\" is out of range: a number from 1 to 100000, or \"N per cpu\""
    );
    for max in ["0", "-1", "'0 per cpu'", "100001", "99999999999999999999", "'99999 per cpu'"] {
        if max != "'99999 per cpu'" || cpus > 1 {
            assert!(errors(&format!("workers.max = {max}")).contains("out of range"), "{max}");
        }
    }
}

#[test]
fn sweeps_keep_their_order_and_their_schedules() {
    let config = good(
        "[[sweep]]\nname = 'z'\nschedule = '0 30 2 * * MON-FRI'\ntimezone = 'Europe/Amsterdam'\nspread = '5m'\n\
         [[sweep]]\nname = 'a'\nevery = '1m30s'\nselect = { role = ['core', 'edge'], site = 'ams' }\n\
         [[sweep]]\nname = 'm'\nschedule = 'never'",
    );
    let names: Vec<_> = config.sweeps.iter().map(|sweep| sweep.name.as_str()).collect();
    assert_eq!(names, ["z", "a", "m"]);
    let times = CronTimes::new("0 30 2 * * MON-FRI", chrono_tz::Europe::Amsterdam).unwrap();
    assert_eq!(config.sweeps[0].timetable, Timetable::Cron(times));
    assert_eq!(config.sweeps[0].spread, Duration::from_secs(300));
    assert_eq!(config.sweeps[1].timetable, Timetable::Every(Duration::from_secs(90)));
    assert_eq!(config.sweeps[1].select.0["role"], ["core", "edge"]);
    assert_eq!(config.sweeps[1].select.0["site"], ["ams"]);
    assert_eq!(config.sweeps[2].timetable, Timetable::OnDemand);
}

#[test]
fn sinks_are_read() {
    let config = good(
        "[events]\nsource = '/ams'\n[[sink]]\ntype = 'journal'\n\
         [[sink]]\ntype = 'jsonl'\nname = 'file'\npath = '/x.jsonl'\nrotate_mib = 0\nkinds = ['upgrade']\n\
         severity = 'notice'\nselect = { site = 'ams' }\ndigest = 20\ndigest_by = 'role'\nmax_pending = 500\n\
         [[sink]]\ntype = 'command'\nargv = ['/bin/true', '-x']\ntimeout = '3s'",
    );
    assert_eq!(config.event_source, "/ams");
    let [journal, file, command] = &config.sinks[..] else { panic!("{:?}", config.sinks) };
    assert_eq!((journal.name.as_str(), &journal.kind), ("journal", &SinkKind::Journal));
    assert_eq!((&journal.route, &journal.digest, journal.max_pending), (&Route::default(), &None, 100_000));
    let jsonl = SinkKind::Jsonl { path: "/x.jsonl".into(), size: None, keep: 5 };
    assert_eq!((file.name.as_str(), &file.kind, file.max_pending), ("file", &jsonl, 500));
    assert_eq!((&file.route.kinds[..], file.route.severity), (&[ChangeKind::Upgrade][..], Severity::Notice));
    assert_eq!(file.route.select.0["site"], ["ams"]);
    assert_eq!(file.digest, Some((20, "role".to_owned())));
    let argv = vec!["/bin/true".to_owned(), "-x".to_owned()];
    assert_eq!(command.kind, SinkKind::Command { argv, timeout: Duration::from_secs(3) });
}

/// Three places, one secret each, none of which may show anywhere.
#[test]
fn secrets_are_read_from_their_places_and_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("password"), "planted-secret-1\r\n").unwrap();
    fs::write(folder.path().join("key"), "planted-secret-3\n\n").unwrap();
    fs::set_permissions(folder.path().join("password"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path().join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    let credentials = folder.path().to_str().unwrap().to_owned();
    let environment = move |name: &str| match name {
        "CREDENTIALS_DIRECTORY" => Some(credentials.clone()),
        "PASSPHRASE" => Some("planted-secret-2".to_owned()),
        _ => None,
    };
    let text = "[credentials.netops]\nusername = 'versweep'\npassword = { file = 'password' }\n\
                private_key = { credential = 'key' }\npassphrase = { env = 'PASSPHRASE' }";
    let path = folder.path().join("versweep.toml");
    let config = config::draft_str(&path, text, &environment).finish().unwrap();

    let netops = &config.credentials[&CredentialId::new("netops").unwrap()];
    let key = netops.private_key.as_ref().unwrap();
    assert_eq!(netops.username, "versweep");
    assert_eq!(netops.password.as_ref().unwrap().expose_secret(), "planted-secret-1");
    assert_eq!(key.text.expose_secret(), "planted-secret-3\n", "one newline is taken off, not all");
    assert_eq!(key.passphrase.as_ref().unwrap().expose_secret(), "planted-secret-2");
    assert!(!format!("{config:#?}").contains("planted-secret"));

    let path = folder.path().join("password");
    assert_eq!(
        config.warnings,
        [format!("{}: every user can read this secret: chmod o-r it", path.display())]
    );

    // The same secrets beside all sorts of errors.
    let broken = format!("{text}\nuser = 'x'\n[defaults]\ncredential = 'nobody'\n[web]\nlisten = 'x'");
    let draft = config::draft_str(&folder.path().join("versweep.toml"), &broken, &environment);
    assert_eq!(draft.problems.iter().count(), 3);
    assert!(!format!("{draft:#?} {}", draft.problems).contains("planted-secret"));
}

#[test]
fn a_secret_that_was_typed_in_is_not_repeated() {
    let texts = [
        "credentials.a.password = 'planted-secret'",
        "credentials.a.password = ['planted-secret']",
        "credentials.a.username = ['planted-secret']",
        "credentials.a = 'planted-secret'",
        "credentials = 'planted-secret'",
        "credentials.a.password = { text = 'planted-secret' }",
        "credentials.a.password = { file = ['planted-secret'] }",
        "credentials.a.token = 'planted-secret'",
        "[credentials.a\npassword = 'planted-secret'",
        "credentials.a.password = 'planted-secret",
        "credentials.a.password = planted-secret",
        "[[inventory]]\nlabels = { password = 'planted-secret' }",
    ];
    for text in texts {
        let draft = config::draft_str(Path::new("versweep.toml"), text, NO_ENVIRONMENT);
        assert!(!draft.problems.is_empty(), "{text}");
        assert!(!format!("{draft:?} {}", draft.problems).contains("planted-secret"), "{}", draft.problems);
    }
}

#[test]
fn values_are_shown_short_and_harmless() {
    let long = "x".repeat(500);
    let message = errors(&format!("defaults.host_keys = '{long}'"));
    assert!(message.len() < 200, "{message}");
    let message = errors("defaults.host_keys = \"a\\u001b[31m\\nb\"");
    assert_eq!(
        message,
        r#"versweep.toml:1: defaults.host_keys: "a\u{1b}[31m\nb" is not a host key policy: "strict", "learn" or "off""#
    );
}

#[test]
fn a_flood_of_errors_is_cut_and_counted() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for n in 0..250 {
        let _ = writeln!(text, "[[sweep]]\nname = 's{n}'");
    }
    let message = errors(&text);
    assert_eq!(message.lines().count(), 101);
    assert!(message.ends_with("and 150 more"), "{message}");
}

#[test]
fn a_limit_that_another_layer_may_cut_is_told() {
    let config = good("[[group]]\nselect = { site = 'ams' }\nconnect_timeout = '40s'");
    let warning = "versweep.toml:1: connect_timeout is cut where a visit's timeout is the default of 30s";
    assert_eq!(config.warnings, [warning]);
}

#[test]
fn buttons_that_nobody_would_see_are_told() {
    assert!(!good("").web.actions, "off unless it is asked for");
    let config = good("[web]\nactions = true\nenable_lifecycle = false");
    assert!(config.web.actions);
    assert_eq!(config.warnings, ["web.actions: pages have no buttons where enable_lifecycle is false"]);
}

#[test]
fn profiles_of_the_users_folder_are_known_platforms() {
    let folder = tempfile::tempdir().unwrap();
    let linux = fs::read_to_string("src/platform/linux.toml").unwrap();
    fs::create_dir(folder.path().join("platforms")).unwrap();
    fs::write(folder.path().join("platforms/mine.toml"), linux.replacen("\"linux\"", "\"my_linux\"", 1))
        .unwrap();
    fs::write(folder.path().join("platforms/notes.txt"), "not a profile").unwrap();
    let text = "[platforms]\npath = 'platforms'\n[defaults]\nplatform = 'my_linux'";
    let draft = || config::draft_str(&folder.path().join("versweep.toml"), text, NO_ENVIRONMENT);
    let config = draft().finish().unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.layers.defaults.platform.unwrap().as_str(), "my_linux");

    // Two profiles that are wrong are both told, each with its own file.
    fs::write(folder.path().join("platforms/a.toml"), "key = ").unwrap();
    fs::write(folder.path().join("platforms/b.toml"), "colour = 'red'").unwrap();
    fs::write(folder.path().join("platforms/mine.toml"), "").unwrap();
    let errors = draft().finish().unwrap_err().to_string();
    assert!(!errors.contains("is not a known platform"), "{errors}");
    for file in ["a.toml", "b.toml"] {
        assert!(
            errors.contains(&format!("{}:1", folder.path().join("platforms").join(file).display())),
            "{errors}"
        );
    }
}

#[test]
fn an_example_that_does_not_hold_is_told_with_file_profile_and_both_values() {
    let folder = tempfile::tempdir().unwrap();
    let frr = fs::read_to_string("src/platform/frr.toml").unwrap();
    let wrong = frr.replacen("version = \"", "version = \"0", 1);
    assert_ne!(frr, wrong);
    fs::create_dir(folder.path().join("platforms")).unwrap();
    let path = folder.path().join("platforms/mine.toml");
    fs::write(&path, wrong).unwrap();
    let text = "[platforms]\npath = 'platforms'";
    let errors = config::draft_str(&folder.path().join("versweep.toml"), text, NO_ENVIRONMENT)
        .finish()
        .unwrap_err()
        .to_string();
    let (before, after) =
        errors.split_once(": example: `version` should be 0").unwrap_or_else(|| panic!("{errors}"));
    assert!(before.starts_with(&format!("{}:", path.display())), "{errors}");
    assert!(after.contains(", but ") && after.contains(" is read"), "{errors}");
}

#[test]
fn an_alias_means_its_platform() {
    let config = good(
        "[defaults]\nplatform = 'IOS_XR'\n[[sweep]]\nname = 'a'\nevery = '1m'\nselect.platform = 'iosxr'",
    );
    assert_eq!(config.layers.defaults.platform.unwrap().as_str(), "cisco_xr");
    assert_eq!(config.sweeps[0].select.0["platform"], ["cisco_xr"]);
}

mod hostile {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever stands in the file, reading it ends with a configuration or with errors that name a line.
        #[test]
        fn any_text_is_read_or_refused(
            text in "(\\[(\\[)?(web|workers|sweep|group|sink|credentials|defaults)(\\])?\\]\n)?\
                     (name|listen|max|select|type|port)? ?[=\\[\\]{}\"'.,#a0-9\n é]{0,60}"
        ) {
            let draft = versweep::config::draft_str("v.toml".as_ref(), &text, &|_| None);
            prop_assert!(draft.problems.iter().all(|problem| problem.line.is_some()), "{}", draft.problems);
        }
    }
}
