//! Zero-copy codecs for exposition formats, remote write and read, Loki push and OTLP.
