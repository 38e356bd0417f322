//! `enable` and `restart`: systemd runs the service.
//!
//! The unit holds no secret: keys stand in `<home>/service.env`, which its owner alone may read.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::{
    HomeArgs, World, exit,
    progress::Progress,
    system::System,
    unit::{self, Unit},
};
use crate::{
    runtime_file::{fresh_key, write_private},
    settings::{Flags, load},
};

#[cfg(test)]
mod tests;

/// The variable of the key in the environment file.
const KEY: &str = "POSTROOM__SERVER__KEY";

/// `enable`
#[derive(clap::Args)]
pub struct EnableArgs {
    /// Address to listen on [default: as configured, 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// Port to listen on [default: as configured, 7011]
    #[arg(long)]
    pub port: Option<u16>,
    /// Key that clients must show [default: the one from before, or a new one
    /// where the address is not of this machine alone]
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// Command that runs a turn of an agent that names none
    #[arg(long, value_name = "COMMAND")]
    pub cli: Option<String>,
    /// Do not start it now
    #[arg(long)]
    pub skip_start: bool,
    /// Which unit.
    #[command(flatten)]
    pub unit: UnitArgs,
}

/// `restart` and `disable`
#[derive(clap::Args)]
pub struct UnitArgs {
    /// Folder of the units
    #[arg(long, value_name = "DIR", default_value = "/etc/systemd/system")]
    pub systemd_dir: PathBuf,
    /// Name of the unit
    #[arg(long, value_name = "NAME", default_value = "postroom", value_parser = unit_name)]
    pub service_name: String,
    /// Call systemctl as it is, without sudo
    #[arg(long)]
    pub no_sudo: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

pub(super) fn unit_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix(".service").unwrap_or(text);
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.is_empty() || name.starts_with(['-', '.']) || !name.chars().all(is_plain) {
        return Err("a unit's name is made of letters, digits, `-`, `_` and `.`".to_owned());
    }
    Ok(name.to_owned())
}

impl UnitArgs {
    /// The unit's file.
    pub(super) fn file(&self) -> PathBuf {
        let name = format!("{}.service", self.service_name);
        self.systemd_dir.join(name)
    }

    /// Runs a program with the rights that the unit folder needs.
    ///
    /// # Errors
    /// It is not there, or failed.
    pub(super) fn call(&self, system: &mut dyn System, command: &[&str]) -> anyhow::Result<()> {
        let sudo: &[&str] = if self.needs_sudo(system) {
            &["sudo"]
        } else {
            &[]
        };
        let whole = [sudo, command].concat();
        let shown = whole.join(" ");
        let succeeded = system
            .call(&whole)
            .with_context(|| format!("cannot run `{shown}`"))?;
        anyhow::ensure!(succeeded, "`{shown}` failed");
        Ok(())
    }

    pub(super) fn needs_sudo(&self, system: &dyn System) -> bool {
        !self.no_sudo && !system.is_root()
    }

    pub(super) fn has_systemd(world: &World, system: &dyn System) -> bool {
        let usual = "/usr/bin:/bin";
        system.has("systemctl", world.variable("PATH").unwrap_or(usual))
    }
}

/// Writes environment file and unit, and has systemd start the service.
pub(super) fn run(
    args: &EnableArgs,
    world: &World,
    system: &mut dyn System,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    let home = args.unit.home.folder(world)?;
    let environment_file = home.join("service.env");
    let made = write_environment(args, world, &home, &environment_file)?;
    let file = args.unit.file();
    let was_there = file.exists();
    let text = unit_text(args, world, &home, &environment_file);
    let has_systemd = UnitArgs::has_systemd(world, system);
    if let Some(key) = made {
        writeln!(output, "key made: {key}")?;
        writeln!(
            output,
            "it is not shown again; it stands in {}",
            environment_file.display()
        )?;
    }
    if has_systemd {
        write_unit(args, system, &home, &file, &text)?;
    } else {
        write_plain(&file, &text)?;
    }
    writeln!(output, "written: {}", file.display())?;
    if !has_systemd {
        writeln!(output, "systemctl was not found; where systemd runs:")?;
        writeln!(output, "  systemctl daemon-reload")?;
        writeln!(
            output,
            "  systemctl enable --now {}",
            args.unit.service_name
        )?;
        return Ok(exit::OK);
    }
    start(args, world, system, was_there)?;
    let state = if args.skip_start {
        "enabled"
    } else {
        "enabled and started"
    };
    writeln!(output, "{} is {state}", args.unit.service_name)?;
    Ok(exit::OK)
}

/// Has systemd start the service again.
pub(super) fn restart(
    args: &UnitArgs,
    world: &World,
    system: &mut dyn System,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    anyhow::ensure!(
        UnitArgs::has_systemd(world, system),
        "systemctl was not found; stop the service by a signal, and start it again"
    );
    args.call(system, &["systemctl", "restart", &args.service_name])?;
    writeln!(output, "{} was started again", args.service_name)?;
    Ok(exit::OK)
}

fn start(
    args: &EnableArgs,
    world: &World,
    system: &mut dyn System,
    was_there: bool,
) -> anyhow::Result<()> {
    let (unit, name) = (&args.unit, args.unit.service_name.as_str());
    // sudo may ask for a password on the same line.
    let _progress = (!unit.needs_sudo(system)).then(|| Progress::begin(world, "systemd starts it"));
    unit.call(system, &["systemctl", "daemon-reload"])?;
    match (args.skip_start, was_there) {
        (true, _) => unit.call(system, &["systemctl", "enable", name]),
        (false, false) => unit.call(system, &["systemctl", "enable", "--now", name]),
        // One that runs already would go on with its old command.
        (false, true) => {
            unit.call(system, &["systemctl", "enable", name])?;
            unit.call(system, &["systemctl", "restart", name])
        }
    }
}

/// Keeps what the file says already; gives the key, where one had to be made.
fn write_environment(
    args: &EnableArgs,
    world: &World,
    home: &Path,
    file: &Path,
) -> anyhow::Result<Option<String>> {
    let mut variables = match fs::read_to_string(file) {
        Ok(text) => unit::variables(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read `{}`", file.display()));
        }
    };
    let given = args
        .api_key
        .as_deref()
        .or_else(|| world.variable("AI_AGENT_PROXY_API_KEY"));
    if let Some(key) = given {
        variables.insert(KEY.to_owned(), one_line(key)?);
    }
    // Agents' programs lie where the user's shell finds them.
    if let Some(path) = world.variable("PATH") {
        variables.insert("PATH".to_owned(), one_line(path)?);
    }
    let mut made = None;
    if !variables.contains_key(KEY) && needs_key(args, world)? {
        let key = fresh_key()?;
        variables.insert(KEY.to_owned(), key.clone());
        made = Some(key);
    }
    fs::create_dir_all(home).with_context(|| format!("cannot make `{}`", home.display()))?;
    write_private(file, unit::environment_text(&variables).as_bytes())
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    Ok(made)
}

fn one_line(value: &str) -> anyhow::Result<String> {
    anyhow::ensure!(
        !value.chars().any(char::is_control),
        "a key or path for the service holds a control character"
    );
    Ok(value.to_owned())
}

/// Whether the service would be reached from outside, by anyone.
fn needs_key(args: &EnableArgs, world: &World) -> anyhow::Result<bool> {
    // The service sees the files and the flags, but not this shell's variables.
    let mut sources = world.sources(
        Flags {
            host: args.ip.clone(),
            base_dir: args.unit.home.base_dir.clone(),
            allow_unauthenticated: true,
            ..Flags::default()
        },
        "postroom",
    );
    sources
        .environment
        .retain(|(name, _)| name == "POSTROOM_HOME");
    let settings = load(sources)?;
    Ok(!settings.server.is_loopback() && !settings.has_keys())
}

fn unit_text(args: &EnableArgs, world: &World, home: &Path, environment_file: &Path) -> String {
    let text = |path: &Path| path.display().to_string();
    let mut command = vec![
        text(&world.executable),
        "daemon".to_owned(),
        "--base-dir".to_owned(),
        text(home),
    ];
    let port = args.port.map(|port| port.to_string());
    for (flag, value) in [
        ("--api-host", &args.ip),
        ("--api-port", &port),
        ("--cli", &args.cli),
    ] {
        if let Some(value) = value {
            command.extend([flag.to_owned(), value.clone()]);
        }
    }
    Unit {
        name: &args.unit.service_name,
        user: world.variable("USER").or_else(|| world.variable("LOGNAME")),
        command: &command,
        environment_file: &text(environment_file),
    }
    .text()
}

fn write_unit(
    args: &EnableArgs,
    system: &mut dyn System,
    home: &Path,
    file: &Path,
    text: &str,
) -> anyhow::Result<()> {
    if !args.unit.needs_sudo(system) {
        return write_plain(file, text);
    }
    let own = home.join(format!("{}.service", args.unit.service_name));
    write_plain(&own, text)?;
    let (from, to) = (own.display().to_string(), file.display().to_string());
    args.unit
        .call(system, &["install", "-m", "0644", "--", &from, &to])?;
    fs::remove_file(&own).with_context(|| format!("cannot remove `{from}`"))
}

fn write_plain(file: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))
}
