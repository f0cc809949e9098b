//! `versweep top`: what a running daemon is doing, drawn anew every second. Where there is no terminal it is told once, as
//! plain text.

mod frame;
mod line;
mod lists;
mod reading;
mod screen;
mod worries;

use std::io::{self, IsTerminal as _};
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::frame::{Size, View};
use self::line::Ink;
use self::reading::{Reader, Reading};
use self::screen::{Press, Screen};
use super::Exit;
use super::client::{DaemonArgs, Refused, line};
use crate::clock::{Clock as _, SystemClock};
use crate::duration::HumanDuration;

/// Faster than this nobody reads, and the daemon has better things to do.
const INTERVAL_MIN: Duration = Duration::from_millis(200);
/// Longer than this it is no live view.
const INTERVAL_MAX: Duration = Duration::from_hours(1);

/// Watch a running daemon: devices by state, workers, the sweeps with their progress, what waits and for what, what is wrong,
/// the latest failures and changes.
///
/// It is drawn anew every second; q or Ctrl-C ends it. Where standard output is no terminal, or TERM is unset or `dumb`, one
/// frame is printed as plain text.
/// Colours are left out where `NO_COLOR` is set.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  versweep top --interval 5s\n  versweep top --once | head -3")]
pub(crate) struct Args {
    /// How often to ask, 200ms to 1h
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: HumanDuration,
    /// Print one frame as plain text and end; 1 where the daemon doesn't answer
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn interval(text: &str) -> Result<HumanDuration, String> {
    let interval: HumanDuration = text.parse().map_err(|error| format!("{error}"))?;
    match (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval.0) {
        true => Ok(interval),
        false => Err("200ms to 1h is allowed".to_owned()),
    }
}

impl Args {
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        let mut reader = Reader::new(&self.daemon, self.interval.0)?;
        // A terminal that knows no sequences gets none.
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if self.once || is_dumb || !io::stdout().is_terminal() {
            return self.tell_once(&mut reader, &stop).await;
        }
        let (told, news) = mpsc::channel(1);
        let view = View::of(self.daemon.url.to_string());
        // Whichever ends first ends the other: the one asks for ever, unless it is refused at once.
        tokio::select! {
            biased;
            shown = watch(view, news, &stop) => shown,
            refused = reader.ask_on(told) => Err(refused),
        }
    }

    /// One frame, as that of a terminal of 50 rows.
    async fn tell_once(&self, reader: &mut Reader<'_>, stop: &CancellationToken) -> anyhow::Result<Exit> {
        let Some(reading) = stop.run_until_cancelled(reader.read()).await else { return Ok(Exit::Failed) };
        let mut view = View::of(self.daemon.url.to_string());
        view.take(SystemClock.now(), reading?);
        for drawn in view.frame(SystemClock.now(), screen::size_of_text()) {
            line(&mut io::stdout(), drawn.plain().trim_end())?;
        }
        Ok(Exit::Done)
    }
}

/// What came of asking once.
type News = anyhow::Result<Reading>;

/// Draws what comes until somebody has seen enough.
async fn watch(
    mut view: View,
    mut news: mpsc::Receiver<News>,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    // Neither may end it before the terminal is given back.
    let (mut hung_up, mut quit) = (listen(SignalKind::hangup())?, listen(SignalKind::quit())?);
    let mut resized = listen(SignalKind::window_change())?;
    let mut screen = Screen::enter(Ink::of_environment())?;
    let mut presses = screen::presses();
    loop {
        // Also before the first answer, which may be a long time coming.
        screen.draw(|size: Size| view.frame(SystemClock.now(), size))?;
        let mut stopped = pin!(stop.cancelled());
        tokio::select! {
            biased;
            () = &mut stopped => return Ok(Exit::Done),
            Some(()) = hung_up.recv() => return Ok(Exit::Done),
            Some(()) = quit.recv() => return Ok(Exit::Done),
            Some(press) = presses.recv() => match press {
                Press::Quit => return Ok(Exit::Done),
                Press::Suspend => screen.suspend().await?,
                Press::Other => screen.forget(),
            },
            Some(()) = resized.recv() => screen.forget(),
            Some(news) = news.recv() => match news {
                Ok(reading) => view.take(SystemClock.now(), reading),
                Err(error) => view.miss(SystemClock.now(), &error),
            },
        }
    }
}

fn listen(kind: SignalKind) -> anyhow::Result<unix::Signal> {
    signal(kind).context("signals can't be listened for")
}

/// Whether there is no use in asking again: the arguments are wrong, not the moment.
fn is_final(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| (400..500).contains(&refused.status))
}
