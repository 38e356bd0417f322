//! `[bridge]` in a postroom.toml, everything else left as it is.

use std::{fs, io, os::unix::fs::DirBuilderExt, path::Path};

use anyhow::Context;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, value};

use crate::runtime_file::write_private;

/// What a login writes down.
pub(super) struct Written<'a> {
    pub(super) url: &'a str,
    pub(super) token: &'a str,
    /// It is the one from before: where that stands in a file of its own, it stays there.
    pub(super) same_token: bool,
    /// `None`: as it was.
    pub(super) port: Option<u16>,
    /// Ids and names; `None`: as they were.
    pub(super) models: Option<&'a [(String, String)]>,
    pub(super) allow_insecure: bool,
}

/// Writes the keys into a file of mode 0600, which is made where there is none.
///
/// # Errors
/// The file is no TOML, or cannot be written.
pub(super) fn write(path: &Path, written: &Written<'_>) -> anyhow::Result<()> {
    // A link stays one: what it leads to is written.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
        }
    };
    let text =
        edited(&before, written).with_context(|| format!("cannot change `{}`", path.display()))?;
    let folder = path.parent().unwrap_or(path);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .and_then(|()| write_private(path, text.as_bytes()))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

fn edited(text: &str, written: &Written<'_>) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let bridge = document
        .entry("bridge")
        .or_insert_with(|| Item::Table(Table::new()))
        .as_table_like_mut()
        .context("`bridge` is no table")?;
    set(bridge, "remote_url", value(written.url));
    if !(written.same_token && bridge.contains_key("token_file")) {
        set(bridge, "token", value(written.token));
        bridge.remove("token_file");
    }
    if let Some(port) = written.port {
        set(bridge, "port", value(i64::from(port)));
    }
    if let Some(models) = written.models {
        set(bridge, "models", value(array(models)));
    }
    if written.allow_insecure {
        set(bridge, "allow_insecure", value(true));
    }
    Ok(document.to_string())
}

/// Sets a key; comments around it stay.
fn set(table: &mut dyn TableLike, key: &str, new: Item) {
    match (table.get_mut(key), new) {
        (Some(Item::Value(old)), Item::Value(mut new)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        (_, new) => {
            table.insert(key, new);
        }
    }
}

fn array(models: &[(String, String)]) -> Array {
    let models = models.iter().map(|(id, name)| {
        let mut model = InlineTable::new();
        model.insert("id", id.into());
        model.insert("name", name.into());
        model
    });
    models.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PLAIN: Written<'_> = Written {
        url: "https://proxy.example",
        token: "the-token",
        same_token: false,
        port: None,
        models: None,
        allow_insecure: false,
    };

    #[test]
    fn the_rest_of_a_file_stays_as_it_is() {
        let before = "# mine\n[server]\nport = 7011 # as ever\n\n[bridge]\n# where to\nremote_url = \"http://old\" # old\ntoken_file = \"/x\"\nlocal_token = \"kept\"\n";
        let text = edited(before, &PLAIN).unwrap();
        assert_eq!(
            text,
            "# mine\n[server]\nport = 7011 # as ever\n\n[bridge]\n# where to\nremote_url = \"https://proxy.example\" # old\nlocal_token = \"kept\"\ntoken = \"the-token\"\n"
        );
    }

    #[test]
    fn a_new_file_holds_what_was_said_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/postroom.toml");
        let models = [("a/b".to_owned(), "A \"B\"".to_owned())];
        let written = Written {
            port: Some(18801),
            models: Some(&models),
            allow_insecure: true,
            ..PLAIN
        };
        write(&path, &written).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(table["bridge"]["port"].as_integer(), Some(18801));
        assert_eq!(
            table["bridge"]["models"][0]["name"].as_str(),
            Some("A \"B\"")
        );
        assert_eq!(table["bridge"]["allow_insecure"].as_bool(), Some(true));
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_toml_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postroom.toml");
        fs::write(&path, "[bridge\n").unwrap();
        let error = write(&path, &PLAIN).unwrap_err();
        assert!(error.to_string().contains("postroom.toml"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "[bridge\n");
    }
}
