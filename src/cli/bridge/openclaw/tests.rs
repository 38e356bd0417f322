//! OpenClaw's file, before and after.

use super::*;

const BEFORE: &str = r#"// The office's gateway.
{
  gateway: { port: 18789, auth: { token: 'gateway-secret' } }, // keep
  models: {
    mode: "replace",
    providers: {
      // ours
      other: { apiKey: "other-secret", baseUrl: "http://x", },
    },
  },
  plugins: {
    entries: {
      "proxy-bridge": {
        enabled: true,
        config: {
          remoteUrl: "http://proxy.example:8089", /* the big one */
          proxyToken: "plugin-token",
          bridgePort: 18805,
          models: [{ id: "m/1", name: "One" }, { id: "m2" }],
        },
      },
    },
  },
}
"#;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openclaw.json");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn provider(models: &[(String, String)]) -> Provider<'_> {
    Provider {
        base_url: "http://127.0.0.1:18800/v1",
        local_token: None,
        models,
        default_model: Some("m/1"),
    }
}

fn models() -> Vec<(String, String)> {
    vec![("m/1".to_owned(), "One".to_owned())]
}

#[test]
fn the_plugins_own_configuration_is_read() {
    let (_folder, path) = file(BEFORE);
    let openclaw = OpenClaw::read(&path).unwrap();
    assert!(openclaw.has_plugin());
    assert_eq!(
        openclaw.plugin(),
        PluginConfig {
            url: Some("http://proxy.example:8089".to_owned()),
            token: Some("plugin-token".to_owned()),
            port: Some(18805),
            models: vec![
                ("m/1".to_owned(), "One".to_owned()),
                ("m2".to_owned(), "m2".to_owned())
            ],
        }
    );
    let (_folder, path) = file(&BEFORE.replace("\"plugin-token\"", "\"${TOKEN}\""));
    assert_eq!(OpenClaw::read(&path).unwrap().plugin().token, None);
}

#[test]
fn comments_and_everything_else_stay_and_a_copy_is_made() {
    let (_folder, path) = file(BEFORE);
    let mut openclaw = OpenClaw::read(&path).unwrap();
    openclaw.add_provider(&provider(&models())).unwrap();
    openclaw.disable_plugin().unwrap();
    let backup = openclaw.write().unwrap().unwrap();
    assert_eq!(fs::read_to_string(backup).unwrap(), BEFORE);
    let text = fs::read_to_string(&path).unwrap();
    for line in [
        "// The office's gateway.",
        "// keep",
        "// ours",
        "/* the big one */",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let after = OpenClaw::read(&path).unwrap().value();
    for (pointer, expected) in [
        ("/gateway/auth/token", json!("gateway-secret")),
        ("/models/mode", json!("merge")),
        ("/models/providers/other/apiKey", json!("other-secret")),
        ("/plugins/entries/proxy-bridge/enabled", json!(false)),
        ("/agents/defaults/model/primary", json!("proxy-bridge/m/1")),
        (
            "/models/providers/proxy-bridge",
            json!({"baseUrl": "http://127.0.0.1:18800/v1", "apiKey": "bridge",
                "api": "openai-completions", "models": [{"id": "m/1", "name": "One"}]}),
        ),
    ] {
        assert_eq!(after.pointer(pointer), Some(&expected), "{pointer}");
    }
}

#[test]
fn what_changes_is_told_without_secrets_and_only_once() {
    let (_folder, path) = file(BEFORE);
    let mut openclaw = OpenClaw::read(&path).unwrap();
    let wanted = models();
    let provider = Provider {
        local_token: Some("local-secret"),
        ..provider(&wanted)
    };
    openclaw.add_provider(&provider).unwrap();
    let told = openclaw.changes().join("\n");
    assert!(
        told.contains(r#"models.mode = "merge" (was "replace")"#),
        "{told}"
    );
    assert!(!told.contains("secret"), "{told}");
    openclaw.write().unwrap();
    let mut again = OpenClaw::read(&path).unwrap();
    again.add_provider(&provider).unwrap();
    assert_eq!(again.changes(), Vec::<String>::new());
}

#[test]
fn models_keep_what_their_user_added() {
    let (_folder, path) = file(
        r#"{"models": {"providers": {"proxy-bridge": {"models": [{"id": "m/1", "contextWindow": 9}]}}},
                "agents": {"defaults": {"model": "other/x"}}}"#,
    );
    let mut openclaw = OpenClaw::read(&path).unwrap();
    let both = [models(), vec![("m2".to_owned(), "Two".to_owned())]].concat();
    openclaw.add_provider(&provider(&both)).unwrap();
    let after = openclaw.value();
    assert_eq!(
        after["models"]["providers"]["proxy-bridge"]["models"],
        json!([{"id": "m/1", "contextWindow": 9}, {"id": "m2", "name": "Two"}])
    );
    assert_eq!(after["agents"]["defaults"]["model"], "proxy-bridge/m/1");
}

#[test]
fn what_is_not_understood_is_left_alone() {
    for text in ["{ models: ", "[1]", "{ models: [] }"] {
        let (_folder, path) = file(text);
        let added = OpenClaw::read(&path)
            .and_then(|mut openclaw| openclaw.add_provider(&provider(&models())));
        assert!(added.is_err(), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_file_that_is_not_there_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".openclaw/openclaw.json");
    let mut openclaw = OpenClaw::read(&path).unwrap();
    openclaw.add_provider(&provider(&models())).unwrap();
    assert_eq!(openclaw.write().unwrap(), None);
    let made: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(made["models"]["mode"], "merge");
}
