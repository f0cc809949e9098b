//! `versweep probe` explains a visit, and records it without secrets.

use std::fs;
use std::process::Command;

use serde_json::Value;
use versweep::parse;
use versweep::platform::Platforms;
use versweep::sim::{Fleet, PASSWORD, SimConfig, SimPlatform, USERNAME};

use crate::sessions;

/// A profile that reads IOS in its shell, with the pager on.
fn shell_profile() -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_versweep")).args(["platforms", "cisco_ios"]).output().unwrap();
    let profile = String::from_utf8(output.stdout).unwrap();
    profile
        .replace("channel = \"auto\"", "channel = \"shell\"")
        .replace("setup = [\"terminal length 0\"]", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_is_explained_and_recorded_without_secrets() {
    let config = SimConfig {
        devices: 1,
        first_address: [127, 42, 1, 1].into(),
        platforms: vec![SimPlatform::CiscoIos],
        ..SimConfig::default()
    };
    let fleet = Fleet::start(config).await.unwrap();
    let device = &fleet.devices()[0];
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("profiles")).unwrap();
    fs::write(path("profiles/cisco_ios.toml"), shell_profile()).unwrap();
    let (address, port) = (device.address(), device.port());
    fs::write(path("password"), PASSWORD).unwrap();
    let text = format!(
        "[platforms]\npath = 'profiles'\n[credentials.lab]\nusername = '{USERNAME}'\npassword = {{ file = 'password' }}\n\
         [defaults]\ncredential = 'lab'\n[store]\npath = 'versweep.db'\n[[inventory]]\ntype = 'file'\npath = 'devices.toml'\n"
    );
    fs::write(path("versweep.toml"), text).unwrap();
    let devices =
        format!("[[device]]\nname = 'r1'\naddress = '{address}'\nport = {port}\nplatform = 'cisco_ios'\n");
    fs::write(path("devices.toml"), devices).unwrap();
    let probe = |more: &[&str]| {
        let mut probe = Command::new(env!("CARGO_BIN_EXE_versweep"));
        probe.arg("probe").arg("--config.file").arg(path("versweep.toml")).args(more).arg("r1");
        tokio::task::spawn_blocking(move || probe.output().unwrap())
    };
    let record = path("record.json");
    let output = probe(&["--record", record.to_str().unwrap()]).await.unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    for part in [
        &format!("  version  {}", device.version()),
        "  > show version",
        "  > exit",
        "pages turned",
        "  < ### Simulated",
        "login: offered ",
        "login: tried login without a secret: refused",
        "login: tried password: taken",
        "  connect ",
        "algorithms: curve25519-sha256, ",
        "read by profile cisco_ios revision ",
    ] {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    let record: Value = serde_json::from_str(&fs::read_to_string(path("record.json")).unwrap()).unwrap();
    assert_eq!((&record["id"], &record["has_shell"]), (&Value::from("r1"), &Value::from(true)));
    assert_eq!(record["version"], device.version().as_str());
    assert_eq!(record["exchanges"][0]["send"], "show version\n");
    assert!(record["init"].as_str().unwrap().ends_with('>'));

    // A record is what the tests of sessions replay.
    let session: sessions::Session = serde_json::from_value(record).unwrap();
    let commands = ["show version".to_owned()];
    let outputs = sessions::replay(&session, sessions::rules_of(&session), &commands, 7).unwrap();
    let profile = Platforms::builtin();
    let reading = parse::parse(profile.find(&session.platform).unwrap(), &outputs[0]).unwrap();
    assert_eq!(reading.facts.version.as_str(), device.version());

    let output = probe(&["--output", "json"]).await.unwrap();
    as_json(&String::from_utf8(output.stdout).unwrap(), &device.version());
    fleet.stop().await;
}

fn as_json(said: &str, version: &str) {
    assert!(!said.contains(PASSWORD) && said.lines().count() == 1, "{said}");
    let told: Value = serde_json::from_str(said).unwrap();
    for (key, value) in
        [("device", "r1"), ("outcome", "answered"), ("version", version), ("profile", "cisco_ios")]
    {
        assert_eq!(told[key], value, "{said}");
    }
    assert!(told["stages_ms"]["connect"].is_number() && told["took_ms"].is_number(), "{said}");
    assert_eq!(told["tried"], serde_json::json!(["login without a secret: refused", "password: taken"]));
    assert_eq!(told["exchanges"][1]["send"], "show version\n");
    assert!(told.get("failure").is_none(), "{said}");
}
