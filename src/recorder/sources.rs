//! Sources of the inventory that can't be used, as changes: told once, and once when they are good again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::activity::{SourceNews, SourceState};
use crate::change::{Change, ChangeKind, Whose};
use crate::clock::Timestamp;

/// What a source is that can be used, in a change.
const GOOD: &str = "good";

/// What was told last of the sources that can't be used: the reasons, in the order in which they were told. Each is told once
/// until the source is good again, so that a server which fails now in one way and now in another is not told at every look.
pub(super) struct Sources {
    failing: BTreeMap<Arc<str>, String>,
}

impl Sources {
    pub(super) fn new(failing: BTreeMap<Arc<str>, String>) -> Self {
        Self { failing }
    }

    /// What was told, for the store.
    pub(super) fn failing(&self) -> &BTreeMap<Arc<str>, String> {
        &self.failing
    }

    /// Forgets the sources that are not among these, for nobody will hear of them again; whether there was one.
    pub(super) fn keep_only(&mut self, news: &[SourceNews]) -> bool {
        let before = self.failing.len();
        let named: BTreeSet<&str> = news.iter().map(|news| &*news.source).collect();
        self.failing.retain(|name, _| named.contains(&**name));
        self.failing.len() < before
    }

    /// Takes how a source is, and gives the change, where it is to be told.
    pub(super) fn take(&mut self, news: SourceNews, at: Timestamp) -> Option<Change> {
        let SourceNews { source, state } = news;
        let told = self.failing.get(&source);
        let last = told.and_then(|told| told.rsplit(' ').next()).unwrap_or(GOOD).to_owned();
        let (kind, after, why) = match state {
            SourceState::Failing { reason, why } => {
                let reason = reason.as_str();
                if told.is_some_and(|told| told.split(' ').any(|one| one == reason)) {
                    return None;
                }
                let all = told.map_or_else(|| reason.to_owned(), |told| format!("{told} {reason}"));
                self.failing.insert(Arc::clone(&source), all);
                (ChangeKind::SourceFailed, reason, why)
            }
            SourceState::Good { why } => {
                self.failing.remove(&source)?;
                (ChangeKind::SourceRecovered, GOOD, why.to_owned())
            }
            SourceState::Unseen => return None,
        };
        let (of, subject, after) = (Whose::Source(source), String::new(), after.to_owned());
        Some(Change { of, sweep: None, at, kind, subject, before: last, after, why, confirmed: true })
    }
}
