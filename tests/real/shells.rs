//! Shells of real software behind OpenSSH: FRR's vtysh with and without a pager, bash, dash.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use versweep::dialogue::{Channel, Errand, Rules};
use versweep::parse;
use versweep::platform::{Platforms, Profile};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport};

use crate::devices::{credential, device_at, settings};
use crate::routers::{Frr, packaged_frr};
use crate::sshd_server::{Sshd, authorize, current_user, keygen};

/// A server with one user's key, and the way to it.
struct Host {
    sshd: Sshd,
    transport: SshTransport,
    folder: tempfile::TempDir,
}

impl Host {
    /// `options` are further lines of sshd_config.
    fn start(options: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("id");
        keygen(&key, "ed25519", "");
        let keys = authorize(&key.with_extension("pub"), folder.path());
        let usual = [format!("AuthorizedKeysFile {}", keys.display()), "PermitRootLogin yes".to_owned()];
        let sshd = Sshd::start(&[&usual[..], options].concat());
        let text = fs::read_to_string(&key).unwrap();
        let credential = versweep::credential::Credential {
            username: current_user(),
            ..credential(None, Some((&text, None)))
        };
        let transport = SshTransport::new(settings(credential, folder.path())).unwrap();
        Self { sshd, transport, folder }
    }

    async fn ask(&self, errand: &Errand) -> (Vec<String>, Trace) {
        let mut trace = Trace::recording();
        let result = self.transport.visit(&device_at(self.sshd.address), errand, &mut trace).await;
        let said = trace.session.as_ref().map(versweep::transport::Session::exchanges);
        (result.unwrap_or_else(|error| panic!("{error}\n{said:?}")), trace)
    }
}

fn profile(name: &str) -> Arc<Profile> {
    Arc::clone(Platforms::builtin().find(name).unwrap())
}

/// vtysh as a login shell, which hands an exec's command on as Debian's users do.
fn vtysh(frr: &Frr) -> String {
    let script: PathBuf = frr.folder.path().join("shell");
    let sockets = frr.folder.path().display();
    let text = format!(
        "#!/bin/sh\nexport VTYSH_PAGER=more\n\
         [ -z \"$SSH_ORIGINAL_COMMAND\" ] && exec vtysh --vty_socket {sockets}\n\
         exec vtysh --vty_socket {sockets} -c \"$SSH_ORIGINAL_COMMAND\"\n"
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    format!("ForceCommand {}", script.display())
}

async fn vtysh_by(channel: Channel) {
    let frr = Frr::start();
    let host = Host::start(&[vtysh(&frr)]);
    let profile = profile("frr");
    let (outputs, trace) = host.ask(&Errand { channel, ..(*profile.errand).clone() }).await;
    let reading = parse::parse(&profile, &outputs.join("\n")).unwrap();
    assert_eq!(reading.facts.version.as_str(), packaged_frr());
    assert_eq!(trace.session.unwrap().has_shell, channel == Channel::Shell);
}

#[tokio::test]
#[ignore = "needs sshd and frr: run by make test"]
async fn vtysh_by_exec() {
    vtysh_by(Channel::Exec).await;
}

#[tokio::test]
#[ignore = "needs sshd and frr: run by make test"]
async fn vtysh_by_exec_where_its_answer_is_sound() {
    vtysh_by(Channel::Auto).await;
}

#[tokio::test]
#[ignore = "needs sshd and frr: run by make test"]
async fn vtysh_by_shell() {
    vtysh_by(Channel::Shell).await;
}

#[tokio::test]
#[ignore = "needs sshd and frr: run by make test"]
async fn vtysh_with_vtysh_pager_more() {
    let frr = Frr::start();
    let host = Host::start(&[vtysh(&frr)]);
    // A terminal of ten lines, and vtysh told to use the pager of its environment.
    let rules = Rules { rows: 10, setup: vec!["terminal paginate".to_owned()], ..Rules::default() };
    let (outputs, trace) =
        host.ask(&Errand::by_shell(["show version".to_owned(), "list".to_owned()], rules)).await;
    let reading = parse::parse(&profile("frr"), &outputs[0]).unwrap();
    assert_eq!(reading.facts.version.as_str(), packaged_frr());
    let session = trace.session.unwrap();
    assert!(session.pager_turns > 0, "{} pages", session.pager_turns);
    assert!(outputs[1].contains("show version"), "{}", outputs[1]);
    assert!(!outputs.concat().contains("--More--"), "{outputs:?}");
    assert!(session.prompt.unwrap().ends_with('#'));
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn unix_shells_are_read() {
    let profile = profile("linux");
    let release = fs::read_to_string("/etc/os-release").unwrap();
    for shell in ["bash --login", "bash --norc", "dash"] {
        let host = Host::start(&[format!("ForceCommand {shell}")]);
        let (outputs, trace) =
            host.ask(&Errand { channel: Channel::Shell, ..(*profile.errand).clone() }).await;
        let reading = parse::parse(&profile, &outputs.join("\n"));
        let session = trace.session.unwrap();
        let reading = reading.unwrap_or_else(|error| panic!("{shell}: {error}: {:?}", session.exchanges()));
        assert!(release.contains(reading.facts.version.as_str()), "{shell}: {}", reading.facts.version);
        assert!(host.folder.path().exists());
        let ends = ["#", "$"];
        assert!(ends.iter().any(|end| session.prompt.as_ref().unwrap().ends_with(end)), "{session:?}");
    }
}
