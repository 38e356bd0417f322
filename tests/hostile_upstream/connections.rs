//! Connections: made, reused, refused, never answered.

use std::time::Duration;

use futures_util::StreamExt;
use postroom_actors::ports::{Credential, Upstream, UpstreamError};
use tokio::net::{TcpSocket, TcpStream};

use super::{
    server::{HostileServer, Step, send},
    through_port::{post, read, upstream},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[actix_rt::test]
async fn a_sound_connection_is_used_again() {
    let script = vec![send(OK), Step::NextRequest, send(OK)];
    let server = HostileServer::start(vec![script]).await;
    let upstream = upstream();
    for _ in 0..2 {
        let response = upstream.send(post(&server.url())).await.unwrap();
        assert_eq!(read(response).await, ("ok".to_owned(), None));
    }
    assert_eq!(server.connections(), 1);
}

#[actix_rt::test]
async fn a_reused_connection_that_dies_without_a_byte_is_replaced_once() {
    for end in [vec![], vec![Step::Reset]] {
        let mut dies = vec![send(OK), Step::NextRequest];
        dies.extend(end);
        let server = HostileServer::start(vec![dies, vec![send(OK)]]).await;
        let upstream = upstream();
        for _ in 0..2 {
            let response = upstream.send(post(&server.url())).await.unwrap();
            assert_eq!(read(response).await, ("ok".to_owned(), None));
        }
        assert_eq!(server.connections(), 2);
    }
}

#[actix_rt::test]
async fn a_reused_connection_that_dies_inside_the_head_is_an_error() {
    let dies = vec![send(OK), Step::NextRequest, send("HTTP/1.1 20")];
    let server = HostileServer::start(vec![dies, vec![send(OK)]]).await;
    let upstream = upstream();
    let response = upstream.send(post(&server.url())).await.unwrap();
    assert_eq!(read(response).await.1, None);
    let error = upstream.send(post(&server.url())).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Broken(_)), "{error:?}");
    assert_eq!(server.connections(), 1, "the request was sent twice");
}

#[actix_rt::test]
async fn a_fresh_connection_that_dies_is_not_tried_again() {
    let server = HostileServer::start(vec![vec![]]).await;
    let error = upstream().send(post(&server.url())).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Broken(_)), "{error:?}");
    assert_eq!(server.connections(), 1);
}

#[actix_rt::test]
async fn nobody_listening_is_a_connect_error() {
    // Bound and not listening: nobody else can take the port meanwhile.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let error = upstream().send(post(&url)).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Connect(_)), "{error:?}");
}

#[actix_rt::test]
async fn a_connection_that_is_never_made_ends_at_the_connect_limit() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once the queue is full, the system drops further attempts.
    let mut fillers = Vec::new();
    loop {
        let filler = TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(200), filler).await {
            Ok(connected) => fillers.push(connected.unwrap()),
            Err(_full) => break,
        }
        assert!(fillers.len() < 100, "the queue never fills");
    }
    let request = post(&format!("http://{address}/"));
    assert_eq!(
        upstream().send(request).await.unwrap_err(),
        UpstreamError::TimedOut("the connection")
    );
}

#[actix_rt::test]
async fn what_cannot_be_asked_says_so_and_never_shows_the_key() {
    let server = HostileServer::start(vec![vec![send(OK)]]).await;
    let mut bad_key = post(&server.url());
    bad_key.credential = Credential::Bearer("canary\nkey".into());
    let bad_scheme = post("ftp://127.0.0.1/");
    let bad_url = post("http://[");
    for request in [bad_key, bad_scheme, bad_url] {
        let error = upstream().send(request).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Unaskable(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[actix_rt::test]
async fn tls_to_a_plain_server_is_a_connect_error() {
    let server = HostileServer::start(vec![vec![send(OK)]]).await;
    let request = post(&server.url().replace("http://", "https://"));
    let error = upstream().send(request).await.unwrap_err();
    assert!(
        matches!(
            error,
            UpstreamError::Connect(_) | UpstreamError::TimedOut(_)
        ),
        "{error:?}"
    );
}

#[actix_rt::test]
async fn a_body_of_5_gb_is_the_readers_to_stop() {
    let head = send("HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n");
    let flood = Step::Repeat(vec![b'x'; 256 * 1024], Duration::ZERO);
    let server = HostileServer::start(vec![vec![head, flood]]).await;
    let mut response = upstream().send(post(&server.url())).await.unwrap();
    let mut largest = 0;
    let mut total = 0;
    while total < 50_000_000 {
        let chunk = response.body.next().await.unwrap().unwrap();
        largest = largest.max(chunk.len());
        total += chunk.len();
    }
    assert!(largest <= 1024 * 1024, "one chunk of {largest} bytes");
}
