"""Checksums and uploads in parts, with the answers worked out by Python."""

import base64
import functools
import hashlib
import os
import zlib

import pytest
from botocore.exceptions import ClientError

PART = 5 * 1024 * 1024
BIG = os.urandom(PART)
ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
POLYNOMIALS = {"CRC32C": (32, 0x82F63B78), "CRC64NVME": (64, 0x9A6C9329AC4BC9B5)}


@functools.cache
def crc_table(polynomial):
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    return table


@functools.cache
def digest(algorithm, body):
    """The bytes of a checksum, by Python alone: boto3 needs a library for two of them."""
    if algorithm == "CRC32":
        return zlib.crc32(body).to_bytes(4, "big")
    if algorithm not in POLYNOMIALS:
        return hashlib.new(algorithm.lower(), body).digest()
    width, polynomial = POLYNOMIALS[algorithm]
    table, crc = crc_table(polynomial), (1 << width) - 1
    for byte in body:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return (crc ^ (1 << width) - 1).to_bytes(width // 8, "big")


def checksum(algorithm, body):
    """As arguments of boto3."""
    return {f"Checksum{algorithm}": base64.b64encode(digest(algorithm, body)).decode()}


def failure(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def upload(s3, bucket, key, bodies, complete=None, **create):
    """A multipart upload of the bodies; each part's checksums are named as it is completed."""
    identity = s3.create_multipart_upload(Bucket=bucket, Key=key, **create)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        extra = checksum(create["ChecksumAlgorithm"], body) if "ChecksumAlgorithm" in create else {}
        done = s3.upload_part(Bucket=bucket, Key=key, UploadId=identity, PartNumber=number, Body=body, **extra)
        parts.append({"PartNumber": number, **{k: v for k, v in done.items()
                                               if k == "ETag" or k.startswith("Checksum") and k != "ChecksumType"}})
    return s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=identity, MultipartUpload={"Parts": parts}, **(complete or {}))


def send_trailer(raw, path, name, value, coding="aws-chunked"):
    """Puts `body` with a checksum behind it, as SDKs send it over TLS."""
    frames = f"4\r\nbody\r\n0\r\n{name}:{value}\r\n\r\n".encode()
    headers = {"x-amz-trailer": name, "x-amz-decoded-content-length": "4", "Content-Encoding": coding,
               "Content-Length": str(len(frames))}
    return raw.send("PUT", path, headers=headers, framed=lambda _: frames, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
