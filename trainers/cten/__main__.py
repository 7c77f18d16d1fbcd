"""``python -m trainers.cten`` is ``jack-train cten``."""

from trainers.cli import run_alone
from trainers.cten.command import train

if __name__ == "__main__":
    run_alone(train)
