//! `versweep check --connect` tries every credential once, and none that was refused a second time.

use std::fs;

use versweep::sim::SimConfig;

use crate::site::Site;

/// A configuration with a second credential, which the last device has, whose password is this.
fn site(devices: usize, second: &str) -> Site {
    let site = Site::with(SimConfig { devices, ..SimConfig::default() });
    site.write("second", second);
    let last = site.devices()[devices - 1].name().to_owned();
    let text = site.config("schedule = 'never'", 8)
        + "[credentials.other]\nusername = 'versweep'\npassword = { file = 'second' }\n"
        + &format!("[[group]]\nselect = {{ device = '{last}' }}\ncredential = 'other'\n");
    site.write("versweep.toml", &text);
    site
}

fn check(site: &Site, more: &[&str]) -> (Option<i32>, String) {
    let output = site.versweep(&[&["check", "versweep.toml"], more].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn logins(site: &Site) -> Vec<u64> {
    site.devices().iter().map(|device| device.logins()).collect()
}

#[test]
fn a_device_of_each_credential_is_logged_in_to_once() {
    let site = site(5, crate::site::PASSWORD);
    let (code, said) = check(&site, &["--connect", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let (first, last) = (&site.devices()[0], &site.devices()[4]);
    for device in [first, last] {
        assert!(said.contains(&format!("{}: ok: ", device.name())), "{said}");
        assert!(said.contains(&device.version()), "{said}");
    }
    assert!(said.contains("tries credential lab\n") && said.contains("tries credential other\n"), "{said}");
    assert_eq!(logins(&site), [1, 0, 0, 0, 1]);
}

#[test]
fn a_refused_credential_is_told_with_what_to_do() {
    let site = site(2, "not-the-password");
    let (code, said) = check(&site, &["--connect", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("{}: failed: auth at auth", site.devices()[1].name())), "{said}");
    assert!(!said.contains("not-the-password"), "{said}");
}

#[test]
fn nobody_is_logged_in_to_without_consent() {
    let site = site(2, crate::site::PASSWORD);
    let (code, said) = check(&site, &["--connect"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--connect logs in to 2 devices: say --yes"), "{said}");
    assert_eq!(logins(&site), [0, 0]);
    // A password that can't be read is a matter of plain `check`, and nothing is tried.
    fs::remove_file(site.path("second")).unwrap();
    assert_eq!(check(&site, &["--connect", "--yes"]).0, Some(64));
}

#[test]
fn a_refused_credential_is_not_tried_on_the_next_jump_host() {
    let site = Site::new(4);
    site.write("wrong", "not-the-password");
    let [outer, inner, one, two] = [0, 1, 2, 3].map(|number| &site.devices()[number]);
    let mut text = site.config("schedule = 'never'", 8)
        + "[credentials.bastions]\nusername = 'versweep'\npassword = { file = 'wrong' }\n";
    for (host, device) in [(outer, one), (inner, two)] {
        text += &format!(
            "[jump.'{0}']\naddress = '{1}'\nport = {2}\ncredential = 'bastions'\n\
             [[group]]\nselect = {{ device = '{3}' }}\njump = ['{0}']\n",
            host.name(),
            host.address(),
            host.port(),
            device.name()
        );
    }
    site.write("versweep.toml", &text);
    let (code, said) = check(&site, &["--connect", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not tried: credential bastions was refused already"), "{said}");
    let tried = |device: &versweep::sim::SimDevice| device.password_attempts();
    assert_eq!(tried(outer) + tried(inner), 1, "{said}");
}
