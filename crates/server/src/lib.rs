//! The listener: HTTP, TLS, limits, the request pipeline, health, metrics.
