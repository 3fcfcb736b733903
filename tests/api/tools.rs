//! The tools that people debug with, by reflection alone: grpcurl 1.8.6, which speaks only reflection v1alpha, and buf.
//!
//! They run where `TACTFUL_GRPCURL` and `TACTFUL_BUF` say where they are, as `.ci/run` does.

use std::ffi::OsString;
use std::process::Command;

use tactful::cli::demo::{CALLS, load};
use tactful::grpc::services::SERVICE_NAMES;

use crate::harness::{Api, HandClock, written};

fn tool(variable: &str) -> Option<OsString> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    if path.is_none() {
        eprintln!("skipped: {variable} is not set");
    }
    path
}

/// What a tool printed; it must succeed.
async fn run(program: &OsString, arguments: Vec<String>) -> String {
    let (program, told) = (program.clone(), format!("{arguments:?}"));
    let output = tokio::task::spawn_blocking(move || Command::new(program).args(arguments).output());
    let output = output.await.expect("no panic").expect("the tool runs");
    assert!(output.status.success(), "{told}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

async fn start() -> Api {
    let api = Api::start_with(written(), HandClock::new()).await;
    load(&api.tactful).await.unwrap_or_else(|failure| panic!("{failure:?}"));
    api
}

#[tokio::test]
async fn grpcurl_lists_describes_and_calls() {
    let Some(grpcurl) = tool("TACTFUL_GRPCURL") else { return };
    let api = start().await;
    let address = api.address.to_string();
    let plain = |arguments: &[&str]| -> Vec<String> {
        let plaintext = std::iter::once("-plaintext").chain(arguments.iter().copied());
        plaintext.map(str::to_owned).collect()
    };
    let listed = run(&grpcurl, plain(&[&address, "list"])).await;
    for service in SERVICE_NAMES.into_iter().chain(["grpc.health.v1.Health"]) {
        assert!(listed.lines().any(|line| line == service), "{service} is not in {listed}");
        let described = run(&grpcurl, plain(&[&address, "describe", service])).await;
        assert!(described.contains("is a service"), "{described}");
    }
    for call in &CALLS {
        let method = format!("tactful.v1.{}", call.method);
        let answer = run(&grpcurl, plain(&["-d", call.body, &address, &method])).await;
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer["message"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn buf_curl_lists_and_calls() {
    let Some(buf) = tool("TACTFUL_BUF") else { return };
    let api = start().await;
    let url = format!("http://{}", api.address);
    let curl = |arguments: &[&str]| -> Vec<String> {
        let common = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
        common.iter().chain(arguments).map(|&argument| argument.to_owned()).collect()
    };
    let listed = run(&buf, curl(&["--list-services", &url])).await;
    for service in SERVICE_NAMES {
        assert!(listed.lines().any(|line| line == service), "{service} is not in {listed}");
    }
    for call in &CALLS {
        let method = format!("{url}/tactful.v1.{}", call.method);
        let answer = run(&buf, curl(&["--data", call.body, &method])).await;
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer["message"].is_string(), "{answer}");
    }
}
