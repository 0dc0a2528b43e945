//! Runs that answer a question about a layer.
