//! Juniper and Arista.

use super::{Answer, Subject, in_words, means};
use crate::sim::platform::SimPlatform;

/// What such a device answers.
pub(super) fn answer(subject: &Subject<'_>, command: &str) -> Answer {
    let first = command.split_whitespace().next().unwrap_or_default();
    match subject.platform {
        SimPlatform::JuniperJunos if means(command, "show version") => Answer::said(junos(subject)),
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
