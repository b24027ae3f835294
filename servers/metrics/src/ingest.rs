//! The store as everything that brings samples sees it: what it takes is also left for the peers that are to get it.

use std::ops::Deref;
use std::sync::Arc;

use tsdb::Db;

use crate::remote_send::Outbox;

/// A store, and the outbox for remote write.
#[derive(Clone)]
pub struct Store {
    db: Arc<Db>,
    outbox: Arc<Outbox>,
}

impl Store {
    /// Joins the two.
    pub fn new(db: Arc<Db>, outbox: Arc<Outbox>) -> Self {
        Self { db, outbox }
    }

    /// The outbox.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }
}

impl Deref for Store {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}
