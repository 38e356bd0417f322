//! Connections to addresses that were checked, and to no others.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use hyper::Uri;
use hyper_util::{
    client::legacy::connect::{
        HttpConnector,
        dns::{GaiResolver, Name},
    },
    rt::TokioIo,
};
use thiserror::Error;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::post_address::{host_of, is_public, literal_address};

type BoxError = Box<dyn Error + Send + Sync>;
type Resolving = Pin<Box<dyn Future<Output = Result<vec::IntoIter<SocketAddr>, BoxError>> + Send>>;
type Connecting = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, BoxError>> + Send>>;

/// Which addresses may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those of the open internet.
    Public,
    /// All.
    Anywhere,
}

/// An address that may not be reached: as it was resolved, behind the name that led to it.
#[derive(Debug, Error)]
#[error("`{0}` may not be reached")]
pub(super) struct RefusedAddress(pub(super) String);

impl Reach {
    /// Refuses `host` where any of its addresses may not be reached: a name with both kinds is
    /// built to pass a check.
    fn check(
        self,
        host: &str,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), RefusedAddress> {
        let refused = addresses
            .into_iter()
            .find(|address| self == Self::Public && !is_public(*address));
        refused.map_or(Ok(()), |address| {
            let text = address.to_string();
            Err(RefusedAddress(if host == text {
                text
            } else {
                format!("{host} ({text})")
            }))
        })
    }
}

/// hyper's TCP connector, which asks for no address that was not checked.
#[derive(Debug, Clone)]
pub(super) struct CheckedConnector {
    reach: Reach,
    inner: HttpConnector<CheckedNames>,
}

impl CheckedConnector {
    /// `limit`: until a connection stands, all addresses of a name together.
    pub(super) fn new(reach: Reach, limit: Duration) -> Self {
        let names = CheckedNames {
            reach,
            inner: GaiResolver::new(),
        };
        let mut inner = HttpConnector::new_with_resolver(names);
        inner.set_nodelay(true);
        inner.enforce_http(false);
        inner.set_connect_timeout(Some(limit));
        Self { reach, inner }
    }
}

impl Service<Uri> for CheckedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // What is an address already never comes to the resolver.
        let host = host_of(&uri);
        if let Err(refused) = self.reach.check(host, literal_address(host)) {
            return Box::pin(std::future::ready(Err(refused.into())));
        }
        let connecting = self.inner.call(uri);
        Box::pin(async move { connecting.await.map_err(Into::into) })
    }
}

/// The system's resolver, its answers checked.
#[derive(Debug, Clone)]
struct CheckedNames {
    reach: Reach,
    inner: GaiResolver,
}

impl Service<Name> for CheckedNames {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Resolving;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (reach, host) = (self.reach, name.to_string());
        let resolving = self.inner.call(name);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolving.await?.collect();
            reach.check(&host, addresses.iter().map(SocketAddr::ip))?;
            Ok(addresses.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn one_address_inside_is_enough_to_refuse_a_name() {
        let mixed = addresses(&["1.1.1.1", "10.0.0.1"]);
        let refused = Reach::Public.check("a.example", mixed.clone()).unwrap_err();
        assert_eq!(refused.0, "a.example (10.0.0.1)");
        assert!(Reach::Anywhere.check("a.example", mixed).is_ok());
        let public = addresses(&["1.1.1.1", "2606:4700:4700::1111"]);
        assert!(Reach::Public.check("a.example", public).is_ok());
    }

    #[test]
    fn an_address_that_stands_in_the_url_is_named_once() {
        let refused = Reach::Public.check("::1", addresses(&["::1"])).unwrap_err();
        assert_eq!(refused.0, "::1");
    }
}
