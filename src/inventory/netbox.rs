//! NetBox and Nautobot, whose REST interfaces are of one family: pages by `limit` and `offset`, `count` and `results`.
//!
//! <https://netboxlabs.com/docs/netbox/integrations/rest-api/>,
//! <https://docs.nautobot.com/projects/core/en/stable/user-guide/platform-functionality/rest-api/overview/>

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Trouble;
use super::entry::{Entry, text_of};
use super::tree_file::{plain, scalar};
use crate::source::Registry;

/// One page of devices.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// All devices that the question matches, on all pages.
    pub(super) count: usize,
    pub(super) results: Vec<Map<String, Value>>,
}

impl Page {
    pub(super) fn read(bytes: &[u8], from: &str) -> Result<Self, Trouble> {
        serde_json::from_slice(bytes).map_err(|error| {
            Trouble::garbage(format!(
                "{from}: not a page of devices with count and results: {}",
                plain(&error)
            ))
        })
    }
}

/// The path and query of the page that begins behind so many devices. The next page's address in an answer is not
/// followed: it is a server's word for where a token shall be sent to. Sorted by identity, so that the order stays: a device
/// that comes meanwhile is the last of NetBox's, which are numbered; of Nautobot's, whose identities are at random, it may come
/// anywhere and moves those behind it back, as one that goes moves them forward. Where pages meet that is seen.
pub(super) fn page(registry: Registry, filter: &str, limit: usize, offset: usize) -> (&'static str, String) {
    let own = match registry {
        Registry::NetBox => "ordering=id&exclude=config_context",
        Registry::Nautobot => "sort=id&depth=1&exclude_m2m=false",
    };
    let filter = if filter.is_empty() { String::new() } else { format!("&{filter}") };
    ("api/dcim/devices/", format!("limit={limit}&offset={offset}&{own}{filter}"))
}

/// What one device of a page says. What is absent there is absent here.
pub(super) fn entry(registry: Registry, device: &Map<String, Value>, from: &Arc<str>) -> Entry {
    let mut entry = Entry::new(from, None);
    let mut push = |key: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            entry.push(key, text);
        }
    };
    push("name", text(device.get("name")));
    push("id", text(device.get("id")));
    push("address", address(device));
    let word = match registry {
        Registry::NetBox => "slug",
        Registry::Nautobot => "name",
    };
    let of = |key: &str, words: &[&str]| {
        let related = device.get(key)?;
        words.iter().find_map(|word| text(related.get(*word)))
    };
    // Nautobot's network driver is Netmiko's name, as ours are.
    push("platform", of("platform", &["network_driver", word, "name"]));
    push("site", of("site", &[word, "name"]).or_else(|| of("location", &[word, "name"])));
    push("location", of("location", &[word, "name"]));
    // Before NetBox 3.6 and in Nautobot 1 the role has the longer name.
    push("role", of("role", &[word, "name"]).or_else(|| of("device_role", &[word, "name"])));
    push("tenant", of("tenant", &[word, "name"]));
    push("rack", of("rack", &["name", "display"]));
    push("status", of("status", &["value", "name"]));
    push("device_type", of("device_type", &[word, "model", "name"]));
    let manufacturer = device.get("device_type").and_then(|kind| kind.get("manufacturer"));
    push(
        "manufacturer",
        manufacturer.and_then(|maker| text(maker.get(word)).or_else(|| text(maker.get("name")))),
    );
    push("__serial", text(device.get("serial")));
    push("__tags", tags(device, word));
    if let Some(Value::Object(fields)) = device.get("custom_fields") {
        for (name, value) in fields {
            push(&format!("__cf_{name}"), text(Some(value)));
        }
    }
    entry
}

/// The primary address without the length of its prefix.
fn address(device: &Map<String, Value>) -> Option<String> {
    let of = |key: &str| text(device.get(key)?.get("address"));
    let address = of("primary_ip").or_else(|| of("primary_ip4")).or_else(|| of("primary_ip6"))?;
    Some(address.split('/').next().unwrap_or_default().to_owned())
}

/// The tags between commas, so that `.*,core,.*` finds one.
fn tags(device: &Map<String, Value>, word: &str) -> Option<String> {
    let tags = device.get("tags")?.as_array()?;
    let tags: Vec<String> =
        tags.iter().filter_map(|tag| text(tag.get(word)).or_else(|| text(tag.get("name")))).collect();
    (!tags.is_empty()).then(|| format!(",{},", tags.join(",")))
}

fn text(value: Option<&Value>) -> Option<String> {
    text_of(&scalar(value?.clone())).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(registry: Registry, json: &str) -> Vec<(String, String)> {
        let device: Map<String, Value> = serde_json::from_str(json).unwrap();
        let entry = entry(registry, &device, &Arc::from("netbox"));
        let field = |field: &super::super::entry::Field| {
            (field.key.to_string(), text_of(&field.value).unwrap().into_owned())
        };
        entry.fields.iter().map(field).collect()
    }

    #[test]
    fn a_device_of_netbox() {
        let json = r#"{"id": 7, "name": "core1", "device_type": {"id": 1, "manufacturer": {"slug": "cisco"},
            "model": "C9300-48P", "slug": "c9300-48p"}, "role": {"slug": "core"}, "tenant": null,
            "platform": {"slug": "cisco-ios-xe"}, "serial": "FOC1", "site": {"slug": "ams"}, "location": null,
            "rack": {"name": "R7"}, "status": {"value": "active", "label": "Active"},
            "primary_ip": {"address": "192.0.2.7/24"}, "tags": [{"slug": "a"}, {"slug": "b"}],
            "custom_fields": {"ring": 3, "owner": null}}"#;
        let wanted = [
            ("name", "core1"),
            ("id", "7"),
            ("address", "192.0.2.7"),
            ("platform", "cisco-ios-xe"),
            ("site", "ams"),
            ("role", "core"),
            ("rack", "R7"),
            ("status", "active"),
            ("device_type", "c9300-48p"),
            ("manufacturer", "cisco"),
            ("__serial", "FOC1"),
            ("__tags", ",a,b,"),
            ("__cf_ring", "3"),
        ];
        assert_eq!(read(Registry::NetBox, json), wanted.map(|(key, text)| (key.to_owned(), text.to_owned())));
    }

    #[test]
    fn a_device_of_nautobot() {
        let json = r#"{"id": "0f3c", "name": "core1", "role": {"name": "Core"}, "location": {"name": "AMS"},
            "platform": {"name": "IOS XE", "network_driver": "cisco_xe"}, "status": {"name": "Active"},
            "primary_ip4": {"address": "192.0.2.7/32"}, "primary_ip6": null, "tags": []}"#;
        let told = read(Registry::Nautobot, json);
        let get = |key: &str| told.iter().find(|(name, _)| name == key).map(|(_, text)| text.as_str());
        assert_eq!(
            (get("id"), get("address"), get("platform")),
            (Some("0f3c"), Some("192.0.2.7"), Some("cisco_xe"))
        );
        assert_eq!((get("site"), get("role"), get("status")), (Some("AMS"), Some("Core"), Some("Active")));
    }
}
