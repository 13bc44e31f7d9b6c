//! Posts a document to a URL.
//!
//! The client waits on a thread of its own. A redirect is no answer, because it could lead a secret
//! header elsewhere. Certificates are checked against those of the operating system.

use super::{Answer, Said};
use crate::secret::Secret;
use std::io::Read;
use std::time::{Duration, Instant};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// The most of an answer that is read.
const MOST_BYTES: u64 = 64 << 10;

/// Posts `document` as JSON.
pub async fn post(
    url: Secret,
    headers: Vec<(String, Secret)>,
    document: String,
    timeout: Duration,
) -> Answer {
    let posted =
        tokio::task::spawn_blocking(move || post_now(&url, &headers, &document, timeout)).await;
    posted.unwrap_or_else(|_| Answer::no("the request was given up"))
}

fn post_now(
    url: &Secret,
    headers: &[(String, Secret)],
    document: &str,
    timeout: Duration,
) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("overnight/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots()).build())
        .build()
        .into();
    let began = Instant::now();
    let mut request = agent
        .post(url.expose())
        .header("Content-Type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value.expose());
    }
    let mut response = match request.send(document) {
        Ok(response) => response,
        Err(error) => return Answer::no(why(&error, timeout)),
    };
    let mut said = Said::default();
    let mut body = response.body_mut().as_reader().take(MOST_BYTES);
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = body.read(&mut buffer) {
        said.take(&buffer[..read]);
    }
    let seconds = began.elapsed().as_secs_f64();
    let status = response.status();
    Answer {
        ok: status.is_success(),
        text: format!(
            "HTTP status {} after {seconds:.1} s, {said}",
            status.as_u16()
        ),
    }
}

/// The certificates of the operating system; where it has none, those of the browsers.
fn roots() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    let each = found.iter();
    each.map(|certificate| Certificate::from_der(certificate).to_owned())
        .into()
}

/// What happened, without the URL: its path is often the secret.
fn why(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {:.1} s", timeout.as_secs_f64()),
        ureq::Error::HostNotFound => "the host is not found".into(),
        ureq::Error::ConnectionFailed => "the connection failed".into(),
        ureq::Error::Io(error) => format!("the connection failed: {}", error.kind()),
        ureq::Error::Tls(why) => format!("TLS: {why}"),
        ureq::Error::Rustls(error) => format!("TLS: {error}"),
        ureq::Error::BadUri(_) => "the URL cannot be read".into(),
        _ => "the request failed".into(),
    }
}
