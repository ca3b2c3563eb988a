//! Answers that are not content have an end: whoever answers can't fill this process's memory. And an answer with a secret
//! ends its connection, whose buffers would hold it for as long as the connection is kept for another request.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

/// Longest answer, in bytes: a list of a thousand objects with the longest names takes half of it.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// By this in its query the SDK's request for an object's content is known: who asks for that reads it piece by piece.
const CONTENT: &str = "x-id=GetObject";

/// By this header a request for content in Azure Blob Storage is known: each is for a range.
const RANGE_AT_AZURE: &str = "x-ms-range";
/// Operations with a key in the clear in the request or in the answer.
const SECRET: [&str; 8] = [
    "TrentService.Decapsulate",
    "TrentService.Decrypt",
    "TrentService.DeriveSharedSecret",
    "TrentService.Encapsulate",
    "TrentService.Encrypt",
    "TrentService.GenerateDataKey",
    "TrentService.GenerateDataKeyPair",
    "TrentService.GenerateRandom",
];

/// A client whose answers are cut at a length.
#[derive(Debug)]
pub(crate) struct Bounded(SharedHttpClient);

impl Bounded {
    pub(crate) fn of(client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Self(client))
    }
}

impl HttpClient for Bounded {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(BoundedConnector(self.0.http_connector(settings, components)))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

#[derive(Debug)]
struct BoundedConnector(SharedHttpConnector);

impl HttpConnector for BoundedConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        if request.headers().get("x-amz-target").is_some_and(|target| SECRET.contains(&target)) {
            request.headers_mut().insert("connection", "close");
        }
        let content = request.method() == "GET"
            && (is_content(request.uri()) || request.headers().contains_key(RANGE_AT_AZURE));
        let called = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer: HttpResponse = called.await?;
            if content && answer.status().is_success() {
                return Ok(answer);
            }
            Ok(answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, ANSWER_BYTES_MAX))))
        })
    }
}

fn is_content(uri: &str) -> bool {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| pair == CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_content_of_objects_has_no_end() {
        assert!(is_content("http://h/b/k?x-id=GetObject"));
        assert!(is_content("http://h/b/k?versionId=1&x-id=GetObject"));
        for uri in
            ["http://h/b/x-id=GetObject", "http://h/b/k?x-id=GetObjectTagging", "http://h/b?list-type=2"]
        {
            assert!(!is_content(uri), "{uri}");
        }
    }
}
