//! Offers of all sources become one list. A later source goes over an earlier one, field by field; where both say
//! something and not the same, that is a conflict and is named.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::check::Offer;
use super::stock::{List, Stock};
use super::{Conflict, Dropped};
use crate::device::{Device, DeviceId, Labels};
use crate::document::{Document, Item, Problem, Problems};
use crate::duration::HumanDuration;
use crate::settings::{DeviceSettings, Layers};

/// All offers merged and resolved.
#[derive(Default)]
pub(super) struct Merged {
    /// Sorted by name.
    pub(super) devices: Vec<Arc<Device>>,
    /// Which sources each device came from, by their places, the one that goes over the others last.
    pub(super) origins: Vec<Arc<[usize]>>,
    pub(super) conflicts: Vec<Conflict>,
    /// By the place of the source.
    pub(super) dropped: Vec<(usize, Dropped)>,
    pub(super) problems: Problems,
}

/// One offer with the list that it stands in.
struct Bid<'a> {
    source: usize,
    stock: &'a Stock,
    list: &'a List,
    offer: &'a Offer,
}

pub(super) fn merge(stocks: &[Stock], layers: &Layers) -> Merged {
    let mut bids: BTreeMap<&DeviceId, Vec<Bid<'_>>> = BTreeMap::new();
    for (source, stock) in stocks.iter().enumerate() {
        let Some(list) = stock.list() else { continue };
        for offer in list.offers() {
            bids.entry(&offer.name).or_default().push(Bid { source, stock, list, offer });
        }
    }
    let mut merged = Merged::default();
    let mut combinations: BTreeMap<Vec<usize>, Arc<[usize]>> = BTreeMap::new();
    for bids in bids.into_values() {
        let Some(device) = merged.resolve(&bids, layers) else { continue };
        let sources: Vec<usize> = bids.iter().map(|bid| bid.source).collect();
        let sources = combinations.entry(sources).or_insert_with_key(|sources| sources.as_slice().into());
        merged.devices.push(Arc::new(device));
        merged.origins.push(Arc::clone(sources));
    }
    merged
}

/// What the offers for one device come to.
#[derive(Default)]
struct Sum {
    host: Option<String>,
    identity: Option<String>,
    labels: Labels,
    own: DeviceSettings,
    broken: bool,
}

impl Merged {
    fn resolve(&mut self, bids: &[Bid<'_>], layers: &Layers) -> Option<Device> {
        let last = bids.last()?;
        let sum = self.sum(bids);
        let name = &last.offer.name;
        let host = sum.host.unwrap_or_else(|| name.as_str().to_owned());
        let device = layers.resolve(name.clone(), host, sum.labels, sum.own.clone());
        let wrong = match &device {
            Ok(device) => outlasting(last, &sum.own, device),
            Err(_) if layers.incomplete || sum.broken => return None,
            Err(missing) => Some(Problem {
                file: last.entry().file.to_string(),
                line: last.entry().line,
                key: last.entry().title(),
                problem: missing.to_string(),
                allowed: missing.remedy().to_owned(),
                ..Problem::default()
            }),
        };
        match wrong {
            Some(problem) if last.stock.source.kind.is_strict() => {
                self.problems.0.push(problem);
                None
            }
            Some(problem) => {
                let why = format!("{}: {}", problem.problem, problem.allowed);
                self.dropped.push((last.source, Dropped::new(last.entry(), why)));
                None
            }
            None => device.ok().map(|device| Device { identity: sum.identity.map(Into::into), ..device }),
        }
    }

    fn sum(&mut self, bids: &[Bid<'_>]) -> Sum {
        let mut sum = Sum::default();
        for (at, bid) in bids.iter().enumerate() {
            let offer = bid.offer;
            if at > 0 {
                let earlier = &bids[..at];
                self.conflicts.extend(conflicts(&sum, bid, earlier));
            }
            sum.host = offer.host.clone().or(sum.host);
            let identity = offer.identity.as_ref();
            sum.identity = identity.map(|id| format!("{}:{id}", bid.stock.source.name)).or(sum.identity);
            for (label, value) in offer.labels.iter() {
                sum.labels.insert(label.to_owned(), value.to_owned());
            }
            sum.own = offer.own.clone().over(&sum.own);
            sum.broken |= offer.broken;
        }
        sum
    }
}

impl Bid<'_> {
    fn entry(&self) -> &super::Entry {
        self.list.entry(self.offer)
    }
}

/// Where a source says another thing than those before it.
fn conflicts(before: &Sum, bid: &Bid<'_>, earlier: &[Bid<'_>]) -> Vec<Conflict> {
    let offer = bid.offer;
    let mut fields: Vec<(String, String, String)> = Vec::new();
    if let (Some(mine), Some(theirs)) = (&offer.host, &before.host)
        && mine != theirs
    {
        fields.push(("address".to_owned(), mine.clone(), theirs.clone()));
    }
    let disputed = offer.own.disputed(&before.own).into_iter();
    fields.extend(disputed.map(|(key, mine, theirs)| (key.to_owned(), mine, theirs)));
    for (label, mine) in offer.labels.iter() {
        if let Some(theirs) = before.labels.get(label)
            && theirs != mine
        {
            fields.push((label.to_owned(), mine.to_owned(), theirs.to_owned()));
        }
    }
    let conflict = |(field, kept, lost): (String, String, String)| {
        let says = |bid: &&Bid<'_>| bid.entry().text(&field).is_some_and(|text| text == lost);
        let loser = earlier.iter().rev().find(says).or(earlier.last());
        Conflict {
            device: offer.name.clone(),
            kept,
            winner: bid.stock.source.name.clone(),
            lost,
            loser: loser.map(|bid| bid.stock.source.name.clone()).unwrap_or_default(),
            field,
        }
    };
    fields.into_iter().map(conflict).collect()
}

/// A limit of the device's own that is longer than the whole visit, which no layer of its own decides.
fn outlasting(bid: &Bid<'_>, own: &DeviceSettings, device: &Device) -> Option<Problem> {
    let key = own.timeout.is_none().then(|| own.longer_than(device.timeouts.visit)).flatten()?;
    let (entry, visit) = (bid.entry(), HumanDuration(device.timeouts.visit));
    let allowed = format!("at most \"{visit}\", or a longer timeout");
    let document = Document::new(&entry.file, "");
    let field = entry.key(key)?;
    let line = field.line.or(entry.line);
    Item::given(&document, field.path(&entry.title()), line, &field.value)
        .refuse("is longer than the timeout of the whole visit", &allowed);
    document.problem(0)
}
