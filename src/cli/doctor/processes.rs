//! Processes by their numbers, and who listens on a port: what `/proc` tells.

use std::{fs, path::Path};

/// The program's file name, where it may be known.
pub(super) fn program(pid: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = line.split(|byte| *byte == 0).next()?;
    let text = String::from_utf8_lossy(first);
    let name = Path::new(text.as_ref()).file_name();
    name.map(|name| name.to_string_lossy().into_owned())
}

/// Whether a program is Postroom by its name.
pub(super) fn is_ours(program: &str) -> bool {
    ["postroom", "ai-agent-proxy"].contains(&program)
}

/// The variables that a process was started with, where they may be read.
pub(super) fn environment(pid: u32) -> Option<Vec<(String, String)>> {
    let all = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let pairs = all.split(|byte| *byte == 0).filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Some(pairs.collect())
}

/// The process that listens on a TCP port, where that may be known.
pub(super) fn listener(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let texts = tables.map(|path| fs::read_to_string(path).unwrap_or_default());
    let inode = texts.iter().find_map(|text| inode_of(text, port))?;
    let link = format!("socket:[{inode}]");
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| has_open(*pid, &link))
}

fn has_open(pid: u32, link: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd"));
    let mut files = files.into_iter().flatten().flatten();
    files.any(|file| fs::read_link(file.path()).is_ok_and(|target| target == Path::new(link)))
}

/// The inode of the socket that listens on a port, in a table of the kernel's.
fn inode_of(table: &str, port: u16) -> Option<&str> {
    const LISTENS: &str = "0A";
    let ending = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = fields.get(1)?.ends_with(&ending) && *fields.get(3)? == LISTENS;
        is_it.then(|| fields.get(9).copied())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_a_port_is_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1B63 0100007F:9999 01 00000000:00000000 00:00000000 00000000 0 0 11 1\n\
             1: 0100007F:1B63 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 42 1\n";
        assert_eq!(inode_of(table, 7011), Some("42"));
        assert_eq!(inode_of(table, 7012), None);
    }

    #[test]
    fn whoever_listens_is_named() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port), Some(std::process::id()));
        assert!(program(std::process::id()).is_some());
        assert!(environment(std::process::id()).is_some());
    }
}
