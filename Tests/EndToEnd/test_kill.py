"""kill -9 under load: what was acknowledged is there, what was not is there whole or not at all."""

import json
import random
import time

from holdfast import Server, wait_until
from load import Load, seed

KILLS = 20


def test_every_acknowledged_operation_survives_twenty_kills(tmp_path):
    number = seed()
    print(f"HOLDFAST_SEED={number}")
    chance = random.Random(number)
    # Without a history, each start reclaims what the last round overwrote: kills meet that too.
    with Server(tmp_path / "store", "--set", "history-hours=0") as server:
        load = Load(server, number)
        heads = []
        for kill in range(1, KILLS + 1):
            heads.append(head(server))
            enough = load.acknowledged + 30
            load.start()
            wait_until(lambda: load.has_failed or load.acknowledged >= enough, what="load")
            time.sleep(chance.uniform(0, 0.5))
            load.may_end.set()
            server.kill()
            load.join()
            if chance.random() < 0.3:
                server.kill_while_it_starts(chance.uniform(0, 0.3))
            server.start()
            assert not server.incoming(), "what was begun and not published is gone"
            load.prove(whole=kill == KILLS)
            findings, summary, status = server.fsck("--deep")
            assert status == 0, f"after kill {kill}: {findings} {summary}"
            server.command("log", "verify", check=0)
            heads_are_still_there(server, heads[-1:])
            assert load.sequence <= head(server)[0]
        heads_are_still_there(server, heads)
        print(f"{KILLS} kills, {load.acknowledged} changes acknowledged, {heads[-1][0]} events")
        server.stop()
        assert server.fsck("--deep")[2] == 0
        server.start()


def head(server):
    """The last event's sequence and chain hash, which every mirror must agree on."""
    mirrors = [json.loads(line) for line in server.command("log", "verify", "--json", check=0).stdout.splitlines()]
    assert len(mirrors) == 3 and len({(mirror["events"], mirror["head"]) for mirror in mirrors}) == 1
    return mirrors[0]["events"], mirrors[0]["head"]


def heads_are_still_there(server, heads):
    """Whoever noted a hash can prove that no event up to it was changed or lost."""
    chains = {event["sequence"]: event["chain"] for event in server.log("--from", heads[0][0])}
    for sequence, chain in heads:
        assert chains[sequence] == chain
