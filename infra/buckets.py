"""Makes the buckets named on the command line where they are missing, in the store of AWS_ENDPOINT_URL.

The one-shot job `buckets` of compose.yaml. It speaks plain S3, so that it works against any store, and a
wrong key fails here, before the servers start.
"""

from __future__ import annotations

import sys

import boto3


def main(names: list[str]) -> None:
    """Raises botocore's ClientError where the store refuses the key."""
    store = boto3.client("s3")
    there = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
    for name in names:
        if name not in there:
            store.create_bucket(Bucket=name)
        print(f"{name}: {'there' if name in there else 'made'}")


if __name__ == "__main__":
    main(sys.argv[1:])
