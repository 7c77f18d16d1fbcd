"""``python -m trainers.vaanet`` is ``jack-train vaanet``."""

from trainers.cli import run_alone
from trainers.vaanet.command import train

if __name__ == "__main__":
    run_alone(train)
