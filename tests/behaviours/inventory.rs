//! The inventory: TOML and CSV alike become devices with everything decided, or nothing does.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use versweep::clock::Timestamp;
use versweep::config::{self, Config};
use versweep::device::{Device, HostKeyPolicy, PlatformChoice};
use versweep::document::Problems;
use versweep::inventory::{Inventory, Stock, look};
use versweep::settings::{Layers, References};
use versweep::source::Source;

/// All sources, read now, with nothing held from before.
pub(crate) fn load_all(
    sources: &[Source],
    layers: &Layers,
    references: &References<'_>,
) -> Result<Inventory, Problems> {
    let mut problems = Problems::default();
    let stock = |source: &Source| {
        let look = look(source, references.platforms);
        Stock::new(source.clone()).take(look, Timestamp::UNIX_EPOCH, references).0
    };
    let stocks: Vec<Stock> = sources.iter().map(stock).collect();
    for stock in &stocks {
        problems.extend(stock.trouble().map(|trouble| trouble.problems(&stock.source)).unwrap_or_default());
    }
    problems.extend(Inventory::examine(&stocks, layers));
    if problems.is_empty() { Inventory::assemble(&stocks, layers) } else { Err(problems) }
}

fn all_of(config: &Config) -> Result<Inventory, Problems> {
    load_all(&config.inventory, &config.layers, &config.references())
}

/// What is held of a source that a reload throws away again, because something else is wrong, left its reading behind: each
/// further reload began one more of them.
#[test]
fn a_reading_that_is_held_up_is_known_to_all_who_share_it() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("d.toml");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let text = "[credentials.netops]\nusername = 'v'\npassword = { env = 'P' }\n\
                [[inventory]]\ntype = 'file'\npath = 'd.toml'\ntimeout = '100ms'\n";
    let path = folder.path().join("versweep.toml");
    let config = config::draft_str(&path, text, &|_| Some("p".into())).finish().unwrap();
    let source = &config.inventory[0];
    let held = Stock::new(source.clone());
    let late = |stock: &Stock| stock.look_in_time(&config.platforms).unwrap_err().to_string();
    let thrown_away = held.retyped(source.clone(), &config.references());
    assert_eq!(late(&thrown_away), "not read within 100ms");
    drop(thrown_away);
    assert!(late(&held).contains("that reading is still held up"));
    // Another file may be readable.
    let other = versweep::source::Source { max_shrink: 5, ..source.clone() };
    assert_eq!(late(&held.retyped(other, &config.references())), "not read within 100ms");
}

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
    let inventory = all_of(&config);
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
fn json_and_yaml_give_the_same_device_as_toml() {
    let toml = "[[device]]\nname = 'core1'\naddress = '192.0.2.1'\nport = 2222\nlegacy_ssh = true\n\
                labels = { site = 'ams', rack = '12' }";
    let json = r#"[{"name": "core1", "address": "192.0.2.1", "port": 2222, "legacy_ssh": true,
                    "labels": {"site": "ams", "rack": "12", "role": null}}]"#;
    let yaml = "device:\n  - name: core1\n    address: 192.0.2.1\n    port: 2222\n    legacy_ssh: true\n    \
                labels: {site: ams, rack: '12'}\n";
    let wanted = good(NETOPS, &[("d.toml", toml)]).devices;
    assert_eq!(good(NETOPS, &[("d.json", json)]).devices, wanted);
    assert_eq!(good(NETOPS, &[("d.json", &format!("{{\"device\": {json}}}"))]).devices, wanted);
    assert_eq!(good(NETOPS, &[("d.yaml", yaml)]).devices, wanted);
    assert_eq!(good(NETOPS, &[("d.yml", json)]).devices, wanted, "JSON is YAML");
    assert!(good(NETOPS, &[("d.yml", "# none yet\n")]).devices.is_empty());
}

/// Whoever writes them by hand gets the same messages as in TOML.
#[test]
fn what_is_wrong_in_json_and_yaml_is_told_with_its_line() {
    let json = "[\n {\"name\": \"a\", \"port\": 0},\n {\"address\": \"192.0.2.1\"},\n\n {\"adress\": 1, \"name\": \"b\",\n  \"labels\": {\"rack\": 12}}, 7]";
    let yaml =
        "- name: a\n  port: 0\n- address: 192.0.2.1\n\n- {adress: 1, name: b,\n   labels: {rack: 12}}\n- 7\n";
    let keys = "name, address, id, labels, port, credential, platform, timeout, connect_timeout, login_timeout, \
                command_timeout, host_keys, legacy_ssh, jump";
    let (_, told) = load(NETOPS, &[("d.json", json), ("e.yaml", yaml)]);
    let wrong = |file: &str, lines: [usize; 4]| {
        let [a, b, c, d] = lines;
        format!(
            "{file}:{a}: device \"a\": port: 0 is out of range: a number from 1 to 65535\n\
             {file}:{b}: device #2: has no name: a name of its own, which stays the same for ever\n\
             {file}:{c}: device \"b\": adress: unknown key: known here: {keys}\n\
             {file}:{c}: device \"b\": labels.rack: 12 is a whole number: must be a text in quotes\n\
             {file}:{d}: device #4: is no table: name, address and the other keys of a device"
        )
    };
    let wanted = format!("{}\n{}", wrong("d.json", [2, 3, 5, 6]), wrong("e.yaml", [1, 3, 5, 7]));
    assert_eq!(told.unwrap_err(), wanted);
    let (_, told) = load(NETOPS, &[("d.json", "[\n{]")]);
    assert_eq!(told.unwrap_err(), "d.json:2:2: not valid json: key must be a string");
    let (_, told) = load(NETOPS, &[("d.json", "{\"devices\": []}")]);
    assert!(told.unwrap_err().contains("is not a list of devices, or a table with that list under device"));
    let (_, told) = load(NETOPS, &[("d.yaml", "device: [")]);
    assert!(told.unwrap_err().starts_with("d.yaml:1: not valid yaml: "));
}

#[test]
fn a_folder_is_read_in_the_order_of_its_names() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    for (name, text) in
        [("2.csv", "name\nb\n"), ("1.toml", "[[device]]\nname = 'a'"), (".3.toml.swp", "?"), ("4.txt", "?")]
    {
        fs::write(folder.path().join("d").join(name), text).unwrap();
    }
    let text = format!(
        "{NETOPS}\n[credentials.netops]\nusername = 'v'\npassword = {{ env = 'P' }}\n\
                        [[inventory]]\ntype = 'folder'\npath = 'd'\n"
    );
    let path = folder.path().join("v.toml");
    let config = config::draft_str(&path, &text, &|_| Some("p".into())).finish().unwrap();
    let inventory = all_of(&config).unwrap();
    let names: Vec<_> = inventory.devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

/// A later source goes over an earlier one, field by field; what both say and not the same is named.
#[test]
fn sources_are_merged_by_precedence_and_conflicts_are_named() {
    let inventory = good(
        NETOPS,
        &[
            ("a.csv", "name,address,port,site,role\ncore1,192.0.2.1,22,ams,core\nonly-a,192.0.2.2,,,\n"),
            (
                "b.toml",
                "[[device]]\nname = 'core1'\naddress = '192.0.2.9'\nlegacy_ssh = true\n\
                        labels = { site = 'nyc', role = 'core', rack = '7' }",
            ),
            ("c.csv", "name,id\ncore1,42\n"),
        ],
    );
    let core1 = inventory.get("core1").unwrap();
    assert_eq!(core1.endpoint.to_string(), "192.0.2.9:22");
    assert_eq!(core1.identity.as_deref(), Some("c.csv:42"));
    assert_eq!(core1.labels.iter().collect::<Vec<_>>(), [("rack", "7"), ("role", "core"), ("site", "nyc")]);
    let told: Vec<_> = inventory.conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "core1: address is \"192.0.2.9\" by b.toml, which goes over \"192.0.2.1\" by a.csv",
            "core1: site is \"nyc\" by b.toml, which goes over \"ams\" by a.csv"
        ]
    );
    let origins: Vec<&[usize]> = inventory.origins.iter().map(|sources| &**sources).collect();
    assert_eq!(origins, [&[0, 1, 2][..], &[0]]);
}

#[test]
fn relabelling_renames_keeps_drops_maps_and_makes() {
    let config = format!(
        "{NETOPS}\n[[inventory]]\ntype = 'file'\nname = 'cmdb'\npath = 'r.csv'\nrelabel = [\n\
         {{ keep = {{ status = 'active|staged' }} }},\n{{ drop = {{ role = 'lab.*' }} }},\n\
         {{ rename = {{ ip = 'address', os = 'platform' }} }},\n\
         {{ map = {{ platform = {{ 'IOS XE 17' = 'cisco_xe' }} }} }},\n\
         {{ set = {{ field = 'site', from = 'name', match = '[^.]+[.]([a-z]+)', value = '$1' }} }},\n\
         {{ set = {{ field = 'note', value = '' }} }},\n{{ remove = ['status', 'owner'] }},\n]\n"
    );
    let csv = "name,ip,os,status,role,owner,note\ncore1.ams,192.0.2.1,IOS XE 17,active,core,me,x\n\
               lab1.ams,192.0.2.2,IOS XE 17,active,lab-7,me,x\nold.ams,192.0.2.3,IOS XE 17,retired,core,me,x\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("r.csv"), csv).unwrap();
    let text = format!("{config}\n[credentials.netops]\nusername = 'v'\npassword = {{ env = 'P' }}\n");
    let config = config::draft_str(&folder.path().join("v.toml"), &text, &|_| Some("p".into())).finish();
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let inventory = all_of(&config);
    let inventory = inventory.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(inventory.devices.len(), 1);
    let device = &inventory.devices[0];
    assert_eq!((device.endpoint.host.as_str(), device.platform.as_str()), ("192.0.2.1", "cisco_xe"));
    assert_eq!(device.labels.iter().collect::<Vec<_>>(), [("role", "core"), ("site", "ams")]);
    assert_eq!(config.inventory[0].name, "cmdb");
}

#[test]
fn the_shipped_samples_of_other_forms_are_taken() {
    let text = format!(
        "{NETOPS}\n[credentials.netops]\nusername = 'v'\npassword = {{ env = 'P' }}\n\
         [[inventory]]\ntype = 'file'\npath = 'devices.yaml'\n\
         [[inventory]]\ntype = 'router.db'\npath = 'router.db'\ndialect = 'rancid'\n"
    );
    let config = config::draft_str(Path::new("etc/v.toml"), &text, &|_| Some("p".into())).finish().unwrap();
    let inventory = all_of(&config).unwrap();
    let told: Vec<_> = inventory.devices.iter().map(|d| (d.id.as_str(), d.platform.as_str())).collect();
    let wanted = [
        ("core1.ams.example.net", "cisco_xr"),
        ("core3.ams", "cisco_xr"),
        ("edge1.nyc.example.net", "juniper_junos"),
    ];
    assert_eq!(told, wanted);
}

#[test]
fn all_sources_make_one_sorted_list_that_knows_their_places() {
    let inventory = good(
        NETOPS,
        &[("b.csv", "name\nz\nb\n"), ("a.toml", "[[device]]\nname = 'm'"), ("empty.toml", "# none yet")],
    );
    let names: Vec<_> = inventory.devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(names, ["b", "m", "z"]);
    let origins: Vec<&[usize]> = inventory.origins.iter().map(AsRef::as_ref).collect();
    assert_eq!(origins, [[0], [1], [0]]);
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
    let (_, inventory) = load(
        NETOPS,
        &[
            ("d.csv", "name,port\na,22\nb,0\n"),
            ("e.toml", "[[device]]\nname = 'a'\n\n\n[[device]]\nname = 'a'"),
        ],
    );
    assert_eq!(
        inventory.unwrap_err(),
        "d.csv:3: device \"b\": port: \"0\" is out of range: a number from 1 to 65535\n\
         e.toml:5: device \"a\": is named twice: the first one stands at e.toml:1"
    );
}

#[test]
fn a_broken_default_is_told_once_and_not_for_each_device() {
    let text = "[defaults]\ncredential = 7\n[[inventory]]\ntype = 'file'\npath = 'd.csv'";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("d.csv"), "name\na\nb\nc\n").unwrap();
    let draft = config::draft_str(&folder.path().join("v.toml"), text, &|_| None);
    assert_eq!(draft.problems.iter().count(), 1);
    let inventory = load_all(&draft.config.inventory, &draft.config.layers, &draft.config.references());
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
    // Two sites may have the same private addresses, each behind its own jump host.
    let jumps = format!(
        "{NETOPS}\n[jump.east]\naddress = '192.0.2.8'\ncredential = 'netops'\n[jump.west]\naddress = '192.0.2.9'\ncredential = 'netops'"
    );
    let devices = "name,address,jump\na,10.0.0.1,east\nb,10.0.0.1,west\nc,10.0.0.1,\nd,10.0.0.1,west\n";
    let inventory = good(&jumps, &[("d.csv", devices)]);
    assert_eq!(inventory.warnings, ["b and d are both at 10.0.0.1:22: one device under two names?"]);
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
         a change of web.listen, web.systemd_socket, store.path waits for a restart, all else for a reload\n  \
         inventory files/devices.csv: 2 devices\n  \
         sweep all: 2 devices, every 15m\n  \
         sweep core: 0 devices, at \"0 0 3 * * *\" Europe/Amsterdam\n"
    );
}

/// The formats that people keep inventories in hold anything; whatever it is, it is refused or read, never a panic.
mod hostile {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::load_all;
    use proptest::prelude::*;
    use versweep::platform::Platforms;
    use versweep::settings::{JumpHosts, Layers, References};
    use versweep::source::{Source, SourceKind};

    fn read(name: &str, text: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let [file, key] = [String::new(), String::new()];
        let source = Source {
            name: name.to_owned(),
            kind: SourceKind::File { path },
            interval: Duration::from_secs(300),
            timeout: Duration::from_secs(30),
            watch: false,
            max_shrink: 20,
            relabel: Vec::new(),
            file,
            line: 1,
            key,
        };
        let jumps = JumpHosts::new();
        let references = References {
            jumps: &jumps,
            platforms: &Platforms::default(),
            platforms_complete: true,
            credentials: &BTreeSet::new(),
        };
        let _ = load_all(&[source], &Layers::default(), &references);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn csv_is_read_or_refused(text in "(name,address,port\n)?([a#\",\r\n0-9: é\u{0}]{0,60})") {
            read("d.csv", &text);
        }

        #[test]
        fn json_is_read_or_refused(text in "(\\[|\\{\"device\": ?\\[)?(\\{\"(name|port|labels)\":)?[\\[\\]{}\",:a0-9\\\\ \né]{0,60}") {
            read("d.json", &text);
        }

        #[test]
        fn yaml_is_read_or_refused(text in "(device:\n)?( *- (name|port|labels|<<): ?[&*!a]?)?[\\[\\]{}\"'#&*!|>:a0-9\n\t é-]{0,60}") {
            read("d.yaml", &text);
        }

        #[test]
        fn toml_is_read_or_refused(text in "(\\[\\[device\\]\\]\n)?(name|port|labels)? ?[=\\[\\]{}\"'.#a0-9\n é]{0,60}") {
            read("d.toml", &text);
        }
    }
}
