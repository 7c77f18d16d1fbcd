"""From folders of videos to what the trainers read."""
