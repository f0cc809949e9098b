//! Commands at the prompt of a shell: a terminal, one channel, and the dialogue that decides what is said on it.

use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, Error};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use crate::device::Device;
use crate::dialogue::{Action, Dialogue, Errand, Event, Secret};
use crate::failure::{FailureKind, Stage};
use crate::transport::TransportError;

use super::client::Client;
use super::errors::{fail, lost};
use super::exec::{self, PARTIAL_MAX};
use super::facts::SharedFacts;
use super::keys::Login;
use super::text::tail;

/// How long a device that was going to write may take for it, before a pause is one. It only counts where a dialogue
/// stands still; each pause in a row is twice as long as the one before.
const QUIET: Duration = Duration::from_secs(2);

/// How long after the logout the device's closing of the shell is waited for.
const CLOSE_WAIT: Duration = Duration::from_millis(500);

/// How much of a device's line is quoted in a failure.
const QUOTE_MAX: usize = 80;

/// What terminal is asked for: the plainest one that all devices know.
const TERMINAL: &str = "vt100";

/// Opens a shell and gives the errand's commands.
pub(super) async fn run_all(
    session: &Handle<Client>,
    errand: &Errand,
    login: &Login,
    device: &Device,
    limit: usize,
    facts: &SharedFacts,
) -> Result<Vec<String>, TransportError> {
    let dialogue = match &errand.search {
        None => Dialogue::new(&errand.rules, &errand.commands, limit),
        Some(search) => Dialogue::searching(search, facts.with(|facts| facts.shown()), &errand.rules, limit),
    };
    let searching = errand.search.is_some();
    let mut shell = Shell { dialogue, login, device, facts, requests: 0, searching, heard: false };
    facts.with(|facts| {
        if let Some(session) = &mut facts.session {
            session.in_shell();
        }
    });
    let result = shell.run(session, errand).await;
    shell.note();
    result.map_err(|error| TransportError { partial_output: shell.partial(), ..error })
}

struct Shell<'a> {
    dialogue: Dialogue,
    login: &'a Login,
    device: &'a Device,
    facts: &'a SharedFacts,
    /// Requests that the device has answered: first for the terminal, then for the shell.
    requests: u8,
    /// There may be another way to ask than this shell.
    searching: bool,
    /// The device has said something in the shell, be it a line end.
    heard: bool,
}

/// What goes on.
enum Next {
    Talk,
    Done(Vec<String>),
}

impl Shell<'_> {
    async fn run(
        &mut self,
        session: &Handle<Client>,
        errand: &Errand,
    ) -> Result<Vec<String>, TransportError> {
        let by = Instant::now() + self.device.timeouts.command;
        let opened = timeout_at(by, self.open(session, errand)).await;
        let mut channel = opened.unwrap_or_else(|_| Err(self.late()))?;
        let outputs = self.talk(&mut channel).await?;
        let _ = timeout_at(Instant::now() + CLOSE_WAIT, self.farewell(&mut channel)).await;
        Ok(outputs)
    }

    /// The requests go out together: waiting for each would cost a round trip each.
    async fn open(&self, session: &Handle<Client>, errand: &Errand) -> Result<Channel<Msg>, TransportError> {
        let opened = session.channel_open_session().await;
        let channel = opened.map_err(|error| exec::not_opened(&error, "a shell", self.facts))?;
        let (columns, rows) = (errand.rules.columns, errand.rules.rows);
        let asked = async {
            channel.request_pty(true, TERMINAL, columns, rows, 0, 0, &[]).await?;
            channel.request_shell(true).await
        };
        match asked.await {
            Ok(()) => Ok(channel),
            Err(_) => Err(lost(Stage::Command, self.facts, "before a shell was open")),
        }
    }

    /// Until all commands are answered. Each step has the command timeout.
    async fn talk(&mut self, channel: &mut Channel<Msg>) -> Result<Vec<String>, TransportError> {
        let patience = self.device.timeouts.command;
        let mut deadline = Instant::now() + patience;
        // Who doesn't know the platform leaves a shell that says nothing at all in time to ask by exec.
        let silent_by = Instant::now() + patience / 2;
        let mut quiet = QUIET;
        loop {
            let given = self.dialogue.steps_given();
            let limit = if self.searching && !self.heard { silent_by } else { deadline };
            let pause = limit.min(Instant::now() + quiet);
            let actions = match timeout_at(pause, channel.wait()).await {
                Ok(message) => {
                    quiet = QUIET;
                    self.hear(message)?
                }
                Err(_) if Instant::now() >= limit => return Err(self.late()),
                Err(_) => {
                    quiet *= 2;
                    self.dialogue.step(Event::Quiet)
                }
            };
            if let Next::Done(outputs) = self.act(channel, actions).await? {
                return Ok(outputs);
            }
            if self.dialogue.steps_given() != given {
                deadline = Instant::now() + patience;
            }
        }
    }

    /// After the last answer: the questions of the logout, until the device closes the shell.
    async fn farewell(&mut self, channel: &mut Channel<Msg>) {
        while let Some(message) = channel.wait().await {
            if matches!(message, ChannelMsg::Eof | ChannelMsg::Close) {
                return;
            }
            let Ok(actions) = self.hear(Some(message)) else { return };
            if self.act(channel, actions).await.is_err() {
                return;
            }
        }
    }

    fn hear(&mut self, message: Option<ChannelMsg>) -> Result<Vec<Action>, TransportError> {
        Ok(match message {
            Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                self.heard = true;
                self.record(|session| session.received(&data));
                self.dialogue.step(Event::Bytes(&data))
            }
            Some(ChannelMsg::Success) => {
                self.requests += 1;
                Vec::new()
            }
            Some(ChannelMsg::Failure) => {
                self.requests += 1;
                if self.requests > 1 {
                    let detail = "the device offers no shell to this user: may it log in there?";
                    return Err(fail(FailureKind::Denied, Stage::Command, detail));
                }
                self.facts.with(|facts| facts.notes.push("the device gives no terminal".to_owned()));
                Vec::new()
            }
            Some(ChannelMsg::Eof | ChannelMsg::Close) => self.dialogue.step(Event::Closed),
            None => {
                let actions = self.dialogue.step(Event::Closed);
                if !matches!(actions[..], [Action::Done(_)]) {
                    return Err(lost(Stage::Command, self.facts, "in the middle of the shell's dialogue"));
                }
                actions
            }
            Some(_) => Vec::new(),
        })
    }

    async fn act(&self, channel: &Channel<Msg>, actions: Vec<Action>) -> Result<Next, TransportError> {
        let mut next = Next::Talk;
        for action in actions {
            match action {
                Action::Send(bytes) => {
                    self.record(|session| session.sent(&bytes));
                    self.sent(channel.data_bytes(bytes).await, &next)?;
                }
                Action::SendSecret(which, enter) => {
                    self.record(|session| session.sent_secret(&enter));
                    let bytes = [self.secret(which)?.expose_secret().as_bytes(), &enter].concat();
                    self.sent(channel.data_bytes(bytes).await, &next)?;
                }
                Action::Done(outputs) => next = Next::Done(outputs),
                Action::Fail(kind, detail, said) if said.is_empty() => {
                    return Err(fail(kind, Stage::Command, &detail));
                }
                Action::Fail(kind, detail, said) => {
                    let said = self.facts.quoted(&said, QUOTE_MAX);
                    return Err(fail(kind, Stage::Command, &format!("{detail}: \"{said}\"")));
                }
            }
        }
        Ok(next)
    }

    /// What can't be sent any more matters only as long as something is wanted.
    fn sent(&self, result: Result<(), Error>, next: &Next) -> Result<(), TransportError> {
        match (result, next) {
            (Err(_), Next::Talk) if self.dialogue.has_more() => {
                Err(lost(Stage::Command, self.facts, "in the middle of the shell's dialogue"))
            }
            _ => Ok(()),
        }
    }

    fn secret(&self, which: Secret) -> Result<SecretString, TransportError> {
        let credential = &self.device.credential;
        let missing = |kind, what: &str| {
            fail(
                kind,
                Stage::Command,
                &format!("the shell asks for {what}: give credential {credential} one"),
            )
        };
        match which {
            Secret::Username => Ok(self.login.username.clone().into()),
            Secret::Password => {
                self.login.password.clone().ok_or_else(|| missing(FailureKind::Auth, "a password"))
            }
            Secret::Enable => {
                let enable = self.login.enable.clone();
                enable.ok_or_else(|| missing(FailureKind::Denied, "an enable password"))
            }
        }
    }

    fn record(&self, act: impl FnOnce(&mut crate::transport::Session)) {
        self.facts.with(|facts| {
            if let Some(session) = &mut facts.session {
                act(session);
            }
        });
    }

    /// The command timeout has passed.
    fn late(&self) -> TransportError {
        let limit = self.device.timeouts.command;
        let said = self.dialogue.unread();
        let last = self.facts.quoted(said.trim().lines().last().unwrap_or_default(), QUOTE_MAX);
        match self.dialogue.running() {
            Some(command) => {
                let detail = format!(
                    "\"{command}\" was not done within the command timeout of {limit:?}; the device said last: \"{last}\""
                );
                fail(FailureKind::Timeout, Stage::Command, &detail)
            }
            None if self.searching && !self.heard => {
                let detail = format!("the shell said nothing within half the command timeout of {limit:?}");
                fail(FailureKind::Prompt, Stage::Command, &detail)
            }
            None => {
                let detail = format!(
                    "no prompt within the command timeout of {limit:?}; the device said last: \"{last}\"; set `prompt` or a `page` in the profile's [shell]"
                );
                fail(FailureKind::Prompt, Stage::Command, &detail)
            }
        }
    }

    fn note(&self) {
        let (prompt, turns) =
            (self.dialogue.prompt().map(|p| self.facts.quoted(p, 160)), self.dialogue.pager_turns());
        self.facts.with(|facts| {
            let known = prompt.as_deref().unwrap_or("none");
            facts.notes.push(format!("shell: prompt \"{known}\", {turns} pager turns"));
            if let Some(session) = &mut facts.session {
                session.prompt = prompt;
                session.pager_turns = turns;
            }
        });
    }

    fn partial(&self) -> Option<String> {
        let said = self.facts.redacted(self.dialogue.unread());
        let kept = tail(&said, PARTIAL_MAX);
        (!kept.trim().is_empty()).then(|| kept.to_owned())
    }
}
