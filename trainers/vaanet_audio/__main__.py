"""``python -m trainers.vaanet_audio`` is ``jack-train vaanet-audio``."""

from trainers.cli import run_alone
from trainers.vaanet_audio.command import train

if __name__ == "__main__":
    run_alone(train)
