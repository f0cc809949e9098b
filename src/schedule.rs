//! The alarm clock: when an instant of a sweep's timetable comes, its trigger is pulled.
//!
//! `tokio-cron-scheduler` serves for one-shot alarms only; which instant is next is [`Timetable`]'s matter, because
//! the crate's own repeating jobs drift over clock changes and overlap.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::activity::{Note, Notes, Reason, SkipReason, Trigger};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::status::SweepStatus;
use crate::timetable::{Timetable, Windows};

/// How late an alarm may be before the log mentions it: the clock beneath looks twice a second.
const LATE: chrono::Duration = chrono::Duration::seconds(5);

/// How late an alarm may be before it is asked whether the wall clock was set back.
const SILENT: Duration = Duration::from_secs(2);

/// A wall clock that shows so much less than it should, beside a tenth of the time that went by, was set back. What is less
/// may have been slewed: chrony slows a clock by up to a twelfth.
const SET_BACK: chrono::Duration = chrono::Duration::seconds(1);

/// The alarm clock shared by all sweeps.
#[derive(Clone)]
pub struct Alarms {
    scheduler: JobScheduler,
}

impl Alarms {
    /// Starts the clock.
    ///
    /// # Errors
    /// When the scheduler can't start.
    pub async fn start() -> Result<Self, ScheduleError> {
        let scheduler = JobScheduler::new().await?;
        scheduler.start().await?;
        Ok(Self { scheduler })
    }

    /// Returns once `wait` has passed, rounded up to whole seconds; also the proof that the clock is alive. The crate beneath
    /// goes by the wall clock: where that was set back, the alarm would ring as much later, so it is not waited for.
    ///
    /// # Errors
    /// When the scheduler refuses the alarm or has ended.
    pub async fn ring_after(&self, wait: Duration) -> Result<(), ScheduleError> {
        let (sender, mut rung) = mpsc::channel::<()>(1);
        // The crate cuts a duration to whole seconds and would ring early.
        let whole = Duration::from_secs((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1));
        let (set, began) = (SystemClock.now(), Instant::now());
        let job = Job::new_one_shot_async(whole, move |_, _| {
            let sender = sender.clone();
            Box::pin(async move {
                // The room's one place is free unless the alarm rang already.
                let _ = sender.try_send(());
            })
        })?;
        let id = self.scheduler.add(job).await?;
        let alarm = Alarm { scheduler: self.scheduler.clone(), id: Some(id) };
        loop {
            if let Ok(rang) = timeout(whole + SILENT, rung.recv()).await {
                rang.ok_or(ScheduleError::Ended)?;
                alarm.rang();
                return Ok(());
            }
            if was_set_back(&SystemClock, set, began) {
                return Ok(());
            }
        }
    }
}

/// Whether a wall clock was set back since it showed `then`.
fn was_set_back(clock: &dyn Clock, then: Timestamp, began: Instant) -> bool {
    let elapsed = chrono::Duration::from_std(began.elapsed()).unwrap_or_default();
    then + elapsed - clock.now() > SET_BACK + elapsed / 10
}

/// An alarm that is set; one that is dropped before it rings is taken out of the clock.
struct Alarm {
    scheduler: JobScheduler,
    id: Option<uuid::Uuid>,
}

impl Alarm {
    fn rang(mut self) {
        self.id = None;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id, tokio::runtime::Handle::try_current()) {
            let scheduler = self.scheduler.clone();
            runtime.spawn(async move { scheduler.remove(&id).await });
        }
    }
}

/// Why there is no alarm.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The crate beneath said no.
    #[error("the scheduler failed: {0}")]
    Scheduler(#[from] JobSchedulerError),
    /// The clock has ended.
    #[error("the scheduler has ended")]
    Ended,
}

/// One sweep's place at the alarm clock.
pub struct Scheduled {
    /// The `[[sweep]]`'s name.
    pub name: Arc<str>,
    /// When it is due.
    pub timetable: Timetable,
    /// When it does not start all the same.
    pub blackout: Windows,
    /// What to pull then.
    pub trigger: Trigger,
    /// Where the next instant is shown.
    pub status: watch::Sender<SweepStatus>,
}

impl Scheduled {
    /// Pulls the trigger; else says why not.
    fn start(&self, now: Timestamp) -> Option<SkipReason> {
        if self.blackout.hold(now) {
            info!(sweep = %self.name, "the sweep was due in its blackout: skipped");
            return Some(SkipReason::Blackout);
        }
        if self.trigger.try_start(Reason::Schedule).is_ok() {
            return None;
        }
        warn!(sweep = %self.name, "the sweep was due while it was running: skipped; give it a longer period or more workers");
        Some(SkipReason::Running)
    }
}

/// Pulls the sweep's trigger at each instant of its timetable until `stop`. A tick that finds the sweep running is
/// told to the recorder and not queued (rule 8).
///
/// # Errors
/// When the alarm clock fails; without it the daemon can't do its work.
pub async fn keep(
    scheduled: Scheduled,
    alarms: Alarms,
    clock: Arc<dyn Clock>,
    notes: Notes,
    stop: CancellationToken,
) -> Result<(), ScheduleError> {
    let start = clock.now();
    let (mut last, mut done) = (None, None);
    while let Some(next) = upcoming(&scheduled.timetable, start, last, done, clock.now()) {
        scheduled.status.send_modify(|status| status.next = Some(next));
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            reached = wait_until(next, &alarms, clock.as_ref()) => {
                if let Reached::ClockSetBack = reached? {
                    warn!(sweep = %scheduled.name, due = %next, "the wall clock was set back; the next sweep is computed anew");
                    last = Some(clock.now());
                    continue;
                }
            }
        }
        let now = clock.now();
        if now - next > LATE {
            warn!(sweep = %scheduled.name, due = %next, late_seconds = (now - next).num_seconds(),
                "a sweep was due in the past; what went by since is one run");
        }
        (last, done) = (Some(next), Some(next));
        let Some(why) = scheduled.start(now) else { continue };
        let skipped = Note::SweepSkipped { sweep: scheduled.name.to_string(), at: now, why };
        if !stop.is_cancelled() && notes.send(skipped).await.is_err() {
            error!("the recorder has ended");
        }
    }
    Ok(())
}

/// The next instant. One that was reached is not due again because the clock was set back to before it.
fn upcoming(
    timetable: &Timetable,
    start: Timestamp,
    last: Option<Timestamp>,
    done: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let next = timetable.next(start, last, now)?;
    if done == Some(next) { timetable.next(start, last, next) } else { Some(next) }
}

enum Reached {
    Due,
    ClockSetBack,
}

/// Waits for an instant of wall time. An alarm runs on elapsed time, so the wall clock may show another instant than
/// expected when it rings: earlier by a little is waited for, earlier by much means that the clock was set back.
async fn wait_until(next: Timestamp, alarms: &Alarms, clock: &dyn Clock) -> Result<Reached, ScheduleError> {
    /// The longest alarm: a clock that is set forward is noticed within a minute.
    const LONGEST: Duration = Duration::from_secs(60);
    loop {
        let before = clock.now();
        let Ok(left) = (next - before).to_std() else { return Ok(Reached::Due) };
        if left.is_zero() {
            return Ok(Reached::Due);
        }
        let began = Instant::now();
        alarms.ring_after(left.min(LONGEST)).await?;
        if was_set_back(clock, before, began) {
            return Ok(Reached::ClockSetBack);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timetable::Window;

    /// A correction by three seconds once ran the nightly sweep twice.
    #[test]
    fn what_was_due_is_not_due_again_after_a_small_step_back() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let [start, night, next_night] =
            ["2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z"].map(at);
        let daily = Timetable::Every(Duration::from_secs(86_400));
        let after = |now| upcoming(&daily, start, Some(night), Some(night), at(now));
        assert_eq!(after("2026-11-25T23:59:58Z"), Some(next_night));
        assert_eq!(after("2026-11-26T00:00:01Z"), Some(next_night));
        assert_eq!(after("2026-11-24T12:00:00Z"), Some(start), "over a whole period: it is another night");
    }

    #[test]
    fn a_tick_in_a_blackout_starts_nothing() {
        let window = Window::new("Mon-Fri 08:00-09:00").expect("a window");
        let (trigger, mut starts) = Trigger::new();
        let scheduled = Scheduled {
            name: "all".into(),
            timetable: Timetable::OnDemand,
            blackout: Windows::new(chrono_tz::UTC, vec![window]),
            trigger,
            status: watch::Sender::new(SweepStatus::default()),
        };
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        assert_eq!(scheduled.start(at("2026-11-25T08:30:00Z")), Some(SkipReason::Blackout));
        assert!(starts.try_recv().is_err());
        assert_eq!(scheduled.start(at("2026-11-25T09:00:00Z")), None);
        assert_eq!(scheduled.start(at("2026-11-25T09:15:00Z")), Some(SkipReason::Running), "single flight");
        assert!(starts.try_recv().is_ok());
    }
}
