"""An incident, told from the log: what happened, was seen, done and lost, and whose it was."""

import json
import os

from holdfast import s3_client, wait_until


def lose(server):
    """An object of alice's with no good replica, one of hers that can be mended; the number of the incident."""
    _, *keys = server.user("alice")
    alice = s3_client(server.endpoint, *keys)
    alice.create_bucket(Bucket="photos")
    alice.put_object(Bucket="photos", Key="gone|<b>.raw", Body=os.urandom(200_000))
    gone = {path.name for path in server.blobs(1)}
    alice.put_object(Bucket="photos", Key="mended.raw", Body=os.urandom(200_000))
    incident = json.loads(server.command("incident", "open", "rack 4 | was under water", "--json", check=0).stdout)["incident"]
    for number in (1, 2, 3):
        for path in server.blobs(number):
            if path.name in gone or number == 2:
                with open(path, "r+b") as file:
                    file.seek(70_000)
                    file.write(b"\xff" * 16)
    server.command("scrub", "start", check=0)

    def states():
        return json.loads(server.command("incident", "show", str(incident), "--json", check=0).stdout)["totals"]["states"]

    wait_until(lambda: states().get("lost") == 1 and states().get("repaired") == 1, what="one lost, one repaired")
    server.command("incident", "acknowledge", str(incident), "--note", "told by mail", check=0)
    return incident


def test_a_postmortem_tells_what_was_seen_done_and_lost(server, tmp_path):
    incident = lose(server)
    out = tmp_path / "report.md"
    server.command("postmortem", "--incident", str(incident), "--out", str(out), check=0)
    text = out.read_text()
    assert text.startswith(f"# Postmortem of incident {incident}\n")
    assert "rack 4 \\| was under water (operator)" in text and "- Lost: 1 version" in text
    assert "| alice | 2 | 400000 | 1 | 1 |" in text
    assert "photos/gone\\|\\<b\\>.raw" in text and "mended.raw" not in text
    kinds = [line.split(" | ")[2] for line in text.splitlines() if line.startswith("| 20")]
    assert {"told", "seen", "done", "stated"} <= set(kinds) and kinds[0] == "told"
    assert "HF002 replica.corrupt-block on volume 2" in text and "versions are lost" in text and "told by mail" in text
    assert not list(tmp_path.glob("*.partial"))
    # The same from the stopped store.
    server.stop()
    again = server.command("postmortem", "--incident", str(incident), "--json", check=0)
    told = json.loads(again.stdout)
    assert told["summary"]["totals"]["states"]["lost"] == 1
    times = [event["event"] for event in told["timeline"]]
    # The incident is open, and the log has gone on.
    assert times == sorted(times) and len(times) >= len(kinds)
    server.start()


def test_an_incident_that_is_not_there_is_said_so(server):
    for number in ("0", "77"):
        done = server.command("postmortem", "--incident", number)
        assert done.returncode == 1 and f"there is no incident {number}" in done.stderr
