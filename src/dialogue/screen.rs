//! What a person would see: bytes in, lines out. Overwriting, backspaces, erasing and cursor addressing are carried out
//! within the present line; titles, colours, bells and NULs leave nothing.
//!
//! The state never depends on how the bytes were cut into pieces.

/// The farthest column that a device can jump to: wider than any terminal that is asked for.
pub(super) const COLUMN_MAX: usize = 2048;

/// A control sequence longer than this is none; the rest of it is text.
const SEQUENCE_MAX: usize = 64;

/// A title or another string sequence longer than this is none.
const STRING_MAX: usize = 1024;

/// The finished lines, and the one that is being written.
#[derive(Debug, Default)]
pub(super) struct Screen {
    done: String,
    /// The present line, a byte a cell. Bytes beyond ASCII count as cells of their own: only where a device overwrites
    /// such text does that differ from a real terminal.
    line: Vec<u8>,
    column: usize,
    /// The row that was last addressed, where one was since the line began.
    row: Option<usize>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    Escape,
    /// `ESC (` and the like: one more byte belongs to it.
    Intermediate,
    /// `ESC [`: the parameters so far.
    Control(Vec<u8>),
    /// A title and the like, until BEL or `ESC \`: how many bytes it has, and whether an ESC came last.
    String(usize, bool),
}

/// What a byte brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing beyond the present line.
    Line,
    /// The line is finished: the last one of [`Screen::done`].
    Newline,
    /// The device asks what terminal this is.
    WhoAreYou,
    /// The device asks where the cursor is.
    WhereIsTheCursor,
}

impl Screen {
    /// The finished lines, each with its newline.
    pub(super) fn done(&self) -> &str {
        &self.done
    }

    /// The present line, without blanks at its end.
    pub(super) fn line(&self) -> String {
        String::from_utf8_lossy(self.line.trim_ascii_end()).into_owned()
    }

    /// How many bytes the present line has.
    pub(super) fn line_len(&self) -> usize {
        self.line.len()
    }

    /// Forgets the first `bytes` of the finished lines.
    pub(super) fn forget(&mut self, bytes: usize) {
        let cut = self.done.ceil_char_boundary(bytes.min(self.done.len()));
        self.done.drain(..cut);
    }

    /// Takes one byte in.
    pub(super) fn feed(&mut self, byte: u8) -> Seen {
        match std::mem::take(&mut self.state) {
            State::Text => return self.text(byte),
            State::Escape => return self.escape(byte),
            State::Intermediate if byte == b'\n' => return self.newline(),
            State::Intermediate => {}
            State::Control(parameters) => return self.control(parameters, byte),
            State::String(length, after_escape) => match byte {
                0x07 => {}
                b'\\' if after_escape => {}
                b'\n' => return self.newline(),
                _ if length >= STRING_MAX => return self.text(byte),
                _ => self.state = State::String(length + 1, byte == 0x1b),
            },
        }
        Seen::Line
    }

    fn text(&mut self, byte: u8) -> Seen {
        match byte {
            b'\n' => return self.newline(),
            b'\r' => self.column = 0,
            0x08 => self.column = self.column.saturating_sub(1),
            0x1b => self.state = State::Escape,
            b'\t' | 0x20..=0x7e | 0x80.. => self.put(byte),
            _ => {}
        }
        Seen::Line
    }

    fn put(&mut self, byte: u8) {
        if self.line.len() < self.column {
            self.line.resize(self.column, b' ');
        }
        match self.line.get_mut(self.column) {
            Some(cell) => *cell = byte,
            None => self.line.push(byte),
        }
        self.column += 1;
    }

    fn newline(&mut self) -> Seen {
        self.done.push_str(&String::from_utf8_lossy(self.line.trim_ascii_end()));
        self.done.push('\n');
        self.line.clear();
        self.column = 0;
        self.row = None;
        Seen::Newline
    }

    fn escape(&mut self, byte: u8) -> Seen {
        match byte {
            b'[' => self.state = State::Control(Vec::new()),
            b']' | b'P' | b'X' | b'^' | b'_' => self.state = State::String(0, false),
            b' '..=b'/' => self.state = State::Intermediate,
            // NEL, and IND at the bottom of the screen, where shells write.
            b'E' | b'D' | b'\n' => return self.newline(),
            0x1b => self.state = State::Escape,
            b'Z' => return Seen::WhoAreYou,
            _ => {}
        }
        Seen::Line
    }

    fn control(&mut self, mut parameters: Vec<u8>, byte: u8) -> Seen {
        match byte {
            b'\n' => self.newline(),
            0x1b => {
                self.state = State::Escape;
                Seen::Line
            }
            b'@'..=b'~' => self.act(&parameters, byte),
            _ if parameters.len() >= SEQUENCE_MAX => self.text(byte),
            _ => {
                parameters.push(byte);
                self.state = State::Control(parameters);
                Seen::Line
            }
        }
    }

    /// Carries out one control sequence (ECMA-48).
    fn act(&mut self, parameters: &[u8], end: u8) -> Seen {
        let mut numbers = parameters.split(|byte| *byte == b';').map(number);
        let first = numbers.next().flatten();
        let count = first.unwrap_or(1).max(1);
        match end {
            b'C' => self.column = self.column.saturating_add(count).min(self.column.max(COLUMN_MAX)),
            b'D' => self.column = self.column.saturating_sub(count),
            b'G' => self.column = (count - 1).min(COLUMN_MAX),
            b'E' => return self.newline(),
            b'H' | b'f' => return self.address(count, numbers.next().flatten().unwrap_or(1).max(1)),
            b'K' | b'J' => self.erase(first.unwrap_or(0)),
            b'P' => {
                let from = self.column.min(self.line.len());
                let to = from.saturating_add(count).min(self.line.len());
                self.line.drain(from..to);
            }
            b'c' if parameters.is_empty() || parameters == b"0" => return Seen::WhoAreYou,
            b'n' if parameters == b"6" => return Seen::WhereIsTheCursor,
            _ => {}
        }
        Seen::Line
    }

    /// Another row is another line; the top left corner of an unknown row too.
    fn address(&mut self, row: usize, column: usize) -> Seen {
        let elsewhere = self.row.map_or((row, column) == (1, 1), |here| here != row);
        let seen = if elsewhere && !self.line.trim_ascii().is_empty() {
            self.newline()
        } else {
            if elsewhere {
                self.line.clear();
            }
            Seen::Line
        };
        self.row = Some(row);
        self.column = (column - 1).min(COLUMN_MAX);
        seen
    }

    fn erase(&mut self, what: usize) {
        match what {
            0 => self.line.truncate(self.column),
            1 => {
                let to = (self.column + 1).min(self.line.len());
                self.line.iter_mut().take(to).for_each(|cell| *cell = b' ');
            }
            _ => self.line.clear(),
        }
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(bytes: &[u8]) -> String {
        let mut screen = Screen::default();
        for byte in bytes {
            screen.feed(*byte);
        }
        format!("{}{}", screen.done(), screen.line())
    }

    #[test]
    fn line_ends_of_every_kind_become_newlines() {
        assert_eq!(drawn(b"a\r\nb\r\r\nc\nd\n\re"), "a\nb\nc\nd\ne");
    }

    #[test]
    fn an_erased_pager_leaves_nothing() {
        assert_eq!(drawn(b"a\n --More-- \x08\x08\x08\x08\x08\x08\x08\x08\x08\x08          \x08\x08\x08\x08\x08\x08\x08\x08\x08\x08b\n"), "a\nb\n");
        assert_eq!(drawn(b"a\n--More-- \r         \rb\n"), "a\nb\n");
        assert_eq!(
            drawn(b"a\n  ---- More ----\x1b[42D                                          \x1b[42Db\n"),
            "a\nb\n"
        );
    }

    #[test]
    fn a_prompt_that_is_drawn_by_cursor_addressing_is_read() {
        let bytes = b"\x1b[2J\x1b[?7l\x1b[3;23r\x1b[24;27H\x1b[24;1H\x1b[?25h\x1b[24;1HSW 1# \x1b[24;1H\x1b[24;7H\x1b[24;1H\x1b[?25h\x1b[24;7Hs\x1b[24;8Hh";
        assert_eq!(drawn(bytes), "SW 1# sh");
        assert_eq!(drawn(b"\x1b[23;1Hone\x1b[24;1Htwo"), "one\ntwo");
        assert_eq!(drawn(b"\x1b[1;1Htop\x1b[H\x1b[Jnext"), "next");
    }

    #[test]
    fn colours_titles_and_nuls_are_dropped() {
        assert_eq!(drawn(b"\x1b[4m\rLAB#\x1b[m \0"), "LAB#");
        assert_eq!(drawn(b"\x1b[?2004h\x1b]0;title\x07r@h:~# "), "r@h:~#");
        assert_eq!(drawn(b"\x1b]0;title\x1b\\x\x1b(B\x1b=y\x1b>"), "xy");
    }

    #[test]
    fn bombs_stay_small() {
        let mut screen = Screen::default();
        for byte in b"\x1b[18446744073709551615C.\x1b[999999999C.\x1b[999999999999999999999C.\x1b[5;99999H."
            .repeat(10)
        {
            screen.feed(byte);
        }
        assert!(screen.line_len() <= COLUMN_MAX + 64, "{}", screen.line_len());
        let endless = [b"\x1b[".to_vec(), vec![b'1'; 100_000]].concat();
        assert!(drawn(&endless).len() <= endless.len());
        assert!(drawn(&[b"\x1b]".to_vec(), vec![b't'; 5_000]].concat()).len() < 5_000);
    }
}
