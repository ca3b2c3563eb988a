//! Makes calls with the AWS SDK for Rust, for `tests/test_every_operation.py`: one for each line of standard input,
//! `{"service", "region", "operation", "input"}`, answered by a line with `answer` or `error`. Before them, a line with the
//! operations that can be called. The endpoint is in `ENDPOINT`, credentials where the SDK finds them.

mod calls;
mod values;

use std::error::Error;
use std::io::{BufRead, Write};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use calls::{Failure, OPERATIONS, call, failed};
use serde_json::{Map, Value, json};
use values::{Told, members, took_all};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = std::env::var("ENDPOINT")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", json!({"operations": {"kms": OPERATIONS, "sts": ["GetCallerIdentity"]}}))?;
    for line in std::io::stdin().lock().lines() {
        let mut request: Map<String, Value> = serde_json::from_str(&line?)?;
        let mut text = |name: &str| request.remove(name)?.as_str().map(str::to_owned);
        let (Some(service), Some(region), Some(operation)) =
            (text("service"), text("region"), text("operation"))
        else {
            return Err("a request without service, region or operation".into());
        };
        let Some(Value::Object(input)) = request.remove("input") else {
            return Err("a request without input".into());
        };
        let config = config(&endpoint, region).await;
        let answer = match service.as_str() {
            "sts" => identity(&config, &operation, input).await,
            _ => call(&aws_sdk_kms::Client::new(&config), &operation, input).await,
        };
        let answer = match answer {
            Ok(answer) => json!({"answer": answer}),
            Err(Failure::Answered(code, message)) => json!({"error": {"code": code, "message": message}}),
            Err(Failure::Broken(cause)) => return Err(format!("{operation}: {cause}").into()),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

async fn config(endpoint: &str, region: String) -> SdkConfig {
    let provider = Provider::Rustls(CryptoMode::AwsLc);
    let http = aws_smithy_http_client::Builder::new().tls_provider(provider).build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .endpoint_url(endpoint)
        .region(Region::new(region))
        .retry_config(RetryConfig::disabled())
        .load()
        .await
}

/// The one operation of STS that is called.
async fn identity(
    config: &SdkConfig,
    operation: &str,
    input: Map<String, Value>,
) -> Result<Map<String, Value>, Failure> {
    if operation != "GetCallerIdentity" {
        return Err(Failure::Broken(format!("{operation} of STS is not called here")));
    }
    took_all(&input)?;
    let answer = aws_sdk_sts::Client::new(config).get_caller_identity().send().await.map_err(failed)?;
    let told =
        [("user_id", answer.user_id.json()), ("account", answer.account.json()), ("arn", answer.arn.json())];
    Ok(members(told))
}
