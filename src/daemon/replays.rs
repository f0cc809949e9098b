//! Dead letters that a page asks to have told again: one request after the other, written through the same door as
//! `versweep events replay`. The couriers see it at their next look.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::http::ReplayRequest;
use crate::store::{Again, MailRoom, StoreError};

/// Serves requests until the stop.
pub(super) fn counter(store: PathBuf, stop: CancellationToken) -> mpsc::Sender<ReplayRequest> {
    let (requests, asked) = mpsc::channel(1);
    tokio::spawn(serve(store, asked, stop));
    requests
}

async fn serve(store: PathBuf, mut asked: mpsc::Receiver<ReplayRequest>, stop: CancellationToken) {
    while let Some(Some(ReplayRequest { sink, id, answer })) = stop.run_until_cancelled(asked.recv()).await {
        let (store, to) = (store.clone(), sink.clone());
        let again = id.map_or(Again::Dead, |id| Again::Ids(vec![id]));
        let told = tokio::task::spawn_blocking(move || replay(&store, &to, &again)).await;
        let told =
            told.map_err(|lost| lost.to_string()).and_then(|told| told.map_err(|error| error.to_string()));
        match &told {
            Ok(0) => {}
            Ok(events) => info!(sink, events, "events are told again"),
            Err(error) => error!(?sink, "events can't be told again: {error}"),
        }
        // Whoever asked may have gone away.
        let _ = answer.send(told);
    }
}

/// How many events the sink is told again; none where there is no such sink, or none any more.
fn replay(store: &Path, sink: &str, again: &Again) -> Result<usize, StoreError> {
    let mut room = MailRoom::open(store)?;
    if room.serves(sink)? { room.again(sink, again) } else { Ok(0) }
}
