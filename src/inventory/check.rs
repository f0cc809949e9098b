//! An entry becomes an offer: names, addresses, labels and settings that are good by themselves, whatever other sources
//! say of the same device. The checks do not depend on the format.

use std::collections::{BTreeMap, HashMap};

use super::entry::{Entry, Field, Part, text_of};
use super::{Dropped, host_from};
use crate::device::{DeviceId, Labels, NAME_MAX};
use crate::document::{Document, Item, Problem, Problems, shown_text};
use crate::settings::{DeviceSettings, RESERVED_LABELS, References, check_label_name};

/// The longest value of a label: it stands on every series of the device.
const LABEL_VALUE_MAX: usize = 256;

/// What one entry offers to the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) name: DeviceId,
    /// Where to connect; the name where it is absent.
    pub(super) host: Option<String>,
    /// The stable identity that the source has for the device.
    pub(super) identity: Option<String>,
    pub(super) labels: Labels,
    pub(super) own: DeviceSettings,
    /// The entry's index in its list.
    pub(super) entry: usize,
    /// Whether something is wrong with its settings, which is told already.
    pub(super) broken: bool,
}

/// What the entries of one source come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Checked {
    pub(super) offers: Vec<Offer>,
    /// Entries that can't be used, of a source that may have some.
    pub(super) dropped: Vec<Dropped>,
    /// What is wrong with a source that may not.
    pub(super) problems: Problems,
    /// What was left out of entries that are used all the same, one line each.
    pub(super) warnings: Vec<String>,
}

/// Checks all entries of one source. Of a strict one, everything wrong is a problem; of another one the entry is dropped.
pub(super) fn check(entries: &[Entry], strict: bool, references: &References<'_>) -> Checked {
    let mut checked = Checked::default();
    let mut places: HashMap<DeviceId, usize> = HashMap::with_capacity(entries.len());
    let mut left_out = LeftOut::default();
    let mut index = 0;
    for run in entries.chunk_by(|a, b| a.file == b.file) {
        let Some(first) = run.first() else { continue };
        let document = Document::new(&first.file, "");
        for entry in run {
            let before = document.problem_count();
            let desk = Desk { document: &document, entry, title: entry.title(), references };
            let soft = (!strict).then_some(&mut left_out);
            let offer = desk.offer(index, soft).filter(|offer| {
                let first = *places.entry(offer.name.clone()).or_insert(index);
                let is_first = first == index;
                if !is_first {
                    let first = entries.get(first).map(Entry::place).unwrap_or_default();
                    desk.refuse("is named twice", &format!("the first one stands at {first}"));
                }
                is_first
            });
            index += 1;
            match document.problem(before).filter(|_| !strict) {
                Some(problem) => checked.dropped.push(Dropped::new(entry, reason(&problem))),
                None => checked.offers.extend(offer),
            }
        }
        if strict {
            checked.problems.extend(document.into_problems());
        }
    }
    forget_shared_identities(&mut checked.offers, &mut left_out);
    checked.warnings = left_out.into_warnings();
    checked
}

/// An identity that several devices have is none: their pasts would be taken for each other's.
fn forget_shared_identities(offers: &mut [Offer], left_out: &mut LeftOut) {
    let mut counts: HashMap<String, usize> = HashMap::with_capacity(offers.len());
    for identity in offers.iter().filter_map(|offer| offer.identity.as_ref()) {
        *counts.entry(identity.clone()).or_default() += 1;
    }
    for offer in offers {
        let Some(identity) =
            offer.identity.take_if(|identity| counts.get(identity).is_some_and(|count| *count > 1))
        else {
            continue;
        };
        let what = format!("id {} is left out: several devices have it", shown_text(&identity));
        left_out.note(what, &format!("device {}", shown_text(offer.name.as_str())));
    }
}

/// Why an entry is dropped: what is wrong, without the file and the device that are told beside it.
fn reason(problem: &Problem) -> String {
    let key = problem.key.split_once(": ").map(|(_, key)| key.to_owned()).unwrap_or_default();
    let bare = Problem { file: String::new(), line: None, column: None, key, ..problem.clone() };
    bare.to_string().trim_start_matches(": ").to_owned()
}

/// What was left out of entries, with how many they are and the first of them: ten thousand devices may have the same
/// word for their platform.
#[derive(Default)]
struct LeftOut(BTreeMap<String, (usize, String)>);

impl LeftOut {
    fn note(&mut self, what: String, title: &str) {
        self.0.entry(what).or_insert_with(|| (0, title.to_owned())).0 += 1;
    }

    fn into_warnings(self) -> Vec<String> {
        let told = |(what, (count, first)): (String, (usize, String))| match count {
            1 => format!("{first}: {what}"),
            _ => format!("{first} and {} more: {what}", count - 1),
        };
        self.0.into_iter().map(told).collect()
    }
}

/// One entry under examination.
struct Desk<'d> {
    document: &'d Document<'d>,
    entry: &'d Entry,
    title: String,
    references: &'d References<'d>,
}

impl<'d> Desk<'d> {
    fn offer(&self, index: usize, mut soft: Option<&mut LeftOut>) -> Option<Offer> {
        let name = self.name();
        // Without a name, the name can't stand in for the address; that would be told twice.
        let host = if name.is_some() || self.entry.key("address").is_some() { self.host() } else { None };
        let labels = self.labels(soft.as_deref_mut());
        let identity = self.entry.key("id").and_then(|field| self.identity(field));
        let before = self.document.problem_count();
        let unknown = soft.is_some_and(|left_out| self.is_unknown_platform(left_out));
        let get = |key: &str| {
            let field = self.entry.key(key).filter(|_| !(unknown && key == "platform"))?;
            Some(self.item(field))
        };
        let own = DeviceSettings::read(get, self.references, None);
        let broken = self.document.problem_count() > before;
        let named = self.entry.key("address").is_some();
        let host = host.map(|host| named.then_some(host))?;
        Some(Offer { name: name?, host, identity, labels, own, entry: index, broken })
    }

    fn item(&self, field: &'d Field) -> Item<'d> {
        let line = field.line.or(self.entry.line);
        Item::given(self.document, field.path(&self.title), line, &field.value)
    }

    fn refuse(&self, problem: &str, allowed: &str) {
        self.document.note(Problem {
            line: self.entry.line,
            key: self.title.clone(),
            problem: problem.to_owned(),
            allowed: allowed.to_owned(),
            ..Problem::default()
        });
    }

    fn name(&self) -> Option<DeviceId> {
        let Some(field) = self.entry.key("name") else {
            self.refuse("has no name", "a name of its own, which stays the same for ever");
            return None;
        };
        let item = self.item(field);
        match DeviceId::new(item.text()?) {
            Ok(id) => Some(id),
            Err(error) => {
                item.refuse("is not a name", &error.to_string());
                None
            }
        }
    }

    /// Where to connect: the address, or the name where there is none.
    fn host(&self) -> Option<String> {
        let item = self.item(self.entry.key("address").or_else(|| self.entry.key("name"))?);
        match host_from(item.text()?) {
            Ok(host) => Some(host),
            Err(problem) => {
                item.refuse(problem, "a host name or an IP address; a port is given as port");
                None
            }
        }
    }

    /// The identity, which a source may give as a number as well.
    fn identity(&self, field: &'d Field) -> Option<String> {
        let text = text_of(&field.value).filter(|text| (1..=NAME_MAX).contains(&text.len()));
        if text.as_ref().is_none_or(|text| text.chars().any(char::is_control)) {
            self.item(field).refuse("is not an identity", "a text of 1 to 253 bytes, or a number");
            return None;
        }
        text.map(std::borrow::Cow::into_owned)
    }

    fn labels(&self, mut soft: Option<&mut LeftOut>) -> Labels {
        let labels = self.entry.fields.iter().filter(|field| field.part != Part::Key);
        let good = |field: &'d Field| {
            if let Some(left_out) = soft.as_deref_mut() {
                if let Some(wrong) = wrong_label(field) {
                    left_out.note(format!("label {:?} is left out: it {wrong}", field.key), &self.title);
                    return None;
                }
                return Some((field.key.to_string(), text_of(&field.value)?.into_owned()));
            }
            let item = self.item(field);
            let value = item.text()?;
            if !is_label_value(value) {
                item.refuse("can't be a label", "at most 256 bytes without control characters");
                return None;
            }
            check_label(&field.key, &item).then(|| (field.key.to_string(), value.to_owned()))
        };
        labels.filter_map(good).collect()
    }

    /// Whether another program's name for a platform is one that nobody knows here: the device is visited all the same,
    /// and what it is is found from what it answers.
    fn is_unknown_platform(&self, left_out: &mut LeftOut) -> bool {
        let Some(name) = self.entry.key("platform").and_then(|field| text_of(&field.value)) else {
            return false;
        };
        let unknown = name != "auto" && self.references.platforms.find(&name).is_none();
        if unknown {
            let what = format!("platform {} is not known, so it is found from the answer", shown_text(&name));
            left_out.note(what, &self.title);
        }
        unknown
    }
}

fn is_label_value(value: &str) -> bool {
    value.len() <= LABEL_VALUE_MAX && !value.chars().any(char::is_control)
}

/// What is wrong with a label that another program gives.
fn wrong_label(field: &Field) -> Option<&'static str> {
    if check_label_name(&field.key).is_err() {
        return Some("has a name that no label can have");
    }
    if RESERVED_LABELS.contains(&field.key.as_ref()) {
        return Some("stands for the device itself");
    }
    match text_of(&field.value) {
        None => Some("is no text"),
        Some(value) if !is_label_value(&value) => Some("is longer than 256 bytes or has control characters"),
        Some(_) => None,
    }
}

/// Whether a label may have this name; a problem is noted otherwise.
pub(super) fn check_label(name: &str, item: &Item<'_>) -> bool {
    if let Err(rule) = check_label_name(name) {
        item.refuse_hidden("is not a label name", &rule.to_string());
        return false;
    }
    if RESERVED_LABELS.contains(&name) {
        item.refuse_hidden("can't be a label", "another name: this one stands for the device itself");
        return false;
    }
    true
}
