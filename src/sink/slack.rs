//! A chat that takes messages as Slack's incoming webhooks do: `{"text": ...}`. Mattermost, Rocket.Chat, Discord (at its
//! `/slack` address) and others take the same.

use crate::clock::Timestamp;
use crate::event::{Post, Template};
use crate::fetch::{Client, FetchError, Peer, Request};

use super::Stop;
use super::webhook::taken;

/// Posts messages to a chat.
#[derive(Debug)]
pub struct Slack {
    peer: Peer,
    client: Client,
    text: Template,
}

impl Slack {
    /// A chat and what it is told.
    ///
    /// # Errors
    /// Those of [`Client::new`].
    pub fn new(peer: Peer, text: Template) -> Result<Self, FetchError> {
        let client = Client::new(peer.manners.clone())?;
        Ok(Self { peer, client, text })
    }

    pub(super) async fn deliver(&self, post: &Post, now: Timestamp) -> Result<(), Stop> {
        let text = self.text.fill(post, escape);
        let body = serde_json::json!({ "text": text }).to_string().into_bytes();
        let request = Request::post(&self.peer.target, body)
            .header("content-type", "application/json; charset=utf-8")
            .login(self.peer.login.as_ref());
        taken(self.client.send(request).await, now)
    }
}

/// The three characters that Slack's markup is made of: without them no device can mention a channel or forge a link.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
