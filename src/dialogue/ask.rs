//! What devices ask while one only wants to read: pagers, login questions, pages that want a key.

/// Keys for the pagers that are known without a profile, by how the line ends. In lower case.
const PAGER_ENDS: [(&str, &str); 13] = [
    ("--more--", " "),
    ("<--- more --->", " "),
    ("---- more ----", " "),
    ("--- more ---", " "),
    ("---more---", " "),
    ("-- more --", " "),
    ("--more-- or (q)uit", " "),
    ("press <space> to continue or <q> to quit:", " "),
    ("press any key to continue (q to quit)", " "),
    ("one line: <return>", " "),
    ("quit: control-c", " "),
    ("(end)", "q"),
    ("to next page....", " "),
];

/// Keys for those whose text says enough anywhere in the line. In lower case.
const PAGER_TEXTS: [(&str, &str); 11] = [
    ("---(more", " "),
    ("---(less", " "),
    ("---- more ( press 'q' to break ) ----", " "),
    ("--more-- (q) quit", " "),
    ("more: <space>,", " "),
    ("more? enter - next line", "r"),
    ("q quit space n next page enter next entry a all", "a"),
    ("[space] next page, [enter] next line", " "),
    ("-- more --, next page: space", " "),
    ("-- [q quit|d dump|", " "),
    ("----more (q=quit", " "),
];

/// The key that makes a pager go on, where the line is the prompt of one.
pub(super) fn pager_key(line: &str) -> Option<&'static str> {
    let line = line.trim().to_ascii_lowercase();
    let known = PAGER_ENDS.iter().find(|(end, _)| line.ends_with(end));
    let known = known.or_else(|| PAGER_TEXTS.iter().find(|(text, _)| line.contains(text)));
    match known {
        Some((_, key)) => Some(key),
        // less(1): a colon alone, or the lines shown.
        None if line == ":" => Some(" "),
        None => {
            let shown = line.strip_prefix("lines ")?;
            shown.chars().all(|c| c.is_ascii_digit() || "-/ %".contains(c)).then_some(" ")
        }
    }
}

/// A question of the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Username,
    Password,
}

/// Whether the line asks for a user's name or a password.
pub(super) fn question(line: &str) -> Option<Question> {
    let line = line.trim().to_ascii_lowercase();
    let asked = line.strip_suffix(':')?.trim_end();
    if asked.len() > 64 {
        return None;
    }
    if asked.ends_with("password") || asked.ends_with("passcode") || asked.contains("password for ") {
        return (!asked.contains("new password")).then_some(Question::Password);
    }
    let names = ["username", "user name", "user", "login", "login as", "login name"];
    let asks = names.iter().any(|name| {
        asked.strip_suffix(name).is_some_and(|host| {
            let host = host.trim();
            // `host login:` of a Unix; `Last login:` begins a line of its banner.
            host.is_empty() || name == &"login" && !host.contains(' ') && host != "last" && host != "failed"
        })
    });
    asks.then_some(Question::Username)
}

/// An answer to a page that stands before the first prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// These keys.
    Keys(&'static str),
    /// These keys and Enter.
    Line(&'static str),
}

/// The pages that may be answered on any device, because no answer given here changes anything. In lower case; all words
/// must be there.
const PAGES: [(&[&str], Answer); 9] = [
    (&["change", "password", "y/n"], Answer::Line("n")),
    (&["change now", "y/n"], Answer::Line("n")),
    (&["do you want to change the password"], Answer::Line("n")),
    (&["software license", "y/n"], Answer::Line("n")),
    (&["(press 'a' to accept)"], Answer::Keys("a")),
    (&["enter ctrl-y to begin"], Answer::Keys("\u{19}")),
    (&["press any key to continue"], Answer::Keys(" ")),
    (&["press \"enter\" to continue"], Answer::Line("")),
    (&["press", "enter", "to continue"], Answer::Line("")),
];

/// The answer to a page before the first prompt, where it is one of those.
pub(super) fn page(line: &str) -> Option<Answer> {
    let line = line.trim().to_ascii_lowercase();
    let found = PAGES.iter().find(|(words, _)| words.iter().all(|word| line.contains(word)));
    found.map(|(_, answer)| *answer)
}

/// Whether a finished line says that the name or the password was wrong. In lower case.
pub(super) fn says_wrong(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    [
        "login incorrect",
        "authentication fail",
        "login invalid",
        "bad password",
        "access denied",
        "login failed",
        "invalid login",
        "incorrect password",
    ]
    .iter()
    .any(|phrase| line.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pagers_of_many_vendors_are_known() {
        for (line, key) in [
            (" --More-- ", " "),
            ("<--- More --->", " "),
            ("--More-- or (q)uit", " "),
            ("  ---- More ----", " "),
            ("---(more 40%)---", " "),
            ("lines 183-204 ", " "),
            ("lines 256-269/269 (END) ", "q"),
            (":", " "),
            ("-- MORE --, next page: Space, next line: Enter, quit: Control-C", " "),
            ("encry --More-- ", " "),
            ("---- More ( Press 'Q' to break ) ----", " "),
            ("More? Enter - next line; Space - next page", "r"),
            ("CTRL+C ESC q Quit SPACE n Next Page ENTER Next Entry a All", "a"),
            ("More: <space>,  Quit: q or CTRL+Z, One line: <return>", " "),
        ] {
            assert_eq!(pager_key(line), Some(key), "{line}");
        }
        for other in ["", "r1#", "Version: 1", "lines of text", "more or less"] {
            assert_eq!(pager_key(other), None, "{other}");
        }
    }

    #[test]
    fn login_questions_are_told_from_banners() {
        assert_eq!(question("Username: "), Some(Question::Username));
        assert_eq!(question("User:"), Some(Question::Username));
        assert_eq!(question("ap-1 login: "), Some(Question::Username));
        assert_eq!(question(">>User name:"), None);
        assert_eq!(question("Password:"), Some(Question::Password));
        assert_eq!(question("enter your enable password:"), Some(Question::Password));
        for other in ["Last login:", "Enter new password:", "Current configuration:", "Last failed login:"] {
            assert_eq!(question(other), None, "{other}");
        }
    }

    #[test]
    fn pages_are_answered_without_harm() {
        assert_eq!(page("The password needs to be changed. Change now? [Y/N]:"), Some(Answer::Line("n")));
        assert_eq!(page("Press any key to continue"), Some(Answer::Keys(" ")));
        assert_eq!(page("(Press 'a' to accept):"), Some(Answer::Keys("a")));
        assert_eq!(page("Erase all data? [y/N]"), None);
    }
}
