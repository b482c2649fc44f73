"""PS: gaze of 30 observers, each on 1606 images, most of them four times."""
