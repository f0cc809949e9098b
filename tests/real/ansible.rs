//! Ansible's own word for what its inventories and the files of variables beside them come to.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What Ansible calls platforms, and we.
const PLATFORMS: [(&str, &str); 2] = [("cisco.iosxr.iosxr", "cisco_xr"), ("cisco.ios.ios", "cisco_ios")];

type Devices = BTreeMap<String, [String; 4]>;

fn of_ansible(inventory: &Path, home: &Path) -> Devices {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/ansible-inventory"))
        .arg("--list")
        .arg("--inventory")
        .arg(inventory)
        .env("HOME", home)
        .current_dir(home)
        .output()
        .expect("Ansible should be installed: make target/venv/.made");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let device = |(name, vars): (&String, &Value)| {
        let var = |key: &str, default: &str| match &vars[key] {
            Value::Null => default.to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let network_os = var("ansible_network_os", "");
        let platform = PLATFORMS.iter().find(|(theirs, _)| *theirs == network_os).unwrap().1;
        let address = format!("{}:{}", var("ansible_host", name), var("ansible_port", "22"));
        (name.clone(), [address, platform.to_owned(), var("site", ""), var("role", "")])
    };
    told["_meta"]["hostvars"].as_object().unwrap().iter().map(device).collect()
}

fn of_versweep(inventory: &Path, folder: &Path) -> Devices {
    let config = folder.join("versweep.toml");
    let text = format!(
        "[credentials.netops]\nusername = 'v'\npassword = {{ env = 'P' }}\n[defaults]\ncredential = 'netops'\n\
         [store]\npath = '{}'\n[[inventory]]\ntype = 'ansible'\npath = '{}'\n",
        folder.join("versweep.db").display(),
        inventory.display()
    );
    std::fs::write(&config, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_versweep"))
        .args(["inventory", "--output", "json", "--config.file"])
        .arg(&config)
        .env("P", "p")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let device = |line: &str| {
        let told: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = told["device"].as_str()?.to_owned();
        let labels = &told["labels"];
        Some((
            name,
            [text(&told["address"]), text(&told["platform"]), text(&labels["site"]), text(&labels["role"])],
        ))
    };
    lines.lines().filter_map(device).collect()
}

#[test]
#[ignore = "needs Ansible: make test"]
fn ansible_agrees_on_every_device() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["hosts.ini", "hosts.yml"] {
        let inventory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ansible").join(file);
        let theirs = of_ansible(&inventory, folder.path());
        assert_eq!(theirs.len(), 7, "{file}");
        assert_eq!(of_versweep(&inventory, folder.path()), theirs, "{file}");
    }
}
