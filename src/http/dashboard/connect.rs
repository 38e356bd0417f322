//! Who may come in, and how clients are set up.

use std::net::{IpAddr, SocketAddr};

use maud::{Markup, html};

use super::sections::{Look, Section, View};
use crate::{http::auth::KeyView, settings::Role};

/// What stands for a key that nobody but its holder knows.
const PLACEHOLDER: &str = "<your key>";

/// Where this machine reaches an endpoint: of all addresses, the loopback one.
pub(super) fn reachable(endpoint: &str) -> String {
    let Some((scheme, address)) = endpoint.split_once("://") else {
        return endpoint.to_owned();
    };
    match address.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => {
            let ip = match address.ip() {
                IpAddr::V4(_) => "127.0.0.1",
                IpAddr::V6(_) => "[::1]",
            };
            format!("{scheme}://{ip}:{}", address.port())
        }
        _ => endpoint.to_owned(),
    }
}

/// The most of it, for the overview.
pub(super) fn summary(look: &Look<'_>) -> Section {
    let content = html! {
        (access(look))
        p.more { a href="/web/connect" { "How to connect a client" } }
    };
    Section::titled("connect", "Access", &content)
}

/// The page.
pub(super) fn view(look: &Look<'_>) -> View {
    View {
        title: "Connect".to_owned(),
        head: html! { h1 { "Connect a client" } },
        sections: vec![Section::titled("connect", "Access", &access(look))],
        foot: html! { div.snippets { (snippets(look)) } },
    }
}

fn access(look: &Look<'_>) -> Markup {
    let shared = look.shared;
    let keys = shared.door.keys().all();
    let is_by_tls = shared.dashboard.address.starts_with("https://");
    let peers = shared.peers.all().count();
    html! {
        dl.facts {
            div {
                dt { "Keys" }
                dd {
                    @if shared.door.keys().is_empty() {
                        span.warns { "none is set: everybody on this machine may do everything" }
                    } @else {
                        "needed " span.quiet { "· " (by_role(&keys)) }
                    }
                }
            }
            div {
                dt { "TLS" }
                dd { @if is_by_tls { "on" } @else { "off" } }
            }
            div { dt { "Peers" } dd { (peers) } }
            div { dt { "Clients ask at" } dd { code { (shared.dashboard.address) } } }
        }
    }
}

fn by_role(keys: &[KeyView]) -> String {
    let of = |role: Role| keys.iter().filter(|key| key.role == Some(role)).count();
    let told = [Role::Operator, Role::Client, Role::Agent].map(|role| (role.name(), of(role)));
    let told = told.into_iter().filter(|(_, count)| *count > 0);
    let told: Vec<String> = told
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    told.join(", ")
}

fn snippets(look: &Look<'_>) -> Markup {
    let shared = look.shared;
    let url = shared.dashboard.address.as_str();
    let needs_key = !shared.door.keys().is_empty();
    let header = if needs_key {
        format!(" \\\n  -H 'Authorization: Bearer {PLACEHOLDER}'")
    } else {
        String::new()
    };
    let key = if needs_key { PLACEHOLDER } else { "none" };
    let agents = shared.agents.all();
    let model = agents
        .first()
        .map_or("local-agent", |agent| agent.profile.id.as_str());
    let curl = format!(
        "curl {url}/v1/chat/completions{header} \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
    );
    let python = format!(
        "from openai import OpenAI\n\nclient = OpenAI(base_url=\"{url}/v1\", api_key=\"{key}\")\nanswer = client.chat.completions.create(\n    model=\"{model}\",\n    messages=[{{\"role\": \"user\", \"content\": \"Hello\"}}],\n)\nprint(answer.choices[0].message.content)"
    );
    let variables = format!("export OPENAI_BASE_URL={url}/v1\nexport OPENAI_API_KEY='{key}'");
    let message = format!(
        "curl {url}/message{header} \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\"type\": \"TASK\", \"to\": \"{model}\", \"payload\": {{\"text\": \"Hello\"}}}}'"
    );
    let key_of_its_own = "postroom keys add my-client --role client";
    html! {
        @if needs_key {
            (snippet("key", "A key of its own", "On this machine. The key is shown once.", key_of_its_own))
        }
        (snippet("curl", "curl", "A chat, as OpenAI's clients send it.", &curl))
        (snippet("python", "Python", "OpenAI's own package.", &python))
        (snippet("environment", "Any client that reads these variables", "Among them most tools for OpenAI's API.", &variables))
        (snippet("message", "A message to an agent", "It is answered at once, and worked on in the background.", &message))
    }
}

fn snippet(name: &str, title: &str, about: &str, text: &str) -> Markup {
    html! {
        section.snippet aria-labelledby={ "snippet-" (name) } {
            h2 id={ "snippet-" (name) } { (title) }
            p.quiet { (about) }
            pre.text tabindex="0" { code { (text) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_on_all_addresses_is_told_as_one_that_can_be_asked() {
        for (endpoint, told) in [
            ("http://0.0.0.0:7011", "http://127.0.0.1:7011"),
            ("https://[::]:7011", "https://[::1]:7011"),
            ("http://192.0.2.1:80", "http://192.0.2.1:80"),
            ("http://name:80", "http://name:80"),
        ] {
            assert_eq!(reachable(endpoint), told);
        }
    }
}
