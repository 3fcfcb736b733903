//! The usual tools: a real grpcurl and a real buf, which learn the API by reflection.
//!
//! `.ci/run` installs both and sets `TACTFUL_GRPCURL` and `TACTFUL_BUF`; without these variables the tests print that they are
//! skipped, and pass.

use std::process::Command;

use serde_json::Value;
use tactful::grpc::services::SERVICE_NAMES;

use super::shop::open_shop;

const PREVIEW: &str = r#"{"customer_id":"ada","mode":"SERVING_MODE_PREVIEW"}"#;

fn tool(variable: &str) -> Option<String> {
    let path = std::env::var(variable).ok().filter(|path| !path.is_empty());
    if path.is_none() {
        println!("skipped: {variable} is not set");
    }
    path
}

/// Runs a tool and returns its output.
async fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("does not panic").expect("runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("prints UTF-8")
}

fn assert_is_a_slate(printed: &str) {
    let answer: Value = serde_json::from_str(printed).expect("prints JSON");
    assert_eq!(answer["offers"].as_array().map(Vec::len), Some(3), "{printed}");
    assert_eq!(answer["offers"][0]["reasons"][0]["text"], "made to go with The kettle", "{printed}");
}

#[tokio::test]
async fn grpcurl_lists_describes_and_calls() {
    let Some(grpcurl) = tool("TACTFUL_GRPCURL") else { return };
    let shop = open_shop().await;
    let address = shop.address.to_string();
    let listed = run(&grpcurl, &["-plaintext", &address, "list"]).await;
    for service in SERVICE_NAMES {
        assert!(listed.lines().any(|line| line == service), "{service} is missing: {listed}");
    }
    for service in SERVICE_NAMES {
        let described = run(&grpcurl, &["-plaintext", &address, "describe", service]).await;
        assert!(described.contains("is a service") && described.contains("rpc "), "{described}");
    }
    let method = "tactful.v1.OfferService/CrossSell";
    assert_is_a_slate(&run(&grpcurl, &["-plaintext", "-d", PREVIEW, &address, method]).await);
}

/// Details of errors are packed messages, which a tool prints only when reflection knows their types.
/// Broken by: descriptors without the messages of error details.
#[tokio::test]
async fn grpcurl_prints_the_details_of_errors() {
    let Some(grpcurl) = tool("TACTFUL_GRPCURL") else { return };
    let shop = open_shop().await;
    let address = shop.address.to_string();
    let printed = |method: &'static str, request: &'static str| {
        let mut command = Command::new(&grpcurl);
        command.args(["-plaintext", "-d", request, &address, method]);
        async move {
            let output = tokio::task::spawn_blocking(move || command.output()).await.expect("does not panic");
            String::from_utf8(output.expect("runs").stderr).expect("prints UTF-8")
        }
    };
    let invalid = printed("tactful.v1.OfferService/CrossSell", r#"{"customer_id":""}"#).await;
    for part in ["google.rpc.BadRequest", "customer_id", "must not be empty", "INVALID_FIELDS"] {
        assert!(invalid.contains(part), "{part} is missing: {invalid}");
    }
    let unmet = printed("tactful.v1.PolicyService/RollBackPolicy", r#"{"version":"default-1"}"#).await;
    assert!(unmet.contains("google.rpc.ErrorInfo") && unmet.contains("NO_POLICY_BEFORE"), "{unmet}");
}

#[tokio::test]
async fn buf_curl_lists_and_calls() {
    let Some(buf) = tool("TACTFUL_BUF") else { return };
    let shop = open_shop().await;
    let address = format!("http://{}", shop.address);
    let curl = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
    let listed = run(&buf, &[curl.as_slice(), &["--list-services", &address]].concat()).await;
    for service in SERVICE_NAMES {
        assert!(listed.lines().any(|line| line.trim() == service), "{service} is missing: {listed}");
    }
    let listed = run(&buf, &[curl.as_slice(), &["--list-methods", &address]].concat()).await;
    assert!(listed.contains("tactful.v1.OfferService/UpSell"), "{listed}");
    let method = format!("{address}/tactful.v1.OfferService/CrossSell");
    assert_is_a_slate(&run(&buf, &[curl.as_slice(), &["--data", PREVIEW, &method]].concat()).await);
}
