//! `bridge login`: asks for the remote proxy (or takes it from flags), tries it, writes it down, and
//! with `--openclaw` tells OpenClaw of the bridge.

use std::{
    fs,
    io::{self, BufRead, Write},
    path::PathBuf,
};

use anyhow::{Context, bail};
use clap::Args;

use super::{
    ask::Dialog,
    config_file::{self, Written},
    openclaw::{OpenClaw, PluginConfig, Provider},
    status::{Part, State, local_url, remote_side},
};
use crate::{
    cli::{World, client::block_on, exit},
    settings::{self, BridgeSettings, Flags, MoreFlag, Secret, Sources, home},
    startup::bridge,
};

/// `bridge login`
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct LoginArgs {
    /// Base URL of the remote proxy, with or without /v1
    #[arg(long, visible_alias = "remote-url")]
    pub url: Option<String>,
    /// File whose first line is the token
    #[arg(long, value_name = "FILE", conflicts_with = "token_stdin")]
    pub token_file: Option<PathBuf>,
    /// Take the token from the first line of standard input
    #[arg(long)]
    pub token_stdin: bool,
    /// A model that is offered, with its name for people; may be repeated
    #[arg(long = "model", value_name = "ID[=NAME]")]
    pub models: Vec<String>,
    /// Port of the bridge [default: 18800]
    #[arg(long)]
    pub port: Option<u16>,
    /// Speak plain HTTP also to a remote proxy that is not on this machine
    #[arg(long)]
    pub allow_insecure: bool,
    /// Write it down although the remote proxy does not answer
    #[arg(long)]
    pub no_check: bool,
    /// Tell OpenClaw of the bridge too, and take over what its plugin
    /// proxy-bridge was told
    #[arg(long)]
    pub openclaw: bool,
    /// OpenClaw's configuration [default: ~/.openclaw/openclaw.json]
    #[arg(long, value_name = "FILE", requires = "openclaw")]
    pub openclaw_config: Option<PathBuf>,
    /// Make a model of the bridge the one that OpenClaw's agents use
    #[arg(
        long,
        value_name = "ID",
        requires = "openclaw",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub default_model: Option<String>,
    /// Leave OpenClaw's plugin proxy-bridge on, which may hold the same port
    #[arg(long, requires = "openclaw")]
    pub keep_plugin: bool,
    /// Ask nothing; yes to all changes
    #[arg(short, long)]
    pub yes: bool,
    /// Configuration file that is written [default: postroom.toml in the home
    /// folder, or here where there is one]
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for what is ours [default: ~/.postroom]
    #[arg(long, value_name = "DIR")]
    pub base_dir: Option<PathBuf>,
}

/// What the user said, or what was known before.
struct Answers {
    url: String,
    token: String,
    /// It is the one that was known before.
    same_token: bool,
    port: Option<u16>,
    models: Vec<(String, String)>,
    new_models: bool,
}

/// Runs the login.
pub(super) fn run(
    args: &LoginArgs,
    world: &World,
    sources: impl Fn(Flags) -> Sources,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut openclaw = args
        .openclaw
        .then(|| OpenClaw::read(&openclaw_file(args, world)?))
        .transpose()?;
    let imported = openclaw.as_ref().map(OpenClaw::plugin).unwrap_or_default();
    let file = config_file(args, &sources)?;
    let config = file.exists().then(|| file.clone());
    let with = |more| {
        sources(Flags {
            config: config.clone(),
            base_dir: args.base_dir.clone(),
            more,
            ..Flags::default()
        })
    };
    let known = settings::load(with(Vec::new()))
        .ok()
        .map(|known| known.bridge);
    let token = given_token(args)?;
    let mut dialog = Dialog::of_this_process(output, args.yes);
    let answers = answers(args, token, known.as_ref(), imported, &mut dialog)?;
    let bridge = settings::load(with(flags(args, &answers)))?.bridge;
    if !tried(&bridge, args.no_check, &mut dialog)? {
        return Ok(exit::FAILURE);
    }
    let written = Written {
        url: &bridge.remote()?.url,
        token: &answers.token,
        same_token: answers.same_token,
        port: answers.port,
        models: answers.new_models.then_some(answers.models.as_slice()),
        allow_insecure: args.allow_insecure,
    };
    config_file::write(&file, &written)?;
    dialog.say(&format!("written: {}", file.display()))?;
    let is_told = match &mut openclaw {
        Some(openclaw) => tell_openclaw(openclaw, args, &bridge, &answers, &mut dialog)?,
        None => true,
    };
    dialog.say(
        "start the bridge with `postroom bridge run`; `postroom bridge status` looks after it",
    )?;
    Ok(if is_told { exit::OK } else { exit::FAILURE })
}

fn openclaw_file(args: &LoginArgs, world: &World) -> anyhow::Result<PathBuf> {
    let named = args.openclaw_config.clone();
    let from_variable = || world.variable("OPENCLAW_CONFIG_PATH").map(PathBuf::from);
    if let Some(path) = named.or_else(from_variable) {
        return Ok(world.working_dir.join(path));
    }
    let home = world.home_dir.as_ref();
    let home = home.context("no home directory is known; give `--openclaw-config FILE`")?;
    Ok(home.join(".openclaw/openclaw.json"))
}

/// The file that the settings are read from; where there is none, the one in the home folder.
fn config_file(args: &LoginArgs, sources: &impl Fn(Flags) -> Sources) -> anyhow::Result<PathBuf> {
    let sources = sources(Flags {
        base_dir: args.base_dir.clone(),
        ..Flags::default()
    });
    if let Some(named) = &args.config {
        if named
            .extension()
            .is_none_or(|extension| extension != "toml")
        {
            bail!(
                "`{}` is not ours: its name must end in .toml",
                named.display()
            );
        }
        return Ok(sources.working_dir.join(named));
    }
    let ours = home(&sources)?.join("postroom.toml");
    let here = sources.working_dir.join("postroom.toml");
    Ok(if !ours.exists() && here.exists() {
        here
    } else {
        ours
    })
}

/// The token of the flags.
fn given_token(args: &LoginArgs) -> anyhow::Result<Option<String>> {
    let text = if args.token_stdin {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        line
    } else if let Some(file) = &args.token_file {
        fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?
    } else {
        return Ok(None);
    };
    let token = text.lines().next().unwrap_or_default().trim();
    if token.is_empty() {
        bail!("the token is empty");
    }
    Ok(Some(token.to_owned()))
}

fn answers(
    args: &LoginArgs,
    token: Option<String>,
    known: Option<&BridgeSettings>,
    imported: PluginConfig,
    dialog: &mut Dialog<'_>,
) -> anyhow::Result<Answers> {
    let remote = known.and_then(|known| known.remote.as_ref());
    let known_url = imported.url.or_else(|| Some(remote?.url.clone()));
    let url = match &args.url {
        Some(url) => url.clone(),
        None => dialog.ask("URL of the remote proxy", known_url, "--url")?,
    };
    let before = remote.map(|remote| remote.token.expose().to_string());
    let token = if let Some(token) = token {
        token
    } else {
        let known = imported.token.or_else(|| before.clone());
        dialog.ask_secret("Token", known, "--token-file or --token-stdin")?
    };
    let before_models: Vec<_> = known
        .into_iter()
        .flat_map(|known| &known.models)
        .map(|model| (model.id.clone(), model.name.clone()))
        .collect();
    let models = models(args, imported.models, &before_models, dialog)?;
    Ok(Answers {
        url,
        same_token: before.as_ref() == Some(&token),
        token,
        port: args.port.or(imported.port),
        new_models: models != before_models,
        models,
    })
}

fn models(
    args: &LoginArgs,
    imported: Vec<(String, String)>,
    before: &[(String, String)],
    dialog: &mut Dialog<'_>,
) -> anyhow::Result<Vec<(String, String)>> {
    if !args.models.is_empty() {
        return args.models.iter().map(String::as_str).map(model).collect();
    }
    let known = if imported.is_empty() {
        before.to_vec()
    } else {
        imported
    };
    let ids: Vec<_> = known.iter().map(|(id, _)| id.as_str()).collect();
    let ids = ids.join(", ");
    let answer = dialog.ask("Ids of models, with commas", Some(ids.clone()), "--model")?;
    if answer == ids {
        return Ok(known);
    }
    answer.split(',').map(model).collect()
}

/// `id` or `id=name`.
fn model(text: &str) -> anyhow::Result<(String, String)> {
    let (id, name) = text.split_once('=').unwrap_or((text, text));
    let (id, name) = (id.trim(), name.trim());
    if id.is_empty() {
        bail!("a model needs an id, found `{text}`");
    }
    let name = if name.is_empty() { id } else { name };
    Ok((id.to_owned(), name.to_owned()))
}

/// The answers in the words of the settings, which check them.
fn flags(args: &LoginArgs, answers: &Answers) -> Vec<MoreFlag> {
    let mut flags: Vec<MoreFlag> = vec![
        ("--url", &["bridge", "remote_url"], answers.url.clone()),
        ("token", &["bridge", "token"], answers.token.clone()),
    ];
    if let Some(port) = answers.port {
        flags.push(("--port", &["bridge", "port"], port.to_string()));
    }
    if args.allow_insecure {
        flags.push((
            "--allow-insecure",
            &["bridge", "allow_insecure"],
            "true".to_owned(),
        ));
    }
    flags
}

/// Whether the remote proxy is as it should be, or nobody wants to know.
fn tried(bridge: &BridgeSettings, no_check: bool, dialog: &mut Dialog<'_>) -> anyhow::Result<bool> {
    let remote = bridge.remote()?;
    let (side, token) = block_on(async {
        let prober = bridge::prober();
        Ok(remote_side(&prober, &remote.url, &remote.token).await)
    })?;
    for (name, part) in [("remote", &side), ("token", &token)] {
        dialog.say(&format!("{name:<7} {}", line(part)))?;
    }
    let is_well = side.state == State::Ok && token.state != State::Wrong;
    if !is_well {
        let advice = side.advice.or(token.advice).unwrap_or_default();
        dialog.say(&advice)?;
    }
    if !is_well && !no_check {
        dialog.say("nothing was written; `--no-check` writes it down all the same")?;
    }
    Ok(is_well || no_check)
}

fn line(part: &Part) -> String {
    let word = match part.state {
        State::Ok => "ok",
        State::Down => "down",
        State::Wrong => "wrong",
        State::Unknown => "unknown",
    };
    format!("{word:<8} {}", part.text)
}

/// Shows what changes in OpenClaw's file and changes it; whether it is as it should be.
fn tell_openclaw(
    openclaw: &mut OpenClaw,
    args: &LoginArgs,
    bridge: &BridgeSettings,
    answers: &Answers,
    dialog: &mut Dialog<'_>,
) -> anyhow::Result<bool> {
    let base_url = format!("{}/v1", local_url(bridge));
    let first = answers.models.first().map_or("", |(id, _)| id.as_str());
    let question = format!("Let OpenClaw's agents use proxy-bridge/{first}?");
    let default_model = match args.default_model.as_deref() {
        Some("") => Some(first),
        Some(named) => Some(named),
        None if dialog.asks() && dialog.agrees(&question)? => Some(first),
        None => None,
    };
    openclaw.add_provider(&Provider {
        base_url: &base_url,
        local_token: bridge.local_token.as_ref().map(shown),
        models: &answers.models,
        default_model: default_model.filter(|model| !model.is_empty()),
    })?;
    let question = "Switch off OpenClaw's plugin proxy-bridge, which would hold the same port?";
    if openclaw.has_plugin() && !args.keep_plugin && dialog.agrees(question)? {
        openclaw.disable_plugin()?;
    }
    let file = openclaw.path().display().to_string();
    if openclaw.changes().is_empty() {
        dialog.say(&format!("{file} is as it should be"))?;
        return Ok(true);
    }
    dialog.say(&format!("in {file}:"))?;
    for change in openclaw.changes() {
        dialog.say(&format!("  {change}"))?;
    }
    if !dialog.agrees("Write that?")? {
        dialog.say(&format!(
            "{file} was left as it is; `--yes` writes without asking"
        ))?;
        return Ok(false);
    }
    if let Some(backup) = openclaw.write()? {
        dialog.say(&format!("written; as it was before: {}", backup.display()))?;
    }
    Ok(true)
}

fn shown(secret: &Secret) -> &str {
    secret.expose()
}
