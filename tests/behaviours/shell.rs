//! Commands at the prompt of a shell, well-behaved and hostile, over a real session.

use std::sync::Arc;
use std::time::Duration;

use versweep::clock::{Clock, SystemClock};
use versweep::credential::Credential;
use versweep::device::{Device, Timeouts};
use versweep::dialogue::{Channel, Errand, Rules};
use versweep::expression::Expression;
use versweep::failure::{FailureKind, Stage};
use versweep::observation::{Outcome, SweepId};
use versweep::platform::Platforms;
use versweep::probe::Prober;
use versweep::sim::{Fleet, SimConfig};
use versweep::transport::ssh::{SshSettings, SshTransport};
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PASSWORD, credential, device_at, settings, transport};
use crate::shell_server::{ENABLE, ShellServer, ShellSetup};
use crate::ssh_server::until;

/// A command timeout that is meant to be run into, after what comes before it has come on a busy machine as well.
const SHORT: Duration = Duration::from_secs(3);

fn show_version() -> Vec<String> {
    vec!["show version".to_owned()]
}

fn by_shell() -> Errand {
    Errand::by_shell(show_version(), Rules::default())
}

fn auto() -> Errand {
    let marker = [Expression::new("^Version ", 1 << 20).unwrap()];
    Errand { channel: Channel::Auto, marker: marker.into(), ..by_shell() }
}

fn hasty(device: Device) -> Device {
    Device { timeouts: Timeouts { command: SHORT, ..device.timeouts }, ..device }
}

async fn meet(
    setup: ShellSetup,
    errand: &Errand,
    hurry: bool,
) -> (Result<Vec<String>, TransportError>, Trace, ShellServer) {
    let folder = tempfile::tempdir().unwrap();
    let server = ShellServer::start(setup).await;
    let device = device_at(server.address);
    let device = if hurry { hasty(device) } else { device };
    let mut trace = Trace::recording();
    let result = transport(PASSWORD, folder.path()).visit(&device, errand, &mut trace).await;
    until(|| server.heard().open == 0).await;
    (result, trace, server)
}

fn router() -> ShellSetup {
    ShellSetup::new("r1#", "\r\n# Site A > keep out #\r\n")
        .answer("show version", "Version 1.0\r\nup 2 days\r\n")
}

#[tokio::test]
async fn a_shell_gives_the_answer_and_is_left_with_a_logout() {
    let (result, trace, server) = meet(router(), &by_shell(), false).await;
    assert_eq!(result.unwrap(), ["Version 1.0\nup 2 days\n"]);
    let heard = server.heard();
    assert_eq!(heard.lines, ["show version", "exit"]);
    assert_eq!(heard.terminal, Some((511, 1000)));
    let session = trace.session.unwrap();
    assert_eq!((session.prompt.as_deref(), session.pager_turns, session.has_shell), (Some("r1#"), 0, true));
    let exchanges = session.exchanges();
    assert_eq!(exchanges[0].recv, "\r\n# Site A > keep out #\r\nr1#");
    assert_eq!(exchanges[1].send, "show version\n");
    assert!(trace.notes.iter().any(|note| note.contains("prompt \"r1#\"")), "{:?}", trace.notes);
}

#[tokio::test]
async fn a_profile_can_make_the_terminal_smaller() {
    let rules = Rules { columns: 80, rows: 24, ..Rules::default() };
    let (result, _, server) = meet(router(), &Errand::by_shell(show_version(), rules), false).await;
    result.unwrap();
    assert_eq!(server.heard().terminal, Some((80, 24)));
}

/// A visit in a shell waits for the channel, for the prompt, and for each answer: for nothing else. This server stands
/// still unless the terminal and the shell are asked for in one go, and hears no line that only looks for the prompt.
#[tokio::test]
async fn a_shell_costs_no_round_trip_beyond_its_dialogue() {
    let setup = ShellSetup { answers_together: true, ..router() };
    let errand = Errand::by_shell(
        ["show version".to_owned()],
        Rules { setup: vec!["terminal length 0".to_owned()], ..Rules::default() },
    );
    let (result, trace, server) = meet(setup, &errand, false).await;
    assert_eq!(result.unwrap(), ["Version 1.0\nup 2 days\n"]);
    assert_eq!(server.heard().lines, ["terminal length 0", "show version", "exit"]);
    // The first line went out upon the greeting, before anything else was heard.
    let exchanges = trace.session.unwrap().exchanges();
    let sent: Vec<_> = exchanges.iter().map(|exchange| exchange.send.as_str()).collect();
    assert_eq!(sent, ["", "terminal length 0\n", "show version\n", "exit\n"]);
}

#[tokio::test]
async fn auto_goes_by_exec_where_its_answer_is_sound() {
    let setup = ShellSetup { exec: Some("Version 1.0\n".to_owned()), ..router() };
    let (result, trace, server) = meet(setup, &auto(), false).await;
    assert_eq!(result.unwrap(), ["Version 1.0\n"]);
    assert!(server.heard().lines.is_empty());
    assert_eq!(trace.session.unwrap().exchanges()[1].send, "show version\n");
}

#[tokio::test]
async fn auto_falls_to_a_shell_on_the_same_connection() {
    for exec in [None, Some("Notice: authorised use only\n".to_owned())] {
        let (result, trace, server) = meet(ShellSetup { exec, ..router() }, &auto(), false).await;
        assert_eq!(result.unwrap(), ["Version 1.0\nup 2 days\n"]);
        assert_eq!(server.heard().execs.len(), 1);
        assert!(trace.notes.iter().any(|note| note.ends_with("a shell was tried")), "{:?}", trace.notes);
    }
}

#[tokio::test]
async fn a_password_that_the_device_prints_is_in_no_record() {
    let setup = router().answer("show version", &format!("Version 1.0\r\nuser x secret {PASSWORD}\r\n"));
    let (_, trace, _) = meet(setup, &by_shell(), false).await;
    let exchanges = trace.session.unwrap().exchanges();
    assert!(exchanges.iter().all(|exchange| !exchange.recv.contains(PASSWORD)));
    assert!(exchanges.iter().any(|exchange| exchange.recv.contains("user x secret ********")));
}

#[tokio::test]
async fn a_prompt_that_never_comes_is_told() {
    let setup = ShellSetup { greeting: "Welcome\r\nloading modules".to_owned(), ..ShellSetup::default() };
    let (result, _, _) = meet(setup, &by_shell(), true).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Prompt, Stage::Command), "{}", error.detail);
    assert!(error.detail.contains("loading modules"), "{}", error.detail);
    assert!(error.partial_output.unwrap().contains("Welcome"));
}

#[tokio::test]
async fn one_byte_a_second_ends_at_the_timeout() {
    let setup = ShellSetup { slow: Some("Welcome ".to_owned()), ..ShellSetup::default() };
    let (result, _, _) = meet(setup, &by_shell(), true).await;
    assert_eq!(result.unwrap_err().kind, FailureKind::Prompt);
}

#[tokio::test]
async fn an_endless_banner_ends_as_a_missing_prompt() {
    for text in ["all work and no play\r\n", "\u{1b}[2J\u{1b}[9999C.", "\u{1b}]0;title\u{7}", "x"] {
        let setup = ShellSetup { endless: Some(text.to_owned()), ..ShellSetup::default() };
        let (result, _, _) = meet(setup, &by_shell(), false).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::Prompt, Stage::Command), "{}", error.detail);
        assert!(error.partial_output.is_none_or(|text| text.len() <= 64 * 1024));
    }
}

#[tokio::test]
async fn an_endless_output_ends_at_its_cap() {
    let setup = router().answer("show version", &"more of the same\r\n".repeat(8_000));
    let folder = tempfile::tempdir().unwrap();
    let server = ShellServer::start(setup).await;
    let credential = credential(Some(PASSWORD), None);
    let settings = SshSettings { output_limit: 64 * 1024, ..settings(credential, folder.path()) };
    let transport = SshTransport::new(settings).unwrap();
    let result = transport.visit(&device_at(server.address), &by_shell(), &mut Trace::begin()).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::OutputLimit, Stage::Command), "{}", error.detail);
    assert!(error.partial_output.unwrap().len() <= 64 * 1024);
    until(|| server.heard().open == 0).await;
}

#[tokio::test]
async fn a_prompt_within_an_output_does_not_end_it() {
    let setup = router().answer("show version", "Version 1.0\r\nr1#\r\nr1#reload\r\nuptime\r\n");
    let (result, _, server) = meet(setup, &by_shell(), false).await;
    assert_eq!(result.unwrap(), ["Version 1.0\nr1#\nr1#reload\nuptime\n"]);
    assert_eq!(server.heard().lines.len(), 2);
}

#[tokio::test]
async fn a_command_without_an_end_is_a_timeout() {
    let setup = router().answer("show version", "Version 1.0\r\nnow what? ");
    let setup = ShellSetup { prompt: " ".to_owned(), greeting: "r1#".to_owned(), ..setup };
    let (result, _, _) = meet(setup, &by_shell(), true).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Timeout, Stage::Command), "{}", error.detail);
    assert!(error.partial_output.unwrap().contains("Version 1.0"));
}

#[tokio::test]
async fn every_simulated_platform_is_read_in_its_shell() {
    let fleet =
        Fleet::start(SimConfig { devices: 8, first_address: [127, 41, 1, 1].into(), ..SimConfig::default() });
    let fleet = fleet.await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let credential = credential(Some(versweep::sim::PASSWORD), None);
    let transport = SshTransport::new(settings(credential, folder.path())).unwrap();
    let platforms = Platforms::builtin();
    for simulated in fleet.devices() {
        let profile = platforms.find(simulated.platform().key()).unwrap();
        let usual = Errand { channel: Channel::Shell, ..(*profile.errand).clone() };
        let paged = Errand { rules: Rules::default().into(), ..usual.clone() };
        for errand in [usual, paged] {
            let mut trace = Trace::recording();
            let outputs = transport
                .visit(&device_at((simulated.address(), simulated.port()).into()), &errand, &mut trace)
                .await;
            let said = trace.session.unwrap().exchanges();
            let outputs = outputs.unwrap_or_else(|error| panic!("{}: {error}: {said:?}", profile.key));
            let reading = versweep::parse::parse(profile, &outputs.join("\n"));
            let reading = reading.unwrap_or_else(|error| panic!("{}: {error}: {said:?}", profile.key));
            assert_eq!(reading.facts.version.as_str(), simulated.version(), "{said:?}");
        }
    }
    fleet.stop().await;
}

#[tokio::test]
async fn rights_are_raised_by_a_secret_of_their_own() {
    let setup = ShellSetup { greeting: "r1>".to_owned(), ..router() };
    let errand =
        Errand::by_shell(show_version(), Rules { enable: Some("enable".to_owned()), ..Rules::default() });
    let folder = tempfile::tempdir().unwrap();
    for enable in [Some(ENABLE), None] {
        let server = ShellServer::start(setup.clone()).await;
        let credential = Credential { enable: enable.map(Into::into), ..credential(Some(PASSWORD), None) };
        let transport = SshTransport::new(settings(credential, folder.path())).unwrap();
        let mut trace = Trace::recording();
        let result = transport.visit(&device_at(server.address), &errand, &mut trace).await;
        let words = format!("{:?}{:?}{result:?}", trace.session.unwrap().exchanges(), trace.notes);
        assert!(!words.contains(ENABLE), "{words}");
        match result {
            Ok(outputs) => assert_eq!(
                (outputs, server.heard().lines.len()),
                (vec!["Version 1.0\nup 2 days\n".to_owned()], 4)
            ),
            Err(error) => {
                assert_eq!((error.kind, enable), (FailureKind::Denied, None), "{}", error.detail);
                assert!(error.detail.contains("an enable password"), "{}", error.detail);
            }
        }
    }
}

/// What is kept of a visit goes to the store, to events and to pages.
#[tokio::test]
async fn a_password_that_the_device_prints_back_is_not_kept() {
    let version = include_str!("../fixtures/platforms/cisco_xe/current-router.txt");
    let folder = tempfile::tempdir().unwrap();
    for (answer, is_read) in [(version, true), ("% Invalid input", false)] {
        let answer = format!("{answer}\nyou logged in by {PASSWORD}, enable {ENABLE}\n");
        let setup = router().answer("show version", &answer.replace('\n', "\r\n"));
        let server = ShellServer::start(ShellSetup { exec: Some(answer), ..setup }).await;
        let credential = Credential { enable: Some(ENABLE.into()), ..credential(Some(PASSWORD), None) };
        let transport = SshTransport::new(settings(credential, folder.path())).unwrap();
        let prober = Prober {
            transport: Arc::new(transport),
            platforms: Arc::new(Platforms::builtin()),
            clock: Arc::new(SystemClock),
        };
        let sweep = SweepId::starting(SystemClock.now());
        let visit = prober.device(&device_at(server.address), sweep).await;
        let raw = match &visit.observation.outcome {
            Outcome::Answered { raw, .. } if is_read => raw,
            Outcome::Failed { raw: Some(raw), .. } if !is_read => raw,
            other => panic!("{other:?}"),
        };
        assert!(raw.contains("you logged in by ********, enable ********"), "{raw:?}");
        let kept = format!("{visit:?}");
        assert!(!kept.contains(PASSWORD) && !kept.contains(ENABLE), "{kept}");
    }
}
