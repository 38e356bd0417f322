//! The table: what the backend does, and what a sound client makes of it.

use std::time::Duration;

use super::server::{FOREVER, Step, send};

/// What a client saw of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An answer, with its whole body.
    Whole(u16, String),
    /// The head and the beginning of a body, then an error.
    BrokenOff(u16, String),
    /// No head: an error.
    NoAnswer,
    /// Nothing conclusive in the time that any client is given here.
    Hung,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) script: Vec<Step>,
    pub(crate) expected: Seen,
}

fn case(name: &'static str, script: Vec<Step>, expected: Seen) -> Case {
    Case {
        name,
        script,
        expected,
    }
}

fn whole(status: u16, body: &str) -> Seen {
    Seen::Whole(status, body.to_owned())
}

fn cut(body: &str) -> Seen {
    Seen::BrokenOff(200, body.to_owned())
}

const SSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

pub(crate) fn all() -> Vec<Case> {
    let mut cases = sound();
    cases.extend(cut_short());
    cases.extend(stalled());
    cases.extend(redirecting());
    cases.extend(nonsense());
    cases
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn sound() -> Vec<Case> {
    vec![
        case(
            "json with a length",
            vec![send(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}",
            )],
            whole(200, r#"{"a":"b"}"#),
        ),
        case(
            "chunked sse",
            vec![
                send(SSE),
                send("Transfer-Encoding: chunked\r\n\r\n"),
                send("9\r\ndata: 1\n\n\r\n"),
                send("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"),
            ],
            whole(200, "data: 1\n\ndata: [DONE]\n\n"),
        ),
        case(
            "close-delimited json",
            vec![
                send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":"),
                send("1}"),
            ],
            whole(200, r#"{"a":1}"#),
        ),
        case(
            "close-delimited sse",
            vec![send(SSE), send("\r\ndata: 1\n\n"), send("data: 2\n\n")],
            whole(200, "data: 1\n\ndata: 2\n\n"),
        ),
        case(
            "connection: close, no length",
            vec![send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")],
            whole(200, "abc"),
        ),
        case(
            "http/1.0",
            vec![send("HTTP/1.0 200 OK\r\n\r\nabc")],
            whole(200, "abc"),
        ),
        case(
            "gzip is passed through untouched",
            vec![send(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nzzzz",
            )],
            whole(200, "zzzz"),
        ),
        case(
            "an error status is an answer",
            vec![send(
                "HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nno",
            )],
            whole(503, "no"),
        ),
        case(
            "one 100 continue before the answer",
            vec![send(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            )],
            whole(200, "ok"),
        ),
    ]
}

fn cut_short() -> Vec<Case> {
    vec![
        case(
            "length longer than the body",
            vec![send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")],
            cut("abc"),
        ),
        case(
            "chunked, cut inside a chunk",
            vec![send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            )],
            cut("ab"),
        ),
        case(
            "chunked, cut before the last chunk",
            vec![send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            )],
            cut("abc"),
        ),
        case(
            "half an sse event, then the end",
            vec![
                send(SSE),
                send("Transfer-Encoding: chunked\r\n\r\n7\r\ndata: {\r\n"),
            ],
            cut("data: {"),
        ),
        case(
            "reset in mid body",
            vec![
                send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
                Step::Wait(Duration::from_millis(50)),
                Step::Reset,
            ],
            cut("abc"),
        ),
        case("closed without a byte", vec![], Seen::NoAnswer),
        case("reset without a byte", vec![Step::Reset], Seen::NoAnswer),
        case(
            "closed inside the head",
            vec![send("HTTP/1.1 200 OK\r\nContent-Le")],
            Seen::NoAnswer,
        ),
    ]
}

fn stalled() -> Vec<Case> {
    let drip = Duration::from_millis(20);
    vec![
        case(
            "stalls before the head",
            vec![Step::Wait(FOREVER)],
            Seen::NoAnswer,
        ),
        case(
            "stalls inside the head",
            vec![send("HTTP/1.1 200 OK\r\nConte"), Step::Wait(FOREVER)],
            Seen::NoAnswer,
        ),
        case(
            "stalls between chunks",
            vec![
                send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
                Step::Wait(FOREVER),
            ],
            cut("abc"),
        ),
        case(
            "head dripping for ever",
            vec![
                send("HTTP/1.1 200 OK\r\nX: "),
                Step::Repeat(b"a".to_vec(), drip),
            ],
            Seen::NoAnswer,
        ),
        case(
            "100 continue for ever",
            vec![Step::Repeat(
                b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
                drip,
            )],
            Seen::NoAnswer,
        ),
        case(
            "100 continue for ever, as fast as it goes",
            vec![Step::Repeat(
                b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100),
                Duration::ZERO,
            )],
            Seen::NoAnswer,
        ),
    ]
}

fn redirecting() -> Vec<Case> {
    let redirect = |status: &str| {
        vec![send(&format!(
            "HTTP/1.1 {status} Elsewhere\r\nLocation: /other\r\nContent-Length: 2\r\n\r\nto"
        ))]
    };
    vec![
        case("301 is not followed", redirect("301"), whole(301, "to")),
        case("302 is not followed", redirect("302"), whole(302, "to")),
        case("307 is not followed", redirect("307"), whole(307, "to")),
        case("308 is not followed", redirect("308"), whole(308, "to")),
    ]
}

fn nonsense() -> Vec<Case> {
    let long = "x".repeat(200 * 1024);
    vec![
        case(
            "garbage status line",
            vec![send("\0\x01garbage\r\n\r\n")],
            Seen::NoAnswer,
        ),
        case(
            "another protocol",
            vec![send("SSH-2.0-OpenSSH_9.2\r\n")],
            Seen::NoAnswer,
        ),
        case("http/0.9", vec![send("<html>hello</html>")], Seen::NoAnswer),
        case(
            "a header of 200 kb",
            vec![send(&format!(
                "HTTP/1.1 200 OK\r\nX: {long}\r\nContent-Length: 0\r\n\r\n"
            ))],
            Seen::NoAnswer,
        ),
        case(
            "headers without end",
            vec![
                send("HTTP/1.1 200 OK\r\n"),
                Step::Repeat(b"X-More: and more\r\n".repeat(100), Duration::ZERO),
            ],
            Seen::NoAnswer,
        ),
        case(
            "two lengths that differ",
            vec![send(
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
            )],
            Seen::NoAnswer,
        ),
        case(
            "a length that is no number",
            vec![send("HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc")],
            Seen::NoAnswer,
        ),
        case(
            "a chunk size that is no number",
            vec![send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
            )],
            cut(""),
        ),
    ]
}
