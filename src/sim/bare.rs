//! The baseline of the benchmark: visits by russh as it comes, with nothing around it and nothing tuned.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::ChannelMsg;
use russh::client::{self, Config, Handler};
use russh::keys::PublicKeyOrCertificate;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{PASSWORD, USERNAME};

/// A bare visit gives up after this long; a benchmark that never ends tells nothing.
const DEADLINE: Duration = Duration::from_secs(60);

/// Takes any host key.
struct Anyone;

impl Handler for Anyone {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Visits every device once, `workers` at a time; returns how many visits gave no output.
pub async fn sweep(targets: Vec<(SocketAddr, String)>, workers: usize) -> usize {
    let permits = Arc::new(Semaphore::new(workers));
    let config = Arc::new(Config::default());
    let mut visits = JoinSet::new();
    let mut failed = 0;
    for (address, command) in targets {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
        let config = Arc::clone(&config);
        visits.spawn(async move {
            let _permit = permit;
            let visited = tokio::time::timeout(DEADLINE, visit(config, address, &command)).await;
            matches!(visited, Ok(Ok(output)) if !output.is_empty())
        });
        while let Some(done) = visits.try_join_next() {
            failed += usize::from(!done.unwrap_or(false));
        }
    }
    while let Some(done) = visits.join_next().await {
        failed += usize::from(!done.unwrap_or(false));
    }
    failed
}

async fn visit(config: Arc<Config>, address: SocketAddr, command: &str) -> Result<Vec<u8>, russh::Error> {
    let mut session = client::connect(config, address, Anyone).await?;
    if !session.authenticate_password(USERNAME, PASSWORD).await?.success() {
        return Err(russh::Error::NotAuthenticated);
    }
    let mut channel = session.channel_open_session().await?;
    channel.exec(true, command).await?;
    let mut output = Vec::new();
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::Data { data } = message {
            output.extend_from_slice(&data);
        }
    }
    Ok(output)
}
