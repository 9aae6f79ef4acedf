"""How people spell organs: names of contours, read."""
