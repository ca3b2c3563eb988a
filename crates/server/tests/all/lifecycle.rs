//! Starting, the files that say where the server is, and stopping.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use bulla_server::{Server, ServerConfig, ServerError};
use common::Fixture;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn the_endpoint_files_name_the_listeners_and_go_with_them() {
    let Fixture { server, directory, service } = Fixture::start().await;
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(read("endpoint"), format!("http://{}\n", server.addresses()[0]));
    assert_eq!(read("admin-endpoint"), format!("http://{}\n", server.admin_address().unwrap()));
    let config = read("config");
    assert!(config.starts_with("[profile bulla]\nregion = us-east-1\n"), "{config}");
    assert!(config.contains(&format!("kms =\n  endpoint_url = {}\n", server.endpoint_url())), "{config}");
    let address = server.addresses()[0];
    server.shutdown().await;
    assert!(!directory.path().join("endpoint").exists());
    assert!(!directory.path().join("admin-endpoint").exists());
    assert!(directory.path().join("config").exists());
    assert!(TcpStream::connect(address).await.is_err());
    drop(service);
}

#[tokio::test]
async fn several_addresses_are_served_and_a_taken_one_is_an_error() {
    let fixture = Fixture::with(|config| {
        config.listen = vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
    })
    .await;
    for address in fixture.server.addresses() {
        TcpStream::connect(address).await.unwrap();
    }
    let other = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::new(other.path().to_owned(), "us-east-1".to_owned());
    config.listen = vec![fixture.address()];
    let refused = Server::start(config, Arc::clone(&fixture.service.engine)).await;
    assert!(matches!(refused, Err(ServerError::Listen { .. })));
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0, "nothing is written by a failed start");
}

#[tokio::test]
async fn idle_connections_are_closed_at_once() {
    let Fixture { server, directory, service } = Fixture::start().await;
    let silent = TcpStream::connect(server.addresses()[0]).await.unwrap();
    let half_a_head = common::Client::new(TcpStream::connect(server.addresses()[0]).await.unwrap());
    // Both must be accepted before the server stops.
    tokio::time::sleep(Duration::from_millis(100)).await;
    timeout(Duration::from_secs(2), server.shutdown()).await.expect("idle connections kept the server");
    assert!(common::Client::new(silent).closed().await.is_empty());
    assert!(half_a_head.closed().await.is_empty());
    drop((directory, service));
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_no_other_is_begun() {
    let fixture = Fixture::start().await;
    let request = fixture.signed("GenerateRandom", "{\"NumberOfBytes\":16}");
    let (early, late) = request.split_at(request.len() - 5);
    let mut client = fixture.connect().await;
    client.send(early).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let Fixture { server, directory, service } = fixture;
    let address = server.addresses()[0];
    let stopping = tokio::spawn(server.shutdown());
    timeout(common::PATIENCE, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the listener stayed open");
    assert!(!stopping.is_finished(), "the request was not waited for");
    let reply = client.call(late).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.header("Connection"), Some("close"));
    assert!(client.closed().await.is_empty());
    timeout(Duration::from_secs(3), stopping).await.expect("the server did not stop").unwrap();
    drop((directory, service));
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut() {
    let fixture = Fixture::with_limits(|limits| limits.drain = Duration::from_millis(300)).await;
    let request = fixture.signed("GenerateRandom", "{\"NumberOfBytes\":16}");
    let mut client = fixture.connect().await;
    client.send(&request[..request.len() - 5]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let Fixture { server, directory, service } = fixture;
    timeout(Duration::from_secs(3), server.shutdown()).await.expect("the server did not stop");
    assert!(client.closed().await.is_empty());
    drop((directory, service));
}
