"""`python examples/inverse_leontief`: the folder's name as a command."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from inverse_leontief.command import main

main()
