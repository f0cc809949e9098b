//! Commands, each on an exec channel of its own within the one session.

use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, Error};
use tokio::time::{Instant, timeout_at};

use crate::device::Device;
use crate::dialogue::printed_too_much;
use crate::failure::{FailureKind, Stage};
use crate::transport::{Session, TransportError};

use super::client::Client;
use super::errors::{fail, lost};
use super::facts::{End, SharedFacts};
use super::text::plain;

/// How much of a broken-off output is kept.
pub(super) const PARTIAL_MAX: usize = 64 * 1024;

/// How long after the end of the output the exit status and the channel's close are waited for: some devices send
/// neither.
const CLOSE_WAIT: Duration = Duration::from_millis(500);

/// Runs the commands in order.
pub(super) async fn run_all(
    session: &Handle<Client>,
    commands: &[String],
    device: &Device,
    limit: usize,
    facts: &SharedFacts,
) -> Result<Vec<String>, TransportError> {
    let mut outputs = Vec::with_capacity(commands.len());
    for command in commands {
        if session.is_closed() {
            let done = outputs.len();
            let doing =
                format!("after {done} of {} commands; it takes one command a connection", commands.len());
            return Err(lost(Stage::Command, facts, &doing));
        }
        outputs.push(run(session, command, device, limit, facts).await?);
    }
    Ok(outputs)
}

/// Runs one command.
pub(super) async fn run(
    session: &Handle<Client>,
    command: &str,
    device: &Device,
    limit: usize,
    facts: &SharedFacts,
) -> Result<String, TransportError> {
    let mut exec = Exec { command, limit, facts, output: Vec::new(), progress: Progress::default() };
    let deadline = Instant::now() + device.timeouts.command;
    let result = match timeout_at(deadline, exec.run(session)).await {
        Ok(result) => result,
        // Late by its channel's close only: the output is whole.
        Err(_) if exec.progress.ended => Ok(()),
        Err(_) => {
            let limit = device.timeouts.command;
            let detail = format!("\"{command}\" was not done within the command timeout of {limit:?}");
            Err(fail(FailureKind::Timeout, Stage::Command, &detail))
        }
    };
    match result {
        Ok(()) => Ok(String::from_utf8_lossy(&exec.output).into_owned()),
        Err(error) => Err(TransportError { partial_output: exec.partial(), ..error }),
    }
}

/// One command on its way.
struct Exec<'a> {
    command: &'a str,
    limit: usize,
    facts: &'a SharedFacts,
    output: Vec<u8>,
    progress: Progress,
}

#[derive(Default)]
struct Progress {
    /// The device has said that no more output comes: by EOF, by closing the channel, or by an exit status.
    ended: bool,
}

impl Exec<'_> {
    async fn run(&mut self, session: &Handle<Client>) -> Result<(), TransportError> {
        let opened = session.channel_open_session().await;
        let what = format!("\"{}\"", self.command);
        let mut channel = opened.map_err(|error| not_opened(&error, &what, self.facts))?;
        self.record(|session| session.sent(format!("{}\n", self.command).as_bytes()));
        if channel.exec(true, self.command).await.is_err() {
            return Err(self.broken_off());
        }
        while let Some(message) = channel.wait().await {
            match message {
                // Devices print errors on either stream.
                ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => self.take(&data)?,
                ChannelMsg::Failure => return Err(self.refused()),
                ChannelMsg::ExitStatus { exit_status } => self.exit(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    let name = self.facts.quoted(&format!("{signal_name:?}"), 80);
                    self.note(&format!("ended by signal {name}"));
                }
                ChannelMsg::Close => return Ok(()),
                ChannelMsg::Eof => {
                    self.progress.ended = true;
                    let by = Instant::now() + CLOSE_WAIT;
                    let _ = timeout_at(by, self.after_the_output(&mut channel)).await;
                    return Ok(());
                }
                _ => {}
            }
        }
        if self.progress.ended || self.said_farewell() { Ok(()) } else { Err(self.broken_off()) }
    }

    /// What comes between EOF and close: an exit status where the device sends one.
    async fn after_the_output(&mut self, channel: &mut Channel<Msg>) {
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::ExitStatus { exit_status } => self.exit(exit_status),
                ChannelMsg::Close => return,
                _ => {}
            }
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), TransportError> {
        self.record(|session| session.received(data));
        let room = self.limit.saturating_sub(self.output.len());
        if let Some(part) = data.get(..room).filter(|part| part.len() < data.len()) {
            self.output.extend_from_slice(part);
            let detail = printed_too_much(self.command, self.limit);
            return Err(fail(FailureKind::OutputLimit, Stage::Command, &detail));
        }
        self.output.extend_from_slice(data);
        Ok(())
    }

    /// An exit status other than 0 is no error of the transport's: the parser judges by the text.
    fn exit(&mut self, status: u32) {
        self.progress.ended = true;
        if status != 0 {
            self.note(&format!("exit status {status}"));
        }
    }

    fn note(&self, what: &str) {
        let note = format!("\"{}\": {what}", plain(self.command, 100));
        self.facts.with(|facts| facts.notes.push(note));
    }

    /// Whether the server ended the whole session in an orderly way after printing something, as some network gear does
    /// instead of closing the channel.
    fn said_farewell(&self) -> bool {
        let farewell = self.facts.with(|facts| facts.ended.as_ref().is_some_and(|e| e.how == End::Farewell));
        farewell && !self.output.is_empty()
    }

    fn record(&self, act: impl FnOnce(&mut Session)) {
        self.facts.with(|facts| {
            if let Some(session) = &mut facts.session {
                act(session);
            }
        });
    }

    fn refused(&self) -> TransportError {
        let detail = format!(
            "the device refused to run \"{}\": may this user run commands, does the device offer exec?",
            self.command
        );
        fail(FailureKind::Denied, Stage::Command, &detail)
    }

    fn broken_off(&self) -> TransportError {
        lost(Stage::Command, self.facts, &format!("before the output of \"{}\" was complete", self.command))
    }

    fn partial(&self) -> Option<String> {
        let mut kept = self.facts.redacted(String::from_utf8_lossy(&self.output).into_owned());
        kept.truncate(kept.floor_char_boundary(PARTIAL_MAX));
        (!kept.is_empty()).then_some(kept)
    }
}

/// Why no channel was opened for `what`.
pub(super) fn not_opened(error: &Error, what: &str, facts: &SharedFacts) -> TransportError {
    let Error::ChannelOpenFailure(reason) = error else {
        let doing = format!("before {what} could be asked for; does it take several commands a session?");
        return lost(Stage::Command, facts, &doing);
    };
    let kind = match reason {
        ChannelOpenFailure::AdministrativelyProhibited => FailureKind::Denied,
        _ => FailureKind::Command,
    };
    let said = facts.with(|facts| facts.refused_channel.take()).unwrap_or_default();
    let detail =
        format!("the device opened no channel ({reason:?}: \"{said}\"); may this user run commands?");
    fail(kind, Stage::Command, &detail)
}
