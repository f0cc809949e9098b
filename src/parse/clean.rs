//! From what came over the wire to what a person would have seen: control sequences are carried out or dropped.

use std::borrow::Cow;

/// The text as lines that end in `\n`, free of escapes, NULs and everything else that is not text.
pub(super) fn clean(output: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, b'\n' | b'\t' | 0x20..=0x7e | 0x80..);
    let plain = output.bytes().all(is_plain);
    let text = if plain { Cow::Borrowed(output) } else { Cow::Owned(Screen::draw(output)) };
    if text.contains("--") && text.lines().any(|line| after_pager(line).is_some()) {
        // The line end of the last line is kept, or its absence: it tells whether the line is whole.
        let kept = |line| after_pager(line).unwrap_or(line);
        return Cow::Owned(text.split('\n').map(kept).collect::<Vec<_>>().join("\n"));
    }
    text
}

/// What follows a pager's prompt that was left standing at the beginning of a line.
fn after_pager(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix("--More--") {
        return Some(rest.trim_start());
    }
    let rest = line.strip_prefix("---(more")?;
    rest.split_once(")---").map(|(_, rest)| rest.trim_start())
}

/// A terminal of one line: enough for overwriting, backspaces and erasing.
#[derive(Debug, Default)]
struct Screen {
    done: String,
    line: Vec<char>,
    column: usize,
}

impl Screen {
    fn draw(output: &str) -> String {
        let mut screen = Self { done: String::with_capacity(output.len()), ..Self::default() };
        let mut chars = output.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' => screen.newline(),
                '\r' => screen.column = 0,
                '\u{8}' => screen.column = screen.column.saturating_sub(1),
                '\u{1b}' => screen.escape(&mut chars),
                '\t' => screen.put('\t'),
                c if c.is_control() => {}
                c => screen.put(c),
            }
        }
        screen.finish_line();
        screen.done
    }

    fn put(&mut self, c: char) {
        match self.line.get_mut(self.column) {
            Some(there) => *there = c,
            None => self.line.push(c),
        }
        self.column += 1;
    }

    fn finish_line(&mut self) {
        self.done.extend(self.line.drain(..));
        self.column = 0;
    }

    fn newline(&mut self) {
        self.finish_line();
        self.done.push('\n');
    }

    /// One escape sequence, after its ESC. CSI sequences end in a letter; OSC ones, such as titles, in BEL or ST.
    fn escape(&mut self, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        match chars.next() {
            Some('[') => {
                let mut parameters = String::new();
                for c in chars.by_ref() {
                    if ('@'..='~').contains(&c) {
                        return self.csi(&parameters, c);
                    }
                    if c == '\n' {
                        return self.newline();
                    }
                    parameters.push(c);
                }
            }
            Some(']') => {
                while let Some(c) = chars.next() {
                    match c {
                        '\u{7}' => return,
                        '\u{1b}' => {
                            chars.next_if_eq(&'\\');
                            return;
                        }
                        '\n' => return self.newline(),
                        _ => {}
                    }
                }
            }
            // An intermediate byte announces one more: `ESC ( B`.
            Some(' '..='/') => {
                chars.next_if(|c| *c != '\n');
            }
            Some('\n') => self.newline(),
            _ => {}
        }
    }

    fn csi(&mut self, parameters: &str, end: char) {
        let count: usize = parameters.parse().unwrap_or(1);
        match end {
            'D' => self.column = self.column.saturating_sub(count.max(1)),
            // Erase to the end of the line; 1 and 2 erase the beginning, or all.
            'K' if parameters.is_empty() || parameters == "0" => self.line.truncate(self.column),
            'K' if parameters == "2" => {
                self.line.clear();
                self.column = 0;
            }
            _ => {}
        }
    }
}

/// What follows the echo of the command, where the text is a log of a session; else the whole text.
///
/// What stands before, such as a banner, is not the answer.
pub(super) fn after_echo<'a>(text: &'a str, command: &str) -> &'a str {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(command)).map(|at| at + from) {
        let end = at + command.len();
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[end..].find('\n').map_or(text.len(), |newline| end + newline);
        let before = text[line_start..at].trim_end();
        let ends_the_line = text[end..line_end].trim().is_empty();
        if ends_the_line && (before.is_empty() || before.ends_with(['#', '>', '$', '%', ']'])) {
            return &text[line_end..];
        }
        from = end;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{after_echo, clean};

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(clean("a\nb\tc"), std::borrow::Cow::Borrowed(_)));
    }

    #[test]
    fn line_ends_of_every_kind_become_newlines() {
        assert_eq!(clean("a\r\nb\r\r\nc\n"), "a\nb\nc\n");
    }

    #[test]
    fn escapes_nuls_and_titles_are_dropped() {
        assert_eq!(
            clean("\u{1b}[?1h\u{1b}=Version: 1\u{1b}[m\0\n\u{1b}]0;title\u{7}x\u{1b}(B"),
            "Version: 1\nx"
        );
    }

    #[test]
    fn an_erased_pager_leaves_nothing() {
        assert_eq!(clean("a\n --More-- \u{8}\u{8}\u{8}\u{1b}[2Kb\n").trim_end(), "a\nb");
        assert_eq!(clean("a\n --More-- \r          \rb ten chars").lines().last(), Some("b ten chars"));
        assert_eq!(clean("a\n --More-- b\n---(more 40%)---c"), "a\nb\nc");
    }

    #[test]
    fn a_sequence_without_an_end_stays_within_its_line() {
        assert_eq!(clean("\u{1b}[31\nnext"), "\nnext");
        assert_eq!(clean("\u{1b}]0;\nnext"), "\nnext");
        assert_eq!(clean("\u{1b}"), "");
    }

    #[test]
    fn what_stands_before_the_echo_is_cut() {
        assert_eq!(after_echo("banner\nr1# show version\nx\n", "show version"), "\nx\n");
        assert_eq!(after_echo("show version \nx", "show version"), "\nx");
        assert_eq!(after_echo("try show version\nx", "show version"), "try show version\nx");
        assert_eq!(
            after_echo("r1# show version | no-more\nx", "show version"),
            "r1# show version | no-more\nx"
        );
    }
}
