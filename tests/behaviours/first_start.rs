//! What a person does first: `init`, then `check`; completions and manual pages; a backup, and what it is good for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::daemon::{Daemon, eventually};
use crate::site::{Site, json_lines, versweep};

/// Runs versweep; its exit code and all that it said.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = versweep(arguments).env_remove("CREDENTIALS_DIRECTORY").output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), said)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_writes_files_that_check_accepts_once_there_is_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("versweep");
    let (code, said) = run(&["init", site.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(mode(&site.join("credentials")), 0o700, "secrets will lie there");

    let config = site.join("versweep.toml");
    let check = ["check", config.to_str().unwrap()];
    let (code, said) = run(&check);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("credentials.netops.password.credential: \"netops\" can't be read"), "{said}");
    assert!(said.contains("versweep/credentials/netops: no such file"), "it says where to put it: {said}");

    let password = site.join("credentials/netops");
    fs::write(&password, "s3cret\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, said) = run(&check);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("0 devices, 1 sweep, 1 sink, 1 credential"), "{said}");

    // The lines of the sample device are ready to be used.
    let devices = site.join("devices.toml");
    let text = fs::read_to_string(&devices).unwrap();
    fs::write(&devices, text.replace("# [[", "[[").replace("# name", "name").replace("# address", "address"))
        .unwrap();
    let (code, said) = run(&check);
    assert!(code == Some(0) && said.contains("1 device, "), "{said}");
}

#[test]
fn init_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let devices = folder.path().join("devices.toml");
    fs::write(&devices, "mine").unwrap();
    let (code, said) = run(&["init", folder.path().to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(said.contains("devices.toml is there already: nothing was written"), "{said}");
    assert_eq!(fs::read_to_string(&devices).unwrap(), "mine");
    assert!(!folder.path().join("versweep.toml").exists());
}

/// systemd hands over a whole folder as `UNIT'S-NAME_FILE`; a credential that is loaded by its own name is found as well.
#[test]
fn a_credential_is_found_by_its_name_and_by_that_of_a_loaded_folder() {
    let folder = tempfile::tempdir().unwrap();
    run(&["init", folder.path().to_str().unwrap()]);
    for name in ["netops", "versweep_netops"] {
        let credentials = tempfile::tempdir().unwrap();
        fs::write(credentials.path().join(name), "s3cret").unwrap();
        let check = versweep(&["check", folder.path().join("versweep.toml").to_str().unwrap()])
            .env("CREDENTIALS_DIRECTORY", credentials.path())
            .output()
            .unwrap();
        assert_eq!(check.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&check.stderr));
    }
}

#[test]
fn every_subcommand_has_a_manual_page_and_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = run(&["man", "--folder", folder.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let (_, help) = run(&["--help"]);
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<_> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"run") && commands.contains(&"backup"), "{help}");
    let completions = ["bash", "zsh", "fish"].map(|shell| run(&["completions", shell]).1);
    for command in commands {
        for script in &completions {
            assert!(script.contains(command), "{command} is completed");
        }
        let page = folder.path().join(format!("versweep-{command}.1"));
        assert!(command == "help" || page.exists(), "{}", page.display());
    }
    assert!(run(&["man"]).1.contains(".TH versweep 1"));
}

#[test]
fn a_backup_of_a_running_daemon_is_a_whole_store() {
    let site = Site::new(4);
    let mut daemon = site.daemon();
    let all_known = |daemon: &Daemon| daemon.page("/metrics").matches("\nversweep_device_up{").count() == 4;
    eventually("every device was visited", || all_known(&daemon));
    let backup = ["backup", "--config.file", "versweep.toml", "copy.db"];
    let made = site.versweep(&backup);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(mode(&site.path("copy.db")), 0o640);
    let again = site.versweep(&backup);
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(
        !again.status.success() && said.contains("copy.db") && said.contains("never overwrites"),
        "{said}"
    );
    daemon.stop();

    // Put in the place of the store, it is the store: nothing is seen for the first time, nothing changed.
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(site.path(&format!("versweep.db{ending}")));
    }
    fs::rename(site.path("copy.db"), site.path("versweep.db")).unwrap();
    let (before, after) = site.upgrade(&site.devices()[1], 1);
    let sweep = site.versweep(&["sweep", "--config.file", "versweep.toml", "--output", "json"]);
    let rows = json_lines(&sweep.stdout);
    let changed = |row: &&Value| row["changed"] == true;
    let row = rows.iter().find(changed).expect("the upgrade is told against the restored store");
    assert_eq!((&row["previous_version"], &row["version"]), (&before.into(), &after.into()));
    assert_eq!(rows.iter().filter(changed).count(), 1);
}

/// Or a typing error in the file's name would make a backup of another store, the default one.
#[test]
fn a_backup_by_a_configuration_that_cannot_be_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    let (code, said) = run(&["backup", "--config.file", "/no/such.toml", file.to_str().unwrap()]);
    assert!(code == Some(64) && said.contains("/no/such.toml: can't be read"), "{said}");
    assert!(!file.exists());
}
