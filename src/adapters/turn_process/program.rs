//! Finds the program of a command.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// The absolute path of a program: as a shell finds it along `search_path`, or relative to
/// `working_dir` where its name holds a slash.
pub(super) fn find(program: &str, search_path: &str, working_dir: &Path) -> Option<PathBuf> {
    if program.contains('/') {
        let path = working_dir.join(program);
        return is_program(&path).then_some(path);
    }
    let folders = search_path
        .split(':')
        .map(|folder| working_dir.join(folder));
    folders
        .map(|folder| folder.join(program))
        .find(|path| !program.is_empty() && is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_and_paths_are_taken_as_they_are() {
        let here = Path::new("/");
        let found = find("sh", "/nowhere:/bin", here);
        assert_eq!(found, Some(PathBuf::from("/bin/sh")));
        assert_eq!(find("/bin/sh", "", here), found);
        assert_eq!(
            find("./sh", "", Path::new("/bin")).unwrap().parent(),
            found.unwrap().parent()
        );
    }

    #[test]
    fn folders_and_plain_files_are_no_programs() {
        let here = Path::new("/");
        assert_eq!(find("etc", "/", here), None);
        assert_eq!(find("/etc/passwd", "", here), None);
        assert_eq!(find("", "/bin", here), None);
        assert_eq!(find("no-such-program", "/bin", here), None);
    }
}
