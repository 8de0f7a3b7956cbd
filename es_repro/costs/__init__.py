"""What a run costs, counted and timed, without waiting for the device."""
