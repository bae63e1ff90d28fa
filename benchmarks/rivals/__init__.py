"""What is timed, ours and what one would use instead: functions that make all ready and return one to be timed."""
