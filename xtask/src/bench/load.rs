//! A load generator: keep-alive connections, one request under way on each, one thread and `epoll`, so that it takes
//! as little as it can of the cores that it shares with the server.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use super::Failure;

/// What some seconds of load gave.
pub(super) struct Load {
    pub(super) requests_per_s: f64,
    /// 99th percentile of the time from request to answer, milliseconds.
    pub(super) p99_ms: f64,
}

struct Connection {
    stream: TcpStream,
    sent: Instant,
    answer: Vec<u8>,
    /// Whether a request is under way on it.
    waits: bool,
}

/// Sends `request` again and again over `connections`, for `seconds` after a short warm-up.
pub(super) fn run(
    address: SocketAddr,
    request: &[u8],
    connections: usize,
    seconds: f64,
) -> Result<Load, Failure> {
    run_in_turns(address, &[request], connections, seconds, false)
}

/// The same with several requests, in turns. Sent once each, without a warm-up, it ends with them, if not before.
pub(super) fn run_in_turns<R: AsRef<[u8]>>(
    address: SocketAddr,
    requests: &[R],
    connections: usize,
    seconds: f64,
    once: bool,
) -> Result<Load, Failure> {
    let mut turns: Box<dyn Iterator<Item = &R>> = match once {
        true => Box::new(requests.iter()),
        false => Box::new(requests.iter().cycle()),
    };
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut open = Vec::with_capacity(connections);
    for index in 0..connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&poll, &stream, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
        let mut connection =
            Connection { stream, sent: Instant::now(), answer: Vec::with_capacity(8192), waits: false };
        connection.send_next(&mut turns)?;
        open.push(connection);
    }
    let warm = Instant::now() + if once { Duration::ZERO } else { Duration::from_secs_f64(seconds / 5.0) };
    let end = warm + Duration::from_secs_f64(seconds);
    let mut latencies_us: Vec<u32> = Vec::with_capacity(1 << 20);
    let mut events = Vec::with_capacity(connections);
    let mut now = Instant::now();
    while now < end && open.iter().any(|connection| connection.waits) {
        epoll::wait(&poll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let index = usize::try_from(event.data.u64())?;
            let connection = open.get_mut(index).ok_or("event of no connection")?;
            if connection.receive()? {
                now = Instant::now();
                if now >= warm {
                    latencies_us.push(
                        u32::try_from(now.duration_since(connection.sent).as_micros()).unwrap_or(u32::MAX),
                    );
                }
                connection.send_next(&mut turns)?;
            }
        }
    }
    let taken = now.duration_since(warm).as_secs_f64();
    latencies_us.sort_unstable();
    let p99 = latencies_us.get(latencies_us.len() * 99 / 100).copied().unwrap_or(0);
    Ok(Load { requests_per_s: latencies_us.len() as f64 / taken, p99_ms: f64::from(p99) / 1000.0 })
}

impl Connection {
    /// Sends whichever request comes next, if one does.
    fn send_next<R: AsRef<[u8]>>(&mut self, turns: &mut dyn Iterator<Item = R>) -> Result<(), Failure> {
        let next = turns.next();
        self.waits = next.is_some();
        next.map_or(Ok(()), |request| self.send(request.as_ref()))
    }

    fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        self.answer.clear();
        self.sent = Instant::now();
        // A request of a kilobyte always fits an empty socket buffer.
        Ok(self.stream.write_all(request)?)
    }

    /// Whether the whole answer is there now.
    fn receive(&mut self) -> Result<bool, Failure> {
        let mut buffer = [0; 8192];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err("the server closed a connection under load".into()),
            Ok(count) => {
                self.answer.extend_from_slice(buffer.get(..count).unwrap_or_default());
                complete(&self.answer)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether these bytes are a whole answer; any status but 200 is a failure.
fn complete(answer: &[u8]) -> Result<bool, Failure> {
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let (head, body) = answer.split_at(head + 4);
    if !head.starts_with(b"HTTP/1.1 200") {
        return Err(format!("the server answered {}", String::from_utf8_lossy(answer)).into());
    }
    Ok(body.len() >= content_length(head)?)
}

fn content_length(head: &[u8]) -> Result<usize, Failure> {
    for line in head.split(|&byte| byte == b'\n') {
        if let Some((name, value)) = line.split_at_checked(15)
            && name.eq_ignore_ascii_case(b"content-length:")
        {
            return Ok(std::str::from_utf8(value)?.trim().parse()?);
        }
    }
    Err("an answer without Content-Length".into())
}

/// One answer's body, over a connection of its own.
pub(super) fn once(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    while !complete(&answer)? {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err("no answer".into());
        }
        answer.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no head")?;
    Ok(answer.split_off(head + 4))
}
