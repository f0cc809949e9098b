//! Juniper and Arista.

use super::{Answer, Subject, in_words, means};
use crate::sim::platform::SimPlatform;

/// What such a device answers.
pub(super) fn answer(subject: &Subject<'_>, command: &str) -> Answer {
    let first = command.split_whitespace().next().unwrap_or_default();
    match subject.platform {
        SimPlatform::JuniperJunos if means(command, "show version") => Answer::said(junos(subject)),
        SimPlatform::JuniperJunos if means(command, "show system uptime") => {
            Answer::said(junos_uptime(subject))
        }
        SimPlatform::JuniperJunos if means(command, "show chassis hardware") => {
            Answer::said(junos_chassis(subject))
        }
        SimPlatform::JuniperJunos => Answer::refused(format!("error: unknown command: {first}\n")),
        _ if means(command, "show version") => Answer::said(eos(subject)),
        _ if means(command, "terminal length 0") => Answer::said("Pagination disabled.\n"),
        _ => Answer::refused(format!("% Invalid input (at token 0: '{first}')\n")),
    }
}

fn junos(subject: &Subject<'_>) -> String {
    let Subject { hostname, model, version, .. } = subject;
    format!(
        "Hostname: {hostname}\n\
         Model: {model}\n\
         Junos: {version}\n\
         JUNOS OS Kernel 64-bit  [20240101.000000_simulated]\n\
         JUNOS OS runtime [20240101.000000_simulated]\n\
         JUNOS Online Documentation [{version}]\n\
         JUNOS Routing Software Suite [{version}]\n"
    )
}

fn junos_uptime(subject: &Subject<'_>) -> String {
    let now = subject.now;
    // An uptime beyond what a calendar holds isn't one; the device then booted now.
    let booted = chrono::Duration::from_std(subject.uptime).map_or(now, |uptime| now - uptime);
    let minutes = subject.uptime.as_secs() / 60;
    let (weeks, days, hours) = (minutes / 10_080, minutes / 1_440 % 7, minutes / 60 % 24);
    let (at, since) = (now.format("%Y-%m-%d %H:%M:%S UTC"), booted.format("%Y-%m-%d %H:%M:%S UTC"));
    format!(
        "Current time: {at}\n\
         Time Source:  LOCAL CLOCK\n\
         System booted: {since} ({weeks}w{days}d {hours:02}:{:02} ago)\n\
         Protocols started: {since} ({weeks}w{days}d {hours:02}:{:02} ago)\n",
        minutes % 60,
        minutes % 60
    )
}

fn junos_chassis(subject: &Subject<'_>) -> String {
    let Subject { model, serial, .. } = subject;
    format!(
        "Hardware inventory:\n\
         Item             Version  Part number  Serial number     Description\n\
         Chassis                                {serial:<17} {model}\n\
         Routing Engine 0          BUILTIN      BUILTIN           RE-SIM\n"
    )
}

fn eos(subject: &Subject<'_>) -> String {
    let Subject { model, serial, version, .. } = subject;
    let mut words = in_words(subject.uptime);
    let last = words.pop().unwrap_or_default();
    let uptime = if words.is_empty() { last } else { format!("{} and {last}", words.join(", ")) };
    format!(
        "Arista {model}\n\
         Hardware version: 11.02\n\
         Serial number: {serial}\n\
         Hardware MAC address: 0200.5e00.5301\n\
         System MAC address: 0200.5e00.5301\n\
         \n\
         Software image version: {version}\n\
         Architecture: x86_64\n\
         Internal build version: {version}-00000000.sim\n\
         Image format version: 3.0\n\
         \n\
         Uptime: {uptime}\n\
         Total memory: 8098984 kB\n\
         Free memory: 5790976 kB\n"
    )
}
