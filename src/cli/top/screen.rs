//! The terminal: its other screen while `versweep top` runs, and its own again whichever way that ends.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::panic;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use crossterm::Command;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Color, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::frame::Size;
use super::line::{Ink, Line, Tone};

/// What a terminal is taken for that doesn't say how large it is.
const USUAL: Size = Size { columns: 80, rows: 24 };
/// What is told as text, where no terminal says how wide and nothing how high.
const TEXT: Size = Size { columns: 100, rows: 50 };

/// How long a stop that was asked for may take to come.
const STOP_COMES_WITHIN: Duration = Duration::from_millis(200);

/// What was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Press {
    /// q, or Ctrl-C, which is no signal while keys come one by one.
    Quit,
    /// Ctrl-Z.
    Suspend,
    /// Anything else.
    Other,
}

impl Press {
    fn of(byte: u8) -> Self {
        match byte {
            b'q' | b'Q' | 0x03 => Self::Quit,
            0x1a => Self::Suspend,
            _ => Self::Other,
        }
    }
}

/// The terminal's other screen. Dropped, it gives the terminal back as it was.
pub(super) struct Screen {
    ink: Ink,
    /// Whether the next frame is drawn on an empty screen.
    empty_first: bool,
}

impl Screen {
    pub(super) fn enter(ink: Ink) -> anyhow::Result<Self> {
        let screen = Self { ink, empty_first: true };
        // What is told of a panic would go with the other screen.
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            Self::give_back();
            tell(info);
        }));
        screen.take()?;
        Ok(screen)
    }

    fn take(&self) -> anyhow::Result<()> {
        // Where keys come from elsewhere, Ctrl-C stays a signal.
        if io::stdin().is_terminal() {
            enable_raw_mode().context("the terminal can't be set to give keys one by one")?;
        }
        let mut out = Output::default();
        out.put(EnterAlternateScreen).put(DisableLineWrap).put(Hide);
        out.write()
    }

    /// Nobody is left to tell when the terminal is gone.
    fn give_back() {
        let mut out = Output::default();
        out.put(ResetColor).put(Show).put(EnableLineWrap).put(LeaveAlternateScreen);
        let _ = out.write();
        let _ = disable_raw_mode();
    }

    /// The next frame is drawn anew, whatever stands there.
    pub(super) fn forget(&mut self) {
        self.empty_first = true;
    }

    /// Draws what fits. Line over line, so that nothing flickers.
    pub(super) fn draw(&mut self, frame: impl FnOnce(Size) -> Vec<Line>) -> anyhow::Result<()> {
        let size = size_of_screen().unwrap_or(USUAL);
        let (mut out, mut below) = (Output::default(), 0);
        out.put(BeginSynchronizedUpdate);
        if std::mem::take(&mut self.empty_first) {
            out.put(Clear(ClearType::All));
        }
        for (row, line) in (0..size.rows).zip(frame(size)) {
            out.at(row);
            for (tone, text) in line.pieces() {
                out.piece(self.ink, tone, text);
            }
            // Behind a full line the cursor still stands on its last character, which would go.
            if line.width() < size.columns {
                out.put(Clear(ClearType::UntilNewLine));
            }
            below = row + 1;
        }
        if below < size.rows {
            out.at(below).put(Clear(ClearType::FromCursorDown));
        }
        out.put(EndSynchronizedUpdate);
        out.write()
    }

    /// Gives the terminal back to the shell, and takes it again when this is brought to the front.
    pub(super) async fn suspend(&mut self) -> anyhow::Result<()> {
        // The stop may come a moment later than it is asked for, so that its end is waited for; but not for long, because
        // where no shell would bring it back the system stops nobody.
        let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        Self::give_back();
        kill_process(getpid(), Signal::TSTP)?;
        let _ = tokio::time::timeout(STOP_COMES_WITHIN, continued.recv()).await;
        self.forget();
        self.take()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A panic has done it before it was told; done twice, the cursor would go back to before what was told.
        if !thread::panicking() {
            Self::give_back();
        }
    }
}

/// Sequences and text that are written at once.
#[derive(Default)]
struct Output(String);

impl Output {
    fn put(&mut self, command: impl Command) -> &mut Self {
        // A string takes everything.
        let _ = command.write_ansi(&mut self.0);
        self
    }

    /// Goes to the beginning of a row.
    fn at(&mut self, row: usize) -> &mut Self {
        self.put(MoveTo(0, u16::try_from(row).unwrap_or(u16::MAX)))
    }

    fn text(&mut self, text: &str) -> &mut Self {
        let _ = self.0.write_str(text);
        self
    }

    fn piece(&mut self, ink: Ink, tone: Tone, text: &str) {
        let (colour, attribute) = match tone {
            Tone::Plain => (None, None),
            Tone::Head => (None, Some(Attribute::Bold)),
            Tone::Dim => (None, Some(Attribute::Dim)),
            Tone::Good => (Some(Color::DarkGreen), None),
            Tone::Warn => (Some(Color::DarkYellow), None),
            Tone::Bad => (Some(Color::Red), None),
        };
        let colour = colour.filter(|_| ink == Ink::Colours);
        if let Some(colour) = colour {
            self.put(SetForegroundColor(colour));
        }
        if let Some(attribute) = attribute {
            self.put(SetAttribute(attribute));
        }
        self.text(text);
        if colour.is_some() || attribute.is_some() {
            self.put(SetAttribute(Attribute::Reset));
        }
    }

    fn write(&self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(self.0.as_bytes()).and_then(|()| out.flush()).context("can't write to the terminal")
    }
}

fn size_of_screen() -> Option<Size> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    let size = Size { columns: usize::from(size.ws_col), rows: usize::from(size.ws_row) };
    (size.columns > 0 && size.rows > 0).then_some(size)
}

/// How wide text may be: as the terminal, if it goes to one.
pub(super) fn size_of_text() -> Size {
    Size { columns: size_of_screen().map_or(TEXT.columns, |size| size.columns), rows: TEXT.rows }
}

/// What is pressed from now on. A thread of its own waits for it, to the end of the process; it holds nothing.
pub(super) fn presses() -> mpsc::Receiver<Press> {
    let (pressed, presses) = mpsc::channel(16);
    if io::stdin().is_terminal() {
        thread::spawn(move || {
            for byte in io::stdin().lock().bytes().map_while(Result::ok) {
                if pressed.blocking_send(Press::of(byte)).is_err() {
                    break;
                }
            }
        });
    }
    presses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_where_nobody_wants_them() {
        let drawn = |ink| {
            let mut out = Output::default();
            out.piece(ink, Tone::Bad, "bad");
            out.piece(ink, Tone::Plain, "plain");
            out.0
        };
        assert_eq!(drawn(Ink::None), "badplain");
        let coloured = drawn(Ink::Colours);
        assert!(coloured.starts_with("\u{1b}[") && coloured.ends_with("bad\u{1b}[0mplain"), "{coloured:?}");
    }

    #[test]
    fn q_and_ctrl_c_end_it() {
        assert_eq!(b"qQ\x03".map(Press::of), [Press::Quit; 3]);
        assert_eq!([Press::of(0x1a), Press::of(b'x')], [Press::Suspend, Press::Other]);
    }
}
