//! What a finished line, the end of what came, a pause and the end of the shell mean.

use super::ask::{self, Question};
use super::prompt::{before_echo, looks_like, same};
use super::{
    Action, Asked, Dialogue, Echo, NUDGES_MAX, PAGER_TURNS_MAX, PAGES_MAX, Previous, Progress, Rules, Secret,
    Sent, Step,
};
use crate::failure::FailureKind;

/// A longer line is neither a prompt nor a question.
const LINE_MAX: usize = 4096;

impl Dialogue {
    /// The last of the finished lines is new.
    pub(super) fn newline(&mut self) {
        let answered = self.answered.take();
        let done = self.screen.done();
        if self.progress == Progress::Over {
            return self.forget(self.screen.done().len());
        }
        let end = done.len() - 1;
        let start = done[..end].rfind('\n').map_or(0, |newline| newline + 1);
        let line = done[start..end].to_owned();
        if self.asked.password && !self.greeted() && ask::says_wrong(&line) {
            return self.fail_over(FailureKind::Auth, "the shell refused the login".to_owned(), line);
        }
        // A message of the log has come over a pager that still waits.
        if !answered.is_some_and(|answered| line.starts_with(&answered)) && line.trim() != ":" {
            self.overrun = self.pager(&line).or(self.overrun.take());
        }
        self.look_for_echo(&line, start, end + 1);
    }

    /// Whether this line is the echo of what was sent: it marks the end of one answer and the beginning of the next.
    fn look_for_echo(&mut self, line: &str, start: usize, end: usize) {
        let Some(sent) = self.sent.as_mut().filter(|sent| !sent.certain) else { return };
        let Some(before) = before_echo(line, sent.step.text()) else { return };
        let known = self.prompt.as_deref().is_some_and(|prompt| same(prompt, before));
        // An echo without its prompt is one only near the place of sending: later it is a part of the answer.
        let near = before.trim().is_empty() && sent.answer.is_none() && start.saturating_sub(sent.at) < 512;
        if !(known || near || looks_like(before)) {
            return;
        }
        sent.certain = !near;
        sent.answer = Some(end);
        if sent.certain {
            self.echo = Echo::Yes;
            self.prompt = Some(before.trim().to_owned());
        }
        let leaving = matches!(sent.step, Step::Logout(_));
        self.conclude(start);
        self.forget(end);
        if leaving {
            self.done();
        }
    }

    /// The answer before this point belongs to the step before.
    pub(super) fn conclude(&mut self, end: usize) {
        if let Some(previous) = self.previous.take().filter(|previous| previous.is_command) {
            let text = self.screen.done().get(previous.start.min(end)..end).unwrap_or_default();
            self.outputs.push(text.to_owned());
        }
    }

    /// Frees what is no longer needed.
    fn forget(&mut self, bytes: usize) {
        self.screen.forget(bytes);
        if let Some(sent) = &mut self.sent {
            sent.at = sent.at.saturating_sub(bytes);
            sent.answer = sent.answer.map(|answer| answer.saturating_sub(bytes));
        }
    }

    /// No more has come for now: what does the present line want?
    pub(super) fn pause(&mut self) {
        if self.screen.line_len() > LINE_MAX {
            return;
        }
        let line = self.screen.line();
        let leaving = self.progress == Progress::Talking && self.leaving(&line);
        if leaving || self.is_answered(&line) && !self.wants_enable(&line) {
            return;
        }
        if let Some(key) = self.overrun.take() {
            return self.turn_page(line, &key);
        }
        if line.trim().is_empty() {
            return;
        }
        if self.progress == Progress::Over {
            return self.confirm(&line);
        }
        if let Some(key) = self.pager(&line) {
            return self.turn_page(line, &key);
        }
        if self.ask(&line) {
            return;
        }
        let nudged = self.sent.is_none() && self.asked.nudged_at.as_deref() == Some(line.trim());
        if nudged || self.could_be_prompt(&line) {
            self.at_prompt(line);
        }
    }

    /// Whether the line was answered already and has only grown since.
    fn is_answered(&mut self, line: &str) -> bool {
        let still = self.answered.as_deref().is_some_and(|answered| line.starts_with(answered));
        if !still {
            self.answered = None;
        }
        still
    }

    /// Whether the line asks for the password that raises the rights; it may stand right behind the prompt.
    fn wants_enable(&self, line: &str) -> bool {
        let raising = matches!(self.sent, Some(Sent { step: Step::Enable(_), .. }));
        raising && !self.asked.enable && ask::question(line) == Some(Question::Password)
    }

    pub(super) fn answer(&mut self, line: String, action: Action) {
        self.answered = Some(line);
        self.actions.push(action);
    }

    fn pager(&self, line: &str) -> Option<String> {
        let of_profile = Rules::answer(&self.rules.pagers, line).map(str::to_owned);
        let known = || ask::pager_key(line).filter(|_| self.sent.is_some() || line.trim() != ":");
        of_profile.or_else(|| known().map(str::to_owned))
    }

    fn turn_page(&mut self, line: String, key: &str) {
        self.asked.pager_turns += 1;
        if self.asked.pager_turns > PAGER_TURNS_MAX {
            return self.fail(
                FailureKind::OutputLimit,
                "the pager doesn't come to an end: switch it off in the profile's [shell], by `setup`"
                    .to_owned(),
            );
        }
        self.answer(line, Action::Send(key.as_bytes().to_vec()));
    }

    /// Answers the line where it is a question of the login or a page before the first prompt.
    fn ask(&mut self, line: &str) -> bool {
        let raising = matches!(self.sent, Some(Sent { step: Step::Enable(_), .. }));
        let enter = self.rules.submit.as_str();
        let secret = match ask::question(line) {
            Some(Question::Password) if raising => Some((Secret::Enable, &mut self.asked.enable)),
            Some(Question::Password) if self.echo == Echo::Unknown => {
                Some((Secret::Password, &mut self.asked.password))
            }
            Some(Question::Username) if self.echo == Echo::Unknown => {
                Some((Secret::Username, &mut self.asked.username))
            }
            _ => None,
        };
        if let Some((secret, before)) = secret {
            if std::mem::replace(before, true) {
                self.refused(secret);
            } else {
                // What was sent before this question came was read as an answer to nothing.
                if !raising && let Some(lost) = self.sent.take() {
                    self.steps.push_front(lost.step);
                }
                self.answer(line.to_owned(), Action::SendSecret(secret, enter.into()));
            }
            return true;
        }
        self.echo == Echo::Unknown && self.page(line)
    }

    fn refused(&mut self, secret: Secret) {
        match secret {
            Secret::Enable => {
                let detail = "the device refused the enable password; check it, or run without `enable`";
                self.fail(FailureKind::Denied, detail.to_owned());
            }
            Secret::Username | Secret::Password => {
                let detail = "the shell asked for the login again: it refused the name or the password";
                self.fail(FailureKind::Auth, detail.to_owned());
            }
        }
    }

    fn page(&mut self, line: &str) -> bool {
        let enter = self.rules.submit.as_str();
        let answer = Rules::answer(&self.rules.pages, line).map(str::to_owned).or_else(|| {
            ask::page(line).map(|answer| match answer {
                ask::Answer::Keys(keys) => keys.to_owned(),
                ask::Answer::Line(text) => format!("{text}{enter}"),
            })
        });
        let Some(answer) = answer.filter(|_| self.asked.pages < PAGES_MAX) else { return false };
        self.asked.pages += 1;
        self.answer(line.to_owned(), Action::Send(answer.into_bytes()));
        true
    }

    fn could_be_prompt(&self, line: &str) -> bool {
        let checked = self.rules.prompt.as_ref().map(|regex| regex.is_match(line.trim()));
        match &self.prompt {
            Some(known) if self.echo != Echo::Unknown => same(known, line) || checked == Some(true),
            _ => checked.unwrap_or_else(|| looks_like(line)),
        }
    }

    /// The present line is the prompt, as far as can be seen.
    fn at_prompt(&mut self, line: String) {
        let here = self.screen.done().len();
        let Some(sent) = &self.sent else { return self.next(line) };
        if here == sent.at && sent.answer.is_none() {
            // Still the line after which it was sent.
            return;
        }
        let answered = match self.echo {
            Echo::Yes => sent.certain,
            // Twice the same line, an answer between them and no echo: this device shows none. Another line: what was
            // answered was a banner's. No answer: some devices greet with two prompts; a pause will tell.
            Echo::Unknown => same(&sent.line, &line) && sent.answer.is_none() && !self.is_silent(sent),
            Echo::No => same(&sent.line, &line) && sent.answer.is_none(),
        };
        if answered {
            if self.echo == Echo::Unknown {
                self.echo = Echo::No;
            }
            self.next(line);
        }
    }

    /// Gives the next command. The end of the answer to the last one is taken to be here until an echo tells better.
    fn next(&mut self, line: String) {
        let here = self.screen.done().len();
        if let Some(sent) = self.sent.take() {
            self.conclude(sent.at);
            let is_command = matches!(sent.step, Step::Command(_));
            self.previous = Some(Previous { is_command, start: sent.answer.unwrap_or(sent.at) });
            if matches!(sent.step, Step::Enable(_)) && line.trim().ends_with('>') {
                return self.fail(
                    FailureKind::Denied,
                    "still at a user prompt after enabling; check the enable password".to_owned(),
                );
            }
        }
        if self.echo != Echo::Yes {
            self.prompt = Some(line.trim().to_owned());
        }
        if self.steps.is_empty() {
            self.ask_the_search(&line, here);
        }
        if matches!(self.steps.front(), Some(Step::Enable(_))) && !line.trim().ends_with('>') {
            self.steps.pop_front();
        }
        match self.steps.pop_front() {
            Some(step) => self.give(step, line),
            None => {
                self.conclude(here);
                self.done();
            }
        }
    }

    fn give(&mut self, step: Step, line: String) {
        let bytes = format!("{}{}", step.text(), self.rules.submit.as_str()).into_bytes();
        let ends = matches!(step, Step::Logout(_));
        self.raw = 0;
        self.given += 1;
        self.asked = Asked { nudges: 0, nudged_at: None, ..std::mem::take(&mut self.asked) };
        self.sent = Some(Sent {
            step,
            at: self.screen.done().len(),
            line: line.clone(),
            answer: None,
            certain: false,
        });
        self.answer(line, Action::Send(bytes));
        if ends && self.echo == Echo::No {
            self.take_at_face_value();
        }
    }

    /// Nothing has come for a while.
    pub(super) fn quiet(&mut self) {
        if self.progress == Progress::Over {
            return;
        }
        let line = self.screen.line();
        match &self.sent {
            None => self.nudge(&line),
            Some(Sent { step: Step::Logout(_), .. }) => self.take_at_face_value(),
            Some(sent) => {
                let at_prompt = same(&sent.line, &line)
                    || self.prompt.as_deref().is_some_and(|prompt| same(prompt, &line))
                    || looks_like(&line);
                let lost = sent.answer.is_none() && self.is_silent(sent);
                let anew = self.screen.done().len() > sent.at;
                if lost
                    && !(anew && at_prompt && self.asked.nudges > 0)
                    && (at_prompt || line.trim().is_empty())
                {
                    self.give_again(line);
                } else if at_prompt {
                    self.next(line);
                }
            }
        }
    }

    /// Whether no word has come since that was sent. The line that it was sent after is finished by its Enter.
    fn is_silent(&self, sent: &Sent) -> bool {
        let since = self.screen.done().get(sent.at..).unwrap_or_default();
        since.lines().all(|line| line.trim().is_empty() || same(&sent.line, line))
    }

    /// Before the first prompt: a page that ends in a newline, or a device that waits for Enter.
    fn nudge(&mut self, line: &str) {
        let last = self
            .screen
            .done()
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default()
            .to_owned();
        if line.trim().is_empty() && self.page(&last) {
            return;
        }
        if self.asked.nudges < NUDGES_MAX {
            self.asked.nudges += 1;
            self.asked.nudged_at = Some(line.trim().to_owned()).filter(|line| !line.is_empty());
            self.actions.push(Action::Send(self.rules.submit.as_str().into()));
        }
    }

    /// The device seems to have thrown away what came too early.
    fn give_again(&mut self, line: String) {
        if self.asked.nudges >= NUDGES_MAX {
            return;
        }
        let Some(sent) = self.sent.take() else { return };
        let nudges = self.asked.nudges + 1;
        self.give(sent.step, line);
        self.asked.nudges = nudges;
    }
}
