//! Recorded sessions of real devices, where they are at hand (they are not part of this repository), replayed by a
//! scripted peer through the shell's dialogue.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use versweep::dialogue::{Action, Dialogue, Event, Rules, Secret, Submit};
use versweep::parse;
use versweep::platform::Platforms;

/// A session as it was recorded, by others or by `versweep probe --record`.
#[derive(Debug, Deserialize)]
pub(crate) struct Session {
    id: String,
    pub(crate) platform: String,
    init: String,
    has_shell: bool,
    command_newline: String,
    pub(crate) exchanges: Vec<Exchange>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) send: String,
    recv: String,
}

/// What stands for an answer that was cut out by the person who recorded it.
const STRIPPED: &str = "output stripped";

/// Sessions that hold no version to read, and why.
const WITHOUT: [(&str, &str); 7] = [
    ("aoscx-CX6300", STRIPPED),
    ("aoscx-CX8100", STRIPPED),
    ("aoscx-CX8360", STRIPPED),
    ("cumulus", "nothing but the logout was recorded"),
    ("eatonnetwork", "nothing but the logout was recorded"),
    ("quantaos", "no version command was recorded"),
    ("sonicos", "its answer is a remark of who recorded it"),
];

/// What each platform is asked in its shell, and what its answer must show; the first word that fits a session's id.
const ASKED: [(&str, &str, &str); 20] = [
    ("aoscx-CX6000", "show version", "PL.10.16.1010"),
    ("aoscx-6100", "show version", "PL.10.10.1090"),
    ("aoscx-8100", "show version", "LL.10.13.1050"),
    ("aoscx-R0X25A", "show version", "FL.10.10.1100"),
    ("aosw", "show version", "8.10.0.7"),
    ("firelinuxos", "show version system", "7.4.2"),
    ("fortigate", "get system status", "v7.4.8"),
    ("fsos", "show version", "2.0.2J"),
    ("garderos", "show system version", "003_005_068"),
    ("h3c", "display version", "7.1.070"),
    ("ios-C9200L", "show version", "17.09.04a"),
    ("ios-C9800", "show version", "17.06.05"),
    ("nxos", "show version", "7.3(13)"),
    ("perle", "show version verbose", "6.2"),
    ("smartbyte", "show version", "7.4.7"),
    ("tnsr-TNSR_23", "show version", "23.0"),
    ("tnsr-TNSR_25", "show version all", "25.02-2"),
    ("tplink", "show system-info", "1.0.0"),
    // Recorded below `configure`, which versweep never enters.
    ("vsololt", "show version", "V1.4.13R"),
    ("vyos", "show version", "VyOS 1.4.3"),
];

/// Sessions with no shell in them: each command had a channel of its own, and the first asked for the version.
const BY_EXEC: [(&str, &str); 6] = [
    ("opnsense-nano_23", "23.7"),
    ("opnsense-nano_24", "24.7"),
    ("pfsense", "2.7.2-RELEASE"),
    ("routeros-CHR", "7.16"),
    ("routeros-L009", "7.15.2"),
    ("routeros-RB5009", "7.18.2"),
];

#[expect(clippy::print_stdout, reason = "a test's report, shown with --nocapture")]
fn report(line: &str) {
    println!("{line}");
}

fn sessions() -> Vec<Session> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/sessions");
    let Ok(files) = fs::read_dir(folder) else {
        report("skipped: no recorded sessions beside the repository");
        return Vec::new();
    };
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let mut sessions: Vec<Session> = texts.map(|text| serde_json::from_str(&text).unwrap()).collect();
    sessions.sort_by(|a, b| a.id.cmp(&b.id));
    sessions
}

/// The device of a session: answers what it was recorded to answer, once each in order where there are several.
struct Peer<'a> {
    session: &'a Session,
    at: usize,
}

impl Peer<'_> {
    /// What comes for that line; `None` when the device hangs up.
    fn hear(&mut self, sent: &str) -> Option<String> {
        let exchanges = &self.session.exchanges;
        let said = sent.trim_end_matches(['\r', '\n']);
        let fits = |exchange: &Exchange| {
            if sent == " " {
                exchange.send == " "
            } else {
                exchange.send.trim_end_matches(['\r', '\n']) == said
            }
        };
        let later = exchanges.iter().enumerate().skip(self.at).find(|(_, exchange)| fits(exchange));
        let (place, exchange) =
            later.or_else(|| exchanges.iter().enumerate().find(|(_, exchange)| fits(exchange)))?;
        self.at = place + 1;
        Some(exchange.recv.clone())
    }
}

pub(crate) fn replay(
    session: &Session,
    rules: Rules,
    commands: &[String],
    piece: usize,
) -> Result<Vec<String>, String> {
    let mut dialogue = Dialogue::new(&Arc::new(rules), commands, 1024 * 1024);
    let mut peer = Peer { session, at: 0 };
    let mut pending = session.init.clone().into_bytes();
    let mut open = true;
    for _ in 0..1_000_000 {
        let event_bytes: Vec<u8> = pending.drain(..piece.min(pending.len())).collect();
        let actions = match (event_bytes.is_empty(), open) {
            (false, _) => dialogue.step(Event::Bytes(&event_bytes)),
            (true, true) => return Err(format!("it waits; unread: {:?}", dialogue.unread())),
            (true, false) => dialogue.step(Event::Closed),
        };
        for action in actions {
            match action {
                Action::Send(bytes) => match peer.hear(&String::from_utf8(bytes).unwrap()) {
                    Some(reply) => pending.extend(reply.bytes()),
                    None => open = false,
                },
                // Who recorded it took the secret out and left its Enter.
                Action::SendSecret(Secret::Enable, enter) if session.id.contains("vsololt") => {
                    pending.extend(peer.hear(&String::from_utf8(enter).unwrap()).unwrap().bytes());
                }
                Action::SendSecret(..) => return Err("it asks for a secret".to_owned()),
                Action::Done(outputs) => return Ok(outputs),
                Action::Fail(kind, detail, said) => return Err(format!("{kind}: {detail}: {said}")),
            }
        }
        let left = session.exchanges.last().is_some_and(|_| peer.at == session.exchanges.len());
        open = open && !left;
    }
    Err("it doesn't end".to_owned())
}

pub(crate) fn rules_of(session: &Session) -> Rules {
    let sends = |text: &str| session.exchanges.iter().any(|exchange| exchange.send.trim() == text);
    let setup = [
        "no page",
        "no paging",
        "terminal length 0",
        "screen-length disable",
        "no cli pager session",
        "configure terminal",
    ];
    let below = sends("configure terminal");
    let logout = ["exit", "quit", "logout"].into_iter().find(|logout| sends(logout)).unwrap_or_default();
    Rules {
        submit: if session.command_newline == "\r\n" { Submit::CrLf } else { Submit::Lf },
        setup: setup.into_iter().filter(|command| sends(command)).map(str::to_owned).collect(),
        logout: logout.to_owned(),
        enable: below.then(|| "enable".to_owned()),
        ..Rules::default()
    }
}

/// Whether one of these words names the session.
fn named<'a, T>(words: &'a [T], session: &Session, word: impl Fn(&T) -> &'static str) -> Option<&'a T> {
    words.iter().find(|entry| session.id.contains(word(entry)))
}

#[test]
fn recorded_sessions_yield_their_versions() {
    let sessions = sessions();
    let platforms = Platforms::builtin();
    let (mut by_shell, mut by_exec, mut without, mut wrong) = (0, 0, 0, Vec::new());
    for session in &sessions {
        let profile = platforms.find(&session.platform);
        if let Some((_, why)) = named(&WITHOUT, session, |(name, _)| name) {
            report(&format!("{}: no version to read: {why}", session.id));
            without += 1;
        } else if let Some((_, shows)) = named(&BY_EXEC, session, |(name, _)| name) {
            assert!(!session.has_shell, "{}", session.id);
            match fault(std::slice::from_ref(&session.exchanges[0].recv), shows, profile) {
                None => by_exec += 1,
                Some(fault) => wrong.push(format!("{} by exec: {fault}", session.id)),
            }
        } else if let Some((_, command, shows)) = named(&ASKED, session, |(name, ..)| name) {
            by_shell += 1;
            for piece in [usize::MAX, 1000, 7, 1] {
                let outputs = replay(session, rules_of(session), &[(*command).to_owned()], piece);
                let fault = outputs.map(|outputs| fault(&outputs, shows, profile));
                let fault = fault.unwrap_or_else(Some);
                wrong.extend(fault.map(|fault| format!("{} by {piece}: {fault}", session.id)));
            }
        } else {
            wrong.push(format!("{}: nobody asks it", session.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    report(&format!("{by_shell} versions by shell, {by_exec} by exec, {without} sessions without one"));
    if !sessions.is_empty() {
        assert_eq!((by_shell, by_exec, without), (23, 6, 7), "of 36 sessions");
    }
}

/// What is wrong with the outputs, if anything.
fn fault(
    outputs: &[String],
    shows: &str,
    profile: Option<&Arc<versweep::platform::Profile>>,
) -> Option<String> {
    let [output] = outputs else { return Some(format!("{} outputs", outputs.len())) };
    if !output.contains(shows) {
        return Some(format!("{shows} is missing: {output:?}"));
    }
    if let Some(line) = output.lines().find(|line| line.to_lowercase().contains("--more--")) {
        return Some(format!("a pager is left: {line:?}"));
    }
    let Some(profile) = profile else { return Some("there is no profile of its platform".to_owned()) };
    match parse::parse(profile, output) {
        Ok(reading) if output.contains(reading.facts.version.as_str()) => None,
        Ok(reading) => Some(format!("{} was read", reading.facts.version)),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn sessions_without_a_version_are_talked_through_as_well() {
    for session in sessions() {
        if session.id.contains("quantaos") {
            // `enable` with its password, in a device that closes with a question.
            let rules = Rules { enable: Some("enable".to_owned()), ..rules_of(&session) };
            let error = replay(&session, rules, &["terminal length 0".to_owned()], usize::MAX).unwrap_err();
            assert_eq!(error, "it asks for a secret");
        } else if session.id.contains("cumulus") {
            let outputs = replay(&session, rules_of(&session), &[], 5).unwrap();
            assert!(outputs.is_empty());
        } else if named(&WITHOUT, &session, |(name, _)| name).is_some() && session.has_shell {
            let outputs = replay(&session, rules_of(&session), &["show version".to_owned()], 5).unwrap();
            assert!(outputs[0].contains(STRIPPED) || outputs[0].starts_with("# Example"), "{outputs:?}");
        }
    }
}

#[test]
fn a_session_with_a_hundred_pager_turns_comes_through() {
    let Some(session) = sessions().into_iter().find(|session| session.id.contains("vsololt")) else { return };
    let command = |exchange: &Exchange| exchange.send.trim() == "show running-config";
    // Its paged answer was recorded without the command that began it, and its version below `configure`.
    assert!(!session.exchanges.iter().any(command));
    let version =
        session.exchanges.iter().position(|exchange| exchange.send.trim() == "show version").unwrap();
    let from = &session.exchanges[version + 1..];
    let mut exchanges =
        vec![Exchange { send: "show it\n".to_owned(), recv: "show it\r\nfirst\r\n --More-- \0".to_owned() }];
    exchanges.extend(from.iter().cloned());
    let turns = from.iter().filter(|exchange| exchange.send == " ").count();
    let session = Session { init: "RT_01|192.0.2.4-Site_OLT(config)# ".to_owned(), exchanges, ..session };
    let outputs = replay(&session, rules_of(&session), &["show it".to_owned()], usize::MAX).unwrap();
    // Messages of the log ran over some of the pager's lines; the reader drops what is left of those.
    let (output, bytes) = (&outputs[0], outputs[0].len());
    assert!(output.contains("location Prague"), "{bytes} bytes after {turns} turns");
}
