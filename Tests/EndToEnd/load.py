"""Load from several threads, and what it proves: after any fault, every acknowledged operation is there byte for byte,
and the one that each thread had in flight is there whole or not at all.

Each thread has keys of its own, so what must be true of a key follows from one thread's answers.
"""

import hashlib
import os
import random
import threading
import time

import urllib3.exceptions
from botocore.exceptions import BotoCoreError, ClientError

PLAIN, VERSIONED = "plain", "versioned"
PART = 5 * 1024 * 1024
KEYS_OF_A_WORKER = 8


def seed():
    """Of a randomised test: printed by who takes it, and given again by HOLDFAST_SEED."""
    return int(os.environ.get("HOLDFAST_SEED") or random.SystemRandom().randrange(1 << 32))


def digest(data):
    return len(data), hashlib.sha256(data).hexdigest()


class Gone(Exception):
    """The server ended before it answered."""


class Worker:
    """One thread's requests, and what they were answered."""

    def __init__(self, load, number):
        self.load = load
        self.number = number
        self.random = random.Random(f"{load.seed} {number}")
        # By bucket and key, oldest first: a version's id and what it holds, None for a delete marker.
        self.versions = {(bucket, f"worker {number}/key {key}"): []
                         for bucket in (PLAIN, VERSIONED) for key in range(KEYS_OF_A_WORKER)}
        self.uploads = {}  # by id: bucket, key, and the digest of each part
        self.doubt = None  # what was asked and not answered: what, bucket, key and more
        self.touched = set()
        self.acknowledged = 0
        self.retries = 0
        self.failure = None
        self.sequence = 0

    def run(self):
        self.client = self.load.server.client(retries={"max_attempts": 0}, read_timeout=60)
        try:
            while not self.load.stopping.is_set():
                self.step()
        except Gone as reason:
            if not self.load.may_end.is_set():
                self.failure = f"the server ended by itself: {reason.__cause__!r}"
        except Exception as reason:  # whatever it is, it fails the test, with the thread's name
            self.failure = repr(reason)

    def step(self):
        bucket, key = place = self.random.choice(list(self.versions))
        known = self.versions[place]
        choice = self.random.random()
        if choice < 0.20:
            self.read(bucket, key)
        elif choice < 0.35:
            self.delete(bucket, key)
        elif choice < 0.42 and bucket == VERSIONED and known:
            self.remove(key, self.random.choice(known)[0])
        elif choice < 0.48:
            self.multipart(bucket, key)
        else:
            self.put(bucket, key)

    def body(self):
        most = self.random.choice([0, 1, 5_000, 64 * 1024, 64 * 1024 + 1, 300_000, 2_000_000])
        return self.random.randbytes(self.random.randint(most // 2, most))

    # Requests

    def ask(self, call, **arguments):
        for left in reversed(range(self.load.tries)):
            try:
                answer = call(**arguments)
                sequence = answer["ResponseMetadata"]["HTTPHeaders"].get("x-holdfast-sequence")
                self.sequence = max(self.sequence, int(sequence or 0))
                return answer
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 503 or not left:
                    raise
                self.retries += 1
                time.sleep(self.load.pause)
            except BotoCoreError as error:
                raise Gone from error

    def change(self, doubt, call, **arguments):
        """A request that changes something: in doubt until it is answered."""
        self.doubt = doubt
        self.touched.add(doubt[1:3])
        answer = self.ask(call, **arguments)
        self.doubt = None
        self.acknowledged += 1
        return answer

    def holds(self, bucket, key, version, content):
        """What is acknowledged becomes what must be there."""
        if bucket == PLAIN:
            self.versions[bucket, key] = [] if content is None else [(None, content)]
        else:
            self.versions[bucket, key].append((version, content))

    def put(self, bucket, key):
        body = self.body()
        answer = self.change(("add", bucket, key, digest(body)), self.client.put_object, Bucket=bucket, Key=key, Body=body)
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-replicas"] in ("2", "3")
        self.holds(bucket, key, answer.get("VersionId"), digest(body))

    def delete(self, bucket, key):
        answer = self.change(("add", bucket, key, None), self.client.delete_object, Bucket=bucket, Key=key)
        self.holds(bucket, key, answer.get("VersionId"), None)

    def remove(self, key, version):
        self.change(("remove", VERSIONED, key, version), self.client.delete_object, Bucket=VERSIONED, Key=key,
                    VersionId=version)
        self.versions[VERSIONED, key] = [v for v in self.versions[VERSIONED, key] if v[0] != version]

    def multipart(self, bucket, key):
        place = dict(Bucket=bucket, Key=key)
        upload = self.change(("create", bucket, key), self.client.create_multipart_upload, **place)["UploadId"]
        self.uploads[upload] = bucket, key, {}
        bodies = [self.random.randbytes(PART), self.random.randbytes(self.random.randint(1, PART // 2))]
        parts = []
        for number, body in enumerate(bodies, 1):
            answer = self.change(("part", bucket, key, upload, number), self.client.upload_part, **place, UploadId=upload,
                                 PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            self.uploads[upload][2][number] = answer["ETag"]
        if self.random.random() < 0.3:
            self.change(("abort", bucket, key, upload), self.client.abort_multipart_upload, **place, UploadId=upload)
            del self.uploads[upload]
            return
        content = digest(b"".join(bodies))
        answer = self.change(("complete", bucket, key, content, upload), self.client.complete_multipart_upload, **place,
                             UploadId=upload, MultipartUpload={"Parts": parts})
        del self.uploads[upload]
        self.holds(bucket, key, answer.get("VersionId"), content)

    def read(self, bucket, key, version=None):
        """What the store has now must be what it acknowledged last."""
        known = self.versions[bucket, key]
        expected = dict(known)[version] if version else known[-1][1] if known else None
        found = self.content(bucket, key, version)
        assert found == expected, f"{bucket}/{key} version {version} is {found}, not {expected}"

    def content(self, bucket, key, version=None):
        try:
            answer = self.ask(self.client.get_object, Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))
            return digest(answer["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None
        except (BotoCoreError, urllib3.exceptions.HTTPError) as error:
            raise Gone from error

    # The proof

    def prove(self, listed, whole):
        """Compares with the store what was touched since the last proof, or all; takes over how doubts came out."""
        doubt, self.doubt = self.doubt, None
        self.client = self.load.server.client()
        for (bucket, key), known in self.versions.items():
            mine = doubt if doubt and doubt[1:3] == (bucket, key) else None
            if bucket == PLAIN:
                self.prove_plain(key, known, mine)
            else:
                self.prove_versions(key, known, listed.get(key, {}), mine)
            if whole or (bucket, key) in self.touched:
                for version, content in self.versions[bucket, key]:
                    if content:
                        self.read(bucket, key, version)
        self.touched.clear()
        self.prove_uploads(doubt)

    def prove_plain(self, key, known, doubt):
        allowed = [known[-1][1] if known else None]
        if doubt and doubt[0] in ("add", "complete"):
            allowed.append(doubt[3])
        found = self.content(PLAIN, key)
        assert found in allowed, f"{PLAIN}/{key} is {found}, not one of {allowed}"
        self.versions[PLAIN, key] = [(None, found)] if found else []

    def prove_versions(self, key, known, listed, doubt):
        """`listed`: the ids that the store lists, each with whether it is the latest."""
        expected = list(known)
        if doubt and doubt[0] == "remove" and doubt[3] not in listed:
            expected = [(version, content) for version, content in known if version != doubt[3]]
        if doubt and doubt[0] in ("add", "complete"):
            expected += [(version, doubt[3]) for version in set(listed) - {version for version, _ in known}]
        assert set(listed) == {version for version, _ in expected} and len(expected) <= len(known) + 1, \
            f"{VERSIONED}/{key} has versions {listed}, not {known}; in doubt: {doubt}"
        assert not expected or listed[expected[-1][0]], f"{VERSIONED}/{key}: {expected[-1][0]} is not the latest"
        self.versions[VERSIONED, key] = expected

    def prove_uploads(self, doubt):
        """Uploads under way are there with their parts; the test ends them."""
        what, bucket, key = doubt[:3] if doubt else (None, None, None)
        if what == "complete":
            upload = doubt[4]
            is_done = doubt[3] in [content for _, content in self.versions[bucket, key][-1:]]
        elif what == "abort":
            upload = doubt[3]
            is_done = upload not in self.load.listed_uploads
        if what in ("complete", "abort"):
            assert is_done == (upload not in self.load.listed_uploads), f"upload {upload}, {what} in doubt, is half there"
            if is_done:
                del self.uploads[upload]
        for upload, (bucket, key, parts) in self.uploads.items():
            assert upload in self.load.listed_uploads, f"upload {upload} of {bucket}/{key} is gone"
            listed = self.client.list_parts(Bucket=bucket, Key=key, UploadId=upload).get("Parts", [])
            found = {part["PartNumber"]: part["ETag"] for part in listed}
            if what == "part" and doubt[3] == upload:
                found.pop(doubt[4], None)
            assert found == parts
            del self.load.listed_uploads[upload]
            self.client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        self.uploads.clear()


class Load:
    def __init__(self, server, seed, workers=4, tries=1, pause=0):
        """`tries`: how often a request is sent that is answered with a 503, with so many seconds in between."""
        self.server, self.seed, self.tries, self.pause = server, seed, tries, pause
        self.stopping, self.may_end = threading.Event(), threading.Event()
        client = server.client()
        for bucket in (PLAIN, VERSIONED):
            client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
        self.workers = [Worker(self, number) for number in range(workers)]

    @property
    def acknowledged(self):
        return sum(worker.acknowledged for worker in self.workers)

    @property
    def has_failed(self):
        return any(worker.failure for worker in self.workers)

    @property
    def retries(self):
        return sum(worker.retries for worker in self.workers)

    @property
    def sequence(self):
        """The highest that an answer named."""
        return max(worker.sequence for worker in self.workers)

    def start(self):
        self.stopping.clear()
        self.may_end.clear()
        self.threads = [threading.Thread(target=worker.run) for worker in self.workers]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "a request was never answered"
        failures = [worker.failure for worker in self.workers if worker.failure]
        assert not failures, failures

    def stop(self):
        self.stopping.set()
        self.join()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failure):
        self.stopping.set()
        if failure[0]:
            self.may_end.set()
        self.join()

    def prove(self, whole=False):
        client = self.server.client()
        listed = {}
        for page in client.get_paginator("list_object_versions").paginate(Bucket=VERSIONED):
            for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
                listed.setdefault(entry["Key"], {})[entry["VersionId"]] = entry["IsLatest"]
        self.listed_uploads = {
            upload["UploadId"]: (bucket, upload["Key"]) for bucket in (PLAIN, VERSIONED)
            for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
            for upload in page.get("Uploads", [])}
        creating = sum(worker.doubt is not None and worker.doubt[0] == "create" for worker in self.workers)
        for worker in self.workers:
            worker.prove(listed, whole)
        assert len(self.listed_uploads) <= creating, f"uploads that nobody began: {self.listed_uploads}"
        for upload, (bucket, key) in self.listed_uploads.items():
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        keys = {entry["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket=PLAIN)
                for entry in page.get("Contents", [])}
        assert keys == {key for worker in self.workers for (bucket, key), known in worker.versions.items()
                        if bucket == PLAIN and known}
