"""Sound as arrays: files of it, and changing its sample rate."""
