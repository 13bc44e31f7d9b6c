//! TLS for connections to Postgres: the modes of libpq on top of rustls.
//!
//! In: the TLS part of a target. Out: a connector. `verify-full` is rustls as it comes; `verify-ca`
//! checks the chain but not the name; `require` checks nothing unless a root file is given, then it
//! is `verify-ca`; `allow` and `prefer` check nothing.
//!
//! The ring provider is named explicitly: with two providers compiled in, rustls would panic.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>.

use super::target::{Roots, SslMode, Tls, TlsVersion};
use anyhow::{Context, Result, ensure};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
    version::{TLS12, TLS13},
};
use std::{path::Path, sync::Arc};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Builds the connector for a target. Reads certificate files; opens no connection.
///
/// # Errors
/// A certificate or key file that cannot be read, no trusted certificate at all.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = match tls.only {
        Some(TlsVersion::Tls12) => &[&TLS12],
        Some(TlsVersion::Tls13) => &[&TLS13],
        None => &[&TLS13, &TLS12],
    };
    let verifier = Verifier {
        check: check(tls)?,
        provider: provider.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .context("choose the TLS versions")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let read = PrivateKeyDer::from_pem_file(key);
            let private =
                read.with_context(|| format!("read the client key `{}`", key.display()))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, private)
                .with_context(|| {
                    format!("use the client certificate `{}`", certificate.display())
                })?
        }
    };
    config.enable_sni = tls.sni;
    if tls.direct {
        // The server insists on this name: https://www.postgresql.org/docs/current/protocol-flow.html
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

/// What is checked of the server's certificate.
#[derive(Debug)]
enum Check {
    Nothing,
    Chain(Trust),
    ChainAndName(Trust),
}

#[derive(Debug)]
struct Trust {
    roots: RootCertStore,
    /// The certificates of `sslrootcert`: a self-signed server certificate may be named there itself.
    named: Vec<CertificateDer<'static>>,
}

fn check(tls: &Tls) -> Result<Check> {
    Ok(match (tls.mode, &tls.roots) {
        (SslMode::Disable | SslMode::Allow | SslMode::Prefer, _)
        | (SslMode::Require, Roots::System) => Check::Nothing,
        (SslMode::Require | SslMode::VerifyCa, roots) => Check::Chain(trust(roots)?),
        (SslMode::VerifyFull, roots) => Check::ChainAndName(trust(roots)?),
    })
}

fn trust(roots: &Roots) -> Result<Trust> {
    let mut store = RootCertStore::empty();
    let named = match roots {
        Roots::File { path, .. } => {
            let named = certificates(path)?;
            for certificate in &named {
                let added = store.add(certificate.clone());
                added.with_context(|| format!("trust the certificates in `{}`", path.display()))?;
            }
            named
        }
        Roots::System => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Vec::new()
        }
    };
    ensure!(
        !store.is_empty(),
        "find certificates to trust: the operating system has none (install `ca-certificates`, or set `sslrootcert`)"
    );
    Ok(Trust {
        roots: store,
        named,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.with_context(|| format!("read the certificates in `{}`", path.display()))?;
    ensure!(
        !found.is_empty(),
        "read the certificates in `{}`: there is none",
        path.display()
    );
    Ok(found)
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn chain(
        &self,
        trust: &Trust,
        leaf: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(
            parsed,
            &trust.roots,
            intermediates,
            now,
            algorithms,
        ) {
            // `openssl req -x509` marks its certificate as an authority, which webpki refuses as a
            // server's own. Named byte by byte in `sslrootcert` it is as good as a pin, and libpq takes
            // it. Dates are checked before this error can arise.
            Err(Error::InvalidCertificate(CertificateError::Other(other)))
                if other.to_string().contains("CaUsedAsEndEntity")
                    && trust.named.iter().any(|named| named == leaf) =>
            {
                Ok(())
            }
            result => result,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.check {
            Check::Nothing => {}
            Check::Chain(trust) => self.chain(
                trust,
                leaf,
                &ParsedCertificate::try_from(leaf)?,
                intermediates,
                now,
            )?,
            Check::ChainAndName(trust) => {
                let parsed = ParsedCertificate::try_from(leaf)?;
                self.chain(trust, leaf, &parsed, intermediates, now)?;
                verify_server_name(&parsed, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
