//! A bare hyper server that reads a request's body and answers a fixed one: what the service's speed is measured
//! against.
//!
//! `bare ADDRESS BYTES` answers every request with BYTES bytes, and prints the address on standard output.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io::Write;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let bytes = arguments.next().map_or(Ok(400), |text| text.parse::<usize>())?;
    let body = Bytes::from(vec![b'x'; bytes]);
    let listener = TcpListener::bind(address).await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        let answer = move |request: Request<Incoming>| {
            let body = body.clone();
            async move {
                request.into_body().collect().await?;
                Ok::<_, hyper::Error>(Response::new(Full::new(body)))
            }
        };
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}
