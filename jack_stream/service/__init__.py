"""The service: what starts the processes, watches over them, and answers to systemd."""
