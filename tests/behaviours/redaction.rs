//! Secrets that a device prints back are taken out of what is told before it is cut to size: half a secret would be found
//! by nobody (behaviour 16).

use std::sync::Arc;
use std::time::Duration;

use versweep::clock::{Clock, SystemClock};
use versweep::device::{Device, PlatformChoice, PlatformKey, Timeouts};
use versweep::dialogue::{Errand, Rules};
use versweep::failure::FailureKind;
use versweep::observation::{Outcome, SweepId};
use versweep::platform::Platforms;
use versweep::probe::Prober;
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PASSWORD, PATIENT, credential, device_at, settings, transport};
use crate::shell_server::{ShellServer, ShellSetup};
use crate::ssh_server::{Manner, Server, Setup};

/// Half of the password: what a cut in the middle of it leaves.
const HALF: &str = "right-";

/// Long enough for a greeting on a busy machine, short enough to be waited for.
const SHORT: Timeouts = Timeouts { command: Duration::from_secs(3), ..PATIENT };

fn by_shell() -> Errand {
    Errand::by_shell(["show version".to_owned()], Rules::default())
}

async fn failing(setup: ShellSetup, errand: &Errand) -> TransportError {
    let folder = tempfile::tempdir().unwrap();
    let server = ShellServer::start(setup).await;
    let device = Device { timeouts: SHORT, ..device_at(server.address) };
    transport(PASSWORD, folder.path()).visit(&device, errand, &mut Trace::begin()).await.unwrap_err()
}

#[tokio::test]
async fn in_the_line_that_a_late_device_said_last() {
    // 80 characters of a line are quoted, the last of them the sign of a cut.
    let greeting = format!("{}{PASSWORD}, I heard", "x".repeat(79 - HALF.len()));
    let error = failing(ShellSetup { greeting, ..ShellSetup::default() }, &by_shell()).await;
    assert_eq!(error.kind, FailureKind::Prompt, "{}", error.detail);
    assert!(error.detail.contains("xxxx") && !error.detail.contains(HALF), "{}", error.detail);
}

#[tokio::test]
async fn in_the_line_that_refuses_a_login() {
    let refusal = format!("{}{PASSWORD} login incorrect{}\r\n", "x".repeat(79 - HALF.len()), "y".repeat(300));
    let setup = ShellSetup { greeting: "Password: ".to_owned(), ..ShellSetup::new("r1#", "") };
    let error = failing(setup.answer(PASSWORD, &refusal), &by_shell()).await;
    assert_eq!(error.kind, FailureKind::Auth, "{}", error.detail);
    assert!(error.detail.contains("xxxx") && !error.detail.contains(HALF), "{}", error.detail);
}

#[tokio::test]
async fn in_the_output_that_had_come_by_then() {
    const KEPT: usize = 64 * 1024;
    let exec = format!("{}{PASSWORD}{}", "x".repeat(KEPT - HALF.len()), "y".repeat(1024 * 1024));
    let setup = ShellSetup { exec: Some(exec), ..ShellSetup::default() };
    let error = failing(setup, &Errand::by_exec(["show version".to_owned()])).await;
    assert_eq!(error.kind, FailureKind::OutputLimit, "{}", error.detail);
    let kept = error.partial_output.unwrap();
    assert!(kept.len() <= KEPT && !kept.contains(HALF), "{}", &kept[KEPT - 20..]);

    // Of a shell the last is kept: the password's second half would stand at its beginning.
    let greeting = format!("{PASSWORD}{}", "y".repeat(KEPT - "horse".len()));
    let error = failing(ShellSetup { greeting, ..ShellSetup::default() }, &by_shell()).await;
    assert_eq!(error.kind, FailureKind::Prompt, "{}", error.detail);
    assert!(!error.partial_output.unwrap().contains("horse"));
}

#[tokio::test]
async fn in_the_answer_that_the_parser_quotes() {
    // The parser quotes 128 characters of a line.
    let line = format!("% Invalid input {}{PASSWORD} and more\n", "x".repeat(128 - 16 - HALF.len()));
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(Manner::OneCommandOnly).answer("show version", line)).await;
    let prober = Prober {
        transport: Arc::new(
            SshTransport::new(settings(credential(Some(PASSWORD), None), folder.path())).unwrap(),
        ),
        platforms: Arc::new(Platforms::builtin()),
        clock: Arc::new(SystemClock),
    };
    let platform = PlatformChoice::Named(PlatformKey::new("cisco_ios"));
    let device = Device { platform, ..device_at(server.address) };
    let visit = prober.device(&device, SweepId::starting(SystemClock.now())).await;
    let Outcome::Failed { failure, raw } = visit.observation.outcome else { panic!("it answered") };
    assert!(raw.unwrap().contains("********"));
    assert_eq!(failure.kind, FailureKind::Command, "{}", failure.detail);
    assert!(failure.detail.contains("xxxx") && !failure.detail.contains(HALF), "{}", failure.detail);
}
