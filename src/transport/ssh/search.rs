//! A device whose platform isn't certain: what it is asked, and on which channel, follows from what it shows. All
//! within the one login.

use russh::client::Handle;

use super::client::Client;
use super::exec;
use super::facts::SharedFacts;
use super::keys::Login;
use super::shell;
use crate::device::Device;
use crate::dialogue::{Channel, Errand, Next, Search, Shown};
use crate::failure::FailureKind;
use crate::transport::TransportError;

/// One search within one session.
pub(super) struct Searching<'a> {
    pub(super) session: &'a Handle<Client>,
    pub(super) search: &'a Search,
    pub(super) login: &'a Login,
    pub(super) device: &'a Device,
    pub(super) limit: usize,
    pub(super) facts: &'a SharedFacts,
}

/// What came of commands by exec.
enum ByExec {
    /// All that was to be asked.
    Whole(Vec<String>),
    /// The answers of something other than the device was taken for.
    Doubtful(Vec<String>),
}

impl Searching<'_> {
    /// By exec where what the device has shown so far says what it is and that exec serves there. Else in a shell, whose
    /// prompt tells more. By exec again where there is no shell.
    pub(super) async fn run(self) -> Result<Vec<String>, TransportError> {
        let taken_for = match self.search.next(&self.shown()) {
            Next::Ask { as_of, .. } => as_of,
            Next::Enough => None,
        };
        let mut kept = None;
        if taken_for.as_ref().is_some_and(|errand| errand.channel != Channel::Shell) {
            match self.by_exec(true).await {
                Ok(ByExec::Whole(outputs)) => return Ok(outputs),
                Ok(ByExec::Doubtful(outputs)) => kept = Some(Ok(outputs)),
                Err(error) if error.kind == FailureKind::Denied => kept = Some(Err(error)),
                Err(error) => return Err(error),
            }
        }
        let why = match &kept {
            Some(Ok(_)) => "exec gave another answer than the platform's",
            Some(Err(_)) => "the device refused exec",
            None => "the prompt tells more of the platform",
        };
        if let Some(kept) = kept.take_if(|_| self.session.is_closed()) {
            self.note(format!("{why} and the connection ended: no shell was tried"));
            return kept;
        }
        self.note(format!("{why}: a shell was tried"));
        let manners = taken_for.map(|errand| errand.rules.clone()).unwrap_or_default();
        let errand = Errand { rules: manners, ..Errand::searching(self.search.clone()) };
        let by_shell =
            shell::run_all(self.session, &errand, self.login, self.device, self.limit, self.facts).await;
        match (by_shell, kept) {
            // What exec gave is at least an answer: what is wrong with it will be told.
            (Err(error), Some(Ok(outputs))) => {
                self.note(format!("the shell came to nothing: {}", error.detail));
                Ok(outputs)
            }
            (Err(error), None) if has_no_shell(&error) && !self.session.is_closed() => {
                self.note(format!("the shell came to nothing: {}", error.detail));
                match self.by_exec(false).await? {
                    ByExec::Whole(outputs) | ByExec::Doubtful(outputs) => Ok(outputs),
                }
            }
            (result, _) => result,
        }
    }

    /// Asks by exec whatever the search says, until it has enough or, where that is wished, no longer knows whom it asks.
    async fn by_exec(&self, only_while_certain: bool) -> Result<ByExec, TransportError> {
        let mut shown = self.shown();
        loop {
            let outputs = |shown: Shown| shown.answers.into_iter().map(|(_, answer)| answer).collect();
            let (command, certain) = match self.search.next(&shown) {
                Next::Ask { command, as_of } => {
                    let serves = as_of.is_some_and(|errand| errand.channel != Channel::Shell);
                    (command, serves)
                }
                Next::Enough => return Ok(ByExec::Whole(outputs(shown))),
            };
            if only_while_certain && !certain {
                return Ok(ByExec::Doubtful(outputs(shown)));
            }
            if self.session.is_closed() {
                // A device that ends the session after one command has said what it had to say.
                return Ok(ByExec::Doubtful(outputs(shown)));
            }
            let answer = exec::run(self.session, &command, self.device, self.limit, self.facts).await?;
            shown.answers.push((command, answer));
        }
    }

    fn shown(&self) -> Shown {
        self.facts.with(|facts| facts.shown())
    }

    fn note(&self, note: String) {
        self.facts.with(|facts| facts.notes.push(note));
    }
}

/// Whether the failure says that there is no shell to talk to, rather than that the talk failed. A shell that has said
/// nothing at all is none.
fn has_no_shell(error: &TransportError) -> bool {
    match error.kind {
        FailureKind::Denied | FailureKind::Command | FailureKind::Disconnected => true,
        FailureKind::Prompt => error.partial_output.is_none(),
        _ => false,
    }
}
