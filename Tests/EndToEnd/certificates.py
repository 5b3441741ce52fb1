"""Certificates for tests, made with the openssl command: a CA, and leaves that it signs."""

import os
import subprocess


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


class Authority:
    """A CA, with an intermediate that signs the leaves if it `has_intermediate`."""

    def __init__(self, directory, has_intermediate=False):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.ca = directory / "ca.pem"
        self.signer = (self.ca, directory / "ca.key")
        self.chain = b""
        self._key(self.signer[1], "EC")
        openssl("req", "-x509", "-new", "-key", self.signer[1], "-subj", "/CN=Test CA", "-days", "2", "-out", self.ca,
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        if has_intermediate:
            key, certificate = directory / "between.key", directory / "between.pem"
            self._key(key, "EC")
            self._sign(key, certificate, "/CN=Test intermediate", "basicConstraints=critical,CA:TRUE\n")
            self.signer = (certificate, key)
            self.chain = certificate.read_bytes()

    def _key(self, path, kind):
        if kind == "EC":
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
        else:
            openssl("genrsa", "-out", path, "2048")

    def _sign(self, key, certificate, subject, extensions):
        request, settings = self.directory / "request.csr", self.directory / "extensions.cnf"
        settings.write_text(extensions)
        openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.signer[0], "-CAkey", self.signer[1], "-CAcreateserial",
                "-days", "1", "-extfile", settings, "-out", certificate)

    def leaf(self, name, kind="EC"):
        """Certificate chain and key, as bytes, for a server on the loopback address."""
        key, certificate = self.directory / f"{name}.key", self.directory / f"{name}.pem"
        self._key(key, kind)
        self._sign(key, certificate, f"/CN={name}", "subjectAltName=IP:127.0.0.1,DNS:localhost\n"
                   "extendedKeyUsage=serverAuth\n")
        return certificate.read_bytes() + self.chain, key.read_bytes()


def replace(path, data):
    """As a careful person replaces a file, which may be a key: written beside, renamed."""
    beside = path.with_suffix(".new")
    beside.write_bytes(data)
    beside.chmod(0o600)
    os.replace(beside, path)
