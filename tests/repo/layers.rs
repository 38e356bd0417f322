//! Who may import whom, as the design says: the core reaches for nothing outside of it.

use super::imports::{Token, module_of, paths, production, tokens};

/// The names of the crates that a source file could name.
pub(crate) struct Crates(Vec<String>);

impl Crates {
    /// Those of the root manifest's `[workspace.dependencies]`, and the standard library.
    pub(crate) fn of(manifest: &str) -> Self {
        let dependencies = manifest
            .lines()
            .skip_while(|line| *line != "[workspace.dependencies]")
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .filter_map(|line| line.split_once('='))
            .map(|(name, _)| name.trim().replace('-', "_"));
        let crates: Vec<String> = dependencies
            .chain(["std", "core", "alloc"].map(str::to_owned))
            .collect();
        assert!(crates.len() > 10, "the manifest lists no dependencies");
        Self(crates)
    }
}

/// What the modules below a path may name.
struct Layer {
    /// Files or folders, from the root of the repository; `x` stands for `x.rs` and `x/…`.
    places: &'static [&'static str],
    /// Where they are not meant although they lie below `places`.
    except: &'static [&'static str],
    /// Paths that they never name, nor anything below them.
    never: &'static [&'static str],
    /// For each family of paths, the only ones that they may name.
    only: &'static [(&'static str, &'static [&'static str])],
    /// The only crates that they may name; empty: any.
    crates: &'static [&'static str],
}

const ANYWHERE: Layer = Layer {
    places: &[],
    except: &[],
    never: &[],
    only: &[],
    crates: &[],
};

const LAYERS: [Layer; 11] = [
    Layer {
        places: &["src/http"],
        never: &[
            "crate::adapters",
            "crate::cli",
            "crate::settings::layers",
            "crate::settings::legacy_conf",
            "crate::settings::load",
            "crate::settings::raw",
            "crate::settings::toml_file",
            "crate::startup",
            "hyper",
            "rusqlite",
            "std::fs",
            "std::process",
        ],
        ..ANYWHERE
    },
    Layer {
        places: &["src/adapters"],
        never: &["actix", "actix_web"],
        only: &[
            (
                "crate",
                &[
                    "crate::adapters",
                    "crate::post_address",
                    "crate::webhook_signature",
                ],
            ),
            (
                "postroom_actors",
                &["postroom_actors::domain", "postroom_actors::ports"],
            ),
        ],
        ..ANYWHERE
    },
    // Pure rules that the surface, the configuration and the adapters share.
    Layer {
        places: &["src/post_address", "src/webhook_signature"],
        only: &[("crate", &["crate::post_address"])],
        crates: &["std", "base64", "hmac", "hyper", "sha2", "thiserror"],
        ..ANYWHERE
    },
    Layer {
        places: &["src/forwarding"],
        never: &[
            "crate::adapters",
            "crate::cli",
            "crate::http",
            "crate::startup",
            "actix_web",
            "hyper",
            "rusqlite",
        ],
        ..ANYWHERE
    },
    Layer {
        places: &["src/bridging"],
        never: &[
            "crate::cli",
            "crate::startup",
            "hyper",
            "rusqlite",
            "std::fs",
        ],
        ..ANYWHERE
    },
    Layer {
        places: &["src/cli", "src/main"],
        only: &[(
            "crate",
            &[
                "crate::cli",
                "crate::failpoints",
                "crate::runtime_file",
                "crate::settings",
                "crate::startup",
                "crate::turn_runner",
            ],
        )],
        ..ANYWHERE
    },
    Layer {
        places: &["src"],
        except: &[
            "src/adapters",
            "src/startup",
            "src/turn_runner",
            "src/main",
            "src/lib",
            // The list of all metrics: reads the tables of those who count.
            "src/telemetry/catalogue",
        ],
        never: &["crate::adapters"],
        ..ANYWHERE
    },
    Layer {
        places: &["actors/src"],
        never: &[
            "actix_web",
            "awc",
            "hyper",
            "rusqlite",
            "std::fs",
            "std::net",
            "std::process",
            "tokio::fs",
            "tokio::net",
            "tokio::process",
        ],
        ..ANYWHERE
    },
    Layer {
        places: &["actors/src/domain"],
        never: &["std::env", "std::thread", "std::time::Instant"],
        only: &[("crate", &["crate::domain"])],
        crates: &[
            "std",
            "bytes",
            "chrono",
            "memchr",
            "serde",
            "serde_json",
            "thiserror",
            "uuid",
        ],
        ..ANYWHERE
    },
    Layer {
        places: &["actors/src/ports"],
        only: &[("crate", &["crate::domain", "crate::ports"])],
        crates: &[
            "std",
            "bytes",
            "chrono",
            "futures_util",
            "serde",
            "thiserror",
        ],
        ..ANYWHERE
    },
    Layer {
        places: &[
            "actors/src/router",
            "actors/src/inbox_writer",
            "actors/src/backend_relay",
            "actors/src/delivery",
            "actors/src/lifecycle",
        ],
        never: &["crate::testing"],
        ..ANYWHERE
    },
];

/// The imports of a source file that its layer may not have.
pub(crate) fn problems(path: &str, text: &str, crates: &Crates) -> Vec<String> {
    let Some((_, below)) = path.split_once("src/") else {
        return Vec::new();
    };
    let named = paths(&module_of(below), text);
    let layers: Vec<&Layer> = LAYERS
        .iter()
        .filter(|layer| layer.holds_for(path))
        .collect();
    named
        .iter()
        .filter(|name| !layers.iter().all(|layer| layer.allows(name, crates)))
        .map(|name| format!("{path}: may not name `{name}`"))
        .collect()
}

impl Layer {
    fn holds_for(&self, path: &str) -> bool {
        let lies_in = |place: &&str| {
            path.strip_prefix(*place)
                .is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
        };
        self.places.iter().any(lies_in) && !self.except.iter().any(lies_in)
    }

    fn allows(&self, name: &str, crates: &Crates) -> bool {
        let is_never = self.never.iter().any(|never| is_below(name, never));
        let is_only = self.only.iter().all(|(family, only)| {
            !is_below(name, family) || only.iter().any(|only| is_below(name, only))
        });
        let first = name.split("::").next().unwrap_or_default();
        let is_known = self.crates.is_empty()
            || self.crates.contains(&first)
            || !crates.0.iter().any(|known| known == first);
        !is_never && is_only && is_known
    }
}

fn is_below(name: &str, path: &str) -> bool {
    name.strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Where the rules of the broker look at a clock or wait.
pub(crate) fn impure(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("actors/src/domain") {
        return Vec::new();
    }
    let name = |name: &str| Token::Name(name.to_owned());
    let patterns = [
        vec![name("async")],
        vec![name("await")],
        vec![name("Utc"), Token::Path, name("now")],
        vec![name("Local"), Token::Path, name("now")],
        vec![name("Instant"), Token::Path, name("now")],
        vec![name("SystemTime"), Token::Path, name("now")],
        vec![name("Uuid"), Token::Path, name("now_v7")],
    ];
    let tokens = tokens(&production(text));
    patterns
        .iter()
        .filter(|pattern| {
            tokens
                .windows(pattern.len())
                .any(|window| window == pattern.as_slice())
        })
        .map(|pattern| format!("{path}: a rule of the broker uses {pattern:?}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Crates, impure, problems};

    fn crates() -> Crates {
        let names = ["tokio", "actix", "actix-web", "metrics", "serde", "memchr"];
        let more = (0..10).map(|number| format!("other-{number} = \"1\"\n"));
        let lines: String = names
            .iter()
            .map(|name| format!("{name} = \"1\"\n"))
            .chain(more)
            .collect();
        Crates::of(&format!("[workspace.dependencies]\n{lines}[lints]\n"))
    }

    #[test]
    fn each_layer_is_kept_from_what_is_not_its_business() {
        for (path, text) in [
            ("src/http/auth.rs", "use crate::adapters::system_clock;"),
            (
                "src/http/auth/keys.rs",
                "use super::super::super::adapters;",
            ),
            ("src/http.rs", "fn f() { crate::settings::raw::read() }"),
            ("src/adapters/inbox_files.rs", "use crate::http::error;"),
            ("src/adapters/inbox_files.rs", "use crate::forwarding;"),
            (
                "src/adapters.rs",
                "use postroom_actors::{domain::ids, router::Router};",
            ),
            ("src/webhook_signature.rs", "use crate::settings::Secret;"),
            ("src/post_address/literal.rs", "use tokio::net;"),
            ("src/forwarding/pump.rs", "use crate::{http::state};"),
            ("src/forwarding.rs", "use crate::adapters;"),
            ("src/bridging/route.rs", "use crate::startup::bridge;"),
            ("src/cli/serve.rs", "use crate::{settings, http};"),
            ("src/main.rs", "use postroom::adapters;"),
            ("src/telemetry.rs", "use crate::adapters;"),
            ("actors/src/router.rs", "use actix_web::web;"),
            ("actors/src/router.rs", "fn f() { std::fs::read(x) }"),
            (
                "actors/src/router.rs",
                "use std::{sync::Arc, net::TcpStream};",
            ),
            ("actors/src/router.rs", "use crate::testing::memory_store;"),
            ("actors/src/domain/retry.rs", "use tokio::time::sleep;"),
            (
                "actors/src/domain/retry.rs",
                "fn f() { metrics::counter!(x) }",
            ),
            ("actors/src/domain/retry.rs", "use crate::ports::Clock;"),
            ("actors/src/domain.rs", "use super::ports;"),
            ("actors/src/ports.rs", "use crate::router::Accept;"),
            ("actors/src/ports.rs", "use actix::Message;"),
        ] {
            assert_eq!(problems(path, text, &crates()).len(), 1, "{path}: {text}");
        }
    }

    #[test]
    fn what_the_design_allows_is_allowed() {
        for (path, text) in [
            ("src/http/auth.rs", "use crate::settings::Role;"),
            ("src/http/auth.rs", "use super::error::ApiError;"),
            (
                "src/adapters/inbox_files.rs",
                "use postroom_actors::{domain::ids, ports::Clock};",
            ),
            (
                "src/adapters/peer_http.rs",
                "use crate::{post_address::is_public, webhook_signature};",
            ),
            (
                "src/cli/serve.rs",
                "use crate::{failpoints, settings::Settings, startup};",
            ),
            (
                "src/startup/backends.rs",
                "use crate::adapters::upstream_http;",
            ),
            (
                "actors/src/domain/retry.rs",
                "use memchr::memmem;\nuse super::ids;",
            ),
            (
                "actors/src/domain/retry.rs",
                "#[cfg(test)]\nmod tests {\n    use tokio::x;\n}",
            ),
            ("actors/src/router.rs", "use tokio::sync::mpsc;"),
            (
                "actors/src/ports.rs",
                "use crate::domain::ids;\nuse serde::Serialize;",
            ),
        ] {
            assert_eq!(problems(path, text, &crates()), Vec::<String>::new());
        }
    }

    #[test]
    fn clocks_and_waiting_are_found_in_rules_only() {
        for text in [
            "async fn f() {}",
            "fn f() { Utc::now(); }",
            "fn f() { chrono::Utc::now(); }",
            "fn f() { std::time::Instant::now(); }",
        ] {
            assert_eq!(
                impure("actors/src/domain/retry.rs", text).len(),
                1,
                "{text}"
            );
            assert_eq!(impure("actors/src/router.rs", text).len(), 0, "{text}");
        }
        let good = "// async fn, Utc::now()\nfn f(now: DateTime<Utc>) {}";
        assert_eq!(impure("actors/src/domain/retry.rs", good).len(), 0);
    }
}
