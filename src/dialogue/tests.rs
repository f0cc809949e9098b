//! Scripted peers, every way of cutting what they say.

use proptest::prelude::*;

use super::*;
use crate::expression::Expression;

fn pattern(text: &str) -> Expression {
    Expression::new(text, 1 << 20).unwrap()
}

const LIMIT: usize = 64 * 1024;

/// A device: what it says first, and what to each line; `None` closes.
struct Peer {
    prompt: &'static str,
    greeting: String,
    replies: Vec<(&'static str, &'static str)>,
    echoes: bool,
}

impl Peer {
    fn new(prompt: &'static str, greeting: &str, replies: &[(&'static str, &'static str)]) -> Self {
        Self { prompt, greeting: format!("{greeting}{prompt}"), replies: replies.to_vec(), echoes: true }
    }

    fn reply(&self, sent: &str) -> Option<String> {
        let line = sent.trim_end_matches(['\r', '\n']);
        if line == "exit" {
            return None;
        }
        let (_, text) =
            self.replies.iter().find(|(command, _)| *command == line).unwrap_or(&("", "% Invalid\r\n"));
        let echo = if self.echoes && sent.ends_with('\n') { format!("{line}\r\n") } else { String::new() };
        let prompt = if text.ends_with("--More-- ") { "" } else { self.prompt };
        Some(format!("{echo}{text}{prompt}"))
    }
}

/// How a conversation ended, and what was sent.
type Ended = (Result<Vec<String>, (FailureKind, String)>, Vec<String>);

/// Lets them talk; what the peer says comes in pieces of the sizes that `cut` gives.
fn talk(peer: &Peer, rules: Rules, commands: &[&str], mut cut: impl FnMut() -> usize) -> Ended {
    let commands: Vec<String> = commands.iter().map(|command| (*command).to_owned()).collect();
    let mut dialogue = Dialogue::new(&Arc::new(rules), &commands, LIMIT);
    let mut pending = peer.greeting.clone().into_bytes();
    let mut sent = Vec::new();
    let mut open = true;
    for _ in 0..100_000 {
        let actions = if !pending.is_empty() {
            let rest = pending.split_off(cut().clamp(1, pending.len()));
            let piece = std::mem::replace(&mut pending, rest);
            dialogue.step(Event::Bytes(&piece))
        } else if open {
            dialogue.step(Event::Quiet)
        } else {
            dialogue.step(Event::Closed)
        };
        for action in actions {
            match action {
                Action::Send(bytes) => {
                    let text = String::from_utf8(bytes).unwrap();
                    match peer.reply(&text) {
                        Some(reply) if open => pending.extend(reply.bytes()),
                        _ => {
                            pending.extend(if peer.echoes { text.bytes() } else { "".bytes() });
                            open = false;
                        }
                    }
                    sent.push(text);
                }
                Action::SendSecret(which, enter) => {
                    let name = format!("<{which:?}>");
                    let reply =
                        peer.replies.iter().find(|(command, _)| *command == name).map(|(_, text)| *text);
                    pending.extend(reply.unwrap_or_default().bytes());
                    assert_eq!(enter, b"\n");
                    sent.push(name);
                }
                Action::Done(outputs) => return (Ok(outputs), sent),
                Action::Fail(kind, detail, said) => return (Err((kind, detail + &said)), sent),
            }
        }
    }
    panic!("it doesn't end; sent: {sent:?}");
}

fn whole() -> usize {
    usize::MAX
}

fn ios() -> Peer {
    Peer::new(
        "r1#",
        "\r\nAuthorised only # ## <x>\r\n",
        &[
            ("terminal length 0", ""),
            ("show version", "Version 1\r\nuptime 2\r\n"),
            ("show clock", "12:00\r\n"),
        ],
    )
}

fn quiet_pager() -> Rules {
    Rules { setup: vec!["terminal length 0".to_owned()], ..Rules::default() }
}

#[test]
fn commands_are_given_in_turn_and_nothing_else_is_sent() {
    let (result, sent) = talk(&ios(), quiet_pager(), &["show version", "show clock"], whole);
    assert_eq!(result.unwrap(), ["Version 1\nuptime 2\n", "12:00\n"]);
    assert_eq!(sent, ["terminal length 0\n", "show version\n", "show clock\n", "exit\n"]);
}

#[test]
fn the_prompt_is_learned_from_the_device() {
    let mut dialogue = Dialogue::new(&Arc::default(), &["show version".to_owned()], LIMIT);
    assert_eq!(dialogue.step(Event::Bytes(b"### Site #")), []);
    assert_eq!(dialogue.step(Event::Bytes(b"\r\nHere be dragons>\r\n")), []);
    assert_eq!(dialogue.step(Event::Bytes(b"r1#")), [Action::Send(b"show version\n".to_vec())]);
    assert_eq!(dialogue.prompt(), None);
    dialogue.step(Event::Bytes(b"show version\r\n"));
    assert_eq!(dialogue.prompt(), Some("r1#"));
}

/// Without the pattern the first of these lines is answered as a prompt.
#[test]
fn the_pattern_of_a_profile_checks_what_looks_like_a_prompt() {
    let rules = Rules { prompt: Some(pattern("^[a-z0-9]+#$")), ..Rules::default() };
    let mut dialogue = Dialogue::new(&Arc::new(rules), &["show version".to_owned()], LIMIT);
    assert_eq!(dialogue.step(Event::Bytes(b"lab>")), []);
    assert_eq!(dialogue.step(Event::Bytes(b"\r\nr1#")), [Action::Send(b"show version\n".to_vec())]);
    let mut dialogue = Dialogue::new(&Arc::default(), &["show version".to_owned()], LIMIT);
    assert_eq!(dialogue.step(Event::Bytes(b"lab>")), [Action::Send(b"show version\n".to_vec())]);
}

/// What a profile says of a page goes before what is known of pages: this one is known to want a blank.
#[test]
fn a_page_is_answered_as_the_profile_says() {
    let page = (pattern("any key"), "q".to_owned());
    let rules = Rules { pages: vec![page], ..Rules::default() };
    let mut dialogue = Dialogue::new(&Arc::new(rules), &["show version".to_owned()], LIMIT);
    let answer = dialogue.step(Event::Bytes(b"notice\r\nPress any key to continue"));
    assert_eq!(answer, [Action::Send(b"q".to_vec())]);
}

#[test]
fn enter_is_what_the_profile_says() {
    for (submit, bytes) in [
        (Submit::Lf, &b"show version\n"[..]),
        (Submit::Cr, b"show version\r"),
        (Submit::CrLf, b"show version\r\n"),
    ] {
        let rules = Rules { submit, ..Rules::default() };
        let mut dialogue = Dialogue::new(&Arc::new(rules), &["show version".to_owned()], LIMIT);
        assert_eq!(dialogue.step(Event::Bytes(b"r1#")), [Action::Send(bytes.to_vec())]);
    }
}

#[test]
fn a_prompt_inside_an_output_does_not_cut_it() {
    let text = "a\r\nr1#\r\nr1#reload\r\nb r1#\r\nr1# # c\r\n";
    let peer = Peer { replies: vec![("show log", text)], ..ios() };
    for cut in [1, 2, 3, 7, 1000] {
        let (result, _) = talk(&peer, Rules::default(), &["show log"], || cut);
        assert_eq!(result.unwrap(), ["a\nr1#\nr1#reload\nb r1#\nr1# # c\n"], "in pieces of {cut}");
    }
}

#[test]
fn a_device_without_echo_is_understood() {
    let peer = Peer {
        echoes: false,
        ..Peer::new("\r\nr1> ", "", &[("show version", "\r\nVersion 1"), ("terminal length 0", "")])
    };
    let (result, sent) = talk(&peer, Rules::default(), &["show version", "show version"], whole);
    let outputs = result.unwrap();
    assert!(outputs.iter().all(|output| output.contains("Version 1")), "{outputs:?}");
    assert_eq!(sent.len(), 3, "{sent:?}");
}

#[test]
fn pagers_are_answered() {
    let peer = Peer::new("r1>", "", &[("show version", "one\r\n --More-- "), (" ", "\r          \rtwo\r\n")]);
    for cut in [1, 4, 1000] {
        let (result, sent) = talk(&peer, Rules::default(), &["show version"], || cut);
        assert_eq!(result.unwrap(), ["one\ntwo\n"]);
        assert_eq!(sent, ["show version\n", " ", "exit\n"]);
    }
}

#[test]
fn the_login_of_a_shell_is_answered_once() {
    let wrong = Peer {
        prompt: "",
        greeting: "User:".to_owned(),
        replies: vec![("<Username>", "x\r\nPassword:"), ("<Password>", "\r\nLogin incorrect\r\nUser:")],
        echoes: false,
    };
    let (result, sent) = talk(&wrong, Rules::default(), &["show version"], whole);
    assert_eq!(result.unwrap_err().0, FailureKind::Auth);
    assert_eq!(sent, ["<Username>", "<Password>"]);
    let right = Peer {
        greeting: "User:".to_owned(),
        replies: vec![
            ("<Username>", "x\r\nPassword:"),
            ("<Password>", "\r\n(WLC) >"),
            ("show version", "v\r\n"),
        ],
        prompt: "(WLC) >",
        echoes: true,
    };
    let (result, sent) = talk(&right, Rules::default(), &["show version"], || 3);
    assert_eq!(result.unwrap(), ["v\n"]);
    assert_eq!(sent, ["<Username>", "<Password>", "show version\n", "exit\n"]);
}

#[test]
fn rights_are_raised_where_the_profile_wants_it() {
    let rules = || Rules { enable: Some("enable".to_owned()), ..Rules::default() };
    let peer = Peer {
        replies: vec![("<Enable>", "\r\nr1#"), ("show version", "v\r\n")],
        ..Peer::new("", "r1>", &[])
    };
    let mut dialogue = Dialogue::new(&Arc::new(rules()), &["show version".to_owned()], LIMIT);
    assert_eq!(dialogue.step(Event::Bytes(peer.greeting.as_bytes())), [Action::Send(b"enable\n".to_vec())]);
    let asked = dialogue.step(Event::Bytes(b"enable\r\nPassword: "));
    assert_eq!(asked, [Action::SendSecret(Secret::Enable, b"\n".to_vec())]);
    assert_eq!(dialogue.step(Event::Bytes(b"\r\nr1#")), [Action::Send(b"show version\n".to_vec())]);
    let mut refused = Dialogue::new(&Arc::new(rules()), &["show version".to_owned()], LIMIT);
    refused.step(Event::Bytes(b"r1>"));
    refused.step(Event::Bytes(b"enable\r\nPassword: "));
    let end = refused.step(Event::Bytes(b"\r\n% Access denied\r\nr1>"));
    assert!(matches!(end[..], [Action::Fail(FailureKind::Denied, ..)]), "{end:?}");
}

#[test]
fn pages_before_the_prompt_are_answered() {
    let peer = Peer {
        greeting: "legal\r\n(Press 'a' to accept):".to_owned(),
        replies: vec![("a", "\r\n"), ("get", "v\r\n")],
        ..Peer::new("fw # ", "", &[])
    };
    let (result, sent) = talk(&peer, Rules::default(), &["get"], || 5);
    assert_eq!(result.unwrap(), ["v\n"]);
    assert_eq!(sent, ["a", "get\n", "exit\n"]);
}

#[test]
fn a_silent_device_gets_enter_and_an_odd_prompt_is_learned_by_its_repetition() {
    let mut dialogue = Dialogue::new(&Arc::default(), &["show version".to_owned()], LIMIT);
    dialogue.step(Event::Bytes(b"ready:"));
    assert_eq!(dialogue.step(Event::Quiet), [Action::Send(b"\n".to_vec())]);
    assert_eq!(dialogue.step(Event::Bytes(b"\r\nready:")), [Action::Send(b"show version\n".to_vec())]);
    dialogue.step(Event::Bytes(b"show version\r\nv\r\nready:"));
    let end = dialogue.step(Event::Bytes(b"exit"));
    assert_eq!(end, [Action::Done(vec!["v\n".to_owned()])]);
}

#[test]
fn a_command_that_the_device_threw_away_is_given_again() {
    let mut dialogue = Dialogue::new(&Arc::default(), &["show version".to_owned()], LIMIT);
    assert_eq!(dialogue.step(Event::Bytes(b"r1#")).len(), 1);
    dialogue.step(Event::Bytes(b"\r\nr1#"));
    assert_eq!(dialogue.step(Event::Quiet), [Action::Send(b"show version\n".to_vec())]);
    assert_eq!(dialogue.step(Event::Bytes(b"show version\r\nv\r\nr1#")), [Action::Send(b"exit\n".to_vec())]);
    assert_eq!(dialogue.step(Event::Closed), [Action::Done(vec!["v\n".to_owned()])]);
}

#[test]
fn the_logout_is_said_through_its_questions() {
    let rules = Rules {
        logout: "logout".to_owned(),
        confirmations: vec![
            (pattern("log out.*y/n"), "y".to_owned()),
            (pattern("save.*y/n"), "n".to_owned()),
        ],
        ..Rules::default()
    };
    let mut dialogue = Dialogue::new(&Arc::new(rules), &["show version".to_owned()], LIMIT);
    dialogue.step(Event::Bytes(b"sw# "));
    dialogue.step(Event::Bytes(b"show version\r\nv\r\nsw# "));
    let asked = dialogue.step(Event::Bytes(b"logout\r\nDo you want to log out [y/n]? "));
    assert_eq!(asked, [Action::Done(vec!["v\n".to_owned()]), Action::Send(b"y".to_vec())]);
    let asked = dialogue.step(Event::Bytes(b"y\r\nDo you want to save current configuration [y/n]?"));
    assert_eq!(asked, [Action::Send(b"n".to_vec())]);
    assert_eq!(dialogue.step(Event::Closed), []);
}

#[test]
fn bounds_hold() {
    let commands = ["show version".to_owned()];
    let mut banner = Dialogue::new(&Arc::default(), &commands, LIMIT);
    let mut end = Vec::new();
    for _ in 0..2 * GREETING_MAX / 10 {
        end.extend(banner.step(Event::Bytes(b"no prompt\n")));
    }
    assert!(matches!(end[..], [Action::Fail(FailureKind::Prompt, ..)]), "{end:?}");
    let mut flood = Dialogue::new(&Arc::default(), &commands, LIMIT);
    flood.step(Event::Bytes(b"r1#"));
    flood.step(Event::Bytes(b"show version\n"));
    for piece in [&b"x"[..], b"\x1b[2K", b"\x1b[2000C.\n"] {
        let mut dialogue = Dialogue::new(&Arc::default(), &commands, LIMIT);
        dialogue.step(Event::Bytes(b"r1#"));
        dialogue.step(Event::Bytes(b"show version\n"));
        let end = dialogue.step(Event::Bytes(&piece.repeat(5 * LIMIT)));
        assert!(matches!(end[..], [Action::Fail(FailureKind::OutputLimit, ..)]), "{end:?}");
    }
}

#[test]
fn a_full_device_says_why() {
    let mut dialogue = Dialogue::new(&Arc::default(), &["show version".to_owned()], LIMIT);
    dialogue.step(Event::Bytes(b"banner\r\nCLI session limit 32 reached. Exiting.\r\n"));
    let end = dialogue.step(Event::Closed);
    let [Action::Fail(FailureKind::Disconnected, _, said)] = &end[..] else { panic!("{end:?}") };
    assert!(said.contains("CLI session limit 32 reached"), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn how_the_bytes_are_cut_makes_no_difference(cuts in proptest::collection::vec(1_usize..40, 1..200)) {
        let mut turn = cuts.iter().cycle().copied();
        let (result, _) = talk(&ios(), quiet_pager(), &["show version", "show clock"], || turn.next().unwrap());
        prop_assert_eq!(result.unwrap(), ["Version 1\nuptime 2\n", "12:00\n"]);
    }

    #[test]
    fn no_bytes_make_it_panic_or_grow(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..40)) {
        let mut dialogue = Dialogue::new(&Arc::default(), &["show version".to_owned()], 1024);
        for piece in &pieces {
            dialogue.step(Event::Bytes(piece));
            dialogue.step(Event::Quiet);
        }
        dialogue.step(Event::Closed);
        prop_assert!(dialogue.unread().len() <= 3 * GREETING_MAX);
    }

    #[test]
    fn control_sequences_of_every_kind_are_survived(text in "([a-z#>\r\n\u{8}]|\u{1b}[\\[\\]()PEDZc]|[0-9;?]{1,6}[A-Za-z~]){0,300}") {
        let mut dialogue = Dialogue::new(&Arc::default(), &["show version".to_owned()], 1024);
        for piece in text.as_bytes().chunks(7) {
            dialogue.step(Event::Bytes(piece));
        }
        dialogue.step(Event::Closed);
    }
}
