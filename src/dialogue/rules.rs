//! What a visit is for, and the manners of a platform's shell: data from profiles.

use std::sync::Arc;

use super::Search;
use crate::expression::Expression;

/// What a visit is for: commands, the channel to give them on, and the manners of the shell.
#[derive(Debug, Clone, Default)]
pub struct Errand {
    /// The commands, in order.
    pub commands: Arc<[String]>,
    /// Where they are given.
    pub channel: Channel,
    /// What an answer by exec must show to be believed on `Channel::Auto`: one of these. Empty: anything is believed.
    pub marker: Arc<[Expression]>,
    /// The manners of the shell.
    pub rules: Arc<Rules>,
    /// Where the platform isn't certain: what says, after each answer, what is asked next. The commands above are then
    /// none.
    pub search: Option<Search>,
}

impl Errand {
    /// Whatever the search says, one after another.
    #[must_use]
    pub fn searching(search: Search) -> Self {
        Self { channel: Channel::Auto, search: Some(search), ..Self::default() }
    }

    /// Those commands by exec, with the usual manners.
    #[must_use]
    pub fn by_exec(commands: impl Into<Arc<[String]>>) -> Self {
        Self { commands: commands.into(), ..Self::default() }
    }

    /// Those commands in a shell of those manners.
    #[must_use]
    pub fn by_shell(commands: impl Into<Arc<[String]>>, rules: Rules) -> Self {
        Self { commands: commands.into(), channel: Channel::Shell, rules: Arc::new(rules), ..Self::default() }
    }

    /// Whether an output of exec shows what it must.
    #[must_use]
    pub fn is_sound(&self, output: &str) -> bool {
        self.marker.is_empty() || self.marker.iter().any(|marker| marker.is_match(output))
    }
}

/// Where commands are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    /// Each on an exec channel of its own.
    #[default]
    Exec,
    /// At the prompt of a shell with a terminal.
    Shell,
    /// By exec; where the device refuses that or answers something else, in a shell on the same connection.
    Auto,
}

impl Channel {
    /// The name used in profiles.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Shell => "shell",
            Self::Auto => "auto",
        }
    }
}

/// What Enter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Submit {
    /// `\n`.
    #[default]
    Lf,
    /// `\r`.
    Cr,
    /// `\r\n`.
    CrLf,
}

impl Submit {
    /// As it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::Cr => "\r",
            Self::CrLf => "\r\n",
        }
    }
}

/// The manners of a platform's shell. What is left at its default is learned from the device.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The terminal's width, in characters.
    pub columns: u32,
    /// The terminal's height, in lines. A tall one makes many pagers keep quiet.
    pub rows: u32,
    /// What Enter is.
    pub submit: Submit,
    /// What a prompt must match, whole and without blanks around it. Without it, what looks like one is one.
    pub prompt: Option<Expression>,
    /// Commands of the session's own, given before the others; an error is no failure. Such as one that switches the
    /// pager off.
    pub setup: Vec<String>,
    /// Pagers beyond the known ones: what their line matches, and the key that goes on.
    pub pagers: Vec<(Expression, String)>,
    /// Pages before the first prompt beyond the known ones: what their line matches, and what is sent, with its Enter
    /// where one is wanted.
    pub pages: Vec<(Expression, String)>,
    /// The command that raises a user prompt (`>`) where the commands need it.
    pub enable: Option<String>,
    /// The command that ends the session. Empty: none.
    pub logout: String,
    /// What is asked at the logout, and what is sent then.
    pub confirmations: Vec<(Expression, String)>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            columns: 511,
            rows: 1000,
            submit: Submit::Lf,
            prompt: None,
            setup: Vec::new(),
            pagers: Vec::new(),
            pages: Vec::new(),
            enable: None,
            logout: "exit".to_owned(),
            confirmations: Vec::new(),
        }
    }
}

impl Rules {
    /// The answer of the first of the pairs that the line matches.
    pub(super) fn answer<'a>(pairs: &'a [(Expression, String)], line: &str) -> Option<&'a str> {
        pairs.iter().find(|(regex, _)| regex.is_match(line.trim())).map(|(_, answer)| answer.as_str())
    }
}
