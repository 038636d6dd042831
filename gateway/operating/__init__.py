"""What an operator asks: which workers run, what is in flight, what is wrong, and what nobody could process."""
