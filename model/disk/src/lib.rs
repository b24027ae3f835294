//! File layer, write-ahead log with group commit, and retention rules that Foursight's stores share.
