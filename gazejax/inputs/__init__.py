"""From arrays to what a network is called with; runs inside the jitted step."""
