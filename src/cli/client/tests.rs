//! The client against a small server of our own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    sync::mpsc,
    thread,
};

use serde_json::json;
use tempfile::TempDir;

use super::*;

/// A request as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Seen {
    pub(in crate::cli) line: String,
    pub(in crate::cli) headers: Vec<String>,
    pub(in crate::cli) body: String,
}

/// What the server answers with: everything after `HTTP/1.1 `.
pub(in crate::cli) type Answer = Box<dyn FnMut(&Seen) -> String + Send>;

/// Answers each connection once, and tells what was asked.
pub(in crate::cli) fn server(mut answer: Answer) -> (String, mpsc::Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (seen, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut head = Vec::new();
            while let Some(line) = (&mut reader).lines().next().transpose().unwrap() {
                if line.is_empty() {
                    break;
                }
                head.push(line);
            }
            let length = head.iter().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            let request = Seen {
                line: head.remove(0),
                headers: head,
                body: String::from_utf8(body).unwrap(),
            };
            let text = answer(&request);
            if seen.send(request).is_err() {
                return;
            }
            drop(write!(reader.get_mut(), "HTTP/1.1 {text}"));
        }
    });
    (endpoint, requests)
}

/// A whole JSON answer.
pub(in crate::cli) fn json_answer(status: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "{status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A home whose runtime file leads to an endpoint.
pub(in crate::cli) fn home(endpoint: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    let runtime = RuntimeFile {
        pid: std::process::id(),
        endpoint: endpoint.to_owned(),
        certificate: None,
        key: "key-of-this-run".to_owned(),
        version: "0.1.0".to_owned(),
    };
    runtime.write(home.path()).unwrap();
    home
}

fn ask(home: &Path, path: &str) -> Result<Value, ClientError> {
    let client = Client::of_home(home)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(client.get(path))
}

#[test]
fn the_key_of_the_run_goes_along_and_the_answer_comes_back() {
    let (endpoint, requests) = server(Box::new(|_| json_answer("200 OK", &json!({"agents": []}))));
    let home = home(&endpoint);
    assert_eq!(ask(home.path(), "/agents").unwrap(), json!({"agents": []}));
    let seen = requests.recv().unwrap();
    assert_eq!(seen.line, "GET /agents HTTP/1.1");
    assert!(
        seen.headers
            .contains(&"authorization: Bearer key-of-this-run".to_owned()),
        "{seen:?}"
    );
}

#[test]
fn a_refusal_is_told_in_the_services_words() {
    for (status, code) in [
        ("404 Not Found", exit::FAILURE),
        ("401 Unauthorized", exit::NO_PERMISSION),
        ("503 Service Unavailable", exit::TEMPORARY),
        ("429 Too Many Requests", exit::TEMPORARY),
    ] {
        let body = json!({"status": "error", "error": {"message": "no agent `bob`"}});
        let (endpoint, _requests) = server(Box::new(move |_| json_answer(status, &body)));
        let error = ask(home(&endpoint).path(), "/agents/bob").unwrap_err();
        assert_eq!(error.to_string(), "no agent `bob`");
        assert_eq!(error.exit_code(), code);
    }
}

#[test]
fn an_answer_that_is_no_json_is_no_answer() {
    let (endpoint, _requests) = server(Box::new(|_| {
        "200 OK\r\nContent-Length: 2\r\n\r\nhi".to_owned()
    }));
    let error = ask(home(&endpoint).path(), "/agents").unwrap_err();
    assert!(error.to_string().contains("not understood"), "{error}");
    assert_eq!(error.exit_code(), exit::UNAVAILABLE);
}

#[test]
fn without_a_runtime_file_one_is_told_how_to_start() {
    let home = TempDir::new().unwrap();
    let error = ask(home.path(), "/agents").unwrap_err();
    assert_eq!(
        error.to_string(),
        "postroom is not running; start it with `postroom daemon`"
    );
    assert_eq!(error.exit_code(), exit::UNAVAILABLE);
}

#[test]
fn a_file_that_was_left_behind_is_called_stale() {
    // Bound and not listening: nobody answers, and nobody else can take the port meanwhile.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let home = home(&endpoint);
    let lives = ask(home.path(), "/health").unwrap_err().to_string();
    assert!(
        lives.starts_with("postroom is not running (stale `") && lives.contains("lives but http:"),
        "{lives}"
    );
    let mut runtime = RuntimeFile::read(home.path()).unwrap().unwrap();
    runtime.pid = 0x7fff_fffe;
    runtime.write(home.path()).unwrap();
    let gone = ask(home.path(), "/health").unwrap_err().to_string();
    assert!(gone.contains("process 2147483646 is gone"), "{gone}");
}

#[test]
fn an_endpoint_that_is_everywhere_is_asked_here() {
    for (endpoint, address) in [
        ("http://0.0.0.0:7011", "127.0.0.1:7011"),
        ("http://[::]:7011/", "[::1]:7011"),
        ("http://10.0.0.2:80", "10.0.0.2:80"),
    ] {
        assert_eq!(Client::at(endpoint, "k").unwrap().address, address);
    }
    for bad in ["https://host", "nonsense", ""] {
        assert!(Client::at(bad, "k").is_err(), "{bad}");
    }
}
