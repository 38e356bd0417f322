//! The table, through the port.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use postroom::adapters::upstream_http::{TlsSetup, UpstreamHttp};
use postroom_actors::ports::{
    Credential, Upstream, UpstreamError, UpstreamRequest, UpstreamResponse, UpstreamTimeouts,
};

use super::{
    cases::{self, Case, Seen},
    server::HostileServer,
};

pub(crate) const TIMEOUTS: UpstreamTimeouts = UpstreamTimeouts {
    connect: Duration::from_millis(400),
    first_byte: Duration::from_millis(600),
    idle: Duration::from_millis(600),
    whole: Duration::from_millis(1500),
};

pub(crate) fn post(url: &str) -> UpstreamRequest {
    UpstreamRequest {
        method: "POST",
        url: url.into(),
        credential: Credential::Bearer("canary-key".into()),
        headers: vec![("content-type", "application/json".to_owned())],
        body: Bytes::from_static(br#"{"model":"m"}"#),
        timeouts: TIMEOUTS,
    }
}

pub(crate) fn upstream() -> UpstreamHttp {
    UpstreamHttp::new(TlsSetup::default())
}

/// Reads a body to its end or error.
pub(crate) async fn read(response: UpstreamResponse) -> (String, Option<UpstreamError>) {
    let mut body = response.body;
    let mut text = Vec::new();
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => text.extend_from_slice(&chunk),
            Err(error) => return (String::from_utf8(text).unwrap(), Some(error)),
        }
    }
    (String::from_utf8(text).unwrap(), None)
}

pub(crate) async fn seen_by_port(url: &str) -> Seen {
    match upstream().send(post(url)).await {
        Err(_) => Seen::NoAnswer,
        Ok(response) => {
            let status = response.status;
            match read(response).await {
                (text, None) => Seen::Whole(status, text),
                (text, Some(_)) => Seen::BrokenOff(status, text),
            }
        }
    }
}

async fn run(case: Case) -> Option<String> {
    let server = HostileServer::start(vec![case.script]).await;
    let seen = tokio::time::timeout(Duration::from_secs(4), seen_by_port(&server.url()))
        .await
        .unwrap_or(Seen::Hung);
    (seen != case.expected)
        .then(|| format!("{}: expected {:?}, saw {seen:?}", case.name, case.expected))
}

#[actix_rt::test]
async fn every_case_ends_as_the_table_says() {
    let wrong: Vec<String> = stream::iter(cases::all())
        .map(run)
        .buffer_unordered(8)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[actix_rt::test]
async fn time_limits_say_which_one_was_passed() {
    use super::server::{FOREVER, Step, send};
    let silent = HostileServer::start(vec![vec![Step::Wait(FOREVER)]]).await;
    assert_eq!(
        upstream().send(post(&silent.url())).await.unwrap_err(),
        UpstreamError::TimedOut("the head of the answer")
    );
    let head = || send("HTTP/1.1 200 OK\r\n\r\n");
    let stalled = HostileServer::start(vec![vec![head(), Step::Wait(FOREVER)]]).await;
    let response = upstream().send(post(&stalled.url())).await.unwrap();
    assert_eq!(
        read(response).await.1,
        Some(UpstreamError::TimedOut("the next chunk of the answer"))
    );
    let drip = Step::Repeat(b"x".to_vec(), Duration::from_millis(50));
    let dripping = HostileServer::start(vec![vec![head(), drip]]).await;
    let response = upstream().send(post(&dripping.url())).await.unwrap();
    assert_eq!(
        read(response).await.1,
        Some(UpstreamError::TimedOut("the end of the answer"))
    );
}
