//! Which proxy a request goes through, by Go's rules for `no_proxy`.

use std::net::IpAddr;

use axum::http::Uri;

use super::config::HttpClientConfig;

/// The proxies of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    http: Option<Uri>,
    https: Option<Uri>,
    exceptions: Vec<String>,
    /// Loopback is never proxied when the environment names the proxy.
    from_environment: bool,
}

impl Proxies {
    pub(super) fn new(settings: &HttpClientConfig) -> Result<Self, String> {
        if settings.proxy_from_environment {
            return Self::from_env(|name| std::env::var(name).ok().or_else(|| std::env::var(name.to_lowercase()).ok()));
        }
        let Some(url) = settings.proxy_url.as_deref().filter(|url| !url.is_empty()) else { return Ok(Self::default()) };
        let proxy = parse(url)?;
        Ok(Self {
            http: Some(proxy.clone()),
            https: Some(proxy),
            exceptions: exceptions(&settings.no_proxy),
            from_environment: false,
        })
    }

    fn from_env(read: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let proxy = |name: &str| read(name).filter(|url| !url.is_empty()).map(|url| parse(&url)).transpose();
        Ok(Self {
            http: proxy("HTTP_PROXY")?,
            https: proxy("HTTPS_PROXY")?,
            exceptions: exceptions(&read("NO_PROXY").unwrap_or_default()),
            from_environment: true,
        })
    }

    /// The proxy for a target, `None` for a direct connection.
    pub(super) fn proxy_for(&self, target: &Uri) -> Option<&Uri> {
        let https = target.scheme_str() == Some("https");
        let proxy = if https { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = target.host()?.trim_matches(['[', ']']).to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        if self.from_environment && (host == "localhost" || address.is_some_and(|ip| ip.is_loopback())) {
            return None;
        }
        let port = target.port_u16().unwrap_or(if https { 443 } else { 80 });
        let excepted = self.exceptions.iter().any(|rule| excepts(rule, &host, address, port));
        (!excepted).then_some(proxy)
    }
}

fn parse(url: &str) -> Result<Uri, String> {
    let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let shown = super::without_credentials(&with_scheme);
    let uri: Uri = with_scheme.parse().map_err(|e| format!("proxy_url {shown:?}: {e}"))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some() => Ok(uri),
        _ => Err(format!("proxy_url {shown:?}: only http and https proxies are supported")),
    }
}

fn exceptions(list: &str) -> Vec<String> {
    list.split(',').map(|rule| rule.trim().to_ascii_lowercase()).filter(|rule| !rule.is_empty()).collect()
}

fn excepts(rule: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if rule == "*" {
        return true;
    }
    if let Some((network, bits)) = rule.split_once('/') {
        let (Ok(network), Ok(bits), Some(address)) = (network.parse::<IpAddr>(), bits.parse::<u32>(), address) else {
            return false;
        };
        return in_network(address, network, bits);
    }
    if let Ok(ip) = rule.parse::<IpAddr>() {
        return address == Some(ip);
    }
    let (name, wanted_port) = match rule.rsplit_once(':') {
        Some((name, number)) if number.bytes().all(|b| b.is_ascii_digit()) => (name, number.parse().ok()),
        _ => (rule, None),
    };
    if wanted_port.is_some_and(|wanted: u16| wanted != port) {
        return false;
    }
    if let Ok(ip) = name.parse::<IpAddr>() {
        return address == Some(ip);
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        // A leading dot excepts subdomains only.
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn in_network(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) if bits <= 32 => {
            let shift = |ip: std::net::Ipv4Addr| u64::from(ip.to_bits()) >> (32 - bits);
            shift(a) == shift(n)
        }
        (IpAddr::V6(a), IpAddr::V6(n)) if bits <= 128 => {
            bits == 0 || a.to_bits() >> (128 - bits) == n.to_bits() >> (128 - bits)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_follow_go() {
        let cases = [
            ("*", "http://a.example/", true),
            ("example.com", "http://example.com/", true),
            ("example.com", "http://www.example.com/", true),
            ("example.com", "http://notexample.com/", false),
            (".example.com", "http://example.com/", false),
            ("*.example.com", "http://www.example.com/", true),
            ("example.com:81", "http://example.com:81/", true),
            ("example.com:81", "http://example.com/", false),
            ("10.0.0.0/8, x", "http://10.1.2.3/", true),
            ("10.0.0.0/8", "http://11.1.2.3/", false),
            ("192.168.1.1", "http://192.168.1.1:9090/", true),
            ("::1", "http://[::1]/", true),
            ("", "http://a/", false),
        ];
        for (no_proxy, target, excepted) in cases {
            let settings = HttpClientConfig {
                proxy_url: Some("http://proxy:3128".into()),
                no_proxy: no_proxy.into(),
                ..HttpClientConfig::default()
            };
            let proxies = Proxies::new(&settings).unwrap();
            assert_eq!(proxies.proxy_for(&target.parse().unwrap()).is_none(), excepted, "{no_proxy} {target}");
        }
    }

    #[test]
    fn the_environment_spares_loopback() {
        let proxies = Proxies::from_env(|name| (name == "HTTP_PROXY").then(|| "proxy:3128".to_owned())).unwrap();
        let through = |url: &str| proxies.proxy_for(&url.parse().unwrap()).map(Uri::to_string);
        assert_eq!(through("http://a/"), Some("http://proxy:3128/".into()));
        assert_eq!(through("http://127.0.0.1:9090/"), None);
        assert_eq!(through("http://localhost/"), None);
        assert_eq!(through("https://a/"), None);
        assert!(parse("socks5://x:1").is_err());
    }
}
