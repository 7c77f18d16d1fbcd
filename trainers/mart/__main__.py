"""``python -m trainers.mart`` is ``jack-train mart``."""

from trainers.cli import run_alone
from trainers.mart.command import train

if __name__ == "__main__":
    run_alone(train)
