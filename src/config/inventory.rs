//! `[[inventory]]`: where devices come from.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::relabel::{our_field, rules};
use super::sweeps::non_empty;
use super::{Surroundings, peer, secrets};
use crate::document::{Item, Section};
use crate::fetch::{Login, Peer};
use crate::source::{Dialect, OWN_FORM, Registry, RouterDb, Source, SourceKind, Vaulted, is_pattern};

/// The keys of every source.
const COMMON: [&str; 6] = ["type", "name", "interval", "timeout", "max_shrink", "relabel"];

const KINDS: &str =
    "\"file\", \"folder\", \"file_sd\", \"http_sd\", \"netbox\", \"nautobot\", \"ansible\" or \"router.db\"";

/// A watched file is looked at when it changes; this is for file systems that don't tell, such as NFS.
const FILE_INTERVAL: Duration = Duration::from_secs(300);

/// As often as Prometheus asks its http_sd servers.
const SD_INTERVAL: Duration = Duration::from_secs(60);

/// Thousands of devices over pages are work for a server.
const REGISTRY_INTERVAL: Duration = Duration::from_secs(900);

/// A second is a test's; a list that may be a month old is nobody's inventory.
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);

const TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

/// The largest answer: a million devices with a handful of labels each.
const ANSWER_MAX: usize = 256 << 20;

/// The part of a list that may be missing at once, in percent (rule 18).
const MAX_SHRINK: u8 = 20;

/// Devices a page: as many as NetBox gives at once where nobody changed it.
const PAGE: usize = 1000;

/// Each `[[inventory]]`; each name once.
pub(super) fn sources(
    root: &Section<'_>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Vec<Source> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut sources = Vec::new();
    for table in root.sections("inventory") {
        let Some((source, item)) = source(&table, around, warnings) else { continue };
        match seen.get(&source.name) {
            Some(first) => {
                let allowed = format!("the first one stands on line {first}; name tells them apart");
                item.refuse_hidden("is named twice", &allowed);
            }
            None => {
                seen.insert(source.name.clone(), source.line);
                sources.push(source);
            }
        }
    }
    sources
}

/// What is particular to a kind of source.
struct Own<'d> {
    kind: SourceKind,
    /// The value that the source is called by, and what it is called.
    item: Item<'d>,
    name: String,
    keys: &'static [&'static str],
    interval: Duration,
}

/// A source, and the value that it is called by.
fn source<'d>(
    table: &Section<'d>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Option<(Source, Item<'d>)> {
    let kind = table.require("type", KINDS)?;
    let own = match kind.text()? {
        "file" => file(table, around),
        "folder" => {
            let make = |path| SourceKind::Folder { path };
            path(table, around, "path = \"devices.d\"").map(|found| of_path(found, make, &["path", "watch"]))
        }
        "file_sd" => file_sd(table, around),
        "ansible" => ansible(table, around),
        "router.db" => router_db(table, around),
        "http_sd" => server(table, around, warnings, None),
        "netbox" => server(table, around, warnings, Some(Registry::NetBox)),
        "nautobot" => server(table, around, warnings, Some(Registry::Nautobot)),
        _ => {
            kind.refuse("is not a kind of inventory", KINDS);
            return None;
        }
    }?;
    let keys: Vec<&str> = COMMON.into_iter().chain(own.keys.iter().copied()).collect();
    table.only(&keys);
    let named = table.get("name");
    let name = match &named {
        Some(item) => non_empty(item)?.to_owned(),
        None => own.name,
    };
    // It stands in logs, in events and their ids, and in headers of messages.
    if name.chars().any(char::is_control) {
        named.as_ref().unwrap_or(&own.item).refuse_hidden("has a control character", "a text without any");
        return None;
    }
    let duration = |key: &str, range: &RangeInclusive<Duration>, default| {
        table.get(key).and_then(|item| item.duration(range)).unwrap_or(default)
    };
    let shrink = table.get("max_shrink").and_then(|item| item.number(0..=100));
    let timeout = match own.kind.peer() {
        Some(peer) => peer.manners.timeout,
        None => duration("timeout", &TIMEOUTS, TIMEOUT),
    };
    let source = Source {
        name,
        kind: own.kind,
        interval: duration("interval", &INTERVALS, own.interval),
        timeout,
        watch: table.get("watch").and_then(|item| item.boolean()).unwrap_or(true),
        max_shrink: shrink.and_then(|percent| u8::try_from(percent).ok()).unwrap_or(MAX_SHRINK),
        relabel: rules(table),
        file: table.document().name().to_owned(),
        line: own.item.line(),
        key: own.item.path().to_owned(),
    };
    Some((source, named.unwrap_or(own.item)))
}

fn path<'d>(table: &Section<'d>, around: &Surroundings<'_>, allowed: &str) -> Option<(PathBuf, Item<'d>)> {
    let item = table.require("path", allowed)?;
    let text = non_empty(&item)?;
    Some((around.folder.join(text), item))
}

fn of_path<'d>(
    (path, item): (PathBuf, Item<'d>),
    make: impl FnOnce(PathBuf) -> SourceKind,
    keys: &'static [&'static str],
) -> Own<'d> {
    let name = item.as_text().unwrap_or_default().to_owned();
    Own { kind: make(path), item, name, keys, interval: FILE_INTERVAL }
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known))
}

fn file<'d>(table: &Section<'d>, around: &Surroundings<'_>) -> Option<Own<'d>> {
    let found = path(table, around, "path = \"devices.toml\" or \"devices.csv\"")?;
    if !has_ending(&found.0, &OWN_FORM) {
        found.1.refuse("is of no known format", "a file that ends in .toml, .csv, .json, .yaml or .yml");
        return None;
    }
    Some(of_path(found, |path| SourceKind::File { path }, &["path", "watch"]))
}

fn file_sd<'d>(table: &Section<'d>, around: &Surroundings<'_>) -> Option<Own<'d>> {
    let found = path(table, around, "path = \"sd/*.json\"")?;
    if !is_pattern(&found.0) && !has_ending(&found.0, &["json", "yaml", "yml"]) {
        found
            .1
            .refuse("is of no known format", "a file that ends in .json, .yaml or .yml, or a pattern with *");
        return None;
    }
    Some(of_path(found, |path| SourceKind::FileSd { path }, &["path", "watch"]))
}

fn ansible<'d>(table: &Section<'d>, around: &Surroundings<'_>) -> Option<Own<'d>> {
    let found = path(table, around, "path = \"hosts\" or \"hosts.yml\"");
    let vaulted = match table.get("vaulted") {
        None => Vaulted::Refused,
        Some(item) => match item.text()? {
            "refuse" => Vaulted::Refused,
            "ignore" => Vaulted::LeftOut,
            _ => {
                item.refuse("is not what to do with encrypted variables", "\"refuse\" or \"ignore\"");
                return None;
            }
        },
    };
    let make = |path| SourceKind::Ansible { path, vaulted };
    Some(of_path(found?, make, &["path", "watch", "vaulted"]))
}

fn router_db<'d>(table: &Section<'d>, around: &Surroundings<'_>) -> Option<Own<'d>> {
    let found = path(table, around, "path = \"router.db\"");
    let dialect = table.require("dialect", "\"rancid\" or \"oxidized\"")?;
    let (dialect, usual) = match dialect.text()? {
        "rancid" => (Dialect::Rancid, &["name", "platform", "__state"]),
        "oxidized" => (Dialect::Oxidized, &["name", "platform", ""]),
        _ => {
            dialect.refuse("is not a dialect", "\"rancid\" or \"oxidized\"");
            return None;
        }
    };
    let delimiter = match table.get("delimiter") {
        Some(item) => {
            let mut chars = item.text()?.chars();
            let (Some(one), None) = (chars.next(), chars.next()) else {
                item.refuse("is not a delimiter", "one character");
                return None;
            };
            Some(one)
        }
        None => None,
    };
    let columns = match table.get("columns") {
        Some(item) => columns(&item)?,
        None => usual.iter().map(ToString::to_string).collect(),
    };
    let form = RouterDb { dialect, delimiter, columns };
    let make = |path| SourceKind::RouterDb { path, form };
    Some(of_path(found?, make, &["path", "watch", "dialect", "delimiter", "columns"]))
}

fn columns(item: &Item<'_>) -> Option<Vec<String>> {
    let elements = item.elements("a list of fields, \"\" for a column that is not looked at")?;
    let column = |item: &Item<'_>| match item.text()? {
        "" => Some(String::new()),
        name => our_field(item, name),
    };
    let columns: Vec<String> = elements.iter().map(column).collect::<Option<_>>()?;
    if !columns.iter().any(|column| column == "name") {
        item.refuse_hidden("have no name among them", "the column that the device is called by");
        return None;
    }
    Some(columns)
}

fn server<'d>(
    table: &Section<'d>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
    registry: Option<Registry>,
) -> Option<Own<'d>> {
    let defaults = peer::Defaults { timeout: TIMEOUT, max_bytes: ANSWER_MAX };
    let mut peer = Box::new(peer::read(table, &defaults, around, warnings)?);
    let item = table.get("url")?;
    let name = peer.target.server();
    let Some(registry) = registry else {
        const KEYS: [&str; 7] = peer::KEYS;
        return Some(Own {
            kind: SourceKind::HttpSd { peer },
            item,
            name,
            keys: &KEYS,
            interval: SD_INTERVAL,
        });
    };
    token(&mut peer, table, around, warnings)?;
    let filter = match table.get("filter") {
        Some(item) => filter(&item)?,
        None => String::new(),
    };
    let page = table.get("page").map_or(Some(PAGE as u64), |item| item.number(1..=10_000))?;
    let page = usize::try_from(page).unwrap_or(PAGE);
    let kind = SourceKind::Registry { registry, peer, filter, page };
    let keys = &["url", "timeout", "ca_file", "allow_private", "token", "filter", "page"];
    Some(Own { kind, item, name, keys, interval: REGISTRY_INTERVAL })
}

/// The token that the server knows versweep by. Those of NetBox since 4.5 begin with what kind they are and are bearers.
fn token(
    peer: &mut Peer,
    table: &Section<'_>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Option<()> {
    use secrecy::ExposeSecret as _;
    if let Some(item) = table.get("token") {
        let secret = secrets::read(&item, around, warnings)?;
        let bearer = secret.expose_secret().starts_with("nbt_");
        peer.login = Some(if bearer { Login::Bearer(secret) } else { Login::Token(secret) });
    }
    Some(())
}

/// A query that goes behind our own: `status=active&role=core`.
fn filter(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let own = ["limit", "offset", "ordering", "sort"];
    let pair = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| !own.contains(&name));
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'?');
    if !plain || !text.split('&').all(pair) {
        item.refuse(
            "is not a filter",
            "a query such as \"status=active&role=core\", without limit, offset and ordering",
        );
        return None;
    }
    Some(text.to_owned())
}
