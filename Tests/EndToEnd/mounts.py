"""File systems of their own for volumes, and for the state directory."""

import subprocess

import pytest

MEGABYTE = 1 << 20


class Mount:
    """A file system of its own for one volume; its disk can be taken out and put back. It has room for what a fast machine writes
    while a slow one brings the volume back: a volume that is full stays away."""

    def __init__(self, place, kind, megabytes, directory):
        place.mkdir(parents=True)
        self.place, self.image = place, None
        self.what = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs"]
        if kind == "ext4":
            self.image = directory / "disk.img"
            with open(self.image, "wb") as image:
                image.truncate(megabytes * MEGABYTE)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.image], check=True)
            self.what = ["-o", "loop", str(self.image)]
        self.mount()

    def mount(self):
        done = subprocess.run(["mount", *self.what, self.place], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting needs root and a kernel that lets it: {done.stderr.strip()}")

    def unmount(self):
        subprocess.run(["umount", "--lazy", self.place], check=True)

    def abort(self):
        """The disk fails: ext4 stops writing and refuses every change from now on."""
        subprocess.run(["mount", "-o", "remount,abort", self.place], check=True)
