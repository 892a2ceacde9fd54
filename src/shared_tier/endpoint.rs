//! Where the server is, and how a connection to it is made.
//!
//! Dialled here rather than by the library, so that the socket has its options and TLS its provider.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, aio::MultiplexedConnection,
};
use rustls::pki_types::{IpAddr, ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{self, AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::{
    bounded::{Allowance, Bounded},
    config::{Config, ServerUrl},
    link::{Link, LinkError},
};
use crate::tls;

/// Where the server is, and as whom it is spoken to.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(super) login: RedisConnectionInfo,
}

/// Why TLS to the server cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS to the shared tier: {0}")]
pub struct TlsError(#[from] rustls::Error);

/// Until a connection stands, the login included.
const DIAL_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a server may be silent before the system asks whether it is there, and how long what
/// was sent may be without its acknowledgement.
const KEEPALIVE: Duration = Duration::from_secs(5);
const USER_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of the responses to the login.
const MAX_LOGIN: usize = 64 * 1024;

impl Endpoint {
    /// What a configuration says.
    pub(super) fn of(config: &Config) -> Result<Self, TlsError> {
        let ServerUrl { is_tls, host, port } = config.url.clone();
        let tls = match is_tls {
            false => None,
            true => {
                let name = match host.parse::<std::net::IpAddr>() {
                    Ok(address) => ServerName::IpAddress(IpAddr::from(address)),
                    Err(_) => ServerName::try_from(host.clone())
                        .map_err(|_| rustls::Error::General("a host that is no name".to_owned()))?,
                };
                let client = tls::client_config(config.ca.as_deref(), true)?;
                Some((TlsConnector::from(Arc::new(client)), name))
            }
        };
        let mut login = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        if let Some(user) = &config.user {
            login = login.set_username(user);
        }
        if let Some(password) = &config.password {
            login = login.set_password(String::from_utf8_lossy(password));
        }
        Ok(Self { host, port, tls, login })
    }

    /// Connects and logs in.
    pub(super) async fn dial(&self) -> Result<Link, LinkError> {
        timeout(DIAL_TIMEOUT, self.connect())
            .await
            .unwrap_or(Err(LinkError::Timeout))
    }

    async fn connect(&self) -> Result<Link, LinkError> {
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(
            &TcpKeepalive::new()
                .with_time(KEEPALIVE)
                .with_interval(KEEPALIVE),
        )?;
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        match &self.tls {
            None => self.log_in(stream).await,
            Some((tls, name)) => self.log_in(tls.connect(name.clone(), stream).await?).await,
        }
    }

    async fn log_in<S>(&self, stream: S) -> Result<Link, LinkError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Time is limited here, where it is known what waits.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let allowance = Allowance::default();
        allowance.set(MAX_LOGIN);
        let (reader, writer) = io::split(stream);
        let stream = io::join(Bounded { stream: reader, allowance: allowance.clone() }, writer);
        let (commands, driver) =
            MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
        let driver = AbortOnDropHandle::new(tokio::spawn(driver));
        Ok(Link { commands, allowance, _driver: driver })
    }
}
