//! `OpenClaw`'s configuration: read as JSON5, changed key by key, its comments kept.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstRootNode},
};
use serde_json::{Value, json};

use crate::runtime_file::write_private;

/// The provider's name, and the plugin's.
pub(super) const ID: &str = "proxy-bridge";

/// What a provider without a key of its own shows; the bridge takes any.
const ANY_KEY: &str = "bridge";

/// What the plugin was configured with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PluginConfig {
    pub(super) url: Option<String>,
    pub(super) token: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) models: Vec<(String, String)>,
}

/// What `OpenClaw` is to know of the bridge.
pub(super) struct Provider<'a> {
    pub(super) base_url: &'a str,
    /// What the bridge wants to be shown; `None`: anything.
    pub(super) local_token: Option<&'a str>,
    pub(super) models: &'a [(String, String)],
    /// The model that agents use; `None`: as it is.
    pub(super) default_model: Option<&'a str>,
}

/// The file, and what changes in it.
pub(super) struct OpenClaw {
    path: PathBuf,
    before: Option<String>,
    root: CstRootNode,
    changes: Vec<String>,
}

impl OpenClaw {
    /// Reads the file; one that is not there counts as empty.
    ///
    /// # Errors
    /// It cannot be read, or is no JSON5 object.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let shown = path.display();
        let before = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read `{shown}`")),
        };
        let text = before.as_deref().filter(|text| !text.trim().is_empty());
        let root = CstRootNode::parse(text.unwrap_or("{}\n"), &ParseOptions::default()).map_err(
            |error| {
                anyhow::anyhow!("`{shown}` is not understood, nothing of it was changed: {error}")
            },
        )?;
        if root.object_value().is_none() {
            bail!("`{shown}` holds no object, nothing of it was changed");
        }
        Ok(Self {
            path,
            before,
            root,
            changes: Vec::new(),
        })
    }

    /// Which file it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn value(&self) -> Value {
        self.root.to_serde_value().unwrap_or_default()
    }

    /// What the plugin `proxy-bridge` was configured with. Values that `OpenClaw` takes from its
    /// environment (`${NAME}`) are left out.
    pub(super) fn plugin(&self) -> PluginConfig {
        let all = self.value();
        let at = |key: &str| all.pointer(&format!("/plugins/entries/{ID}/config/{key}"));
        let text = |key: &str| {
            let text = at(key)?.as_str()?.trim();
            (!text.is_empty() && !text.contains("${")).then(|| text.to_owned())
        };
        let port = at("bridgePort").and_then(Value::as_u64);
        let models = at("models").and_then(Value::as_array);
        PluginConfig {
            url: text("remoteUrl"),
            token: text("proxyToken"),
            port: port.and_then(|port| u16::try_from(port).ok()),
            models: models.into_iter().flatten().filter_map(model).collect(),
        }
    }

    /// Whether the plugin is there and may hold the bridge's port.
    pub(super) fn has_plugin(&self) -> bool {
        let all = self.value();
        let plugin = all.pointer(&format!("/plugins/entries/{ID}"));
        plugin.is_some_and(|plugin| plugin.get("enabled") != Some(&Value::Bool(false)))
    }

    /// Adds the provider, next to those that are there.
    ///
    /// # Errors
    /// Something else stands where an object should.
    pub(super) fn add_provider(&mut self, provider: &Provider<'_>) -> anyhow::Result<()> {
        let models = self.models_with(provider.models);
        let key = provider.local_token.unwrap_or(ANY_KEY);
        let own = ["models", "providers", ID];
        let in_own = |key: &'static str| [own.as_slice(), &[key]].concat();
        self.set(&["models", "mode"], &json!("merge"))?;
        self.set(&in_own("baseUrl"), &json!(provider.base_url))?;
        self.set(&in_own("apiKey"), &json!(key))?;
        self.set(&in_own("api"), &json!("openai-completions"))?;
        self.set(&in_own("models"), &models)?;
        let Some(model) = provider.default_model else {
            return Ok(());
        };
        let chosen = json!(format!("{ID}/{model}"));
        let whole = ["agents", "defaults", "model"];
        // Both forms are OpenClaw's.
        if self
            .value()
            .pointer("/agents/defaults/model")
            .is_some_and(Value::is_string)
        {
            self.set(&whole, &chosen)
        } else {
            self.set(&[whole.as_slice(), &["primary"]].concat(), &chosen)
        }
    }

    /// Switches the plugin off.
    ///
    /// # Errors
    /// As [`Self::add_provider`].
    pub(super) fn disable_plugin(&mut self) -> anyhow::Result<()> {
        self.set(&["plugins", "entries", ID, "enabled"], &Value::Bool(false))
    }

    /// The models that stand there already, with what their user added to them, and the new ones.
    fn models_with(&self, models: &[(String, String)]) -> Value {
        let all = self.value();
        let there = all.pointer(&format!("/models/providers/{ID}/models"));
        let mut list = there.and_then(Value::as_array).cloned().unwrap_or_default();
        for (id, name) in models {
            let is_there = list
                .iter()
                .any(|model| model.get("id").and_then(Value::as_str) == Some(id));
            if !is_there {
                list.push(json!({"id": id, "name": name}));
            }
        }
        list.into()
    }

    fn set(&mut self, path: &[&str], new: &Value) -> anyhow::Result<()> {
        let Some((key, parents)) = path.split_last() else {
            return Ok(());
        };
        let shown = path.join(".");
        let mut object = self.root.object_value_or_set();
        for parent in parents {
            object = inner(&object, parent)
                .with_context(|| format!("`{shown}` cannot be set: `{parent}` is no object"))?;
        }
        let Some(property) = object.get(key) else {
            object.append(key, input(new));
            self.changes
                .push(format!("{shown} = {} (new)", masked(key, new)));
            return Ok(());
        };
        let old = property.value().and_then(|old| old.to_serde_value());
        if old.as_ref() != Some(new) {
            let was = old
                .as_ref()
                .map_or_else(String::new, |old| masked(key, old));
            property.set_value(input(new));
            self.changes
                .push(format!("{shown} = {} (was {was})", masked(key, new)));
        }
        Ok(())
    }

    /// What changes, one line each; secrets are not in it.
    pub(super) fn changes(&self) -> &[String] {
        &self.changes
    }

    /// Writes the file; what it was before lies beside it. Answers where.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn write(&self) -> anyhow::Result<Option<PathBuf>> {
        let shown = self.path.display();
        let write = || {
            let folder = self.path.parent().unwrap_or(&self.path);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
            let backup = self.before.as_ref().map(|before| {
                let backup = self.path.with_extension("json.before-bridge");
                write_private(&backup, before.as_bytes()).map(|()| backup)
            });
            let backup = backup.transpose()?;
            write_private(&self.path, self.root.to_string().as_bytes())?;
            Ok::<_, io::Error>(backup)
        };
        write().with_context(|| format!("cannot write `{shown}`"))
    }
}

fn inner(object: &CstObject, key: &str) -> Option<CstObject> {
    object.object_value_or_create(key)
}

fn model(model: &Value) -> Option<(String, String)> {
    let id = model.get("id")?.as_str()?;
    let name = model.get("name").and_then(Value::as_str).unwrap_or(id);
    Some((id.to_owned(), name.to_owned()))
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(object) => CstInputValue::Object(
            object
                .iter()
                .map(|(key, value)| (key.clone(), input(value)))
                .collect(),
        ),
    }
}

/// A value as it may be shown.
fn masked(key: &str, value: &Value) -> String {
    if key == "apiKey" && value != ANY_KEY {
        return "***".to_owned();
    }
    match value {
        Value::Array(items) => {
            let ids: Vec<_> = items.iter().filter_map(model).map(|(id, _)| id).collect();
            format!("[{}]", ids.join(", "))
        }
        Value::Object(_) => "{…}".to_owned(),
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
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
}
