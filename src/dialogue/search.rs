//! Finding out, within one login, what a device is to be asked: the dialogue tells what it has seen, and something that
//! knows platforms says what is asked next.

use std::fmt;
use std::sync::Arc;

use super::Errand;

/// How much of what a device says before it is asked anything is kept.
pub const GREETING_KEPT: usize = 16 * 1024;

/// What a device has shown of itself within one login so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The server's SSH identification string.
    pub ident: String,
    /// What it said before anybody logged in, and what its shell said before the first prompt.
    pub banner: String,
    /// The prompt, once a shell has shown one.
    pub prompt: Option<String>,
    /// The commands that were given, each with its answer.
    pub answers: Vec<(String, String)>,
}

impl Shown {
    /// All answers as one text, in the order in which they were given.
    #[must_use]
    pub fn text(&self) -> String {
        let answers: Vec<&str> = self.answers.iter().map(|(_, answer)| answer.as_str()).collect();
        answers.join("\n")
    }
}

/// What is asked next.
#[derive(Debug, Clone)]
pub enum Next {
    /// This command.
    Ask {
        /// The command.
        command: String,
        /// The errand of the platform that the device is taken for; absent where several are as likely.
        as_of: Option<Arc<Errand>>,
    },
    /// Nothing: what can be known is known.
    Enough,
}

/// Says what is asked next. It keeps nothing: the same has the same answer.
#[derive(Clone)]
pub struct Search(Arc<dyn Fn(&Shown) -> Next + Send + Sync>);

impl Search {
    /// A search by that rule. It must come to [`Next::Enough`] after some answers, whatever they are.
    #[must_use]
    pub fn by(rule: impl Fn(&Shown) -> Next + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    /// What is asked after all that.
    #[must_use]
    pub fn next(&self, shown: &Shown) -> Next {
        (self.0)(shown)
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Search")
    }
}
