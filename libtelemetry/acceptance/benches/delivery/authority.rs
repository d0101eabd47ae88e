//! A certificate authority of its own, and the certificate of a server.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Everything in PEM.
pub(crate) struct Certificates {
    /// What clients are to trust.
    pub(crate) authority: String,
    /// What the server shows.
    pub(crate) server: String,
    pub(crate) server_key: String,
}

/// Certificates (ECDSA, P-256) for a server at this address.
pub(crate) fn certificates_for(address: &str) -> Certificates {
    const GOOD: &str = "parameters and keys of the library's own making";
    let mut authority = CertificateParams::new([]).expect(GOOD);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate().expect(GOOD);
    let server_key = KeyPair::generate().expect(GOOD);
    let certificate = authority.self_signed(&authority_key).expect(GOOD);
    let issuer = Issuer::new(authority, authority_key);
    let server = CertificateParams::new([address.to_owned()]).and_then(|server| server.signed_by(&server_key, &issuer));
    Certificates {
        authority: certificate.pem(),
        server: server.expect(GOOD).pem(),
        server_key: server_key.serialize_pem(),
    }
}
