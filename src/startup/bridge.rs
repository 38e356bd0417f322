//! The two sides of the remote bridge: servers of their own that keep nothing.

use std::{
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::Server, middleware::from_fn, web};
use postroom_actors::ports::Credential;
use tokio::sync::Semaphore;

use super::StartError;
pub use crate::bridging::probe::{Answered, Prober};
pub use crate::bridging::service;
use crate::{
    adapters::{
        system_clock::SystemClock,
        upstream_http::{TlsSetup, UpstreamHttp},
    },
    bridging::{
        PassingLimits, Route,
        bridge::{self, Bridge},
        door::{Shown, TokenDoor},
        upstream_proxy::{self, UpstreamProxy},
        visitors::Visitors,
    },
    http::panics,
    settings::{BridgeSettings, Settings},
    shutdown, telemetry,
};

/// How long an idle connection of a client is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Where a listener of this name has its address from; for the words where it cannot have it.
const BRIDGE: &str = "bridge";
const UPSTREAM_PROXY: &str = "upstream_proxy";

/// Runs the local side until it is told to stop.
///
/// # Errors
/// There is no remote side in the configuration, or the address cannot be had.
pub fn run_bridge(settings: &Settings) -> anyhow::Result<u8> {
    settings.bridge.remote()?;
    run(settings, || listen(settings))
}

/// Runs the remote side until it is told to stop.
///
/// # Errors
/// A token or the key is missing, or the address cannot be had.
pub fn run_upstream_proxy(settings: &Settings) -> anyhow::Result<u8> {
    let base_url = settings.upstream_proxy.runnable()?.to_owned();
    run(settings, || listen_as_proxy(settings, &base_url).map(Some))
}

/// Asks both sides short questions, on the calling thread.
pub fn prober() -> Prober {
    Prober::new(Rc::new(UpstreamHttp::new(TlsSetup::default())))
}

fn run(
    settings: &Settings,
    listen: impl FnOnce() -> Result<Option<Server>, StartError>,
) -> anyhow::Result<u8> {
    let _log = telemetry::start_log(settings)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let code = actix_rt::System::new().block_on(async {
        match listen()? {
            Some(server) => Ok(shutdown::run_alone(server).await),
            None => Ok(crate::cli::exit::CONFIG),
        }
    });
    code.map_err(|error: StartError| error.into())
}

/// The local side's server; `None` without a remote side.
pub(super) fn listen(settings: &Settings) -> Result<Option<Server>, StartError> {
    let BridgeSettings {
        host, port, remote, ..
    } = &settings.bridge;
    let Some(remote) = remote else {
        return Ok(None);
    };
    let shared = Arc::new(bridge_parts(settings, &remote.url, &remote.token));
    let tls = TlsSetup::default();
    let configure = move |config: &mut web::ServiceConfig| {
        let bridge = Bridge {
            shared: Arc::clone(&shared),
            upstream: Rc::new(UpstreamHttp::new(tls.clone())),
        };
        config
            .app_data(web::Data::new(bridge))
            .default_service(web::to(bridge::take));
    };
    let (server, address) = serve(settings, BRIDGE, host, *port, configure)?;
    tracing::info!(
        endpoint = format!("http://{address}"),
        remote_url = remote.url,
        local_token = settings.bridge.local_token.is_some(),
        "the bridge listens"
    );
    Ok(Some(server))
}

fn bridge_parts(settings: &Settings, url: &str, token: &crate::settings::Secret) -> bridge::Shared {
    let own = &settings.bridge;
    bridge::Shared {
        route: Route::new(
            "the remote proxy",
            url,
            Credential::ProxyToken(Arc::clone(token.expose())),
            own.timeouts,
            // The other side has a limit of its own.
            PassingLimits {
                size: u64::MAX,
                idle: own.timeouts.idle,
            },
        ),
        visitors: Visitors::new(&own.host, &own.allowed_hosts, &own.allowed_origins),
        door: TokenDoor::new(
            own.local_token.as_ref(),
            Shown::Bearer,
            settings.server.trusted_proxies.clone(),
            Arc::new(SystemClock),
        ),
        models: own.models.clone(),
    }
}

fn listen_as_proxy(settings: &Settings, base_url: &str) -> Result<Server, StartError> {
    let own = &settings.upstream_proxy;
    let shared = Arc::new(proxy_parts(settings, base_url));
    let tls = TlsSetup::default();
    let configure = move |config: &mut web::ServiceConfig| {
        let proxy = UpstreamProxy {
            shared: Arc::clone(&shared),
            upstream: Rc::new(UpstreamHttp::new(tls.clone())),
        };
        config
            .app_data(web::Data::new(proxy))
            .default_service(web::to(upstream_proxy::take));
    };
    let (server, address) = serve(settings, UPSTREAM_PROXY, &own.host, own.port, configure)?;
    tracing::info!(
        endpoint = format!("http://{address}"),
        base_url,
        token = own.token.is_some(),
        "the upstream proxy listens"
    );
    Ok(server)
}

fn proxy_parts(settings: &Settings, base_url: &str) -> upstream_proxy::Shared {
    let own = &settings.upstream_proxy;
    let credential = own
        .api_key
        .as_ref()
        .map(|key| Credential::Bearer(Arc::clone(key.expose())));
    upstream_proxy::Shared {
        route: Route::new(
            "the API",
            base_url,
            credential.unwrap_or(Credential::None),
            own.timeouts,
            PassingLimits {
                size: settings.limits.body,
                idle: settings.limits.body_idle,
            },
        ),
        door: TokenDoor::new(
            own.token.as_ref(),
            Shown::ProxyTokenOrBearer,
            settings.server.trusted_proxies.clone(),
            Arc::new(SystemClock),
        ),
        visitors: Visitors::new(&own.host, &[], &[]),
        in_flight: Arc::new(Semaphore::new(own.max_in_flight)),
    }
}

fn serve(
    settings: &Settings,
    table: &'static str,
    host: &str,
    port: u16,
    configure: impl Fn(&mut web::ServiceConfig) + Send + Clone + 'static,
) -> Result<(Server, SocketAddr), StartError> {
    let refused = |source| StartError::ListenBeside {
        address: format!("{host}:{port}"),
        table,
        source,
    };
    let listener = TcpListener::bind((host, port)).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let server = HttpServer::new(move || {
        App::new()
            .configure(configure.clone())
            .wrap(from_fn(panics::catch))
    });
    // Each event of a stream leaves at once, and a client that closes its side is gone: its request
    // ends upstream too.
    let server = server
        .tcp_nodelay(true)
        .h1_allow_half_closed(false)
        .backlog(1024)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(shutdown::HEAD_TIMEOUT)
        .client_disconnect_timeout(shutdown::LINGER)
        .shutdown_timeout(shutdown::HTTP_GRACE.as_secs())
        .disable_signals()
        .workers(settings.server.workers)
        .listen(listener)
        .map_err(refused)?;
    Ok((server.run(), address))
}
