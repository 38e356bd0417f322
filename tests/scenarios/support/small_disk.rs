//! A disk that a test may fill.

/// A small disk of its own, mounted for one test (needs root).
pub struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts it.
    pub fn new() -> Self {
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let mount = disk.folder.path().display().to_string();
        run("mount", &["-t", "tmpfs", "-o", "size=24m", "tmpfs", &mount]);
        disk
    }

    /// A file or folder on it.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Takes all its room.
    pub fn fill(&self) {
        let filler = std::fs::File::create(self.path("filler")).unwrap();
        let chunk = vec![0_u8; 1 << 16];
        let mut filler = std::io::BufWriter::new(filler);
        while std::io::Write::write_all(&mut filler, &chunk).is_ok() {}
    }

    /// Takes its room but for so many bytes.
    pub fn fill_up_to(&self, left: u64) {
        let filler = std::fs::File::create(self.path("filler")).unwrap();
        let mut filler = std::io::BufWriter::new(filler);
        let free = || {
            let facts = rustix::fs::statvfs(self.folder.path()).unwrap();
            facts.f_bavail * facts.f_frsize
        };
        let chunk = vec![0; 1 << 16];
        while free() > left {
            std::io::Write::write_all(&mut filler, &chunk).unwrap();
            std::io::Write::flush(&mut filler).unwrap();
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        std::fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["-l", &self.folder.path().display().to_string()]);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests set up a disk of their own"
)]
fn run(program: &str, args: &[&str]) {
    let output = std::process::Command::new(program)
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}
