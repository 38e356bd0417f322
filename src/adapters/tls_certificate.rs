//! The certificate of our listener, read anew when its files change.

mod validity;

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use rustls::{
    ServerConfig,
    client::verify_server_name,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The files cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no certificate in there.
    #[error("`{}` holds no certificate; it is to be PEM, with `BEGIN CERTIFICATE`", .0.display())]
    NoCertificate(PathBuf),
    /// There is no key in there.
    #[error("`{}` holds no private key without a password; it is to be PEM, with `BEGIN PRIVATE KEY`", .0.display())]
    NoKey(PathBuf),
    /// They are not made for each other, or of a kind that is not spoken.
    #[error("`{}` and `{}` cannot be used together: {problem}", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// What became of a look at the files.
#[derive(Debug)]
pub enum Reloaded {
    /// They are as they were.
    Same,
    /// They are new, and hold for new connections.
    New,
    /// They are new and cannot be used; the ones before still hold.
    Refused(CertificateError),
}

/// A certificate and its key, and where they came from.
pub struct TlsCertificate {
    cert: PathBuf,
    key: PathBuf,
    pair: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<[Option<Stamp>; 2]>,
}

/// What tells one content of a file from the next: device, inode, size, and seconds and
/// nanoseconds of its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64, u64, u64, i64, i64);

impl fmt::Debug for TlsCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsCertificate")
            .field("cert", &self.cert)
            .finish_non_exhaustive()
    }
}

impl TlsCertificate {
    /// Reads both files.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn load(cert: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        let seen = stamps(cert, key);
        let pair = read_pair(cert, key)?;
        Ok(Arc::new(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            pair: RwLock::new(Arc::new(pair)),
            seen: Mutex::new(seen),
        }))
    }

    /// How to answer connections with it.
    ///
    /// # Errors
    /// [`CertificateError::Setup`].
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, CertificateError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| CertificateError::Setup(error.to_string()))?;
        let resolver: Arc<dyn ResolvesServerCert> = self.clone();
        Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
    }

    /// Reads the files again where they have changed, or in any case.
    pub fn reload(&self, in_any_case: bool) -> Reloaded {
        let now = stamps(&self.cert, &self.key);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now && !in_any_case {
                return Reloaded::Same;
            }
            *seen = now;
        }
        match read_pair(&self.cert, &self.key) {
            Ok(pair) => {
                *self.pair.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                Reloaded::New
            }
            Err(error) => Reloaded::Refused(error),
        }
    }

    /// The SHA-256 of the certificate, as 64 hex digits.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.leaf().as_ref());
        base16ct::lower::encode_string(&digest)
    }

    /// Until when it holds, where that can be read.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        validity::not_after(self.leaf().as_ref())
    }

    /// Whether it is made for a name or address.
    pub fn names(&self, host: &str) -> bool {
        let leaf = self.leaf();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let (Ok(parsed), Ok(name)) = (
            ParsedCertificate::try_from(&leaf),
            ServerName::try_from(bare),
        ) else {
            return false;
        };
        verify_server_name(&parsed, &name).is_ok()
    }

    fn leaf(&self) -> CertificateDer<'static> {
        let pair = self.current();
        let leaf = pair.cert.first().cloned();
        leaf.unwrap_or_else(|| CertificateDer::from(Vec::new()))
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.pair.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for TlsCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read_pair(cert: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let text = read(cert)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.unwrap_or_default();
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate(cert.to_owned()));
    }
    let text = read(key)?;
    let secret = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_not_there| CertificateError::NoKey(key.to_owned()))?;
    CertifiedKey::from_der(chain, secret, &provider()).map_err(|error| CertificateError::Pair {
        cert: cert.to_owned(),
        key: key.to_owned(),
        problem: match error {
            rustls::Error::InconsistentKeys(_) => {
                "the key is not the one of the (first) certificate".to_owned()
            }
            error => error.to_string(),
        },
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unread = |source| CertificateError::Read {
        path: path.to_owned(),
        source,
    };
    let size = fs::metadata(path).map_err(unread)?.len();
    if size > LARGEST {
        return Err(unread(io::Error::other("it is larger than 1 MiB")));
    }
    fs::read(path).map_err(unread)
}

fn stamps(cert: &Path, key: &Path) -> [Option<Stamp>; 2] {
    [cert, key].map(|path| {
        let about = fs::metadata(path).ok()?;
        Some(Stamp(
            about.dev(),
            about.ino(),
            about.size(),
            about.mtime(),
            about.mtime_nsec(),
        ))
    })
}
