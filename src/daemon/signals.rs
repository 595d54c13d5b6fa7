//! Signals, as orders to the service.

use tokio::sync::mpsc;

/// What a running service may be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Finish the writes in flight and end; given twice: end at once.
    Stop,
    /// Read the configuration again.
    Reload,
}

/// Orders by signal, from now on: SIGTERM and SIGINT stop, SIGHUP reloads.
///
/// # Errors
/// The signals cannot be had.
#[cfg(unix)]
pub fn listen() -> std::io::Result<mpsc::Receiver<Order>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int, mut hup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    let (orders, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let order = tokio::select! {
                _ = term.recv() => Order::Stop,
                _ = int.recv() => Order::Stop,
                _ = hup.recv() => Order::Reload,
            };
            if orders.send(order).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Orders by signal: Ctrl-C stops.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn listen() -> std::io::Result<mpsc::Receiver<Order>> {
    let (orders, receiver) = mpsc::channel(16);
    tokio::spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && orders.send(Order::Stop).await.is_ok() {} });
    Ok(receiver)
}
