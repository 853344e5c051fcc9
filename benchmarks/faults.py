"""Many small files on a real MinIO while the pipeline is killed with -9 again and again: none missing, none twice.

    python -m benchmarks.faults [--files 20000] [--keys 200] [--overwrites 20] [--seed 1]

The files are put by four writers, and beside them `keys` keys are overwritten so many times each. Then the pipeline
does the rest undisturbed, and each object is held to the truth computed from `raw/` alone. Needs a Docker engine.
"""

import argparse
import tempfile
import time
from pathlib import Path

from tests.support.lake import new_lake
from tests.support.minio_server import remove_minio, start_minio
from tests.support.storm import new_files, overwrites, storm
from tests.support.truth import differences, verify

WRITERS = 4
LIVES = (0.2, 5.0)  # seconds that a pipeline lives until it is killed


def main() -> None:
    """Run it once and print a closing line; exit with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("files", 20_000), ("keys", 200), ("overwrites", 20), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    told = parser.parse_args()
    server = start_minio()
    try:
        with tempfile.TemporaryDirectory() as folder:
            store = server.new_store()
            lake = new_lake(store, server.environ(store.bucket), Path(folder, "state"))
            writers = [new_files(writer, told.files // WRITERS) for writer in range(WRITERS)]
            began = time.monotonic()
            kills = storm(
                lake, [*writers, overwrites(0, told.keys, told.overwrites)], seed=told.seed, lives=LIVES, end=1800
            )
            seconds = time.monotonic() - began
            found = [*differences(lake), *filter(None, [verify(lake)])]
            rate = (told.files + told.keys * told.overwrites) / seconds
    finally:
        remove_minio(server)
    for line in found[:20]:
        print(line)
    print(
        f"files={told.files} overwrites={told.keys}x{told.overwrites} seconds={seconds:.0f} puts_per_second={rate:.0f}"
        f" kills={kills} differences={len(found)}"
    )
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
