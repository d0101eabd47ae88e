//! Where records end: nginx, which answers 201 to every record and counts.

use std::cell::Cell;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sandbox::wait_until;
use tempfile::TempDir;
use ureq::Agent;

use crate::authority::{self, Certificates};

const NGINX: &str = "/usr/sbin/nginx";

/// How records reach the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scheme {
    Https,
    Http,
}

/// What the sink does with a connection after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    Kept,
    /// One for each record.
    Closed,
}

/// A server for records on the loopback interface; ends with this value.
pub(crate) struct Sink {
    scheme: Scheme,
    directory: TempDir,
    certificates: Certificates,
    port: u16,
    status_port: u16,
    status_agent: Agent,
    /// Requests for the status, which the server counts with the others.
    asked: Cell<u64>,
    server: Option<Child>,
}

impl Sink {
    /// A sink that does not run yet.
    pub(crate) fn new(scheme: Scheme, connections: Connections) -> Self {
        assert!(Path::new(NGINX).exists(), "{NGINX} is missing; run `ci/deps bench`");
        let [port, status_port] = free_ports();
        let status_agent = Agent::config_builder().proxy(None).build().into();
        let certificates = authority::certificates_for("127.0.0.1");
        let directory = TempDir::new().expect("a temporary directory");
        let sink = Self {
            scheme,
            directory,
            certificates,
            port,
            status_port,
            status_agent,
            asked: Cell::new(0),
            server: None,
        };
        sink.write("server.pem", &sink.certificates.server);
        sink.write("server.key", &sink.certificates.server_key);
        sink.write("nginx.conf", &sink.configuration(connections));
        sink
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.directory.path().join(name), content).expect("a file of the server");
    }

    fn configuration(&self, connections: Connections) -> String {
        let tls = if self.scheme == Scheme::Https { " ssl" } else { "" };
        let timeout = if connections == Connections::Kept { 75 } else { 0 };
        // The default of 1,000 requests in a connection would blur the
        // difference.
        format!(
            "daemon off;
worker_processes 1;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{}{tls};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate server.pem;
        ssl_certificate_key server.key;
        keepalive_timeout {timeout};
        location = /v2/collector {{
            if ($request_method != POST) {{ return 405; }}
            return 201;
        }}
    }}
    server {{
        listen 127.0.0.1:{};
        location = /status {{ stub_status; }}
    }}
}}
",
            self.port, self.status_port
        )
    }

    /// Starts the server; returns when it answers.
    pub(crate) fn start(&mut self) {
        let directory = self.directory.path();
        // In a process namespace, so that the workers end with their master.
        let mut command = Command::new("bwrap");
        command.args(["--die-with-parent", "--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc", "--", NGINX]);
        command.args(["-e", "stderr", "-p"]).arg(directory).arg("-c").arg(directory.join("nginx.conf"));
        self.server = Some(command.stdin(Stdio::null()).spawn().expect("bwrap"));
        wait_until("nginx answers", || self.ask().is_some());
    }

    fn ask(&self) -> Option<u64> {
        let url = format!("http://127.0.0.1:{}/status", self.status_port);
        let mut response = self.status_agent.get(url).call().ok()?;
        self.asked.set(self.asked.get() + 1);
        let status = response.body_mut().read_to_string().ok()?;
        // "server accepts handled requests", and their numbers below.
        let numbers = status.lines().nth(2)?;
        numbers.split_whitespace().nth(2)?.parse().ok()
    }

    /// Records that came.
    pub(crate) fn received(&self) -> u64 {
        self.ask().expect("nginx answers") - self.asked.get()
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        format!("{scheme}://{}/v2/collector", self.address())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The certificate that clients are to trust, in PEM.
    pub(crate) fn authority(&self) -> &str {
        &self.certificates.authority
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Two ports that nobody listens on.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}
