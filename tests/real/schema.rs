//! The schemas that `versweep schema` prints, by another's validator: they fit every good file and refuse what `check` refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn held_against(schema: &str, files: &[PathBuf]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let printed = Command::new(env!("CARGO_BIN_EXE_versweep")).args(["schema", schema]).output().unwrap();
    let path = folder.path().join("schema.json");
    fs::write(&path, printed.stdout).unwrap();
    Command::new(root().join("target/venv/bin/python"))
        .arg(root().join("tests/support/check_schema.py"))
        .arg(&path)
        .args(files)
        .output()
        .unwrap()
}

fn fits(schema: &str, files: &[PathBuf]) {
    let output = held_against(schema, files);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "needs Python's jsonschema: make test"]
fn good_files_fit_their_schema() {
    let good = fs::read_dir(root().join("tests/config/good")).unwrap();
    let mut configurations: Vec<PathBuf> = good.map(|entry| entry.unwrap().path()).collect();
    configurations.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    assert!(configurations.len() > 2);
    configurations.extend(["etc/versweep.toml", "etc/start/versweep.toml"].map(|file| root().join(file)));
    fits("configuration", &configurations);
    fits("inventory", &["etc/devices.toml", "etc/start/devices.toml"].map(|file| root().join(file)));
}

#[test]
#[ignore = "needs Python's jsonschema: make test"]
fn what_check_refuses_for_its_shape_does_not_fit() {
    for file in ["unknown_key", "bare_duration", "secret_inline"] {
        let file = root().join(format!("tests/config/bad/{file}.toml"));
        assert!(file.exists(), "{}", file.display());
        assert_eq!(
            held_against("configuration", std::slice::from_ref(&file)).status.code(),
            Some(1),
            "{}",
            file.display()
        );
    }
}
