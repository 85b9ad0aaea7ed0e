"""The loop that trains, what it writes and when, and how it goes on where it stopped."""
