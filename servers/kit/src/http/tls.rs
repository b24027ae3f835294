//! TLS of a server, as the web configuration file describes it.

use std::path::Path;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, ServerConnection, SignatureScheme,
    SupportedProtocolVersion,
};

use super::web_config::{ClientAuth, TlsServerConfig, TlsVersion};

/// A ready server side of TLS.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    allowed_sans: Vec<String>,
}

impl Tls {
    pub(super) fn new(settings: &TlsServerConfig, dir: &Path, http2: bool) -> Result<Self, String> {
        let read = |inline: &str, file: &Path, what: &str| -> Result<Vec<u8>, String> {
            if !inline.is_empty() {
                return Ok(inline.as_bytes().to_vec());
            }
            if file.as_os_str().is_empty() {
                return Err(format!("missing {what} in tls_server_config"));
            }
            let file = dir.join(file);
            std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))
        };
        let cert_pem = read(&settings.cert, &settings.cert_file, "cert_file")?;
        let key_pem = read(settings.key.reveal(), &settings.key_file, "key_file")?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&cert_pem)
            .collect::<Result<_, _>>()
            .map_err(|e| format!("certificate: {e}"))?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|e| format!("private key: {e}"))?;

        let provider = Arc::new(provider(settings)?);
        let verifier = client_verifier(settings, dir, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(settings)?)
            .map_err(|e| e.to_string())?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|e| format!("certificate and key: {e}"))?;
        config.alpn_protocols =
            if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        config.ignore_client_order = settings.prefer_server_cipher_suites;
        Ok(Self { config: Arc::new(config), allowed_sans: settings.client_allowed_sans.clone() })
    }

    /// Whether the client's certificate carries an allowed name.
    pub(super) fn check_client(&self, connection: &ServerConnection) -> Result<(), String> {
        if self.allowed_sans.is_empty() {
            return Ok(());
        }
        let certificate = connection.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.ok_or("the client has no certificate")?;
        let parsed = ParsedCertificate::try_from(certificate).map_err(|e| e.to_string())?;
        let allowed = self
            .allowed_sans
            .iter()
            .any(|san| ServerName::try_from(san.as_str()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok()));
        if allowed { Ok(()) } else { Err("no allowed subject alternative name in the client's certificate".into()) }
    }
}

fn provider(settings: &TlsServerConfig) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if !settings.cipher_suites.is_empty() {
        let known: Vec<String> = provider.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
        for name in &settings.cipher_suites {
            if !known.iter().any(|known| go_suite(known) == *name) {
                tracing::warn!(component = "http", suite = name, "cipher suite is not offered by this server's TLS");
            }
        }
        // As in Go, the list says nothing about TLS 1.3.
        provider.cipher_suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            name.starts_with("TLS13_") || settings.cipher_suites.iter().any(|wanted| *wanted == go_suite(&name))
        });
    }
    if !settings.curve_preferences.is_empty() {
        let mut groups = Vec::new();
        for curve in &settings.curve_preferences {
            let wanted = match curve.as_str() {
                "X25519" => "X25519",
                "CurveP256" => "secp256r1",
                "CurveP384" => "secp384r1",
                // Known to the peer, not to the TLS library here.
                "CurveP521" | "X25519MLKEM768" => continue,
                _ => return Err(format!("unknown curve {curve:?}")),
            };
            groups.extend(provider.kx_groups.iter().filter(|g| format!("{:?}", g.name()) == wanted));
        }
        provider.kx_groups = groups;
    }
    Ok(provider)
}

/// Go's name of a suite: `_SHA256` is left off for the ChaCha suites' older spelling only, the rest is equal.
fn go_suite(name: &str) -> String {
    name.replace("TLS13_", "TLS_")
}

fn versions(settings: &TlsServerConfig) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let versions: Vec<_> = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)]
        .into_iter()
        .filter(|(version, _)| {
            settings.min_version.is_none_or(|min| *version >= min)
                && settings.max_version.is_none_or(|max| *version <= max)
        })
        .map(|(_, version)| version)
        .collect();
    if versions.is_empty() {
        return Err("min_version and max_version leave neither TLS 1.2 nor TLS 1.3".into());
    }
    Ok(versions)
}

fn client_verifier(
    settings: &TlsServerConfig,
    dir: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let optional = match settings.client_auth_type {
        ClientAuth::No => return Ok(None),
        ClientAuth::Request | ClientAuth::RequireAny => {
            return Ok(Some(Arc::new(AnyCertificate {
                mandatory: settings.client_auth_type == ClientAuth::RequireAny,
                algorithms: provider.signature_verification_algorithms,
            })));
        }
        ClientAuth::VerifyIfGiven => true,
        ClientAuth::RequireAndVerify => false,
    };
    let pem = if settings.client_ca.is_empty() {
        let file = dir.join(&settings.client_ca_file);
        std::fs::read(&file).map_err(|e| format!("client_ca_file {}: {e}", file.display()))?
    } else {
        settings.client_ca.as_bytes().to_vec()
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|e| format!("client CA: {e}"))?).map_err(|e| format!("client CA: {e}"))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map(|verifier| Some(verifier as _)).map_err(|e| format!("client CA: {e}"))
}

/// `RequestClientCert` and `RequireAnyClientCert`: the client proves that it holds a key, nobody says whose it is.
#[derive(Debug)]
struct AnyCertificate {
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
