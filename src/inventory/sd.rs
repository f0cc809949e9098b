//! Prometheus' service discovery, by file and by HTTP: a list of groups, each with targets and labels. Plugins for many
//! other systems speak it.
//!
//! <https://prometheus.io/docs/prometheus/latest/http_sd/>

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::entry::{Entry, text_of};
use super::tree_file::{plain, scalar, yaml};
use super::{Trouble, host_from};

/// One group as it stands there.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, Value>,
}

/// Reads groups in JSON.
pub(super) fn read_json(bytes: &[u8], from: &Arc<str>, entries: &mut Vec<Entry>) -> Result<(), Trouble> {
    let groups: Vec<Group> = serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        Trouble::garbage(format!("{from}: not a list of target groups in json: {} at {place}", plain(&error)))
    })?;
    take(groups, from, entries);
    Ok(())
}

/// Reads groups in YAML.
pub(super) fn read_yaml(text: &str, from: &Arc<str>, entries: &mut Vec<Entry>) -> Result<(), Trouble> {
    let groups: Option<Vec<Group>> = yaml(text).map_err(|(line, problem)| {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        Trouble::garbage(format!("{from}{line}: {problem}"))
    })?;
    take(groups.unwrap_or_default(), from, entries);
    Ok(())
}

fn take(groups: Vec<Group>, from: &Arc<str>, entries: &mut Vec<Entry>) {
    for group in groups {
        let labels: Vec<(String, String)> = group
            .labels
            .into_iter()
            .filter_map(|(name, value)| Some((name, text_of(&scalar(value))?.into_owned())))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        for target in group.targets {
            let mut entry = Entry::new(from, None);
            for (name, value) in &labels {
                entry.push(name, value.clone());
            }
            let host = host_of(&target);
            for key in ["name", "address"] {
                if entry.key(key).is_none() {
                    entry.push(key, host.clone());
                }
            }
            entries.push(entry);
        }
    }
}

/// The host of a target. Its port is that of some exporter, and the path behind it is the exporter's too.
fn host_of(target: &str) -> Cow<'_, str> {
    let bare = target.split_once("://").map_or(target, |(_, rest)| rest);
    let bare = bare.split(['/', '?']).next().unwrap_or_default();
    if host_from(bare).is_ok() {
        return Cow::Borrowed(bare.trim_start_matches('[').trim_end_matches(']'));
    }
    match bare.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => {
            Cow::Borrowed(host.trim_start_matches('[').trim_end_matches(']'))
        }
        _ => Cow::Borrowed(bare),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_its_host() {
        for (target, host) in [
            ("core1.ams", "core1.ams"),
            ("192.0.2.1:9100", "192.0.2.1"),
            ("[2001:db8::1]:161", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("https://core1.ams:8443/metrics?x=1", "core1.ams"),
            ("not a host", "not a host"),
        ] {
            assert_eq!(host_of(target), host);
        }
    }

    #[test]
    fn labels_with_the_names_of_keys_are_keys() {
        let json = br#"[{"targets": ["192.0.2.1:161", "b"], "labels": {"platform": "cisco_xr", "site": "ams", "n": 7,
                         "empty": "", "__meta_x": "y"}}, {"targets": ["192.0.2.3"], "labels": {"name": "c"}}]"#;
        let mut entries = Vec::new();
        read_json(json, &Arc::from("http://sd"), &mut entries).unwrap();
        let text = |at: usize, key: &str| entries[at].text(key).map(Cow::into_owned);
        assert_eq!(text(0, "name").as_deref(), Some("192.0.2.1"));
        assert_eq!((text(1, "name"), text(1, "address")), (Some("b".into()), Some("b".into())));
        assert_eq!((text(2, "name"), text(2, "address")), (Some("c".into()), Some("192.0.2.3".into())));
        assert_eq!(
            (text(1, "n"), text(1, "empty"), text(1, "__meta_x")),
            (Some("7".into()), None, Some("y".into()))
        );
        assert!(entries[0].key("platform").is_some() && entries[0].key("site").is_none());
        let mut of_yaml = Vec::new();
        read_yaml("- targets: [b]\n  labels: {site: ams}\n", &Arc::from("f"), &mut of_yaml).unwrap();
        assert_eq!(of_yaml[0].text("site").as_deref(), Some("ams"));
        let error = read_json(b"<html>", &Arc::from("http://sd"), &mut of_yaml).unwrap_err();
        assert!(error.to_string().starts_with("http://sd: not a list of target groups in json: "), "{error}");
    }
}
