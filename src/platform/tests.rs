use super::{Platforms, builtin, compile};
use crate::parse;

#[test]
fn every_builtin_profile_compiles_and_its_examples_hold() {
    for (key, text) in builtin::FILES {
        let file = &format!("{key}.toml");
        let profile = compile::checked(file, text).unwrap_or_else(|errors| {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        assert_eq!(profile.key.as_str(), *key);
        assert!(text.matches("[[example]]").count() >= 2, "{file}");
    }
    assert_eq!(Platforms::builtin().keys().count(), builtin::FILES.len());
}

#[test]
fn a_key_wins_over_an_alias_and_case_does_not_matter() {
    let platforms = Platforms::builtin();
    assert_eq!(platforms.find("EOS").map(|profile| profile.key.as_str()), Some("arista_eos"));
    assert_eq!(platforms.find("Cisco_IOS").map(|profile| profile.key.as_str()), Some("cisco_ios"));
    assert!(platforms.find("auto").is_none());
}

const MINE: &str = r#"
key = "acme_os"
revision = 1
name = "Acme OS"
vendor = "Acme"
os = "Acme OS"
commands = ["show system"]
ordering = "dotted"

[recognise]
any = ['^Acme OS ']

[[pattern]]
name = "first-line"
regex = '^Acme OS (?<version>\d\S*) on (?<hostname>\S+)'

[[example]]
text = "Acme OS 3.1.4 on lab-1"
version = "3.1.4"
hostname = "lab-1"
"#;

fn files(text: &str) -> [(String, String); 1] {
    [("mine.toml".to_owned(), text.to_owned())]
}

fn errors_of(text: &str) -> Vec<String> {
    match Platforms::builtin().with_user_profiles(files(text)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_users_profile_is_added_and_one_of_a_known_key_replaces_it() {
    let platforms = Platforms::builtin().with_user_profiles(files(MINE)).unwrap();
    let mine = parse::detect(&platforms, "Acme OS 3.1.5 on lab-1").unwrap();
    assert_eq!(mine.key.as_str(), "acme_os");
    let platforms = platforms.with_user_profiles(files(&MINE.replace("acme_os", "frr"))).unwrap();
    assert_eq!(platforms.find("frr").unwrap().vendor, "Acme");
    assert_eq!(platforms.keys().count(), builtin::FILES.len() + 1);
}

#[test]
fn the_manners_of_a_shell_are_read() {
    let shell = r#"
channel = "shell"
[shell]
columns = 200
submit = "crlf"
prompt = '^\S+[>#]$'
setup = ["page off"]
logout = "quit"
[[shell.confirm]]
when = 'save'
send = "n"
[recognise]"#;
    let platforms =
        Platforms::builtin().with_user_profiles(files(&MINE.replace("[recognise]", shell))).unwrap();
    let errand = &platforms.find("acme_os").unwrap().errand;
    assert_eq!(errand.channel, crate::dialogue::Channel::Shell);
    let rules = &errand.rules;
    assert_eq!((rules.columns, rules.rows, rules.submit.as_str()), (200, 1000, "\r\n"));
    assert_eq!((rules.setup.len(), rules.confirmations.len(), rules.logout.as_str()), (1, 1, "quit"));
    for (from, to, problem) in [
        ("columns = 200", "columns = 7", "shell.columns: 7, allowed are 40 to 2000"),
        ("'save'", "'('", "shell.confirm.when: not a pattern"),
        ("\"page off\"", "\"\"", "shell.setup: at most 8 commands"),
    ] {
        let errors = errors_of(&MINE.replace("[recognise]", &shell.replace(from, to)));
        assert!(errors.len() == 1 && errors[0].contains(problem), "{errors:?}");
    }
}

/// What is listed of one system isn't true of another: two profiles share a product only for a reason that stands here.
#[test]
fn no_two_platforms_share_a_product_of_the_cpe_dictionary() {
    const SHARED: [&str; 0] = [];
    let platforms = Platforms::builtin();
    let mut owners = std::collections::BTreeMap::new();
    for profile in platforms.iter() {
        let Some(cpe) = &profile.cpe else { continue };
        let before = owners.insert(cpe.clone(), profile.key.clone());
        assert!(before.is_none() || SHARED.contains(&cpe.as_str()), "{cpe}: {before:?} and {}", profile.key);
    }
    assert!(owners.len() > 10, "{owners:?}");
}

/// The dictionary's own spelling of a version, or no name at all.
#[test]
fn a_cpe_has_the_version_that_is_listed_or_there_is_none() {
    let platforms = Platforms::builtin();
    let listed = |key: &str, version: &str| {
        let cpe = platforms.find(key).unwrap().cpe_of(&crate::version::Version::new(version))?;
        Some(cpe.split(':').skip(3).take(3).collect::<Vec<_>>().join(":"))
    };
    let expect = [
        // Its releases are FortiSwitchOS', and the dictionary has two names for that.
        ("fortinet_fortiswitch", "7.2.5", None),
        ("fortinet", "7.2.5", Some("fortinet:fortios:7.2.5")),
        ("fortinet", "5.0,build0318", None),
        ("cisco_xe", "17.9.4a", Some("cisco:ios_xe:17.9.4a")),
        ("cisco_xe", "17.6.3a.0.1", Some("cisco:ios_xe:17.6.3a")),
        // The IOS inside an IOS XE 3.16: that one is listed as 3.16.4bS.
        ("cisco_xe", "15.5(3)S4b", None),
        ("cumulus_linux", "5.8.0", Some("nvidia:cumulus_linux:5.8.0")),
        ("cumulus_linux", "3.7.12", None),
        ("watchguard_fireware", "12.10.3.B694994", Some("watchguard:fireware:12.10.3")),
        ("sonicwall", "6.5.4.13-105n", Some("sonicwall:sonicos:6.5.4.13-105n")),
        ("sonicwall", "7.1.1-7058-R6187", Some("sonicwall:sonicos:7.1.1-7058")),
        ("sonicwall", "7.0.1-R579", None),
        ("juniper_screenos", "6.3.0r17.0", Some("juniper:screenos:6.3.0r17")),
        ("vyos", "VC6.6R1", None),
        ("vyos", "1.3.2", Some("vyos:vyos:1.3.2")),
        ("aruba_os", "8.10.0.6", None),
    ];
    for (key, version, name) in expect {
        assert_eq!(listed(key, version).as_deref(), name, "{key} {version}");
    }
}

/// What is sent to a device without being asked for changes nothing there, and agrees to nothing but to go on or to leave.
#[test]
fn no_builtin_profile_says_anything_harmful() {
    const QUESTIONS: [&str; 8] = [
        "The system has unsaved changes. Would you like to save them now? (y/n)",
        "Do you want to save current configuration [y/n]?",
        "Save? [y]/n",
        "Erase all data? [y/N]",
        "This will reboot the system. Continue? (y/n)",
        "Reset to factory defaults (yes or no)?",
        "The password needs to be changed. Change now? [Y/N]:",
        "Proceed with reload? [confirm]",
    ];
    const CHANGES: [&str; 8] = ["conf", "write", "save", "commit", "copy", "reload", "reboot", "delete"];
    for profile in Platforms::builtin().iter() {
        let rules = &profile.errand.rules;
        for (when, answer) in rules.pages.iter().chain(&rules.confirmations) {
            let asked = QUESTIONS.iter().find(|question| when.is_match(question));
            let harmless = asked.is_none() || answer.trim_end() == "n";
            assert!(harmless, "{}: {} answers {asked:?} with {answer:?}", profile.key, when.as_str());
        }
        for command in rules.setup.iter().chain(&profile.commands) {
            let changes = CHANGES.iter().any(|word| command.starts_with(word));
            assert!(!changes, "{}: {command} changes what is kept", profile.key);
        }
    }
}

#[test]
fn each_error_names_file_line_key_and_what_is_allowed() {
    let expect = |from: &str, to: &str, message: &str| {
        let text = MINE.replace(from, to);
        assert_ne!(text, MINE, "{from} is not in the profile");
        assert_eq!(errors_of(&text), [message]);
    };
    expect(
        "\"acme_os\"",
        "\"Acme-OS\"",
        "mine.toml:2: key: 1 to 64 of a-z, 0-9 and _, and not `auto`: it is a metric label",
    );
    expect(
        "[\"show system\"]",
        "[]",
        "mine.toml:7: commands: 1 to 8 commands, each of 1 to 1024 printable characters",
    );
    expect(
        "(?<hostname>",
        "(?<host>",
        "mine.toml:15: pattern.regex: `host` names no field: a group is one of version, model, serial, hostname, image, uptime, next_boot, patch, member, member_version, member_model, member_serial",
    );
    expect(
        "(?<version>",
        "(?<version",
        "mine.toml:15: pattern.regex: not a pattern of the regex crate: invalid capture group character",
    );
    expect(
        "(?<version>\\d\\S*)",
        "(?<model>\\d\\S*)",
        "mine.toml: pattern: no [[pattern]] has a group (?<version>...): nothing could be read",
    );
    expect(
        "\"dotted\"",
        "\"semver\"",
        "mine.toml:8: unknown variant `semver`, expected one of `cisco_ios`, `cisco_nxos`, `cisco_xr`, `junos`, `arista_eos`, `cisco_asa`, `fortios`, `panos`, `routeros`, `sros`, `huawei_vrp`, `comware`, `dotted`",
    );
    expect(
        "vendor",
        "vendr",
        "mine.toml:5: unknown field `vendr`, expected one of `key`, `revision`, `name`, `vendor`, `os`, `aliases`, `cpe`, `cpe_version`, `commands`, `ordering`, `channel`, `shell`, `hints`, `recognise`, `whole`, `errors`, `pattern`, `example`",
    );
    expect(
        "version = \"3.1.4\"",
        "version = \"3.1.5\"",
        "mine.toml:17: example: `version` should be 3.1.5, but 3.1.4 is read",
    );
    expect(
        "hostname = \"lab-1\"",
        "error = \"denied\"",
        "mine.toml:17: example: it should not be readable, but yields version 3.1.4",
    );
    expect("'^Acme OS '", "'^Acme XX '", "mine.toml:17: example: [recognise] doesn't recognise it");
}

#[test]
fn all_errors_of_all_files_come_at_once() {
    let broken = MINE.replace("\"acme_os\"", "\"auto\"").replace("[\"show system\"]", "[\"\"]");
    let two = [("a.toml".to_owned(), broken), ("b.toml".to_owned(), "key =".to_owned())];
    let errors = Platforms::builtin().with_user_profiles(two).unwrap_err();
    assert_eq!(errors.iter().filter(|error| error.file == "a.toml").count(), 2);
    assert_eq!(errors.iter().filter(|error| error.file == "b.toml").count(), 1);
    let twice = [files(MINE), files(MINE)].concat();
    let errors = Platforms::builtin().with_user_profiles(twice).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "mine.toml: key: `acme_os` is in mine.toml already: one file for a key"
    );
}

#[test]
fn a_pattern_that_would_grow_without_bound_is_refused() {
    let text = MINE.replace("on (?<hostname>\\S+)", "on (?<hostname>(\\S{1000}){1000})");
    let errors = errors_of(&text);
    assert!(
        errors[0].starts_with(
            "mine.toml:15: pattern.regex: not a pattern of the regex crate: Compiled regex exceeds size limit"
        ),
        "{errors:?}"
    );
}

#[test]
fn the_example_of_the_documentation_holds() {
    let page = include_str!("../../docs/platforms.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap();
    assert_eq!(errors_of(example), Vec::<String>::new());
    for file in builtin::FILES.iter().map(|(key, _)| key) {
        assert!(page.contains(&format!("| `{file}` |")), "{file} is missing in docs/platforms.md");
    }
}
