//! The listener: HTTP, TLS, limits, the request pipeline, health, metrics.

pub mod aws_profile;
mod completing;
mod config;
mod connection;
mod endpoint_file;
mod error;
mod framing;
mod front;
mod health;
mod http_answer;
mod listener;
pub mod logging;
mod metrics;
mod newcomers;
mod notify;
mod pace;
mod registry;
mod request_body;
mod server;
mod stream;
mod tls;

pub use config::{DEFAULT_ADMIN_LISTEN, DEFAULT_LISTEN, Limits, ServerConfig, parse_listen};
pub use endpoint_file::{ADMIN_ENDPOINT_FILE, CONFIG_FILE, ENDPOINT_FILE};
pub use error::ServerError;
pub use listener::Listeners;
pub use server::{RunningServer, Server};
pub use tls::TlsSource;
