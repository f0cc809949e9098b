//! Cisco: IOS, IOS XE, NX-OS, IOS XR.

use super::{Answer, Subject, in_words, means};
use crate::sim::platform::SimPlatform;

/// What such a device answers.
pub(super) fn answer(subject: &Subject<'_>, command: &str) -> Answer {
    if means(command, "show version") {
        return Answer::said(match subject.platform {
            SimPlatform::CiscoXe => ios_xe(subject),
            SimPlatform::CiscoNxos => nxos(subject),
            SimPlatform::CiscoXr => xr(subject),
            _ => ios(subject),
        });
    }
    if ["terminal length 0", "terminal width 511"].iter().any(|quiet| means(command, quiet)) {
        return Answer::said("");
    }
    Answer::refused(match subject.platform {
        SimPlatform::CiscoNxos => {
            "Syntax error while parsing the command\n% Invalid command at '^' marker.\n"
        }
        SimPlatform::CiscoXr => "\n    ^\n% Invalid input detected at '^' marker.\n",
        _ => "  ^\n% Invalid input detected at '^' marker.\n\n",
    })
}

fn ios(subject: &Subject<'_>) -> String {
    let Subject { hostname, model, serial, version, .. } = subject;
    let uptime = in_words(subject.uptime).join(", ");
    let image = format!("c2900-universalk9-mz.SPA.{}.bin", ios_file(version));
    format!(
        "Cisco IOS Software, C2900 Software (C2900-UNIVERSALK9-M), Version {version}, RELEASE SOFTWARE (fc1)\n\
         Simulated by versweep; no router was harmed\n\
         \n\
         ROM: System Bootstrap, Version 15.0(1r)M16, RELEASE SOFTWARE (fc1)\n\
         \n\
         {hostname} uptime is {uptime}\n\
         System returned to ROM by reload\n\
         System image file is \"flash0:{image}\"\n\
         Last reload type: Normal Reload\n\
         \n\
         Cisco {model} (revision 1.0) with 483328K/40960K bytes of memory.\n\
         Processor board ID {serial}\n\
         3 Gigabit Ethernet interfaces\n\
         255K bytes of non-volatile configuration memory.\n\
         \n\
         Configuration register is 0x2102\n\n"
    )
}

fn ios_xe(subject: &Subject<'_>) -> String {
    let Subject { hostname, model, serial, version, .. } = subject;
    let uptime = in_words(subject.uptime).join(", ");
    let padded = padded(version);
    format!(
        "Cisco IOS XE Software, Version {padded}\n\
         Cisco IOS Software [Simulated], Catalyst L3 Switch Software (CAT9K_IOSXE), Version {version}, \
         RELEASE SOFTWARE (fc2)\n\
         \n\
         ROM: IOS-XE ROMMON\n\
         BOOTLDR: System Bootstrap, Version 17.12.1r, RELEASE SOFTWARE (P)\n\
         \n\
         {hostname} uptime is {uptime}\n\
         Uptime for this control processor is {uptime}\n\
         System returned to ROM by Reload Command\n\
         System image file is \"flash:packages.conf\"\n\
         Last reload reason: Reload Command\n\
         \n\
         cisco {model} (X86) processor with 1331521K/6147K bytes of memory.\n\
         Processor board ID {serial}\n\
         2048K bytes of non-volatile configuration memory.\n\
         8388608K bytes of physical memory.\n\
         \n\
         Model Number                       : {model}\n\
         System Serial Number               : {serial}\n\
         \n\
         Switch Ports Model              SW Version        SW Image              Mode\n\
         ------ ----- -----              ----------        ----------            ----\n\
         *    1 62    {model:<18} {padded:<17} CAT9K_IOSXE           INSTALL\n\
         \n\
         Configuration register is 0x102\n\n"
    )
}

fn nxos(subject: &Subject<'_>) -> String {
    let Subject { hostname, model, serial, version, .. } = subject;
    let seconds = subject.uptime.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let image = format!("nxos.{}.bin", version.replace('(', ".").replace(')', ""));
    format!(
        "Cisco Nexus Operating System (NX-OS) Software\n\
         Simulated by versweep; no switch was harmed\n\
         \n\
         Software\n\
         \x20 BIOS: version 05.47\n\
         \x20 NXOS: version {version}\n\
         \x20 BIOS compile time:  04/28/2022\n\
         \x20 NXOS image file is: bootflash:///{image}\n\
         \n\
         Hardware\n\
         \x20 cisco Nexus9000 {model} Chassis\n\
         \x20 Intel(R) Xeon(R) CPU with 24571632 kB of memory.\n\
         \x20 Processor Board ID {serial}\n\
         \n\
         \x20 Device name: {hostname}\n\
         \x20 bootflash:  115343360 kB\n\
         \n\
         Kernel uptime is {days} day(s), {hours} hour(s), {minutes} minute(s), {} second(s)\n\
         \n\
         Last reset\n\
         \x20 Reason: Reset due to upgrade\n\
         \x20 System version: {version}\n\
         \n\
         plugin\n\
         \x20 Core Plugin, Ethernet Plugin\n",
        seconds % 60
    )
}

fn xr(subject: &Subject<'_>) -> String {
    let Subject { hostname, model, version, .. } = subject;
    let uptime = in_words(subject.uptime).join(", ");
    let asked = subject.now.format("%a %b %e %H:%M:%S%.3f UTC");
    format!(
        "\n{asked}\n\
         Cisco IOS XR Software, Version {version} LNT\n\
         Simulated by versweep; no router was harmed\n\
         \n\
         Build Information:\n\
         \x20Built By     : simulator\n\
         \x20Version      : {version}\n\
         \x20Label        : {version}\n\
         \n\
         cisco NCS5500 (D-1548)\n\
         cisco {model} (D-1548) processor with 32GB of memory\n\
         {hostname} uptime is {uptime}\n\
         Cisco {model} Chassis\n\n"
    )
}

/// `15.7(3)M9` as it stands in a file name: `157-3.M9`.
fn ios_file(version: &str) -> String {
    let (train, rest) = version.split_once('(').unwrap_or((version, ""));
    format!("{}-{}", train.replace('.', ""), rest.replace(')', "."))
}

/// `17.9.4a` as IOS XE's first line has it: each number of two digits, `17.09.04a`.
fn padded(version: &str) -> String {
    let pad = |part: &str| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 1 { format!("0{part}") } else { part.to_owned() }
    };
    version.split('.').map(pad).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_each_place_has_them() {
        assert_eq!(padded("17.9.4a"), "17.09.04a");
        assert_eq!(padded("16.12.10"), "16.12.10");
        assert_eq!(ios_file("15.7(3)M9"), "157-3.M9");
    }
}
