//! `versweep schema inventory` names the keys that an inventory may have.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::site::versweep;

#[test]
fn an_inventory_has_the_keys_of_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("versweep.toml"), "[[inventory]]\ntype = 'file'\npath = 'devices.toml'\n").unwrap();
    fs::write(path("devices.toml"), "[[device]]\nname = 'r1'\nnobody_knows = 1\n").unwrap();
    let output = versweep(&["check"]).arg(path("versweep.toml")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let known =
        said.lines().find_map(|line| line.split_once("known here: ")).unwrap_or_else(|| panic!("{said}"));
    let schema = versweep(&["schema", "inventory"]).output().unwrap().stdout;
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let keys = schema["properties"]["device"]["items"]["properties"].as_object().unwrap();
    assert_eq!(keys.keys().map(String::as_str).collect::<BTreeSet<_>>(), known.1.split(", ").collect());
}
