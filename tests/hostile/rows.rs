//! The rows.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use versweep::device::{Device, Timeouts};
use versweep::dialogue::{Errand, Rules};
use versweep::failure::{FailureKind, Stage};
use versweep::transport::TransportError;

use crate::cutter::{Then, cutter};
use crate::devices::device_at;
use crate::preacher::preach;
use crate::shell_server::{ShellServer, ShellSetup};
use crate::ssh_server::{Manner, Server, Setup};
use crate::visitor::{HASTY, OUTPUT_MAX, Turn};

/// The packets of a whole visit, good-bye included, are fewer; more than are said are no harm.
const PACKETS: usize = 20;

fn by_exec() -> Errand {
    Errand::by_exec(["show version".to_owned()])
}

fn by_shell() -> Errand {
    Errand::by_shell(["show version".to_owned()], Rules::default())
}

/// A peer that does this to one visitor.
fn peer(act: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || act(listener.accept().unwrap().0));
    address
}

/// Takes whatever comes until the visitor hangs up.
fn listen(mut tcp: TcpStream) {
    let _ = tcp.read_to_end(&mut Vec::new());
}

/// Says it for as long as somebody listens.
fn say_for_ever(mut tcp: &TcpStream, text: &[u8]) {
    let text = text.repeat(4096 / text.len() + 1);
    while tcp.write_all(&text).is_ok() {}
}

#[track_caller]
fn expect(result: Result<Vec<String>, TransportError>, kind: FailureKind, stage: Stage) {
    let error = result.expect_err("it fails");
    assert_eq!((error.kind, error.stage), (kind, stage), "{}", error.detail);
    assert!(error.partial_output.is_none_or(|text| text.len() <= 64 * 1024));
}

#[test]
fn silent() {
    let turn = Turn::take();
    expect(turn.visit_hastily(peer(listen), &by_exec()), FailureKind::Timeout, Stage::Kex);
}

#[test]
fn silent_after_its_identification() {
    let turn = Turn::take();
    let address = peer(|mut tcp| {
        tcp.write_all(b"SSH-2.0-Silent\r\n").unwrap();
        listen(tcp);
    });
    expect(turn.visit_hastily(address, &by_exec()), FailureKind::Timeout, Stage::Kex);
}

#[test]
fn half_closed() {
    let turn = Turn::take();
    let address = peer(|mut tcp| {
        tcp.write_all(b"SSH-2.0-Half\r\n").unwrap();
        tcp.shutdown(std::net::Shutdown::Write).unwrap();
        listen(tcp);
    });
    expect(turn.visit(address, &by_exec()), FailureKind::Disconnected, Stage::Kex);
}

#[test]
fn a_byte_a_second_of_its_identification() {
    let turn = Turn::take();
    let address = peer(|mut tcp| {
        for byte in b"SSH-2.0-Slow\r\n" {
            if tcp.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_secs(1));
        }
    });
    expect(turn.visit_hastily(address, &by_exec()), FailureKind::Timeout, Stage::Kex);
}

#[test]
fn lines_without_end_before_its_identification() {
    let turn = Turn::take();
    let address = peer(|tcp| say_for_ever(&tcp, b"# keep out #\r\n"));
    expect(turn.visit(address, &by_exec()), FailureKind::Kex, Stage::Kex);
}

#[test]
fn a_line_without_end_before_its_identification() {
    let turn = Turn::take();
    let address = peer(|tcp| say_for_ever(&tcp, b"x"));
    expect(turn.visit(address, &by_exec()), FailureKind::Kex, Stage::Kex);
}

#[test]
fn an_identification_without_end() {
    let turn = Turn::take();
    let address = peer(|mut tcp| {
        let _ = tcp.write_all(b"SSH-2.0-");
        say_for_ever(&tcp, b"x");
    });
    expect(turn.visit(address, &by_exec()), FailureKind::Kex, Stage::Kex);
}

#[test]
fn packets_of_absurd_lengths_in_clear() {
    let turn = Turn::take();
    // An empty packet reads as an end of the connection; all others are told for what they are.
    for length in [0, 1, 2, 40_000, 1 << 20, (1 << 31) - 1, 1 << 31, u32::MAX] {
        let address = peer(move |mut tcp| {
            tcp.write_all(b"SSH-2.0-Long\r\n").unwrap();
            let _ = tcp.write_all(&u32::to_be_bytes(length));
            say_for_ever(&tcp, &[20]);
        });
        let error = turn.visit(address, &by_exec()).unwrap_err();
        let kind = if length == 0 { FailureKind::Disconnected } else { FailureKind::Kex };
        assert_eq!((error.kind, error.stage), (kind, Stage::Kex), "{length}: {}", error.detail);
    }
}

/// A well-behaved server behind a wire that is cut after each of the packets of a whole visit.
fn cut_everywhere(then: Then, kinds: &[FailureKind]) {
    let turn = Turn::take();
    let mut stages = Vec::new();
    for after in 0..PACKETS {
        let server = turn.servers.block_on(Server::start(Setup::new(Manner::Usual)));
        let (address, handed_on) = cutter(server.address, after, then);
        // Only those that go on for ever are ended by a limit; the others end by themselves, however busy the machine is.
        let visited = match then {
            Then::Silence | Then::Drip => turn.visit_hastily(address, &by_exec()),
            Then::Reset | Then::Close | Then::Length(_) => turn.visit(address, &by_exec()),
        };
        match visited {
            Err(error) => {
                assert!(kinds.contains(&error.kind), "after {after}: {:?}: {}", error.kind, error.detail);
                assert!(!error.detail.is_empty());
                stages.push(error.stage);
            }
            // The answer was whole before the cut; only the good-bye was left.
            Ok(outputs) => {
                assert_eq!(outputs, ["Version 1.0\n"]);
                assert!(handed_on.load(Ordering::Relaxed) >= 9, "after {after}");
            }
        }
    }
    for stage in [Stage::Kex, Stage::Auth, Stage::Command] {
        assert!(stages.contains(&stage), "{stages:?}");
    }
}

#[test]
fn reset_after_each_packet() {
    cut_everywhere(Then::Reset, &[FailureKind::Disconnected, FailureKind::Auth]);
}

#[test]
fn closed_after_each_packet() {
    // Whoever hangs up on a secret has refused it, as far as rule 2 is concerned.
    cut_everywhere(Then::Close, &[FailureKind::Disconnected, FailureKind::Auth]);
}

#[test]
fn gone_without_a_word_after_each_packet() {
    cut_everywhere(Then::Silence, &[FailureKind::Timeout]);
}

#[test]
fn a_byte_at_a_time_after_each_packet() {
    cut_everywhere(Then::Drip, &[FailureKind::Timeout]);
}

#[test]
fn a_packet_of_2_31_bytes_after_each_packet() {
    cut_everywhere(Then::Length(1 << 31), &[FailureKind::Kex, FailureKind::Disconnected, FailureKind::Auth]);
}

/// Banners that never end, in place of an answer to the login (RFC 4252, section 5.4, sets no limit to them).
fn endless_banners(banner: &'static str) {
    let turn = Turn::take();
    let address = peer(move |tcp| preach(tcp, banner));
    // Keys are exchanged within the same limit.
    let timeouts = Timeouts { visit: Duration::from_secs(30), login: Duration::from_secs(3), ..HASTY };
    let result = turn.visit_device(&Device { timeouts, ..device_at(address) }, &by_exec());
    expect(result, FailureKind::Timeout, Stage::Auth);
}

#[test]
fn banners_without_end_during_the_login() {
    endless_banners("all work and no play\r\n");
}

#[test]
fn empty_banners_without_end_during_the_login() {
    endless_banners("");
}

#[test]
fn an_output_without_end_by_exec() {
    let turn = Turn::take();
    let server = turn.servers.block_on(Server::start(Setup::new(Manner::Floods)));
    let result = turn.visit(server.address, &by_exec());
    let kept = result.as_ref().expect_err("it fails").partial_output.clone().unwrap();
    assert!(kept.len() <= OUTPUT_MAX, "{} bytes", kept.len());
    expect(result, FailureKind::OutputLimit, Stage::Command);
}

fn shell(turn: &Turn, setup: ShellSetup) -> ShellServer {
    turn.servers.block_on(ShellServer::start(setup))
}

fn router() -> ShellSetup {
    ShellSetup::new("r1#", "\r\n# Site A > keep out #\r\n")
}

#[test]
fn an_output_without_end_in_a_shell() {
    let turn = Turn::take();
    let server = shell(&turn, router().answer("show version", &"more of the same\r\n".repeat(200_000)));
    expect(turn.visit(server.address, &by_shell()), FailureKind::OutputLimit, Stage::Command);
}

/// Greetings that never end: each repeats its text.
fn endless_greeting(text: &str) {
    let turn = Turn::take();
    let server = shell(&turn, ShellSetup { endless: Some(text.to_owned()), ..ShellSetup::default() });
    expect(turn.visit(server.address, &by_shell()), FailureKind::Prompt, Stage::Command);
}

#[test]
fn a_banner_without_end() {
    endless_greeting("all work and no play\r\n");
}

#[test]
fn a_line_without_end() {
    endless_greeting("x");
}

#[test]
fn escapes_that_jump_far() {
    endless_greeting("\u{1b}[2J\u{1b}[9999C.\u{1b}[18446744073709551615C.\u{1b}[999;99999H.");
}

#[test]
fn titles_without_end() {
    endless_greeting("\u{1b}]0;title");
}

#[test]
fn questions_about_the_terminal_without_end() {
    endless_greeting("\u{1b}[6n\u{1b}[c");
}

#[test]
fn pages_without_end() {
    endless_greeting("Press any key to continue\r\n--More-- ");
}

#[test]
fn a_prompt_that_never_comes() {
    let turn = Turn::take();
    let setup = ShellSetup { greeting: "Welcome\r\nloading modules".to_owned(), ..ShellSetup::default() };
    let server = shell(&turn, setup);
    expect(turn.visit_hastily(server.address, &by_shell()), FailureKind::Prompt, Stage::Command);
}

#[test]
fn a_byte_a_second_in_a_shell() {
    let turn = Turn::take();
    let server = shell(&turn, ShellSetup { slow: Some("Welcome ".to_owned()), ..ShellSetup::default() });
    expect(turn.visit_hastily(server.address, &by_shell()), FailureKind::Prompt, Stage::Command);
}

#[test]
fn a_prompt_inside_the_output() {
    let turn = Turn::take();
    let text = "Version 1.0\r\nr1#\r\nr1#show version\r\nr1#exit\r\nuptime\r\n";
    let server = shell(&turn, router().answer("show version", text));
    let outputs = turn.visit(server.address, &by_shell()).unwrap();
    assert!(outputs[0].starts_with("Version 1.0\n"), "{outputs:?}");
    assert_eq!(server.heard().lines.len(), 2, "{:?}", server.heard().lines);
}

#[test]
fn an_escape_bomb_inside_the_output() {
    let turn = Turn::take();
    let bomb = "\u{1b}[2048C.\r\n".repeat(20_000);
    let server = shell(&turn, router().answer("show version", &bomb));
    expect(turn.visit(server.address, &by_shell()), FailureKind::OutputLimit, Stage::Command);
}
