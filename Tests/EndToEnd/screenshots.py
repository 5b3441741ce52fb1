"""Pictures of the status page, for the documentation: `Scripts/make-screenshots`."""

import os
import pathlib
import sys
import tempfile
import threading

from browser import Browser
from faults import wait_confirmed
from holdfast import ACCESS_KEY, SECRET_KEY, Server, s3_client, wait_until


def fill(server):
    """Two people's files, and some traffic."""
    made = {}
    for name in ("ann", "bob"):
        _, key, secret = server.user(name)
        made[name] = s3_client(server.endpoint, key, secret)
        made[name].create_bucket(Bucket=f"{name}-photos")
        for number in range(12):
            made[name].put_object(Bucket=f"{name}-photos", Key=f"2026/{number:03}.jpg", Body=os.urandom(90_000))
    wait_confirmed(server)
    return made


def busy(server, clients, stop):
    numbers = 0
    while not stop.is_set():
        numbers += 1
        client = clients["ann" if numbers % 3 else "bob"]
        bucket = "ann-photos" if numbers % 3 else "bob-photos"
        client.put_object(Bucket=bucket, Key=f"album/{numbers % 40}.jpg", Body=os.urandom(20_000))
        client.get_object(Bucket=bucket, Key="2026/001.jpg")["Body"].read()
        stop.wait(0.02)


def main(folder):
    folder = pathlib.Path(folder)
    with tempfile.TemporaryDirectory(prefix="holdfast-") as scratch, Server(pathlib.Path(scratch) / "store") as server:
        store = server.directory
        server.stop()
        (store / "holdfast.json").write_text(
            '{"repositories": {"nas": {"directory": "%s/nas", "snapshot-every": "1h", "verify-every": "24h"}}}' % scratch)
        server.start()
        clients = fill(server)
        stop = threading.Event()
        load = threading.Thread(target=busy, args=(server, clients, stop))
        load.start()
        try:
            with Browser(f"{scratch}/chromium") as browser:
                browser.size(1100, 1000)
                browser.open(server.admin.replace("http://", f"http://{ACCESS_KEY}:{SECRET_KEY}@") + "/status")
                browser.wait(lambda: "Green" in browser.text("h1"), "green")
                browser.wait(lambda: browser.evaluate("document.querySelectorAll('polyline').length"), "a chart")
                threading.Event().wait(20)  # something to draw
                browser.picture(folder / "status-green.png", whole=False)
                server.volume(2).rename(store / "away")
                browser.wait(lambda: "Needs a look" in browser.text("h1"), "a volume out")
                browser.wait(lambda: "ann" in browser.text("#incidents table"), "its owners")
                browser.evaluate("scrollTo(0, 0)")
                browser.picture(folder / "status-volume-out.png", whole=False)
                browser.size(390, 844, phone=True)
                browser.dark(True)
                browser.wait(lambda: browser.evaluate("innerWidth") == 390, "the phone")
                browser.picture(folder / "status-phone.png", whole=False)
        finally:
            stop.set()
            load.join()
        (store / "away").rename(server.volume(2))
        wait_until(lambda: server.standings()[2]["standing"] == "in service", what="the volume back")
    for picture in sorted(folder.glob("status-*.png")):
        print(f"{picture}  {picture.stat().st_size} bytes")
        assert picture.stat().st_size < 200_000


if __name__ == "__main__":
    main(sys.argv[1])
