//! Which file is read, of which form, and where our folder is.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    Flags, Origin, Sources, legacy_conf,
    problem::{ConfigError, shorten},
};

/// The largest configuration file, in bytes.
const LARGEST: u64 = 1 << 20;

/// The name that makes us behave as the predecessor.
pub(super) const PREDECESSOR_NAME: &str = "ai-agent-proxy";

/// A configuration file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) file: Option<PathBuf>,
    /// The form of the file, or of the flags where there is none.
    pub(super) origin: Origin,
}

/// Our folder: `--base-dir`, else `POSTROOM_HOME`, else `~/.ai_agent_proxy` where it exists, else
/// `~/.postroom`. Relative paths are taken from the working directory.
///
/// # Errors
/// None of these is given and there is no home directory.
pub fn home(sources: &Sources) -> Result<PathBuf, ConfigError> {
    let told = sources.flags.base_dir.clone();
    let named = || variable(sources, "POSTROOM_HOME").map(PathBuf::from);
    if let Some(path) = told.or_else(named) {
        return expand(sources, &path).map_err(|error| ConfigError::one("home", error));
    }
    let Some(user) = &sources.home_dir else {
        let text = "no home directory is known; give `--base-dir DIR` or POSTROOM_HOME";
        return Err(ConfigError::one("home", text));
    };
    let old = user.join(".ai_agent_proxy");
    Ok(if old.is_dir() {
        old
    } else {
        user.join(".postroom")
    })
}

fn variable<'a>(sources: &'a Sources, name: &str) -> Option<&'a str> {
    let mut found = sources
        .environment
        .iter()
        .filter(|(key, value)| key == name && !value.is_empty());
    found.next().map(|(_, value)| value.as_str())
}

/// An absolute path: `~` is the home directory, anything relative is in the working directory.
pub(super) fn expand(sources: &Sources, path: &Path) -> Result<PathBuf, String> {
    let Ok(inside) = path.strip_prefix("~") else {
        return Ok(tidy(&sources.working_dir.join(path)));
    };
    let user = sources.home_dir.as_ref().ok_or_else(|| {
        format!(
            "`{}` needs a home directory, and none is known; write the whole path",
            path.display()
        )
    })?;
    Ok(tidy(&user.join(inside)))
}

/// The path without `.` in it.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Finds the file: the named one, else by the rules of the name we were started under.
///
/// A file that ends in `.toml` is ours, any other is of the predecessor's form. Without a named
/// file: `postroom.toml` in our folder, then in the working directory, then the predecessor's file
/// in the working directory. Under the predecessor's name only its own file is looked for. With no
/// file at all, that name or the flag `--inbox` mean the predecessor's form too.
pub(super) fn find(sources: &Sources, home: &Path) -> Result<Found, ConfigError> {
    let Flags { config, inbox, .. } = &sources.flags;
    if let Some(named) = config {
        let file = expand(sources, named).map_err(|error| ConfigError::one("--config", error))?;
        let ours = file
            .extension()
            .is_some_and(|extension| extension == "toml");
        let origin = if ours {
            Origin::Native
        } else {
            Origin::Predecessor
        };
        return Ok(Found {
            file: Some(file),
            origin,
        });
    }
    let predecessor_name = sources.program_name == PREDECESSOR_NAME;
    let ours = [
        home.join("postroom.toml"),
        sources.working_dir.join("postroom.toml"),
    ];
    if let Some(file) = ours
        .into_iter()
        .find(|file| !predecessor_name && exists(file))
    {
        return Ok(Found {
            file: Some(file),
            origin: Origin::Native,
        });
    }
    let theirs = sources.working_dir.join(legacy_conf::DEFAULT_FILE);
    if exists(&theirs) {
        return Ok(Found {
            file: Some(theirs),
            origin: Origin::Predecessor,
        });
    }
    let as_predecessor = predecessor_name || inbox.is_some();
    let origin = if as_predecessor {
        Origin::Predecessor
    } else {
        Origin::Native
    };
    Ok(Found { file: None, origin })
}

/// Whether there is something, if only a link that leads nowhere: that is an error to be told.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Reads a configuration file of at most 1 MiB.
pub(super) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let place = shorten_path(path);
    let refused = |text: String| ConfigError::one(place.clone(), text);
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => refused("not found".to_owned()),
        _ => refused(format!("cannot be opened: {error}")),
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(refused("is a directory; name a file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refused(format!("cannot be read: {error}")))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(refused(
            "is too large; a configuration has at most 1 MiB".to_owned(),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        refused(format!(
            "is not UTF-8 at byte {}",
            error.utf8_error().valid_up_to()
        ))
    })
}

fn shorten_path(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().any(char::is_control) {
        shorten(&text)
    } else {
        text
    }
}
