//! The unit file, judged by systemd itself.

use std::path::Path;
use std::process::Command;

/// Exposure in tenths that the unit may have at most; `systemd-analyze security` counts from 0 (safe) to 100.
const THRESHOLD: &str = "--threshold=15";

fn unit_for_this_machine(folder: &Path) -> std::path::PathBuf {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/versweep.service");
    let text = std::fs::read_to_string(unit).expect("the unit");
    // The program isn't installed here; verify insists that it exists.
    let text = text.replace("/usr/bin/versweep", env!("CARGO_BIN_EXE_versweep"));
    let path = folder.join("versweep.service");
    std::fs::write(&path, text).expect("a copy of the unit");
    // The samples of drop-ins are read with it.
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/versweep.service.d");
    let drop_ins = folder.join("versweep.service.d");
    std::fs::create_dir(&drop_ins).expect("a folder");
    for sample in std::fs::read_dir(samples).expect("the samples") {
        let sample = sample.expect("a sample").path();
        std::fs::copy(&sample, drop_ins.join(sample.file_stem().expect("a name"))).expect("a copy");
    }
    path
}

#[test]
#[ignore = "needs systemd: run by make test"]
fn the_unit_is_valid_and_hardened() {
    let folder = tempfile::tempdir().expect("a folder");
    let unit = unit_for_this_machine(folder.path());
    let checks: [&[&str]; 2] =
        [&["verify", "--man=no"], &["security", "--offline=true", "--no-pager", THRESHOLD]];
    for arguments in checks {
        let output =
            Command::new("systemd-analyze").args(arguments).arg(&unit).output().expect("systemd-analyze");
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "systemd-analyze {arguments:?}:\n{said}");
    }
    let socket = folder.path().join("versweep.socket");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/samples/versweep.socket"), &socket)
        .expect("a copy of the socket");
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).args([&socket, &unit]).output();
    let output = output.expect("systemd-analyze");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
