//! `versweep top`: one frame as text for scripts, a live view in a terminal, and the terminal as it was when it ends.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Output};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use versweep::sim::Fault;

use crate::daemon::{eventually, free_address};
use crate::site::{PASSWORD, Site, versweep};

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A site of four devices, of which one refuses the password, and one keeps its sweep busy: it takes the command and never answers.
fn site() -> Site {
    let site = Site::new(4);
    site.set_fault(&site.devices()[1], Some(Fault::Password));
    site.set_fault(&site.devices()[2], Some(Fault::Mute));
    site
}

fn once(site: &Site) -> Output {
    site.versweep(&["top", "--once", "--url", &format!("http://{}", site.web())])
}

fn window(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}

/// `versweep top` in a terminal of its own.
struct Terminal {
    child: Child,
    ours: File,
    theirs: OwnedFd,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn open(url: &str) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).and_then(|()| unlockpt(&ours)).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        tcsetwinsize(&theirs, window(90, 30)).unwrap();
        let end = || theirs.try_clone().unwrap();
        let mut command: Command = versweep(&["top", "--interval", "200ms", "--url", url]);
        command.env("TERM", "xterm").env_remove("NO_COLOR").stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        let (ours, seen) = (File::from(ours), Arc::<Mutex<Vec<u8>>>::default());
        let (mut from, into) = (ours.try_clone().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                into.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { child, ours, theirs, seen }
    }

    fn seen(&self) -> String {
        text(&self.seen.lock().unwrap())
    }

    fn shows(&self, what: &str) {
        eventually(&format!("{what:?} is shown"), || self.seen().contains(what));
    }

    /// Whether a key is given as it is pressed, and not shown.
    fn is_raw(&self) -> bool {
        !tcgetattr(&self.theirs).unwrap().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    }

    fn press(&mut self, keys: &[u8]) {
        self.ours.write_all(keys).unwrap();
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(kill.unwrap().success());
    }

    /// The exit code; the terminal must be as it was.
    fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        // What it wrote last may still be on its way.
        eventually("the screen and its cursor are given back", || {
            let seen = self.seen();
            let last = |what: &str| seen.rfind(what);
            last(ENTER) < last(LEAVE) && last("\u{1b}[?25l") < last("\u{1b}[?25h")
        });
        assert!(!self.is_raw(), "the terminal is left raw");
        status.unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_frame_is_printed_where_there_is_no_terminal() {
    let site = site();
    let mut daemon = site.daemon();
    let mut frame = String::new();
    // The run's own counts come first, then the snapshot; the worker is free last.
    eventually("three of four are done", || {
        let output = once(&site);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        frame = text(&output.stdout);
        let told = ["3/4", "2 up, 1 failing, 1 unvisited", "1 of 8 busy", "failing     auth 1"];
        told.iter().all(|words| frame.contains(words))
    });
    let line =
        |start: &str| frame.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{frame}"));
    assert!(line("versweep ").contains(&format!("{}, up ", env!("CARGO_PKG_VERSION"))), "{frame}");
    assert!(line("versweep ").contains(&format!("http://{}", site.web())), "{frame}");
    assert_eq!(line("devices "), "devices     4 in all: 2 up, 1 failing, 1 unvisited");
    assert!(line("workers ").ends_with("1 of 8 busy"), "{frame}");
    assert_eq!(line("failing "), "failing     auth 1");
    let (all, refused) = (line("all "), site.devices()[1].name());
    assert!(all.contains(" 75 % ") && all.split_whitespace().any(|word| word == "3/4"), "{all}");
    assert!(frame.contains(&format!("{refused} auth at auth: ")), "{frame}");
    assert!(!frame.contains("first_seen"), "{frame}");
    assert!(!frame.contains('\u{1b}') && !frame.contains(PASSWORD), "{frame}");
    daemon.signal("KILL");
    daemon.wait();
    let output = once(&site);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(text(&output.stderr).contains("is `versweep run` up there?"), "{}", text(&output.stderr));
}

#[test]
fn a_terminal_shows_it_live_and_is_given_back() {
    let site = site();
    let mut daemon = site.daemon();
    let url = format!("http://{}", site.web());
    let mut by_key = Terminal::open(&url);
    by_key.shows("3/4");
    assert!(by_key.seen().starts_with(ENTER) && by_key.is_raw());
    // Another size is another frame: what stood there goes.
    tcsetwinsize(&by_key.theirs, window(30, 5)).unwrap();
    let before = by_key.seen().len();
    by_key.signal("WINCH");
    eventually("it is drawn on an empty screen", || by_key.seen()[before..].contains("\u{1b}[2J"));
    // To the shell and back.
    by_key.press(b"\x1a");
    by_key.shows(LEAVE);
    // Where no shell would bring it back it isn't stopped, and comes back by itself.
    eventually("it is stopped, or back", || by_key.is_stopped() || by_key.seen().matches(ENTER).count() == 2);
    by_key.signal("CONT");
    eventually("it is back", || by_key.seen().matches(ENTER).count() == 2);
    let mut by_interrupt = Terminal::open(&url);
    let mut by_signal = ["TERM", "HUP", "QUIT"].map(|name| (name, Terminal::open(&url)));
    by_interrupt.shows("3/4");
    by_signal.iter().for_each(|(_, terminal)| terminal.shows("3/4"));
    // A daemon that is gone is told, and looked for on and on.
    daemon.signal("KILL");
    daemon.wait();
    by_key.shows("no answer since ");
    by_interrupt.shows("Connection refused");
    let _daemon = site.daemon();
    let gone = by_interrupt.seen().len();
    eventually("it is there again", || {
        let seen = by_interrupt.seen();
        let frames: Vec<&str> = seen[gone..].split("\u{1b}[?2026h").collect();
        // The last one may not be whole yet.
        frames
            .iter()
            .rev()
            .nth(1)
            .is_some_and(|frame| frame.contains(", up ") && !frame.contains("no answer since"))
    });
    by_key.press(b"q");
    by_interrupt.press(b"x\x03");
    assert_eq!([by_key.ended(), by_interrupt.ended()], [Some(0); 2]);
    for (name, terminal) in &mut by_signal {
        terminal.signal(name);
        assert_eq!(terminal.ended(), Some(0), "{name}");
    }
}

#[test]
fn a_refusal_ends_it_at_once() {
    let site = Site::new(1);
    let _daemon = site.daemon();
    let mut terminal = Terminal::open(&format!("http://{}/elsewhere", site.web()));
    assert_eq!(terminal.ended(), Some(1));
    terminal.shows("answers 404");
    let seen = terminal.seen();
    assert!(seen.rfind(LEAVE) < seen.rfind("answers 404"), "told where it is read: {seen}");
}

#[test]
fn an_interval_that_helps_nobody_is_refused() {
    let url = format!("http://{}", free_address());
    for interval in ["100ms", "2", "2h"] {
        let output = versweep(&["top", "--interval", interval, "--url", &url]).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{interval}: {}", text(&output.stderr));
    }
}
