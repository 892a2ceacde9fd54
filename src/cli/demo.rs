//! `vingate demo`: gateway and sandbox in one process, with a token and commands to paste.

use std::{ffi::OsString, net::SocketAddr, path::Path, time::Duration};

use aws_lc_rs::rand;
use futures_util::{FutureExt as _, future::join_all};

use super::{Outcome, print, remote::ADMIN, since_epoch, stop_signal};
use crate::{
    app::App, config::Config, hex::hex, sandbox::Sandbox, shared_tier::ServerUrl, telemetry,
};

const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Serves on `listen`. Its admin listener is where commands look for it, unless something else is
/// there: then it takes any free port of the loopback, as do the sandbox and further `replicas`,
/// which share the Redis at `redis`.
pub(super) async fn run(listen: SocketAddr, replicas: u8, redis: Option<&ServerUrl>) -> Outcome {
    let stop = stop_signal()?.shared();
    // Its counters are enough: nothing reads the calls that it would record.
    let sandbox = Sandbox::bind(LOOPBACK.into()).await?;
    let sandbox = sandbox.with_recording(0).start();
    let (secret, shared) = (secret()?, redis.map(shared).unwrap_or_default());
    let config =
        |listen: SocketAddr, admin: &str| config(listen, admin, &sandbox.url(), &secret, &shared);
    let build = |listen, admin: &str| App::build(config(listen, admin)?);
    let Config { restart_only, reloadable, .. } = config(listen, ADMIN)?;
    let _log = telemetry::init(restart_only.format, reloadable.telemetry.level)?;
    let scope = Some("vehicles:read vehicles:write");
    let token = reloadable.auth.issue("demo", scope, TTL, since_epoch())?;
    let mut apps = vec![build(listen, ADMIN).or_else(|_| build(listen, ANY_ADMIN))?];
    for _ in 1..replicas {
        apps.push(build(LOOPBACK.into(), ANY_ADMIN)?);
    }
    let addresses = apps.iter().map(App::addresses);
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    print(greeting(&addresses, &sandbox.url(), &token))?;
    join_all(apps.into_iter().map(|app| app.run(stop.clone()))).await;
    sandbox.stop().await;
    Ok(())
}

/// What ties replicas together.
fn shared(redis: &ServerUrl) -> String {
    format!(
        r#"
[shared]
url = "{redis}"
secret = {{ env = "DEMO_JWT_SECRET" }}
namespace = "demo"
"#
    )
}

const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

const ANY_ADMIN: &str = "http://127.0.0.1:0";

/// What an operator would write into the file.
fn config(
    listen: SocketAddr,
    admin: &str,
    upstream: &str,
    secret: &str,
    shared: &str,
) -> Outcome<Config> {
    let admin = admin.trim_start_matches("http://");
    let text = format!(
        r#"
[server]
listen = "{listen}"
[admin]
listen = "{admin}"
[upstream]
url = "{upstream}"
[[account]]
name = "demo"
header = "X-API-Key"
value = {{ env = "DEMO_SYNC_KEY" }}
subjects = ["*"]
[auth]
issuer = "https://login.example.internal"
audience = ["vingate"]
[[auth.key]]
id = "demo"
algorithm = "HS256"
secret = {{ env = "DEMO_JWT_SECRET" }}
[auth.scope]
read = "vehicles:read"
write = "vehicles:write"
[log]
format = "text"
level = "warn"
access = "all"
{shared}"#
    );
    let env = |name: &str| match name {
        "DEMO_SYNC_KEY" => Some(OsString::from("demo-sync-key")),
        "DEMO_JWT_SECRET" => Some(OsString::from(secret)),
        _ => None,
    };
    Ok(Config::parse(&text, Path::new("demo.toml"), &env)?)
}

/// A secret of this process alone.
fn secret() -> Outcome<String> {
    let mut random = [0; 32];
    rand::fill(&mut random).map_err(|_| "no random numbers available")?;
    Ok(hex(&random))
}

/// `replicas` are where each gateway and its admin listener are.
fn greeting(replicas: &[(SocketAddr, SocketAddr)], sandbox: &str, token: &str) -> String {
    let [(gateway, admin), others @ ..] = replicas else {
        return String::new();
    };
    let others = others.iter().map(|(gateway, admin)| {
        format!("  replica  http://{gateway}\n    admin  http://{admin}\n")
    });
    let others: String = others.collect();
    let at = format!("http://{admin}");
    let option = if at == ADMIN { String::new() } else { format!(" --admin {at}") };
    format!(
        r#"vingate demo
  gateway  http://{gateway}
  admin    http://{admin}
{others}  sandbox  {sandbox}  (stands in for Sync)

A token for 24 hours:

  TOKEN={token}

Two vehicles, as people type them. Run it twice: the second response is a hit.

  curl -i -X GET http://{gateway}/api/batch/scraping/ -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' \
    -d '{{"vehicles":[{{"vin":"3vw-fe21c04m000001","plate":"mff 956-m"}},{{"vin":"1N4MUZFY2GA189462","plate":"MF.F956M"}}]}}'

A write, after which the first vehicle is fetched again:

  curl -i -X PATCH http://{gateway}/api/v2/vehicles/3vw-fe21c04m000001/status -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' -d '{{"vehicleStatusId":4}}'

What the gateway does, on a page with charts: {at}
And in a terminal, also why a vehicle is served as it is:

  vingate status --watch{option}
  vingate explain --vin 3VWFE21C04M000001 --plate MFF956M{option}
"#
    )
}
