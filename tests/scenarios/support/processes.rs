//! Who runs on this machine.

use super::wait::until;

/// The command lines of the processes whose environment holds this setting (`NAME=value`).
pub fn with_setting(setting: &str) -> Vec<String> {
    let holds = |environment: &[u8]| {
        let mut settings = environment.split(|byte| *byte == 0);
        settings.any(|known| known == setting.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    // A process may end while it is looked at.
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| std::fs::read(path.join("environ")).is_ok_and(|bytes| holds(&bytes)))
        .filter_map(|path| std::fs::read(path.join("cmdline")).ok())
        .filter(|line| !line.is_empty())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

/// Waits until a process with this setting has these words in its command line.
pub async fn until_runs(setting: &str, words: &str) {
    let what = format!("a process `{words}` of {setting}");
    until(
        &what,
        || with_setting(setting),
        |lines| lines.iter().any(|line| line.contains(words)),
    )
    .await;
}

/// Checks that no process with this setting is left, now.
pub fn expect_none(setting: &str) {
    let left = with_setting(setting);
    assert!(left.is_empty(), "left behind by {setting}: {left:#?}");
}
