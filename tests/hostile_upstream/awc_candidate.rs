//! The same table with awc: the record of why upstream traffic does not use it.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{
    cases::{self, Case, Seen},
    server::HostileServer,
};

/// awc, set up as well as it can be: no redirects, no decompression, time limits everywhere.
async fn seen_by_awc(url: &str) -> Seen {
    let client = awc::Client::builder()
        .disable_redirects()
        .no_default_headers()
        .timeout(Duration::from_millis(600))
        .finish();
    let request = client
        .post(url)
        .no_decompress()
        .send_body(r#"{"model":"m"}"#);
    let Ok(response) = request.await else {
        return Seen::NoAnswer;
    };
    let status = response.status().as_u16();
    let mut response = response.timeout(Duration::from_millis(600));
    let mut text = Vec::new();
    while let Some(chunk) = response.next().await {
        match chunk {
            Ok(chunk) => text.extend_from_slice(&chunk),
            Err(_) => return Seen::BrokenOff(status, String::from_utf8(text).unwrap()),
        }
    }
    Seen::Whole(status, String::from_utf8(text).unwrap())
}

async fn fails(case: Case) -> Option<(&'static str, Seen)> {
    let server = HostileServer::start(vec![case.script]).await;
    let seen = tokio::time::timeout(Duration::from_secs(3), seen_by_awc(&server.url()))
        .await
        .unwrap_or(Seen::Hung);
    (seen != case.expected).then_some((case.name, seen))
}

/// When this fails, awc has changed: read `docs/adr/0001-http-client.md` and decide anew.
#[actix_rt::test]
async fn awc_still_has_the_defects_that_the_decision_rests_on() {
    let failed: Vec<(&str, Seen)> = stream::iter(cases::all())
        .map(fails)
        .buffer_unordered(8)
        .filter_map(std::future::ready)
        .collect()
        .await;
    for name in [
        "length longer than the body",
        "chunked, cut inside a chunk",
        "chunked, cut before the last chunk",
        "half an sse event, then the end",
        "close-delimited json",
        "close-delimited sse",
        "connection: close, no length",
        "one 100 continue before the answer",
    ] {
        assert!(
            failed.iter().any(|(case, _)| *case == name),
            "awc now passes `{name}`; it fails these: {failed:#?}"
        );
    }
}
