//! Requests a second of `bulla serve`, beside a bare hyper server that answers bodies of the same size.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bulla_sigv4::{Credentials, Request, sign};

use super::load::{self, Load};
use super::report::{Cell, Report, Table, median};
use super::{Failure, Plan};

const CONNECTIONS: [usize; 3] = [1, 16, 64];

const REGION: &str = "us-east-1";

pub(super) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let data = plan.dir.join("service");
    let server = Server::start(plan, &data, &[])?;
    let key = server.create_key()?;
    let data_key_body = format!("{{\"KeyId\":\"{key}\",\"KeySpec\":\"AES_256\"}}");
    let answer: serde_json::Value = serde_json::from_slice(&server.once("GenerateDataKey", &data_key_body)?)?;
    let blob = answer.get("CiphertextBlob").and_then(serde_json::Value::as_str).ok_or("no CiphertextBlob")?;
    let decrypt_body = format!("{{\"CiphertextBlob\":\"{blob}\"}}");

    let seconds = if plan.quick { 1.0 } else { 2.0 };
    let mut table = Table {
        title: format!(
            "Service: requests a second, keep-alive, load generator on the same cores, median of {}",
            plan.rounds()
        ),
        columns: vec![
            "operation",
            "connections",
            "bare hyper",
            "bulla serve",
            "share of bare",
            "p99 bare, ms",
            "p99 bulla, ms",
        ],
        rows: Vec::new(),
    };
    for (operation, body) in [("GenerateDataKey", &data_key_body), ("Decrypt", &decrypt_body)] {
        let bytes = server.once(operation, body)?.len();
        let bare = Bare::start(&plan.bare, bytes)?;
        for connections in CONNECTIONS {
            let (mut bare_runs, mut bulla_runs) = (Vec::new(), Vec::new());
            for _ in 0..plan.rounds() {
                // Signed anew for each round: a signature is good for five minutes.
                let request = server.request(operation, REGION, body)?;
                bare_runs.push(load::run(bare.address, &request, connections, seconds)?);
                bulla_runs.push(load::run(server.address, &request, connections, seconds)?);
            }
            let rate = |runs: &[Load]| median(&runs.iter().map(|run| run.requests_per_s).collect::<Vec<_>>());
            let p99 = |runs: &[Load]| median(&runs.iter().map(|run| run.p99_ms).collect::<Vec<_>>());
            table.rows.push(vec![
                Cell::text(operation),
                Cell::Number(connections as f64, 0),
                Cell::Number(rate(&bare_runs), 0),
                Cell::Number(rate(&bulla_runs), 0),
                Cell::Number(rate(&bulla_runs) / rate(&bare_runs), 2),
                Cell::Number(p99(&bare_runs), 2),
                Cell::Number(p99(&bulla_runs), 2),
            ]);
        }
    }
    server.stop()?;
    report.add(table);
    report.note("`bulla serve` checks signatures, authorises, and writes an audit record before each answer; the bare server reads and answers.");
    Ok(())
}

/// A running `bulla serve` of its own.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    access_key_id: String,
    secret_access_key: String,
}

impl Server {
    /// Starts it over this data directory, and waits until it listens.
    pub(super) fn start(plan: &Plan, data: &Path, options: &[&str]) -> Result<Self, Failure> {
        let home = plan.dir.join("service-home");
        std::fs::create_dir_all(&home)?;
        let log = std::fs::File::create(plan.dir.join("service.log"))?;
        let mut child = Command::new(&plan.binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .args(options)
            .env("HOME", &home)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()?;
        let deadline = Instant::now() + Duration::from_secs(20);
        let endpoint = loop {
            if let Ok(text) = std::fs::read_to_string(data.join("endpoint")) {
                break text;
            }
            if child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(plan.dir.join("service.log")).unwrap_or_default();
                return Err(format!("bulla serve did not start: {log}").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let address = endpoint.trim().strip_prefix("http://").ok_or("no http endpoint")?.parse()?;
        let credentials = std::fs::read_to_string(data.join("credentials"))?;
        let field = |name: &str| {
            let line =
                credentials.lines().find_map(|line| line.trim().strip_prefix(name)?.trim().strip_prefix('='));
            line.map(|value| value.trim().to_owned()).ok_or_else(|| format!("no {name} in the credentials"))
        };
        let (access_key_id, secret_access_key) =
            (field("aws_access_key_id")?, field("aws_secret_access_key")?);
        Ok(Self { child, address, access_key_id, secret_access_key })
    }

    /// A signed request, ready to send.
    pub(super) fn request(&self, operation: &str, region: &str, body: &str) -> Result<Vec<u8>, Failure> {
        let host = self.address.to_string();
        let target = format!("TrentService.{operation}");
        let headers: Vec<(&str, &[u8])> = vec![
            ("host", host.as_bytes()),
            ("content-type", b"application/x-amz-json-1.1"),
            ("x-amz-target", target.as_bytes()),
        ];
        let credentials = Credentials {
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_access_key,
            session_token: None,
        };
        let unsigned =
            Request { method: "POST", path_and_query: "/", headers: &headers, body: body.as_bytes() };
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let added = sign(&unsigned, &credentials, region, "kms", bulla_sigv4::Instant::from_seconds(now))?;
        let mut request = b"POST / HTTP/1.1\r\n".to_vec();
        for (name, value) in
            headers.iter().copied().chain(added.iter().map(|(name, value)| (*name, value.as_bytes())))
        {
            request.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        request.extend_from_slice(format!("content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
        Ok(request)
    }

    fn once(&self, operation: &str, body: &str) -> Result<Vec<u8>, Failure> {
        load::once(self.address, &self.request(operation, REGION, body)?)
    }

    fn create_key(&self) -> Result<String, Failure> {
        let answer: serde_json::Value = serde_json::from_slice(&self.once("CreateKey", "{}")?)?;
        let id = answer.pointer("/KeyMetadata/KeyId").and_then(serde_json::Value::as_str);
        Ok(id.ok_or("no KeyId")?.to_owned())
    }

    /// Resident memory.
    pub(super) fn memory_mib(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    pub(super) fn stop(mut self) -> Result<(), Failure> {
        let id = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .ok_or("no process id")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("bulla serve ended with {status}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `stop`; this is for the way out by an error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example `bare` of the server's crate.
struct Bare {
    child: Child,
    address: SocketAddr,
}

impl Bare {
    fn start(program: &Path, bytes: usize) -> Result<Self, Failure> {
        let mut child = Command::new(program)
            .args(["127.0.0.1:0", &bytes.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("http://").ok_or("no address")?.parse()?;
        Ok(Self { child, address })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
