//! What is held of one source: the list in force, one that waits for a confirmation, and how the last look went.
//!
//! A list is replaced whole, or not at all (rule 18): a source in error keeps the last good one, and one from which many
//! devices have gone at once waits until somebody says that this is right.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, Weak};

use tokio::time::Instant;

use super::check::{Checked, Offer, check};
use super::entry::Entry;
use super::{Dropped, Kept, Look, Trouble, local};
use crate::clock::Timestamp;
use crate::hash::fnv1a;
use crate::platform::Platforms;
use crate::settings::References;
use crate::source::Source;
use crate::status::{PendingList, RefreshFailure, SourceStatus};

/// A list of one source that is good.
#[derive(Debug, Clone)]
pub(super) struct List {
    entries: Vec<Entry>,
    /// Whether one wrong entry would have kept it back.
    strict: bool,
    checked: Checked,
    /// Entries that relabelling or the reader dropped.
    dropped: Vec<Dropped>,
}

/// A list that waits until somebody says that it is right.
#[derive(Debug, Clone)]
struct Pending {
    list: Arc<List>,
    /// When it was found.
    at: Timestamp,
    /// Stands for the devices that are missing from it, so that nobody confirms another list than the one that was shown.
    token: String,
    /// Why it waits.
    why: String,
}

/// What is held of one source. Clones share the lists.
#[derive(Debug, Clone)]
pub struct Stock {
    /// The source.
    pub source: Arc<Source>,
    list: Option<Arc<List>>,
    pending: Option<Pending>,
    /// One in which something is wrong: only to tell all that is.
    rejected: Option<Arc<List>>,
    /// When it was last looked at; absent before the first time.
    looked: Option<Timestamp>,
    /// When a look was last good.
    good: Option<Timestamp>,
    trouble: Option<Trouble>,
    /// When the look that was taken last began; absent before the first one.
    begun: Option<Instant>,
    /// Lives on while a reading of its files is held up, by a file server that is gone. Clones share it: one that is thrown
    /// away, as after a refused reload, leaves its reading behind.
    stuck: Arc<Mutex<Weak<()>>>,
}

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The list is the one in force.
    Same,
    /// Another list is in force now.
    New,
    /// The list in force stays, and the status says why.
    Refused,
}

impl List {
    fn new(look: Look, strict: bool, references: &References<'_>) -> Self {
        let checked = check(&look.entries, strict, references);
        Self { entries: look.entries, strict, checked, dropped: look.dropped }
    }

    pub(super) fn offers(&self) -> &[Offer] {
        &self.checked.offers
    }

    pub(super) fn entry(&self, offer: &Offer) -> &Entry {
        &self.entries[offer.entry]
    }

    /// What the recorder knows its devices by.
    fn names(&self) -> HashSet<Cow<'_, str>> {
        self.offers().iter().filter_map(|offer| self.entry(offer).text("name")).collect()
    }

    /// The names of an older list whose devices have other names here, by their identities.
    fn renamed_since<'o>(&self, old: &'o Self) -> HashSet<&'o str> {
        let identified = |offer: &'o Offer| Some((offer.identity.as_deref()?, offer.name.as_str()));
        let before: HashMap<&str, &str> = old.offers().iter().filter_map(identified).collect();
        let renamed = |offer: &Offer| {
            let name = *before.get(offer.identity.as_deref()?)?;
            (name != offer.name.as_str()).then_some(name)
        };
        self.offers().iter().filter_map(renamed).collect()
    }
}

impl Stock {
    /// Nothing yet.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source: Arc::new(source),
            list: None,
            pending: None,
            rejected: None,
            looked: None,
            good: None,
            trouble: None,
            begun: None,
            stuck: Arc::default(),
        }
    }

    /// The last good list of an earlier time, as it was kept.
    #[must_use]
    pub fn with_kept(mut self, entries: Vec<Entry>, references: &References<'_>) -> Self {
        let look = Look { entries, ..Look::default() };
        // Whatever has become wrong with it since is dropped: there is no other list to fall back to.
        self.list = Some(Arc::new(List::new(look, false, references)));
        self
    }

    /// The same source, typed anew, with what is held of it.
    #[must_use]
    pub fn retyped(&self, source: Source, references: &References<'_>) -> Self {
        let again = |list: &Arc<List>| {
            let look =
                Look { entries: list.entries.clone(), dropped: list.dropped.clone(), ..Look::default() };
            Arc::new(List::new(look, false, references))
        };
        Self {
            list: self.list.as_ref().map(again),
            pending: self.pending.clone().map(|waits| Pending { list: again(&waits.list), ..waits }),
            // A server that is asked another way is asked at once.
            looked: self.looked.filter(|_| *self.source == source),
            // Other files may be readable.
            stuck: if *self.source == source { Arc::clone(&self.stuck) } else { Arc::default() },
            source: Arc::new(source),
            ..self.clone()
        }
    }

    /// Takes what a look at the source brought.
    #[must_use]
    pub fn take(
        &self,
        look: Result<Look, Trouble>,
        at: Timestamp,
        references: &References<'_>,
    ) -> (Self, Verdict) {
        let look = match look {
            Ok(look) => look,
            Err(trouble) => return (self.refuse(trouble, at), Verdict::Refused),
        };
        let good = Self {
            looked: Some(at),
            good: Some(at),
            trouble: None,
            pending: None,
            rejected: None,
            ..self.clone()
        };
        let strict = self.source.kind.is_strict();
        // One that was judged mildly, as after a start, is judged anew.
        let held = self.list.as_ref().filter(|list| list.strict == strict && look.problems.is_empty());
        if held.is_some_and(|list| list.entries == look.entries && list.dropped == look.dropped) {
            return (good, Verdict::Same);
        }
        let mut problems = look.problems.clone();
        let mut list = List::new(look, strict, references);
        problems.extend(std::mem::take(&mut list.checked.problems));
        let list = Arc::new(list);
        if !problems.is_empty() {
            let refused = self.refuse(Trouble::invalid(problems), at);
            return (Self { rejected: Some(list), ..refused }, Verdict::Refused);
        }
        if let Some(pending) = self.shrink(&list, at) {
            let refused = self.refuse(Trouble::new(RefreshFailure::Shrunk, &pending.why), at);
            return (Self { pending: Some(pending), ..refused }, Verdict::Refused);
        }
        // A list in which only the dropped entries differ needs no new inventory, and is shown all the same.
        let same = self.list.as_ref().is_some_and(|old| old.entries == list.entries);
        (Self { list: Some(list), ..good }, if same { Verdict::Same } else { Verdict::New })
    }

    /// Keeps the list in force and says why.
    #[must_use]
    pub fn refuse(&self, trouble: Trouble, at: Timestamp) -> Self {
        Self { looked: Some(at), trouble: Some(trouble), rejected: None, ..self.clone() }
    }

    /// Puts the list that waits into force, where it is the one of this token.
    ///
    /// # Errors
    /// Why there is nothing to confirm.
    pub fn confirm(&self, token: &str) -> Result<Self, String> {
        let name = &self.source.name;
        let Some(waits) = self.pending.clone() else {
            return Err(format!("no list of {name:?} waits for a confirmation"));
        };
        if waits.token != token {
            return Err(format!("another list of {name:?} waits by now: {}", waits.why));
        }
        // What a later look ran into is no matter of this list.
        let trouble = self.trouble.clone().filter(|trouble| trouble.kind != RefreshFailure::Shrunk);
        Ok(Self { list: Some(waits.list), pending: None, trouble, good: Some(waits.at), ..self.clone() })
    }

    /// The same, where the look that was taken last began at that time.
    #[must_use]
    pub fn begun(self, begun: Instant) -> Self {
        Self { begun: Some(begun), ..self }
    }

    /// Whether a look that began at that time is older than the one that was taken last.
    #[must_use]
    pub fn outdates(&self, begun: Instant) -> bool {
        self.begun.is_some_and(|taken| begun < taken)
    }

    /// Reads the files of the source, for as long as its timeout at most; not at all where an earlier reading is held up
    /// still. Blocks.
    ///
    /// # Errors
    /// Why nothing of them can be used.
    pub fn look_in_time(&self, platforms: &Arc<Platforms>) -> Result<Look, Trouble> {
        local::look_in_time(&self.source, platforms, &self.stuck)
    }

    /// A list that is so much shorter than the one in force that it waits; nothing where it may be taken at once. A single
    /// device may always go: that is how devices are taken out of service, and in a small list it is a large part.
    fn shrink(&self, new: &Arc<List>, at: Timestamp) -> Option<Pending> {
        let old = self.list.as_ref()?;
        let (before, after) = (old.names(), new.names());
        let elsewhere = new.renamed_since(old);
        let left = |name: &&str| !after.contains(*name) || elsewhere.contains(name);
        let mut gone: Vec<_> = before.iter().map(AsRef::as_ref).filter(left).collect();
        let allowed = before.len() * usize::from(self.source.max_shrink) / 100;
        if gone.len() <= allowed.max(1) {
            return None;
        }
        gone.sort_unstable();
        let token = format!("{}-{:04x}", gone.len(), fnv1a(gone.join("\n").as_bytes()) & 0xffff);
        let why = format!(
            "{} of {} devices are missing from it{}, more than max_shrink = {}: \
             `versweep inventory --confirm {} --list {token}` takes it",
            gone.len(),
            before.len(),
            match elsewhere.len() {
                0 => String::new(),
                renamed => format!(" by their names, {renamed} of them have other names in it"),
            },
            self.source.max_shrink,
            self.source.name
        );
        Some(Pending { list: Arc::clone(new), at, token, why })
    }

    /// The devices that the list in force names, those that can't be used included.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let entries = self.list.as_ref().map(|list| list.entries.iter()).into_iter().flatten();
        entries.filter_map(|entry| entry.text("name"))
    }

    pub(super) fn list(&self) -> Option<&List> {
        self.list.as_deref()
    }

    /// Keeps the list in force on disk; whether it was another one than what is there. Blocks.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn keep(&self, kept: &Kept) -> io::Result<bool> {
        self.list.as_ref().map_or(Ok(false), |list| kept.write(&self.source.name, &list.entries))
    }

    /// As if a list in which something is wrong had been taken.
    pub(super) fn as_if_taken(&self) -> Self {
        Self { list: self.rejected.clone().or_else(|| self.list.clone()), ..self.clone() }
    }

    /// Whether any list is in force.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.list.is_some()
    }

    /// What the last look ran into; nothing where it was good.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Entries that are not used, with the reasons.
    pub fn dropped(&self) -> impl Iterator<Item = &Dropped> {
        self.list.iter().flat_map(|list| list.dropped.iter().chain(&list.checked.dropped))
    }

    /// What was left out of entries that are used, one line each.
    pub fn warnings(&self) -> impl Iterator<Item = &String> {
        self.list.iter().flat_map(|list| &list.checked.warnings)
    }

    /// How many devices the list in force offers.
    #[must_use]
    pub fn devices(&self) -> usize {
        self.list.as_ref().map_or(0, |list| list.offers().len())
    }

    /// The list that waits.
    #[must_use]
    pub fn pending(&self) -> Option<PendingList> {
        let told =
            |waits: &Pending| PendingList { devices: waits.list.offers().len(), token: waits.token.clone() };
        self.pending.as_ref().map(told)
    }

    /// The source as the outside sees it.
    #[must_use]
    pub fn status(&self) -> SourceStatus {
        SourceStatus {
            source: self.source.name.clone(),
            devices: self.devices(),
            dropped: self.dropped().count(),
            pending: self.pending(),
            failure: self.trouble.as_ref().map(|trouble| trouble.kind),
            looked: self.looked,
            good: self.good,
        }
    }
}
