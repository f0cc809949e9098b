//! `[[sink]]` and `[events]`: where change events go, which ones, and what they say they come from.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

use super::sweeps::{non_empty, unique};
use super::{Surroundings, peer, secrets};
use crate::change::ChangeKind;
use crate::device::{Selector, check_name};
use crate::document::{Item, Section};
use crate::event::{PLACES, Route, Severity, Template};
use crate::fetch::{Login, Peer, Roots, Signer};
use crate::settings::{References, check_label_name, selector};

/// One `[[sink]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// Its name: its cursor in the store and its metric label.
    pub name: String,
    /// Where the events go.
    pub kind: SinkKind,
    /// Which events.
    pub route: Route,
    /// More alike than this in one sweep are told as one, counted by that label.
    pub digest: Option<(usize, String)>,
    /// The most events that wait for it.
    pub max_pending: u64,
}

/// Where the events of a sink go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkKind {
    /// The systemd journal, with structured fields.
    Journal,
    /// A file of JSON lines.
    Jsonl {
        /// The file.
        path: PathBuf,
        /// The size at which it is put aside, in bytes; `None` for never.
        size: Option<u64>,
        /// How many files that were put aside are kept.
        keep: u32,
    },
    /// A server that takes CloudEvents by POST.
    Webhook {
        /// The server.
        peer: Peer,
        /// The keys that requests are signed with.
        signers: Vec<Signer>,
    },
    /// A chat that takes messages as Slack does.
    Slack {
        /// The server.
        peer: Peer,
        /// What it is told.
        text: Template,
    },
    /// A program that is run for each event.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// How long one run may take.
        timeout: Duration,
    },
    /// A NATS server.
    Nats {
        /// `nats://HOST:PORT`, or `tls://`.
        address: String,
        /// Who logs in.
        login: Option<Login>,
        /// Who vouches for the server.
        roots: Roots,
        /// How long a delivery may take.
        timeout: Duration,
        /// The subject of an event.
        subject: Template,
    },
}

/// The kinds of sink, for messages.
const KINDS: &str = "\"journal\", \"jsonl\", \"webhook\", \"slack\", \"command\" or \"nats\"";

/// The keys of all kinds.
const COMMON: [&str; 8] =
    ["type", "name", "kinds", "severity", "select", "digest", "digest_by", "max_pending"];

/// As long as a person waits for a script; far below the day after which events are given up.
const COMMAND_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// What an answer to an event may be long: nothing of it is read but its status.
const PEER: peer::Defaults = peer::Defaults { timeout: Duration::from_secs(10), max_bytes: 64 << 10 };

const MIB: u64 = 1 << 20;

/// `[events] source`: the CloudEvents attribute, a URI reference.
pub(super) fn source(root: &Section<'_>) -> String {
    let table = root.section("events");
    table.only(&["source"]);
    let Some(item) = table.get("source") else { return "/versweep".to_owned() };
    let text = item.text().unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    if text.is_empty() || text.len() > 256 || !text.chars().all(fits) {
        item.refuse("is not a URI reference", "such as \"/versweep\" or \"https://versweep.example.net/\"");
    }
    text.to_owned()
}

/// All sinks; each name once.
pub(super) fn sinks(
    root: &Section<'_>,
    references: &References<'_>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Vec<SinkConfig> {
    let mut seen = BTreeMap::new();
    let sections = root.sections("sink");
    sections.iter().filter_map(|section| sink(section, references, around, warnings, &mut seen)).collect()
}

fn sink(
    section: &Section<'_>,
    references: &References<'_>,
    around: &Surroundings<'_>,
    warnings: &mut Vec<String>,
    seen: &mut BTreeMap<String, usize>,
) -> Option<SinkConfig> {
    let item = section.require("type", KINDS)?;
    let kind = match item.text()? {
        "journal" => journal(section),
        "jsonl" => jsonl(section, around),
        "webhook" => webhook(section, around, warnings),
        "slack" => slack(section, around, warnings),
        "command" => command(section),
        "nats" => nats(section, around, warnings),
        _ => {
            item.refuse("is not a kind of sink", KINDS);
            return None;
        }
    };
    // A sink without a name is called by its type.
    let named = section.get("name").unwrap_or(item);
    let (name, route, digest) = (name(&named, seen), route(section, references), digest(section));
    let max_pending = section.get("max_pending").map_or(Some(100_000), |item| item.number(100..=10_000_000));
    Some(SinkConfig { name: name?, kind: kind?, route: route?, digest: digest?, max_pending: max_pending? })
}

fn name(item: &Item<'_>, seen: &mut BTreeMap<String, usize>) -> Option<String> {
    let name = item.text()?;
    if let Err(error) = check_name(name) {
        item.refuse("is not a name", &error.to_string());
        return None;
    }
    unique(item, name, seen)
}

fn only(section: &Section<'_>, keys: &[&str]) {
    let known: Vec<&str> = COMMON.iter().chain(keys).copied().collect();
    section.only(&known);
}

fn route(section: &Section<'_>, references: &References<'_>) -> Option<Route> {
    let kinds = section.get("kinds").map_or(Some(Vec::new()), |item| kinds(&item));
    let severity = section.get("severity").map_or(Some(Severity::Info), |item| severity(&item));
    let select = section.get("select").map_or(Some(Selector::default()), |item| selector(&item, references));
    Some(Route { kinds: kinds?, severity: severity?, select: select? })
}

fn kinds(item: &Item<'_>) -> Option<Vec<ChangeKind>> {
    let known: Vec<_> = ChangeKind::ALL.into_iter().map(ChangeKind::as_str).collect();
    let kind = |(item, text): (Item<'_>, &str)| {
        let kind = ChangeKind::from_name(text);
        if kind.is_none() {
            item.refuse("is not a kind of change", &known.join(", "));
        }
        kind
    };
    item.texts()?.into_iter().map(kind).collect()
}

fn severity(item: &Item<'_>) -> Option<Severity> {
    let severity = Severity::from_name(item.text()?);
    if severity.is_none() {
        item.refuse("is not a severity", "\"info\", \"notice\" or \"warning\"");
    }
    severity
}

/// `None` when something is wrong, `Some(None)` when each event is told by itself.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether the keys are right, as in all readers here"
)]
fn digest(section: &Section<'_>) -> Option<Option<(usize, String)>> {
    let by = section.get("digest_by");
    let label = match &by {
        None => "site",
        Some(item) => {
            let label = item.text()?;
            if let Err(rule) = check_label_name(label) {
                item.refuse("is not a label name", &rule.to_string());
                return None;
            }
            label
        }
    };
    let Some(item) = section.get("digest") else {
        if let Some(by) = by {
            by.refuse("has no meaning here", "digest_by goes with digest = NUMBER");
            return None;
        }
        return Some(None);
    };
    let more_than = usize::try_from(item.number(1..=100_000)?).ok()?;
    Some(Some((more_than, label.to_owned())))
}

#[expect(clippy::unnecessary_wraps, reason = "all kinds are read alike")]
fn journal(section: &Section<'_>) -> Option<SinkKind> {
    only(section, &[]);
    Some(SinkKind::Journal)
}

fn jsonl(section: &Section<'_>, around: &Surroundings<'_>) -> Option<SinkKind> {
    only(section, &["path", "rotate_mib", "rotate_keep"]);
    let path = section.require("path", "path = \"FILE\" for the lines").and_then(|item| {
        let text = non_empty(&item)?;
        Some(around.folder.join(text))
    });
    let size = section.get("rotate_mib").map_or(Some(64), |item| item.number(0..=1_000_000));
    let keep = section.get("rotate_keep").map_or(Some(5), |item| item.number(1..=1000));
    Some(SinkKind::Jsonl {
        path: path?,
        size: size.map(|size| (size > 0).then_some(size * MIB))?,
        keep: u32::try_from(keep?).ok()?,
    })
}

fn peer_keys<'a>(more: &[&'a str]) -> Vec<&'a str> {
    peer::KEYS.iter().chain(more).copied().collect()
}

fn webhook(section: &Section<'_>, around: &Surroundings<'_>, warnings: &mut Vec<String>) -> Option<SinkKind> {
    only(section, &peer_keys(&["secret", "old_secret"]));
    let peer = peer::read(section, &PEER, around, warnings);
    let mut signers = Vec::new();
    for key in ["secret", "old_secret"] {
        let Some(item) = section.get(key) else { continue };
        match Signer::parse(&secrets::read(&item, around, warnings)?) {
            Ok(signer) => signers.push(signer),
            Err(error) => {
                item.refuse_hidden(
                    &error.to_string(),
                    "such as `openssl rand -base64 32` makes, behind whsec_",
                );
                return None;
            }
        }
    }
    Some(SinkKind::Webhook { peer: peer?, signers })
}

fn slack(section: &Section<'_>, around: &Surroundings<'_>, warnings: &mut Vec<String>) -> Option<SinkKind> {
    only(section, &peer_keys(&["text"]));
    let peer = peer::read(section, &PEER, around, warnings);
    let text = section.get("text").map_or(Template::parse("{message}").ok(), |item| template(&item));
    Some(SinkKind::Slack { peer: peer?, text: text? })
}

fn template(item: &Item<'_>) -> Option<Template> {
    let parsed = Template::parse(item.text()?);
    parsed.map_err(|error| item.refuse(&error.to_string(), PLACES)).ok()
}

fn command(section: &Section<'_>) -> Option<SinkKind> {
    only(section, &["argv", "timeout"]);
    let wanted = "argv = [\"/path/of/program\", \"argument\"]";
    let argv = section.require("argv", wanted).and_then(|item| {
        let words: Vec<String> = item
            .elements(wanted)?
            .iter()
            .map(|item| item.text().map(str::to_owned))
            .collect::<Option<_>>()?;
        if words.first().is_none_or(String::is_empty) {
            item.refuse("names no program", wanted);
            return None;
        }
        Some(words)
    });
    let timeout =
        section.get("timeout").map_or(Some(Duration::from_secs(30)), |item| item.duration(&COMMAND_TIMEOUT));
    Some(SinkKind::Command { argv: argv?, timeout: timeout? })
}

fn nats(section: &Section<'_>, around: &Surroundings<'_>, warnings: &mut Vec<String>) -> Option<SinkKind> {
    only(section, &["url", "timeout", "ca_file", "bearer", "username", "password", "subject"]);
    let address =
        section.require("url", "url = \"nats://HOST:4222\", or tls://").and_then(|item| address(&item));
    let timeout = section.get("timeout").map_or(Some(PEER.timeout), |item| item.duration(&peer::TIMEOUT));
    let roots = section.get("ca_file").map_or(Some(Roots::System), |item| peer::roots(&item, around));
    let login = peer::login(section, around, warnings);
    let subject =
        section.get("subject").map_or(Template::parse("versweep.{kind}").ok(), |item| subject(&item));
    Some(SinkKind::Nats {
        address: address?,
        login: login?,
        roots: roots?,
        timeout: timeout?,
        subject: subject?,
    })
}

/// A user or a password in an address is refused without being shown.
fn address(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let uri = text.parse::<Uri>().ok();
    let fits = uri.as_ref().is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("nats" | "tls"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.path().trim_matches('/').is_empty()
            && uri.query().is_none()
    });
    if !fits {
        item.refuse_hidden("is not the address of a NATS server", "nats://HOST:PORT or tls://HOST:PORT");
        return None;
    }
    Some(text.to_owned())
}

/// What stands between the places is a subject's own text: without spaces, wildcards and empty parts.
fn subject(item: &Item<'_>) -> Option<Template> {
    let text = item.text()?;
    let mut own = String::new();
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                own.push('x');
            }
            c if depth == 0 => own.push(c),
            _ => {}
        }
    }
    let fits = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    if !own.split('.').all(fits) {
        item.refuse(
            "is not a subject",
            "parts of letters, digits, - and _ with a full stop between, and places",
        );
        return None;
    }
    template(item)
}
