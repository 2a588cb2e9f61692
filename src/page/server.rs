//! The page's thread: listens, lets in as many connections as there is room for, draws pictures while somebody looks, tells news.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::time::{ClockId, clock_gettime};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, broadcast, oneshot};

use super::config::Config;
use super::feed::{Feed, Seen};
use super::guard::Guard;
use super::shared::{Peer, Shared};
use super::stall::Stalling;
use super::{picture, routes, told};
use crate::sys::random;

/// Connections at once; further ones are closed.
const CONNECTIONS: usize = 64;
/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 128;
/// Bytes that the kernel holds for a slow client: a picture or two.
const SEND_BUFFER: u32 = 128 << 10;
/// Bytes of a request's head, and its lines.
const HEAD_BYTES: usize = 16 << 10;
const HEAD_LINES: usize = 64;
/// Time for a request's head, and between two requests of a connection.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Time after which a client that takes nothing is given up.
const STALL_WITHIN: Duration = Duration::from_secs(20);
/// Time to the next attempt to listen.
const AGAIN: Duration = Duration::from_secs(10);
/// Time between two rounds of news.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// Rounds of news that wait for a slow client; then it misses the oldest.
const NEWS: usize = 32;
/// Threads that draw and look up: one to draw, the others for what people ask for.
const HELPERS: usize = 3;
/// Added to the niceness of those threads: pictures come after results.
const NICE: i32 = 5;
/// Time for the first attempt to listen, and for the end of the thread.
const MOMENT: Duration = Duration::from_secs(1);

/// A running page. Dropping it ends it.
pub struct Server {
    address: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `feed` as `config` says; `names` are those of this computer. Where the address is taken, or the password cannot be read, that
    /// is logged and tried again later: the daemon does not wait for its page.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(config: Config, names: Vec<String>, feed: Arc<Feed>) -> io::Result<Server> {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = sync_channel(1);
        let thread = std::thread::Builder::new().name("leptond-page".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(HELPERS)
                .thread_keep_alive(AGAIN)
                .thread_name("leptond-draw")
                // A service that may not has helpers of ordinary priority.
                .on_thread_start(|| _ = rustix::process::setpriority_process(None, NICE))
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    tracing::error!(%error, "no page");
                    return;
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    () = serve(&config, names, &feed, tell) => {}
                    // Also where the sender is gone.
                    _ = stopped => {}
                }
            });
            feed.serve(false);
            runtime.shutdown_background();
        })?;
        let address = told.recv_timeout(MOMENT).ok();
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    /// The address, with the chosen port in place of port 0; `None` where it does not listen yet.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        // The next page may want the same port.
        let until = Instant::now() + MOMENT;
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

async fn serve(config: &Config, names: Vec<String>, feed: &Arc<Feed>, tell: SyncSender<SocketAddr>) {
    let (mut tell, mut said) = (Some(tell), None);
    let (listener, address, secret) = loop {
        match open(config) {
            Ok(opened) => break opened,
            Err(reason) if said.as_ref() == Some(&reason) => {}
            Err(reason) => {
                tracing::warn!(reason, again_in_s = AGAIN.as_secs(), "the page cannot be served now");
                // Nobody waits for an address that comes late.
                (tell, said) = (None, Some(reason));
            }
        }
        tokio::time::sleep(AGAIN).await;
    };
    feed.serve(true);
    tracing::info!("page: http://{address}/");
    if let Some(tell) = tell {
        // It may be waited for no more.
        let _ = tell.try_send(address);
    }
    let guard = Mutex::new(Guard::new(secret.as_deref(), names.into_iter().chain(config.hosts.iter().cloned())));
    let token = random::word().ok();
    if config.edit && token.is_none() {
        tracing::warn!("the system gives no random numbers: nothing can be changed through the page");
    }
    let edits = config.edit && token.is_some();
    let news = broadcast::Sender::new(NEWS);
    let shared = Arc::new(Shared::new(feed.clone(), guard, news, edits, token.unwrap_or_default()));
    let router = routes::router(shared.clone());
    let accept = accept(&listener, &router, feed);
    tokio::join!(accept, draw(&shared), tell_news(&shared));
}

/// Listens, and reads the password.
fn open(config: &Config) -> Result<(TcpListener, SocketAddr, Option<String>), String> {
    let secret = config.secret().map_err(|error| error.to_string())?;
    let address: SocketAddr = config.listen.parse().map_err(|_| format!("{}: no address", config.listen))?;
    let listen = || -> io::Result<(TcpListener, SocketAddr)> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let (listener, address) = listen().map_err(|error| format!("cannot listen on {address}: {error}"))?;
    Ok((listener, address, secret))
}

async fn accept(listener: &TcpListener, router: &axum::Router, feed: &Feed) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "page");
                tokio::time::sleep(TELL_EVERY).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            feed.refuse();
            continue;
        };
        let service = TowerToHyperService::new(router.clone().layer(Extension(Peer(peer.ip()))));
        tokio::spawn(async move {
            let _place = place;
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .max_buf_size(HEAD_BYTES)
                .max_headers(HEAD_LINES);
            let stream = TokioIo::new(Stalling::new(stream, STALL_WITHIN));
            // Clients come and go as they like.
            if let Err(error) = http.serve_connection(stream, service).await {
                tracing::debug!(%error, "page");
            }
        });
    }
}

/// Draws frames for those who look, one at a time.
async fn draw(shared: &Shared) {
    let mut log = None;
    loop {
        shared.feed.frame().await;
        for output in shared.feed.take_frames() {
            let (backend, name) = (shared.feed.backend().clone(), output.pipeline.clone());
            let drawn = tokio::task::spawn_blocking(move || {
                let begun = processor_time();
                picture::drawn(&*backend, &output).map(|jpeg| (jpeg, processor_time().saturating_sub(begun)))
            });
            match drawn.await {
                Ok(Ok((jpeg, took))) => {
                    if let Some(number) = shared.feed.drew(&name, jpeg, took) {
                        shared.tell(told::picture(&name, number).into());
                    }
                }
                Ok(Err(reason)) if log.as_ref() != Some(&reason) => {
                    tracing::warn!(pipeline = name.as_str(), reason, "no picture for the page");
                    log = Some(reason);
                }
                Ok(Err(_)) => {}
                Err(error) => tracing::warn!(pipeline = name.as_str(), %error, "no picture for the page"),
            }
        }
    }
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Tells listeners what is new.
async fn tell_news(shared: &Shared) {
    let mut seen = Seen::default();
    loop {
        shared.feed.changed().await;
        let news = told::news(&shared.feed, &mut seen);
        if !news.is_empty() {
            shared.tell(news.into());
        }
        tokio::time::sleep(TELL_EVERY).await;
    }
}
