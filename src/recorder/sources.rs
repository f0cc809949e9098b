//! Sources of the inventory that can't be used, as changes: told once, and once when they are good again.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::activity::{SourceNews, SourceState};
use crate::change::{Change, ChangeKind, Whose};
use crate::clock::Timestamp;
use crate::store::FailingSources;

/// What a source is that can be used, in a change.
const GOOD: &str = "good";

/// What was told last of the sources that can't be used. Each reason is told once until the source is good again, so that a
/// server which fails now in one way and now in another is not told at every look.
pub(super) struct Sources {
    failing: FailingSources,
}

impl Sources {
    pub(super) fn new(failing: FailingSources) -> Self {
        Self { failing }
    }

    /// What was told, for the store.
    pub(super) fn failing(&self) -> &FailingSources {
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
        let failing = self.failing.get(&source);
        let told = failing.map_or(&[][..], Vec::as_slice);
        // A reason that only a newer version knew is left out.
        let last = failing.map_or(GOOD, |told| told.last().map_or("", |reason| reason.as_str())).to_owned();
        let (kind, after, why) = match state {
            SourceState::Failing { reason, .. } if told.contains(&reason) => return None,
            SourceState::Failing { reason, why } => {
                self.failing.entry(Arc::clone(&source)).or_default().push(reason);
                (ChangeKind::SourceFailed, reason.as_str(), why)
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
