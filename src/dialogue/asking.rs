//! The part of a dialogue in which a search says what is asked: what it is told, and what becomes of its word.

use std::sync::Arc;

use super::{Dialogue, Errand, GREETING_KEPT, Next, Search, Shown, Step};

/// A search that goes on.
#[derive(Debug)]
pub(super) struct Asking {
    search: Search,
    shown: Shown,
    /// What it had asked so far.
    commands: Vec<String>,
}

impl Asking {
    pub(super) fn new(search: &Search, shown: Shown) -> Self {
        Self { search: search.clone(), shown: Shown { answers: Vec::new(), ..shown }, commands: Vec::new() }
    }
}

impl Dialogue {
    /// All steps are taken: the search is told what has come until here, and says what to do next. Where a line of an
    /// answer only looked like the prompt, the answer is not whole yet; the search then sees the rest at its next turn.
    pub(super) fn ask_the_search(&mut self, prompt: &str, here: usize) {
        let Some(mut asking) = self.search.take() else { return };
        if asking.shown.prompt.is_none() {
            let greeting = self.screen.done();
            let from = greeting.ceil_char_boundary(greeting.len().saturating_sub(GREETING_KEPT));
            asking.shown.banner += greeting.get(from..).unwrap_or_default();
        }
        asking.shown.prompt = Some(prompt.trim().to_owned());
        let unfinished = self.previous.as_ref().filter(|previous| previous.is_command);
        let unfinished = unfinished.map(|previous| {
            self.screen.done().get(previous.start.min(here)..here).unwrap_or_default().to_owned()
        });
        let answers = self.outputs.iter().cloned().chain(unfinished);
        asking.shown.answers = asking.commands.iter().cloned().zip(answers).collect();
        match asking.search.next(&asking.shown) {
            Next::Ask { command, as_of } => {
                let is_first = asking.commands.is_empty();
                asking.commands.push(command.clone());
                self.search = Some(asking);
                if let Some(errand) = as_of {
                    self.take_manners(&errand, is_first);
                }
                self.steps.push_back(Step::Command(command));
            }
            Next::Enough => {
                let logout = self.rules.logout.clone();
                self.steps.extend((!logout.is_empty()).then_some(Step::Logout(logout)));
            }
        }
    }

    /// From now on the device is spoken to as one of that platform.
    fn take_manners(&mut self, errand: &Errand, at_the_beginning: bool) {
        self.rules = Arc::clone(&errand.rules);
        if at_the_beginning {
            self.steps.extend(self.rules.enable.iter().cloned().map(Step::Enable));
            self.steps.extend(self.rules.setup.iter().cloned().map(Step::Setup));
        }
    }
}
