//! From the file as written to [`Config`], which holds no invalid state.
//!
//! Types have checked everything that one key can say by itself; here is what takes two keys, or
//! the world outside of the file. One file a subject; each gives its part of the configuration,
//! or notes why not.

mod account;
mod auth;
mod kept;
mod listen;
mod upstream;

use std::{
    mem,
    num::{NonZeroU32, NonZeroUsize},
};

use http::HeaderValue;

use super::{
    context::{Checked, Context, required},
    effective::EffectiveConfig,
    file::{self, File},
    parts::{Config, ReloadableConfig, RestartOnlyConfig},
    value::{Value as _, values},
};
use crate::{
    batch, forward, gateway, limit, loader, normalize, server, telemetry, trace, vehicle_cache,
};

/// Checks `file` as a whole; the problems are in `context`.
pub(crate) fn check(file: &File, context: &mut Context<'_>) -> Checked<Config> {
    let admin = listen::check(file, context);
    let tls = listen::certificate(file, context);
    let upstream = upstream::check(file, context);
    let accounts = account::check(file, context);
    let auth = auth::check(file, accounts, required(&file.upstream.url).cloned(), context);
    let origins = listen::origins(file, context);
    let shared = kept::shared(file, context);
    let snapshot = kept::snapshot(file, context);
    let exporter = upstream::exporter(file, context);
    let jitter = file.cache.ttl.jitter.0;
    if jitter >= 1.0 {
        context.expected("cache.ttl.jitter", jitter, "a number below 1");
    }

    let (auth, jwks) = auth?;
    let restart_only = RestartOnlyConfig {
        workers: NonZeroUsize::new(file.server.workers.to_usize()),
        server: server(file, tls?),
        admin: file.admin.listen,
        upstream: upstream?,
        jwks,
        cache: cache(file),
        shared: shared?,
        snapshot: snapshot?,
        trace: exporter?,
        format: file.log.format,
    };
    let reloadable = ReloadableConfig {
        admin: admin?,
        limit: limit(file),
        batch: batch(file),
        lifetimes: lifetimes(file),
        forward: forward(file, &auth),
        normalize: normalize(file),
        gateway: gateway(file, origins),
        telemetry: telemetry(file),
        trace: trace(file),
        auth,
    };
    let effective = EffectiveConfig::new(file.show(), mem::take(&mut context.hidden));
    Ok(Config { restart_only, reloadable, effective })
}

fn server(file: &File, tls: Option<server::tls::Config>) -> server::Config {
    let server = &file.server;
    server::Config {
        listen: server.listen,
        tls,
        drain_timeout: server.drain_timeout.0,
        drain_delay: server.drain_delay.0,
        max_head: server.max_head.to_usize(),
        max_fields: server.max_fields.to_usize(),
        max_connections: server.max_connections.to_usize(),
        max_streams: server.max_streams.0,
        header_timeout: server.header_timeout.0,
        idle_timeout: server.idle_timeout.0,
        write_idle_timeout: server.write_idle_timeout.0,
    }
}

fn limit(file: &File) -> limit::Config {
    let rate = file.limit.rate.as_ref().and_then(|rate| {
        Some(limit::Rate {
            requests_per_second: NonZeroU32::new(rate.requests_per_second.0)?,
            burst: NonZeroU32::new(rate.burst.0)?,
        })
    });
    limit::Config {
        max_in_flight: file.limit.max_in_flight.to_usize(),
        rate,
        request_timeout: file.upstream.request_timeout.0,
    }
}

fn batch(file: &File) -> batch::Config {
    batch::Config {
        max_vehicles: file.batch.max_vehicles.to_usize(),
        max_body: file.limit.max_body.to_usize(),
        body_idle_timeout: file.server.body_idle_timeout.0,
        gzip_from: file.batch.gzip_from.to_usize(),
        loader: loader::Config {
            chunk: file.batch.chunk.to_usize(),
            max_parallel: file.batch.max_parallel.to_usize(),
            gather_from: file.batch.gather_from.to_usize(),
            gather_for: file.batch.gather_for.0,
            refresh_wait: file.batch.refresh_wait.0,
            ride: file.batch.ride.0,
            max_response: file.upstream.max_answer.to_usize(),
            stream_idle_timeout: file.upstream.stream_idle_timeout.0,
            request_timeout: file.upstream.request_timeout.0,
        },
    }
}

fn cache(file: &File) -> vehicle_cache::Config {
    vehicle_cache::Config { enabled: file.cache.enabled, capacity: file.cache.capacity.0 }
}

fn lifetimes(file: &File) -> vehicle_cache::Lifetimes {
    let ttl = &file.cache.ttl;
    vehicle_cache::Lifetimes {
        ttl: vehicle_cache::Ttl {
            finished: ttl.finished.0,
            pending: ttl.pending.0,
            failed: ttl.failed.0,
            absent: ttl.absent.0,
            jitter: ttl.jitter.0,
        },
        stale: vehicle_cache::StaleWindows {
            while_revalidate: file.cache.stale_while_revalidate.0,
            if_error: file.cache.stale_if_error.0,
        },
    }
}

fn forward(file: &File, auth: &crate::auth::Config) -> forward::Config {
    forward::Config {
        credential_headers: auth.credential_fields().names().to_vec(),
        max_body: file.limit.max_body.to_usize(),
        body_idle_timeout: file.server.body_idle_timeout.0,
        stream_idle_timeout: file.upstream.stream_idle_timeout.0,
        attempt_timeout: file.upstream.attempt_timeout.0,
        harmless_writes: values(&file.cache.harmless_writes),
    }
}

fn gateway(file: &File, origins: Vec<HeaderValue>) -> gateway::Config {
    gateway::Config {
        max_uri: file.server.max_uri.to_usize(),
        max_fields: file.server.max_fields.to_usize(),
        trusted_proxies: values(&file.server.trusted_proxies),
        origins,
    }
}

fn normalize(file: &File) -> normalize::Config {
    normalize::Config {
        max_body: file.limit.max_body.to_usize(),
        body_idle_timeout: file.server.body_idle_timeout.0,
    }
}

/// Without the table nothing is traced.
fn trace(file: &File) -> trace::Config {
    let config = |written: &file::Trace| trace::Config {
        sample: written.sample.0,
        server_timing: written.server_timing,
    };
    file.trace.as_ref().map(config).unwrap_or_default()
}

fn telemetry(file: &File) -> telemetry::Config {
    telemetry::Config { level: file.log.level, access: file.log.access }
}

#[cfg(test)]
mod tests;
