//! What pages say, made from hostile values.

use tempfile::TempDir;

use crate::{
    http::auth::Keys,
    settings::{Flags, Sources, load},
};

/// The keys of a configuration.
pub(in crate::http) fn keys(text: &str) -> Keys {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("postroom.toml"), text).unwrap();
    let sources = Sources {
        flags: Flags::default(),
        environment: Vec::new(),
        working_dir: folder.path().to_owned(),
        home_dir: Some(folder.path().to_owned()),
        program_name: "postroom".to_owned(),
    };
    let settings = load(sources).unwrap_or_else(|error| panic!("{error}"));
    Keys::new(&settings, Some("the-key-of-this-run"))
}
