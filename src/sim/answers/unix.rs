//! Routing daemons and hosts: FRRouting behind vtysh, and a Linux shell.

use super::{Answer, Subject, in_words, means};
use crate::sim::platform::SimPlatform;

/// What such a device answers.
pub(super) fn answer(subject: &Subject<'_>, command: &str) -> Answer {
    match subject.platform {
        SimPlatform::Frr if means(command, "show version") => Answer::said(frr(subject)),
        SimPlatform::Frr => Answer::refused(format!("% Unknown command: {}\n", command.trim())),
        _ => shell(subject, command),
    }
}

fn frr(subject: &Subject<'_>) -> String {
    let Subject { hostname, version, .. } = subject;
    format!(
        "FRRouting {version} ({hostname}) on Linux(6.1.0-28-amd64).\n\
         Simulated by versweep.\n\
         configured with:\n\
         \x20   '--prefix=/usr' '--sysconfdir=/etc/frr' '--enable-vtysh' '--enable-systemd'\n"
    )
}

/// A shell that knows the commands by which a host's system is told, joined by `;`, `&&` or line breaks.
fn shell(subject: &Subject<'_>, command: &str) -> Answer {
    let mut whole = Answer::said("");
    for part in command.replace("&&", ";").split([';', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
        if let Some(output) = one(subject, part) {
            whole.output.push_str(&output);
            whole.status = 0;
        } else {
            let word = part.split_whitespace().next().unwrap_or_default();
            whole.error.push_str(&format!("bash: line 1: {word}: command not found\n"));
            whole.status = 127;
        }
    }
    whole
}

fn one(subject: &Subject<'_>, command: &str) -> Option<String> {
    let words: Vec<_> = command.split_whitespace().take_while(|word| !word.starts_with("2>")).collect();
    let Subject { hostname, version, .. } = subject;
    let kernel = kernel(version);
    Some(match words.as_slice() {
        ["cat", "/etc/os-release" | "/usr/lib/os-release"] => os_release(version),
        ["cat", "/proc/uptime"] => format!("{}.00 0.00\n", subject.uptime.as_secs()),
        ["cat", "/etc/hostname" | "/proc/sys/kernel/hostname"] | ["hostname"] => format!("{hostname}\n"),
        ["cat", "/proc/sys/kernel/osrelease"] => format!("{kernel}\n"),
        ["uname"] => "Linux\n".to_owned(),
        ["uname", flags] => uname(flags.strip_prefix('-')?, hostname, &kernel),
        ["uptime", "-p"] => format!("up {}\n", in_words(subject.uptime).join(", ")),
        ["uptime", "-s"] => {
            let since = chrono::Duration::from_std(subject.uptime).ok()?;
            format!("{}\n", (subject.now - since).format("%Y-%m-%d %H:%M:%S"))
        }
        ["hostnamectl", ..] => format!(
            "   Static hostname: {hostname}\n           Chassis: vm\n  Operating System: Rocky Linux {version}\n            \
             Kernel: Linux {kernel}\n      Architecture: x86-64\n"
        ),
        ["echo", words @ ..] => format!("{}\n", words.join(" ").trim_matches(['"', '\''])),
        ["true" | ":"] => String::new(),
        _ => return None,
    })
}

/// `uname` prints what it is asked for in an order of its own.
fn uname(flags: &str, hostname: &str, kernel: &str) -> String {
    let all = flags.contains('a');
    let build = "#1 SMP PREEMPT_DYNAMIC Mon Jan 1 00:00:00 UTC 2024";
    let parts =
        [('s', "Linux"), ('n', hostname), ('r', kernel), ('v', build), ('m', "x86_64"), ('o', "GNU/Linux")];
    let asked: Vec<_> =
        parts.iter().filter(|(flag, _)| all || flags.contains(*flag)).map(|(_, part)| *part).collect();
    asked.join(" ") + "\n"
}

fn os_release(version: &str) -> String {
    let major = version.split('.').next().unwrap_or(version);
    format!(
        "NAME=\"Rocky Linux\"\n\
         VERSION=\"{version} (Simulated)\"\n\
         ID=\"rocky\"\n\
         ID_LIKE=\"rhel centos fedora\"\n\
         VERSION_ID=\"{version}\"\n\
         PLATFORM_ID=\"platform:el{major}\"\n\
         PRETTY_NAME=\"Rocky Linux {version} (Simulated)\"\n"
    )
}

/// A kernel of that release's time.
fn kernel(version: &str) -> String {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    match major {
        "8" => format!("4.18.0-{minor}77.el8_{minor}.x86_64"),
        _ => format!("5.14.0-{minor}62.el{major}_{minor}.x86_64"),
    }
}
