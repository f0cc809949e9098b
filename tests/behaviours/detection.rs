//! `platform = "auto"`: found within one login, remembered in the store, looked for anew when the answer no longer fits.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use versweep::activity::{Note, Reason};
use versweep::clock::Clock as _;
use versweep::clock::SystemClock;
use versweep::device::{Device, PlatformKey, Timeouts};
use versweep::facts::Reading;
use versweep::failure::{Failure, FailureKind, Stage};
use versweep::known::{Known, KnownFacts, LastVisit};
use versweep::observation::{Outcome, SweepId};
use versweep::platform::Platforms;
use versweep::probe::Prober;
use versweep::recorder::Recorder;
use versweep::status::SweepStatus;
use versweep::store::Store;
use versweep::sweep::{Care, Engine, Outlet, Plan, Stop, run};
use versweep::timetable::Windows;
use versweep::transport::Trace;
use versweep::transport::fake::{FakeAnswer, FakeTransport, Script};

use crate::devices::{PASSWORD, device_at, transport};
use crate::shell_server::{Heard, ShellServer, ShellSetup};
use crate::ssh_server::until;
use crate::visits;

const VRP: &str = include_str!("../fixtures/platforms/huawei_vrp/ce.txt");
const IOS: &str = include_str!("../fixtures/platforms/cisco_ios/stack.txt");
const LINUX: &str = include_str!("../fixtures/platforms/linux/debian.txt");

fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn huawei() -> ShellSetup {
    let banner = "\r\nInfo: The max number of VTY users is 10, and the number\r\n      of current VTY users on line is 1.\r\n";
    ShellSetup::new("<sw1>", banner)
        .refuse("Error: Unrecognized command found at '^' position.\r\n")
        .answer("display version", &lines(VRP))
        .answer("display esn", "ESN of slot 0: 2102359999A0J1000001\r\n")
}

fn ios() -> ShellSetup {
    ShellSetup::new("sw1#", "\r\n").answer("show version", &lines(IOS)).answer("terminal length 0", "")
}

/// What was read, and what the server saw.
async fn visit(setup: ShellSetup, known: Option<&Known>) -> (Result<Reading, Failure>, Heard) {
    let folder = tempfile::tempdir().unwrap();
    let server = ShellServer::start(setup).await;
    let prober = Prober {
        transport: Arc::new(transport(PASSWORD, folder.path())),
        platforms: Arc::new(Platforms::builtin()),
        clock: Arc::new(SystemClock),
    };
    let sweep = SweepId::starting(SystemClock.now());
    let visit = prober.again(&device_at(server.address), known, sweep, Trace::begin()).await;
    until(|| server.heard().open == 0).await;
    let outcome = match visit.observation.outcome {
        Outcome::Answered { reading, .. } => Ok(reading),
        Outcome::Failed { failure, .. } => Err(failure),
    };
    (outcome, server.heard())
}

/// What the store would give back of a device that was read so.
fn remembered(reading: Reading) -> Known {
    let now = SystemClock.now();
    let facts = KnownFacts { reading, seen_at: now, version_since: now, boot_time: None };
    let visit = LastVisit { at: now, took: Duration::from_secs(1), failure: None };
    Known { facts: Some(facts), visit: Some(visit), ..Known::default() }
}

#[tokio::test]
async fn a_prompt_tells_what_to_ask_and_one_login_is_enough() {
    let (read, heard) = visit(huawei(), None).await;
    let read = read.unwrap();
    assert_eq!(read.platform, PlatformKey::new("huawei_vrp"));
    assert_eq!(read.facts.serial.as_deref(), Some("2102359999A0J1000001"));
    // Its manners are known from the prompt on.
    assert_eq!(heard.lines, ["screen-length 0 temporary", "display version", "display esn", "quit"]);
    assert_eq!((heard.logins, heard.execs.len()), (1, 0));
}

#[tokio::test]
async fn what_was_found_is_asked_first_the_next_time() {
    let (first, heard) = visit(ios(), None).await;
    let first = first.unwrap();
    assert_eq!((first.platform.as_str(), heard.logins), ("cisco_ios", 1));
    // Known as IOS, it is spoken to in the manners of IOS from the first word.
    let (again, heard) = visit(ios(), Some(&remembered(first.clone()))).await;
    assert_eq!(again.unwrap(), first);
    assert_eq!(
        (heard.lines, heard.logins),
        (["terminal length 0", "show version", "exit"].map(str::to_owned).to_vec(), 1)
    );
}

#[tokio::test]
async fn a_device_that_was_replaced_is_found_anew_in_the_same_login() {
    let (first, _) = visit(ios(), None).await;
    let (read, heard) = visit(huawei(), Some(&remembered(first.unwrap()))).await;
    assert_eq!(read.unwrap().platform.as_str(), "huawei_vrp");
    assert_eq!(heard.logins, 1);
    assert_eq!(heard.lines, ["terminal length 0", "show version", "display version", "display esn", "quit"]);
}

/// Remembered as a Linux host, it is asked by exec, which it refuses or ends the connection after.
#[tokio::test]
async fn a_channel_that_was_remembered_is_left_for_a_shell() {
    let linux = ShellSetup { exec: Some(LINUX.to_owned()), ..ShellSetup::new("admin@h1:~$ ", "") }
        .answer("cat /etc/os-release; uname -snr; cat /proc/uptime", &lines(LINUX))
        .refuse("bash: show: command not found\r\n");
    let (first, heard) = visit(linux.clone(), None).await;
    let first = first.unwrap();
    assert_eq!((first.platform.as_str(), heard.logins), ("linux", 1));
    let known = remembered(first);
    let (_, heard) = visit(linux, Some(&known)).await;
    assert_eq!((heard.execs.len(), heard.lines.len(), heard.logins), (1, 0, 1), "{heard:?}");
    // It is a switch now, and its exec is of no use.
    for exec in [None, Some("% Invalid input\r\n".to_owned())] {
        let (read, heard) = visit(ShellSetup { exec, ..ios() }, Some(&known)).await;
        assert_eq!((read.unwrap().platform.as_str(), heard.logins), ("cisco_ios", 1), "{heard:?}");
    }
}

#[tokio::test]
async fn after_an_answer_that_did_not_fit_nothing_is_remembered() {
    let (first, _) = visit(ios(), None).await;
    let mut known = remembered(first.unwrap());
    for (kind, is_forgotten) in
        [(FailureKind::Parse, true), (FailureKind::Command, true), (FailureKind::Timeout, false)]
    {
        let failure = Failure::new(kind, Stage::Parse, "");
        known.visit.as_mut().unwrap().failure = Some(failure);
        let (_, heard) = visit(ios(), Some(&known)).await;
        // The manners of a remembered platform come before its command.
        assert_eq!(heard.lines[0] == "show version", is_forgotten, "{kind} {heard:?}");
    }
}

#[tokio::test]
async fn where_there_is_no_shell_exec_is_asked() {
    let no_shell = ShellSetup { no_shell: true, exec: Some(IOS.to_owned()), ..ios() };
    let (read, heard) = visit(no_shell, None).await;
    assert_eq!((read.unwrap().platform.as_str(), heard.logins), ("cisco_ios", 1));
    assert_eq!(heard.execs, ["show version"]);
}

/// It had the whole command timeout for nothing, and the visit failed for want of a prompt.
#[tokio::test]
async fn a_shell_that_says_nothing_is_left_in_time_for_exec() {
    let silent = ShellSetup { exec: Some(lines(IOS)), ..ShellSetup::default() };
    let folder = tempfile::tempdir().unwrap();
    let server = ShellServer::start(silent).await;
    let prober = Prober {
        transport: Arc::new(transport(PASSWORD, folder.path())),
        platforms: Arc::new(Platforms::builtin()),
        clock: Arc::new(SystemClock),
    };
    let device = device_at(server.address);
    let timeouts = Timeouts { command: Duration::from_secs(8), ..device.timeouts };
    let device = Device { timeouts, ..device };
    let visit = prober.again(&device, None, SweepId::starting(SystemClock.now()), Trace::begin()).await;
    let Outcome::Answered { reading, .. } = visit.observation.outcome else {
        panic!("{:?}", visit.observation)
    };
    let heard = server.heard();
    assert_eq!((reading.platform.as_str(), heard.logins), ("cisco_ios", 1));
    assert!(!heard.execs.is_empty() && heard.terminal.is_some(), "{heard:?}");
}

#[tokio::test]
async fn a_device_that_nobody_knows_costs_a_few_questions() {
    let (read, heard) = visit(ShellSetup::new("odd#", ""), None).await;
    assert_eq!(read.unwrap_err().kind, FailureKind::Command);
    assert_eq!((heard.lines.len(), heard.logins), (6, 1), "{heard:?}");
}

/// One sweep of `r1`, recorded in that store; what the device was asked.
async fn sweep_and_record(store: &Path, transport: &FakeTransport) -> Vec<String> {
    let (opened, loaded) = Store::open(store).unwrap();
    let clock = Arc::new(SystemClock);
    let recorder = Recorder::start(opened, loaded, visits::judgement(), clock.clone());
    recorder.notes.send(Note::Inventory(vec![visits::device("r1")])).await.unwrap();
    let (sender, answer) = oneshot::channel();
    recorder.notes.send(Note::Flush(sender)).await.unwrap();
    answer.await.unwrap();
    let prober =
        Prober { transport: Arc::new(transport.clone()), platforms: Arc::new(Platforms::builtin()), clock };
    let plan = Plan {
        id: SweepId::starting(SystemClock.now()),
        name: "all".into(),
        reason: Reason::Schedule,
        devices: vec![visits::device("r1")],
        spread: Duration::ZERO,
        blackout: Windows::default(),
        fresh_for: Duration::ZERO,
        prober: Arc::new(prober),
        before: recorder.snapshot.load_full(),
        care: Care::default(),
    };
    let outlet = Outlet { notes: recorder.notes.clone(), status: watch::channel(SweepStatus::default()).0 };
    run(&Engine::new(1), plan, &outlet, &Stop::default()).await.unwrap();
    drop((outlet, recorder.notes));
    recorder.done.await.unwrap().unwrap();
    transport.visits().pop().unwrap().commands
}

#[tokio::test]
async fn the_store_remembers_across_restarts_and_a_replaced_device_is_found_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("versweep.db");
    let huawei = FakeAnswer::outputs([
        ("show version", "Error: Unrecognized command found at '^' position.\n"),
        ("display version", VRP),
        ("display esn", "ESN of slot 0: 2102359999A0J1000001\n"),
    ]);
    let ios = FakeAnswer::outputs([("show version", IOS)]);
    let script = Script::in_turn(vec![huawei.clone(), huawei, ios.clone(), ios]);
    let transport = FakeTransport::new().answers("r1", script);
    let expected: [&[&str]; 4] = [
        &["show version", "display version", "display esn"],
        &["display version", "display esn"],
        &["display version", "show version"],
        &["show version"],
    ];
    for (visit, asked) in expected.iter().enumerate() {
        assert_eq!(&sweep_and_record(&store, &transport).await, asked, "visit {visit}");
        assert_eq!(transport.visits_to("r1"), visit as u64 + 1, "one login a visit");
    }
}
