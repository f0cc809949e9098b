//! Who may vouch for a server: the certificates of the system, or those of a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// A bundle of all the world's authorities has some 250 KB; a file far larger is the wrong one.
const FILE_MAX: u64 = 4 << 20;

/// The certificates that vouch for servers.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Roots {
    /// Those of the system, by the places that OpenSSL looks at, or `SSL_CERT_FILE`.
    #[default]
    System,
    /// Those of a file and no others.
    File {
        /// The file.
        path: PathBuf,
        /// What it holds.
        certificates: Vec<CertificateDer<'static>>,
    },
}

impl Roots {
    /// A client's TLS 1.2 and 1.3 by ring, without a provider for the whole process; with what it shows of itself.
    ///
    /// # Errors
    /// When ring has none of the two, or the key doesn't go with the certificate.
    pub fn client_config(&self, identity: Option<&Identity>) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.with_root_certificates(self.store());
        match identity {
            None => Ok(builder.with_no_client_auth()),
            Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key()),
        }
    }

    /// Reads the certificates of a PEM file.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment.
    pub fn read(path: &Path) -> Result<Self, String> {
        let size = std::fs::metadata(path).map_err(|error| error.to_string())?;
        if !size.is_file() || size.len() > FILE_MAX {
            return Err("not a plain file of at most 4 MiB".to_owned());
        }
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        let mut store = RootCertStore::empty();
        if certificates.is_empty() {
            return Err("no certificate in it, PEM is wanted".to_owned());
        }
        for certificate in &certificates {
            store.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        Ok(Self::File { path: path.to_owned(), certificates })
    }

    fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        match self {
            // One that can't be read vouches for nobody; the servers it would have vouched for are told when asked.
            Self::System => store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
            Self::File { certificates, .. } => store.add_parsable_certificates(certificates.iter().cloned()),
        };
        store
    }
}

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => f.write_str("System"),
            Self::File { path, .. } => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What a client shows to a server that asks who it is: its certificate, and the key to it.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads them from two PEM files.
    ///
    /// # Errors
    /// What is wrong with one of them, as a fragment that begins with the file.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, String> {
        let Roots::File { certificates, .. } =
            Roots::read(chain).map_err(|problem| format!("{}: {problem}", chain.display()))?
        else {
            return Err(format!("{}: no certificate in it", chain.display()));
        };
        // An error of the parser's could repeat the file, and the key with it.
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|_| format!("{}: can't be read as an unencrypted private key in PEM", key.display()))?;
        Ok(Self { chain: certificates, key })
    }
}
