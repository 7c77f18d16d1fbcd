"""``python -m trainers.tsl_net`` is ``jack-train tsl-net``."""

from trainers.cli import run_alone
from trainers.tsl_net.command import train

if __name__ == "__main__":
    run_alone(train)
