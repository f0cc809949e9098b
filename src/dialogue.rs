//! The conversation with a device's shell, free of any I/O: bytes in, what to send out.
//!
//! How prompts are learned, without a round trip of their own: what stands at the end of the device's greeting and looks
//! like a prompt is answered with the first command. The device then writes its prompt and the command's echo on one line,
//! and that line says for certain what the prompt is and where the answer begins. The end of an answer is found in the
//! same way: a line that is the prompt is answered with the next command, the last one with the logout, and the echo
//! of that shows that the answer was whole. So a line of an answer that looks like the prompt doesn't cut it short.
//! Only where a device shows no echo is the look of a line all there is; and only where nothing comes at all do pauses
//! count, which the caller tells of ([`Event::Quiet`]).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::failure::FailureKind;

mod ask;
mod asking;
mod conversation;
mod farewell;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod prompt;
mod rules;
mod screen;
mod search;

use asking::Asking;
pub use rules::{Channel, Errand, Rules, Submit};
use screen::{Screen, Seen};
pub use search::{GREETING_KEPT, Next, Search, Shown};

/// The most that a device may say before its first prompt. The longest banners are some screens long.
const GREETING_MAX: usize = 256 * 1024;

/// How much more than its text an output may have in escapes and overwriting.
const RAW_FACTOR: usize = 4;

/// How often a pause is answered with Enter before the first prompt, and a lost command given again.
const NUDGES_MAX: u8 = 2;

/// How many pages before the first prompt are answered.
const PAGES_MAX: u8 = 8;

/// How many pages of a pager are asked for: more would be an output far beyond any limit.
const PAGER_TURNS_MAX: u32 = 20_000;

/// How many questions about the terminal are answered.
const REPORTS_MAX: u8 = 8;

/// What happens on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The device has sent these bytes.
    Bytes(&'a [u8]),
    /// Nothing has come for a while: long enough for a device that was going to write to have done so.
    Quiet,
    /// The device has closed the shell.
    Closed,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send that secret and then these bytes; what is sent must be neither recorded nor logged.
    SendSecret(Secret, Vec<u8>),
    /// All commands are answered: their outputs, in order. The logout has been sent; its questions are still answered.
    Done(Vec<String>),
    /// The conversation can't go on: what happened and what to do, and the line that the device said of it, where it said
    /// one. The line is neither cut nor made printable: a secret that it may hold is to be taken out before.
    Fail(FailureKind, String, String),
}

/// Something that only the caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// The user's name, where the shell asks for it. No secret, but the caller's.
    Username,
    /// The password, where the shell asks for it.
    Password,
    /// What raises the user's rights.
    Enable,
}

/// One conversation.
#[derive(Debug)]
pub struct Dialogue {
    rules: Arc<Rules>,
    limit: usize,
    screen: Screen,
    steps: VecDeque<Step>,
    /// What says which commands come after those steps.
    search: Option<Asking>,
    sent: Option<Sent>,
    previous: Option<Previous>,
    /// What looked like the prompt, and later what was one.
    prompt: Option<String>,
    echo: Echo,
    outputs: Vec<String>,
    asked: Asked,
    /// The line that was answered last, so that blanks after it are not taken for another question.
    answered: Option<String>,
    /// The key for a pager's line that was finished before it could be answered.
    overrun: Option<String>,
    given: usize,
    /// Bytes since the last command was given.
    raw: usize,
    progress: Progress,
    actions: Vec<Action>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Talking,
    /// `Done` or `Fail` has been told; only the logout's questions are still answered.
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Enable(String),
    Setup(String),
    Command(String),
    Logout(String),
}

impl Step {
    fn text(&self) -> &str {
        match self {
            Self::Enable(text) | Self::Setup(text) | Self::Command(text) | Self::Logout(text) => text,
        }
    }
}

/// What the device is answering.
#[derive(Debug)]
struct Sent {
    step: Step,
    /// How much of the screen was finished when it was sent, and what stood on the present line.
    at: usize,
    line: String,
    /// Where its answer begins, once its echo was seen; else it begins at `at`.
    answer: Option<usize>,
    /// Whether the prompt stood before the echo.
    certain: bool,
}

/// The step before, whose end is not certain until the echo of the next one is seen.
#[derive(Debug)]
struct Previous {
    is_command: bool,
    start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Echo {
    Unknown,
    Yes,
    No,
}

#[derive(Debug, Default)]
struct Asked {
    username: bool,
    password: bool,
    enable: bool,
    pages: u8,
    nudges: u8,
    reports: u8,
    confirmations: u8,
    logouts: u8,
    pager_turns: u32,
    /// The line that Enter was sent after.
    nudged_at: Option<String>,
}

impl Dialogue {
    /// A conversation that gives `commands`, each of which may print at most `limit` bytes.
    #[must_use]
    pub fn new(rules: &Arc<Rules>, commands: &[String], limit: usize) -> Self {
        let enable = rules.enable.iter().cloned().map(Step::Enable);
        let setup = rules.setup.iter().cloned().map(Step::Setup);
        let commands = commands.iter().cloned().map(Step::Command);
        let logout = (!rules.logout.is_empty()).then(|| Step::Logout(rules.logout.clone()));
        Self {
            steps: enable.chain(setup).chain(commands).chain(logout).collect(),
            search: None,
            rules: Arc::clone(rules),
            limit,
            screen: Screen::default(),
            sent: None,
            previous: None,
            prompt: None,
            echo: Echo::Unknown,
            outputs: Vec::new(),
            asked: Asked::default(),
            answered: None,
            overrun: None,
            given: 0,
            raw: 0,
            progress: Progress::Talking,
            actions: Vec::new(),
        }
    }

    /// A conversation in which `search` says what is asked, beginning with what the device has shown before its shell.
    #[must_use]
    pub fn searching(search: &Search, shown: Shown, rules: &Arc<Rules>, limit: usize) -> Self {
        let quiet = Self::new(rules, &[], limit);
        Self { steps: VecDeque::new(), search: Some(Asking::new(search, shown)), ..quiet }
    }

    /// Takes in what happened; what is to be done about it, in order. After `Done` and `Fail` there is no other of them.
    pub fn step(&mut self, event: Event<'_>) -> Vec<Action> {
        match event {
            Event::Bytes(bytes) => {
                for byte in bytes {
                    self.hear(*byte);
                }
                self.pause();
            }
            Event::Quiet => self.quiet(),
            Event::Closed => self.closed(),
        }
        std::mem::take(&mut self.actions)
    }

    /// The prompt, once it is known; bounded, free of control characters.
    #[must_use]
    pub fn prompt(&self) -> Option<&str> {
        self.prompt.as_deref().filter(|_| self.greeted())
    }

    /// How many pages of a pager were asked for.
    #[must_use]
    pub fn pager_turns(&self) -> u32 {
        self.asked.pager_turns
    }

    /// The command that the device is answering.
    #[must_use]
    pub fn running(&self) -> Option<&str> {
        let sent = self.sent.as_ref().filter(|_| self.greeted())?;
        Some(sent.step.text())
    }

    /// How many commands were given, those of the session's own included.
    #[must_use]
    pub fn steps_given(&self) -> usize {
        self.given
    }

    /// Whether a command has yet to be given, the logout included.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.steps.is_empty() || self.search.is_some()
    }

    /// What the device has said that is not in an output yet. The caps on greetings and outputs bound it.
    #[must_use]
    pub fn unread(&self) -> String {
        format!("{}{}", self.screen.done(), self.screen.line())
    }

    fn hear(&mut self, byte: u8) {
        self.raw += 1;
        match self.screen.feed(byte) {
            Seen::Line => {}
            Seen::Newline => self.newline(),
            Seen::WhoAreYou => self.report("\u{1b}[?1;2c".to_owned()),
            Seen::WhereIsTheCursor => {
                self.report(format!("\u{1b}[{};{}R", self.rules.rows, self.rules.columns))
            }
        }
        self.check_bounds();
    }

    /// Answers a question about the terminal, without which some devices don't begin.
    fn report(&mut self, answer: String) {
        if self.asked.reports < REPORTS_MAX && self.progress == Progress::Talking {
            self.asked.reports += 1;
            self.actions.push(Action::Send(answer.into_bytes()));
        }
    }

    fn check_bounds(&mut self) {
        if self.progress == Progress::Over {
            return;
        }
        let length = self.screen.done().len() + self.screen.line_len();
        if self.greeted() {
            let kept = self.sent.as_ref().map_or(0, |sent| sent.answer.unwrap_or(sent.at));
            let max = self.limit;
            if length.saturating_sub(kept) > max || self.raw > max.saturating_mul(RAW_FACTOR) {
                let running = self.running().unwrap_or_default();
                let detail = printed_too_much(running, max);
                self.fail(FailureKind::OutputLimit, detail);
            }
        } else if length > GREETING_MAX || self.raw > GREETING_MAX * RAW_FACTOR {
            let detail = format!(
                "no prompt within the first {GREETING_MAX} bytes of the shell; is the banner endless?"
            );
            self.fail(FailureKind::Prompt, detail);
        }
    }

    /// Whether the first prompt is behind.
    fn greeted(&self) -> bool {
        self.echo != Echo::Unknown || self.previous.is_some()
    }

    fn fail(&mut self, kind: FailureKind, detail: String) {
        self.fail_over(kind, detail, String::new());
    }

    /// The same over what the device said.
    fn fail_over(&mut self, kind: FailureKind, detail: String, said: String) {
        if self.progress == Progress::Talking {
            self.progress = Progress::Over;
            self.actions.push(Action::Fail(kind, detail, said));
        }
    }
}

/// How an output beyond its cap is told, whichever channel it came by.
#[must_use]
pub fn printed_too_much(command: &str, max: usize) -> String {
    format!("\"{command}\" printed more than {max} bytes: is it the right command for this platform?")
}

#[cfg(test)]
mod tests;
