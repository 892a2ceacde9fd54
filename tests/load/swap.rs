//! A certificate that is replaced again and again under the load of `h2load`.
//! `tests/gateway/tls/renewal.rs` has a short one, with callers of its own.

#[path = "../../src/server/tls/testing.rs"]
#[allow(dead_code, reason = "the program's own tests use the rest")]
mod certificates;

use std::{
    fmt,
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    net::TcpStream,
    process::Command,
    time::{Duration, sleep, timeout},
};
use tokio_rustls::TlsConnector;
use vingate::sandbox::Class;

use self::certificates::{Authority, Folder};
use crate::{connection::asking_for, process::Process, support::BATCH};

const NAME: &str = "localhost";

/// How long it may take until a new certificate is shown.
const PATIENCE: Duration = Duration::from_secs(30);

/// Requests of one run of `h2load`, which opens connections of its own.
const RUN: u64 = 10_000;

/// What `h2load` counted.
#[derive(Clone, Copy, Default)]
struct Counts {
    runs: u64,
    requests: u64,
    failed: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs h2load (Debian: nghttp2-client) and takes a minute"]
async fn no_request_fails_while_certificates_are_replaced() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    folder.write_pair(&authority.issue(NAME));
    let path = folder.path().display();
    let tls = format!(
        "[server.tls]\ncertificate = \"{path}/cert.pem\"\nkey = \"{path}/key.pem\"\n[server]\n"
    );
    let (secured, clear) = (Process::start(&tls).await, Process::start("").await);
    let body = folder.path().join("body.json");
    let vehicle = secured.sandbox.vehicles(Class::Finished).next().unwrap();
    std::fs::write(&body, asking_for(&[vehicle])).unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let load = |process: &Process, scheme: &str, options: &[&str]| {
        let url = format!("{scheme}://{}{BATCH}", process.address);
        let authorization = format!("authorization: Bearer {}", process.token("tester"));
        let mut command = Command::new("h2load");
        command
            .args(["-n", &RUN.to_string(), "-c", "8", "-t", "1", "-d"])
            .arg(&body)
            .args(["-H", "x-http-method-override: GET", "-H", "content-type: application/json"])
            .args(["-H", &authorization])
            .args(options)
            .arg(url)
            .stdin(Stdio::null());
        tokio::spawn(run(command, Arc::clone(&done)))
    };
    let running = [
        ("TLS, h2", load(&secured, "https", &["-m", "10"])),
        ("TLS, http/1.1", load(&secured, "https", &["--h1"])),
        ("cleartext, h2", load(&clear, "http", &["-m", "10"])),
    ];
    for nth in 1..=4 {
        let new = authority.issue(NAME);
        let want = CertificateDer::from_pem_slice(new.certificate.as_bytes()).unwrap();
        folder.write_pair(&new);
        let replaced = timeout(PATIENCE, async {
            while shown(secured.address, &authority).await != want {
                sleep(Duration::from_millis(100)).await;
            }
        });
        replaced.await.expect("the new certificate is shown");
        println!("certificate {nth} is shown");
    }
    done.store(true, SeqCst);
    for (name, running) in running {
        let counts = running.await.unwrap();
        println!("{name}: {counts}");
        assert!(counts.requests > 0);
        assert_eq!(counts.failed, 0, "{name}");
    }
    let errors = "vingate_http_connection_errors_total{reason=\"tls\"}";
    assert_eq!(secured.metric(errors).await, 0.0);
}

/// Runs a command again and again until it is enough.
async fn run(mut command: Command, done: Arc<AtomicBool>) -> Counts {
    let mut counts = Counts::default();
    while !done.load(SeqCst) {
        let output = command.output().await;
        let output = output.expect("h2load is installed (Debian: nghttp2-client)");
        counts.add(&String::from_utf8_lossy(&output.stdout));
    }
    counts
}

/// The certificate that a new caller is shown.
async fn shown(address: SocketAddr, authority: &Authority) -> CertificateDer<'static> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let client = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, socket);
    let stream = stream.await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

impl Counts {
    /// Adds what a run has printed; what is not a success has failed.
    fn add(&mut self, printed: &str) {
        let number = |line: &str, word: &str| {
            let line = printed.lines().find(|found| found.starts_with(line))?;
            let (before, _) = line.split_once(word)?;
            before.split_whitespace().last()?.parse::<u64>().ok()
        };
        let succeeded = number("status codes:", " 2xx");
        let Some(succeeded) = succeeded.filter(|_| number("requests:", " total") == Some(RUN))
        else {
            panic!("h2load says:\n{printed}");
        };
        self.runs += 1;
        self.requests += succeeded;
        self.failed += RUN - succeeded;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, requests, failed } = self;
        write!(f, "{requests} requests in {runs} runs, {failed} failed")
    }
}

#[test]
fn reads_what_h2load_prints() {
    let printed = "requests: 10000 total, 10000 started, 10000 done, 9990 succeeded, 10 failed, \
                   0 errored, 0 timeout\nstatus codes: 9990 2xx, 0 3xx, 10 4xx, 0 5xx\n";
    let mut counts = Counts::default();
    counts.add(printed);
    assert_eq!(counts.to_string(), "9990 requests in 1 runs, 10 failed");
}
