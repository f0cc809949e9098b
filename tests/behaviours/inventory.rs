//! The inventory: TOML and CSV alike become devices with everything decided, or nothing does.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use versweep::config::{self, Config};
use versweep::device::{Device, HostKeyPolicy, PlatformChoice};
use versweep::inventory::{self, Inventory};

/// A folder with a configuration that names these inventory files, loaded.
fn load(config: &str, files: &[(&str, &str)]) -> (Config, Result<Inventory, String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut text = format!("{config}\n[credentials.netops]\nusername = 'v'\npassword = {{ env = 'P' }}\n");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
        text += &format!("[[inventory]]\ntype = 'file'\npath = '{name}'\n");
    }
    let path = folder.path().join("versweep.toml");
    let config =
        config::draft_str(&path, &text, &|_| Some("p".into())).finish().unwrap_or_else(|e| panic!("{e}"));
    let prefix = format!("{}/", folder.path().display());
    let inventory = inventory::load(&config.inventory, &config.layers, &config.references());
    (config, inventory.map_err(|errors| errors.to_string().replace(&prefix, "")))
}

fn good(config: &str, files: &[(&str, &str)]) -> Inventory {
    load(config, files).1.unwrap_or_else(|errors| panic!("{errors}"))
}

fn device(config: &str, devices: &str) -> Arc<Device> {
    good(config, &[("d.toml", devices)]).devices[0].clone()
}

const NETOPS: &str = "[defaults]\ncredential = 'netops'";

#[test]
fn toml_and_csv_give_the_same_device() {
    let toml = "[[device]]\nname = 'core1'\naddress = '[2001:db8::1]'\nport = 2222\nhost_keys = 'strict'\n\
                timeout = '1m'\ncommand_timeout = '45s'\nlabels = { site = 'ams', rack = '12' }";
    let csv = "name,address,port,host_keys,timeout,command_timeout,site,rack,role\n\
               core1,[2001:db8::1],2222,strict,1m,45s,ams,12,\n";
    let from_toml = good(NETOPS, &[("d.toml", toml)]);
    let from_csv = good(NETOPS, &[("d.csv", csv)]);
    assert_eq!(from_toml.devices, from_csv.devices);

    let device = from_toml.get("core1").unwrap();
    assert_eq!(device.endpoint.to_string(), "[2001:db8::1]:2222");
    assert_eq!(device.host_keys, HostKeyPolicy::Strict);
    assert_eq!(device.timeouts.visit, Duration::from_secs(60));
    assert_eq!(device.timeouts.command, Duration::from_secs(45));
    assert_eq!(device.labels.iter().collect::<Vec<_>>(), [("rack", "12"), ("site", "ams")]);
}

#[test]
fn all_sources_make_one_sorted_list_with_counts() {
    let inventory = good(
        NETOPS,
        &[("b.csv", "name\nz\nb\n"), ("a.toml", "[[device]]\nname = 'm'"), ("empty.toml", "# none yet")],
    );
    let names: Vec<_> = inventory.devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(names, ["b", "m", "z"]);
    let counts: Vec<_> =
        inventory.sources.iter().map(|count| (count.source.as_str(), count.devices)).collect();
    assert_eq!(counts, [("b.csv", 2), ("a.toml", 1), ("empty.toml", 0)]);
    assert!(inventory.get("m").is_some() && inventory.get("n").is_none());
}

#[test]
fn a_device_without_address_is_reached_by_its_name() {
    assert_eq!(device(NETOPS, "[[device]]\nname = 'core1.ams'").endpoint.to_string(), "core1.ams:22");
}

#[test]
fn layers_go_over_each_other_in_order() {
    let config = "[defaults]\ncredential = 'netops'\nport = 1\nplatform = 'cisco_xr'\n\
                  [platform.cisco_xr]\nport = 2\n\
                  [[group]]\nselect = { site = 'ams' }\nport = 3\n\
                  [[group]]\nselect = { site = 'ams', role = ['core', 'edge'] }\nport = 4\n\
                  [[group]]\nselect = { device = 'named' }\nhost_keys = 'off'\n";
    let port = |device_toml: &str| device(config, &format!("[[device]]\n{device_toml}")).endpoint.port;
    assert_eq!(port("name = 'a'\nplatform = 'auto'"), 1);
    assert_eq!(port("name = 'a'"), 2);
    assert_eq!(port("name = 'a'\nlabels.site = 'ams'"), 3);
    assert_eq!(port("name = 'a'\nlabels = { site = 'ams', role = 'edge' }"), 4);
    assert_eq!(port("name = 'a'\nlabels = { site = 'ams', role = 'edge' }\nport = 5"), 5);
    assert_eq!(device(config, "[[device]]\nname = 'named'").host_keys, HostKeyPolicy::Off);
}

#[test]
fn a_platform_may_come_from_a_group_and_be_an_alias() {
    let config = "[defaults]\ncredential = 'netops'\n\
                  [platform.cisco_xr]\nport = 2\n\
                  [[group]]\nselect = { site = 'ams' }\nplatform = 'cisco_xr'\n";
    let device = device(config, "[[device]]\nname = 'a'\nlabels.site = 'ams'");
    assert_eq!(device.platform.as_str(), "cisco_xr");
    assert_eq!(device.endpoint.port, 2);
}

#[test]
fn a_device_is_detected_unless_a_platform_is_named() {
    assert_eq!(device(NETOPS, "[[device]]\nname = 'a'").platform, PlatformChoice::Auto);
}

/// Limits that no one wrote together are cut to the visit; the hard deadline would end them anyway.
#[test]
fn default_limits_are_cut_to_a_short_visit() {
    let timeouts = device(NETOPS, "[[device]]\nname = 'a'\ntimeout = '8s'").timeouts;
    let seconds =
        [timeouts.visit, timeouts.connect, timeouts.login, timeouts.command].map(|limit| limit.as_secs());
    assert_eq!(seconds, [8, 5, 8, 8]);
}

#[test]
fn one_wrong_device_keeps_the_whole_list_back() {
    let (_, inventory) =
        load(NETOPS, &[("d.csv", "name,port\na,22\nb,0\n"), ("e.toml", "[[device]]\nname = 'a'")]);
    assert_eq!(
        inventory.unwrap_err(),
        "d.csv:3: device \"b\": port: \"0\" is out of range: a number from 1 to 65535\n\
         e.toml:1: device \"a\": is named twice: the first one stands at d.csv:2"
    );
}

#[test]
fn a_broken_default_is_told_once_and_not_for_each_device() {
    let text = "[defaults]\ncredential = 7\n[[inventory]]\ntype = 'file'\npath = 'd.csv'";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("d.csv"), "name\na\nb\nc\n").unwrap();
    let draft = config::draft_str(&folder.path().join("v.toml"), text, &|_| None);
    assert_eq!(draft.problems.iter().count(), 1);
    let inventory =
        inventory::load(&draft.config.inventory, &draft.config.layers, &draft.config.references());
    assert!(inventory.is_ok());
}

#[test]
fn csv_from_a_spreadsheet_is_read() {
    let csv = "\u{feff}name,address,note\r\n\r\n# comment\r\n a , 192.0.2.1 ,\"says \"\"hi\"\", twice\"\r\n";
    let inventory = good(NETOPS, &[("d.csv", csv)]);
    let device = inventory.get("a").unwrap();
    assert_eq!(device.endpoint.host, "192.0.2.1");
    assert_eq!(device.labels.get("note"), Some("says \"hi\", twice"));
}

#[test]
fn two_names_at_one_address_are_a_warning() {
    let inventory = good(NETOPS, &[("d.csv", "name,address\na,192.0.2.1\nb,192.0.2.1\n")]);
    assert_eq!(inventory.warnings, ["a and b are both at 192.0.2.1:22: one device under two names?"]);
}

#[test]
fn a_selector_without_devices_is_a_warning() {
    let file = Path::new("tests/config/good/selects_none.toml");
    let (code, out, err) = crate::config::check(file);
    assert_eq!(code, 0);
    // Git's checkout decides whether the secret beside it is readable by every user, which is a warning too.
    assert!(err.ends_with("warning: sweep core selects no device\n"));
    assert_eq!(
        out,
        "tests/config/good/selects_none.toml: ok: 2 devices, 2 sweeps, 1 sink, 1 credential\n  \
         inventory files/devices.csv: 2 devices\n  \
         sweep all: 2 devices, every 15m\n  \
         sweep core: 0 devices, at \"0 0 3 * * *\" Europe/Amsterdam\n"
    );
}

/// The formats that people keep inventories in hold anything; whatever it is, it is refused or read, never a panic.
mod hostile {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use versweep::inventory;
    use versweep::platform::Platforms;
    use versweep::settings::{JumpHosts, Layers, References, Source, SourceKind};

    fn read(name: &str, text: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let [file, key] = [String::new(), String::new()];
        let source = Source { name: name.to_owned(), kind: SourceKind::File { path }, file, line: 1, key };
        let jumps = JumpHosts::new();
        let references = References {
            jumps: &jumps,
            platforms: &Platforms::default(),
            platforms_complete: true,
            credentials: &BTreeSet::new(),
        };
        let _ = inventory::load(&[source], &Layers::default(), &references);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn csv_is_read_or_refused(text in "(name,address,port\n)?([a#\",\r\n0-9: é\u{0}]{0,60})") {
            read("d.csv", &text);
        }

        #[test]
        fn toml_is_read_or_refused(text in "(\\[\\[device\\]\\]\n)?(name|port|labels)? ?[=\\[\\]{}\"'.#a0-9\n é]{0,60}") {
            read("d.toml", &text);
        }
    }
}
