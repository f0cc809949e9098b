//! keyboard-interactive: the server asks questions in words of its own. The one that hides what is typed is taken for
//! that of the password, and answered once; nothing else is ever answered.

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt};
use secrecy::{ExposeSecret, SecretString};

use crate::transport::TransportError;

use super::super::client::Client;
use super::{Answer, Attempt};

/// The most rounds of questions: one for the password, and a few without a question, in which PAM says something.
const ROUNDS_MAX: usize = 8;

impl Attempt<'_> {
    pub(super) async fn by_keyboard(
        &self,
        session: &mut Handle<Client>,
        password: &SecretString,
    ) -> Result<Answer, TransportError> {
        const METHOD: &str = "password by keyboard-interactive";
        let user = self.login.username.as_str();
        let mut reply = session.authenticate_keyboard_interactive_start(user, None).await;
        let mut password = Some(password);
        for _ in 0..ROUNDS_MAX {
            let prompts = match reply {
                Ok(KeyboardInteractiveAuthResponse::Success) => {
                    return self.answer(METHOD, Ok(AuthResult::Success));
                }
                Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success }) => {
                    return self
                        .answer(METHOD, Ok(AuthResult::Failure { remaining_methods, partial_success }));
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
                Err(error) => return self.answer(METHOD, Err(error)),
            };
            let responses = match reaction(&prompts, password.is_some()) {
                Reaction::SayNothing => Vec::new(),
                Reaction::Password => {
                    password.take().map(|p| p.expose_secret().to_owned()).into_iter().collect()
                }
                Reaction::Stop => return Err(self.stop(&prompts, password.is_none())),
            };
            reply = session.authenticate_keyboard_interactive_respond(responses).await;
        }
        Err(self.stop(&[], password.is_none()))
    }

    /// Breaks off without an answer: a wrong one would count as a failed login.
    fn stop(&self, prompts: &[Prompt], after_password: bool) -> TransportError {
        self.facts.with(|facts| facts.waits_for_answer = true);
        let asked = prompts.iter().find(|prompt| prompt.echo).or(prompts.first());
        let asked = asked.map_or_else(
            || "without an end".to_owned(),
            |p| format!("\"{}\"", self.facts.quoted(p.prompt.trim(), 60)),
        );
        let at = self.peer.endpoint;
        self.auth(&if after_password {
            format!(
                "{at} took the password of user {} and asked {asked}: log in by hand once",
                self.login.username
            )
        } else {
            format!("{at} asked {asked}, which is not a password: nothing was answered")
        })
    }
}

/// What to do about one round of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reaction {
    /// There is no question: go on.
    SayNothing,
    /// The password, once.
    Password,
    /// A question that has no known answer, or the password again.
    Stop,
}

fn reaction(prompts: &[Prompt], password_left: bool) -> Reaction {
    match prompts {
        [] => Reaction::SayNothing,
        [prompt] if !prompt.echo && password_left => Reaction::Password,
        _ => Reaction::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(text: &str, echo: bool) -> Prompt {
        Prompt { prompt: text.to_owned(), echo }
    }

    #[test]
    fn only_a_lone_hidden_question_gets_the_password_and_once() {
        assert_eq!(reaction(&[], true), Reaction::SayNothing);
        assert_eq!(reaction(&[prompt("Password: ", false)], true), Reaction::Password);
        assert_eq!(reaction(&[prompt("Password: ", false)], false), Reaction::Stop);
        assert_eq!(reaction(&[prompt("User: ", true)], true), Reaction::Stop);
        let both = [prompt("Password: ", false), prompt("Code: ", false)];
        assert_eq!(reaction(&both, true), Reaction::Stop);
    }
}
