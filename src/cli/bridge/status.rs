//! `bridge status`: both sides, the token between them, and what to do.

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};

use super::CommonArgs;
use crate::{
    cli::{client::block_on, exit},
    settings::{self, BridgeSettings, Flags, Secret, Sources},
    startup::bridge::{self, Answered, Prober, service},
};

/// `bridge status`
#[derive(Args)]
pub struct StatusArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which configuration.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// How one part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ok,
    Down,
    Wrong,
    Unknown,
}

/// One line of the report.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) state: State,
    /// Where, or what happened.
    pub(super) text: String,
    pub(super) took: Option<Duration>,
    /// What to do where it is not well.
    pub(super) advice: Option<String>,
}

impl Part {
    fn ok(text: impl Into<String>, took: Option<Duration>) -> Self {
        Self {
            state: State::Ok,
            text: text.into(),
            took,
            advice: None,
        }
    }

    fn bad(state: State, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            state,
            text: text.into(),
            took: None,
            advice: Some(advice.into()),
        }
    }
}

/// What is known of all parts.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) bridge: Part,
    pub(super) remote: Part,
    pub(super) token: Part,
}

/// Prints the report; 0 where everything is well, else 1.
pub(super) fn run(
    args: StatusArgs,
    sources: impl Fn(Flags) -> Sources,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    let settings = settings::load(sources(args.common.flags(Vec::new())))?;
    let Some(remote) = &settings.bridge.remote else {
        let text = "no bridge is set up; set it up with `postroom bridge login`";
        if args.json {
            writeln!(output, "{:#}", json!({"ok": false, "advice": text}))?;
        } else {
            writeln!(output, "{text}")?;
        }
        return Ok(exit::FAILURE);
    };
    let (url, token) = (remote.url.clone(), remote.token.clone());
    let report = block_on(async {
        let prober = bridge::prober();
        let (remote, token) = remote_side(&prober, &url, &token).await;
        let is_well = remote.state == State::Ok && token.state == State::Ok;
        let bridge = local_side(&prober, &settings.bridge, &url, is_well).await;
        Ok(Report {
            bridge,
            remote,
            token,
        })
    })?;
    if args.json {
        writeln!(output, "{:#}", report.json())?;
    } else {
        report.print(output)?;
    }
    Ok(if report.is_well() {
        exit::OK
    } else {
        exit::FAILURE
    })
}

/// The remote side, and whether it takes the token.
pub(super) async fn remote_side(prober: &Prober, url: &str, token: &Secret) -> (Part, Part) {
    let health = match prober.health(url).await {
        Ok(health) if health.status >= 500 => {
            let text = format!("{url} answers with status {}", health.status);
            let advice = format!("see why the proxy at {url} is in trouble: its log tells");
            return (Part::bad(State::Down, text, advice), unknown());
        }
        Ok(health) => health,
        Err(error) => {
            let text = format!("{url}: {error}");
            let advice = format!(
                "check that the proxy at {url} runs and can be reached from here, or set another one with `postroom bridge login`"
            );
            return (Part::bad(State::Down, text, advice), unknown());
        }
    };
    let is_ours = health.json().get("service") == Some(&Value::from(service::UPSTREAM_PROXY));
    let token = match prober.models(url, token).await {
        Ok(models) => judge_token(&models, url, is_ours),
        Err(error) => Part::bad(
            State::Unknown,
            error.to_string(),
            format!("see why the proxy at {url} does not answer requests: its log tells"),
        ),
    };
    (Part::ok(url, Some(health.took)), token)
}

fn unknown() -> Part {
    Part {
        state: State::Unknown,
        text: "not tried".to_owned(),
        took: None,
        advice: None,
    }
}

/// What the answer to a request with the token says of the token, and of the API behind it.
fn judge_token(models: &Answered, url: &str, is_ours: bool) -> Part {
    let body = models.json();
    let code = body.pointer("/error/code").and_then(Value::as_str);
    let refused_here = matches!(code, Some("wrong_proxy_token" | "missing_proxy_token"));
    match models.status {
        401 | 403 if is_ours && !refused_here => Part::bad(
            State::Unknown,
            format!(
                "taken, but the API refuses the proxy's own key (status {})",
                models.status
            ),
            format!("set the right OPENAI_API_KEY where the proxy at {url} runs"),
        ),
        401 | 403 => Part::bad(
            State::Wrong,
            format!("the proxy refuses it (status {})", models.status),
            "set the token that the proxy knows (its OPENAI_PROXY_TOKEN) with `postroom bridge login`",
        ),
        429 => Part::bad(
            State::Unknown,
            "the proxy answers nobody from here for now (status 429)",
            "wait five minutes, then try again: too many wrong tokens came from here",
        ),
        status if status >= 500 => Part::bad(
            State::Unknown,
            format!("taken, but the API behind the proxy is in trouble (status {status})"),
            format!("see why the proxy at {url} gets no answer: its log tells"),
        ),
        _ => Part::ok("the proxy takes it", Some(models.took)),
    }
}

/// The local side; where the way up is well, a request through it too.
async fn local_side(
    prober: &Prober,
    own: &BridgeSettings,
    remote: &str,
    try_through: bool,
) -> Part {
    let url = local_url(own);
    let health = match prober.health(&url).await {
        Ok(health) => health,
        Err(error) => {
            let advice = "start the bridge with `postroom bridge run`";
            return Part::bad(State::Down, format!("{url}: {error}"), advice);
        }
    };
    let told = health.json();
    if told.get("service") != Some(&Value::from(service::BRIDGE)) {
        let text = format!("{url}: something else answers there");
        let advice = "stop what listens there (OpenClaw's plugin `proxy-bridge`?), then start `postroom bridge run`";
        return Part::bad(State::Wrong, text, advice);
    }
    let restart = "start the running bridge again: it has another configuration than this one";
    let goes_to = told.pointer("/remote/url").and_then(Value::as_str);
    if let Some(other) = goes_to.filter(|other| *other != remote) {
        return Part::bad(State::Wrong, format!("{url} goes to {other}"), restart);
    }
    if !try_through {
        return Part::ok(url, Some(health.took));
    }
    match prober
        .models_of_bridge(&url, own.local_token.as_ref())
        .await
    {
        Ok(models) if matches!(models.status, 401 | 403) => Part::bad(
            State::Wrong,
            format!("{url} runs with another token"),
            restart,
        ),
        Ok(models) if models.status >= 500 => Part::bad(
            State::Wrong,
            format!(
                "{url} gets no answer from the proxy (status {})",
                models.status
            ),
            "see the log of the bridge, then start it again",
        ),
        Ok(_) => Part::ok(url, Some(health.took)),
        Err(error) => Part::bad(State::Down, format!("{url}: {error}"), restart),
    }
}

/// Where this machine reaches the bridge.
pub(super) fn local_url(own: &BridgeSettings) -> String {
    let host = match own.host.as_str() {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    format!("http://{host}:{}", own.port)
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Down => "down",
            Self::Wrong => "wrong",
            Self::Unknown => "unknown",
        }
    }
}

impl Report {
    fn parts(&self) -> [(&'static str, &Part); 3] {
        [
            ("bridge", &self.bridge),
            ("remote", &self.remote),
            ("token", &self.token),
        ]
    }

    fn is_well(&self) -> bool {
        self.parts().iter().all(|(_, part)| part.state == State::Ok)
    }

    /// One thing to do: the first that stands in the way.
    fn advice(&self) -> Option<&str> {
        let mut all = self.parts().into_iter();
        all.find_map(|(_, part)| part.advice.as_deref())
    }

    fn print(&self, output: &mut dyn Write) -> io::Result<()> {
        for (name, part) in self.parts() {
            let took = part.took.map(|took| format!(" ({})", milliseconds(took)));
            let took = took.unwrap_or_default();
            let word = part.state.word();
            writeln!(output, "{name:<7} {word:<8} {}{took}", part.text)?;
        }
        match self.advice() {
            Some(advice) => writeln!(output, "{advice}"),
            None => Ok(()),
        }
    }

    fn json(&self) -> Value {
        let mut report = json!({"ok": self.is_well(), "advice": self.advice()});
        for (name, part) in self.parts() {
            let latency = part.took.map(|took| took.as_secs_f64() * 1e3);
            let told =
                json!({"state": part.state.word(), "text": part.text, "latency_ms": latency});
            if let Some(object) = report.as_object_mut() {
                object.insert(name.to_owned(), told);
            }
        }
        report
    }
}

fn milliseconds(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}
