"""The plain way to keep records in Git: clone, write, commit, push; where others were faster, rebase and push again.

peer_git.py URL WRITERS SECONDS FOLDER [--keep]: so many processes do that at once, each with one record after another,
and print what they needed for each: {"latencies": [seconds…], "lost": pushes that were too late}. A task's pod has no
clone, so that each record begins with one, of the tip alone; --keep: once for each writer.
"""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

IDENTITY = [
    "-c",
    "user.name=peer",
    "-c",
    "user.email=peer@localhost",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
]
SIZE = 1500  # random bytes in hex: what a record of 3.2 KB takes, packed with zlib, is about the same


def git(*arguments, cwd):
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=cwd, capture_output=True, check=False)
    return done.returncode == 0


def write(given):
    """One writer, until the time is up: its latencies and its lost pushes."""
    url, folder, begin, end, keep = given
    latencies, lost = [], 0
    time.sleep(max(0.0, begin - time.time()))
    clone = Path(folder)
    while (began := time.time()) < end:
        if not keep or not clone.exists():
            shutil.rmtree(clone, ignore_errors=True)
            if not git("clone", "--quiet", "--depth=1", "--branch=ledger", url, str(clone), cwd=clone.parent):
                continue
        name = uuid.uuid4().hex
        path = clone / f"runs/{datetime.now(UTC):%Y/%m/%d}/prod/{name[:12]}/train-0.{name[:8]}.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"run": name, "data": os.urandom(SIZE // 2).hex()}))
        git("add", "--all", cwd=clone)
        git("commit", "--quiet", "--message", f"record {name}", cwd=clone)
        while not (landed := git("push", "--quiet", "origin", "HEAD:ledger", cwd=clone)) and time.time() < end:
            lost += 1
            if not git("pull", "--quiet", "--rebase", "origin", "ledger", cwd=clone):
                git("rebase", "--abort", cwd=clone)
        if landed:
            latencies.append(time.time() - began)
    return latencies, lost


def main():
    url, writers, seconds, folder = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.time() + 0.5 + writers / 100
    given = [(url, str(folder / str(n)), begin, begin + seconds, "--keep" in sys.argv) for n in range(writers)]
    with multiprocessing.get_context("fork").Pool(writers) as pool:
        done = pool.map(write, given, chunksize=1)
    told = {"latencies": [one for latencies, _ in done for one in latencies], "lost": sum(lost for _, lost in done)}
    print(json.dumps({**told, "seconds": time.time() - begin}))


if __name__ == "__main__":
    main()
