//! The web surface of a daemon: its sockets, and what of it a reload exchanges.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use listenfd::ListenFd;
use tokio::net::TcpListener;

use crate::config::{Web, WebFlags};
use crate::web_config::Keeper;

/// What of the web surface is exchanged while the server runs.
pub(super) struct Surface {
    /// What the command line says, at each reload as at the start.
    pub(super) flags: Arc<WebFlags>,
    pub(super) web: Arc<ArcSwap<Web>>,
    pub(super) keeper: Arc<Keeper>,
}

impl Surface {
    pub(super) fn new(flags: WebFlags, web: &Web) -> anyhow::Result<Self> {
        let keeper = Keeper::new(web.config_file.clone(), web.config.take()).map_err(anyhow::Error::msg)?;
        Ok(Self {
            flags: Arc::new(flags),
            web: Arc::new(ArcSwap::from_pointee(web.clone())),
            keeper: Arc::new(keeper),
        })
    }

    pub(super) fn take(&self, web: &Web) {
        self.keeper.replace(web.config_file.clone(), web.config.take());
        self.web.store(Arc::new(web.clone()));
    }
}

/// The sockets to listen on: those that systemd hands over, or new ones.
pub(super) async fn listeners(web: &Web) -> anyhow::Result<Vec<TcpListener>> {
    if web.systemd_socket { handed_over() } else { bind(&web.listen).await }
}

async fn bind(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("can't listen on {address} (web.listen): is another versweep running, or another program on this port?")
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// See sd_listen_fds(3).
fn handed_over() -> anyhow::Result<Vec<TcpListener>> {
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::new();
    for place in 0..given.len() {
        let taken = given.take_tcp_listener(place);
        let taken = taken.with_context(|| format!("socket {} of systemd is no TCP listener", place + 1))?;
        let listener: StdListener = taken.context("a socket of systemd was taken twice")?;
        listener.set_nonblocking(true)?;
        listeners.push(TcpListener::from_std(listener)?);
    }
    anyhow::ensure!(
        !listeners.is_empty(),
        "systemd hands no socket over (web.systemd_socket): is versweep.socket enabled, and did it start this process?"
    );
    Ok(listeners)
}
