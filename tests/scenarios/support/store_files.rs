//! A broker's store as files, and the commands that look after them.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::broker::postroom;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; `None`: it was killed.
    pub code: Option<i32>,
    /// What it said.
    pub out: String,
    /// What it complained of.
    pub err: String,
}

impl Ran {
    /// What it said as JSON, where it succeeded.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }
}

/// Gives a command for the home folder of a broker with a TOML configuration.
pub fn run(folder: &Path, args: &[&str], failpoints: &str) -> Ran {
    let output = postroom()
        .args(args)
        .arg("--base-dir")
        .arg(folder)
        .env("HOME", folder)
        .env("POSTROOM_FAILPOINTS", failpoints)
        .env_remove("POSTROOM_HOME")
        .current_dir(folder)
        .output()
        .unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same beside what else a test does.
pub async fn run_beside(folder: &Path, args: &[&str]) -> Ran {
    let folder = folder.to_owned();
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&folder, &args, "")
    });
    ran.await.unwrap()
}

/// The database of a broker with a TOML configuration.
pub fn database(folder: &Path) -> PathBuf {
    folder.join("store/postroom.db")
}

/// All prompts in a store, in the order of acceptance.
pub fn prompts(database: &Path) -> Vec<String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(database, flags).unwrap();
    let mut select = connection
        .prepare("SELECT prompt FROM message ORDER BY seq")
        .unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Makes a database one that nobody can trust: a page in its middle is overwritten.
pub fn damage(database: &Path) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(database)
        .unwrap();
    let pages = file.metadata().unwrap().len() / 16384;
    for page in [pages / 3, pages / 2, pages - 2] {
        file.write_all_at(&[0x5a; 512], page * 16384).unwrap();
    }
}
