//! Foursight's log server: push, storage, LogQL, tail and rules behind Loki's API.
