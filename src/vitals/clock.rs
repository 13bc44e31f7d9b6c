//! How far the clock of this machine and that of the server are apart.

use anyhow::{Context, Result};
use jiff::Timestamp;
use std::time::Instant;
use tokio_postgres::Client;

/// Seconds between the two clocks, at least: what the question itself took is in the server's favour.
pub async fn apart(client: &Client) -> Result<f64> {
    let began = Instant::now();
    let server: f64 = client
        .query_one(
            "select extract(epoch from clock_timestamp())::double precision",
            &[],
        )
        .await
        .context("ask the server for the time")?
        .get(0);
    // The server answered at some instant of the round trip.
    let trip = began.elapsed().as_secs_f64();
    let here = Timestamp::now().as_millisecond() as f64 / 1e3 - trip / 2.0;
    Ok(((here - server).abs() - trip / 2.0).max(0.0))
}
