//! The real transport: SSH by `russh`. This file and its children are the only ones that name that crate, beside the
//! simulator.
//!
//! A visit is one TCP connection. However it ends, also by being dropped in the middle of a key exchange with a silent
//! peer, the socket is shut down at once and russh's task ends (see `wire`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::client::Handle;
use tokio::io::BufReader;
use tokio::time::{Instant, timeout, timeout_at};

use crate::credential::Credential;
use crate::device::{CredentialId, Device, Route};
use crate::dialogue::{Channel, Errand};
use crate::failure::{FailureKind, Stage};

use super::{OUTPUT_LIMIT, Trace, Transport, TransportError};
use client::Client;
use facts::{Record, SharedFacts};
use host_key::HostKeyCheck;
use jumps::Jumps;
use keys::Login;
use known_hosts::{Known, KnownHosts};
use login::Attempt;
use offers::Offers;
use peer::Peer;
use wire::{Line, Wire};

mod agent;
mod algorithms;
mod certified;
mod client;
mod connect;
mod errors;
mod exec;
mod facts;
mod host_key;
mod jumps;
mod keys;
mod known_hosts;
mod login;
mod offers;
mod peer;
mod search;
mod shell;
mod text;
mod wire;

pub use keys::{SetupProblem, SshSetupError};
#[cfg(any(test, fuzzing))]
pub use known_hosts::fuzz as fuzz_known_hosts;

/// How long the orderly end of a visit may take. The answer is safe by then; the wait only spares the device a reset
/// connection and a VTY line that hangs until its timeout.
const GOODBYE: Duration = Duration::from_millis(500);

/// One session's packets are small; larger reads go past this buffer. It halves the system calls of a login.
const READ_BUFFER: usize = 4096;

/// What an [`SshTransport`] is made from.
#[derive(Debug, Clone)]
pub struct SshSettings {
    /// All credentials; their private keys are decoded when the transport is made.
    pub credentials: BTreeMap<CredentialId, Arc<Credential>>,
    /// versweep's own known_hosts file: read once, learned keys are appended (mode 0600).
    pub known_hosts: PathBuf,
    /// Further known_hosts files, only read, once.
    pub extra_known_hosts: Vec<PathBuf>,
    /// The most bytes that one command may print.
    pub output_limit: usize,
}

impl SshSettings {
    /// Settings with the usual output limit and no further known_hosts files.
    #[must_use]
    pub fn new(credentials: BTreeMap<CredentialId, Arc<Credential>>, known_hosts: PathBuf) -> Self {
        Self { credentials, known_hosts, extra_known_hosts: Vec::new(), output_limit: OUTPUT_LIMIT }
    }
}

/// Visits devices over SSH.
#[derive(Debug)]
pub struct SshTransport {
    logins: BTreeMap<CredentialId, Login>,
    hosts: Arc<KnownHosts>,
    offers: Offers,
    jumps: Jumps,
    output_limit: usize,
}

impl SshTransport {
    /// Decodes the private keys and reads the known_hosts files. Blocks: a passphrase costs a tenth of a second.
    ///
    /// # Errors
    /// One for each credential that can't be used, and for each known_hosts file that is there and can't be read. Lines
    /// of it that can't be understood are warned about with file and line; they are no error.
    pub fn new(settings: SshSettings) -> Result<Self, Vec<SshSetupError>> {
        let logins = prepare_logins(settings.credentials)?;
        let hosts = Arc::new(KnownHosts::load(settings.known_hosts, &settings.extra_known_hosts)?);
        Ok(Self::with(logins, hosts, settings.output_limit))
    }

    /// A transport with other settings that takes this one's place at a reload. While both are in use they share what
    /// they learn of host keys. Blocks like [`SshTransport::new`].
    ///
    /// # Errors
    /// As [`SshTransport::new`]; this transport is left as it was.
    pub fn renew(&self, settings: SshSettings) -> Result<Self, Vec<SshSetupError>> {
        if !self.hosts.writes_to(&settings.known_hosts) {
            return Self::new(settings);
        }
        let logins = prepare_logins(settings.credentials)?;
        self.hosts.read_again(&settings.extra_known_hosts)?;
        Ok(Self::with(logins, Arc::clone(&self.hosts), settings.output_limit))
    }

    fn with(logins: BTreeMap<CredentialId, Login>, hosts: Arc<KnownHosts>, output_limit: usize) -> Self {
        Self { logins, hosts, offers: Offers::default(), jumps: Jumps::default(), output_limit }
    }
}

fn prepare_logins(
    credentials: BTreeMap<CredentialId, Arc<Credential>>,
) -> Result<BTreeMap<CredentialId, Login>, Vec<SshSetupError>> {
    let mut logins = BTreeMap::new();
    let mut errors = Vec::new();
    for (id, credential) in credentials {
        match Login::prepare(&credential) {
            Ok(login) => drop(logins.insert(id, login)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(logins) } else { Err(errors) }
}

/// Sets this process's limit on locked memory to zero. russh locks the pages of its short-lived session keys at each
/// step of a login, which costs a tenth of the CPU and two memory mappings a session (the kernel allows 65,530), and goes
/// on without when it isn't allowed to. versweep keeps such keys out of swap and core dumps by its unit file instead.
///
/// root is bound by the limit only without CAP_IPC_LOCK, so that goes as well. A capability belongs to a thread, and new
/// threads inherit it: call this before the runtime is made, where that can be; the limit holds wherever it is called.
///
/// # Errors
/// When the kernel refuses to lower either.
pub fn tune_process() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    setrlimit(Resource::Memlock, Rlimit { current: Some(0), maximum: Some(0) })?;
    let mut sets = capabilities(None)?;
    if sets.effective.contains(CapabilitySet::IPC_LOCK) {
        sets.effective.remove(CapabilitySet::IPC_LOCK);
        set_capabilities(None, sets)?;
    }
    Ok(())
}

impl Transport for SshTransport {
    async fn visit(
        &self,
        device: &Device,
        errand: &Errand,
        trace: &mut Trace,
    ) -> Result<Vec<String>, TransportError> {
        let login = self.login(&device.credential)?;
        let facts = SharedFacts::hiding(login.secrets());
        trace.hide(&login.secrets());
        facts.with(|facts| facts.session = trace.session.take());
        let record = Record { trace, facts: facts.clone() };

        let peer = Peer::from(device);
        let (mut line, wire) = self.reach(&device.route, &peer, &facts).await?;
        record.trace.enter(Stage::Kex);
        let login_by = Instant::now() + device.timeouts.login;
        let mut session = self.exchange_keys(&peer, wire, &facts, login_by).await?;
        record.trace.enter(Stage::Auth);
        let outcome = async {
            let attempt = Attempt { login, peer, facts: &facts, offers: &self.offers };
            login::log_in(&mut session, attempt, login_by).await?;
            record.trace.enter(Stage::Command);
            let outputs = self.run(&session, errand, login, device, &facts).await?;
            record.trace.finish();
            Ok(outputs)
        };
        let outcome = outcome.await;
        let patience = if outcome.is_ok() { Patience::UntilClosed } else { Patience::None };
        if !facts.with(|facts| facts.waits_for_answer) {
            let _ = timeout(GOODBYE, say_goodbye(session, &mut line, patience)).await;
        }
        outcome
    }
}

impl SshTransport {
    fn login(&self, credential: &CredentialId) -> Result<&Login, TransportError> {
        self.logins.get(credential).ok_or_else(|| {
            let detail = format!("credential {credential} is not loaded: a reload reads it");
            TransportError::new(FailureKind::Internal, Stage::Connect, detail)
        })
    }

    /// A connection to the peer, by its route.
    async fn reach(
        &self,
        route: &Route,
        peer: &Peer<'_>,
        facts: &SharedFacts,
    ) -> Result<(Line, Wire), TransportError> {
        match route {
            Route::Direct => Ok(Line::over(connect::connect(peer).await?, peer.role, facts.clone())),
            Route::Via(hosts) => self.reach_through(hosts, peer, facts).await,
        }
    }

    /// Gives the commands on the errand's channel.
    async fn run(
        &self,
        session: &Handle<Client>,
        errand: &Errand,
        login: &Login,
        device: &Device,
        facts: &SharedFacts,
    ) -> Result<Vec<String>, TransportError> {
        let limit = self.output_limit;
        if let Some(search) = &errand.search {
            return search::Searching { session, search, login, device, limit, facts }.run().await;
        }
        let by_shell = || shell::run_all(session, errand, login, device, limit, facts);
        if errand.channel == Channel::Shell {
            return by_shell().await;
        }
        let by_exec = exec::run_all(session, &errand.commands, device, limit, facts).await;
        if errand.channel == Channel::Exec {
            return by_exec;
        }
        let why = match &by_exec {
            Ok(outputs) if !errand.is_sound(&outputs.join("\n")) => {
                "exec gave another answer than the profile knows"
            }
            Err(error) if error.kind == FailureKind::Denied => "the device refused exec",
            _ => return by_exec,
        };
        if session.is_closed() {
            facts.with(|facts| {
                facts.notes.push(format!("{why} and the connection ended: no shell was tried"))
            });
            return by_exec;
        }
        facts.with(|facts| facts.notes.push(format!("{why}: a shell was tried")));
        match by_shell().await {
            // What exec gave is at least an answer: what is wrong with it will be told.
            Err(error) if by_exec.is_ok() => {
                facts.with(|facts| facts.notes.push(format!("the shell came to nothing: {}", error.detail)));
                by_exec
            }
            result => result,
        }
    }

    /// Identification, key exchange and host key check.
    async fn exchange_keys(
        &self,
        peer: &Peer<'_>,
        wire: Wire,
        facts: &SharedFacts,
        deadline: Instant,
    ) -> Result<Handle<Client>, TransportError> {
        let name = known_hosts::name_of(peer.endpoint);
        let host = peer.endpoint.host.to_lowercase();
        let mut known = self.hosts.lookup(&name);
        if host != name {
            // As OpenSSH does: an authority for the name counts on every port.
            known.extend(self.hosts.lookup(&host).into_iter().filter(Known::is_authority));
        }
        let authority = known.iter().any(Known::is_authority);
        let types: Vec<_> = known.iter().filter(|k| !k.is_authority()).map(Known::algorithm).collect();
        let config = algorithms::config(peer, &types, authority);
        let check =
            HostKeyCheck { policy: peer.host_keys, name, host, known, hosts: Arc::clone(&self.hosts) };
        let client = Client { facts: facts.clone(), check };
        let wire = BufReader::with_capacity(READ_BUFFER, wire);
        match timeout_at(deadline, russh::client::connect_stream(config, wire, client)).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(errors::kex_failure(&error, facts, peer)),
            Err(_) => Err(errors::kex_timeout(facts, peer)),
        }
    }
}

/// How long the device's own good-bye is waited for.
enum Patience {
    /// Until it has closed its side.
    UntilClosed,
    /// Not at all: it may have hung, and has cost enough time.
    None,
}

/// Tells the device that the visit is over, so that it frees its line at once.
async fn say_goodbye(session: Handle<Client>, line: &mut Line, patience: Patience) {
    if session.disconnect(russh::Disconnect::ByApplication, "", "").await.is_ok() {
        let _ = session.await;
        if matches!(patience, Patience::UntilClosed) {
            line.closed_by_peer().await;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn tuning_takes_the_right_to_lock_memory() {
        use rustix::process::{Resource, getrlimit};
        use rustix::thread::{CapabilitySet, capabilities};
        super::tune_process().unwrap();
        assert_eq!(getrlimit(Resource::Memlock).current, Some(0));
        // root kept locking: its capability goes over the limit.
        let inherited = std::thread::spawn(|| capabilities(None).unwrap().effective).join().unwrap();
        assert!(!inherited.contains(CapabilitySet::IPC_LOCK));
    }
}
