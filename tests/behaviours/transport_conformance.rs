//! What every transport keeps: the strict fake and the real one pass the same suite.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use versweep::device::Device;
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::fake::{FakeAnswer, FakeTransport};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{OUTPUT_LIMIT, Trace, Transport, TransportError};

use crate::devices::{PASSWORD, device_at, transport};
use crate::ssh_server::{Manner, Server, Setup, until};

/// A limit that is meant to be run into.
const SHORT: Duration = Duration::from_millis(100);

/// How the device of a scenario behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Device1 {
    Answers,
    RefusesLogin,
    RefusesCommands,
    Floods,
    SilentIn(Stage),
}

/// A transport with one device behind it.
trait World {
    type Transport: Transport;
    async fn with(behaviour: Device1) -> Self;
    fn transport(&self) -> &Self::Transport;
    fn device(&self) -> Device;
    /// Visits the device is in the middle of.
    fn open(&self) -> usize;
    /// Whether a visit has come as far as that stage.
    fn reached(&self, stage: Stage) -> bool;
}

struct Fake(FakeTransport);

impl World for Fake {
    type Transport = FakeTransport;

    async fn with(behaviour: Device1) -> Self {
        let answer = match behaviour {
            Device1::Answers => {
                FakeAnswer::outputs([("show version", "Version 1.0\n"), ("show clock", "12:00\n")])
            }
            Device1::RefusesLogin => FakeAnswer::fails(FailureKind::Auth),
            Device1::RefusesCommands => FakeAnswer::fails(FailureKind::Denied),
            Device1::Floods => FakeAnswer::output("x".repeat(OUTPUT_LIMIT + 1)),
            Device1::SilentIn(stage) => FakeAnswer::hangs(stage),
        };
        Self(FakeTransport::new().answers("r1", answer))
    }

    fn transport(&self) -> &FakeTransport {
        &self.0
    }

    fn device(&self) -> Device {
        device_at(([127, 0, 0, 1], 22).into())
    }

    fn open(&self) -> usize {
        self.0.open()
    }

    fn reached(&self, _: Stage) -> bool {
        self.0.open() == 1
    }
}

struct Ssh {
    transport: SshTransport,
    server: Server,
    /// Stands in for a server that accepts and says nothing.
    mute: Option<Mute>,
    _folder: tempfile::TempDir,
}

struct Mute {
    address: std::net::SocketAddr,
    open: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Mute {
    async fn start() -> Self {
        use std::sync::atomic::Ordering::SeqCst;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let count = open.clone();
        tasks.spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                count.fetch_add(1, SeqCst);
                let _ = tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await;
                count.fetch_sub(1, SeqCst);
            }
        });
        Self { address, open, _tasks: tasks }
    }
}

impl World for Ssh {
    type Transport = SshTransport;

    async fn with(behaviour: Device1) -> Self {
        let manner = match behaviour {
            Device1::RefusesCommands => Manner::RefusesExec,
            Device1::Floods => Manner::Floods,
            Device1::SilentIn(Stage::Auth) => Manner::SilentAtLogin,
            Device1::SilentIn(Stage::Command) => Manner::SilentAtCommand,
            _ => Manner::Usual,
        };
        let server = Server::start(Setup::new(manner).answer("show clock", "12:00\n")).await;
        let mute = if behaviour == Device1::SilentIn(Stage::Kex) { Some(Mute::start().await) } else { None };
        let folder = tempfile::tempdir().unwrap();
        let password = if behaviour == Device1::RefusesLogin { "wrong" } else { PASSWORD };
        Self { transport: transport(password, folder.path()), server, mute, _folder: folder }
    }

    fn transport(&self) -> &SshTransport {
        &self.transport
    }

    fn device(&self) -> Device {
        device_at(self.mute.as_ref().map_or(self.server.address, |mute| mute.address))
    }

    fn open(&self) -> usize {
        let mute = self.mute.as_ref().map_or(0, |mute| mute.open.load(std::sync::atomic::Ordering::SeqCst));
        mute + self.server.seen().open
    }

    fn reached(&self, stage: Stage) -> bool {
        match stage {
            // Kex has no sign of its own here: an open connection may be one that is about to enter it.
            Stage::Auth => !self.server.seen().passwords.is_empty(),
            Stage::Command => !self.server.seen().commands.is_empty(),
            _ => self.open() == 1,
        }
    }
}

fn commands(list: &[&str]) -> Errand {
    Errand::by_exec(list.iter().map(|command| (*command).to_owned()).collect::<Vec<_>>())
}

async fn visit<W: World>(
    world: &W,
    device: &Device,
    list: &[&str],
) -> (Result<Vec<String>, TransportError>, Trace) {
    let mut trace = Trace::begin();
    let result = world.transport().visit(device, &commands(list), &mut trace).await;
    until(|| world.open() == 0).await;
    (result, trace)
}

async fn answers_each_command_in_order<W: World>() {
    let world = W::with(Device1::Answers).await;
    let (result, trace) =
        visit(&world, &world.device(), &["show version", "show clock", "show version"]).await;
    assert_eq!(result.unwrap(), ["Version 1.0\n", "12:00\n", "Version 1.0\n"]);
    assert_eq!(trace.times().iter().map(|(stage, _)| stage).collect::<Vec<_>>(), Stage::ON_THE_WIRE);
}

async fn no_commands_are_a_login_only<W: World>() {
    let world = W::with(Device1::Answers).await;
    let (result, _) = visit(&world, &world.device(), &[]).await;
    assert_eq!(result.unwrap(), Vec::<String>::new());
}

async fn failures_have_their_kind_and_stage<W: World>() {
    for (behaviour, kind, stage) in [
        (Device1::RefusesLogin, FailureKind::Auth, Stage::Auth),
        (Device1::RefusesCommands, FailureKind::Denied, Stage::Command),
    ] {
        let world = W::with(behaviour).await;
        let (result, trace) = visit(&world, &world.device(), &["show version"]).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.stage, trace.stage()), (kind, stage, stage), "{}", error.detail);
        assert!(!error.detail.is_empty() && error.detail.chars().count() <= 300);
        assert!(
            trace.times().iter().all(|(finished, _)| finished < stage),
            "an unfinished stage has no time"
        );
    }
}

async fn silence_ends_at_the_stages_own_limit<W: World>() {
    for stage in [Stage::Kex, Stage::Auth, Stage::Command] {
        let world = W::with(Device1::SilentIn(stage)).await;
        let mut device = world.device();
        if stage == Stage::Command {
            device.timeouts.command = SHORT;
        } else {
            device.timeouts.login = if stage == Stage::Kex { SHORT } else { Duration::from_secs(2) };
        }
        let (result, trace) = visit(&world, &device, &["show version"]).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.stage, trace.stage()), (FailureKind::Timeout, stage, stage));
    }
}

async fn output_is_bounded<W: World>() {
    let world = W::with(Device1::Floods).await;
    let (result, _) = visit(&world, &world.device(), &["show version"]).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::OutputLimit, Stage::Command));
    let partial = error.partial_output.unwrap();
    assert!(partial.starts_with("xxx") && partial.len() <= 64 * 1024);
}

async fn a_dropped_visit_leaves_nothing_open<W: World>() {
    for stage in [Stage::Kex, Stage::Auth, Stage::Command] {
        let world = W::with(Device1::SilentIn(stage)).await;
        let device = world.device();
        let list = commands(&["show version"]);
        let mut trace = Trace::begin();
        {
            let visit = world.transport().visit(&device, &list, &mut trace);
            let dropped = async {
                tokio::select! {
                    ended = visit => panic!("it should hang in {stage}: {ended:?}"),
                    () = until(|| world.reached(stage)) => {}
                }
            };
            timeout(Duration::from_secs(20), dropped).await.unwrap();
        }
        if stage != Stage::Kex {
            assert_eq!(trace.stage(), stage, "the trace tells how far the visit came");
        }
        until(|| world.open() == 0).await;
    }
}

macro_rules! suite {
    ($world:ident, $name:ident) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn answers_each_command_in_order() {
                super::answers_each_command_in_order::<$world>().await;
            }

            #[tokio::test]
            async fn no_commands_are_a_login_only() {
                super::no_commands_are_a_login_only::<$world>().await;
            }

            #[tokio::test]
            async fn failures_have_their_kind_and_stage() {
                super::failures_have_their_kind_and_stage::<$world>().await;
            }

            #[tokio::test]
            async fn silence_ends_at_the_stages_own_limit() {
                super::silence_ends_at_the_stages_own_limit::<$world>().await;
            }

            #[tokio::test]
            async fn output_is_bounded() {
                super::output_is_bounded::<$world>().await;
            }

            #[tokio::test]
            async fn a_dropped_visit_leaves_nothing_open() {
                super::a_dropped_visit_leaves_nothing_open::<$world>().await;
            }
        }
    };
}

suite!(Fake, fake);
suite!(Ssh, ssh);
