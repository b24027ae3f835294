//! LogQL: parser, pipeline stages and metric queries over any log source.
