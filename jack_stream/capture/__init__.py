"""From devices, files and networks to the wire. No Jittor in here."""
