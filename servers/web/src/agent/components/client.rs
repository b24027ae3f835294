//! HTTP client settings of a component: the peer's attributes and blocks, as Prometheus' settings.

use std::path::PathBuf;

use kit::client::{Authorization, BasicAuth, Client, HttpClientConfig, HttpHeader, OAuth2, TlsConfig, TlsVersion};
use kit::config::Secret;

use crate::agent::syntax::{Args, Diag, Result};

/// What the agent calls itself.
pub(super) const USER_AGENT: &str = concat!("Alloy/", env!("CARGO_PKG_VERSION"), " (Foursight)");

fn file(args: &mut Args, name: &str) -> Result<Option<PathBuf>> {
    Ok(args.text(name)?.filter(|path| !path.is_empty()).map(PathBuf::from))
}

/// Takes the client settings out of a component's arguments.
///
/// # Errors
/// When one is wrong, or two exclude each other.
pub(super) fn settings(args: &mut Args) -> Result<HttpClientConfig> {
    let pos = args.pos.clone();
    let mut config = HttpClientConfig {
        bearer_token: args.secret("bearer_token")?,
        bearer_token_file: file(args, "bearer_token_file")?,
        follow_redirects: args.bool_or("follow_redirects", true)?,
        enable_http2: args.bool_or("enable_http2", true)?,
        proxy_url: args.text("proxy_url")?,
        no_proxy: args.text_or("no_proxy", "")?,
        proxy_from_environment: args.bool_or("proxy_from_environment", false)?,
        ..HttpClientConfig::default()
    };
    for (name, value) in args.text_map("proxy_connect_header")? {
        config.proxy_connect_header.insert(name, vec![Secret::new(value.unwrap_or_default())]);
    }
    for name in ["headers", "http_headers"] {
        for (name, value) in args.text_map(name)? {
            let header = HttpHeader { secrets: vec![Secret::new(value.unwrap_or_default())], ..HttpHeader::default() };
            config.http_headers.insert(name, header);
        }
    }
    if let Some(mut block) = args.block("basic_auth")? {
        config.basic_auth = Some(BasicAuth {
            username: block.text_or("username", "")?,
            username_file: None,
            password: block.secret("password")?,
            password_file: file(&mut block, "password_file")?,
        });
        block.finish()?;
    }
    if let Some(mut block) = args.block("authorization")? {
        config.authorization = Some(Authorization {
            kind: block.text_or("type", "")?,
            credentials: block.secret("credentials")?,
            credentials_file: file(&mut block, "credentials_file")?,
        });
        block.finish()?;
    }
    if let Some(mut block) = args.block("tls_config")? {
        config.tls_config = tls(&mut block)?;
        block.finish()?;
    }
    if let Some(mut block) = args.block("oauth2")? {
        let inner = block.block("tls_config")?;
        let tls_config = match inner {
            Some(mut inner) => {
                let config = tls(&mut inner)?;
                inner.finish()?;
                config
            }
            None => TlsConfig::default(),
        };
        let params = block.text_map("endpoint_params")?;
        config.oauth2 = Some(OAuth2 {
            client_id: block.text_or("client_id", "")?,
            client_secret: block.secret("client_secret")?,
            client_secret_file: file(&mut block, "client_secret_file")?,
            scopes: block.texts("scopes")?,
            token_url: block.text_or("token_url", "")?,
            endpoint_params: params.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect(),
            proxy_url: block.text("proxy_url")?,
            no_proxy: block.text_or("no_proxy", "")?,
            proxy_from_environment: block.bool_or("proxy_from_environment", false)?,
            tls_config,
            ..OAuth2::default()
        });
        block.finish()?;
    }
    config.validate().map_err(|message| Diag::new(&pos, message))?;
    Ok(config)
}

fn tls(block: &mut Args) -> Result<TlsConfig> {
    let version = |block: &mut Args, name: &str| -> Result<Option<TlsVersion>> {
        let pos = block.pos_of(name);
        match block.text(name)?.as_deref() {
            None | Some("") => Ok(None),
            Some("TLS10") => Ok(Some(TlsVersion::Tls10)),
            Some("TLS11") => Ok(Some(TlsVersion::Tls11)),
            Some("TLS12") => Ok(Some(TlsVersion::Tls12)),
            Some("TLS13") => Ok(Some(TlsVersion::Tls13)),
            Some(other) => Err(Diag::new(&pos, format!("unknown TLS version {other:?}"))),
        }
    };
    Ok(TlsConfig {
        ca: block.text_or("ca_pem", "")?,
        cert: block.text_or("cert_pem", "")?,
        key: block.secret("key_pem")?,
        ca_file: file(block, "ca_file")?,
        cert_file: file(block, "cert_file")?,
        key_file: file(block, "key_file")?,
        server_name: block.text_or("server_name", "")?,
        insecure_skip_verify: block.bool_or("insecure_skip_verify", false)?,
        min_version: version(block, "min_version")?,
        max_version: None,
    })
}

/// A client with settings that [`settings`] has given.
///
/// # Errors
/// When a certificate cannot be used.
pub(super) fn client(args: &Args, config: &HttpClientConfig) -> Result<Client> {
    Client::new(config, USER_AGENT).map_err(|error| Diag::new(&args.pos, error.to_string()))
}

/// Host and port of a URL: the label of its metrics.
pub(super) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
}
