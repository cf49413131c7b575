"""Rows of files: JSONL, JSON, CSV, Parquet and Excel, the text ones compressed or not."""
