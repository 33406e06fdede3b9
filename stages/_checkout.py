"""Put this checkout's `src` first on the path.

The stages of a clone, or of `dvc exp run --temp`, then run the code that lies beside them and
that `dvc.lock` records, whichever checkout the environment was installed from.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
