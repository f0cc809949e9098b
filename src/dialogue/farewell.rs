//! The end of a conversation: the logout, its questions, and what its echo tells of the last answer.

use super::prompt::{before_echo, same};
use super::{Action, Dialogue, Progress, Rules, Sent, Step};
use crate::failure::FailureKind;

/// How many questions are answered at the logout.
const CONFIRMATIONS_MAX: u8 = 4;

/// How often the logout is said: some devices only leave a mode at the first.
const LOGOUTS_MAX: u8 = 3;

impl Dialogue {
    /// At the logout: its questions, and its echo, which shows that the last output was whole.
    pub(super) fn leaving(&mut self, line: &str) -> bool {
        let Some(Sent { step: Step::Logout(text), .. }) = &self.sent else { return false };
        let echoed = before_echo(line, text)
            .is_some_and(|before| self.prompt.as_deref().is_some_and(|p| same(p, before)));
        if echoed {
            let here = self.screen.done().len();
            self.conclude(here);
            self.done();
            return true;
        }
        if Rules::answer(&self.rules.confirmations, line).is_some() {
            self.take_at_face_value();
            self.confirm(line);
            return true;
        }
        false
    }

    /// After the last command: the questions of the logout, and prompts of a mode below.
    pub(super) fn confirm(&mut self, line: &str) {
        let Some(Sent { step: Step::Logout(text), .. }) = &self.sent else { return };
        let at_prompt = self.prompt.as_deref().is_some_and(|prompt| same(prompt, line));
        if at_prompt && self.asked.logouts < LOGOUTS_MAX {
            self.asked.logouts += 1;
            let bytes = format!("{text}{}", self.rules.submit.as_str()).into_bytes();
            self.answer(line.to_owned(), Action::Send(bytes));
        } else if let Some(answer) = Rules::answer(&self.rules.confirmations, line)
            && self.asked.confirmations < CONFIRMATIONS_MAX
        {
            self.asked.confirmations += 1;
            let bytes = answer.as_bytes().to_vec();
            self.answer(line.to_owned(), Action::Send(bytes));
        }
    }

    /// Ends the last answer where it seemed to end.
    pub(super) fn take_at_face_value(&mut self) {
        let end = self.sent.as_ref().map_or(0, |sent| sent.at);
        self.conclude(end);
        self.done();
    }

    pub(super) fn done(&mut self) {
        if self.progress == Progress::Talking {
            self.progress = Progress::Over;
            let outputs = std::mem::take(&mut self.outputs);
            self.actions.push(Action::Done(outputs));
        }
    }

    /// The device has closed the shell.
    pub(super) fn closed(&mut self) {
        if self.progress == Progress::Over {
            return;
        }
        match &self.sent {
            Some(Sent { step: Step::Logout(_), .. }) => {
                // It hung up at a later prompt, without an echo: what looked like the end was a part of the output.
                let line = self.screen.line();
                if self.prompt.as_deref().is_some_and(|prompt| same(prompt, &line)) {
                    self.conclude(self.screen.done().len());
                }
                self.take_at_face_value();
            }
            sent => {
                let doing = match sent {
                    Some(sent) if self.greeted() => {
                        format!("before the output of \"{}\" was complete", sent.step.text())
                    }
                    _ => "before a prompt came".to_owned(),
                };
                let said = self.unread().trim().lines().last().unwrap_or_default().to_owned();
                let detail = format!("the device closed the shell {doing}");
                self.fail_over(FailureKind::Disconnected, detail, said);
            }
        }
    }
}
