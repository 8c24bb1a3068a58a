"""The venues' own clients against our fakes, and what they read beside what our adapter reads: make vendors."""
