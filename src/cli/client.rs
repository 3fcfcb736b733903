//! Connection to a running server, and errors for the calls it rejected.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::output::errln;
use crate::grpc::generated::tactful::v1 as wire;

/// Address of the server, and how the client identifies itself.
#[derive(Debug, Args)]
pub(super) struct ServerAddress {
    /// Server to connect to
    #[arg(long, env = "TACTFUL_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    server: String,
    /// CA certificate that signs the certificate of an https server, PEM
    #[arg(long, env = "TACTFUL_CLIENT_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Client certificate to present to an https server, PEM
    #[arg(long, env = "TACTFUL_CLIENT_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the client certificate, PEM
    #[arg(long, env = "TACTFUL_CLIENT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// File with a bearer token to send with every call
    #[arg(long, env = "TACTFUL_CLIENT_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Connection that sends the token, if there is one.
pub(super) type ServerChannel = InterceptedService<Channel, BearerToken>;

/// Token that is sent with every call, if there is one.
#[derive(Debug, Clone)]
pub(super) struct BearerToken(Option<AsciiMetadataValue>);

impl Interceptor for BearerToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

impl ServerAddress {
    /// Connects to the server.
    pub(super) async fn connect(&self) -> anyhow::Result<ServerChannel> {
        let url = if self.server.contains("://") { self.server.clone() } else { format!("http://{}", self.server) };
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|_| anyhow!("{:?} is not a URL such as http://127.0.0.1:50051", self.server))?;
        let endpoint = endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true);
        let endpoint = match self.tls(&url)? {
            None => endpoint,
            Some(tls) => endpoint.tls_config(tls).context("tls")?,
        };
        let channel = endpoint.connect().await.map_err(|error| {
            let causes = causes_of(&error);
            if let Some(hint) = tls_hint(&causes) {
                return anyhow!("the server at {url} cannot be called: {hint} ({causes})");
            }
            anyhow!("no server answers at {url} ({causes}); start one with `tactful serve`, or set --server")
        })?;
        Ok(InterceptedService::new(channel, self.bearer_token()?))
    }

    fn tls(&self, url: &str) -> anyhow::Result<Option<ClientTlsConfig>> {
        if !url.starts_with("https://") {
            return Ok(None);
        }
        let Some(ca) = &self.tls_ca else {
            bail!("an https server needs --tls-ca, the CA certificate that signs its certificate");
        };
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
        match self.tls_cert.as_deref().zip(self.tls_key.as_deref()) {
            None => Ok(Some(tls)),
            Some((certificate, key)) => Ok(Some(tls.identity(Identity::from_pem(read(certificate)?, read(key)?)))),
        }
    }

    fn bearer_token(&self) -> anyhow::Result<BearerToken> {
        let Some(path) = &self.token_file else { return Ok(BearerToken(None)) };
        let header = format!("Bearer {}", read(path)?.trim());
        let header = header.parse().map_err(|_| anyhow!("{}: is not a token", path.display()))?;
        Ok(BearerToken(Some(header)))
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Texts of an error and its causes. The reason of a failed TLS handshake is several causes down.
fn causes_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Explains an error of TLS, by the words of the library's errors and of the server's answer to the wrong protocol.
fn tls_hint(causes: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| causes.contains(word));
    match () {
        () if has(&["serves gRPC with TLS", "INADEQUATE_SECURITY", "inadequate security"]) => {
            Some("it expects TLS; use an https:// URL with --tls-ca")
        }
        () if has(&["corrupt message", "InvalidContentType"]) => Some("it does not use TLS there; use an http:// URL"),
        () if has(&["CertificateRequired", "certificate required"]) => {
            Some("it requires a client certificate; set --tls-cert and --tls-key")
        }
        // A signature is invalid when another CA has the same name.
        () if has(&["UnknownIssuer", "BadSignature"]) => Some("its certificate is not signed by --tls-ca"),
        () if has(&["NotValidForName"]) => Some("its certificate is for another name than that of --server"),
        () if has(&["invalid peer certificate: Expired"]) => Some("its certificate has expired"),
        () if has(&["received fatal alert"]) => Some("it refuses the client certificate of --tls-cert"),
        // The connection may close before its reason is read.
        () if has(&["operation was canceled", "transport error"]) && !has(&["tcp connect error"]) => Some(
            "it closed the connection; if it expects TLS, use an https:// URL with --tls-ca, and if it requires a client \
             certificate, set --tls-cert and --tls-key",
        ),
        () => None,
    }
}

/// Returns the error for a call that the server rejected, with every invalid field.
pub(super) fn rejected(status: &Status) -> anyhow::Error {
    let details = status.get_error_details();
    let fields = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    if let Some(hint) = tls_hint(&causes_of(status)) {
        return anyhow!("the server cannot be called: {hint}");
    }
    if fields.is_empty() {
        let reason = if status.code() == Code::Unavailable {
            "the server is unavailable".to_owned()
        } else {
            format!("{:?}", status.code())
        };
        return anyhow!("{reason}: {}", status.message());
    }
    let violations: Vec<String> =
        fields.iter().map(|fault| format!("{}: {}", fault.field, fault.description)).collect();
    anyhow!(violations.join("\n       "))
}

/// Prints warnings of the server to standard error, one a line.
pub(super) fn print_warnings<'w>(warnings: impl IntoIterator<Item = &'w wire::Warning>) {
    for wire::Warning { code, subject: _, message } in warnings {
        errln!("warning: {message} ({code})");
    }
}

/// Formats a time as RFC 3339, to the second; a dash for none.
pub(super) fn time_text(at: Option<&prost_types::Timestamp>) -> String {
    let Some(at) = at else { return "-".to_owned() };
    let read = jiff::Timestamp::new(at.seconds, at.nanos);
    read.map_or_else(|_| "?".to_owned(), |at| at.round(jiff::Unit::Second).unwrap_or(at).to_string())
}

/// Formats a time for a table, to the minute: `14 March 2026 09:05 UTC`; a dash for none.
pub(super) fn date_text(at: Option<&prost_types::Timestamp>) -> String {
    let Some(at) = at else { return "-".to_owned() };
    let read = jiff::Timestamp::new(at.seconds, at.nanos);
    read.map_or_else(|_| "?".to_owned(), |at| at.strftime("%-d %B %Y %H:%M UTC").to_string())
}

/// Formats an amount of money; a dash for none.
pub(super) fn money_text(money: Option<&wire::Money>) -> String {
    let Some(money) = money else { return "-".to_owned() };
    let currency = crate::domain::money::Currency::new(&money.currency_code).ok();
    let read = currency.and_then(|currency| crate::domain::money::Money::new(currency, money.units, money.nanos).ok());
    read.map_or_else(|| "?".to_owned(), |money| money.to_string())
}

/// Formats the name of an enum value: `CAP_KIND_UP_SELL` becomes `up-sell`.
pub(super) fn words(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_tls_are_explained() {
        for (causes, hint) in [
            ("transport error: received fatal alert: CertificateRequired", "set --tls-cert"),
            ("transport error: received fatal alert: UnknownCA", "refuses the client certificate"),
            ("transport error: invalid peer certificate: UnknownIssuer", "not signed by --tls-ca"),
            ("transport error: invalid peer certificate: BadSignature", "not signed by --tls-ca"),
            ("transport error: received corrupt message of type InvalidContentType", "use an http:// URL"),
            ("Cancelled: operation was canceled", "if it expects TLS, use an https:// URL"),
        ] {
            let found = tls_hint(causes).expect("a hint");
            assert!(found.contains(hint), "{causes}: {found}");
        }
        assert_eq!(tls_hint("transport error: tcp connect error: connection refused"), None);
        assert_eq!(tls_hint("the policy is invalid"), None);
    }
}
