//! Certificate files: good, broken, changed.

use rcgen::{CertifiedKey as Made, generate_simple_self_signed};
use tempfile::TempDir;

use super::*;

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let files = Self { folder };
        files.put(&made());
        files
    }

    fn put(&self, made: &Made<rcgen::KeyPair>) {
        fs::write(self.cert(), made.cert.pem()).unwrap();
        fs::write(self.key(), made.signing_key.serialize_pem()).unwrap();
    }

    fn cert(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn load(&self) -> Result<Arc<TlsCertificate>, CertificateError> {
        TlsCertificate::load(&self.cert(), &self.key())
    }

    fn problem(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

fn made() -> Made<rcgen::KeyPair> {
    let names = ["localhost", "127.0.0.1", "*.broker.example"];
    generate_simple_self_signed(names.map(str::to_owned)).unwrap()
}

#[test]
fn a_pair_is_taken_and_tells_its_names_and_its_end() {
    let certificate = Files::new().load().unwrap();
    for host in ["localhost", "127.0.0.1", "a.broker.example"] {
        assert!(certificate.names(host), "{host}");
    }
    for host in ["127.0.0.2", "[::1]", "broker.example", "not a name"] {
        assert!(!certificate.names(host), "{host}");
    }
    assert!(certificate.expires_at().unwrap().to_rfc3339().as_str() > "2030");
    assert_eq!(certificate.fingerprint().len(), 64);
    certificate.server_config().unwrap();
}

#[test]
fn what_cannot_be_used_is_told_with_its_file() {
    let files = Files::new();
    let other = made().signing_key.serialize_pem();
    fs::write(files.key(), &other).unwrap();
    assert!(
        files.problem().contains("the key is not the one"),
        "{}",
        files.problem()
    );
    fs::write(files.key(), "no key").unwrap();
    assert!(files.problem().contains("key.pem` holds no private key"));
    fs::remove_file(files.key()).unwrap();
    assert!(files.problem().contains("cannot read"));
    fs::write(files.cert(), other).unwrap();
    assert!(files.problem().contains("cert.pem` holds no certificate"));
    fs::write(files.cert(), vec![b'a'; 2 << 20]).unwrap();
    assert!(files.problem().contains("larger than 1 MiB"));
}

#[test]
fn new_files_are_taken_up_and_broken_ones_are_not() {
    let files = Files::new();
    let certificate = files.load().unwrap();
    let first = certificate.fingerprint();
    assert!(matches!(certificate.reload(false), Reloaded::Same));
    fs::write(files.cert(), made().cert.pem()).unwrap();
    let reloaded = certificate.reload(false);
    assert!(
        matches!(reloaded, Reloaded::Refused(CertificateError::Pair { .. })),
        "{reloaded:?}"
    );
    assert_eq!(certificate.fingerprint(), first);
    assert!(
        matches!(certificate.reload(false), Reloaded::Same),
        "said once"
    );
    assert!(matches!(certificate.reload(true), Reloaded::Refused(_)));
    files.put(&made());
    assert!(matches!(certificate.reload(false), Reloaded::New));
    assert_ne!(certificate.fingerprint(), first);
    assert!(matches!(certificate.reload(true), Reloaded::New));
}
