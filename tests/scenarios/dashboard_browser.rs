//! The dashboard in a real Chromium: what an operator sees, clicks, and is kept safe from.

use std::sync::Arc;

use crate::support::{
    agents::{KEEP_PROMPT, Stage},
    broker::Broker,
    messages::{Office, SLOW, key_of},
    peers::{Peer, Received, Reply},
    processes::expect_none,
    tools::{Client, ClientResult, tools_folder},
    user_home::UserHome,
    wait::until,
};

const SECRET: &str = "secret-between-us-and-the-office";
const OPERATOR: &str = "the-key-of-the-operator";
const WRITER: &str = "coder";

/// Does what its prompt says.
const SCRIPT: &str = r#"
prompt=$(cat "$STAGE/prompts/$POSTROOM_TURN_ID.txt")
case $prompt in *wait-for-gate*) while [ ! -e "$STAGE/open" ]; do sleep 0.05; done; echo 'the gate is open' ;; esac
case $prompt in *complain-of-it*)
    if [ -e "$STAGE/complain" ]; then cat "$STAGE/complain" >&2; else echo 'the crane is stuck' >&2; fi
    exit 3 ;;
esac
case $prompt in *send-it*)
    curl -sS -X POST "$POSTROOM_URL/send" -H "Authorization: Bearer $POSTROOM_TURN_TOKEN" -H 'Content-Type: application/json' --data-binary "@$STAGE/send" ;;
esac
case $prompt in *say-it*) cat "$STAGE/say" ;; esac
echo 'Berth 4 is free.'
"#;

/// What a peer says that refuses: its words are shown, and must stay words.
const REFUSAL: &str = r#"{"error":"no such project: <img src=x onerror=\"window.pwned='peer'\">"}"#;
const PLAIN_REFUSAL: &str =
    r#"no such project: <img src=x onerror="window.pwned='peer'"><script>window.pwned=1</script>"#;

/// A broker with an agent and a peer, and the folder through which the browser's script tells them what to do.
struct Scene {
    stage: Stage,
    broker: Broker,
    peer: Peer,
}

/// A peer that refuses until the file `peer-takes` is on the stage.
fn peer(stage: &Stage, refusal: &'static str) -> Peer {
    let takes = stage.path("peer-takes");
    Peer::start(move |_: usize, _: &Received| {
        if takes.exists() {
            Reply::Received
        } else {
            Reply::Status(400, "", refusal)
        }
    })
}

fn office(stage: &Stage, peer: &Peer) -> Office {
    let command = stage.script("scripted.sh", &format!("{KEEP_PROMPT}{SCRIPT}"));
    let schedule = format!("schedule = {SLOW}\nto = \"{WRITER}\"");
    Office::new()
        .agent(stage, WRITER, &command, "max_attempts = 1")
        .peer("office", peer.url(), SECRET, &schedule)
        .key_of_agent(WRITER)
        .with(
            "[limits]\nrepeats = 0\n[courier]\nreply_hosts = [\"127.0.0.1\"]\nallow_private = true",
        )
}

impl Scene {
    async fn new(refusal: &'static str) -> Self {
        let stage = Stage::new();
        let peer = peer(&stage, refusal);
        let options = office(&stage, &peer).options();
        let broker = Broker::start_in(Arc::clone(stage.folder()), options).await;
        Self {
            stage,
            broker,
            peer,
        }
    }

    /// The script, told where everything is.
    fn script(&self) -> Result<Client, crate::support::tools::ClientFailure> {
        Ok(script(&self.stage, self.broker.url())?.option("--key", self.broker.key()))
    }

    async fn passes(&self, section: &str) -> ClientResult {
        self.script()?.arguments([section]).passes_meanwhile().await
    }
}

fn script(stage: &Stage, url: &str) -> Result<Client, crate::support::tools::ClientFailure> {
    Ok(Client::with_node("dashboard.mjs")?
        .option("--tools", tools_folder())
        .option("--url", url)
        .option("--stage", stage.folder().path())
        .option("--secret", SECRET)
        .option("--agent-key", key_of(WRITER)))
}

async fn passes(section: &str) -> ClientResult {
    Scene::new(REFUSAL).await.passes(section).await
}

#[actix_web::test]
async fn without_javascript_everything_is_read_and_every_action_works() -> ClientResult {
    passes("reading").await
}

#[actix_web::test]
async fn a_message_is_seen_to_arrive_run_and_end_without_a_reload() -> ClientResult {
    passes("live").await
}

#[actix_web::test]
async fn a_dead_letter_is_retried_and_another_dropped_by_a_click() -> ClientResult {
    let scene = Scene::new(REFUSAL).await;
    scene.passes("dead-letters").await?;
    let texts = scene.peer.texts();
    assert_eq!(texts.last().unwrap(), "The tide is late.", "{texts:?}");
    let dropped = texts.iter().filter(|text| text.contains("early"));
    assert_eq!(dropped.count(), 1, "{texts:?}");
    Ok(())
}

#[actix_web::test]
async fn a_running_turn_is_cancelled_by_a_click_and_its_process_is_gone() -> ClientResult {
    let scene = Scene::new(REFUSAL).await;
    scene.passes("cancel").await?;
    expect_none(&scene.stage.setting());
    Ok(())
}

#[actix_web::test]
async fn operators_log_in_and_out_and_a_revoked_key_ends_its_sessions() -> ClientResult {
    passes("sessions").await
}

#[actix_web::test]
async fn by_tls_the_session_is_kept_under_a_name_that_nobody_else_can_set() -> ClientResult {
    let (home, stage) = (UserHome::new(), Stage::new());
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(home.path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(home.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    home.configure(&format!(
        "[server]\nkey = {OPERATOR:?}\ntls_cert = {:?}\ntls_key = {:?}\n",
        home.path("cert.pem").display().to_string(),
        home.path("key.pem").display().to_string(),
    ));
    let daemon = home.daemon(&[]).await;
    let script = script(&stage, daemon.endpoint())?.option("--key", OPERATOR);
    script.arguments(["tls"]).passes_meanwhile().await
}

#[actix_web::test]
async fn a_foreign_page_changes_nothing_while_an_operator_is_logged_in() -> ClientResult {
    passes("foreign").await
}

#[actix_web::test]
async fn a_foreign_page_changes_nothing_where_no_key_is_set() -> ClientResult {
    let (home, stage) = (UserHome::new(), Stage::new());
    let peer = peer(&stage, REFUSAL);
    let command = stage.script("scripted.sh", &format!("{KEEP_PROMPT}{SCRIPT}"));
    home.configure(&format!(
        "[agents.{WRITER}]\ncli = {command:?}\ndialect = \"command\"\nenv = {{ STAGE = {:?} }}\n\
         [peers.office]\nurl = {:?}\nsecret = {SECRET:?}\nallow_private = true\nschedule = {SLOW}\nto = \"{WRITER}\"\n",
        stage.folder().path().display().to_string(),
        peer.url(),
    ));
    let daemon = home.daemon(&[]).await;
    let script = script(&stage, daemon.endpoint())?;
    script.arguments(["foreign"]).passes_meanwhile().await
}

#[actix_web::test]
async fn hostile_texts_stay_texts_in_every_field() -> ClientResult {
    let scene = Scene::new(PLAIN_REFUSAL).await;
    scene.passes("hostile").await
}

#[actix_web::test]
async fn it_fits_phones_and_desktops_in_light_and_in_dark() -> ClientResult {
    passes("looks").await
}

#[actix_web::test]
async fn a_page_is_live_again_after_a_broken_line_and_after_a_restart() -> ClientResult {
    let Scene {
        stage,
        broker,
        peer: _peer,
    } = Scene::new(REFUSAL).await;
    let client = script(&stage, broker.url())?.option("--key", broker.key());
    let client = client.arguments(["restart"]);
    let script = actix_web::rt::spawn(client.passes_meanwhile());
    let ended = || script.is_finished();
    let asked = || stage.path("restart").exists();
    until(
        "the script's wish",
        || asked() || ended(),
        |is_time| *is_time,
    )
    .await;
    let broker = broker.kill_and_restart().await;
    let part = stage.path("restarted.part");
    std::fs::write(&part, broker.url()).unwrap();
    std::fs::rename(&part, stage.path("restarted")).unwrap();
    script.await.unwrap()
}

#[actix_web::test]
async fn with_five_hundred_messages_the_next_one_is_still_seen_soon() -> ClientResult {
    passes("many").await
}

#[actix_web::test]
async fn pages_that_are_left_or_hidden_keep_no_other_page_from_loading() -> ClientResult {
    passes("tabs").await
}

/// With `POSTROOM_SCREENSHOTS=docs/images` these are the pictures of the README; `POSTROOM_PICTURE_MINUTES=4` fills the plots.
#[actix_web::test]
async fn pictures_of_a_morning_at_work_can_be_taken() -> ClientResult {
    let stage = Stage::new();
    let office = Peer::that_takes_all();
    let refusal = r#"{"error":"no loading plan is taken after Wednesday"}"#;
    let warehouse = peer(&stage, refusal);
    let options = harbour(&stage, office.url(), warehouse.url()).options();
    let broker = Broker::start_in(Arc::clone(stage.folder()), options).await;
    let own = stage.path("pictures");
    let folder = std::env::var_os("POSTROOM_SCREENSHOTS").map_or(own, Into::into);
    script(&stage, broker.url())?
        .option("--key", broker.key())
        .option("--screenshots", folder)
        .arguments(["pictures"])
        .passes_meanwhile()
        .await
}

/// What the agents of the pictures do: the manager asks the librarian, and answers.
const CLERK: &str = r#"
prompt=$(cat "$STAGE/prompts/$POSTROOM_TURN_ID.txt")
send() {
    curl -sS -X POST "$POSTROOM_URL/send" -H "Authorization: Bearer $POSTROOM_TURN_TOKEN" -H 'Content-Type: application/json' -d "$1" > /dev/null
}
case $POSTROOM_AGENT in
manager)
    echo 'Looking at the berth list for Thursday.'
    send '{"type":"STATUS","payload":{"text":"I am looking at the list."}}'
    sleep 0.4
    echo 'Berth 4 is taken until 11:30; berth 2 is free from noon.'
    send '{"type":"ANSWER","payload":{"text":"Berth 2 is free on Thursday from noon until six."}}' ;;
translator)
    echo 'Reading the sheet: 14 lines, two of them with times.'
    while [ ! -e "$STAGE/open" ]; do sleep 0.05; done ;;
apprentice)
    echo 'cannot read letters/9.pdf: it is protected by a password' >&2
    exit 3 ;;
*)
    sleep 0.$(($$ % 8 + 1))
    send '{"type":"ANSWER","payload":{"text":"Done; it lies on your desk."}}' ;;
esac
echo 'Done.'
"#;

fn harbour(stage: &Stage, office: &str, warehouse: &str) -> Office {
    let command = stage.script("clerk.sh", &format!("{KEEP_PROMPT}{CLERK}"));
    let names = [
        "manager",
        "librarian",
        "writer",
        "translator",
        "apprentice",
        "courier",
        WRITER,
    ];
    let agents = names.iter().fold(Office::new(), |agents, name| {
        agents.agent(stage, name, &command, "max_attempts = 1")
    });
    let agents = agents.agent(stage, "weatherman", "weather-cli", "");
    let schedule = format!("schedule = {SLOW}");
    agents
        .peer("office", office, SECRET, "")
        .peer("warehouse", warehouse, "secret-of-the-warehouse", &schedule)
        .key_of_agent(WRITER)
        .with("[limits]\nrepeats = 0")
}
