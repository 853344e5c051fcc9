"""What the server of `program.py` imports once for all programs that it starts."""

import pipeline.draft
import pipeline.follow
import pipeline.health
import pipeline.recipe
import storage.local
import storage.s3
import tests.faults.dying  # noqa: F401
