//! The simulated fleet: it answers like routers, its illnesses show, and nothing of it is left once it stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::client::{self, Config, Handle, Handler};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use versweep::platform::Platforms;
use versweep::sim::{Fault, Fleet, PASSWORD, SimConfig, SimDevice, SimError, SimPlatform, USERNAME};

/// Addresses that no other test of this binary uses, so that tests may run at once.
fn config(third: u8, devices: usize) -> SimConfig {
    SimConfig { devices, first_address: Ipv4Addr::new(127, 40, third, 1), ..SimConfig::default() }
}

fn only(platform: SimPlatform, config: SimConfig) -> SimConfig {
    SimConfig { platforms: vec![platform], ..config }
}

/// A client that takes any host key and remembers its fingerprint.
#[derive(Clone, Default)]
struct Client(Arc<Mutex<String>>);

impl Handler for Client {
    type Error = Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Error> {
        if let PublicKeyOrCertificate::PublicKey { key, .. } = key {
            *self.0.lock().unwrap() = key.fingerprint(HashAlg::Sha256).to_string();
        }
        Ok(true)
    }
}

fn at(device: &SimDevice) -> SocketAddr {
    (device.address(), device.port()).into()
}

async fn connect(device: &SimDevice, client: Client) -> Result<Handle<Client>, Error> {
    client::connect(Arc::new(Config::default()), at(device), client).await
}

async fn log_in(device: &SimDevice, password: &str) -> Result<Handle<Client>, Error> {
    let mut session = connect(device, Client::default()).await?;
    if session.authenticate_password(USERNAME, password).await?.success() {
        Ok(session)
    } else {
        Err(Error::NotAuthenticated)
    }
}

/// Logs in, runs one command; its output and exit status.
async fn run(device: &SimDevice, command: &str) -> Result<(String, Option<u32>), Error> {
    let session = log_in(device, PASSWORD).await?;
    let mut channel = session.channel_open_session().await?;
    channel.exec(true, command).await?;
    let (mut output, mut status) = (Vec::new(), None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => output.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    Ok((String::from_utf8_lossy(&output).into_owned(), status))
}

fn version_command(device: &SimDevice) -> &'static str {
    if device.platform() == SimPlatform::Linux { "cat /etc/os-release" } else { "show version" }
}

#[tokio::test]
async fn every_platform_logs_in_and_tells_its_version() {
    let fleet = Fleet::start(config(1, 8)).await.unwrap();
    for device in fleet.devices() {
        let (output, status) = run(device, version_command(device)).await.unwrap();
        assert!(output.contains(&device.version()), "{}: {output}", device.name());
        let unix =
            [SimPlatform::AristaEos, SimPlatform::Frr, SimPlatform::Linux].contains(&device.platform());
        assert_eq!(status, unix.then_some(0), "{}", device.name());
        assert_eq!((device.logins(), device.password_attempts(), device.peak_sessions()), (1, 1, 1));
    }
    assert_eq!(fleet.sessions().logins, 8);
    assert_eq!(fleet.sessions().peak_on_one_device, 1);
    fleet.stop().await;
}

#[tokio::test]
async fn the_built_in_profiles_read_every_platform() {
    let platforms = Platforms::builtin();
    // Three of each: models differ.
    let fleet = Fleet::start(config(21, 24)).await.unwrap();
    for device in fleet.devices() {
        let platform = device.platform();
        let profile = platforms.find(platform.key()).unwrap();
        let mut answers = Vec::new();
        for command in &profile.commands {
            answers.push(run(device, command).await.unwrap().0);
        }
        let text = answers.join("\n");
        let reading =
            versweep::parse::parse(profile, &text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        let facts = reading.facts;
        assert_eq!(facts.version.as_str(), device.version(), "{text}");
        assert!(facts.model.unwrap_or_default().ends_with(device.model()), "{text}");
        let tells_serial = ![SimPlatform::CiscoXr, SimPlatform::Frr, SimPlatform::Linux].contains(&platform);
        assert_eq!(facts.serial.as_deref(), tells_serial.then_some(device.serial()), "{text}");
        let tells_name = platform != SimPlatform::AristaEos;
        assert_eq!(facts.hostname.as_deref(), tells_name.then_some(device.hostname()), "{text}");
        assert_eq!(facts.uptime.is_some(), platform != SimPlatform::Frr, "{text}");
        let found = versweep::parse::detect(&platforms, &text).map(|found| found.key.as_str());
        assert_eq!(found, Some(platform.key()), "{text}");
    }
    fleet.stop().await;
}

#[tokio::test]
async fn an_unknown_command_gets_the_platforms_error() {
    let fleet = Fleet::start(config(2, 8)).await.unwrap();
    for device in fleet.devices() {
        let (output, status) = run(device, "show frobnication").await.unwrap();
        assert!(!output.contains(&device.version()));
        match device.platform() {
            SimPlatform::Linux => assert_eq!(status, Some(127)),
            SimPlatform::JuniperJunos => assert!(output.starts_with("error: "), "{output}"),
            _ => assert!(output.contains('%'), "{output}"),
        }
    }
    fleet.stop().await;
}

#[tokio::test]
async fn an_ios_closes_the_whole_connection_after_one_command() {
    let fleet = Fleet::start(only(SimPlatform::CiscoIos, config(3, 1))).await.unwrap();
    let session = log_in(&fleet.devices()[0], PASSWORD).await.unwrap();
    let mut channel = session.channel_open_session().await.unwrap();
    channel.exec(true, "show version").await.unwrap();
    while channel.wait().await.is_some() {}
    assert!(session.channel_open_session().await.is_err());
    fleet.stop().await;
}

#[tokio::test]
async fn junos_answers_command_after_command_on_one_connection() {
    let fleet = Fleet::start(only(SimPlatform::JuniperJunos, config(4, 1))).await.unwrap();
    let session = log_in(&fleet.devices()[0], PASSWORD).await.unwrap();
    for _ in 0..3 {
        let mut channel = session.channel_open_session().await.unwrap();
        channel.exec(true, "show version").await.unwrap();
        let mut answered = false;
        while let Some(message) = channel.wait().await {
            answered |= matches!(message, ChannelMsg::Data { .. });
        }
        assert!(answered);
    }
    fleet.stop().await;
}

#[tokio::test]
async fn the_wrong_password_is_refused_and_counted() {
    let fleet = Fleet::start(config(5, 1)).await.unwrap();
    let device = &fleet.devices()[0];
    assert!(matches!(log_in(device, "wrong").await, Err(Error::NotAuthenticated)));
    assert_eq!((device.logins(), device.password_attempts()), (0, 1));
    fleet.stop().await;
}

#[tokio::test]
async fn an_upgrade_shows_in_the_answer_and_in_the_fleets_own_log() {
    let fleet = Fleet::start(only(SimPlatform::CiscoIos, config(6, 1))).await.unwrap();
    let device = &fleet.devices()[0];
    let before = device.version();
    fleet.upgrade(device.name(), "15.9(3)M99").unwrap();
    fleet.upgrade(device.name(), "15.9(3)M99").unwrap();
    let (output, _) = run(device, "show version").await.unwrap();
    assert!(output.contains("Version 15.9(3)M99,") && output.contains("uptime is 0 minutes"), "{output}");
    let log = fleet.upgrades();
    assert_eq!(log.len(), 1, "the second one was a mere reboot");
    assert_eq!((log[0].device.as_str(), log[0].old.as_str()), (device.name(), before.as_str()));
    assert!(matches!(fleet.upgrade("nobody", "1"), Err(SimError::UnknownDevice { .. })));
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn devices_upgrade_on_their_own_along_the_platforms_way() {
    let every = Duration::from_secs(10);
    let config = SimConfig { upgrade_every: Some(every), ..config(7, 3) };
    let fleet = Fleet::start(config).await.unwrap();
    assert_eq!(fleet.upgrades(), []);
    tokio::time::sleep(every * 5 + every / 2).await;
    let log = fleet.upgrades();
    assert_eq!(log.len(), 5);
    for upgrade in &log {
        let way = fleet.device(&upgrade.device).unwrap().platform().versions();
        let place = |version: &str| way.iter().position(|one| *one == version).unwrap();
        assert_eq!((place(&upgrade.old) + 1) % way.len(), place(&upgrade.new));
    }
    fleet.stop().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_fleet() {
    let portrait = async |third, seed| {
        let fleet = Fleet::start(SimConfig { seed, ..config(third, 8) }).await.unwrap();
        let client = Client::default();
        drop(connect(&fleet.devices()[0], client.clone()).await.unwrap());
        let described: Vec<_> = fleet
            .devices()
            .iter()
            .map(|one| format!("{} {} {}", one.name(), one.serial(), one.version()))
            .collect();
        fleet.stop().await;
        let key = client.0.lock().unwrap().clone();
        (described, key)
    };
    let first = portrait(8, 42).await;
    assert_eq!(first, portrait(9, 42).await);
    assert_ne!(first, portrait(10, 43).await);
}

#[tokio::test]
async fn refusing_closes_the_port_and_getting_well_opens_it() {
    let fleet = Fleet::start(config(11, 1)).await.unwrap();
    let device = &fleet.devices()[0];
    fleet.set_fault(device.name(), Some(Fault::Refuse)).await.unwrap();
    let refused = TcpStream::connect(at(device)).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    fleet.set_fault(device.name(), None).await.unwrap();
    assert!(run(device, version_command(device)).await.is_ok());
    fleet.stop().await;
}

#[tokio::test]
async fn faults_on_the_wire_show() {
    let fleet = Fleet::start(config(12, 3)).await.unwrap();
    let faults = [Fault::Silent, Fault::NotSsh, Fault::Reset];
    for (device, fault) in fleet.devices().iter().zip(faults) {
        fleet.set_fault(device.name(), Some(fault)).await.unwrap();
    }
    let [silent, not_ssh, reset] = fleet.devices() else { panic!("three devices") };

    let mut stream = TcpStream::connect(at(not_ssh)).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");

    let mut stream = TcpStream::connect(at(reset)).await.unwrap();
    stream.write_all(&[b'x'; 300]).await.unwrap();
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(connect(reset, Client::default()).await.is_err());

    // The silent one says nothing until the fleet stops; then the connection ends.
    let mut stream = TcpStream::connect(at(silent)).await.unwrap();
    stream.write_all(b"SSH-2.0-test\r\n").await.unwrap();
    let mut said = [0; 1];
    assert!(stream.try_read(&mut said).is_err());
    fleet.stop().await;
    assert!(matches!(stream.read(&mut said).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_device_that_drops_requests_answers_none_until_it_is_well() {
    let ill = SimConfig { faults: "drop=100%".parse().unwrap(), ..config(16, 1) };
    let fleet = Fleet::start(ill).await.unwrap();
    let device = &fleet.devices()[0];
    let no_answer = || tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(at(device)));
    assert!(no_answer().await.is_err());
    fleet.set_fault(device.name(), None).await.unwrap();
    assert!(run(device, version_command(device)).await.is_ok());
    fleet.set_fault(device.name(), Some(Fault::Drop)).await.unwrap();
    assert!(no_answer().await.is_err());
    fleet.stop().await;
}

#[tokio::test]
async fn stalling_and_mute_devices_go_silent_each_at_its_stage() {
    let fleet = Fleet::start(config(17, 2)).await.unwrap();
    let [stall, mute] = fleet.devices() else { panic!("two devices") };
    fleet.set_fault(stall.name(), Some(Fault::Stall)).await.unwrap();
    fleet.set_fault(mute.name(), Some(Fault::Mute)).await.unwrap();

    let mut stream = TcpStream::connect(at(stall)).await.unwrap();
    let mut said = String::new();
    let session = log_in(mute, PASSWORD).await.unwrap();
    let mut channel = session.channel_open_session().await.unwrap();
    channel.exec(true, "show version").await.unwrap();
    assert!(matches!(
        channel.wait().await,
        Some(russh::ChannelMsg::WindowAdjusted { .. } | russh::ChannelMsg::Success)
    ));
    // The end of the fleet is the next that either says.
    fleet.stop().await;
    let _ = stream.read_to_string(&mut said).await;
    assert!(said.starts_with("SSH-2.0-") && said.lines().count() == 1, "{said}");
    while let Some(message) = channel.wait().await {
        assert!(!matches!(message, russh::ChannelMsg::Data { .. }), "{message:?}");
    }
}

#[tokio::test]
async fn a_device_with_the_password_fault_rejects_the_right_one() {
    let fleet = Fleet::start(config(13, 1)).await.unwrap();
    let device = &fleet.devices()[0];
    fleet.set_fault(device.name(), Some(Fault::Password)).await.unwrap();
    assert!(matches!(log_in(device, PASSWORD).await, Err(Error::NotAuthenticated)));
    fleet.stop().await;
}

#[tokio::test]
async fn a_hanging_device_takes_the_login_and_answers_nothing_more() {
    let fleet = Fleet::start(config(14, 1)).await.unwrap();
    let device = &fleet.devices()[0];
    fleet.set_fault(device.name(), Some(Fault::Hang)).await.unwrap();
    let session = log_in(device, PASSWORD).await.unwrap();
    let opening = tokio::spawn(async move { session.channel_open_session().await.is_ok() });
    // Only the end of the fleet ends the wait, and not with a channel.
    fleet.stop().await;
    assert!(!opening.await.unwrap());
}

#[tokio::test]
async fn drip_flood_and_garbage_show_in_the_answer() {
    let fleet = Fleet::start(only(SimPlatform::Frr, config(15, 3))).await.unwrap();
    let [drip, flood, garbage] = fleet.devices() else { panic!("three devices") };
    for (device, fault) in [(drip, Fault::Drip), (flood, Fault::Flood), (garbage, Fault::Garbage)] {
        fleet.set_fault(device.name(), Some(fault)).await.unwrap();
    }
    let (output, _) = run(garbage, "show version").await.unwrap();
    assert!(output.contains('\u{fffd}') && !output.contains("FRRouting"));

    for (device, at_least) in [(drip, 1), (flood, 3 * 1024 * 1024)] {
        let session = log_in(device, PASSWORD).await.unwrap();
        let mut channel = session.channel_open_session().await.unwrap();
        channel.exec(true, "show version").await.unwrap();
        let (mut seen, mut first) = (0, None);
        while seen < at_least {
            if let ChannelMsg::Data { data } = channel.wait().await.expect("it goes on") {
                seen += data.len();
                first.get_or_insert(data.len());
            }
        }
        if at_least == 1 {
            assert_eq!(first, Some(1), "one byte at a time");
        }
    }
    fleet.stop().await;
}

#[tokio::test]
async fn a_host_key_changes_after_the_first_login_or_on_command() {
    let key = async |device: &SimDevice| {
        let client = Client::default();
        let mut session = connect(device, client.clone()).await.unwrap();
        assert!(session.authenticate_password(USERNAME, PASSWORD).await.unwrap().success());
        client.0.lock().unwrap().clone()
    };
    let config = SimConfig { faults: "host_key=100%".parse().unwrap(), ..config(16, 1) };
    let fleet = Fleet::start(config).await.unwrap();
    let device = &fleet.devices()[0];
    let first = key(device).await;
    let second = key(device).await;
    assert_ne!(first, second);
    assert_eq!(key(device).await, second, "it changes once");
    fleet.set_fault(device.name(), None).await.unwrap();
    assert_eq!(key(device).await, first);
    fleet.set_fault(device.name(), Some(Fault::HostKey)).await.unwrap();
    assert_eq!(key(device).await, second, "on command it changes at once");
    fleet.stop().await;
}

#[tokio::test]
async fn nothing_is_left_once_the_fleet_stopped() {
    let config = SimConfig { command_delay: Duration::from_secs(3600), ..config(17, 6) };
    let fleet = Fleet::start(config).await.unwrap();
    let devices = fleet.devices().to_vec();
    let mut channels = Vec::new();
    for device in &devices {
        let session = log_in(device, PASSWORD).await.unwrap();
        let channel = session.channel_open_session().await.unwrap();
        channel.exec(true, version_command(device)).await.unwrap();
        channels.push((session, channel));
    }
    // One that has not even said what it is, and one in the middle of a login.
    let _mute = TcpStream::connect(at(&devices[0])).await.unwrap();
    let _half = connect(&devices[1], Client::default()).await.unwrap();
    fleet.stop().await;
    for device in &devices {
        assert_eq!(device.open_sessions(), 0);
        assert!(TcpStream::connect(at(device)).await.is_err());
    }
    for (_session, mut channel) in channels {
        while channel.wait().await.is_some() {}
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_session() {
    let config = SimConfig { command_delay: Duration::from_secs(3600), ..config(18, 1) };
    let fleet = Fleet::start(config).await.unwrap();
    let device = Arc::clone(&fleet.devices()[0]);
    let session = log_in(&device, PASSWORD).await.unwrap();
    let channel = session.channel_open_session().await.unwrap();
    channel.exec(true, version_command(&device)).await.unwrap();
    assert_eq!(device.open_sessions(), 1);
    drop((channel, session));
    tokio::time::timeout(Duration::from_secs(20), async {
        while device.open_sessions() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the session ends with its client, not with its command");
    fleet.stop().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_way_out() {
    let outside = SimConfig { first_address: Ipv4Addr::new(10, 0, 0, 1), ..config(19, 1) };
    let told = Fleet::start(outside).await.unwrap_err().to_string();
    assert!(told.contains("loopback only"), "{told}");

    let huge = SimConfig { sessions: 1 << 40, ..config(19, 1) };
    let told = Fleet::start(huge).await.unwrap_err().to_string();
    assert!(told.contains("hard limit"), "{told}");

    let fleet = Fleet::start(config(19, 2)).await.unwrap();
    let taken = SimConfig { port: fleet.devices()[0].port(), ..config(19, 2) };
    let told = Fleet::start(taken).await.unwrap_err().to_string();
    assert!(told.contains("127.40.19.1"), "{told}");
    fleet.stop().await;
}

#[tokio::test]
async fn the_inventory_lists_every_device() {
    let fleet = Fleet::start(config(20, 9)).await.unwrap();
    let parsed: toml::Table = fleet.inventory_toml().parse().unwrap();
    let devices = parsed["device"].as_array().unwrap();
    assert_eq!(devices.len(), 9);
    for (written, device) in devices.iter().zip(fleet.devices()) {
        assert_eq!(written["name"].as_str(), Some(device.name()));
        assert_eq!(written["address"].as_str(), Some(device.address().to_string().as_str()));
        assert_eq!(written["platform"].as_str(), Some(device.platform().key()));
        assert_eq!(written["labels"]["site"].as_str(), Some(device.site()));
    }
    fleet.stop().await;
}
