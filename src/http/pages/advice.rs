//! What a failure means, and what to do about it: the runbooks in two sentences.

use crate::failure::FailureKind;

/// What a kind of failure means, what to do, and the runbook that says more.
pub(super) struct Advice {
    pub(super) means: &'static str,
    pub(super) steps: &'static [&'static str],
    pub(super) runbook: &'static str,
}

/// What is known of this kind.
pub(super) fn on(kind: FailureKind) -> Advice {
    Advice { means: means(kind), steps: steps(kind), runbook: runbook(kind) }
}

fn means(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Dns => "Its name doesn't resolve, so nobody could be connected to.",
        FailureKind::Refused => {
            "The address answers, and refuses connections on this port: no SSH server listens there."
        }
        FailureKind::Unreachable => "The network has no way there.",
        FailureKind::Timeout => "Connect, login or command took longer than its limit.",
        FailureKind::Disconnected => "The device closed the connection in the middle.",
        FailureKind::Kex => "versweep and the device have no algorithm in common, or the key exchange broke.",
        FailureKind::HostKey => {
            "It shows another host key than the known one, or one that is not known where it must be. No secret was sent."
        }
        FailureKind::Auth => "The device refused the login. versweep tries one password once in each sweep.",
        FailureKind::Denied => "The login was taken, the command was not allowed.",
        FailureKind::Prompt => "No prompt was found in its shell.",
        FailureKind::Command => "The device didn't know the command, or didn't finish it.",
        FailureKind::Parse => "It answered, and the answer is not what the platform's profile reads.",
        FailureKind::OutputLimit => "It said more than a version command ever says.",
        FailureKind::Deadline => "The whole visit took longer than its deadline, though each step went on.",
        FailureKind::Breaker => {
            "It was not visited: its credential was refused on several devices, and is held back so that no account is locked."
        }
        FailureKind::Cancelled => {
            "It was not visited, or broken off, because versweep was stopping. The next sweep visits it."
        }
        FailureKind::Internal => "versweep itself could not do it; the device was not to blame.",
    }
}

fn steps(kind: FailureKind) -> &'static [&'static str] {
    match kind {
        FailureKind::Dns => &[
            "Look the name up on the daemon's host.",
            "Give it an address in the inventory where DNS has none.",
        ],
        FailureKind::Refused => &[
            "Check the port, and whether SSH is enabled on the device.",
            "Look for an access list in front of its lines.",
        ],
        FailureKind::Unreachable => &[
            "Trace the route from the daemon's host.",
            "If a whole site is like this, look at its uplink first.",
        ],
        FailureKind::Timeout => &[
            "Ping it; look whether all its lines are taken.",
            "If it is merely slow, raise the limit of the stage that failed.",
        ],
        FailureKind::Disconnected => &[
            "Read the SSH server's log on the device.",
            "Look whether it limits sessions, or ends them by idle time.",
        ],
        FailureKind::Kex => {
            &["Compare what it offers with docs/ssh.md.", "An old device needs legacy_ssh = true."]
        }
        FailureKind::HostKey => &[
            "Was it replaced or reset? Compare the fingerprint over the console.",
            "Known reason: remove the old key from known_hosts.",
            "No known reason: treat it as an intrusion.",
        ],
        FailureKind::Auth => &[
            "Check the account on the device or its AAA server.",
            "Don't try the password again and again: most devices lock the account.",
        ],
        FailureKind::Denied => &["Give the account the right to run the version command."],
        FailureKind::Prompt => &[
            "Read below what it said: a banner or a menu may stand in the way.",
            "The platform's profile may need another prompt.",
        ],
        FailureKind::Command => {
            &["Is the platform the right one? platform = \"auto\" finds it.", "Read below what it said."]
        }
        FailureKind::Parse => &[
            "Read below what it said, and try it with versweep parse.",
            "A new release may need a change of the profile.",
        ],
        FailureKind::OutputLimit => &["Is the command the right one for it? Read below how it began."],
        FailureKind::Deadline => {
            &["It answers too slowly: raise timeout for it, or look what keeps it busy."]
        }
        FailureKind::Breaker => &[
            "Mend the account or its AAA server; one device is tried now and then, and all go on by themselves.",
        ],
        FailureKind::Cancelled => &["Nothing needs doing."],
        FailureKind::Internal => &["Read the detail, and the daemon's log at that time."],
    }
}

fn runbook(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Dns
        | FailureKind::Refused
        | FailureKind::Unreachable
        | FailureKind::Timeout
        | FailureKind::Disconnected
        | FailureKind::Kex
        | FailureKind::Prompt
        | FailureKind::Command
        | FailureKind::Parse
        | FailureKind::OutputLimit
        | FailureKind::Deadline => "device-unreachable",
        FailureKind::HostKey => "device-host-key",
        FailureKind::Auth | FailureKind::Denied => "device-login-refused",
        FailureKind::Breaker => "credential-refused",
        FailureKind::Cancelled => "sweep-missed",
        FailureKind::Internal => "versweep-down",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_advice_and_a_runbook_that_is_there() {
        for kind in FailureKind::ALL {
            let advice = on(kind);
            assert!(!advice.steps.is_empty(), "{kind}");
            let runbook = format!("{}/docs/runbooks/{}.md", env!("CARGO_MANIFEST_DIR"), advice.runbook);
            assert!(std::path::Path::new(&runbook).is_file(), "{runbook}");
        }
    }
}
