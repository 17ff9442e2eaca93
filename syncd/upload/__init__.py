"""The way out: batches, pace, the request and what its answer means. The only importer of requests."""
