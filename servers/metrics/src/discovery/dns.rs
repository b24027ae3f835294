//! DNS names whose records list targets: asked of the name servers in `/etc/resolv.conf`, with its search domains.
//!
//! A record set is asked for over UDP, and over TCP when the answer was cut. A name that exists without such records
//! has no targets; a failed look-up keeps the targets it had.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use model::Labels;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::{Group, Provider};
use crate::config::discovery::{DnsDiscovery, DnsRecord};

/// How long one server may take.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn run(provider: Provider, config: DnsDiscovery) {
    let interval =
        Duration::from_millis(u64::try_from(config.refresh_interval_ms).unwrap_or(0)).max(Duration::from_secs(1));
    let mut known: Vec<Option<Group>> = vec![None; config.names.len()];
    loop {
        let begun = Instant::now();
        for (name, group) in config.names.iter().zip(&mut known) {
            provider.metrics().dns_lookups.inc();
            match look_up(name, &config).await {
                Ok(targets) => *group = Some(Group { source: name.clone(), targets }),
                Err(e) => {
                    provider.metrics().dns_failures.inc();
                    provider.metrics().refresh_failures.with(&["dns"]).inc();
                    tracing::error!(component = "discovery", job = provider.job, name, error = %e, "error refreshing DNS targets");
                }
            }
        }
        provider.metrics().refresh_duration.with(&["dns"]).observe(begun.elapsed().as_secs_f64());
        if known.iter().any(Option::is_some) {
            provider.found(known.iter().flatten().cloned().collect());
        }
        if !provider.stop.sleep(interval).await {
            return;
        }
    }
}

async fn look_up(name: &str, config: &DnsDiscovery) -> io::Result<Vec<Labels>> {
    let settings = Resolver::read().await;
    let mut last = None;
    for candidate in settings.candidates(name) {
        match settings.ask(&candidate, config.record).await {
            Ok(Some(records)) => return Ok(records.into_iter().map(|record| labels(name, &record, config)).collect()),
            Ok(None) => {}
            Err(e) => last = Some(e),
        }
    }
    // Every form of the name was answered with "no such name", or a server failed.
    match last {
        Some(e) => Err(e),
        None => Ok(Vec::new()),
    }
}

/// What a record says of a target.
#[derive(Debug, PartialEq, Eq)]
enum Record {
    Address(IpAddr),
    Service { target: String, port: u16 },
    Mail(String),
    NameServer(String),
}

fn labels(name: &str, record: &Record, config: &DnsDiscovery) -> Labels {
    let mut labels = Labels::from_pairs([("__meta_dns_name", name)]).to_builder();
    let host_port =
        |host: &str, port: u16| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let address = match record {
        Record::Address(ip) => host_port(&ip.to_string(), config.port),
        Record::Service { target, port } => {
            labels.set("__meta_dns_srv_record_target", target).set("__meta_dns_srv_record_port", &port.to_string());
            host_port(target.trim_end_matches('.'), *port)
        }
        Record::Mail(target) => {
            labels.set("__meta_dns_mx_record_target", target);
            host_port(target.trim_end_matches('.'), config.port)
        }
        Record::NameServer(target) => {
            labels.set("__meta_dns_ns_record_target", target);
            host_port(target.trim_end_matches('.'), config.port)
        }
    };
    labels.set("__address__", &address);
    labels.build()
}

/// The system's settings.
struct Resolver {
    servers: Vec<IpAddr>,
    search: Vec<String>,
}

impl Resolver {
    async fn read() -> Self {
        Self::parse(&tokio::fs::read_to_string("/etc/resolv.conf").await.unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let mut settings = Self { servers: Vec::new(), search: Vec::new() };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    settings.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
                }
                Some("search" | "domain") => settings.search = words.map(str::to_owned).collect(),
                _ => {}
            }
        }
        if settings.servers.is_empty() {
            settings.servers.push(IpAddr::from([127, 0, 0, 1]));
        }
        settings
    }

    /// Forms of a name to try: as it is, then with the search domains.
    fn candidates(&self, name: &str) -> Vec<String> {
        let mut names = vec![name.trim_end_matches('.').to_owned()];
        if !name.ends_with('.') {
            names.extend(self.search.iter().map(|domain| format!("{name}.{}", domain.trim_end_matches('.'))));
        }
        names
    }

    /// The records of a name; `None` when there is no such name.
    async fn ask(&self, name: &str, record: DnsRecord) -> io::Result<Option<Vec<Record>>> {
        let mut last = io::Error::other("no name server");
        for server in &self.servers {
            let address = SocketAddr::new(*server, 53);
            match tokio::time::timeout(TIMEOUT, ask_server(address, name, record)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(e)) => last = e,
                Err(_) => {
                    last =
                        io::Error::new(io::ErrorKind::TimedOut, format!("name server {server} did not answer in time"))
                }
            }
        }
        Err(last)
    }
}

async fn ask_server(server: SocketAddr, name: &str, record: DnsRecord) -> io::Result<Option<Vec<Record>>> {
    let kind = match record {
        DnsRecord::Srv => TYPE::SRV,
        DnsRecord::A => TYPE::A,
        DnsRecord::Aaaa => TYPE::AAAA,
        DnsRecord::Mx => TYPE::MX,
        DnsRecord::Ns => TYPE::NS,
    };
    let id = fastrand::u16(..);
    let mut query = Packet::new_query(id);
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    let question = Name::new(name).map_err(io::Error::other)?;
    query.questions.push(Question::new(question, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    let bytes = query.build_bytes_vec().map_err(io::Error::other)?;
    let local: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let len = socket.recv(&mut buffer).await?;
        let Ok(answer) = Packet::parse(&buffer[..len]) else { continue };
        if answer.id() != id {
            continue;
        }
        if answer.has_flags(PacketFlag::TRUNCATION) {
            break;
        }
        return records(&answer);
    }
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&bytes).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    records(&Packet::parse(&buffer).map_err(io::Error::other)?)
}

fn records(answer: &Packet<'_>) -> io::Result<Option<Vec<Record>>> {
    match answer.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Ok(None),
        code => return Err(io::Error::other(format!("the name server answered {code:?}"))),
    }
    let with_dot = |name: &Name<'_>| format!("{name}.");
    Ok(Some(
        answer
            .answers
            .iter()
            .filter_map(|record| match &record.rdata {
                RData::A(a) => Some(Record::Address(IpAddr::from(a.address.to_be_bytes()))),
                RData::AAAA(a) => Some(Record::Address(IpAddr::from(a.address.to_be_bytes()))),
                RData::SRV(srv) => Some(Record::Service { target: with_dot(&srv.target), port: srv.port }),
                RData::MX(mx) => Some(Record::Mail(with_dot(&mx.exchange))),
                RData::NS(ns) => Some(Record::NameServer(with_dot(&ns.0))),
                _ => None,
            })
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_targets() {
        let config = DnsDiscovery { names: vec!["x".into()], record: DnsRecord::Srv, port: 80, refresh_interval_ms: 1 };
        let cases = [
            (Record::Service { target: "web1.example.org.".into(), port: 9100 }, "web1.example.org:9100"),
            (Record::Address("10.0.0.1".parse().unwrap()), "10.0.0.1:80"),
            (Record::Address("fe80::1".parse().unwrap()), "[fe80::1]:80"),
            (Record::Mail("mx.example.org.".into()), "mx.example.org:80"),
        ];
        for (record, address) in cases {
            let labels = labels("x", &record, &config);
            assert_eq!(labels.get("__address__"), Some(address));
            assert_eq!(labels.get("__meta_dns_name"), Some("x"));
        }
    }

    #[test]
    fn resolv_conf_gives_servers_and_search_domains() {
        let settings = Resolver::parse("# x\nnameserver 10.0.0.53\nnameserver ::1\nsearch a.example b.example\n");
        assert_eq!(settings.servers, ["10.0.0.53".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(settings.candidates("web"), ["web", "web.a.example", "web.b.example"]);
        assert_eq!(settings.candidates("web.example.org."), ["web.example.org"]);
    }

    /// A name server of our own answers once over UDP, cut, and then over TCP.
    #[tokio::test]
    async fn a_cut_answer_is_asked_for_again_over_tcp() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let server = async {
            let mut buffer = [0; 512];
            let (len, peer) = udp.recv_from(&mut buffer).await.unwrap();
            let mut answer = Packet::parse(&buffer[..len]).unwrap().into_reply();
            answer.set_flags(PacketFlag::TRUNCATION);
            udp.send_to(&answer.build_bytes_vec().unwrap(), peer).await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let len = stream.read_u16().await.unwrap();
            let mut buffer = vec![0; usize::from(len)];
            stream.read_exact(&mut buffer).await.unwrap();
            let mut answer = Packet::parse(&buffer).unwrap().into_reply();
            let address = simple_dns::rdata::A { address: u32::from_be_bytes([10, 1, 2, 3]) };
            let name = Name::new("web.example").unwrap();
            answer.answers.push(simple_dns::ResourceRecord::new(name, CLASS::IN, 60, RData::A(address)));
            let bytes = answer.build_bytes_vec().unwrap();
            stream.write_u16(bytes.len() as u16).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        };
        let (answer, ()) = tokio::join!(ask_server(address, "web.example", DnsRecord::A), server);
        assert_eq!(answer.unwrap(), Some(vec![Record::Address("10.1.2.3".parse().unwrap())]));
    }
}
