//! Makes the S3 client: endpoint, region, credentials, timeouts.
//!
//! In: [`S3Options`] and, through `aws-config`, what the AWS tools read too (environment, profile,
//! SSO, process, web identity, container, instance). Out: a client, and its endpoint for messages.
//!
//! The easy mistake is the TLS stack: the client of the SDK's default features is never built; one
//! made of rustls and ring is given to the *loader*, so that calls for credentials use it too.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    Builder, Credentials, ProvideCredentials, RequestChecksumCalculation,
    ResponseChecksumValidation,
};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::fetch::{FetchError, Result};

/// How to reach a bucket. The default asks AWS, with the credentials that its own tools would use.
#[derive(Clone, Debug, Default)]
pub struct S3Options {
    /// URL of another server (`AWS_ENDPOINT_URL` works too).
    pub endpoint: Option<String>,
    /// Region; otherwise `AWS_REGION`, the profile or the instance. With an endpoint: `us-east-1`.
    pub region: Option<String>,
    /// Whether the bucket is named in the path or in the host.
    pub path_style: PathStyle,
    /// Agree to pay for the requests ("requester pays" buckets).
    pub request_payer: bool,
    /// Sign nothing: public data.
    pub anonymous: bool,
    /// Account that must own the bucket; any other is refused by the server.
    pub expected_bucket_owner: Option<String>,
    /// Fixed keys instead of the chain of providers.
    pub keys: Option<Keys>,
    /// How long to wait for what.
    pub patience: Patience,
}

/// An access key with its secret, which `Debug` hides.
#[derive(Clone)]
pub struct Keys {
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
}

impl Keys {
    /// Takes a pair of keys and, for temporary ones, their session token.
    pub fn new(access_key: &str, secret_key: &str, session_token: Option<&str>) -> Keys {
        Keys {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            session_token: session_token.map(str::to_owned),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({}, secret hidden)", self.access_key)
    }
}

/// Whether requests name the bucket in the path (`host/bucket/key`) or in the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathStyle {
    /// In the path if the host of the endpoint is an IP address or `localhost`.
    #[default]
    Auto,
    /// In the path.
    True,
    /// In the host.
    False,
}

/// Limits of waiting.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the first byte of an answer.
    pub first_byte: Duration,
    /// For the next byte of a body.
    pub stall: Duration,
    /// For a whole attempt of a request with a small answer (list, head).
    pub small_answer: Duration,
    /// Before the second attempt for a part; doubles with each one, up to 5 s, and is shortened
    /// at random by up to a half.
    pub first_backoff: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(20),
            stall: Duration::from_secs(20),
            small_answer: Duration::from_secs(30),
            first_backoff: Duration::from_millis(200),
        }
    }
}

impl Patience {
    fn timeouts(&self) -> aws_config::timeout::TimeoutConfigBuilder {
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .read_timeout(self.first_byte)
    }

    /// The settings of one request whose whole answer is small.
    pub(super) fn small_answers(&self) -> Builder {
        let timeouts = self.timeouts().operation_attempt_timeout(self.small_answer);
        Builder::default().timeout_config(timeouts.build())
    }
}

/// The providers of `aws-config`'s default chain with the features that are switched on.
const TRIED: &str = "environment, profile (with SSO and credential_process), web identity token, container (ECS, EKS), instance (IMDS)";

/// Longest time for finding credentials; the instance provider alone needs some seconds to give up.
const CREDENTIALS_WITHIN: Duration = Duration::from_secs(30);

/// A client and the endpoint it talks to, for messages.
pub(super) struct Made {
    pub client: Client,
    pub endpoint: String,
}

/// Makes the client for the location `text`.
pub(super) async fn make(text: &str, options: &S3Options) -> Result<Made> {
    let sdk = load(options).await;
    if !options.anonymous {
        find_credentials(text, &sdk).await?;
    }
    let mut builder = Builder::from(&sdk);
    if sdk.region().is_none() {
        // Nothing says where we are. Another server seldom cares; AWS will name the right region.
        builder = builder.region(Region::new("us-east-1"));
    }
    // Only what is required: other servers know few checksums; parts have none to validate. Both
    // can still be switched on from the environment or the profile.
    if sdk.request_checksum_calculation().is_none() {
        builder = builder.request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    }
    if sdk.response_checksum_validation().is_none() {
        builder = builder.response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    }
    let endpoint = sdk.endpoint_url();
    let in_path = match options.path_style {
        PathStyle::True => true,
        PathStyle::False => false,
        PathStyle::Auto => endpoint.is_some_and(is_local),
    };
    let shown = match (endpoint, sdk.region()) {
        (Some(url), _) => without_user(url),
        (None, Some(region)) => format!("Amazon S3 in {region}"),
        (None, None) => "Amazon S3 in us-east-1".to_owned(),
    };
    Ok(Made {
        client: Client::from_conf(builder.force_path_style(in_path).build()),
        endpoint: shown,
    })
}

async fn load(options: &S3Options) -> SdkConfig {
    // HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case, as webhooks honour them.
    let http =
        aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
            let mut connector = Connector::builder()
                .proxy_config(ProxyConfig::from_env())
                .tls_provider(Provider::Rustls(CryptoMode::Ring));
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
            connector.build()
        });
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .timeout_config(options.patience.timeouts().build())
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        // Downloads have a watchdog of their own, which resumes instead of failing.
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .download_enabled(false)
                .build(),
        );
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    } else if options.endpoint.is_some() {
        // Not the instance: asking a metadata service that is not there takes seconds.
        loader = loader.region(
            RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::builder().build())
                .or_else(Region::new("us-east-1")),
        );
    }
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if options.anonymous {
        loader = loader.no_credentials();
    } else if let Some(keys) = &options.keys {
        loader = loader.credentials_provider(Credentials::new(
            &keys.access_key,
            &keys.secret_key,
            keys.session_token.clone(),
            None,
            "overnight",
        ));
    }
    loader.load().await
}

/// Asks for the credentials once, before anything else, to say clearly that there are none.
async fn find_credentials(text: &str, sdk: &SdkConfig) -> Result<()> {
    let missing = |detail: String| FetchError::Credentials {
        key: text.to_owned(),
        tried: TRIED,
        detail,
    };
    let provider = sdk
        .credentials_provider()
        .ok_or_else(|| missing("no provider is configured".to_owned()))?;
    match tokio::time::timeout(CREDENTIALS_WITHIN, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            tracing::debug!("credentials: {}", super::failure::chain(&error));
            Err(missing("none of the places has any".to_owned()))
        }
        Err(_) => Err(missing(format!("no answer within {CREDENTIALS_WITHIN:?}"))),
    }
}

/// The part of a URL between its scheme and its path.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// A URL as messages may show it: a name and password in it are left out.
fn without_user(url: &str) -> String {
    match authority(url).rsplit_once('@') {
        Some((user, _)) => url.replacen(&format!("{user}@"), "", 1),
        None => url.to_owned(),
    }
}

fn is_local(url: &str) -> bool {
    let authority = authority(url);
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.split(':').next().unwrap_or(host),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_local_if_it_is_an_address_or_localhost() {
        for url in [
            "http://127.0.0.1:9000",
            "http://localhost",
            "https://LOCALHOST:1/x",
            "http://[::1]:9000/",
            "http://user:word@10.0.0.7:80",
        ] {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "https://s3.eu-west-1.amazonaws.com",
            "http://minio:9000",
            "https://localhost.example.org",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let keys = Keys::new("AKIA", "hush", Some("token"));
        let options = S3Options {
            keys: Some(keys),
            ..S3Options::default()
        };
        let shown = format!("{options:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("token"),
            "{shown}"
        );
        assert_eq!(
            without_user("http://me:hush@host:1/x"),
            "http://host:1/x".to_owned()
        );
    }
}
