//! A stand-in for a KMS, that does what it is told.

use super::{Ended, Home, ended};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a stand-in for a KMS does with a request.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    /// Answers: a status, an error's code or nothing, and a body.
    Answers(u16, &'static str, &'static str),
    /// Takes the request and never answers.
    Hangs,
    /// Takes the request and closes the connection.
    HangsUp,
}

/// A stand-in for a KMS that does what it is told, request by request, and the last of it for all that come after.
pub(crate) struct Stub {
    pub(crate) url: String,
    /// The operations that were asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    pub(crate) fn new(script: &'static [Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || serve(stream.unwrap(), &noted, script));
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Runs a command against it.
    pub(crate) fn run(&self, home: &Home, arguments: &[&str]) -> Ended {
        let mut command = home.command(arguments);
        command
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", &self.url);
        ended(command.output().unwrap())
    }
}

fn serve(stream: TcpStream, asked: &Mutex<Vec<String>>, script: &[Does]) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(operation) = request(&mut reader) {
        let number = {
            let mut asked = asked.lock().unwrap();
            asked.push(operation);
            asked.len() - 1
        };
        match script.get(number).or(script.last()).copied().unwrap() {
            Does::Hangs => std::thread::sleep(Duration::from_secs(600)),
            Does::HangsUp => return,
            Does::Answers(status, code, body) => {
                let named =
                    if code.is_empty() { String::new() } else { format!("x-amzn-ErrorType: {code}\r\n") };
                let head = format!(
                    "HTTP/1.1 {status} Told\r\nContent-Type: application/x-amz-json-1.1\r\n{named}Content-Length: {}\r\n\r\n",
                    body.len()
                );
                writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body.as_bytes())).unwrap();
            }
        }
    }
}

/// Reads a request; gives back the operation it asks for.
fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut operation, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            // STS has another protocol.
            if let Some(action) = body.strip_prefix(b"Action=") {
                let name = action.split(|byte| *byte == b'&').next().unwrap();
                return Some(String::from_utf8(name.to_vec()).unwrap().to_ascii_lowercase());
            }
            assert!(body.starts_with(b"{"), "the whole body is sent");
            return Some(operation);
        }
        if let Some(target) = line.strip_prefix("x-amz-target: trentservice.") {
            operation = target.to_owned();
        }
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
    }
}
