//! OpenSSH's sshd for tests: own port on loopback, own host keys, own log; ended by its process id when dropped.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(crate) use crate::daemon::free_address;

/// A running sshd.
pub(crate) struct Sshd {
    pub(crate) address: SocketAddr,
    child: Child,
    folder: tempfile::TempDir,
}

impl Sshd {
    /// Starts sshd with a fresh ed25519 host key and `options` (whole lines of sshd_config; for most options the first
    /// line wins, and these stand before the defaults below).
    pub(crate) fn start(options: &[String]) -> Self {
        Self::start_at(free_address(), options)
    }

    /// The same at an address that another server has left.
    pub(crate) fn start_at(address: SocketAddr, options: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Where sshd separates its privileges; Debian's service makes it otherwise.
        let _ = fs::create_dir_all("/run/sshd");
        let host_key = folder.path().join("host_key");
        keygen(&host_key, "ed25519", "");
        // Of this one the last line wins.
        let own_room = options.iter().any(|option| option.contains("MaxStartups"));
        let config = [
            if own_room { "" } else { "MaxStartups 500" }.to_owned(),
            options.join("\n"),
            format!("ListenAddress {address}\nHostKey {}\nPidFile none", host_key.display()),
            "UsePAM no\nStrictModes no\nLogLevel VERBOSE\nPrintMotd no\nPrintLastLog no\n".to_owned(),
        ]
        .join("\n");
        let config_file = folder.path().join("sshd_config");
        fs::write(&config_file, config).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-f"])
            .arg(&config_file)
            .arg("-E")
            .arg(folder.path().join("log"))
            .stdin(Stdio::null())
            .spawn()
            .expect("sshd should be installed: apt-get install openssh-server");
        let mut sshd = Self { address, child, folder };
        sshd.wait_until_it_listens();
        sshd
    }

    fn wait_until_it_listens(&mut self) {
        for _ in 0..1000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("sshd ended with {status}: {}", self.log());
            }
            if self.log().contains("Server listening on") {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("sshd doesn't listen: {}", self.log());
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until the log says `text`; the log.
    pub(crate) fn log_with(&self, text: &str) -> String {
        for _ in 0..1000 {
            let log = self.log();
            if log.contains(text) {
                return log;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("sshd's log doesn't say {text:?}: {}", self.log());
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether somebody listens there.
pub(crate) fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// Makes a key pair of that type: `path` and `path.pub`.
pub(crate) fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

/// Whether the tests may make users.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A user with a random password, for the length of a test. Only root can make one.
pub(crate) struct TempUser {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl TempUser {
    /// Makes the user; `groups` are supplementary ones.
    pub(crate) fn create(name: &str, shell: &str, groups: &[&str]) -> Self {
        // Tests run at once, and so may several test programs.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}{}x{number}", std::process::id());
        let password: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
        let mut useradd = Command::new("useradd");
        useradd.args(["--no-create-home", "--home-dir", "/", "--shell", shell]);
        if !groups.is_empty() {
            useradd.arg("--groups").arg(groups.join(","));
        }
        assert!(useradd.arg(&name).status().unwrap().success(), "useradd {name} failed");
        let user = Self { name, password };
        user.set_password();
        user
    }

    fn set_password(&self) {
        use std::io::Write;
        let mut chpasswd = Command::new("chpasswd").stdin(Stdio::piped()).spawn().unwrap();
        writeln!(chpasswd.stdin.take().unwrap(), "{}:{}", self.name, self.password).unwrap();
        assert!(chpasswd.wait().unwrap().success(), "chpasswd failed");
    }
}

impl Drop for TempUser {
    fn drop(&mut self) {
        let _ = Command::new("userdel").arg(&self.name).stderr(Stdio::null()).status();
    }
}

/// Who runs the tests.
pub(crate) fn current_user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Writes an authorized_keys file that sshd lets every user read; its path.
pub(crate) fn authorize(public_key: &Path, folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("authorized_keys");
    fs::copy(public_key, &path).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}
