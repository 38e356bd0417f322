//! The units of systemd that are shipped, as systemd itself sees them.

use std::{path::Path, process::Command};

/// A unit as it would be installed.
pub(crate) struct Unit {
    /// Its file, from the root of the repository, with what is added to it.
    pub(crate) name: &'static str,
    text: String,
}

impl Unit {
    /// A unit that is installed as it is.
    pub(crate) fn plain(name: &'static str, text: &str) -> Self {
        let text = text.to_owned();
        Self { name, text }
    }

    /// The template that `postroom enable` fills in, with a drop-in's text behind it.
    pub(crate) fn filled_in(name: &'static str, template: &str, drop_in: &str) -> Self {
        let text = template
            .replace("@NAME@", "postroom")
            .replace("@USER@", "User=daemon")
            .replace("@ENVIRONMENT@", "/etc/hosts")
            .replace("@COMMAND@", "/usr/local/bin/postroom daemon");
        let text = format!("{text}\n{drop_in}");
        Self { name, text }
    }

    /// What systemd says against it, or how exposed it is where that is 3.0 or more.
    pub(crate) fn problems(&self, program: &Path) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let file = folder.path().join("postroom.service");
        let program = program.display().to_string();
        let text = self.text.replace("/usr/local/bin/postroom", &program);
        std::fs::write(&file, text).unwrap_or_else(|error| panic!("{error}"));
        let verify = ["verify", "--man=no", "--recursive-errors=no"];
        let exposure = ["security", "--offline=true", "--no-pager", "--threshold=29"];
        [&verify[..], &exposure[..]]
            .into_iter()
            .filter_map(|arguments| analyze(arguments, &file))
            .map(|said| format!("{}: {said}", self.name))
            .collect()
    }
}

/// What `systemd-analyze` says where it is not content.
fn analyze(arguments: &[&str], file: &Path) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test may wait for a program")]
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(file)
        .output()
        .unwrap_or_else(|error| panic!("systemd-analyze: {error}"));
    let told = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    // It checks the units of this machine too; what it says of them is no matter of ours.
    let is_content = output.status.success() && !complained.contains("postroom.service");
    (!is_content).then(|| format!("{arguments:?}: {told}{complained}"))
}

/// Whether this machine can look at units.
pub(crate) fn can_analyze() -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join("systemd-analyze").is_file())
    })
}
