//! Whose word counts for a server: the certificates of `cainfo`, or those of
//! the system.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use record::config::{Key, Settings};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::listed::ListedOrIssued;
use crate::{files, log, settings};

/// The longest file of certificates; those of a system have about 250 kB.
const FILE_MAX: usize = 16 * 1024 * 1024;
/// Sessions that new connections take up again, of a server and of a proxy.
const SESSIONS_MAX: usize = 16;

/// Where certificates are read from.
#[derive(Debug)]
pub(crate) enum Certificates {
    /// The file of `cainfo`.
    Cainfo(PathBuf),
    System,
}

impl Certificates {
    pub(crate) fn of(settings: &Settings) -> Self {
        match settings.text(Key::CaInfo).is_empty() {
            true => Self::System,
            false => Self::Cainfo(settings::path(settings, Key::CaInfo).to_owned()),
        }
    }

    /// Reads them. A file that cannot be used is an error: those of the system
    /// never take its place.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let config = match self {
            Self::System => config.with_root_certificates(roots_of_system()?),
            Self::Cainfo(path) => {
                let failed = |error| format!("cainfo {}: {error}", path.display());
                let certificates = read(path).map_err(failed)?;
                let verifier = ListedOrIssued::new(certificates, provider).map_err(failed)?;
                config.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let mut config = config.with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Ok(config)
    }
}

fn roots_of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        log::warning(format_args!("certificates of the system: {error}"));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        true => Err("the system has no certificates; install ca-certificates, or set cainfo".into()),
        false => Ok(roots),
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = files::read_regular(path, FILE_MAX).map_err(|error| error.to_string())?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("no certificate in it".into()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("not in the form of PEM: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use collector::certificates::{Authority, Subject};

    fn error_of(content: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.pem");
        std::fs::write(&path, content).unwrap();
        let error = Certificates::Cainfo(path.clone()).client_config().err().unwrap_or_default();
        error.replace(&path.display().to_string(), "site.pem")
    }

    #[test]
    fn w11_a_file_that_cannot_be_used_is_an_error_that_names_it() {
        let missing = Certificates::Cainfo("/missing/site.pem".into()).client_config().err().unwrap();
        assert!(missing.starts_with("cainfo /missing/site.pem: No such file"), "{missing}");
        assert_eq!(error_of(""), "cainfo site.pem: no certificate in it");
        assert_eq!(error_of("no PEM\n"), "cainfo site.pem: no certificate in it");
        let pem = Authority::new("Site").pem();
        let torn = error_of(&pem.replace("-----END CERTIFICATE-----\n", ""));
        assert!(torn.starts_with("cainfo site.pem: not in the form of PEM: "), "{torn}");
        let wrong = error_of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert_eq!(wrong, "cainfo site.pem: none of its certificates can be used");
    }

    #[test]
    fn a_file_may_hold_comments_keys_and_several_certificates() {
        let server = Subject::host("example.org").self_signed();
        let file = format!("# Ours\n{}{}\nthe end\n", Authority::new("Site").pem(), server.pem());
        assert_eq!(error_of(&file), "");
    }
}
