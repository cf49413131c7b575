"""params.yaml as typed, frozen classes: one file per section."""
