//! Certificates and files of tests.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use pem::Pem;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A folder that is gone with its last user.
pub(crate) struct Folder(PathBuf);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        certificate(self.0.der())
    }

    /// A pair for a server, or a client, of this name.
    pub(crate) fn issue(&self, name: &str) -> Pair {
        self.issue_until(name, 4000)
    }

    /// The same, valid until that year begins.
    pub(crate) fn issue_until(&self, name: &str, year: i32) -> Pair {
        self.sign(name, year, &KeyPair::generate().unwrap())
    }

    /// The same with a key that is there already.
    pub(crate) fn sign(&self, name: &str, year: i32, key: &KeyPair) -> Pair {
        let mut params = params(name);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Pair::new(&params.signed_by(key, &self.0).unwrap(), key)
    }
}

impl Pair {
    /// Signed by itself.
    pub(crate) fn alone(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self::new(&params(name).self_signed(&key).unwrap(), &key)
    }

    fn new(signed: &Certificate, key: &KeyPair) -> Self {
        Self { certificate: certificate(signed.der()), key: private_key(key) }
    }
}

fn certificate(der: &[u8]) -> String {
    pem::encode(&Pem::new("CERTIFICATE", der))
}

/// PKCS #8.
pub(crate) fn private_key(key: &KeyPair) -> String {
    pem::encode(&Pem::new("PRIVATE KEY", key.serialized_der()))
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("vingate-tls-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and says where.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes `cert.pem` and `key.pem`.
    pub(crate) fn write_pair(&self, pair: &Pair) {
        self.write("cert.pem", &pair.certificate);
        self.write("key.pem", &pair.key);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
