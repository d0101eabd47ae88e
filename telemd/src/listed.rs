//! The rule of `cainfo`: a server's certificate counts if one of the file's
//! certificates issued it, or if it is one of them.
//!
//! Small sites put the certificate that their server shows into the file, as
//! it is. Verifiers after RFC 5280 refuse most of those: as the certificate of
//! an authority (`openssl req -x509` makes such), or as one whose issuer is
//! unknown. Host name, dates and the server's signature count in either case.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

/// All that tells one certificate from others: a file may hold hundreds.
type Fingerprint = Vec<u8>;

/// Judges by the certificates of one file.
#[derive(Debug)]
pub(crate) struct ListedOrIssued {
    issued: Arc<WebPkiServerVerifier>,
    listed: Vec<Fingerprint>,
}

impl ListedOrIssued {
    pub(crate) fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let listed = certificates.iter().map(fingerprint).collect();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        let issued = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let issued = issued.map_err(|_| "none of its certificates can be used")?;
        Ok(Self { issued, listed })
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    digest(&SHA256, certificate).as_ref().to_vec()
}

/// Whether a verdict says that dates are right, and that only an issuer is
/// missing. Dates are looked at before all of these.
fn lacks_only_an_issuer(error: &Error) -> bool {
    match error {
        // A bad signature: that of another one with the same name.
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => true,
        Error::InvalidCertificate(CertificateError::Other(OtherError(error))) => {
            matches!(error.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

impl ServerCertVerifier for ListedOrIssued {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.listed.contains(&fingerprint(end_entity)) {
            return self.issued.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        }
        // Alone: what comes with it has no say.
        match self.issued.verify_server_cert(end_entity, &[], server_name, ocsp_response, now) {
            Err(error) if lacks_only_an_issuer(&error) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issued.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use collector::certificates::{Authority, Identity, Subject};
    use rustls::pki_types::pem::PemObject;
    use std::time::{Duration, SystemTime};

    fn certificate(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    /// What becomes of a server that shows `shown`, if the file has `listed`.
    fn judge_as(name: &str, listed: &[&str], shown: &Identity) -> Result<(), Error> {
        let certificates = listed.iter().map(|pem| certificate(pem)).collect();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = ListedOrIssued::new(certificates, provider).unwrap();
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::now();
        verifier.verify_server_cert(&certificate(shown.pem()), &[], &name, &[], now).map(drop)
    }

    fn judge(listed: &[&str], shown: &Identity) -> Result<(), Error> {
        judge_as("example.org", listed, shown)
    }

    fn is_of_dates(judged: Result<(), Error>) -> bool {
        use CertificateError::{ExpiredContext, NotValidYetContext};
        matches!(judged, Err(Error::InvalidCertificate(ExpiredContext { .. } | NotValidYetContext { .. })))
    }

    fn subject() -> Subject {
        Subject::host("example.org")
    }

    #[test]
    fn a_certificate_that_is_in_the_file_counts_whoever_issued_it() {
        let of_authority = subject().also_authority().self_signed();
        let self_signed = subject().self_signed();
        let of_stranger = Authority::new("Stranger").sign(subject());
        for shown in [&of_authority, &self_signed, &of_stranger] {
            assert_eq!(judge(&[shown.pem()], shown), Ok(()));
            let others = [Authority::new("Other").pem(), Authority::new("Stranger").pem()];
            assert_eq!(judge(&[&others[0], &others[1], shown.pem()], shown), Ok(()));
            assert_eq!(judge(&[shown.pem(), &others[0], &others[1]], shown), Ok(()));
        }
    }

    #[test]
    fn one_that_is_not_in_the_file_needs_an_issuer_in_it() {
        let authority = Authority::new("Site");
        let issued = authority.sign(subject());
        assert_eq!(judge(&[&authority.pem()], &issued), Ok(()));
        assert!(judge(&[&Authority::new("Other").pem()], &issued).is_err());
        assert!(judge(&[&Authority::new("Site").pem()], &issued).is_err(), "another one of the same name");

        // Same names, other keys.
        let listed = subject().also_authority().self_signed();
        for shown in [subject().also_authority().self_signed(), subject().self_signed()] {
            assert!(judge(&[listed.pem()], &shown).is_err());
        }
        // An authority of the file may not show the certificate of another.
        let other = authority.sign(subject().also_authority());
        assert!(judge(&[&authority.pem()], &other).is_err());
    }

    #[test]
    fn one_bit_more_or_less_is_another_certificate() {
        let shown = subject().also_authority().self_signed();
        let mut der = certificate(shown.pem()).to_vec();
        *der.last_mut().unwrap() ^= 1;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = ListedOrIssued::new(vec![certificate(shown.pem())], provider).unwrap();
        let name = ServerName::try_from("example.org").unwrap();
        assert!(verifier.verify_server_cert(&der.into(), &[], &name, &[], UnixTime::now()).is_err());
    }

    #[test]
    fn the_host_name_counts_also_for_one_that_is_in_the_file() {
        for shown in [subject().also_authority().self_signed(), subject().self_signed()] {
            for name in ["example.com", "www.example.org", "127.0.0.1"] {
                let judged = judge_as(name, &[shown.pem()], &shown);
                let is_of_name =
                    matches!(judged, Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })));
                assert!(is_of_name, "{name}: {judged:?}");
            }
        }
    }

    #[test]
    fn dates_count_also_for_one_that_is_in_the_file() {
        let stranger = Authority::new("Stranger");
        let wrong_dates = [Subject::expired, Subject::not_yet_valid];
        for wrong in wrong_dates {
            for shown in [
                wrong(subject()).also_authority().self_signed(),
                wrong(subject()).self_signed(),
                stranger.sign(wrong(subject())),
            ] {
                assert!(is_of_dates(judge(&[shown.pem()], &shown)));
                assert!(is_of_dates(judge(&[&stranger.pem(), shown.pem()], &shown)));
            }
        }
    }

    #[test]
    fn dates_are_those_of_the_moment() {
        let shown = subject().also_authority().self_signed();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = ListedOrIssued::new(vec![certificate(shown.pem())], provider).unwrap();
        let name = ServerName::try_from("example.org").unwrap();
        let at = |time| {
            verifier.verify_server_cert(&certificate(shown.pem()), &[], &name, &[], UnixTime::since_unix_epoch(time))
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!(at(now).is_ok());
        assert!(is_of_dates(at(Duration::ZERO).map(drop)), "1970");
        assert!(is_of_dates(at(now + Duration::from_secs(10_000 * 366 * 86_400)).map(drop)), "in 10,000 years");
    }
}
