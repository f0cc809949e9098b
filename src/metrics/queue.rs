//! What devices wait for, and how full each limit is.

use crate::known::Snapshot;
use crate::metrics::Live;
use crate::metrics::family::{Family, flag, gauge, number, seconds_or_zero};

pub(super) fn families(snapshot: &Snapshot, live: &Live) -> Vec<Family> {
    let mut busy = gauge(
        "versweep_limit_busy",
        "Devices being visited at this moment that have this value in common; by = what the [[workers.limit]] goes by.",
    );
    let mut max = gauge("versweep_limit_max", "The cap on them; absent where only logins are limited.");
    for limit in &live.limits {
        let labels = [("by", limit.by.as_str()), ("value", limit.value.as_str())];
        busy.sample(&labels, number(limit.busy));
        if let Some(cap) = limit.max {
            max.sample(&labels, number(cap));
        }
    }
    let mut saturated = gauge(
        "versweep_workers_saturated",
        "Whether every worker is busy and devices wait for one: more workers would make sweeps shorter.",
    );
    let full = live.workers.busy >= live.workers.limit && live.waiting.worker > 0;
    saturated.sample(&[], flag(full));
    let mut oldest = gauge(
        "versweep_oldest_success_timestamp_seconds",
        "When the device that has not answered for the longest time last did, of those that ever did; 0 = none has.",
    );
    let seen = snapshot.devices.iter().filter_map(|state| Some(state.known.facts.as_ref()?.seen_at));
    oldest.sample(&[], seconds_or_zero(seen.min()));
    vec![queue(snapshot, live), busy, max, saturated, oldest]
}

fn queue(snapshot: &Snapshot, live: &Live) -> Family {
    let mut queue = gauge(
        "versweep_queue_devices",
        "Devices that are not visited at this moment though a sweep wants them, by what they wait for.",
    );
    let waiting = &live.waiting;
    for (reason, count) in [
        ("worker", waiting.worker),
        ("limit", waiting.limit.values().sum()),
        ("login_budget", waiting.budget),
        ("spread", waiting.spread),
        ("visited", waiting.visited),
        ("blackout", waiting.blackout),
        ("hold_off", live.held_off),
        ("breaker", live.behind_breakers(snapshot)),
    ] {
        queue.sample(&[("reason", reason)], number(count));
    }
    queue
}
