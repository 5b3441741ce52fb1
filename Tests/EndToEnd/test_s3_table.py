"""Documentation/s3.md tells the truth: every action is in its table, and what is not here says so."""

import re

import boto3
import pytest
from botocore.exceptions import ClientError
from holdfast import ROOT

MODEL = boto3.client("s3", region_name="us-east-1").meta
# They have addresses of their own, which a store has not.
ELSEWHERE = {"ListDirectoryBuckets", "CreateSession", "WriteGetObjectResponse"}


def table():
    rows = {}
    for line in (ROOT / "Documentation/s3.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[1] in ("yes", "absent", "no"):
            for name in re.findall(r"[A-Z][A-Za-z0-9]{7,}", cells[0]):
                rows[name] = cells[1]
    return rows


TABLE = table()


def example(shape, name=""):
    """The least that boto3 takes."""
    if shape.type_name == "structure":
        members = list(shape.members)[:1] if shape.is_tagged_union else shape.required_members
        return {member: example(shape.members[member], member) for member in members}
    if shape.type_name == "list":
        return [example(shape.member, name)]
    if shape.type_name == "map":
        return {}
    if shape.type_name == "string":
        text = "bucket-of-nobody" if name == "Bucket" else "a" * shape.metadata.get("min", 1)
        return shape.enum[0] if shape.enum else text
    if shape.type_name == "timestamp":
        return "2026-01-01T00:00:00Z"
    return {"boolean": False, "blob": b""}.get(shape.type_name, 1)


def test_every_action_is_in_the_table():
    older = {"GetBucketLifecycle", "PutBucketLifecycle", "GetBucketNotification", "PutBucketNotification"}
    assert set(TABLE) - older == set(MODEL.service_model.operation_names) - older


@pytest.mark.parametrize("name", sorted(n for n, here in TABLE.items() if here == "no" and n not in ELSEWHERE))
def test_what_is_not_here_says_so(shared, name):
    method = {operation: python for python, operation in MODEL.method_to_api_mapping.items()}[name]
    client = shared.client()
    with pytest.raises(ClientError) as caught:
        getattr(client, method)(**example(MODEL.service_model.operation_model(name).input_shape))
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("NotImplemented", 501)
