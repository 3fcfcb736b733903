//! Calls a running server, and tells in one line what it refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::failure::Failure;
use crate::grpc::generated::tactful::v1 as wire;

/// Which server to ask.
#[derive(Debug, Args)]
pub struct ServerAddress {
    /// The server to ask
    #[arg(long, env = "TACTFUL_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    server: String,
    /// Who signs the certificate of an https server, PEM
    #[arg(long, env = "TACTFUL_CLIENT_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The certificate to show to an https server, PEM
    #[arg(long, env = "TACTFUL_CLIENT_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate, PEM
    #[arg(long, env = "TACTFUL_CLIENT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The bearer token to show to the server
    #[arg(long, env = "TACTFUL_CLIENT_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// A connection that shows the token, if there is one.
pub type ServerChannel = InterceptedService<Channel, Bearer>;

/// Shows a token with every call.
#[derive(Debug, Clone)]
pub struct Bearer(Option<AsciiMetadataValue>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

impl ServerAddress {
    /// Connects, or says that nobody answers.
    pub async fn connect(&self) -> Result<ServerChannel, Failure> {
        let url = if self.server.contains("://") { self.server.clone() } else { format!("http://{}", self.server) };
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|_| Failure(format!("{:?} is not a URL such as http://127.0.0.1:50051", self.server)))?;
        let endpoint = endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true);
        let endpoint = match self.tls(&url)? {
            None => endpoint,
            Some(tls) => endpoint.tls_config(tls).map_err(|error| Failure(format!("tls: {error}")))?,
        };
        let channel = endpoint.connect().await.map_err(|error| {
            // What a handshake was refused for is two levels down.
            let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(" ({cause})"));
            Failure(format!(
                "no server answers at {url}{cause}; start one with `tactful serve`, or name another with --server"
            ))
        })?;
        Ok(InterceptedService::new(channel, self.bearer()?))
    }

    fn tls(&self, url: &str) -> Result<Option<ClientTlsConfig>, Failure> {
        if !url.starts_with("https://") {
            return Ok(None);
        }
        let Some(ca) = &self.tls_ca else {
            return Err(Failure("an https server needs --tls-ca: who signs its certificate".to_owned()));
        };
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(file(ca)?));
        match self.tls_cert.as_deref().zip(self.tls_key.as_deref()) {
            None => Ok(Some(tls)),
            Some((certificate, key)) => Ok(Some(tls.identity(Identity::from_pem(file(certificate)?, file(key)?)))),
        }
    }

    fn bearer(&self) -> Result<Bearer, Failure> {
        let Some(path) = &self.token_file else { return Ok(Bearer(None)) };
        let header = format!("Bearer {}", file(path)?.trim());
        let header = header.parse().map_err(|_| Failure(format!("{}: not a token", path.display())))?;
        Ok(Bearer(Some(header)))
    }
}

fn file(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure(format!("{}: {error}", path.display())))
}

/// What the server refused, every bad field named.
pub fn refused(status: &Status) -> Failure {
    let details = status.get_error_details();
    let fields = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    if fields.is_empty() {
        let what = if status.code() == Code::Unavailable {
            "the server cannot answer now".to_owned()
        } else {
            format!("{:?}", status.code())
        };
        return Failure(format!("{what}: {}", status.message()));
    }
    let told: Vec<String> = fields.iter().map(|fault| format!("{}: {}", fault.field, fault.description)).collect();
    Failure(told.join("\n       "))
}

/// A moment as RFC 3339; a dash for none.
pub fn time_text(at: Option<&prost_types::Timestamp>) -> String {
    let Some(at) = at else { return "-".to_owned() };
    let read = jiff::Timestamp::new(at.seconds, at.nanos);
    read.map_or_else(|_| "?".to_owned(), |at| at.round(jiff::Unit::Second).unwrap_or(at).to_string())
}

/// An amount as people write it; a dash for none.
pub fn money_text(money: Option<&wire::Money>) -> String {
    let Some(money) = money else { return "-".to_owned() };
    let currency = crate::domain::money::Currency::new(&money.currency_code).ok();
    let read = currency.and_then(|currency| crate::domain::money::Money::new(currency, money.units, money.nanos).ok());
    read.map_or_else(|| "?".to_owned(), |money| money.to_string())
}

/// A name of an enum of the wire in words: `CAP_KIND_UP_SELL` becomes `up-sell`.
pub fn words(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', "-")
}
