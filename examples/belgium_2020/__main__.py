"""`python examples/belgium_2020`: the folder's name as a command."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from belgium_2020.command import main

main()
