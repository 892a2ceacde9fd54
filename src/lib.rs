//! vingate: a caching reverse proxy in front of the Sync vehicle API.

pub mod admin;
pub mod app;
pub mod auth;
pub mod batch;
pub mod body;
pub mod cache;
pub mod cli;
pub mod config;
pub mod forward;
pub mod gateway;
pub mod limit;
pub mod normalize;
pub mod peer;
pub mod request_id;
pub mod route;
pub mod rule;
pub mod sandbox;
pub mod server;
pub mod telemetry;
pub mod upstream;
pub mod vehicle;
