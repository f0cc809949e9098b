//! Ansible's inventories with the files of variables beside them. That Ansible itself comes to the same is shown against it:
//! `tests/real/ansible.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use versweep::clock::Timestamp;
use versweep::config;
use versweep::inventory::{Inventory, Stock, look};
use versweep::status::RefreshFailure;

use crate::daemon::eventually;
use crate::site::Site;

/// One look at an inventory: its devices, or what is wrong.
fn looked(path: &Path, more: &str) -> Result<Inventory, String> {
    let text = format!(
        "[credentials.netops]\nusername = 'v'\npassword = {{ env = 'P' }}\n[defaults]\ncredential = 'netops'\n\
         [[inventory]]\ntype = 'ansible'\npath = '{}'\n{more}",
        path.display()
    );
    let draft = config::draft_str(Path::new("/nowhere/versweep.toml"), &text, &|_| Some("p".to_owned()));
    let config = draft.finish().unwrap_or_else(|errors| panic!("{errors}"));
    let source = &config.inventory[0];
    let looked = look(source, &config.platforms);
    let (stock, _) = Stock::new(source.clone()).take(looked, Timestamp::UNIX_EPOCH, &config.references());
    match stock.trouble() {
        Some(trouble) => {
            assert_eq!(trouble.kind, RefreshFailure::Garbage);
            Err(trouble.to_string())
        }
        None => Ok(Inventory::assemble(&[stock], &config.layers).unwrap()),
    }
}

fn told(inventory: &Inventory) -> Vec<String> {
    let tell = |device: &std::sync::Arc<versweep::device::Device>| {
        let label = |name: &str| device.labels.get(name).unwrap_or_default().to_owned();
        let (endpoint, platform) = (&device.endpoint, device.platform.as_str());
        format!("{} {endpoint} {platform} {} {}", device.id, label("site"), label("role"))
    };
    inventory.devices.iter().map(tell).collect()
}

/// As `ansible-inventory --list` tells them of these files.
const EXPECTED: [&str; 7] = [
    "core01.ams 192.0.2.1:2222 cisco_xr third edge",
    "core02.ams core02.ams:22 cisco_xr third core",
    "core03.ams 192.0.2.3:22 cisco_xr of the host core",
    "edge-a 192.0.2.21:22 cisco_xr network edge",
    "edge-b 192.0.2.22:2222 cisco_ios network edge",
    "edge-c 198.51.100.9:2222 cisco_xr network edge",
    "lone 192.0.2.99:22 cisco_xr everywhere x",
];

#[test]
fn variables_beside_an_inventory_go_over_its_own_from_the_outermost_group_to_the_host() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ansible");
    for file in ["hosts.ini", "hosts.yml"] {
        assert_eq!(told(&looked(&folder.join(file), "").unwrap()), EXPECTED, "{file}");
    }
}

/// An inventory with two groups and these files beside it.
fn beside(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts.ini");
    fs::write(&hosts, "[core]\na ansible_host=192.0.2.1\n").unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    (folder, hosts)
}

const VAULTED: &str = "$ANSIBLE_VAULT;1.1;AES256\n6162636465\n";

#[test]
fn what_is_encrypted_is_refused_or_left_out_and_never_guessed() {
    let (_folder, hosts) =
        beside(&[("group_vars/core/vault.yml", VAULTED), ("group_vars/core/main.yml", "role: x")]);
    let refused = looked(&hosts, "").unwrap_err();
    assert!(refused.contains("group_vars/core/vault.yml: encrypted by ansible-vault"), "{refused}");
    assert!(refused.contains("vaulted = \"ignore\"") && !refused.contains("6162636465"), "{refused}");
    assert_eq!(told(&looked(&hosts, "vaulted = 'ignore'\n").unwrap()), ["a 192.0.2.1:22 auto  x"]);

    // A single value: a password is nothing that is looked at, an address is.
    let value =
        |name: &str| format!("{name}: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162636465\nrole: x\n");
    let (_folder, hosts) = beside(&[("host_vars/a.yml", &value("ansible_password"))]);
    assert_eq!(told(&looked(&hosts, "").unwrap()), ["a 192.0.2.1:22 auto  x"]);
    let (_folder, hosts) = beside(&[("host_vars/a.yml", &value("ansible_host"))]);
    let refused = looked(&hosts, "").unwrap_err();
    assert!(refused.ends_with("ansible_host of a is encrypted by ansible-vault"), "{refused}");
    assert_eq!(told(&looked(&hosts, "vaulted = 'ignore'\n").unwrap()), ["a a:22 auto  x"]);
}

#[test]
fn a_file_of_variables_that_is_none_keeps_the_whole_list_back() {
    for (file, text, problem) in [
        ("group_vars/all.yml", "- a\n- b\n", "group_vars/all.yml"),
        ("group_vars/all.yml", "site: [", "group_vars/all.yml:"),
        ("host_vars/a.json", "{\"site\": ", "host_vars/a.json:1: not valid json"),
    ] {
        let (_folder, hosts) = beside(&[(file, text)]);
        let refused = looked(&hosts, "").unwrap_err();
        assert!(refused.contains(problem), "{refused}");
    }
    let (_folder, hosts) = beside(&[("group_vars/all.yml", ""), ("host_vars/other.yml", "[")]);
    assert_eq!(
        told(&looked(&hosts, "").unwrap()).len(),
        1,
        "an empty one, and one of a host that is not there"
    );
}

/// A name never leads out of the folder.
#[test]
fn a_name_with_slashes_is_looked_for_nowhere() {
    let (folder, hosts) = beside(&[("outside.yml", "site: outside\n"), ("host_vars/x", "")]);
    fs::write(&hosts, "../outside ansible_host=192.0.2.1\nb ansible_host=192.0.2.2\n").unwrap();
    let inventory = looked(&hosts, "").unwrap();
    assert!(
        told(&inventory)
            .iter()
            .all(|device| !device.contains("site: outside") && !device.contains(" outside"))
    );
    drop(folder);
}

/// Variables count as soon as they are written, also in a folder that comes later.
#[test]
fn variables_are_taken_when_they_change() {
    let site = Site::new(1);
    let config = site.config("schedule = 'never'", 8);
    let ansible = "[[inventory]]\ntype = 'ansible'\nname = 'a'\npath = 'hosts.ini'\ninterval = '1h'\n";
    site.write(
        "versweep.toml",
        &config.replace("[[inventory]]\ntype = 'file'\npath = 'devices.toml'\n", ansible),
    );
    site.write("hosts.ini", "[core]\na ansible_host=192.0.2.1\n");
    let daemon = site.daemon();
    let page = || daemon.page("/api/v1/devices/a");
    assert!(page().contains("192.0.2.1"));
    fs::create_dir_all(site.path("host_vars/a")).unwrap();
    site.write("host_vars/a/main.yml", "ansible_host: 192.0.2.7\n");
    eventually("the new address", || page().contains("192.0.2.7"));
    site.write("host_vars/a/main.yml", "ansible_host: 192.0.2.8\n");
    eventually("the next address", || page().contains("192.0.2.8"));
    site.write("host_vars/a/main.yml", VAULTED);
    let failing = "versweep_inventory_failure_info{source=\"a\",reason=\"garbage\"} 1";
    eventually("it is refused", || daemon.page("/metrics").contains(failing));
    assert!(page().contains("192.0.2.8"), "what was known stays");
}
