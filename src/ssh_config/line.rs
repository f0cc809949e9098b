//! One line of the file: its keyword, its words, what they mean.

use crate::device::SshAlgorithms;
use crate::wildcard;

/// The keywords with lists of algorithms, in lower case.
const ALGORITHM_LISTS: [&str; 6] = [
    "kexalgorithms",
    "hostkeyalgorithms",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "ciphers",
    "macs",
];

/// What others can be expected to rely on, and what is said about it. In lower case.
const NOT_FOLLOWED: [(&str, &str, &str); 5] = [
    ("proxycommand", "ProxyCommand", "is not run: name a jump host, by ProxyJump or `jump`"),
    ("include", "Include", "is not followed: name the whole file in [ssh] config"),
    ("hostkeyalias", "HostKeyAlias", "is not followed: the host key is known by the address"),
    ("identityagent", "IdentityAgent", "is not followed: name the agent in a credential"),
    ("certificatefile", "CertificateFile", "is not followed: name the certificate in a credential"),
];

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing, a comment, or a keyword that says nothing of what is wanted here.
    Empty,
    /// A block for these patterns begins.
    Host(Vec<String>),
    /// A block for all begins.
    MatchAll,
    /// A block with a condition begins.
    Match,
    /// One setting.
    Set(Setting),
    /// A keyword that is known, and why it counts for nothing.
    NotFollowed(&'static str, &'static str),
    /// The keyword as it is written, and what is wrong.
    Fault(String, String),
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    HostName(String),
    Port(u16),
    User(String),
    IdentityFile(String),
    /// The nearest first; empty for `none`.
    ProxyJump(Vec<Hop>),
    Strict(bool),
    KnownHosts(Vec<String>),
    /// Which list, and whether an old algorithm is in it.
    Algorithms(&'static str, bool),
}

/// One jump host: `[user@]host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The host, as one would type it after `ssh`; an IPv6 address without brackets.
    pub host: String,
    /// The user, where one is named.
    pub user: Option<String>,
    /// The port, where one is named.
    pub port: Option<u16>,
}

impl Line {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Self::Empty;
        }
        let end = text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len());
        let (keyword, rest) = text.split_at(end);
        // One `=` may stand between keyword and words, with or without blanks.
        let rest = rest.trim_start();
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        let lower = keyword.to_ascii_lowercase();
        if let Some((_, keyword, why)) = NOT_FOLLOWED.iter().find(|(name, ..)| *name == lower) {
            let none = words(rest).is_some_and(|words| words == ["none"]);
            return if none { Self::Empty } else { Self::NotFollowed(keyword, why) };
        }
        match meaning(&lower, rest) {
            Ok(line) => line,
            Err(problem) => Self::Fault(keyword.to_owned(), problem.to_owned()),
        }
    }
}

fn meaning(keyword: &str, rest: &str) -> Result<Line, &'static str> {
    let words = || match words(rest) {
        None => Err("has a quotation mark without its other half"),
        Some(words) if words.is_empty() => Err("has nothing behind it"),
        Some(words) => Ok(words),
    };
    let one = || words().map(|words| words.into_iter().next().unwrap_or_default());
    let list = ALGORITHM_LISTS.iter().find(|list| **list == keyword);
    Ok(match keyword {
        "host" => Line::Host(words()?),
        "match" if words()?.join(" ").eq_ignore_ascii_case("all") => Line::MatchAll,
        "match" => Line::Match,
        "hostname" => Line::Set(Setting::HostName(host_name(one()?)?)),
        "port" => Line::Set(Setting::Port(port(&one()?).ok_or("is not a port from 1 to 65535")?)),
        "user" => Line::Set(Setting::User(user(one()?)?)),
        "identityfile" => match one()? {
            none if none.eq_ignore_ascii_case("none") => Line::Empty,
            file => Line::Set(Setting::IdentityFile(file)),
        },
        "proxyjump" => Line::Set(Setting::ProxyJump(hops(&one()?)?)),
        "stricthostkeychecking" => match one()?.as_str() {
            "yes" => Line::Set(Setting::Strict(true)),
            "accept-new" => Line::Set(Setting::Strict(false)),
            // What isn't said in versweep's own configuration never makes it less careful.
            _ => Line::Empty,
        },
        "userknownhostsfile" | "globalknownhostsfile" => {
            let files = words()?.into_iter().filter(|file| !file.eq_ignore_ascii_case("none"));
            Line::Set(Setting::KnownHosts(files.collect()))
        }
        _ => match list {
            Some(list) => Line::Set(Setting::Algorithms(list, names_legacy(&one()?))),
            None => Line::Empty,
        },
    })
}

/// The words of a line: blanks part them, quotation marks of both kinds keep them together, a backslash takes a quotation
/// mark, a blank or itself as it is, `#` at the beginning of a word ends the line. Nothing where a quotation mark is alone.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' if word.is_none() => break,
            '\\' if chars.peek().is_some_and(|c| "\"'\\ ".contains(*c)) => {
                word.get_or_insert_default().extend(chars.next());
            }
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            c if quote == Some(c) => quote = None,
            c if c.is_whitespace() && quote.is_none() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

fn host_name(text: String) -> Result<String, &'static str> {
    let tokens_gone = text.replace("%%", "").replace("%h", "");
    let good = |c: char| c.is_alphanumeric() || ".-_:".contains(c);
    if text.is_empty() || !tokens_gone.chars().all(good) {
        return Err("is not a host name, an address, or one with %h in it");
    }
    Ok(text)
}

fn user(text: String) -> Result<String, &'static str> {
    // A name of a credential is made of it, `ssh_config:USER:FILE`, which has no blanks.
    let parts = |c: char| c == ':' || c.is_whitespace() || c.is_control();
    if text.is_empty() || text.len() > 64 || text.contains(parts) {
        return Err("is not a user name of at most 64 bytes without blanks and colons");
    }
    Ok(text)
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

fn hops(text: &str) -> Result<Vec<Hop>, &'static str> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    text.split(',').map(|hop| hop_of(hop).ok_or("is not a list of [user@]host[:port]")).collect()
}

fn hop_of(text: &str) -> Option<Hop> {
    let text = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
    let (user, at) = match text.rsplit_once('@') {
        Some((user, at)) => (Some(self::user(user.to_owned()).ok()?), at),
        None => (None, text),
    };
    let (host, port) = match at.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None if at.matches(':').count() > 1 => (at, None),
        None => at.split_once(':').map_or((at, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => Some(self::port(port)?),
        None => None,
    };
    let host = host_name(host.to_owned()).ok().filter(|host| !host.contains('%'))?;
    Some(Hop { host, user, port })
}

/// Whether a list of algorithms names an old one: as a whole list, added (`+`) or preferred (`^`); one that takes names
/// away (`-`) doesn't.
fn names_legacy(list: &str) -> bool {
    let listed = list.strip_prefix(['+', '^']).unwrap_or(list);
    let is_old = |pattern: &str| {
        SshAlgorithms::LEGACY.iter().any(|old| wildcard::matches(pattern.as_bytes(), old.as_bytes()))
    };
    !list.starts_with('-') && listed.split(',').any(is_old)
}
