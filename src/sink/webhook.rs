//! A server that takes events by POST: a CloudEvent in the body (HTTP binding, structured mode), signed as Standard
//! Webhooks describe, <https://www.standardwebhooks.com>.

use crate::clock::Timestamp;
use crate::event::Post;
use crate::fetch::{Answer, Client, FetchError, Peer, Request, Signer, message_id};

use super::{CloudEvent, Stop};

/// Posts events to a server.
#[derive(Debug)]
pub struct Webhook {
    peer: Peer,
    client: Client,
    signers: Vec<Signer>,
    source: String,
}

impl Webhook {
    /// A server and the keys that its owner verifies signatures with; while keys are exchanged there are two.
    ///
    /// # Errors
    /// Those of [`Client::new`].
    pub fn new(peer: Peer, signers: Vec<Signer>, source: &str) -> Result<Self, FetchError> {
        let client = Client::new(peer.manners.clone())?;
        Ok(Self { peer, client, signers, source: source.to_owned() })
    }

    pub(super) async fn deliver(&self, post: &Post, now: Timestamp) -> Result<(), Stop> {
        let body = CloudEvent::new(&self.source, post).json();
        // The identity of a message has no full stop in it, which the signature's text is put together with.
        let id = message_id(&post.id());
        let mut request = Request::post(&self.peer.target, body.clone())
            .header("content-type", "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &now.timestamp().to_string())
            .login(self.peer.login.as_ref());
        if !self.signers.is_empty() {
            let signatures: Vec<_> =
                self.signers.iter().map(|signer| signer.sign(&id, now.timestamp(), &body)).collect();
            request = request.header("webhook-signature", &signatures.join(" "));
        }
        taken(self.client.send(request).await, now)
    }
}

/// What a server's answer means. What may be the one message's fault is a refusal; all else is the server's state.
pub(super) fn taken(answer: Result<Answer, FetchError>, now: Timestamp) -> Result<(), Stop> {
    let answer = answer.map_err(Stop::down)?;
    if answer.is_success() {
        return Ok(());
    }
    let error = format!("the server answered {}", answer.status);
    match answer.status {
        // Bad request, conflict, gone wrong on this content: another event may well be taken.
        400 | 405 | 406 | 409 | 411..=415 | 422 | 431 | 500 | 501 => Err(Stop::Refused { error }),
        _ => Err(Stop::Down { error, retry_after: answer.retry_after(now) }),
    }
}
