//! Connections of a client: direct, through a proxy, in the clear or under TLS.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::http::Uri;
use base64::Engine;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::config::{HttpClientConfig, TlsConfig, TlsVersion};
use super::proxy::Proxies;
use crate::percent;

/// Longest wait for one address to answer, and for a handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer to `CONNECT` that is read.
const MAX_CONNECT_ANSWER: usize = 16 << 10;

/// Makes connections; what hyper's pool asks when it has none to reuse.
#[derive(Clone, Debug)]
pub(super) struct Connector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    proxies: Proxies,
    connect_headers: Vec<(String, String)>,
    tls: Tls,
}

impl Connector {
    pub(super) fn new(settings: &HttpClientConfig) -> Result<Self, String> {
        let connect_headers = settings
            .proxy_connect_header
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name.clone(), value.reveal().to_owned())))
            .collect();
        let tls = Tls::new(settings.tls_config.clone(), settings.enable_http2)?;
        Ok(Self(Arc::new(Inner { proxies: Proxies::new(settings)?, connect_headers, tls })))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move { inner.connect(&target).await.map(TokioIo::new) })
    }
}

fn authority(uri: &Uri) -> io::Result<(String, u16)> {
    let host = uri.host().ok_or_else(|| io::Error::other("no host"))?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    Ok((host, port))
}

impl Inner {
    async fn connect(&self, target: &Uri) -> io::Result<Stream> {
        let (host, port) = authority(target)?;
        let https = target.scheme_str() == Some("https");
        let Some(proxy) = self.proxies.proxy_for(target) else {
            let stream = dial(&host, port).await?;
            return if https { self.tls.wrap(Box::new(stream), &host).await } else { Ok(Stream::plain(stream)) };
        };
        let (proxy_host, proxy_port) = authority(proxy)?;
        let stream = dial(&proxy_host, proxy_port).await?;
        let mut stream: Box<dyn Io> = if proxy.scheme_str() == Some("https") {
            self.tls.wrap(Box::new(stream), &proxy_host).await?.io
        } else {
            Box::new(stream)
        };
        if !https {
            return Ok(Stream { io: stream, http2: false, proxied: true });
        }
        let shown = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let tunnel = self.open_tunnel(&mut stream, &shown, proxy);
        tokio::time::timeout(CONNECT_TIMEOUT, tunnel)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "proxy did not answer CONNECT in time"))??;
        self.tls.wrap(stream, &host).await
    }

    async fn open_tunnel(&self, stream: &mut Box<dyn Io>, target: &str, proxy: &Uri) -> io::Result<()> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        let credentials = proxy.authority().and_then(|a| a.as_str().rsplit_once('@')).map(|(c, _)| percent::decode(c));
        if let Some(credentials) = credentials {
            let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
            request.push_str(&format!("Proxy-Authorization: Basic {encoded}\r\n"));
        }
        for (name, value) in &self.connect_headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            // Byte by byte: what follows the blank line belongs to the tunnel.
            answer.push(stream.read_u8().await?);
            if answer.len() > MAX_CONNECT_ANSWER {
                return Err(io::Error::other("proxy answered CONNECT with too many headers"));
            }
        }
        let first = String::from_utf8_lossy(&answer).lines().next().unwrap_or("").to_owned();
        match first.split(' ').nth(1) {
            Some(status) if status.starts_with('2') => Ok(()),
            _ => Err(io::Error::other(format!("proxy refused CONNECT: {first}"))),
        }
    }
}

async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("lookup {host}: no such host"));
    let addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(|e| io::Error::new(e.kind(), format!("lookup {host}: {e}")))?;
    for address in addresses {
        let failed = |reason: String, kind| io::Error::new(kind, format!("dial tcp {address}: {reason}"));
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => {
                last = failed("connect: connection refused".into(), e.kind());
            }
            Ok(Err(e)) => last = failed(e.to_string(), e.kind()),
            Err(_) => last = failed("i/o timeout".into(), io::ErrorKind::TimedOut),
        }
    }
    Err(last)
}

/// A byte stream of any kind.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// An open connection.
pub(super) struct Stream {
    io: Box<dyn Io>,
    http2: bool,
    proxied: bool,
}

impl Stream {
    fn plain(stream: TcpStream) -> Self {
        Self { io: Box::new(stream), http2: false, proxied: false }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.proxied);
        if self.http2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The TLS side of a client; certificates are read again when their files change.
#[derive(Debug)]
struct Tls {
    settings: TlsConfig,
    http2: bool,
    /// Absent until the first use when no file is named: most clients never speak TLS.
    loaded: Mutex<Option<(Stamps, Arc<ClientConfig>)>>,
}

type Stamps = Vec<(PathBuf, Option<SystemTime>)>;

impl Tls {
    fn new(settings: TlsConfig, http2: bool) -> Result<Self, String> {
        let tls = Self { settings, http2, loaded: Mutex::new(None) };
        if tls.settings != TlsConfig::default() {
            tls.current()?;
        }
        Ok(tls)
    }

    fn stamps(&self) -> Stamps {
        let files = [&self.settings.ca_file, &self.settings.cert_file, &self.settings.key_file];
        let stamp = |file: &PathBuf| std::fs::metadata(file).ok().and_then(|meta| meta.modified().ok());
        files.into_iter().flatten().map(|file| (file.clone(), stamp(file))).collect()
    }

    fn current(&self) -> Result<Arc<ClientConfig>, String> {
        let stamps = self.stamps();
        let mut loaded = self.loaded.lock();
        if let Some((old, config)) = &*loaded
            && *old == stamps
        {
            return Ok(config.clone());
        }
        let config = Arc::new(client_config(&self.settings, self.http2)?);
        *loaded = Some((stamps, config.clone()));
        Ok(config)
    }

    async fn wrap(&self, stream: Box<dyn Io>, host: &str) -> io::Result<Stream> {
        let config = self.current().map_err(io::Error::other)?;
        let name = if self.settings.server_name.is_empty() { host } else { &self.settings.server_name };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, handshake)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "TLS handshake timeout"))?
            .map_err(|e| io::Error::new(e.kind(), format!("tls: {e}")))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream { io: Box::new(stream), http2, proxied: false })
    }
}

fn read(inline: &str, file: Option<&PathBuf>, what: &str) -> Result<Option<Vec<u8>>, String> {
    if !inline.is_empty() {
        return Ok(Some(inline.as_bytes().to_vec()));
    }
    let Some(file) = file.filter(|file| !file.as_os_str().is_empty()) else { return Ok(None) };
    std::fs::read(file).map(Some).map_err(|e| format!("unable to load specified {what} {}: {e}", file.display()))
}

pub(super) fn client_config(settings: &TlsConfig, http2: bool) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let versions: Vec<_> = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)]
        .into_iter()
        .filter(|(version, _)| {
            settings.min_version.is_none_or(|min| *version >= min)
                && settings.max_version.is_none_or(|max| *version <= max)
        })
        .map(|(_, version)| version)
        .collect();
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|e| format!("tls_config: {e}"))?;
    let builder = if settings.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer::new(&provider)))
    } else {
        let roots = match read(&settings.ca, settings.ca_file.as_ref(), "CA cert")? {
            None => native_roots(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(&pem) {
                    let certificate = certificate.map_err(|e| format!("CA cert: {e}"))?;
                    roots.add(certificate).map_err(|e| format!("CA cert: {e}"))?;
                }
                if roots.is_empty() {
                    return Err("unable to use specified CA cert: it holds no certificate".into());
                }
                Arc::new(roots)
            }
        };
        builder.with_root_certificates(roots)
    };
    let cert = read(&settings.cert, settings.cert_file.as_ref(), "client cert")?;
    let key = read(settings.key.reveal(), settings.key_file.as_ref(), "client key")?;
    let mut config = match cert.zip(key) {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = CertificateDer::pem_slice_iter(&cert)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| format!("client cert: {e}"))?;
            let key = PrivateKeyDer::from_pem_slice(&key).map_err(|e| format!("client key: {e}"))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| format!("client cert and key: {e}"))?
        }
    };
    if http2 {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    Ok(config)
}

/// The system's roots, read once.
fn native_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            for error in found.errors {
                tracing::warn!(component = "client", %error, "a system certificate cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
            Arc::new(roots)
        })
        .clone()
}

/// `insecure_skip_verify`: whoever answers is believed.
#[derive(Debug)]
struct AnyServer(WebPkiSupportedAlgorithms);

impl AnyServer {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
