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

#[cfg(test)]
mod tests;

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
