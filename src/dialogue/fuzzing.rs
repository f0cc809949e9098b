//! What must hold whatever a device says: checked by the fuzz targets, and by the tests with the targets' seeds.

use std::sync::Arc;

use super::prompt::{before_echo, looks_like, same};
use super::screen::Screen;
use super::{Action, Dialogue, Event, Rules};

/// The most that an output may have here.
const LIMIT: usize = 4096;

/// The most that has not become a part of an output: what isn't UTF-8 is three bytes long where it is replaced.
const UNREAD_MAX: usize = 3 * super::GREETING_MAX;

/// More steps than any of these conversations needs: pages, questions, reports and pauses are all counted.
const STEPS_MAX: usize = 100_000;

/// After so many pauses in a row nothing more is said: the caller's timeout ends such a conversation.
const PAUSES_MAX: usize = 16;

/// The cleaner: any bytes become text without control characters, and a repaint of what was drawn changes nothing.
///
/// # Panics
/// When that doesn't hold.
pub fn screen(bytes: &[u8]) {
    let drawn = draw(bytes);
    assert!(!drawn.chars().any(|c| c.is_ascii_control() && c != '\n' && c != '\t'), "{drawn:?}");
    assert_eq!(draw(drawn.as_bytes()), drawn, "clean text stays as it is");
}

fn draw(bytes: &[u8]) -> String {
    let mut screen = Screen::default();
    for byte in bytes {
        screen.feed(*byte);
        assert!(screen.line_len() <= bytes.len() + super::screen::COLUMN_MAX, "a jump is no growth");
    }
    let text = format!("{}{}", screen.done(), screen.line());
    screen.forget(text.len());
    assert!(screen.done().is_empty());
    text
}

/// What looks like a prompt: lines of the text against each other.
///
/// # Panics
/// When the rules contradict themselves.
pub fn prompt(text: &str) {
    let mut before = "r1#";
    for line in text.lines() {
        assert!(same(line, line), "a prompt is its own");
        assert_eq!(same(before, line), same(line, before), "{before:?} and {line:?}");
        assert_eq!(looks_like(line), looks_like(&format!(" {line} ")), "blanks count for nothing: {line:?}");
        if looks_like(line) {
            assert!(before_echo(&format!("{line}show version"), "show version").is_some_and(looks_like));
        }
        before = line;
    }
}

/// A device that says anything, cut in any way (at `0xff`), with pauses in between (nothing between two cuts).
///
/// # Panics
/// When there is more than one end, or something comes out unbounded.
pub fn chatter(bytes: &[u8]) {
    let rules = Rules { enable: Some("enable".to_owned()), ..Rules::default() };
    let commands = ["show version".to_owned(), "show clock".to_owned()];
    let mut dialogue = Dialogue::new(&Arc::new(rules), &commands, LIMIT);
    let mut ends = 0;
    let mut sent = 0;
    for piece in bytes.split(|byte| *byte == 0xff) {
        let event = if piece.is_empty() { Event::Quiet } else { Event::Bytes(piece) };
        for action in dialogue.step(event) {
            match action {
                Action::Done(outputs) => {
                    ends += 1;
                    assert_eq!(outputs.len(), commands.len());
                    // What isn't UTF-8 is three bytes long where it is replaced.
                    assert!(outputs.iter().all(|output| output.len() <= 4 * LIMIT));
                }
                Action::Fail(_, detail, said) => {
                    ends += 1;
                    assert!(detail.len() < 1024, "{detail}");
                    assert!(said.len() <= UNREAD_MAX, "{} bytes", said.len());
                }
                Action::Send(bytes) => sent += bytes.len(),
                Action::SendSecret(..) => sent += 1,
            }
        }
        assert!(dialogue.unread().len() <= UNREAD_MAX);
    }
    dialogue.step(Event::Closed);
    assert!(ends <= 1);
    assert!(sent <= 64 * (bytes.len() + 1), "{sent} bytes for {}", bytes.len());
}

/// A device of good manners with a prompt, a greeting and an answer of any kind, separated by `0xff`; the first byte says
/// in how large pieces it speaks.
///
/// # Panics
/// When the conversation has no end, or the answer of a device that is as usual comes out otherwise.
pub fn manners(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let mut parts = rest.splitn(3, |byte| *byte == 0xff);
    let mut part = || parts.next().unwrap_or_default();
    let device = Device { prompt: part(), greeting: part(), answer: part(), piece: usize::from(*first) + 1 };
    match (device.talk(), device.is_as_usual()) {
        (Some(Ok(outputs)), true) => {
            assert_eq!(outputs, [draw(device.answer)], "prompt {:?}", String::from_utf8_lossy(device.prompt));
        }
        (Some(Ok(outputs)), false) => assert_eq!(outputs.len(), 1),
        (Some(Err(detail)), is_as_usual) => {
            assert!(!is_as_usual, "{detail}: {:?}", String::from_utf8_lossy(bytes));
        }
        (None, is_as_usual) => assert!(!is_as_usual, "no end: {:?}", String::from_utf8_lossy(bytes)),
    }
}

struct Device<'a> {
    prompt: &'a [u8],
    greeting: &'a [u8],
    answer: &'a [u8],
    piece: usize,
}

impl Device<'_> {
    /// A prompt such as most have, numbers and points for an answer, and a greeting of the like.
    fn is_as_usual(&self) -> bool {
        let (end, name) = self.prompt.split_last().map_or((&b' ', &[][..]), |(end, name)| (end, name));
        let lines = |text: &[u8]| {
            let known = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b' ' | b'\n');
            text.iter().all(known) && (text.is_empty() || text.ends_with(b"\n"))
        };
        matches!(end, b'#' | b'>')
            && (1..32).contains(&name.len())
            && name.iter().all(|byte| byte.is_ascii_lowercase())
            && lines(self.greeting)
            && lines(self.answer)
            && self.answer.len() < LIMIT / 2
    }

    /// How the conversation ended; nothing where it stands still.
    fn talk(&self) -> Option<Result<Vec<String>, String>> {
        let commands = ["show version".to_owned()];
        let mut dialogue = Dialogue::new(&Arc::new(Rules::default()), &commands, LIMIT);
        let mut pending = [self.greeting, self.prompt].concat();
        let mut heard = Vec::new();
        let mut pauses = 0;
        for _ in 0..STEPS_MAX {
            let rest = pending.split_off(self.piece.min(pending.len()));
            let piece = std::mem::replace(&mut pending, rest);
            pauses = if piece.is_empty() { pauses + 1 } else { 0 };
            if pauses > PAUSES_MAX {
                return None;
            }
            let event = if piece.is_empty() { Event::Quiet } else { Event::Bytes(&piece) };
            for action in dialogue.step(event) {
                match action {
                    Action::Done(outputs) => return Some(Ok(outputs)),
                    Action::Fail(_, detail, said) => return Some(Err(detail + &said)),
                    Action::Send(bytes) => heard.extend(bytes),
                    Action::SendSecret(_, enter) => heard.extend(enter),
                }
            }
            while let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = heard.drain(..=end).collect();
                if line == b"exit\n" {
                    pending.extend(b"exit\r\n");
                    continue;
                }
                let answer = if line == b"show version\n" { self.answer } else { b"" };
                pending.extend([line.trim_ascii_end(), b"\r\n", answer, self.prompt].concat());
            }
        }
        panic!("they talk for ever: {:?}", String::from_utf8_lossy(self.prompt))
    }
}

#[cfg(test)]
mod tests {
    use crate::seeds::replay;

    #[test]
    fn the_seeds_of_the_cleaner_hold() {
        replay("screen", super::screen);
    }

    #[test]
    fn the_seeds_of_prompts_hold() {
        replay("prompt", |bytes| super::prompt(&String::from_utf8_lossy(bytes)));
    }

    #[test]
    fn the_seeds_of_chatter_hold() {
        replay("chatter", super::chatter);
    }

    #[test]
    fn the_seeds_of_good_manners_hold() {
        replay("manners", super::manners);
    }
}
