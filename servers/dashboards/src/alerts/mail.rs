//! Handing mails to a server: SMTP (RFC 5321) with STARTTLS, implicit TLS, and AUTH PLAIN or LOGIN.

use std::sync::Arc;
use std::time::Duration;

use alerting::notify::{Mail, Outcome};
use base64::Engine;
use kit::client::TlsConfig;
use kit::config::Secret;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Longest line and most lines of an answer.
const MAX_LINE: usize = 4096;
const MAX_LINES: usize = 100;

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Answers are read through the buffer, commands are written past it.
type Connection = BufReader<Box<dyn Io>>;

/// Why a mail was not taken: for now (tried again) or for good.
#[derive(Debug, PartialEq)]
enum Failure {
    Later(String),
    Never(String),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

pub(super) async fn send_all(mails: Vec<Mail>, timeout: Duration) -> Outcome {
    let work = async {
        for mail in &mails {
            send(mail).await?;
        }
        Ok(())
    };
    match tokio::time::timeout(timeout, work).await {
        Ok(Ok(())) => Outcome::MailAccepted,
        Ok(Err(Failure::Later(error))) => Outcome::Network(error),
        Ok(Err(Failure::Never(error))) => Outcome::Rejected(error),
        Err(_) => Outcome::Timeout,
    }
}

fn connector(mail: &Mail) -> Result<TlsConnector, Failure> {
    let mut settings = TlsConfig::default();
    if let Some(tls) = &mail.tls_config {
        settings.insecure_skip_verify = tls.insecure_skip_verify;
        settings.ca.clone_from(&tls.ca);
        settings.cert.clone_from(&tls.cert);
        settings.key = Secret::new(tls.key.expose());
        let path = |text: &str| (!text.is_empty()).then(|| text.into());
        settings.ca_file = path(&tls.ca_file);
        settings.cert_file = path(&tls.cert_file);
        settings.key_file = path(&tls.key_file);
    }
    let config = kit::client::tls_client_config(&settings).map_err(Failure::Never)?;
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn encrypt(mail: &Mail, stream: Box<dyn Io>) -> Result<Box<dyn Io>, Failure> {
    let own = mail.tls_config.as_ref().map_or("", |tls| tls.server_name.as_str());
    let name = if own.is_empty() { mail.smarthost.host.clone() } else { own.to_owned() };
    let name = ServerName::try_from(name).map_err(|error| Failure::Never(error.to_string()))?;
    let stream = connector(mail)?.connect(name, stream).await?;
    Ok(Box::new(stream))
}

async fn send(mail: &Mail) -> Result<(), Failure> {
    let port = match mail.smarthost.port.as_str() {
        "" | "smtp" => 25,
        "smtps" => 465,
        "submission" => 587,
        port => port.parse().map_err(|_| Failure::Never(format!("{port:?} is no port of a mail server")))?,
    };
    let tcp = TcpStream::connect((mail.smarthost.host.as_str(), port)).await?;
    let implicit = mail.implicit_tls.unwrap_or(port == 465);
    let mut stream: Box<dyn Io> = Box::new(tcp);
    if implicit {
        stream = encrypt(mail, stream).await?;
    }
    let mut connection = BufReader::new(stream);
    expect(&mut connection, 220, "greeting").await?;
    let mut offered = hello(&mut connection, mail).await?;
    let has = |offered: &[String], word: &str| offered.iter().any(|line| line.eq_ignore_ascii_case(word));
    if !implicit && has(&offered, "STARTTLS") {
        command(&mut connection, "STARTTLS", 220).await?;
        // Whatever came in the clear behind the answer is not to be believed.
        if !connection.buffer().is_empty() {
            return Err(Failure::Never("the mail server sent more than its answer to STARTTLS".into()));
        }
        connection = BufReader::new(encrypt(mail, connection.into_inner()).await?);
        offered = hello(&mut connection, mail).await?;
    } else if !implicit && mail.require_tls {
        return Err(Failure::Never("the mail server does not offer STARTTLS, which is demanded".into()));
    }
    if !mail.auth_username.is_empty() {
        log_in(&mut connection, mail, &offered).await?;
    }
    let address = |text: &str| match text.chars().any(|c| c.is_control() || c == '<' || c == '>') {
        true => Err(Failure::Never(format!("{text:?} is no address"))),
        false => Ok(text.to_owned()),
    };
    command(&mut connection, &format!("MAIL FROM:<{}>", address(&mail.from)?), 250).await?;
    for to in &mail.to {
        command(&mut connection, &format!("RCPT TO:<{}>", address(to)?), 250).await?;
    }
    command(&mut connection, "DATA", 354).await?;
    connection.write_all(&stuffed(&content(mail))).await?;
    connection.write_all(b".\r\n").await?;
    connection.flush().await?;
    expect(&mut connection, 250, "message").await?;
    // It was taken; how the server says goodbye does not matter.
    let _ = command(&mut connection, "QUIT", 221).await;
    Ok(())
}

async fn hello(connection: &mut Connection, mail: &Mail) -> Result<Vec<String>, Failure> {
    let name = if mail.hello.is_empty() { "localhost" } else { &mail.hello };
    if name.contains(char::is_whitespace) {
        return Err(Failure::Never(format!("{name:?} is no name to greet a mail server with")));
    }
    command(connection, &format!("EHLO {name}"), 250).await
}

async fn log_in(connection: &mut Connection, mail: &Mail, offered: &[String]) -> Result<(), Failure> {
    let ways = offered.iter().find_map(|line| line.strip_prefix("AUTH ")).unwrap_or("").to_uppercase();
    let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let (user, password) = (&mail.auth_username, mail.auth_password.expose());
    if ways.split(' ').any(|way| way == "PLAIN") {
        let token = encode(format!("{}\0{user}\0{password}", mail.auth_identity));
        command(connection, &format!("AUTH PLAIN {token}"), 235).await?;
    } else if ways.split(' ').any(|way| way == "LOGIN") {
        command(connection, "AUTH LOGIN", 334).await?;
        command(connection, &encode(user.clone()), 334).await?;
        command(connection, &encode(password.to_owned()), 235).await?;
    } else {
        return Err(Failure::Never(format!(
            "the mail server offers neither AUTH PLAIN nor LOGIN (it offers {ways:?})"
        )));
    }
    Ok(())
}

async fn command(connection: &mut Connection, line: &str, code: u16) -> Result<Vec<String>, Failure> {
    connection.write_all(line.as_bytes()).await?;
    connection.write_all(b"\r\n").await?;
    connection.flush().await?;
    // Credentials are not repeated in errors.
    let what = line.split([' ', ':']).next().unwrap_or("");
    expect(connection, code, what).await
}

/// The lines of an answer, without their codes.
async fn expect(connection: &mut Connection, code: u16, what: &str) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    loop {
        let mut raw = Vec::new();
        let mut limited = tokio::io::AsyncReadExt::take(&mut *connection, MAX_LINE as u64);
        limited.read_until(b'\n', &mut raw).await?;
        if !raw.ends_with(b"\n") || lines.len() >= MAX_LINES {
            return Err(Failure::Later(format!("{what}: the mail server's answer ends early or is too long")));
        }
        let line = String::from_utf8_lossy(&raw).trim_end().to_owned();
        let (head, text) = line.split_at_checked(3).unwrap_or((&line, ""));
        let more = text.starts_with('-');
        lines.push(text.get(1..).unwrap_or("").to_owned());
        if more {
            continue;
        }
        let found: u16 = head.parse().unwrap_or(0);
        let message = format!("{what}: {found} {}", lines.join(" "));
        return match found {
            found if found == code || (code == 250 && found == 251) => Ok(lines),
            400..=499 => Err(Failure::Later(message)),
            _ => Err(Failure::Never(message)),
        };
    }
}

/// The message as RFC 5322 and MIME write it.
fn content(mail: &Mail) -> String {
    let mut out = String::new();
    for (name, value) in &mail.headers {
        // Whatever a template made of a header stays in its line.
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("MIME-Version: 1.0\r\n");
    let part = |kind: &str, text: &str| {
        let mut part = format!("Content-Type: {kind}; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        for line in encoded.as_bytes().chunks(76) {
            part.push_str(&String::from_utf8_lossy(line));
            part.push_str("\r\n");
        }
        part
    };
    match (&mail.text, &mail.html) {
        (Some(text), Some(html)) => {
            let boundary = crate::store::checksum(format!("{text}{html}").as_bytes());
            out.push_str(&format!("Content-Type: multipart/alternative; boundary={boundary}\r\n\r\n"));
            for (kind, text) in [("text/plain", text), ("text/html", html)] {
                out.push_str(&format!("--{boundary}\r\n{}", part(kind, text)));
            }
            out.push_str(&format!("--{boundary}--\r\n"));
        }
        (None, Some(html)) => out.push_str(&part("text/html", html)),
        (text, None) => out.push_str(&part("text/plain", text.as_deref().unwrap_or(""))),
    }
    out
}

/// A line that begins with a dot gets another one, and every line ends with CRLF.
fn stuffed(content: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 64);
    for line in content.lines() {
        if line.starts_with('.') {
            out.push(b'.');
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            smarthost: Default::default(),
            hello: String::new(),
            from: "a@x".into(),
            to: vec!["b@x".into()],
            headers: vec![("Subject".into(), "Down\r\nBcc: c@x".into())],
            text: Some("text".into()),
            html: Some("<p>".into()),
            auth_username: String::new(),
            auth_password: Default::default(),
            auth_secret: Default::default(),
            auth_identity: String::new(),
            require_tls: false,
            implicit_tls: None,
            tls_config: None,
        }
    }

    #[test]
    fn a_message_has_its_parts_and_no_header_that_nobody_set() {
        let text = content(&mail());
        assert!(
            text.starts_with("Subject: DownBcc: c@x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative;"),
            "{text}"
        );
        assert!(text.contains("dGV4dA==\r\n") && text.contains("PHA+\r\n"), "{text}");
        assert_eq!(stuffed("a\n.b\r\n..c"), b"a\r\n..b\r\n...c\r\n");
    }

    #[tokio::test]
    async fn a_mail_is_handed_in() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 hi\r\n").await.unwrap();
            let (mut seen, mut in_data) = (Vec::new(), false);
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap() == 0 {
                    return seen;
                }
                let line = line.trim_end().to_owned();
                let answer: &[u8] = match line.as_str() {
                    "." => {
                        in_data = false;
                        b"250 ok\r\n"
                    }
                    _ if in_data => b"",
                    "DATA" => {
                        in_data = true;
                        b"354 go\r\n"
                    }
                    "QUIT" => b"221 bye\r\n",
                    _ if line.starts_with("EHLO") => b"250-host\r\n250 8BITMIME\r\n",
                    _ => b"250 ok\r\n",
                };
                stream.write_all(answer).await.unwrap();
                seen.push(line);
            }
        });
        let mut mail = mail();
        mail.smarthost =
            alerting::notify::config::secret::HostPort { host: "127.0.0.1".into(), port: port.to_string() };
        assert_eq!(send_all(vec![mail], Duration::from_secs(60)).await, Outcome::MailAccepted);
        let seen = server.await.unwrap();
        assert_eq!(seen[..4], ["EHLO localhost", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA"]);
        assert!(seen.contains(&"QUIT".to_owned()));
    }
}
