//! A fleet of one device that says what it can to get out of its place on a page.

use std::sync::Arc;

use versweep::change::{Change, ChangeKind};
use versweep::device::{PlatformChoice, PlatformKey};
use versweep::facts::{Member, More};
use versweep::failure::FailureKind;
use versweep::known::{
    DeviceState, Known, PolicyInfo, PolicyResult, PolicyStanding, Snapshot, SweepRecord, Verdict,
};
use versweep::observation::{SshSession, SweepId};
use versweep::version::Version;

use crate::fleet;

/// Its name.
pub(crate) const NAME: &str = "<b>\"r1\u{202e}'/../x</b>";

/// What somebody could have a device say, hoping that a page takes it for its own.
pub(crate) const HOSTILE: &str =
    "</td><script>alert(1)</script><img src=x onerror=alert(2)>\u{1b}[31m\u{202e}\u{200b}\"'&";

/// A fleet of one device that is hostile in every text that it has a say in, and in those of its inventory.
pub(crate) fn snapshot() -> Snapshot {
    let at = fleet::noon();
    let long = HOSTILE.repeat(1 << 14);
    let mut facts = fleet::facts("linux", &long, &long, at);
    facts.reading.platform = PlatformKey::new(HOSTILE);
    let read = &mut facts.reading.facts;
    (read.hostname, read.image, read.serial) =
        (Some(long.clone()), Some(long.clone()), Some(HOSTILE.to_owned()));
    let member = Member {
        name: HOSTILE.to_owned(),
        version: Some(Version::new(&long)),
        model: Some(long.clone()),
        serial: None,
    };
    read.more = Some(Box::new(More {
        members: vec![member],
        patches: vec![long.clone()],
        next_boot: Some(long.clone()),
    }));
    let mut visit = fleet::failed(FailureKind::Parse, at);
    visit.failure.as_mut().unwrap().detail = long.clone();
    let policy = Arc::new(PolicyInfo {
        name: HOSTILE.to_owned(),
        since: at,
        asks: long.clone(),
        grace_until: Some(at),
    });
    let standing = PolicyStanding {
        policy: Arc::clone(&policy),
        verdict: Arc::new(Verdict::new(PolicyResult::Banned, long.clone())),
        complies: Some(false),
        held: None,
    };
    let known = Known {
        facts: Some(facts),
        visit: Some(visit),
        ssh: Some(Box::new(SshSession { server: long.clone(), algorithms: HOSTILE.to_owned() })),
        standings: vec![standing],
        ..Known::default()
    };
    let labels = [("site", long.as_str()), (HOSTILE, "x")];
    let device = fleet::device(NAME, PlatformChoice::Auto, &labels);
    let change = Change {
        of: device.id.clone().into(),
        sweep: None,
        at,
        kind: ChangeKind::PolicyLost,
        subject: HOSTILE.to_owned(),
        before: long.clone(),
        after: long.clone(),
        why: long,
        confirmed: false,
    };
    let sweep = SweepRecord {
        id: SweepId::starting(at),
        name: HOSTILE.to_owned(),
        reason: "schedule".to_owned(),
        started: at,
        ended: Some(at),
        devices: 1,
        answered: 0,
        failed: 1,
        complete: false,
    };
    Snapshot {
        devices: vec![Arc::new(DeviceState { device, known })],
        recent_changes: vec![Arc::new(change)],
        last_sweeps: vec![sweep],
        policies: vec![policy],
        ..Snapshot::default()
    }
}
