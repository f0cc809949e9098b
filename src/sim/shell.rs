//! The shell of a simulated device: a banner, a prompt, an echo, a pager of 24 lines that a session can switch off.

use std::collections::VecDeque;

use super::platform::SimPlatform;

/// Lines to a page, whatever terminal was asked for: as on devices that don't listen.
const PAGE: usize = 24;

/// A longer line is none that any device takes.
const LINE_MAX: usize = 1024;

/// One session's shell.
#[derive(Debug)]
pub(super) struct SimShell {
    platform: SimPlatform,
    prompt: String,
    line: Vec<u8>,
    paging: bool,
    /// The lines that the pager holds back.
    held: VecDeque<String>,
    /// The last byte was a carriage return: a newline after it is the same Enter.
    after_return: bool,
}

/// What the device does about what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Shows this.
    Show(String),
    /// Runs this command and shows its answer by [`SimShell::page`].
    Run(String),
    /// Shows this and ends the session.
    End(String),
}

impl SimShell {
    pub(super) fn new(platform: SimPlatform, hostname: &str) -> Self {
        let prompt = match platform {
            SimPlatform::CiscoIos | SimPlatform::CiscoXe => format!("{hostname}>"),
            SimPlatform::CiscoXr => format!("RP/0/RP0/CPU0:{hostname}#"),
            SimPlatform::CiscoNxos => format!("\r{hostname}# "),
            SimPlatform::JuniperJunos => format!("versweep@{hostname}> "),
            SimPlatform::AristaEos => format!("{hostname}#"),
            SimPlatform::Frr => format!("{hostname}# "),
            SimPlatform::Linux => format!("\u{1b}[?2004hversweep@{hostname}:~$ "),
        };
        let paging = !matches!(platform, SimPlatform::Linux | SimPlatform::Frr);
        Self { platform, prompt, line: Vec::new(), paging, held: VecDeque::new(), after_return: false }
    }

    /// What comes first: a banner with everything in it that looks like a prompt, and the prompt.
    pub(super) fn greeting(&self) -> String {
        format!("\r\n### Simulated device #\r\n<< authorised use only >>\r\n\r\n{}", self.prompt)
    }

    /// The prompt on a line of its own.
    pub(super) fn fresh_prompt(&self) -> String {
        format!("\r\n{}", self.prompt)
    }

    /// Takes one typed byte.
    pub(super) fn typed(&mut self, byte: u8) -> Option<Reply> {
        if !self.held.is_empty() {
            let erased = format!("\r{}\r", " ".repeat(self.more().len()));
            if byte == b'q' {
                self.held.clear();
                return Some(Reply::Show(format!("{erased}{}", self.prompt)));
            }
            let page = self.next_page();
            return Some(Reply::Show(format!("{erased}{page}")));
        }
        let same_enter = byte == b'\n' && std::mem::take(&mut self.after_return);
        match byte {
            b'\n' if same_enter => None,
            b'\r' | b'\n' => {
                self.after_return = byte == b'\r';
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).trim().to_owned();
                Some(self.entered(&line))
            }
            byte if (b' '..=b'~').contains(&byte) && self.line.len() < LINE_MAX => {
                self.line.push(byte);
                Some(Reply::Show(char::from(byte).to_string()))
            }
            _ => None,
        }
    }

    fn entered(&mut self, line: &str) -> Reply {
        let shown = |text: &str| Reply::Show(format!("\r\n{text}{}", self.prompt));
        match line {
            "" => shown(""),
            "exit" | "quit" | "logout" => Reply::End("\r\n".to_owned()),
            "terminal length 0" | "set cli screen-length 0" => {
                let said = match self.platform {
                    SimPlatform::JuniperJunos => "Screen length set to 0\r\n\r\n",
                    SimPlatform::AristaEos => "Pagination disabled.\r\n",
                    _ => "",
                };
                let reply = shown(said);
                self.paging = false;
                reply
            }
            command => Reply::Run(command.to_owned()),
        }
    }

    /// A command's answer, as far as the pager lets it through.
    pub(super) fn page(&mut self, answer: &str) -> String {
        self.held = answer.lines().map(|line| format!("{line}\r\n")).collect();
        format!("\r\n{}", self.next_page())
    }

    fn next_page(&mut self) -> String {
        let room = if self.paging { PAGE - 1 } else { usize::MAX };
        let lines: String = self.held.drain(..room.min(self.held.len())).collect();
        let end = if self.held.is_empty() { self.prompt.as_str() } else { self.more() };
        format!("{lines}{end}")
    }

    fn more(&self) -> &'static str {
        match self.platform {
            SimPlatform::JuniperJunos => "---(more)---",
            _ => " --More-- ",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(shell: &mut SimShell, text: &str) -> Vec<Reply> {
        text.bytes().filter_map(|byte| shell.typed(byte)).collect()
    }

    #[test]
    fn a_long_answer_waits_for_a_key() {
        let mut shell = SimShell::new(SimPlatform::CiscoIos, "r1");
        assert_eq!(typed(&mut shell, "sh ver\r\n").last(), Some(&Reply::Run("sh ver".to_owned())));
        let page = shell.page(&"line\n".repeat(30));
        assert!(page.ends_with("line\r\n --More-- "), "{page}");
        let Some(Reply::Show(rest)) = shell.typed(b' ') else { panic!("a page") };
        assert!(rest.ends_with("line\r\nr1>"), "{rest}");
        typed(&mut shell, "terminal length 0\n");
        assert!(shell.page(&"line\n".repeat(30)).ends_with("r1>"));
    }
}
