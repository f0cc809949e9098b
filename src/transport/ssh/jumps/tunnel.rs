//! One visit's channel through a jump host.

use std::sync::Arc;
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelOpenFailure, ChannelStream, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex, split};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::failure::{FailureKind, Stage};
use crate::transport::TransportError;

use super::super::errors::fail;
use super::super::facts::SharedFacts;
use super::super::peer::Peer;
use super::super::wire::{Line, Wire};
use super::{Connection, Pass};

/// The most bytes that wait for a visit to read them. A session allows its device a quarter of it ahead, so that only one
/// that breaks the protocol's rules comes to it. Waiting for the reader instead would stop the jump host's connection, and
/// with it all other visits: russh has one task for all of a connection's channels.
const AHEAD_MAX: usize = 1024 * 1024;

impl Connection {
    /// A channel to the peer, within its connect timeout.
    pub(super) async fn tunnel(
        self: &Arc<Self>,
        peer: &Peer<'_>,
        facts: &SharedFacts,
    ) -> Result<(Line, Wire), TransportError> {
        let deadline = Instant::now() + peer.timeouts.connect;
        let permit = match timeout_at(deadline, Arc::clone(&self.channels).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => {
                return Err(fail(FailureKind::Internal, Stage::Connect, "the jump host was closed"));
            }
            Err(_) => return Err(self.full()),
        };
        let pass = Pass { connection: Arc::clone(self), _permit: permit };
        let (host, port) = (peer.endpoint.host.clone(), peer.endpoint.port);
        let (opened, opening) = oneshot::channel();
        // In a task of its own: the jump host may answer when this visit has long been dropped, and then its channel is
        // to be closed. Its right to a channel is held until then.
        tokio::spawn(async move {
            let session = &pass.connection.session;
            let channel = session.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0).await;
            let _ = opened.send(channel.map(|channel| (channel.into_stream(), pass)));
        });
        match timeout_at(deadline, opening).await {
            Ok(Ok(Ok((stream, pass)))) => {
                let (near, far) = duplex(AHEAD_MAX);
                let carrying = AbortOnDropHandle::new(tokio::spawn(carry(far, stream, pass)));
                Ok(Line::through(near, carrying, facts.clone()))
            }
            Ok(Ok(Err(error))) => Err(self.refused(peer, &error)),
            Ok(Err(_)) => Err(fail(FailureKind::Internal, Stage::Connect, "the task of a tunnel failed")),
            Err(_) => {
                let (name, limit) = (&self.name, peer.timeouts.connect);
                let detail = format!(
                    "jump host {name} has not reached {} within the connect timeout of {limit:?}; is it up?",
                    peer.endpoint
                );
                Err(fail(FailureKind::Timeout, Stage::Connect, &detail))
            }
        }
    }

    fn full(&self) -> TransportError {
        let (name, most) = (&self.name, super::CHANNELS_MAX);
        let detail = format!("all {most} channels of jump host {name} are busy; lower the cap on workers");
        fail(FailureKind::Timeout, Stage::Connect, &detail)
    }

    /// Why no channel came to be, as far as the jump host tells.
    fn refused(&self, peer: &Peer<'_>, error: &Error) -> TransportError {
        let (name, at) = (&self.name, peer.endpoint);
        let (kind, detail) = match error {
            Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => (
                FailureKind::Unreachable,
                format!("jump host {name} can't connect to {at}: is it up, is that its address from there?"),
            ),
            Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => (
                FailureKind::Unreachable,
                format!("jump host {name} forbids tunnels to {at}: see its AllowTcpForwarding, PermitOpen"),
            ),
            Error::ChannelOpenFailure(reason) => {
                (FailureKind::Unreachable, format!("jump host {name} opens no tunnel to {at}: {reason:?}"))
            }
            _ => {
                let ended = self.facts.with(|facts| facts.ended.clone());
                let how = ended.map_or_else(|| error.to_string(), |ended| ended.detail);
                (FailureKind::Disconnected, format!("the connection to jump host {name} was lost: {how}"))
            }
        };
        fail(kind, Stage::Connect, &detail)
    }
}

/// Carries bytes between a visit and its channel until either side ends; dropping the channel closes it.
async fn carry(visit: DuplexStream, channel: ChannelStream<Msg>, _pass: Pass) {
    let (mut from_visit, mut to_visit) = split(visit);
    let (mut from_channel, mut to_channel) = split(channel);
    let up = async {
        if copy(&mut from_visit, &mut to_channel).await.is_ok() {
            let _ = to_channel.shutdown().await;
        }
    };
    let down = async {
        let mut bytes = vec![0_u8; 32 * 1024];
        while let Ok(count @ 1..) = from_channel.read(&mut bytes).await {
            let bytes = bytes.get(..count).unwrap_or_default();
            // No time at all: it fits, or the visit is flooded and is cut.
            if !matches!(timeout(Duration::ZERO, to_visit.write_all(bytes)).await, Ok(Ok(()))) {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
