//! Certificates for servers of tests: good ones, and such as a client must
//! refuse.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// What a certificate says.
pub struct Subject(CertificateParams);

impl Subject {
    /// Of a server with this name or address, for the next decades.
    pub fn host(name: &str) -> Self {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a host name");
        params.distinguished_name.push(DnType::CommonName, format!("server {name}"));
        Self(params)
    }

    /// Its time is over.
    pub fn expired(mut self) -> Self {
        self.0.not_after = date_time_ymd(2001, 1, 1);
        self
    }

    /// Its time has not come.
    pub fn not_yet_valid(mut self) -> Self {
        self.0.not_before = date_time_ymd(2090, 1, 1);
        self
    }

    /// It may sign others, too, as what `openssl req -x509` makes.
    pub fn also_authority(mut self) -> Self {
        self.0.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self
    }

    /// Signed by its own key.
    pub fn self_signed(self) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = self.0.self_signed(&key).expect("a certificate");
        Identity { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }
}

/// Who signs certificates of others.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one, with its own key.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a server's certificate.
    pub fn sign(&self, subject: Subject) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = subject.0.signed_by(&key, &self.0).expect("a certificate");
        Identity { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }
}

/// A server's certificate, with its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Identity {
    /// The certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The same certificate, in the hands of somebody who has not its key.
    pub fn stolen(&self) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self { certificate: self.certificate.clone(), pem: self.pem.clone(), key }
    }

    /// For a server that shows it.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let key = provider.key_provider.load_private_key(key).expect("a key");
        // Whether they belong together is for the client to find out.
        let shown = CertifiedKey::new(vec![self.certificate.clone()], key);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        Arc::new(config)
    }
}
