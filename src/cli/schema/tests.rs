//! The schemas name the keys that the readers know, no more and no fewer: each table is given a key that nobody knows, and
//! the readers' answer is compared.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::Of;
use crate::change::ChangeKind;
use crate::config;

/// Each table, as it must stand for its keys to be looked at, with its place in the schema.
const TABLES: [(&str, &str); 34] = [
    ("", ""),
    ("[web]", "web"),
    ("[store]", "store"),
    ("[workers]", "workers"),
    ("[[workers.limit]]\nby = 'site'", "workers/limit"),
    ("[ssh]", "ssh"),
    ("[platforms]", "platforms"),
    ("[metrics]", "metrics"),
    ("[changes]", "changes"),
    ("[breaker]", "breaker"),
    ("[holdoff]", "holdoff"),
    ("[daemon]", "daemon"),
    ("[credentials.a]", "credentials"),
    ("[jump.a]", "jump"),
    ("[defaults]", "defaults"),
    ("[platform.linux]", "platform"),
    ("[[group]]", "group"),
    ("[[sweep]]", "sweep"),
    ("[[policy]]", "policy"),
    ("[policies]", "policies"),
    ("[events]", "events"),
    ("[[inventory]]\ntype = 'file'\npath = 'a.toml'", "inventory"),
    ("[[inventory]]\ntype = 'file_sd'\npath = 'a.json'", "inventory"),
    ("[[inventory]]\ntype = 'ansible'\npath = 'hosts'", "inventory"),
    ("[[inventory]]\ntype = 'router.db'\npath = 'router.db'\ndialect = 'rancid'", "inventory"),
    ("[[inventory]]\ntype = 'http_sd'\nurl = 'https://a.example/'", "inventory"),
    ("[[inventory]]\ntype = 'netbox'\nurl = 'https://a.example/'\ntoken = { env = 'T' }", "inventory"),
    ("[[sink]]\ntype = 'journal'", "sink"),
    ("[[sink]]\ntype = 'jsonl'\npath = 'a'", "sink"),
    ("[[sink]]\ntype = 'webhook'\nurl = 'https://a.example/'", "sink"),
    ("[[sink]]\ntype = 'slack'\nurl = 'https://a.example/'", "sink"),
    ("[[sink]]\ntype = 'command'\nargv = ['a']", "sink"),
    ("[[sink]]\ntype = 'nats'\nurl = 'nats://a.example:4222'", "sink"),
    ("[credentials.a.password]", "credentials/password"),
];

fn schema(of: Of) -> Value {
    serde_json::from_str(of.schema()).unwrap()
}

/// The schema of a table: through lists, tables of tables and references.
fn at<'s>(root: &'s Value, path: &str) -> &'s Value {
    let mut place = root;
    for step in path.split('/').filter(|step| !step.is_empty()) {
        place = &place["properties"][step];
        loop {
            let inner = [&place["items"], &place["additionalProperties"]];
            if let Some(name) = place["$ref"].as_str() {
                place = &root["$defs"][name.trim_start_matches("#/$defs/")];
            } else if let Some(deeper) = inner.into_iter().find(|inner| inner.is_object()) {
                place = deeper;
            } else {
                break;
            }
        }
    }
    place
}

fn keys(table: &Value) -> BTreeSet<String> {
    table["properties"].as_object().unwrap().keys().cloned().collect()
}

/// What the reader says that it knows.
fn known(table: &str) -> BTreeSet<String> {
    let text = format!("{table}\nnobody_knows = 1\n");
    let draft = config::draft_str(Path::new("versweep.toml"), &text, &|_| Some("a secret".to_owned()));
    let told = draft.problems.0.iter().filter(|problem| problem.key.ends_with("nobody_knows"));
    let mut lists = told.filter_map(|problem| problem.allowed.strip_prefix("known here: "));
    let list = lists.next_back().unwrap_or_else(|| panic!("{table}: {}", draft.problems));
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_configuration_has_the_keys_of_its_schema() {
    let schema = schema(Of::Configuration);
    let places: BTreeSet<&str> = TABLES.iter().map(|(_, place)| *place).collect();
    for place in places {
        // A table of several types has the keys of all of them.
        let known: BTreeSet<String> =
            TABLES.iter().filter(|(_, of)| *of == place).flat_map(|(table, _)| known(table)).collect();
        assert_eq!(keys(at(&schema, place)), known, "{place:?}");
    }
}

#[test]
fn every_table_of_the_schema_is_compared() {
    let schema = schema(Of::Configuration);
    for table in keys(&schema) {
        assert!(TABLES.iter().any(|(_, place)| *place == table), "{table}");
    }
}

#[test]
fn its_kinds_of_change_are_the_programs() {
    let kinds = ChangeKind::ALL.map(ChangeKind::as_str);
    assert_eq!(
        schema(Of::Configuration)["properties"]["sink"]["items"]["properties"]["kinds"]["items"]["enum"],
        Value::from(kinds.to_vec())
    );
}
