"""What everything stands on: errors, schemas, parameters, stage frame, tracking, registry, hashes."""
