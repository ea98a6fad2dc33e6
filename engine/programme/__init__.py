"""What brands configure: their programme, stores and rewards, and the arithmetic of earning."""
