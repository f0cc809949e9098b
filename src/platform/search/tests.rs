use std::sync::Arc;

use super::TRIES_MAX;
use crate::device::PlatformKey;
use crate::dialogue::{Next, Shown};
use crate::platform::Platforms;

/// A device that answers some commands, and all others with a refusal.
struct Device<'a> {
    ident: &'a str,
    banner: &'a str,
    prompt: Option<&'a str>,
    refusal: &'a str,
    answers: &'a [(&'a str, &'a str)],
}

const SILENT: Device<'_> = Device { ident: "", banner: "", prompt: None, refusal: "?", answers: &[] };

/// What it was asked, and as what it was taken at the end.
fn visit(device: &Device<'_>, remembered: Option<&str>) -> (Vec<String>, Option<String>) {
    let platforms = Arc::new(Platforms::builtin());
    let key = remembered.map(PlatformKey::new);
    let search = platforms.search(key.as_ref());
    let mut shown = Shown {
        ident: device.ident.to_owned(),
        banner: device.banner.to_owned(),
        prompt: device.prompt.map(str::to_owned),
        answers: Vec::new(),
    };
    let mut taken_for = None;
    while let Next::Ask { command, as_of } = search.next(&shown) {
        taken_for = as_of.map(|errand| {
            let of = platforms.iter().find(|profile| Arc::ptr_eq(&profile.errand, &errand));
            of.unwrap().key.to_string()
        });
        let said = device.answers.iter().find(|(asked, _)| *asked == command);
        shown.answers.push((command, said.map_or(device.refusal, |(_, text)| text).to_owned()));
    }
    (shown.answers.into_iter().map(|(command, _)| command).collect(), taken_for)
}

const VRP: &str = "Huawei Versatile Routing Platform Software\nVRP (R) software, Version 5.170 (S5720 V200R019C10SPC500)\n\
                   HUAWEI S5720-28X-LI-AC Routing Switch uptime is 85 weeks, 4 days, 0 hour, 10 minutes\n";
const ESN: &str = "ESN of slot 0: 2102359999A0J1000001\n";
const ROUTEROS: &str = "   uptime: 2w3d4h\n  version: 7.16.1 (stable)\n  platform: MikroTik\n";
const FRR: &str = "FRRouting 8.4.4 (r1).\nconfigured with:\n";

#[test]
fn the_cheapest_sign_names_the_first_command() {
    let first = |ident: &str, banner: &str, prompt: Option<&str>| {
        visit(&Device { ident, banner, prompt, ..SILENT }, None).0[0].clone()
    };
    for (ident, command) in [
        ("SSH-2.0-ROSSSH", "/system resource print"),
        ("SSH-2.0-Comware-7.1.045", "display version"),
        ("SSH-2.0-HUAWEI-1.5", "display version"),
        ("SSH-2.0-CISCO_WLC", "show sysinfo"),
        ("SSH-2.0-NetScreen", "get system"),
        ("SSH-2.0-cryptlib", "about"),
        ("SSH-2.0-Cisco-1.25", "show version"),
        ("SSH-2.0-OpenSSH_8.8", "show version"),
        ("", "show version"),
    ] {
        assert_eq!(first(ident, "", None), command, "{ident}");
    }
    for (banner, command) in [
        ("Welcome to pfSense 2.7.2-RELEASE (amd64) on fw", "cat /etc/version"),
        ("\n  MMM      MMM\n  MikroTik RouterOS 7.16.1 (c) 1999-2024\n", "/system resource print"),
        ("Info: The max number of VTY users is 10, and the number\n", "display version"),
    ] {
        assert_eq!(first("SSH-2.0-OpenSSH_9.0", banner, None), command, "{banner}");
    }
    for (prompt, command) in [
        ("<core1>", "display version"),
        ("[admin@MikroTik] >", "/system resource print"),
        ("fw1 #", "get system status"),
        ("fw1 (global) $", "get system status"),
        ("(Cisco Controller) >", "show sysinfo"),
        ("ops@fw1(active)>", "show system info"),
        ("edge1->", "get system"),
        ("apc>", "about"),
        ("r1#", "show version"),
    ] {
        assert_eq!(first("", "", Some(prompt)), command, "{prompt}");
    }
}

#[test]
fn the_answer_decides_and_the_rest_of_the_platforms_commands_follow() {
    let device = Device {
        prompt: Some("<sw1>"),
        answers: &[("display version", VRP), ("display esn", ESN)],
        ..SILENT
    };
    let expected =
        (vec!["display version".to_owned(), "display esn".to_owned()], Some("huawei_vrp".to_owned()));
    assert_eq!(visit(&device, None), expected);
    // Nothing but a refusal that only one vendor words so.
    let refusal = "bad command name show (line 1 column 1)\n";
    let device = Device { refusal, answers: &[("/system resource print", ROUTEROS)], ..SILENT };
    let (asked, taken_for) = visit(&device, None);
    assert_eq!((asked[0].as_str(), asked[1].as_str()), ("show version", "/system resource print"));
    assert_eq!(taken_for.as_deref(), Some("mikrotik_routeros"));
}

#[test]
fn what_is_remembered_is_asked_first_and_dropped_when_the_answer_does_not_fit() {
    let frr = Device { answers: &[("show version", FRR)], ..SILENT };
    assert_eq!(visit(&frr, Some("frr")).0, ["show version"]);
    let (asked, taken_for) = visit(&frr, Some("huawei_vrp"));
    assert_eq!(
        (asked, taken_for.as_deref()),
        (vec!["display version".to_owned(), "show version".to_owned()], None)
    );
    // The identification string speaks against it, before anything is asked.
    let device =
        Device { ident: "SSH-2.0-ROSSSH", answers: &[("/system resource print", ROUTEROS)], ..SILENT };
    assert_eq!(visit(&device, Some("huawei_vrp")).0[0], "/system resource print");
    // One that says only what the platform runs on doesn't.
    for ident in ["SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3", "SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.10"] {
        assert_eq!(visit(&Device { ident, ..frr }, Some("frr")).0, ["show version"], "{ident}");
    }
    // Nor does one that other platforms share.
    let shared = Device { ident: "SSH-2.0-RomSShell_4.31", ..frr };
    assert_eq!(visit(&shared, Some("huawei_vrp")).0[0], "display version");
    // A profile that is gone is no reason to fail.
    assert_eq!(visit(&frr, Some("gone")).0, ["show version"]);
}

#[test]
fn a_device_that_nobody_knows_is_asked_a_few_commands_of_the_version_family_and_left() {
    let (asked, taken_for) = visit(&SILENT, None);
    assert_eq!((asked.len(), taken_for), (TRIES_MAX, None));
    let platforms = Platforms::builtin();
    for command in asked {
        assert!(platforms.iter().any(|profile| profile.commands[0] == command), "{command}");
    }
}
