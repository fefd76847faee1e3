//! Listens, bounds what clients may take, and hands requests to [`routes`].
//!
//! Bounds: connections, the size of a request's head (and no body), the time to send one, the time a client may leave an answer unread, the time of a
//! connection. None of them depends on the client's good will.

mod access;
mod answer;
mod io;
mod profile;
mod query;
mod routes;

pub(super) use access::{base64, read_token, sha256};

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::Error;
use super::config::WebConfig;
use super::page::Page;
use super::pprof::{Gate, Profiles};
use super::push::{Pusher, go_round};
use super::state::{WebState, add_one};
use access::Access;
use io::{Clock, Io};

/// Open connections, at most.
const CONNECTIONS: usize = 64;
/// Bytes of a request's head, at most: 8 KiB is the least hyper takes.
const HEAD_BYTES: usize = 16 << 10;
/// Fields of a request's head, at most.
const HEAD_FIELDS: usize = 64;
/// For a request's head to be complete, and for the next request on an open connection to begin.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// For the handshake of TLS.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// After so long a connection is closed with its next answer.
const CONNECTION_TIME: Duration = Duration::from_secs(600);
/// What a connection has to end by itself once asked to; no less than the longest profile that is under way then.
const LAST_ANSWER_TIME: Duration = Duration::from_secs(60);

/// The HTTP side.
pub struct Server;

/// A running HTTP side. Stops when dropped.
pub struct ServerHandle {
    address: Option<SocketAddr>,
    shared: Arc<Shared>,
    pusher: Option<Arc<Pusher>>,
    stop: watch::Sender<bool>,
    listening: Option<JoinHandle<()>>,
    rounds: Option<JoinHandle<()>>,
}

/// What every connection sees.
struct Shared {
    config: WebConfig,
    address: Option<SocketAddr>,
    state: WebState,
    profiles: Option<Arc<dyn Profiles>>,
    gate: Gate,
    page: Page,
    access: RwLock<Arc<Access>>,
}

impl Server {
    /// Binds, and serves from then on by tasks of `runtime`; also begins to send profiles, if the configuration says so. Without `profiles` there are
    /// none to be had.
    ///
    /// # Errors
    /// The configuration is wrong, a file it names cannot be used, or the address is not to be had. Nothing runs then.
    pub fn start(
        config: WebConfig,
        state: WebState,
        profiles: Option<Arc<dyn Profiles>>,
        runtime: &Handle,
    ) -> Result<ServerHandle, Error> {
        config.check()?;
        let access = Access::read(&config)?;
        let bound = config.address()?.map(|address| bind(address, runtime)).transpose()?;
        let address = bound.as_ref().map(|(_, address)| *address);
        let pusher = config.push.as_ref().map(|push| Pusher::start(push, &state)).transpose()?.map(Arc::new);
        let shared = Arc::new(Shared {
            address,
            state,
            profiles,
            gate: Gate::new(),
            page: Page::new(),
            access: RwLock::new(Arc::new(access)),
            config,
        });
        let (stop, stopped) = watch::channel(false);
        let listening =
            bound.map(|(listener, _)| runtime.spawn(listen(listener, Arc::clone(&shared), stopped)));
        let rounds = shared.rounds(pusher.as_ref(), runtime);
        Ok(ServerHandle { address, shared, pusher, stop, listening, rounds })
    }
}

impl ServerHandle {
    /// Where it listens, with the port it got where 0 was asked for.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Sends profiles of others, such as recordings; `None` where there is nowhere to.
    pub fn pusher(&self) -> Option<&Arc<Pusher>> {
        self.pusher.as_ref()
    }

    /// Reads token, certificate and key again, for connections from now on.
    ///
    /// # Errors
    /// One of them cannot be used; those before stay in force.
    pub fn reload(&self) -> Result<(), Error> {
        let access = Access::read(&self.shared.config)?;
        *self.shared.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        Ok(())
    }

    /// Ends it: no new connections, and `grace` for the answers under way.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(true);
        if let Some(listening) = &mut self.listening {
            let _ = timeout(grace, listening).await;
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        for task in [&self.listening, &self.rounds].into_iter().flatten() {
            task.abort();
        }
    }
}

impl Shared {
    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn rounds(&self, pusher: Option<&Arc<Pusher>>, runtime: &Handle) -> Option<JoinHandle<()>> {
        let (config, profiles) = (self.config.push.clone()?, Arc::clone(self.profiles.as_ref()?));
        let pusher = Arc::clone(pusher?);
        Some(runtime.spawn(go_round(config, self.state.clone(), profiles, pusher, self.gate.clone())))
    }
}

fn bind(address: SocketAddr, runtime: &Handle) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Bind { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let _inside = runtime.enter();
    Ok((TcpListener::from_std(listener).map_err(failed)?, bound))
}

async fn listen(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: what is open has to end first.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            add_one(&shared.state.http().refused);
            refuse(&stream, shared.config.tls_cert.is_some());
            continue;
        };
        let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
        connections.spawn(async move {
            let connections = Open::count(shared.state.clone());
            connect(stream, shared, stopped).await;
            drop((connections, place));
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Says so to a client that came when all places were taken, if it can be said in one go.
fn refuse(stream: &TcpStream, is_tls: bool) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if !is_tls {
        let _ = stream.try_write(ANSWER);
    }
}

/// Counts an open connection as long as it lives.
struct Open(WebState);

impl Open {
    fn count(state: WebState) -> Self {
        add_one(&state.http().connections);
        Self(state)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.http().connections.fetch_sub(1, Relaxed);
    }
}

async fn connect(stream: TcpStream, shared: Arc<Shared>, stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    match shared.access().tls.clone() {
        None => serve(stream, shared, stopped).await,
        Some(tls) => match timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, shared, stopped).await,
            Ok(Err(_)) | Err(_) => add_one(&shared.state.http().broken),
        },
    }
}

async fn serve<S>(stream: S, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answering = Arc::clone(&shared);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(routes::answer(&shared, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(Clock)
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(Io::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = sleep(CONNECTION_TIME) => None,
        _ = stopped.wait_for(|is_stopped| *is_stopped) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let longest = Duration::from_secs(u64::from(shared.config.pprof.max_seconds));
            timeout(LAST_ANSWER_TIME + longest, connection).await.unwrap_or(Ok(()))
        }
    };
    if ended.is_err() {
        add_one(&shared.state.http().broken);
    }
}
