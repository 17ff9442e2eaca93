"""One process that keeps folders and ledger in step with the service: pipeline, service, lock."""
