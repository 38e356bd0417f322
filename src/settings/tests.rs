//! The rules of the configuration, one sentence each.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use super::*;

mod agents;
mod bridge;
mod documents;
mod layering;
mod peers;
mod predecessor;

const KEY: &str = "0123456789abcdef";

/// A home folder, a working folder, and what is said on top.
struct Place {
    root: TempDir,
    sources: Sources,
}

impl Place {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let (work, user) = (root.path().join("work"), root.path().join("user"));
        fs::create_dir_all(&work).unwrap();
        fs::create_dir_all(&user).unwrap();
        let sources = Sources {
            flags: Flags::default(),
            environment: Vec::new(),
            working_dir: work,
            home_dir: Some(user),
            program_name: "postroom".to_owned(),
        };
        Self { root, sources }
    }

    fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn flags(mut self, change: impl FnOnce(&mut Flags)) -> Self {
        change(&mut self.sources.flags);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources
            .environment
            .push((name.to_owned(), value.to_owned()));
        self
    }

    fn named(mut self, program: &str) -> Self {
        self.sources.program_name = program.to_owned();
        self
    }

    fn load(&self) -> Result<Settings, ConfigError> {
        load(self.sources.clone())
    }

    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    fn problems(&self) -> String {
        self.load().expect_err("refused").to_string()
    }
}

/// A place with this `postroom.toml` in its working folder.
fn toml(text: &str) -> Place {
    Place::new().file("work/postroom.toml", text)
}

fn warns(settings: &Settings, part: &str) -> bool {
    settings
        .warnings
        .iter()
        .any(|warning| warning.contains(part))
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a file of the repository with what it should hold; `POSTROOM_UPDATE=1` writes it.
fn assert_holds(path: &Path, expected: &str) {
    if std::env::var_os("POSTROOM_UPDATE").is_some() {
        fs::write(path, expected).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        found,
        expected,
        "{} is stale; run with POSTROOM_UPDATE=1",
        path.display()
    );
}

#[test]
fn every_bad_file_is_answered_with_the_text_beside_it() {
    let mut files: Vec<_> = fs::read_dir(repository("tests/fixtures/config"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension != "expected")
    });
    assert!(files.len() > 50, "{files:?}");
    for file in files {
        let place = Place::new().flags(|flags| flags.config = Some(file.clone()));
        let error = place
            .load()
            .map(drop)
            .expect_err(&file.display().to_string())
            .to_string();
        assert!(!error.contains("sk-canary"), "{error}");
        let shown = error.replace(&file.display().to_string(), "FILE") + "\n";
        assert_holds(
            &file.with_file_name(format!(
                "{}.expected",
                file.file_name().unwrap().to_str().unwrap()
            )),
            &shown,
        );
    }
}

#[test]
fn files_that_cannot_be_read_are_named_with_the_reason() {
    let place = Place::new()
        .file("utf16.toml", b"\xff\xfe[\0s\0")
        .file("late.toml", b"[server]\n# \xff")
        .file("large.toml", vec![b'#'; (1 << 20) + 1]);
    for (name, reason) in [
        ("missing.toml", "not found"),
        ("user", "is a directory"),
        ("utf16.toml", "is not UTF-8 at byte 0"),
        ("late.toml", "is not UTF-8 at byte 11"),
        ("large.toml", "at most 1 MiB"),
    ] {
        let path = place.path(name);
        let mut sources = place.sources.clone();
        sources.flags.config = Some(path.clone());
        let error = load(sources).unwrap_err().to_string();
        assert!(
            error.contains(reason) && error.contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    let endless = place.flags(|flags| flags.config = Some("/dev/zero".into()));
    assert!(endless.problems().contains("at most 1 MiB"));
}

#[test]
fn an_empty_file_means_the_defaults_and_a_warning() {
    for text in ["", "# nothing\r\n"] {
        let settings = toml(text).settings();
        assert_eq!(
            (settings.server.host.as_str(), settings.server.port),
            ("127.0.0.1", 7011)
        );
        assert!(warns(&settings, "sets nothing"), "{:?}", settings.warnings);
    }
    assert_eq!(Place::new().settings().warnings, Vec::<String>::new());
}

#[test]
fn windows_line_ends_are_accepted() {
    assert_eq!(
        toml("[server]\r\nport = 7_012\r\n").settings().server.port,
        7012
    );
}

#[test]
fn a_slash_at_the_end_of_a_url_changes_nothing() {
    for url in ["http://llm.example/v1", "http://llm.example/v1/"] {
        let settings = toml(&format!("[backend]\nurl = \"{url}\"\nmodel = \"m\"")).settings();
        assert_eq!(settings.backend.unwrap().url, "http://llm.example/v1");
        assert_eq!(settings.warnings, Vec::<String>::new());
    }
}

#[test]
fn our_own_port_is_no_backend_under_any_of_our_names() {
    for url in [
        "http://127.0.0.1:7011",
        "http://[::1]:7011/v1",
        "http://0.0.0.0:7011",
        "http://LOCALHOST:7011",
    ] {
        assert!(
            toml(&format!("[backend]\nurl = \"{url}\""))
                .problems()
                .contains("our own address"),
            "{url}"
        );
    }
    toml("[backend]\nurl = \"http://127.0.0.1:7012\"").settings();
}

#[test]
fn a_backend_without_a_model_is_warned_of_in_our_form() {
    let settings = toml("[backend]\nurl = \"http://llm.example\"").settings();
    assert!(
        warns(&settings, "`backend.model` is not set"),
        "{:?}",
        settings.warnings
    );
}

#[test]
fn a_named_backend_has_its_time_limits_from_the_main_one_but_never_its_key() {
    let settings = toml("[backend]\nurl = \"http://a.example\"\napi_key = \"abc\"\ntimeout = \"7s\"\n[backends.b]\nurl = \"http://b.example\"").settings();
    let spare = &settings.backends["b"];
    assert_eq!(
        (spare.timeout, spare.connect_timeout),
        (Duration::from_secs(7), Duration::from_secs(5))
    );
    assert!(spare.api_key.is_none());
}

#[test]
fn without_a_key_beyond_loopback_is_only_for_those_who_insist() {
    let text = "[server]\nhost = \"0.0.0.0\"\n";
    assert!(toml(text).problems().contains("--allow-unauthenticated"));
    assert!(
        Place::new()
            .flags(|flags| flags.host = Some("::".into()))
            .problems()
            .contains("--host: `server.host`")
    );
    assert_eq!(
        toml(&format!("{text}key = \"{KEY}\""))
            .settings()
            .server
            .host,
        "0.0.0.0"
    );
    assert_eq!(
        toml(&format!("{text}[keys.a]\nkey = \"{KEY}\""))
            .settings()
            .keys["a"]
            .role,
        Role::Client
    );
    let insists = toml(text)
        .flags(|flags| flags.allow_unauthenticated = true)
        .settings();
    assert!(insists.server.allow_unauthenticated);
}

#[test]
fn a_short_key_is_only_warned_of() {
    assert!(warns(
        &toml("[server]\nkey = \"short\"").settings(),
        "shorter than 16"
    ));
    assert!(!warns(
        &toml(&format!("[server]\nkey = \"{KEY}\"")).settings(),
        "shorter"
    ));
}

#[test]
fn what_this_version_does_not_act_on_is_read_and_warned_of() {
    let text = "[store]\nreplicas = 3\ndurability = \"relaxed\"";
    let settings = toml(text).settings();
    for part in ["store.replicas", "store.durability"] {
        assert!(
            warns(&settings, &format!("`{part}` is set but")),
            "{part}: {:?}",
            settings.warnings
        );
    }
    assert!(!warns(&settings, "upstream_proxy"));
}

#[test]
fn secrets_are_never_shown() {
    let loaded = load_with_sources(
        toml("[server]\nkey = \"sk-canary-0123456789\"\n[backend]\nurl = \"http://a.example\"\napi_key = \"sk-canary\"\n[agents.a.env]\nTOKEN = \"sk-canary\"\n[upstream_proxy]\ntoken = \"sk-canary\"\n[embeddings]\nurl = \"http://p.example/v1\"\napi_key = \"sk-canary\"\n[peers.p]\nsecret = \"sk-canary-of-the-peer\"\nsigning_secret = \"whsec_canaryAAAAAAAAAAAAAAAAAAAAAAAAAA\"").sources,
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let shown = [
        show::as_toml(&loaded),
        show::as_json(&loaded).to_string(),
        format!("{:?}", loaded.settings),
    ];
    for text in shown {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn what_is_shown_is_toml_that_loads_to_the_same() {
    let place = toml(
        "[server]\nport = 7012\n[keys.ci]\nkey = \"0123456789abcdef\"\nrole = \"operator\"\n[agents.bob]\ncli = \"x\"",
    );
    let loaded = load_with_sources(place.sources.clone()).unwrap_or_else(|error| panic!("{error}"));
    let text = show::as_toml(&loaded);
    assert!(
        text.contains("port = 7012  # ") && text.contains("postroom.toml:2:8"),
        "{text}"
    );
    assert_eq!(toml(&text).settings().server.port, 7012);
    let json = show::as_json(&loaded);
    assert_eq!(json["settings"]["server"]["port"], 7012);
    assert_eq!(json["sources"]["server.host"], "default");
}
