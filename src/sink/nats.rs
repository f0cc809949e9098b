//! A NATS server: each event is published, as a CloudEvent, to a subject that says what it is.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::{Client, ConnectOptions, Event, HeaderMap, Subscriber};
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;

use super::{CloudEvent, Delivery, Stop};
use crate::event::{Post, Template};
use crate::fetch::{Login, Roots};
use crate::text::tamed;

/// The longest part of a subject that comes from an event, in characters.
const TOKEN_MAX: usize = 64;

/// A server, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Server {
    /// `nats://HOST:PORT`, or `tls://` for one that is secured.
    pub address: String,
    /// Who logs in; `Bearer` is NATS's token.
    pub login: Option<Login>,
    /// Who vouches for the server.
    pub roots: Roots,
    /// How long a delivery may take, from the connection to the server's last word.
    pub timeout: Duration,
}

/// Publishes events.
pub struct Nats {
    server: Server,
    subject: Template,
    source: String,
    line: Option<Line>,
}

/// An open connection.
struct Line {
    client: Client,
    /// What comes back of what is published to `inbox`.
    echo: Subscriber,
    inbox: String,
    /// The number of the last word that was sent to come back.
    word: u64,
    /// What the server complained of.
    complaint: Arc<Mutex<Option<String>>>,
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("server", &self.server.address).finish_non_exhaustive()
    }
}

impl Nats {
    /// A server, and the subject of an event.
    #[must_use]
    pub fn new(server: Server, subject: Template, source: &str) -> Self {
        Self { server, subject, source: source.to_owned(), line: None }
    }

    pub(super) async fn deliver(&mut self, posts: &[Post]) -> Delivery {
        let limit = self.server.timeout;
        let error = match tokio::time::timeout(limit, self.publish(posts)).await {
            Ok(Ok(delivery)) => return delivery,
            Ok(Err(error)) => error,
            Err(_) => format!("no word from the server within {} s", limit.as_secs()),
        };
        // What the library would send by itself, once it is connected again, is sent by the next delivery.
        self.line = None;
        Delivery { count: 0, stop: Some(Stop::down(tamed(&error, 300))) }
    }

    async fn publish(&mut self, posts: &[Post]) -> Result<Delivery, String> {
        let line = match &mut self.line {
            Some(line) => line,
            None => self.line.insert(Line::open(&self.server).await?),
        };
        let mut delivery = Delivery { count: posts.len(), stop: None };
        for (place, post) in posts.iter().enumerate() {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", post.id().as_str());
            headers.insert("Content-Type", "application/cloudevents+json; charset=utf-8");
            let body = CloudEvent::new(&self.source, post).json();
            let sent = line.client.publish_with_headers(self.subject.fill(post, token), headers, body.into());
            match sent.await {
                Ok(()) => {}
                Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                    delivery =
                        Delivery { count: place, stop: Some(Stop::Refused { error: error.to_string() }) };
                    break;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        // A complaint reaches us by another task than the words that come back: the second word gives it time.
        line.come_back().await?;
        line.come_back().await?;
        match line.complaint.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(complaint) => Err(complaint),
            None => Ok(delivery),
        }
    }
}

impl Line {
    async fn open(server: &Server) -> Result<Self, String> {
        let complaint = Arc::new(Mutex::new(None));
        let heard = Arc::clone(&complaint);
        let mut options = ConnectOptions::new()
            .name("versweep")
            .connection_timeout(server.timeout)
            .ignore_discovered_servers()
            .max_reconnects(1)
            .event_callback(move |event| {
                if let Event::ServerError(error) = event {
                    *heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                }
                async {}
            });
        if server.address.starts_with("tls://") {
            let tls = server.roots.client_config(None).map_err(|error| error.to_string())?;
            options = options.require_tls(true).tls_client_config(tls);
        }
        options = match &server.login {
            Some(Login::Bearer(token) | Login::Token(token)) => {
                options.token(token.expose_secret().to_owned())
            }
            Some(Login::Basic { username, password }) => {
                options.user_and_password(username.clone(), password.expose_secret().to_owned())
            }
            None => options,
        };
        let client = options.connect(server.address.as_str()).await.map_err(|error| error.to_string())?;
        let inbox = client.new_inbox();
        let echo = client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
        Ok(Self { client, echo, inbox, word: 0, complaint })
    }

    /// Waits until a word has come back from the server. It handles what one client sends in order, so that it has taken
    /// everything before as well: a flush alone says only that the bytes have left.
    async fn come_back(&mut self) -> Result<(), String> {
        self.word += 1;
        let word = self.word.to_string();
        let sent = self.client.publish(self.inbox.clone(), word.clone().into()).await;
        sent.map_err(|error| error.to_string())?;
        self.client.flush().await.map_err(|error| error.to_string())?;
        while let Some(message) = self.echo.next().await {
            if message.payload == word.as_bytes() {
                return Ok(());
            }
        }
        Err("the connection broke off".to_owned())
    }
}

/// A part of a subject: neither a separator nor a wildcard can come from an event.
fn token(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut token: String = text.chars().take(TOKEN_MAX).map(|c| if fits(c) { c } else { '_' }).collect();
    if token.is_empty() {
        token.push('_');
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_event_makes_more_of_a_subject() {
        for (text, wanted) in [
            ("upgrade", "upgrade"),
            ("core1.ams", "core1_ams"),
            ("a >*\r\nPUB x", "a_____PUB_x"),
            ("", "_"),
            ("ü", "_"),
        ] {
            assert_eq!(token(text), wanted, "{text}");
        }
        assert_eq!(token(&"x".repeat(999)).len(), TOKEN_MAX);
    }
}
