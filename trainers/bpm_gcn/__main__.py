"""``python -m trainers.bpm_gcn`` is ``jack-train bpm-gcn``."""

from trainers.bpm_gcn.command import train
from trainers.cli import run_alone

if __name__ == "__main__":
    run_alone(train)
