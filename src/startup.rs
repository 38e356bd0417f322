//! The composition root: the only place that knows everything.
//!
//! Order of start: log and metrics, the store (which locks its folder), the inbox folder, the
//! actors, the listener. What fails before the listener stands leaves nothing behind.

mod agents;
mod backends;
pub mod bridge;
mod courier;
mod error;
mod maintenance;
mod post_room;
mod running;
mod tls;
mod webhooks;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::Server, middleware::from_fn, web};
use metrics_exporter_prometheus::PrometheusHandle;
use postroom_actors::{
    agent_supervisor, backend_relay, courier as courier_actor,
    domain::ids::AgentId,
    ports::{Clock, turns::HiredAgent},
};

use self::backends::Backends;
pub use self::error::StartError;
pub use self::post_room::PostRoom;
use crate::{
    adapters::{store_sqlite, system_clock::SystemClock, tls_certificate::TlsCertificate},
    cli::exit,
    http::{self, SharedState, auth, cors, panics},
    settings::Settings,
    shutdown, telemetry,
};

/// What the verb that was given asks for beyond the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// The manager is there in any case, and takes what names nobody.
    pub with_manager: bool,
    /// Look after notes and workspaces once, then exit.
    pub once: bool,
    /// How often notes and workspaces are looked after; longer than 0, default 60 s.
    pub interval: Duration,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            with_manager: false,
            once: false,
            interval: Duration::from_mins(1),
        }
    }
}

/// Runs the service until it is told to stop.
///
/// # Errors
/// [`StartError`] where it could not start.
pub fn serve(settings: Settings, mode: Mode) -> anyhow::Result<u8> {
    let _log = telemetry::start_log(&settings)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let metrics = telemetry::start_metrics()?;
    store_sqlite::describe();
    backend_relay::metrics::describe();
    agent_supervisor::metrics::describe();
    courier_actor::metrics::describe();
    http::metrics::describe();
    http::dashboard::describe();
    Ok(actix_rt::System::new().block_on(run(settings, mode, metrics))?)
}

/// Makes an agent's workspace while no service runs; the next start takes the agent in. Answers
/// whether it is new.
///
/// # Errors
/// [`StartError::Workspace`].
pub async fn prepare_agent(
    settings: &Settings,
    agent: AgentId,
    hired: HiredAgent,
) -> Result<bool, StartError> {
    agents::prepare(settings, agent, hired).await
}

async fn run(settings: Settings, mode: Mode, metrics: PrometheusHandle) -> Result<u8, StartError> {
    if mode.once {
        agents::look_after_once(&settings, mode).await?;
        return Ok(exit::OK);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let certificate = tls::certificate(&settings.server)?;
    let scheme = tls::scheme(certificate.as_ref());
    let listener = listen(&settings)?;
    let address = listener.local_addr().map_err(|source| StartError::Listen {
        address: settings.server.host.clone(),
        source,
    })?;
    let endpoint = format!("{scheme}://{address}");
    let own_url = own_url(scheme, address);
    let post_room = PostRoom::open(&settings, mode, Arc::clone(&clock), &own_url)?;
    post_room.take_in_agents(&settings).await;
    if let Some(certificate) = &certificate {
        tls::warn_of_another_name(&settings, certificate, &own_url);
    }
    let fingerprint = certificate.as_ref().map(|it| it.fingerprint());
    let runtime = running::runtime_file(own_url, fingerprint)?;
    let shared = web::Data::new(post_room.shared_state(&settings, metrics, endpoint, &runtime.key));
    maintenance::start(&settings, &shared);
    webhooks::start(&settings, &shared);
    Arc::clone(&post_room.agents).keep_looking_after(mode.interval);
    let listening = Listening {
        listener,
        address,
        certificate: certificate.clone(),
    };
    let server = listening.server(&settings, &shared)?;
    let metrics_server = listen_for_metrics(&settings, &shared)?;
    let bridge = bridge::listen(&settings)?;
    let told = running::tell(&runtime, &settings.home);
    if let Some(certificate) = certificate {
        tls::keep_fresh(certificate, told.as_ref(), clock);
    }
    announce(&settings, &shared);
    let code =
        shutdown::run_until_stopped(server, metrics_server, bridge, post_room, &shared).await;
    drop(told);
    Ok(code)
}

/// Where requests come in.
struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    /// With TLS.
    certificate: Option<Arc<TlsCertificate>>,
}

impl Listening {
    /// Small answers leave at once: actix-web leaves Nagle's algorithm on. Signals are ours.
    /// Whoever closes its side counts as gone where that ends something: otherwise it is read on,
    /// and answered, also where what follows its request is no HTTP.
    fn server(
        self,
        settings: &Settings,
        shared: &web::Data<SharedState>,
    ) -> Result<Server, StartError> {
        let (state, backends) = (shared.clone(), Backends::new(settings));
        let server = HttpServer::new(move || {
            let app_state = backends.worker(&state);
            let endpoints = state.endpoints;
            App::new()
                .app_data(state.clone())
                .app_data(web::Data::new(app_state))
                .configure(|config| http::routes(config, endpoints))
                .wrap(from_fn(auth::check))
                .wrap(from_fn(cors::answer))
                .wrap(from_fn(panics::catch))
        });
        let server = server
            .tcp_nodelay(true)
            .h1_allow_half_closed(!settings.anything_ends_with_its_client())
            .backlog(1024)
            .keep_alive(shutdown::KEEP_ALIVE)
            .client_request_timeout(shutdown::HEAD_TIMEOUT)
            .client_disconnect_timeout(shutdown::LINGER)
            .shutdown_timeout(shutdown::HTTP_GRACE.as_secs())
            .disable_signals()
            .workers(settings.server.workers);
        let bound = match &self.certificate {
            Some(certificate) => {
                server.listen_rustls_0_23(self.listener, certificate.server_config()?)
            }
            None => server.listen(self.listener),
        };
        let bound = bound.map_err(|source| StartError::Listen {
            address: self.address.to_string(),
            source,
        })?;
        Ok(bound.run())
    }
}

/// Where this machine reaches us: of all addresses, the loopback one.
fn own_url(scheme: &str, address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

fn listen(settings: &Settings) -> Result<TcpListener, StartError> {
    let server = &settings.server;
    let host = server.host.trim_start_matches('[').trim_end_matches(']');
    bind((host, server.port)).map_err(|source| StartError::Listen {
        address: format!("{}:{}", server.host, server.port),
        source,
    })
}

fn bind(address: impl std::net::ToSocketAddrs) -> std::io::Result<TcpListener> {
    TcpListener::bind(address)
}

fn listen_for_metrics(
    settings: &Settings,
    shared: &web::Data<SharedState>,
) -> Result<Option<Server>, StartError> {
    let Some(address) = settings.metrics.listen else {
        return Ok(None);
    };
    let refused = |source| StartError::Listen {
        address: address.to_string(),
        source,
    };
    let shared = shared.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .route("/metrics", web::get().to(http::metrics::show_alone))
    });
    let server = server
        .workers(1)
        .disable_signals()
        .bind(address)
        .map_err(refused)?;
    Ok(Some(server.run()))
}

fn announce(settings: &Settings, shared: &SharedState) {
    tracing::info!(
        endpoint = shared.endpoint,
        inbox = %settings.mailbox.inbox.display(),
        store = %settings.store.path.display(),
        backend_url = settings.backend.as_ref().map_or("", |backend| backend.url.as_str()),
        workers = settings.server.workers,
        api_key_auth = if settings.has_keys() { "enabled" } else { "disabled" },
        "postroom listens"
    );
}
