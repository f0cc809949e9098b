//! The package as dpkg and systemd really take it: a throw-away copy of this machine's root, booted in a container without a network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use chrono::SecondsFormat;
use serde_json::Value;
use versweep::change::ChangeKind;
use versweep::event::Severity;
use versweep::sink::message_id;

use crate::packages;
use crate::receivers::store_with_all;
use crate::visits::at;

const PASSWORD: &str = "planted-Pa55word-okapi";

/// What happens in the container; each line that it prints is looked at below.
const SCRIPT: &str = r#"#!/bin/bash
state() { systemctl show versweep -p "$1" --value; }
until_true() { for _ in $(seq 600); do "$@" && return 0; sleep 0.1; done; echo "waited in vain: $*"; return 1; }
log_says() { journalctl --sync; journalctl -u versweep -o cat --no-pager | grep -q "$1"; }
get() { exec 3<>/dev/tcp/127.0.0.1/9948 && printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3 && cat <&3; }
dpkg --install /opt/versweep.deb >/dev/null 2>&1
echo "installed $? $(systemctl is-enabled versweep) $(systemctl is-active versweep)"
cd /etc/versweep
install -m 600 /opt/password credentials/netops

systemctl start versweep; echo "start $? $(systemctl is-active versweep)"
echo "ready $(get /-/ready | head -1 | tr -d '\r')"
echo "scrape $(get /metrics | grep -c '^versweep_build_info')"
echo "user $(ps -o user= -p "$(state MainPID)")"
echo "store $(ls /var/lib/private/versweep/versweep.db)"

systemctl reload versweep; until_true log_says 'configuration reloaded' && echo "good reload"
echo 'nonsense = 1' >>versweep.toml
systemctl reload versweep; until_true log_says 'reload refused' && echo "bad reload $(systemctl is-active versweep)"
sed -i '$d' versweep.toml

kill -STOP "$(state MainPID)"
restarted() { [ "$(state NRestarts)" = 1 ] && [ "$(systemctl is-active versweep)" = active ]; }
until_true restarted && echo "watchdog restarted it"

systemctl stop versweep; echo "stop $(state Result)"
echo "log $(journalctl -u versweep VERSWEEP_GRACEFUL=true -o cat --no-pager)"
journalctl -u versweep -o export --no-pager | grep -c "$(cat /etc/versweep/credentials/netops)" | sed 's/^/secret in journal /'

# A store whose daemon was stopped before the journal was told: an event of every kind. The log of the one before would
# be played back into it.
rm -f /var/lib/private/versweep/versweep.db-wal /var/lib/private/versweep/versweep.db-shm
cp /opt/all.db /var/lib/private/versweep/versweep.db
systemctl start versweep
events() { journalctl -u versweep VERSWEEP_TIME="$(cat /opt/time)" --no-pager "$@"; }
all_told() { journalctl --sync; [ "$(events -o json | wc -l)" -ge "$(cat /opt/kinds)" ]; }
until_true all_told
systemctl stop versweep; echo "told $(state Result)"
events -o json >/opt/told.json
events --catalog >/opt/told.text
echo 'nonsense = 1' >>versweep.toml
systemctl start versweep 2>/dev/null; echo "bad config $? $(state ExecMainStatus) $(state NRestarts)"
sed -i '$d' versweep.toml

# The samples, taken as they say.
units=/etc/systemd/system; examples=/usr/share/doc/versweep/examples
for part in memory addresses; do
  cp "$examples/versweep.service.d/$part.conf.sample" "$units/versweep.service.d/$part.conf"
done
systemctl daemon-reload; systemctl start versweep
echo "drop-ins $(systemctl is-active versweep) $(state MemoryMax) $(state IPAddressAllow | grep -o 10.0.0.0/8)"
systemctl stop versweep
cp "$examples/versweep.socket" "$units/"
printf '\n[web]\nsystemd_socket = true\n' >>versweep.toml
systemctl daemon-reload; systemctl enable --quiet --now versweep.socket
echo "socket $(systemctl is-active versweep.socket) $(systemctl is-active versweep)"
echo "woken $(get /-/healthy | head -1 | tr -d '\r') $(systemctl is-active versweep)"
kill -KILL "$(state MainPID)"
echo "meanwhile $(get /-/healthy | head -1 | tr -d '\r')"
systemctl disable --quiet --now versweep.socket; systemctl stop versweep
head -n -3 versweep.toml >own && cp own versweep.toml && rm own

systemctl start versweep; before=$(state MainPID)
store() { stat -c %i /var/lib/private/versweep/versweep.db; }
kept=$(store)
dpkg --install /opt/versweep.deb >/dev/null 2>&1
echo "upgraded $? $(systemctl is-active versweep) $([ "$(state MainPID)" != "$before" ] && echo restarted) $([ "$(store)" = "$kept" ] && echo "same store")"
cd /; dpkg --purge versweep >/dev/null 2>&1
echo "purged $? $(systemctl is-active versweep) $(ls -d /etc/versweep /var/lib/versweep /var/lib/private/versweep /usr/bin/versweep 2>/dev/null | wc -l) files left"
systemctl poweroff --force
"#;

/// A root file system that is this machine's, with everything that is written going to memory.
struct Root {
    memory: PathBuf,
    _folder: tempfile::TempDir,
}

impl Root {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Self { memory: folder.path().to_owned(), _folder: folder };
        let memory = root.memory.display().to_string();
        run("mount", &["-t", "tmpfs", "versweep-test", &memory]);
        for name in ["upper", "work", "root"] {
            fs::create_dir(root.memory.join(name)).unwrap();
        }
        let layers = format!("lowerdir=/,upperdir={memory}/upper,workdir={memory}/work");
        run("mount", &["-t", "overlay", "versweep-test", "-o", &layers, &format!("{memory}/root")]);
        root
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.memory.join("root").join(inside)
    }

    fn write(&self, inside: &str, text: &str, mode: u32) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for mounted in [self.memory.join("root"), self.memory.clone()] {
            let _ = Command::new("umount").arg(mounted).status();
        }
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

/// Boots the root with the script as the only thing to do, and gives what it printed.
fn boot(root: &Root) -> String {
    root.write("opt/try.sh", SCRIPT, 0o755);
    root.write(
        "etc/systemd/system/try.service",
        "[Service]\nType=oneshot\nTimeoutStartSec=160\nExecStart=/opt/try.sh\nStandardOutput=file:/opt/said\nStandardError=inherit\n",
        0o644,
    );
    root.write(
        "etc/systemd/system/try.target",
        "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=try.service\n",
        0o644,
    );
    let name = format!("versweep-test-{}", std::process::id());
    let booted = Command::new("timeout")
        .args(["180", "systemd-nspawn", "-q", "--register=no", "--keep-unit", "--boot", "--private-network"])
        .args(["-M", &name, "-D"])
        .arg(root.path(""))
        .args(["systemd.firstboot=no", "systemd.unit=try.target", "systemd.mask=systemd-networkd.service"])
        .output()
        .unwrap();
    fs::read_to_string(root.path("opt/said"))
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&booted.stdout)))
}

/// Puts a store with an event of every kind into the root, with their time and number.
fn give_events(root: &Root) {
    let folder = tempfile::tempdir().unwrap();
    let (store, path, _) = store_with_all(&folder, "journal");
    // The last connection that closes leaves one whole file.
    drop(store);
    fs::copy(path, root.path("opt/all.db")).unwrap();
    root.write("opt/time", &at(2).to_rfc3339_opts(SecondsFormat::Millis, true), 0o644);
    root.write("opt/kinds", &ChangeKind::ALL.len().to_string(), 0o644);
}

/// The fields that say whose event it is.
fn whose(kind: ChangeKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        ChangeKind::SourceFailed | ChangeKind::SourceRecovered => &[("VERSWEEP_SOURCE", "netbox")],
        _ => &[
            ("VERSWEEP_DEVICE", "core1.ams"),
            ("VERSWEEP_PLATFORM", "cisco_xe"),
            ("VERSWEEP_MODEL", "C9300-48P"),
            ("VERSWEEP_SITE", "Zürich"),
        ],
    }
}

/// A subject of the catalog as the journal shows it.
fn with_fields(subject: &str) -> String {
    let fields = [("DEVICE", "core1.ams"), ("SOURCE", "netbox"), ("BEFORE", "17.9.4")];
    fields
        .iter()
        .fold(subject.to_owned(), |text, (field, value)| text.replace(&format!("@VERSWEEP_{field}@"), value))
}

/// Holds what the booted journal gives back against what was told: fields and identifiers as JSON, and the text of the
/// catalog that the package has installed, with the fields in their places.
fn check_journal(root: &Root) {
    let told = fs::read_to_string(root.path("opt/told.json")).unwrap();
    let entries: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = fs::read_to_string(root.path("opt/told.text")).unwrap();
    let catalog = include_str!("../../systemd/versweep.catalog");
    assert_eq!(entries.len(), ChangeKind::ALL.len(), "{told}");
    for (entry, kind) in entries.iter().zip(ChangeKind::ALL) {
        let field = |name: &str| entry[name].as_str().unwrap_or_else(|| panic!("{name} of {entry}"));
        let wanted = [
            ("MESSAGE_ID", message_id(kind)),
            ("SYSLOG_IDENTIFIER", "versweep"),
            ("_SYSTEMD_UNIT", "versweep.service"),
            ("VERSWEEP_KIND", kind.as_str()),
            ("VERSWEEP_BEFORE", "17.9.4"),
            ("VERSWEEP_WHY", "é \"quoted\""),
            ("VERSWEEP_CONFIRMED", "true"),
        ];
        for (name, value) in wanted.iter().chain(whose(kind)).copied() {
            assert_eq!(field(name), value, "{name} of {kind}");
        }
        assert!(field("VERSWEEP_AFTER").starts_with("17.12.3"), "{kind}");
        assert!(field("VERSWEEP_EVENT_ID").contains(&format!(":{kind}:")), "{entry}");
        let priority = match Severity::of(kind) {
            Severity::Warning => "4",
            Severity::Notice => "5",
            Severity::Info => "6",
        };
        assert_eq!(field("PRIORITY"), priority, "{kind}");

        let (_, behind) = catalog.split_once(&format!("-- {}\nSubject: ", message_id(kind))).unwrap();
        let subject = with_fields(behind.lines().next().unwrap());
        assert!(text.contains(&format!("Subject: {subject}\n")), "{subject}:\n{text}");
    }
    assert!(text.contains("It ran 17.9.4 and runs 17.12.3"), "{text}");
    // By the letter, as people search for it.
    let unreachable = entries.iter().find(|entry| entry["VERSWEEP_KIND"] == "unreachable").unwrap();
    assert_eq!(unreachable["MESSAGE_ID"], "2fd964e4ba7f4441a3e1677313a60a5e");
    assert_eq!(unreachable["PRIORITY"], "4");
}

#[test]
#[ignore = "needs systemd-nspawn, cargo-deb and root: run by make test"]
fn the_package_installs_and_systemd_starts_reloads_watches_and_stops_it() {
    let root = Root::mount();
    fs::copy(packages::deb(), root.path("opt/versweep.deb")).unwrap();
    // Whoever installs packages in the tests may keep their daemons from starting; here one is to start.
    let _ = fs::remove_file(root.path("usr/sbin/policy-rc.d"));
    // The test has no minute to spare for the watchdog.
    root.write(
        "etc/systemd/system/versweep.service.d/fast.conf",
        "[Service]\nWatchdogSec=2s\nRestartSec=0\n",
        0o644,
    );
    root.write("opt/password", PASSWORD, 0o600);
    give_events(&root);

    let said = boot(&root);
    let expected = [
        "installed 0 disabled inactive",
        "start 0 active",
        "ready HTTP/1.0 200 OK",
        "scrape 1",
        "user versweep",
        "store /var/lib/private/versweep/versweep.db",
        "good reload",
        "bad reload active",
        "watchdog restarted it",
        "stop success",
        "log stopped",
        "secret in journal 0",
        "told success",
        // Exit code 64 is not tried again.
        "bad config 1 64 0",
        "drop-ins active 4294967296 10.0.0.0/8",
        "socket active inactive",
        "woken HTTP/1.0 200 OK active",
        "meanwhile HTTP/1.0 200 OK",
        "upgraded 0 active restarted same store",
        "purged 0 inactive 0 files left",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    check_journal(&root);
}
