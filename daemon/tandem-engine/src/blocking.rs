//! Calls of the stores for asynchronous callers: what may wait for a disk runs on a thread that may.

use tandem_model::error::StoreError;

/// Makes a call, on a thread of its own if it `may_block`.
pub(crate) async fn blocking<T: Send + 'static>(
    may_block: bool,
    call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    if !may_block {
        return call();
    }
    tokio::task::spawn_blocking(call).await.unwrap_or_else(|failure| {
        Err(StoreError::Io { path: "a call of the store".to_owned(), cause: failure.to_string() })
    })
}
